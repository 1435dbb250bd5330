"""How figures, limits and verdicts are said."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dosette_bench.report.blocks import Bad, Good, Open, Text
from dosette_bench.targets import COMPARES, NOT_MEASURED

NOTHING = "–"
STICKS = "\u00a0"
DIGITS = 3
SIGNS = {"below": "<", "at_most": "≤", "above": ">", "at_least": "≥"}
UNITS = {"count": "", "ratio": "", "instructions": "", "1/s": "a second", "MB/h": "MB an hour"}
SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
BRIEFLY = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
METRICS = {
    "mean_ms": "mean",
    "median_ms": "median",
    "p95_ms": "p95",
    "p99_ms": "p99",
    "max_ms": "longest",
    "throughput_rps": "throughput",
    "success_rate": "share of good answers",
    "sql_messages_per_request": "SQL messages a request",
    "blocks_per_request": "blocks a request",
    "wal_bytes_per_request": "bytes of WAL a request",
    "bytes_per_response": "bytes an answer",
    "ratio_to_reference": "time over bare Flask",
    "cpu_ratio_to_reference": "CPU time over bare Flask",
    "dropped_iterations": "dropped requests",
}


def number(value: float | None, apart_from: float | None = None) -> str:
    """Three digits that count; more where fewer would make it look like `apart_from`, which it isn't."""
    if value is None:
        return NOTHING
    text = _rounded(value, DIGITS)
    for digits in range(DIGITS + 1, DIGITS + 12):
        if apart_from is None or value == apart_from or float(text.replace(",", "")) != apart_from:
            break
        text = _rounded(value, digits)
    return text


def _rounded(value: float, digits: int) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def exact(value: float) -> str:
    """As somebody wrote it, a limit for example."""
    return f"{value:,.15g}"


def brief(value: float) -> str:
    """A round figure in little room: 20k for 20,000."""
    power, sign = next((each for each in BRIEFLY if abs(value) >= each[0] * 10), (1, ""))
    return f"{exact(value / power)}{sign}"


def amount(value: float | None, unit: str, apart_from: float | None = None) -> str:
    """With its unit; counts and ratios have none."""
    return NOTHING if value is None else f"{number(value, apart_from)} {UNITS.get(unit, unit)}".strip()


def span(low: float | None, high: float | None) -> str:
    return NOTHING if low is None or high is None else f"{number(low)} … {number(high)}"


def share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}".replace("%", " %") if whole else NOTHING


def times(ratio: float | None) -> str:
    return NOTHING if ratio is None else f"{number(ratio)} ×"


def count(how_many: int, one: str, many: str = "") -> str:
    """`1 try`, `2 tries`: `many` is needed where an s does not make it."""
    return f"{how_many:,} {one if how_many == 1 else many or one + 's'}"


def listed(words: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def moment(timestamp: str) -> str:
    return datetime.fromisoformat(timestamp).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def day(timestamp: str) -> str:
    return datetime.fromisoformat(timestamp).astimezone(UTC).strftime("%Y-%m-%d")


def memory(size: float | None) -> str:
    """Bytes in the decimal unit that fits."""
    if size is None:
        return "no limit"
    power, unit = next(((power, unit) for power, unit in SIZES if size >= power), (1, "bytes"))
    return amount(size / power, unit)


def metric(name: str) -> str:
    return METRICS.get(name, name.removesuffix("_ms").replace("_", " "))


def limited(limit: float, unit: str) -> str:
    """A limit with its unit."""
    return f"{exact(limit)} {UNITS.get(unit, unit)}".strip()


def unit_of(metric: str, unit: str) -> str:
    """Of a field of a row whose own unit is `unit`."""
    if metric == "value":
        return unit
    return "ms" if metric.endswith("_ms") else {"throughput_rps": "1/s", "bytes_per_response": "bytes"}.get(metric, "")


def limit_of(verdict: Mapping[str, Any]) -> tuple[str, float]:
    """The word that compares, and with what."""
    word = next(word for word in COMPARES if word in verdict)
    return word, verdict[word]


def asked(verdict: Mapping[str, Any], unit: str) -> str:
    word, limit = limit_of(verdict)
    return f"{SIGNS[word]}{STICKS}{limited(limit, unit_of(verdict['metric'], unit))}"


def found(verdict: Mapping[str, Any], unit: str) -> str:
    return amount(verdict["value"], unit_of(verdict["metric"], unit), apart_from=limit_of(verdict)[1])


def figure(verdict: Mapping[str, Any], unit: str) -> str:
    """What was found, by its name where it has one."""
    told = found(verdict, unit)
    return told if verdict["metric"] == "value" else f"{metric(verdict['metric'])} {told}"


def mark(met: bool | str) -> Text:
    """What became of a promise: a sign and a word, so that colour is never needed."""
    return {True: Good("✓ holds"), False: Bad("✗ missed"), NOT_MEASURED: Open("? not measured")}[met]
