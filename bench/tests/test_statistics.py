"""Figures against data whose figures are known."""

import pytest

from dosette_bench.statistics import percentile, summed_up


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (0.1, 1)])
def test_a_percentile_is_a_time_that_was_measured(percent: float, expected: float):
    assert percentile(range(1, 101), percent) == expected


def test_figures_of_known_times():
    assert summed_up([4, 1, 3, 2]) == {
        "mean_ms": 2.5,
        "median_ms": 2.5,
        "p95_ms": 4,
        "p99_ms": 4,
        "min_ms": 1,
        "max_ms": 4,
        "stdev_ms": 1.291,
    }


def test_one_time_has_no_spread():
    assert summed_up([7])["stdev_ms"] == 0
