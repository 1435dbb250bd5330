"""Figures against data whose figures are known."""

import random

import pytest

from dosette_bench.figures import histogram, interval, mean_of_all, percentile, summed_up


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (0.1, 1)])
def test_a_percentile_is_a_time_that_was_measured(percent: float, expected: float):
    assert percentile(range(1, 101), percent) == expected


def test_figures_of_known_times():
    figures = summed_up([[4, 1], [3, 2]])

    assert {name: round(figures[name], 3) for name in ("mean", "median", "p95", "p99", "min", "max", "stdev")} == {
        "mean": 2.5,
        "median": 2.5,
        "p95": 4,
        "p99": 4,
        "min": 1,
        "max": 4,
        "stdev": 1.291,
    }
    assert figures["ci95_low"] <= figures["mean"] <= figures["ci95_high"]


def test_one_time_has_no_spread():
    figures = summed_up([[7]])

    assert (figures["stdev"], figures["ci95_low"], figures["ci95_high"]) == (0, 7, 7)


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says():
    chance, held = random.Random(7), 0
    for _ in range(200):
        moods = [chance.gauss(0, 0.1) for _ in range(20)]
        low, high = interval([[chance.gauss(10 + mood, 0.5) for _ in range(10)] for mood in moods], mean_of_all)
        held += low <= 10 <= high

    assert 178 <= held <= 199  # 95 % of 200 is 190


def test_an_interval_over_rounds_is_wider_than_one_that_forgets_them():
    chance = random.Random(7)
    rounds = [[chance.gauss(10 + mood, 0.1) for _ in range(10)] for mood in (-2, -1, 0, 1, 2)]

    low, high = interval(rounds, mean_of_all)
    pooled_low, pooled_high = interval([[value] for each in rounds for value in each], mean_of_all)

    assert high - low > 1.5 * (pooled_high - pooled_low)


def test_a_histogram_holds_every_sample_under_its_bound():
    chance = random.Random(7)
    values = [chance.lognormvariate(0, 1) for _ in range(1000)]

    bounds, counts = histogram(values)

    assert sum(counts) == len(values)
    assert bounds == sorted(bounds)
    for place, bound in enumerate(bounds):
        assert sum(value <= bound * 1.000001 for value in values) == sum(counts[: place + 1])


def test_a_bucket_is_seven_percent_wide():
    bounds, _ = histogram([1.0, 1.08])

    assert 1.06 < bounds[1] / bounds[0] < 1.16


def test_a_histogram_of_nothing_but_zeros_is_one_bucket():
    assert histogram([0.0, 0.0])[1] == [2]
