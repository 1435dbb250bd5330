"""Sums up samples. Percentiles are the nearest rank: always a time that was really measured."""

import math
import random
import statistics
from collections import Counter
from collections.abc import Callable, Sequence

RESAMPLES = 1000
STRETCHES = 20
BOUNDS_TO_A_DOUBLING = 10


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest sample that `percent` of all are not above; `ordered` ascends and is not empty."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def summed_up(rounds: Sequence[Sequence[float]]) -> dict[str, float]:
    """Mean, median, percentiles, extremes, spread and the mean's 95 % confidence interval; at least one sample is there."""
    ordered = sorted(value for each in rounds for value in each)
    low, high = interval([each for each in rounds if each], mean_of_all)
    return {
        "mean": statistics.fmean(ordered),
        "median": statistics.median(ordered),
        "p95": percentile(ordered, 95),
        "p99": percentile(ordered, 99),
        "min": ordered[0],
        "max": ordered[-1],
        "stdev": statistics.stdev(ordered) if len(ordered) > 1 else 0.0,
        "ci95_low": low,
        "ci95_high": high,
    }


def mean_of_all(rounds: Sequence[Sequence[float]]) -> float:
    return sum(map(sum, rounds)) / sum(map(len, rounds))


def interval(
    rounds: Sequence[Sequence[float]],
    of: Callable[[Sequence[Sequence[float]]], float],
    percent: float = 95,
    seed: int = 0,
) -> tuple[float, float]:
    """Where a figure lies with so much confidence, by the percentile bootstrap.

    Samples of one round share the machine's mood, so whole rounds are drawn, with replacement (a cluster bootstrap: Davison and
    Hinkley, Bootstrap Methods, 1997, 3.8); a single round is cut into stretches first.
    """
    chance = random.Random(seed)
    units = rounds if len(rounds) > 1 else _stretches(rounds[0])
    found = sorted(of(chance.choices(units, k=len(units))) for _ in range(RESAMPLES))
    out = (100 - percent) / 2
    return percentile(found, out), percentile(found, 100 - out)


def _stretches(values: Sequence[float]) -> Sequence[Sequence[float]]:
    size = math.ceil(len(values) / STRETCHES)
    return [values[start : start + size] for start in range(0, len(values), size)]


def histogram(values: Sequence[float]) -> tuple[list[float], list[int]]:
    """Upper bounds, ten to each doubling (a bucket is 7 % wide), and how many samples each holds; empty buckets are left out."""
    steps = Counter(math.ceil(math.log2(max(value, 1e-6)) * BOUNDS_TO_A_DOUBLING) for value in values)
    return [round(2 ** (step / BOUNDS_TO_A_DOUBLING), 6) for step in sorted(steps)], [
        steps[step] for step in sorted(steps)
    ]
