"""Against another result, and over earlier ones."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dosette_bench import trend
from dosette_bench.comparison import NOT_COMPARABLE, box_label, household_label, rows_of
from dosette_bench.errors import CannotMeasure
from dosette_bench.figures import interval
from dosette_bench.report import charts
from dosette_bench.report.blocks import Bad, Block, Charts, Code, Good, Heading, Paragraph, Picture, Quiet, Table, Text
from dosette_bench.report.outcome import is_measured
from dosette_bench.report.words import NOTHING, amount, count, limit_of, listed, metric, number, span, times
from dosette_bench.results import Document, Row

MOST_RESULTS = 30
MOST_LINES = 6


@dataclass(frozen=True)
class Past:
    """`lines` as in `trend.told`: what moved, for whoever gives advice."""

    blocks: Sequence[Block] = ()
    lines: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def earlier(document: Document, before: Sequence[Document]) -> Past:
    """Results of the same machine, box and household share a line; the others are counted."""
    like = [each for each in before if _why_not(document, each) is None]
    left_out = _left_out(document, before)
    if not like or not any(is_measured(row) for row in rows_of(document).values()):
        return Past([Heading("Over earlier results", 3), Paragraph(_alone(before, left_out))])
    documents = [*like, document]
    lines = _lines(documents)
    intro = f"{count(len(documents), 'result')} of this machine, this one the last.{left_out}"
    blocks: list[Block] = [Heading("Over earlier results", 3), Paragraph(intro)]
    for suite in document["benchmarks"]:
        blocks += _of_suite(suite, documents, [line for line in lines if line["suite"] == suite])
    return Past(blocks, lines)


def _why_not(document: Document, other: Document) -> str | None:
    if other["machine"]["id"] != document["machine"]["id"]:
        return "of another machine"
    if box_label(other) != box_label(document):
        return "of another box"
    if household_label(other) != household_label(document):
        return "of another household"
    return "interrupted" if other["interrupted"] else None


def _left_out(document: Document, before: Sequence[Document]) -> str:
    reasons = [reason for each in before if (reason := _why_not(document, each))]
    told = [f"{reasons.count(reason):,} {reason}" for reason in dict.fromkeys(reasons)]
    return f" Left out: {listed(told)}." if told else ""


def _alone(before: Sequence[Document], left_out: str) -> str:
    return f"There is no earlier result to draw a trend from.{left_out}" if before else "There is no earlier result."


def _lines(documents: Sequence[Document]) -> list[Mapping[str, Any]]:
    """What `dosette-bench trend` says; an interrupted last run has no line of its own, so it is told as if it weren't."""
    told = [*documents[:-1], {**documents[-1], "interrupted": False}]
    shared = set(rows_of(documents[-1]))
    try:
        return [line for line in trend.trend(told).lines if (line["suite"], line["operation"]) in shared]
    except CannotMeasure:
        return []


def _of_suite(suite: str, documents: Sequence[Document], lines: Sequence[Mapping[str, Any]]) -> list[Block]:
    rows = {row["operation"]: row for row in documents[-1]["benchmarks"][suite]["benchmarks"]}
    known = sorted(
        (line for line in lines if line["operation"] in rows), key=lambda line: _rank(line, rows[line["operation"]])
    )
    pictures = [
        picture
        for line in known[:MOST_LINES]
        if (picture := _picture(suite, line["operation"], documents[-MOST_RESULTS:])) is not None
    ]
    about = "The median of each result with its interval. What moved comes first, then what is nearest to its limit."
    charted: list[Block] = [Charts(f"{suite}: trend", about, pictures)] if pictures else []
    headings = ("operation", "verdict", "results", "first", "last", "best", "change", "so far")
    table = Table(f"{suite}: over results", headings, [_cells(line) for line in known], words=2, folded=True)
    return [*charted, table] if known else []


def _rank(line: Mapping[str, Any], row: Row) -> tuple[bool, float, float]:
    """What moved first, then what is nearest to its limit, then what is slowest."""
    return (line["verdict"] == trend.NO_TREND, -nearness(row), -(row.get("median_ms") or 0))


def nearness(row: Row) -> float:
    """The most of a limit that one of its figures takes; beyond 1 it is missed."""
    return max((over(each) for each in row["targets"] if each["value"] is not None), default=0.0)


def over(verdict: Mapping[str, Any]) -> float:
    """How many times its limit a figure is, or the limit the figure where more is better; inf where there is no ratio."""
    word, limit = limit_of(verdict)
    value = float(verdict["value"])
    part, whole = (limit, value) if word in ("above", "at_least") else (value, limit)
    if whole > 0:
        return part / whole
    return float("inf") if part > whole else 0.0


def _picture(suite: str, operation: str, documents: Sequence[Document]) -> Picture | None:
    points, unit = [], ""
    for document in documents:
        row = rows_of(document).get((suite, operation))
        if row is not None and is_measured(row):
            points.append((document["timestamp"], *_median(row)))
            unit = row["unit"]
    if len(points) < 2:
        return None
    figures = f"{amount(points[0][1], unit)} → {amount(points[-1][1], unit)}"
    return Picture(charts.over_time(operation, points, unit), (Code(operation),), figures)


def _median(row: Row) -> tuple[float, float, float]:
    """With its interval. The dot is the results' own median, of all tries; the interval is widened to hold it."""
    middle = float(row["median_ms"] if row["unit"] == "ms" else row["value"])
    rounds = [[value for value in each if value is not None] for each in row["rounds"]]
    known = [each for each in rounds if each]
    if sum(map(len, known)) < 2:
        return middle, middle, middle
    units = [[statistics.median(each)] for each in known] if len(known) > 1 else known
    low, high = interval(units, lambda some: statistics.median(statistics.median(each) for each in some))
    return middle, min(low, middle), max(high, middle)


def _cells(line: Mapping[str, Any]) -> list[Text]:
    change = NOTHING if line["change"] is None else f"{line['change']:+.1%}".replace("%", " %")
    figures = [amount(line[name], line["unit"]) for name in ("first", "last", "best")]
    return [(Code(line["operation"]),), _moved(line), number(line["results"]), *figures, change, line["spark"]]


def _moved(line: Mapping[str, Any]) -> Text:
    if line["verdict"] == trend.NO_TREND:
        return Quiet(line["verdict"])
    return Bad(line["verdict"]) if grew_worse(line) else Good(line["verdict"])


def grew_worse(line: Mapping[str, Any]) -> bool:
    return bool(line["verdict"] == ("rising" if line["better"] == "lower" else "falling"))


def comparison_blocks(told: Mapping[str, Any] | None) -> list[Block]:
    """Nothing without a comparison."""
    if told is None:
        return []
    rows = told["rows"]
    verdicts = [row["verdict"] for row in rows]
    counts = listed([f"{verdicts.count(verdict):,} {verdict}" for verdict in dict.fromkeys(verdicts)])
    sentence = (
        f"{told['base']} is the base, {told['new']} the new one. Of {count(len(rows), 'figure')}: {counts or 'none'}."
    )
    blocks: list[Block] = [Heading("Compared", 3), Paragraph(sentence)]
    if told.get("note"):
        blocks.append(Paragraph(told["note"]))
    return blocks + _forests(rows) + ([_compared(rows)] if rows else [])


def _forests(rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    drawn = [row for row in rows if all((row.get(name) or 0) > 0 for name in ("ratio", "low", "high"))]
    if not drawn:
        return []
    suites = dict.fromkeys(row["suite"] for row in drawn)
    pictures = [
        Picture(charts.forest(f"New over base, {name}", [row for row in drawn if row["suite"] == name]), name)
        for name in suites
    ]
    about = "New over base with its interval; on the upright line nothing differs. An arrow: the interval goes on."
    return [Charts("New over base", about, pictures, charts.verdict_legend())]


def _compared(rows: Sequence[Mapping[str, Any]]) -> Table:
    headings = ("suite", "operation", "figure", "ratio", "interval", "verdict")
    return Table("All that was compared", headings, [_compared_line(row) for row in rows], words=3, folded=True)


def _compared_line(row: Mapping[str, Any]) -> list[Text]:
    said = (Quiet(f": {row['reason']}"),) if row.get("reason") else ()
    interval = span(row.get("low"), row.get("high"))
    return [
        row["suite"],
        (Code(row["operation"]),),
        metric(row["metric"]),
        times(row["ratio"]),
        interval,
        (_changed(row), *said),
    ]


def _changed(row: Mapping[str, Any]) -> str:
    if row["verdict"] in ("faster", "less"):
        return Good(row["verdict"])
    if row["verdict"] in ("slower", "more"):
        return Bad(row["verdict"])
    return row["verdict"] if row["verdict"] == NOT_COMPARABLE else Quiet(row["verdict"])
