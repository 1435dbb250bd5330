"""Just enough SVG: elements, marks and axes. Colours are classes of `style.css`, so that they follow the reader's scheme."""

import math
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from dosette_bench.report.words import brief

LETTER = 6.4  # how wide a letter is at most, on average, in the 11 units of the smallest text
STEPS = (1, 2, 5, 10)
STRETCHES = 5
SHAPES = {
    "circle": "M{x} {t}A{r} {r} 0 1 1 {x} {b}A{r} {r} 0 1 1 {x} {t}Z",
    "square": "M{l} {t}H{e}V{b}H{l}Z",
    "diamond": "M{x} {t}L{e} {y}L{x} {b}L{l} {y}Z",
    "up": "M{x} {t}L{e} {b}H{l}Z",
    "left": "M{l} {y}L{e} {t}V{b}Z",
    "right": "M{e} {y}L{l} {t}V{b}Z",
    "down": "M{l} {t}H{e}L{x} {b}Z",
}


@dataclass(frozen=True)
class Axis:
    """Where values lie between two places, in steps of the logarithm if `log`; `low` is below `high`, and above 0 if `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """A value outside is put at the edge."""
        share = (self._scaled(value) - self._scaled(self.low)) / (self._scaled(self.high) - self._scaled(self.low))
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))

    def ticks(self, apart: float = 32) -> list[float]:
        """Round values that are at least so far apart, ascending."""
        return self._log_ticks(apart) if self.log else self._even_ticks(apart * 1.5)

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.log else value

    def _log_ticks(self, apart: float) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        fine = [step * 10.0**power for power in powers for step in STEPS[:-1]]
        shown = [value for value in fine if self.low * 0.999 <= value <= self.high * 1.001]
        if self._closest(shown) >= apart:
            return shown
        decades = [value for value in shown if math.log10(value) % 1 < 1e-9]
        every = max(1, math.ceil(apart / self._closest(decades)))
        return decades[::every] if len(decades) > 1 else shown[:: max(1, len(shown) - 1)]

    def _closest(self, values: list[float]) -> float:
        places = sorted(self.at(value) for value in values)
        return min((b - a for a, b in pairwise(places)), default=math.inf)

    def _even_ticks(self, apart: float) -> list[float]:
        """At least two, unless that takes a step of a tenth."""
        step = round_up((self.high - self.low) / max(1, int(abs(self.end - self.start) / apart)))
        ticks: list[float] = []
        for part in STEPS:
            ticks = self._multiples(step / part)
            if len(ticks) > 1:
                break
        return ticks

    def _multiples(self, step: float) -> list[float]:
        numbers = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        return [round(each * step, 12) for each in numbers]


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 …"""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in STEPS if step * power >= value * 0.999999)


def round_down(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in reversed(STEPS) if step * power <= value * 1.000001)


def log_axis(low: float, high: float, start: float, end: float) -> Axis:
    """Around values above 0, widened to round ends."""
    low, high = round_down(low), round_up(high)
    return Axis(low, high if high > low else low * STEPS[-1], start, end, log=True)


def axis_from_zero(high: float, start: float, end: float) -> Axis:
    step = round_up((high or 1) / STRETCHES)
    return Axis(0, step * math.ceil((high or 1) / step - 1e-9), start, end)


def drawing(title: str, about: str, width: float, height: float, *parts: str) -> str:
    """A whole picture, with what it is called and what it says for whoever doesn't see it."""
    told = f"<title>{escape(title)}</title><desc>{escape(about)}</desc>"
    return f'<svg role="img" viewBox="0 0 {_short(width)} {_short(height)}">{told}{"".join(parts)}</svg>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{_short(x1)} {_short(y1)}L{_short(x2)} {_short(y2)}"/>'


def chain(points: list[tuple[float, float]], kind: str) -> str:
    """A line through all of them."""
    return f'<path class="{kind}" d="M{"L".join(f"{_short(x)} {_short(y)}" for x, y in points)}"/>'


def bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    sizes = " ".join(
        f'{name}="{_short(size)}"' for name, size in (("x", x), ("y", y), ("width", width), ("height", height))
    )
    return f'<rect class="{kind}" {sizes}/>'


def label(x: float, y: float, words: str, kind: str = "label", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{_short(x)}" y="{_short(y)}" text-anchor="{anchor}">{escape(words)}</text>'


def mark(shape: str, x: float, y: float, kind: str, radius: float = 4) -> str:
    places = {"x": x, "y": y, "r": radius, "l": x - radius, "e": x + radius, "t": y - radius, "b": y + radius}
    path = SHAPES[shape].format(**{name: _short(place) for name, place in places.items()})
    return f'<path class="{kind}" d="{path}"/>'


def cut(words: str, width: float) -> str:
    """As much as fits, with … for the rest."""
    most = max(1, int(width / LETTER))
    return words if len(words) <= most else f"{words[: most - 1]}…"


def ticks_below(axis: Axis, y: float, unit: str = "", words: dict[float, str] | None = None) -> str:
    """The figures of a horizontal axis, the unit behind the last one; what would touch the figure to its right is left out."""
    told = words or {value: brief(value) for value in axis.ticks()}
    last = max(told, default=None)
    drawn, free = [], math.inf
    for value in sorted(told, reverse=True):
        text = f"{told[value]} {unit}" if unit and value == last else told[value]
        half = len(text) * LETTER / 2
        middle = min(max(axis.at(value), axis.start + half - 6), axis.end - half + 6)
        if middle + half < free:
            free = middle - half - LETTER
            drawn.append(_tick(axis.at(value), y) + label(middle, y + 16, text, "tick", "middle"))
    return "".join(drawn)


def _tick(x: float, y: float) -> str:
    return line(x, y, x, y + 4, "axis")


def ticks_beside(axis: Axis, left: float, right: float) -> str:
    """The figures of a vertical axis, each with a thin line across."""
    return "".join(
        line(left, axis.at(value), right, axis.at(value), "grid")
        + label(left - 5, axis.at(value) + 4, brief(value), "tick", "end")
        for value in axis.ticks(15)
    )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
