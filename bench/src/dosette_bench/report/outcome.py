"""What came out: a sentence, a count for each level, and the figures of each suite."""

from collections.abc import Mapping, Sequence
from typing import Any

from dosette_bench.report import charts
from dosette_bench.report.blocks import (
    Bad,
    Block,
    Charts,
    Code,
    Heading,
    Paragraph,
    Picture,
    Quiet,
    Score,
    Scores,
    Strong,
    Table,
    Text,
    as_parts,
)
from dosette_bench.report.words import NOTHING, amount, count, listed, mark, number, span, times
from dosette_bench.results import Document, Row
from dosette_bench.targets import KINDS, LEVELS, NOT_MEASURED

PARTS = ("api", "postgresql", "redis", "scheduler", "worker", "display-agent", "launcher", "bare-flask", "ours")
TOTAL = "total"
OURS = "ours"
NAMES = {OURS: "the bench itself"}

Verdicts = Sequence[Mapping[str, Any]]


def verdict(document: Document) -> Text:
    """The run in one sentence, and one for each level."""
    told = document["judgement"]
    if not told["verdicts"]:
        return "No target was judged in this run."
    return (Strong(_holds(document)), *(f" {_sentence(score)}" for score in scores(told["verdicts"])))


def _holds(document: Document) -> str:
    told = document["judgement"]
    gate = listed([f"{kind}s" if kind != "memory" else kind for kind in told["gate"]])
    of = "" if set(told["gate"]) == set(KINDS) else f" about {gate}"
    if document["interrupted"]:
        return "The run was interrupted, so it passes nothing."
    return f"Every critical target{of} holds." if told["holds"] else f"Not every critical target{of} holds."


def _sentence(score: Score) -> str:
    """`Critical: of 7 targets 5 hold, 2 missed.`"""
    told = [f"{score.holds:,} hold"] + [f"{many:,} {word}" for many, word in _others(score) if many]
    return (
        f"{score.level.capitalize()}: of {count(score.holds + score.missed + score.open, 'target')} {', '.join(told)}."
    )


def _others(score: Score) -> Sequence[tuple[int, str]]:
    return (score.missed, "missed"), (score.open, "not measured")


def scores(verdicts: Verdicts) -> list[Score]:
    """Of each level that something was promised at."""
    by_level = {level: [each["met"] for each in verdicts if each["level"] == level] for level in LEVELS}
    return [
        Score(level, met.count(True), met.count(False), met.count(NOT_MEASURED))
        for level, met in by_level.items()
        if met
    ]


def what_came_out(document: Document) -> list[Block]:
    """All figures; what was promised of them has a section of its own."""
    found = scores(document["judgement"]["verdicts"])
    blocks: list[Block] = [Heading("What came out"), *([Scores(found)] if found else [])]
    parts = parts_of(document)
    for name, told in document["benchmarks"].items():
        blocks += [Heading(name, 3), *_suite(name, told, parts)]
    return blocks if document["benchmarks"] else [*blocks, Paragraph("No suite was measured.")]


def parts_of(document: Document) -> list[str]:
    """Every process that a row names, always in the same order."""
    rows = [row for told in document["benchmarks"].values() for row in told["benchmarks"]]
    named = {part for row in rows for field in ("cpu_ms_per_request", "processes") for part in row.get(field, ())}
    known = [part for part in PARTS if part in named]
    return known + sorted(named - {*PARTS, TOTAL})


def is_measured(row: Row) -> bool:
    return row.get("mean_ms", row.get("value")) is not None


def _suite(name: str, told: Mapping[str, Any], parts: Sequence[str]) -> list[Block]:
    rows = told["benchmarks"]
    timed = [row for row in rows if row["unit"] == "ms"]
    blocks: list[Block] = [Paragraph(f"It did not come to its end: {told['reason']}")] if "reason" in told else []
    if not rows:
        return [*blocks, Paragraph("No operation was measured.")]
    return [
        *blocks,
        *_waits(name, timed),
        *_distributions(name, timed),
        *_by_users(timed),
        *_costs(name, timed, parts),
        *_values(name, [row for row in rows if row["unit"] != "ms"]),
        *_memory(name, rows, parts),
    ]


def _waits(suite: str, rows: Sequence[Row]) -> list[Block]:
    headings = (
        "operation",
        "target",
        "load",
        "mean",
        "interval",
        "median",
        "p95",
        "p99",
        "errors",
        "X, a second",
        "N / X",
    )
    return [Table(f"{suite}: how long it took, in ms", headings, [_wait(row) for row in rows], words=3)] if rows else []


def _wait(row: Row) -> list[Text]:
    mean, *figures = (number(row[f"{name}_ms"]) for name in ("mean", "median", "p95", "p99"))
    interval = span(row["ci95_low_ms"], row["ci95_high_ms"])
    flow = [number(row.get(name)) for name in ("throughput_rps", "bound_ms")]
    return [_named(row), _target(row), load(row), mean, interval, *figures, _errors(row), *flow]


def _named(row: Row) -> Text:
    return (Code(row["operation"]), Quiet(f" {row['what']}")) if row.get("what") else (Code(row["operation"]),)


def load(row: Row) -> str:
    """Closed: users and what they think; open: the rate that was asked for."""
    told = row.get("load")
    if told is None:
        return NOTHING
    if told["model"] == "open":
        dropped = row.get("dropped_iterations")
        rate = f"open, {amount(told.get('rate_rps'), '1/s')}"
        return f"{rate}, {dropped:,} dropped" if dropped else rate
    if told.get("users") is None:
        return "closed"
    think = told.get("think_time_s")
    return f"closed, {count(told['users'], 'user')}" + (f" thinking {amount(think, 's')}" if think else "")


def _errors(row: Row) -> Text:
    told = f"{row['errors']:,} of {row['iterations']:,}"
    if not row["errors"]:
        return told
    reasons = ", ".join(f"{reason} ({how_often:,})" for reason, how_often in row.get("error_reasons", {}).items())
    return (Bad(told), Quiet(f" {reasons}")) if reasons else (Bad(told),)


def _target(row: Row) -> Text:
    if not is_measured(row):
        return (*as_parts(mark(NOT_MEASURED)), Quiet(f": {row.get('reason', 'no reason is known')}"))
    return mark(row["target_met"]) if row["targets"] else Quiet("none")


def _distributions(suite: str, rows: Sequence[Row]) -> list[Block]:
    pictures = charts.distributions(rows)
    about = "How the tries spread, over one axis for all; each picture has a height of its own."
    return [Charts(f"{suite}: latency distributions", about, pictures, charts.percentile_legend())] if pictures else []


def _by_users(rows: Sequence[Row]) -> list[Block]:
    groups = user_groups(rows)
    if len({row["load"]["users"] for group in groups.values() for row in group}) < 2:
        return []
    about = (
        "Throughput above, the mean wait below, its interval as a thin upright line. A dash marks what the throughput alone makes"
        " a closed loop wait."
    )
    picture = Picture(charts.over_users(groups))
    return [Charts("Throughput and mean wait against users", about, [picture], charts.user_legend(groups))]


def user_groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Measured closed loops, by how long their users think, the least first; in each the fewest users first."""
    closed = [row for row in rows if row.get("load") and row["load"].get("users") and row.get("throughput_rps")]
    groups: dict[str, list[Row]] = {}
    for row in sorted(
        filter(is_measured, closed), key=lambda each: (each["load"].get("think_time_s") or 0, each["load"]["users"])
    ):
        think = row["load"].get("think_time_s")
        groups.setdefault(f"thinking {amount(think, 's')}" if think else "without think time", []).append(row)
    return groups


def _costs(suite: str, rows: Sequence[Row], parts: Sequence[str]) -> list[Block]:
    """What one request costs: columns that no row has are left out."""
    named = [part for part in parts if any(row.get("cpu_ms_per_request", {}).get(part) for row in rows)]
    columns = {
        "CPU, ms": lambda row: number(row.get("cpu_ms_per_request", {}).get(TOTAL)),
        **{called(part): _cpu_of(part) for part in named},
        "SQL messages": lambda row: number(row.get("sql_messages_per_request")),
        "blocks": lambda row: number(row.get("blocks_per_request")),
        "WAL, bytes": lambda row: number(row.get("wal_bytes_per_request")),
        "bytes": lambda row: number(row.get("bytes_per_response")),
        "CPU over bare Flask": lambda row: times(row.get("cpu_ratio_to_reference")),
        "on the board, ms": lambda row: number(row.get("board_ms")),
    }
    cells = {name: [cell(row) for row in rows] for name, cell in columns.items()}
    kept = {name: column for name, column in cells.items() if set(column) - {NOTHING}}
    if not kept:
        return []
    names = [(Code(row["operation"]),) for row in rows]
    lines: list[list[Text]] = [list(each) for each in zip(names, *kept.values(), strict=True)]
    return [Table(f"{suite}: what one request costs", ("operation", *kept), lines)]


def _cpu_of(part: str) -> Any:
    return lambda row: number(row.get("cpu_ms_per_request", {}).get(part))


def called(part: str) -> str:
    return NAMES.get(part, part)


def _values(suite: str, rows: Sequence[Row]) -> list[Block]:
    headings = ("operation", "target", "value", "better", "errors")
    return [Table(f"{suite}: other figures", headings, [_value(row) for row in rows], words=2)] if rows else []


def _value(row: Row) -> list[Text]:
    return [_named(row), _target(row), amount(row["value"], row["unit"]), row["better"], _errors(row)]


def _memory(suite: str, rows: Sequence[Row], parts: Sequence[str]) -> list[Block]:
    shown = [row for row in rows if row.get("processes")]
    if not shown:
        return []
    about = "Each bar is one moment, cut into processes. PSS: what several processes share is shared out among them."
    bars = [(row["operation"], {part: told["pss_mb"] for part, told in row["processes"].items()}) for row in shown]
    named = {part for _, values in bars for part in values}
    picture = Picture(charts.stacked("Memory by process", bars, parts, "MB"))
    lines: list[list[Text]] = [
        [(Code(row["operation"]),), called(part), *_sizes(told)]
        for row in shown
        for part, told in row["processes"].items()
    ]
    headings = ("operation", "process", "PSS, MB", "RSS, MB", "anonymous, MB")
    return [
        Charts("Memory by process", about, [picture], charts.part_legend(parts, named)),
        Table(f"{suite}: by process", headings, lines, words=2, folded=True),
    ]


def _sizes(told: Mapping[str, float]) -> list[str]:
    return [number(told[name]) for name in ("pss_mb", "rss_mb", "anonymous_mb")]
