"""Where the time goes: CPU by process, the ratio to a bare Flask answer, the slowest operations, and what a closed loop asks for."""

from collections.abc import Mapping, Sequence

from dosette_bench.report import charts
from dosette_bench.report.blocks import Block, Bullets, Charts, Code, Heading, Paragraph, Picture, Table, Text
from dosette_bench.report.outcome import OURS, TOTAL, is_measured, parts_of
from dosette_bench.report.words import NOTHING, amount, count, limit_of, limited, listed, number, share, times
from dosette_bench.results import Document, Row

REFERENCE = "bare-flask"
MOST_SLOW = 10
CLOSE = 0.1
NOTABLE = 0.01


def where_the_time_goes(document: Document) -> list[Block]:
    """What no figure speaks of is left out."""
    suites = {name: told["benchmarks"] for name, told in document["benchmarks"].items()}
    parts = parts_of(document)
    blocks = [
        *(block for name, rows in suites.items() for block in _cpu(name, rows, parts)),
        *_over_reference(suites),
        *_slowest(suites),
        *_loops(suites),
    ]
    nothing: list[Block] = [Paragraph("No row says where its time went.")]
    return [Heading("Where the time goes"), *(blocks or nothing)]


def cpu_of(row: Row) -> dict[str, float]:
    """CPU time of one request by process, those of the bench and of the reference left out, as they serve nobody."""
    told = row.get("cpu_ms_per_request", {})
    return {part: used for part, used in told.items() if part not in (TOTAL, OURS, REFERENCE)}


def cpu_by_process(rows: Sequence[Row]) -> dict[str, float]:
    """Of one request of each operation, added up, the most first."""
    found: dict[str, float] = {}
    for row in rows:
        for part, used in cpu_of(row).items():
            found[part] = found.get(part, 0.0) + used
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def _cpu(suite: str, rows: Sequence[Row], parts: Sequence[str]) -> list[Block]:
    shown = [row for row in rows if any(cpu_of(row).values())]
    if not shown:
        return []
    by_process = cpu_by_process(shown)
    whole = sum(by_process.values())
    told = [f"{part} {share(used, whole)}" for part, used in by_process.items() if used >= whole * NOTABLE]
    sentence = (
        f"{suite}: one request of each of {count(len(shown), 'operation')} costs {amount(whole, 'ms')} of CPU time together;"
        f" of that {listed(told)}."
    )
    costly = sorted(shown, key=lambda row: -sum(cpu_of(row).values()))
    picture = Picture(
        charts.stacked(
            f"CPU time of one request, {suite}", [(row["operation"], cpu_of(row)) for row in costly], parts, "ms"
        )
    )
    about = "The costliest first. Work that goes on after the answer is in it, too."
    legend = charts.part_legend(parts, {part for part, used in by_process.items() if used})
    return [Paragraph(sentence), Charts(f"{suite}: CPU time of one request", about, [picture], legend)]


def _over_reference(suites: Mapping[str, Sequence[Row]]) -> list[Block]:
    rows = [row for of_suite in suites.values() for row in of_suite if row.get("cpu_ratio_to_reference") is not None]
    if not rows:
        return []
    intro = (
        "What Dosette adds to the least that its framework can do: the same server with a bare Flask answer, asked in the same rounds."
        " This ratio holds on any machine."
    )
    ordered = sorted(rows, key=lambda row: -float(row["cpu_ratio_to_reference"]))
    lines: list[list[Text]] = [
        [(Code(row["operation"]),), times(row["cpu_ratio_to_reference"]), times(row.get("ratio_to_reference"))]
        for row in ordered
    ]
    headings = ("operation", "CPU time of api and postgresql", "time until the answer")
    return [Heading("Over a bare answer", 3), Paragraph(intro), Table("The costliest first", headings, lines)]


def _slowest(suites: Mapping[str, Sequence[Row]]) -> list[Block]:
    rows = [(name, row) for name, of_suite in suites.items() for row in of_suite if row.get("mean_ms")]
    if not rows:
        return []
    ordered = sorted(rows, key=lambda each: -float(each[1]["mean_ms"]))[:MOST_SLOW]
    headings = ("suite", "operation", "most of the CPU", "mean, ms", "p99 over median", "CPU, ms", "CPU over mean")
    lines = [_slow(name, row) for name, row in ordered]
    return [Heading("The slowest operations", 3), Table("The slowest first", headings, lines, words=3)]


def _slow(suite: str, row: Row) -> list[Text]:
    used = cpu_by_process([row])
    whole = sum(used.values())
    most = next(iter(used), None) if whole else None
    tail = row["p99_ms"] / row["median_ms"] if row["p99_ms"] and row["median_ms"] else None
    figures = (
        number(row["mean_ms"]),
        times(tail),
        number(whole) if whole else NOTHING,
        share(whole, row["mean_ms"]) if whole else NOTHING,
    )
    return [suite, (Code(row["operation"]),), f"{most}, {share(used[most], whole)}" if most else NOTHING, *figures]


def crowded(row: Row) -> bool:
    """Whether it is a closed loop of several users, so that its throughput bounds its mean.

    Not where users think for longer than N / X: then the bound says nothing.
    """
    load = row.get("load") or {}
    several = load.get("model") == "closed" and (load.get("users") or 0) > 1
    return bool(several and is_measured(row) and (row.get("bound_ms") or 0) > 0)


def _loops(suites: Mapping[str, Sequence[Row]]) -> list[Block]:
    rows = [row for of_suite in suites.values() for row in of_suite if crowded(row)]
    if not rows:
        return []
    intro = (
        "A closed loop of N users is answered X times a second, so on average each waits N / X, less the time that it thinks, whatever"
        " the code does in between."
    )
    return [Heading("What closed loops ask for", 3), Paragraph(intro), Bullets([loop_sentence(row) for row in rows])]


def loop_sentence(row: Row) -> Text:
    """How near the mean is to the bound, and what its target comes to in answers a second."""
    mean = (
        f" The mean is {amount(row['mean_ms'], 'ms')}, {times(row['mean_ms'] / row['bound_ms'])} that{_meaning(row)}."
    )
    return (Code(row["operation"]), f": {_asks(row)}", mean, *_needed(row))


def _asks(row: Row) -> str:
    load, think = row["load"], row["load"].get("think_time_s")
    who = f"a closed loop of {count(load['users'], 'user')}"
    who += f" who think {amount(think, 's')}" if think else " without think time asks for throughput"
    return (
        f"{who}: at {number(row['throughput_rps'])} answers a second they wait {amount(row['bound_ms'], 'ms')} (N / X)."
    )


def _meaning(row: Row) -> str:
    ratio = row["mean_ms"] / row["bound_ms"]
    if ratio < 1 - CLOSE:
        return ", so its users also spent time on what is in no answer"
    return ", so the wait is the queue's and only throughput changes it" if ratio <= 1 + CLOSE else ""


def _needed(row: Row) -> tuple[str, ...]:
    """The throughput at which the mean would keep its strictest limit."""
    limits = [limit_of(each)[1] for each in row["targets"] if each["metric"] == "mean_ms"]
    if not limits or min(limits) <= 0:
        return ()
    think_ms = (row["load"].get("think_time_s") or 0) * 1000
    needed = row["load"]["users"] / (min(limits) + think_ms) * 1000
    return (f" For its target of {limited(min(limits), 'ms')} it needs {number(needed)} answers a second.",)
