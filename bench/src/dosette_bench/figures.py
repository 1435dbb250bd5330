"""Sums up times. Percentiles are the nearest rank: always a time that was really measured."""

import math
import statistics
from collections.abc import Sequence


def percentile(sorted_ms: Sequence[float], percent: float) -> float:
    """The smallest measured time that `percent` of all are not above; `sorted_ms` ascends and is not empty."""
    return sorted_ms[max(0, math.ceil(len(sorted_ms) * percent / 100) - 1)]


def summed_up(times_ms: Sequence[float]) -> dict[str, float]:
    """Mean, median, percentiles, extremes and spread, in milliseconds; `times_ms` is not empty."""
    ordered = sorted(times_ms)
    figures = {
        "mean_ms": statistics.fmean(ordered),
        "median_ms": statistics.median(ordered),
        "p95_ms": percentile(ordered, 95),
        "p99_ms": percentile(ordered, 99),
        "min_ms": ordered[0],
        "max_ms": ordered[-1],
        "stdev_ms": statistics.stdev(ordered) if len(ordered) > 1 else 0.0,
    }
    return {name: round(value, 3) for name, value in figures.items()}
