"""The pictures. Each says what it shows in words, too, and no mark is told from another by its colour alone."""

import re
import statistics
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from dosette_bench.figures import BOUNDS_TO_A_DOUBLING
from dosette_bench.report import svg
from dosette_bench.report.blocks import Picture
from dosette_bench.report.svg import Axis
from dosette_bench.report.words import amount, day, metric, number
from dosette_bench.results import Row

WIDTH = 340
EDGE = 8
SMALLEST_BAR = 1.0
COLOURS = 8
PERCENTILES = (("median", "circle"), ("p95", "diamond"), ("p99", "up"))
VERDICTS = {"faster": ("down", "good"), "less": ("down", "good"), "slower": ("up", "bad"), "more": ("up", "bad")}
TRUE_RATIO = 1.0
NEAR, FAR = 1.1, 2.0
LINES = (("circle", "first"), ("square", "second"), ("diamond", "third"), ("up", "fourth"))

Values = Mapping[str, float]


def distributions(rows: Sequence[Row]) -> list[Picture]:
    """One small picture for each operation that has a histogram, all over the same axis."""
    shown = [row for row in rows if row.get("histogram") and row["histogram"]["bounds_ms"]]
    if not shown:
        return []
    ends = [bound for row in shown for bound in row["histogram"]["bounds_ms"]]
    axis = svg.log_axis(min(ends) / _bucket(), max(ends), EDGE, WIDTH - EDGE)
    return [Picture(_distribution(row, axis), row["operation"], _percentiles(row)) for row in shown]


def _bucket() -> float:
    """How many times its lower bound a bucket's upper bound is."""
    return float(2 ** (1 / BOUNDS_TO_A_DOUBLING))


def _percentiles(row: Row) -> str:
    return " · ".join(f"{name} {number(row[f'{name}_ms'])}" for name, _ in PERCENTILES) + " ms"


def _distribution(row: Row, axis: Axis) -> str:
    top, bottom = 22, 84
    counts = row["histogram"]["counts"]
    tall = (bottom - top) / max(*counts, 1)
    bars = [
        _bar_of(axis, bound, max(SMALLEST_BAR, held * tall), bottom)
        for bound, held in zip(row["histogram"]["bounds_ms"], counts, strict=True)
    ]
    marks = [_mark_of(axis, row[f"{name}_ms"], shape, name, bottom) for name, shape in PERCENTILES]
    about = f"{_percentiles(row)}; {len(row['rounds'])} rounds, {row['iterations']} tries"
    base = svg.line(axis.start, bottom, axis.end, bottom, "axis")
    title = f"How long {row['operation']} took"
    return svg.drawing(
        title, about, WIDTH, bottom + 22, *bars, base, svg.ticks_below(axis, bottom, "ms"), *filter(None, marks)
    )


def _bar_of(axis: Axis, bound: float, height: float, bottom: float) -> str:
    left, right = axis.at(bound / _bucket()), axis.at(bound)
    return svg.bar(left, bottom - height, max(SMALLEST_BAR, right - left - 0.4), height, "bar")


def _mark_of(axis: Axis, value: float | None, shape: str, name: str, bottom: float) -> str | None:
    if value is None:
        return None
    x = axis.at(value)
    return svg.line(x, 14, x, bottom, f"percentile {name}") + svg.mark(shape, x, 9, f"head {name}")


def percentile_legend() -> str:
    return _legend([(svg.mark(shape, 8, 8, f"head {name}"), name) for name, shape in PERCENTILES])


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    """Signs, which are markup, and what they mean."""
    return "".join(
        f'<li><svg aria-hidden="true" viewBox="0 0 16 16">{sign}</svg>{escape(name)}</li>' for sign, name in entries
    )


def stacked(title: str, rows: Sequence[tuple[str, Values]], parts: Sequence[str], unit: str) -> str:
    """A bar for each row, cut into its parts, which lie in the order of `parts` and carry their letters."""
    most = max((sum(values.values()) for _, values in rows), default=0)
    axis = svg.axis_from_zero(most, 2, WIDTH - EDGE)
    bars = [_stack(name, values, parts, unit, axis, 40 * place) for place, (name, values) in enumerate(rows)]
    about = "; ".join(f"{name}: {amount(sum(values.values()), unit)}" for name, values in rows)
    bottom = 40 * len(rows) + 4
    base = svg.line(axis.start, bottom, axis.end, bottom, "axis")
    return svg.drawing(title, about, WIDTH, bottom + 22, *bars, base, svg.ticks_below(axis, bottom, unit))


def _stack(name: str, values: Values, parts: Sequence[str], unit: str, axis: Axis, y: float) -> str:
    total = amount(sum(values.values()), unit)
    told = svg.label(2, y + 12, svg.cut(name, WIDTH - EDGE - (len(total) + 2) * svg.LETTER), "label")
    pieces, reached = [told, svg.label(WIDTH - EDGE, y + 12, total, "value", "end")], 0.0
    for place, part in enumerate(parts):
        if values.get(part, 0) > 0:
            left, reached = axis.at(reached), reached + values[part]
            pieces.append(_piece(left, axis.at(reached), y + 18, place))
    return "".join(pieces)


def _piece(left: float, right: float, y: float, place: int) -> str:
    drawn = svg.bar(left, y, max(0.4, right - left - 1), 18, colour(place))
    fits = right - left >= 12
    return drawn + (svg.label((left + right - 1) / 2, y + 13, letter(place), "letter", "middle") if fits else "")


def colour(place: int) -> str:
    return f"part part-{place % COLOURS + 1}"


def letter(place: int) -> str:
    return chr(ord("a") + place % 26)


def part_legend(parts: Sequence[str], shown: set[str]) -> str:
    return _legend(
        [
            (svg.bar(0, 0, 16, 16, colour(place)) + svg.label(8, 12, letter(place), "letter", "middle"), part)
            for place, part in enumerate(parts)
            if part in shown
        ]
    )


def over_users(groups: Mapping[str, Sequence[Row]]) -> str:
    """Throughput and mean latency over how many users there were, one line for each group of rows; all are measured."""
    rows = [row for group in groups.values() for row in group]
    users = sorted({row["load"]["users"] for row in rows})
    x = Axis(users[0] / 1.15, users[-1] * 1.15, 46, WIDTH - EDGE, log=True)
    rates = svg.axis_from_zero(max(row["throughput_rps"] for row in rows), 150, 26)
    fields = ("ci95_low_ms", "ci95_high_ms", "mean_ms", "bound_ms")
    ends = [float(row[name]) for row in rows for name in fields if _above_zero(row.get(name))]
    waits = svg.log_axis(min(ends, default=1), max(ends, default=1), 320, 206)
    parts = [_panel("answers a second", rates, x), _panel("mean wait, ms, and its interval", waits, x)]
    for (shape, kind), group in zip(LINES, groups.values(), strict=False):
        parts += [_curve(group, x, rates, "throughput_rps", shape, kind), _bounds(group, x, waits)]
        parts += [_whiskers(group, x, waits, kind), _curve(group, x, waits, "mean_ms", shape, kind)]
    below = svg.ticks_below(x, 320, words={float(count): number(count) for count in users})
    about = "; ".join(
        f"{row['operation']}: {number(row['throughput_rps'])} a second, mean {number(row['mean_ms'])} ms"
        for row in rows
    )
    foot = svg.label((x.start + x.end) / 2, 352, "users", "label", "middle")
    return svg.drawing("Throughput and mean wait against users", about, WIDTH, 358, *parts, below, foot)


def _above_zero(value: float | None) -> bool:
    return value is not None and value > 0


def _panel(name: str, axis: Axis, x: Axis) -> str:
    title = svg.label(2, axis.end - 12, name, "label")
    return title + svg.ticks_beside(axis, x.start, x.end) + svg.line(x.start, axis.start, x.end, axis.start, "axis")


def _curve(rows: Sequence[Row], x: Axis, y: Axis, field: str, shape: str, kind: str) -> str:
    """A dot for each row; a line only through rows of one name but for its figures, as they were measured in one go."""
    families: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        name = re.sub(r"\d+", "", row["operation"])
        families.setdefault(name, []).append((x.at(row["load"]["users"]), y.at(row[field])))
    lines = (svg.chain(points, f"curve {kind}") for points in families.values() if len(points) > 1)
    dots = (svg.mark(shape, *point, f"dot {kind}") for points in families.values() for point in points)
    return "".join((*lines, *dots))


def _whiskers(rows: Sequence[Row], x: Axis, y: Axis, kind: str) -> str:
    return "".join(
        svg.line(
            at := x.at(row["load"]["users"]), y.at(row["ci95_low_ms"]), at, y.at(row["ci95_high_ms"]), f"whisker {kind}"
        )
        for row in rows
    )


def _bounds(rows: Sequence[Row], x: Axis, y: Axis) -> str:
    """A short dash at N / X, where the row has one."""
    places = [(x.at(row["load"]["users"]), y.at(row["bound_ms"])) for row in rows if _above_zero(row.get("bound_ms"))]
    return "".join(svg.line(at - 9, high, at + 9, high, "bound") for at, high in places)


def user_legend(groups: Mapping[str, Sequence[Row]]) -> str:
    lines = [
        (svg.line(0, 8, 16, 8, f"curve {kind}") + svg.mark(shape, 8, 8, f"dot {kind}"), name)
        for (shape, kind), name in zip(LINES, groups, strict=False)
    ]
    return _legend([*lines, (svg.line(0, 8, 16, 8, "bound"), "N / X less the think time")])


Point = tuple[str, float, float, float]
"""When, and the figure with the ends of its interval."""


def over_time(operation: str, points: Sequence[Point], unit: str) -> str:
    """One figure over results, evenly spaced, the oldest first."""
    ends = [end for _, *values in points for end in values]
    y = _around(min(ends), max(ends), 92, 12)
    x = Axis(-0.5, len(points) - 0.5, 46, WIDTH - EDGE)
    places = [(x.at(place), y.at(value)) for place, (_, value, _, _) in enumerate(points)]
    whiskers = [
        svg.line(x.at(place), y.at(low), x.at(place), y.at(high), "whisker first")
        for place, (_, _, low, high) in enumerate(points)
    ]
    dots = [svg.mark("circle", *place, "dot first", 3) for place in places]
    ends_of_time = [
        svg.label(46, 112, day(points[0][0]), "tick"),
        svg.label(WIDTH - EDGE, 112, day(points[-1][0]), "tick", "end"),
    ]
    about = f"{len(points)} results; first {amount(points[0][1], unit)}, last {amount(points[-1][1], unit)}"
    return svg.drawing(
        f"{operation} over results",
        about,
        WIDTH,
        118,
        svg.ticks_beside(y, x.start, x.end),
        svg.chain(places, "curve first"),
        *whiskers,
        *dots,
        *ends_of_time,
    )


def _around(low: float, high: float, start: float, end: float) -> Axis:
    """An axis at least a fifth of its middle high: else noise looks like mountains. Below 0 only for values there."""
    middle = statistics.fmean((low, high))
    half = max((high - low) * 0.6, abs(middle) * 0.1) or 1
    return Axis(min(low, max(0, middle - half)), middle + half, start, end)


def forest(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Ratios with their intervals around a line where nothing differs; all rows have a ratio above 0.

    An interval that goes far beyond every ratio leaves the picture, and has an arrow there.
    """
    axis = _ratio_axis(rows)
    bottom = 44 * len(rows) + 4
    drawn = [_interval(row, axis, 44 * place) for place, row in enumerate(rows)]
    about = "; ".join(f"{_compared_name(row)}: {number(row['ratio'])}, {row['verdict']}" for row in rows)
    base = svg.line(axis.start, bottom, axis.end, bottom, "axis")
    return svg.drawing(title, about, WIDTH, bottom + 22, *drawn, base, _ratio_ticks(axis, bottom))


def _ratio_axis(rows: Sequence[Mapping[str, Any]]) -> Axis:
    """As far to both sides of 1: all ratios are in it, and ends of intervals up to FAR."""
    ratio = max(_apart_from_one(row["ratio"]) for row in rows)
    end = max(_apart_from_one(row[name]) for row in rows for name in ("low", "high"))
    reach = max(NEAR, ratio * NEAR, min(end * NEAR, FAR))
    return Axis(1 / reach, reach, 2 + EDGE, WIDTH - 2 * EDGE, log=True)


def _apart_from_one(ratio: float) -> float:
    return max(ratio, 1 / ratio)


def _ratio_ticks(axis: Axis, y: float) -> str:
    """The ends and the middle say more than round figures between 0.9 and 1.2."""
    words = {value: f"{number(value)} ×" for value in (axis.low, TRUE_RATIO, axis.high)}
    return svg.ticks_below(axis, y, words=words)


def _interval(row: Mapping[str, Any], axis: Axis, y: float) -> str:
    shape, tone = VERDICTS.get(row["verdict"], ("circle", "same"))
    told = f"{number(row['ratio'])} ×" + (f" {row['verdict']}" if tone != "same" else "")
    name = svg.label(2, y + 14, svg.cut(_compared_name(row), WIDTH - EDGE - (len(told) + 2) * svg.LETTER))
    value = svg.label(WIDTH - EDGE, y + 14, told, f"value {tone}", "end")
    middle = svg.line(axis.at(TRUE_RATIO), y + 19, axis.at(TRUE_RATIO), y + 37, "reference")
    whisker = svg.line(axis.at(row["low"]), y + 28, axis.at(row["high"]), y + 28, f"whisker {tone}")
    dot = svg.mark(shape, axis.at(row["ratio"]), y + 28, f"dot {tone}", 5)
    return name + value + middle + whisker + _arrows(row, axis, y + 28, tone) + dot


def _compared_name(row: Mapping[str, Any]) -> str:
    """A row is there twice where its messages were compared, too."""
    own = row["metric"] in ("median_ms", "value")
    return str(row["operation"]) if own else f"{row['operation']}: {metric(row['metric'])}"


def _arrows(row: Mapping[str, Any], axis: Axis, y: float, tone: str) -> str:
    left = svg.mark("left", axis.start - 3, y, f"dot {tone}") if row["low"] < axis.low else ""
    return left + (svg.mark("right", axis.end + 3, y, f"dot {tone}") if row["high"] > axis.high else "")


def verdict_legend() -> str:
    signs = (
        ("down", "good", "for the better"),
        ("up", "bad", "for the worse"),
        ("circle", "same", "no difference shown"),
    )
    return _legend([(svg.mark(shape, 8, 8, f"dot {tone}"), name) for shape, tone, name in signs])
