"""How figures moved over many results: a slope that one odd result doesn't bend, and whether chance would do as much.

Results of different machines, boxes or households never share a line. The test is that of Mann (1945) and Kendall, the slope that of
Theil (1950) and Sen (1968); which lines are called rising or falling, of so many, is chosen as in `comparison`: one line alone needs
five results, one of sixty seven that rise without a break. A machine that itself grows slower, by heat or a newer kernel, is a
trend like any other.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from dosette_bench import results
from dosette_bench.comparison import (
    SMALLEST,
    amount,
    box_label,
    household_label,
    label,
    level_of,
    machine_label,
    metric_of,
    rows_of,
    value_of,
)
from dosette_bench.errors import CannotMeasure
from dosette_bench.results import Document, Row

BARS = "▁▂▃▄▅▆▇█"
MISSING = "·"
FULL_HEIGHT = 0.1
"""A spark as high as its line is at least a tenth of the figure: else noise looks like mountains."""
MOST_COUNTED = 40
NO_TREND = "no trend shown"

HEADINGS = ("suite", "operation", "results", "first", "last", "best", "change", "", "verdict")


@dataclass(frozen=True)
class History:
    """Results, the oldest first; `skipped` names each file that is none, and why."""

    documents: Sequence[Document]
    skipped: Sequence[str]


@dataclass(frozen=True)
class Trend:
    """`lines` as in `told`; `left_out` says which results are in no line, and why."""

    lines: Sequence[Row]
    left_out: Sequence[str]


def collect(folder: Path) -> History:
    """Every result kept in `history` of the folder. A file that can't be read, or of another version, is skipped and named."""
    documents, skipped = [], []
    for file in sorted((folder / "history").glob("*.json")):
        try:
            documents.append(results.read(file))
        except CannotMeasure as error:
            skipped.append(str(error))
    return History(sorted(documents, key=lambda each: str(each["timestamp"])), skipped)


def trend(
    documents: Sequence[Document], suite: str | None = None, only: str | None = None, skipped: Sequence[str] = ()
) -> Trend:
    """A line for each row measured at least twice; `only` is a part of an operation's name, or a pattern.

    Raises CannotMeasure when no two results can share a line.
    """
    groups, left_out = _grouped(documents)
    lines = [line for group in groups for line in _lines(group, suite, only)]
    if not lines:
        raise CannotMeasure(_nothing(groups, [*skipped, *left_out], suite, only))
    level = level_of([each["chance"] for each in lines])
    return Trend([each | {"verdict": _verdict(each, level)} for each in lines], [*skipped, *left_out])


def told(trend: Trend) -> dict[str, Any]:
    """For JSON. `change` is last over first and `slope` the typical change from one result to the next, both less 1.

    Both are null where there is no ratio: of values of 0 or less.
    """
    return {"lines": [dict(each) for each in trend.lines], "left_out": list(trend.left_out)}


def table(trend: Trend) -> list[tuple[str, ...]]:
    """Cells as in HEADINGS, one line for each; lines of one machine follow each other."""
    return [_cells(each) for each in trend.lines]


def _grouped(documents: Sequence[Document]) -> tuple[list[list[Document]], list[str]]:
    """Results that may share a line, the oldest first, and who may not."""
    groups: dict[Hashable, list[Document]] = defaultdict(list)
    left_out = []
    for each in sorted(documents, key=lambda document: str(document["timestamp"])):
        if each["interrupted"]:
            left_out.append(f"{label(each)}: it was stopped before its end")
        else:
            groups[_kind(each)].append(each)
    alone = [f"{label(one)}: the only one {_where(one)}" for one, *others in groups.values() if not others]
    return [group for group in groups.values() if len(group) > 1], left_out + alone


def _kind(document: Document) -> Hashable:
    return document["machine"]["id"], box_label(document), household_label(document)


def _where(document: Document) -> str:
    return f"on {machine_label(document)}, {box_label(document)}, with {household_label(document)}"


def _nothing(groups: Sequence[object], left_out: Sequence[str], suite: str | None, only: str | None) -> str:
    if groups:
        asked = " ".join(filter(None, (suite and f"of the suite {suite}", only and f"like {only}")))
        return (
            f"no row {asked or 'at all'} was measured in two results: leave the choice out, or run dosette-bench again"
        )
    told = f"; left out: {'; '.join(left_out)}" if left_out else ""
    return f"a trend needs two results of one machine: run dosette-bench again{told}"


def _lines(group: Sequence[Document], suite: str | None, only: str | None) -> list[Row]:
    by_result = [rows_of(each) for each in group]
    lines = []
    for key in dict.fromkeys(key for rows in by_result for key in rows):
        values = [value_of(rows[key]) if key in rows else None for rows in by_result]
        if _wanted(key, suite, only) and len(_known(values)) > 1:
            newest = next(rows[key] for rows in reversed(by_result) if key in rows)
            lines.append({"where": _where(group[-1]), "suite": key[0], **_line(newest, values)})
    return lines


def _wanted(key: tuple[str, str], suite: str | None, only: str | None) -> bool:
    return suite in (None, key[0]) and (only is None or only in key[1] or fnmatchcase(key[1], only))


def _line(row: Row, values: Sequence[float | None]) -> Row:
    known = _known(values)
    positive = min(known) > 0
    return {
        "operation": row["operation"],
        "metric": metric_of(row),
        "unit": row["unit"],
        "better": row["better"],
        "results": len(known),
        "first": known[0],
        "last": known[-1],
        "best": min(known) if row["better"] == "lower" else max(known),
        "change": known[-1] / known[0] - 1 if positive else None,
        "slope": math.expm1(_slope([math.log(each) for each in known])) if positive else None,
        "spark": spark(values),
        "tau": _score(known) / math.comb(len(known), 2),
        "chance": chance(known),
    }


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def spark(values: Sequence[float | None]) -> str:
    """One bar each, a dot where nothing was measured."""
    known = _known(values)
    middle = (min(known) + max(known)) / 2
    height = max(max(known) - min(known), abs(middle) * FULL_HEIGHT) or 1
    low = middle - height / 2
    return "".join(MISSING if each is None else BARS[min(7, int((each - low) / height * 8))] for each in values)


def chance(values: Sequence[float]) -> float:
    """That values in random order rise or fall as steadily as these."""
    score = _score(values)
    ties = [count for count in Counter(values).values() if count > 1]
    return _about(score, len(values), ties) if ties or len(values) > MOST_COUNTED else _exactly(score, len(values))


def _score(values: Sequence[float]) -> int:
    """Pairs that rise less pairs that fall."""
    return sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))


def _exactly(score: int, count: int) -> float:
    """Without ties, from the orders that have each score (Kendall 1970, table 1)."""
    orders = _orders(count)
    swaps = (count * (count - 1) // 2 - abs(score)) // 2
    return min(1.0, 2 * sum(orders[: swaps + 1]) / math.factorial(count))


@lru_cache(maxsize=MOST_COUNTED + 1)
def _orders(count: int) -> list[int]:
    """How many orders of so many values put 0, 1, 2 … pairs the wrong way round."""
    if count < 2:
        return [1]
    fewer = _orders(count - 1)
    return [sum(fewer[max(0, swaps - count + 1) : swaps + 1]) for swaps in range(len(fewer) + count - 1)]


def _about(score: int, count: int, ties: Sequence[int]) -> float:
    """By the normal curve, for many values or some that are equal."""
    variance = (count * (count - 1) * (2 * count + 5) - sum(tie * (tie - 1) * (2 * tie + 5) for tie in ties)) / 18
    if variance <= 0:
        return 1.0
    return 2 * statistics.NormalDist().cdf(-max(0, abs(score) - 1) / math.sqrt(variance))


def _slope(values: Sequence[float]) -> float:
    """The median of all slopes between two of them."""
    numbered = list(enumerate(values))
    return statistics.median((to - of) / (later - earlier) for (earlier, of), (later, to) in combinations(numbered, 2))


def _verdict(line: Row, level: float) -> str:
    if line["chance"] > level:
        return NO_TREND
    if line["slope"] is not None and abs((1 + line["slope"]) ** (line["results"] - 1) - 1) < SMALLEST:
        return NO_TREND
    return "rising" if line["tau"] > 0 else "falling"


def _cells(line: Row) -> tuple[str, ...]:
    return (
        line["suite"],
        line["operation"],
        str(line["results"]),
        *(amount(line[name], line["unit"]) for name in ("first", "last", "best")),
        "–" if line["change"] is None else f"{line['change']:+.1%}",
        line["spark"],
        line["verdict"],
    )
