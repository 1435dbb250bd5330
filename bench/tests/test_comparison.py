"""A verdict holds on a noisy machine: by simulation, and by data whose answer is known."""

import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import pytest

from dosette_bench.comparison import (
    HEADINGS,
    Comparison,
    compare,
    level_of,
    refuse_unlike,
    slower,
    table,
    told,
)
from dosette_bench.errors import CannotMeasure

Rounds = list[list[float | None]]


def a_result(*rows: dict[str, Any], suite: str = "api", **other: Any) -> dict[str, Any]:
    machine = {
        "id": "one",
        "cpu": "Cortex-A53",
        "cores": 4,
        "memory_bytes": 512_000_000,
        "architecture": "aarch64",
        "versions": {"python": "3.11.2"},
    }
    return {
        "run_id": "a-run",
        "timestamp": "2025-03-30T12:00:00+00:00",
        "interrupted": False,
        "version": "0.1.0",
        "commit": "0123456789ab",
        "box": None,
        "machine": machine,
        "settings": {"medicines": 8, "history_days": 365},
        "benchmarks": {suite: {"benchmarks": list(rows)}},
        **other,
    }


def a_row(rounds: Sequence[Sequence[float | None]], operation: str = "today", **other: Any) -> dict[str, Any]:
    values = [value for each in rounds for value in each if value is not None]
    unit = other.get("unit", "ms")
    return {
        "operation": operation,
        "unit": unit,
        "better": "lower",
        "iterations": sum(map(len, rounds)),
        "median_ms" if unit == "ms" else "value": statistics.median(values) if values else None,
        "rounds": rounds,
        **other,
    }


def interleaved(before: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]], **other: Any) -> Comparison:
    base = a_result(*before, run_id="a", interleaved_with="b", **other)
    return compare(base, a_result(*now, run_id="b", interleaved_with="a", **other))


def apart(before: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> Comparison:
    return compare(a_result(*before, run_id="a"), a_result(*now, run_id="b"))


def a_noisy_machine(chance: Random, rounds: int, tries: int, moods: Sequence[float], slowdown: float = 1) -> Rounds:
    """Times that differ by 15 %, one in twenty 3 to 20 times as long, in rounds of these moods; 2 % of a round is its own."""

    def a_time(level: float) -> float:
        spike = chance.uniform(3, 20) if chance.random() < 0.05 else 1
        return math.exp(chance.gauss(level, 0.15)) * spike

    levels = [math.log(10 * slowdown) + mood + chance.gauss(0, 0.02) for mood in moods]
    return [[a_time(level) for _ in range(tries)] for level in levels[:rounds]]


def in_moods(chance: Random, rounds: int, tries: int, slowdown: float = 1) -> tuple[Rounds, Rounds]:
    """Two sides of interleaved rounds; the moods of the machine are 15 %, and each lingers."""
    moods = [chance.gauss(0, 0.15)]
    while len(moods) < rounds:
        moods.append(0.6 * moods[-1] + 0.8 * chance.gauss(0, 0.15))
    return a_noisy_machine(chance, rounds, tries, moods), a_noisy_machine(chance, rounds, tries, moods, slowdown)


def share(tries: int, is_so: Callable[[], bool]) -> float:
    return sum(is_so() for _ in range(tries)) / tries


def verdict(comparison: Comparison) -> str:
    return str(comparison.rows[0]["verdict"])


# How often it errs


@pytest.mark.parametrize(("rounds", "tries"), [(5, 20), (10, 20), (20, 30)])
def test_an_a_a_comparison_cries_wolf_in_under_five_of_a_hundred_tries(rounds: int, tries: int):
    chance = Random(1)

    def cries_wolf() -> bool:
        before, now = in_moods(chance, rounds, tries)
        return verdict(interleaved([a_row(before)], [a_row(now)])) != "no difference shown"

    assert share(1000, cries_wolf) < 0.05


@pytest.mark.parametrize(("rounds", "tries"), [(10, 20), (20, 30)])
def test_a_slow_down_of_a_tenth_is_found_in_ninety_five_of_a_hundred_tries(rounds: int, tries: int):
    chance = Random(2)

    def is_found() -> bool:
        before, now = in_moods(chance, rounds, tries, slowdown=1.1)
        return verdict(interleaved([a_row(before)], [a_row(now)])) == "slower"

    assert share(400, is_found) >= 0.95


def test_many_rows_together_cry_wolf_in_under_five_of_a_hundred_comparisons():
    chance = Random(3)

    def cries_wolf() -> bool:
        sides = [in_moods(chance, 10, 6) for _ in range(30)]
        before = [a_row(side[0], str(name)) for name, side in enumerate(sides)]
        now = [a_row(side[1], str(name)) for name, side in enumerate(sides)]
        return any(row["verdict"] != "no difference shown" for row in interleaved(before, now).rows)

    assert share(400, cries_wolf) < 0.05


def test_a_slow_down_of_a_tenth_is_found_among_many_rows():
    chance = Random(4)

    def is_found() -> bool:
        sides = [in_moods(chance, 20, 20, slowdown=1.1)] + [in_moods(chance, 20, 4) for _ in range(30)]
        before = [a_row(side[0], str(name)) for name, side in enumerate(sides)]
        now = [a_row(side[1], str(name)) for name, side in enumerate(sides)]
        return verdict(interleaved(before, now)) == "slower"

    assert share(60, is_found) >= 0.95


def test_the_interval_holds_the_true_ratio_as_often_as_it_says():
    chance = Random(5)

    def holds() -> bool:
        before, now = in_moods(chance, 10, 20, slowdown=1.3)
        row = interleaved([a_row(before)], [a_row(now)]).rows[0]
        return bool(row["low"] <= 1.3 <= row["high"])

    assert share(1000, holds) >= 0.95


def test_runs_one_after_the_other_on_an_even_machine_cry_wolf_as_seldom_and_find_as_much():
    chance = Random(6)

    def is_called(slowdown: float) -> bool:
        before = a_noisy_machine(chance, 20, 20, [0] * 20)
        now = a_noisy_machine(chance, 20, 20, [0] * 20, slowdown)
        return verdict(apart([a_row(before)], [a_row(now)])) != "no difference shown"

    assert share(400, lambda: is_called(1)) < 0.05
    assert share(200, lambda: is_called(1.1)) >= 0.95


def test_runs_one_after_the_other_in_lingering_moods_cry_wolf_in_under_one_of_ten_tries():
    """Far from five in a hundred only where moods are long: what a note has to say, and why interleaving is there."""
    chance = Random(7)

    def cries_wolf() -> bool:
        before, _ = in_moods(chance, 20, 4)
        now, _ = in_moods(chance, 20, 4)
        return verdict(apart([a_row(before)], [a_row(now)])) != "no difference shown"

    assert share(600, cries_wolf) < 0.1


def test_whoever_pools_all_tries_of_runs_one_after_the_other_cries_wolf_more_often_than_not():
    chance = Random(8)

    def cries_wolf() -> bool:
        before, _ = in_moods(chance, 10, 20)
        now, _ = in_moods(chance, 10, 20)
        return mann_whitney(*([time for each in side for time in each] for side in (before, now))) < 0.05

    assert share(200, cries_wolf) > 0.4


def mann_whitney(before: Sequence[Any], now: Sequence[Any]) -> float:
    """The two-sided chance, by the normal curve; no ties."""
    ordered = sorted([(value, 0) for value in before] + [(value, 1) for value in now])
    ranks = sum(rank for rank, (_, side) in enumerate(ordered, 1) if side)
    one, other = len(now), len(before)
    score = ranks - one * (one + other + 1) / 2
    return 2 * statistics.NormalDist().cdf(-abs(score) / math.sqrt(one * other * (one + other + 1) / 12))


def test_a_burst_that_hits_one_side_of_one_round_hides_no_slow_down():
    before, now = in_moods(Random(9), 20, 20, slowdown=1.15)
    before[7] = [value and value * 3 for value in before[7]]

    assert verdict(interleaved([a_row(before)], [a_row(now)])) == "slower"


@pytest.mark.parametrize(
    ("chances", "level"),
    [([0.5, 0.9], 0.02), ([0.01], 0.04), ([0.019, 0.03, 0.9, 0.9], 0.01), ([0.001, 0.015, 0.9, 0.9], 0.02), ([], 0.04)],
)
def test_the_level_is_that_of_benjamini_and_hochberg(chances: list[float], level: float):
    assert level_of(chances) == pytest.approx(level)


# What a verdict says

STEADY: Rounds = [[10.0, 10.1, 9.9], [10.2, 10.0, 10.1], [9.9, 10.0, 9.8], [10.1, 10.2, 10.0], [10.0, 9.9, 10.1]]
BUSIER: Rounds = [[15.1, 15.0, 15.3], [15.0, 15.3, 15.2], [15.0, 14.8, 15.1], [15.2, 15.1, 15.3], [14.9, 15.0, 15.2]]


@pytest.mark.parametrize(
    ("unit", "better", "up", "down"),
    [
        ("ms", "lower", "slower", "faster"),
        ("s", "lower", "slower", "faster"),
        ("1/s", "higher", "faster", "slower"),
        ("MB", "lower", "more", "less"),
        ("count", "higher", "more", "less"),
    ],
)
def test_a_verdict_says_which_way_in_the_words_of_its_unit(unit: str, better: str, up: str, down: str):
    small, great = (a_row(rounds, unit=unit, better=better) for rounds in (STEADY, BUSIER))

    assert verdict(interleaved([small], [great])) == up
    assert verdict(interleaved([great], [small])) == down
    assert verdict(interleaved([small], [small])) == "no difference shown"


@pytest.mark.parametrize(
    ("unit", "better", "before", "now", "is_worse"),
    [
        ("ms", "lower", STEADY, BUSIER, True),
        ("ms", "lower", BUSIER, STEADY, False),
        ("1/s", "higher", STEADY, BUSIER, False),
        ("1/s", "higher", BUSIER, STEADY, True),
        ("MB", "lower", STEADY, BUSIER, True),
        ("count", "higher", BUSIER, STEADY, True),
        ("ms", "lower", STEADY, STEADY, False),
    ],
)
def test_what_got_worse_is_slower_whatever_the_unit_calls_it(
    unit: str, better: str, before: Rounds, now: Rounds, is_worse: bool
):
    found = interleaved([a_row(before, unit=unit, better=better)], [a_row(now, unit=unit, better=better)])

    assert bool(slower(found)) is is_worse


def test_a_ratio_is_new_over_base_within_its_interval():
    row = interleaved([a_row(STEADY)], [a_row(BUSIER)]).rows[0]

    assert row["ratio"] == pytest.approx(1.5, rel=0.02)
    assert 1 < row["low"] < row["ratio"] < row["high"] < 2


def test_less_than_two_percent_is_never_called_a_change():
    now = [[value and value * 1.015 for value in each] for each in STEADY]

    row = interleaved([a_row(STEADY)], [a_row(now)]).rows[0]

    assert row["verdict"] == "no difference shown"
    assert row["low"] > 1
    assert "two starts of one version differ by as much" in row["reason"]


def test_of_what_is_counted_any_difference_is_a_verdict():
    row = interleaved([a_row([[1000, 1000]], unit="bytes")], [a_row([[1001, 1001]], unit="bytes")]).rows[0]

    assert (row["verdict"], row["ratio"], row["low"], row["high"]) == ("more", 1.001, 1.001, 1.001)


def test_what_was_never_there_before_is_more_though_there_is_no_ratio():
    row = interleaved([a_row([[0, 0]], unit="count")], [a_row([[3, 3]], unit="count")]).rows[0]

    assert (row["verdict"], row["ratio"], row["worse"]) == ("more", None, True)
    assert "from 0 to 3" in row["reason"]


def test_a_count_seen_once_on_each_side_shows_no_change_but_may_show_none():
    once, same, other = (a_row([[value]], unit="count") for value in (5, 5, 6))

    assert verdict(interleaved([once], [same])) == "no difference shown"
    assert verdict(interleaved([once], [other])) == "not comparable"


@pytest.mark.parametrize(
    ("now", "said"),
    [(1_004_000, "no difference shown"), (1_020_000, "more"), (980_000, "less"), (1_000_000, "no difference shown")],
)
def test_two_percent_more_instructions_are_found_and_what_differs_by_chance_is_not(now: int, said: str):
    base, new = (a_row([[count]], unit="instructions") for count in (1_000_000, now))

    assert verdict(apart([base], [new])) == said


def test_one_more_sql_message_is_a_verdict_of_its_own():
    before, now = (a_row(STEADY, sql_messages_per_request=count) for count in (3, 4))

    rows = interleaved([before], [now]).rows

    assert [(row["metric"], row["verdict"]) for row in rows] == [
        ("median_ms", "no difference shown"),
        ("sql_messages_per_request", "more"),
    ]


def test_sql_messages_that_differ_from_try_to_try_are_no_row():
    before, now = (a_row(STEADY, sql_messages_per_request=count) for count in (3.05, 4))

    assert len(interleaved([before], [now]).rows) == 1


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        ([a_row(STEADY)], [], "measured only in base"),
        ([], [a_row(STEADY)], "measured only in new"),
        ([a_row(STEADY[:4])], [a_row(STEADY)], "4 rounds in common, and a verdict needs 5: measure with more rounds"),
        ([a_row(STEADY)], [a_row([[]], reason="k6 is missing")], "not measured in new: k6 is missing"),
        ([a_row(STEADY)], [a_row([[None, 10.0], *STEADY[1:], [None]])], "2 of 15 tries failed in new"),
        ([a_row(STEADY, unit="MB")], [a_row(STEADY)], "base is in MB and new in ms"),
        ([a_row(STEADY, unit="MB/h")], [a_row([[-1.0]] * 5, unit="MB/h")], "new has values of 0 or less, of which"),
    ],
)
def test_what_can_not_be_compared_says_why(before: list[dict[str, Any]], now: list[dict[str, Any]], reason: str):
    row = interleaved(before, now).rows[0]

    assert row["verdict"] == "not comparable"
    assert row["reason"].startswith(reason)
    assert not row["worse"]


def test_a_round_without_a_good_try_is_left_out_on_both_sides():
    gap: Rounds = [*STEADY, [None], *STEADY, *STEADY]
    whole: Rounds = [*STEADY, [500.0], *STEADY, *STEADY]

    assert interleaved([a_row(gap)], [a_row(whole)]).rows[0]["ratio"] == 1


def test_rows_of_two_suites_with_one_name_do_not_meet():
    base = a_result(a_row(STEADY), suite="api")
    new = a_result(a_row(STEADY), suite="database")

    assert {row["verdict"] for row in compare(base, new).rows} == {"not comparable"}


# What may be compared


def unlike() -> Iterator[tuple[str, dict[str, Any], str]]:
    machine = {**a_result()["machine"], "id": "other", "cpu": "Ryzen 7", "cores": 16, "memory_bytes": 32_000_000_000}
    box = {"name": "zero2w", "cpu_cores": 0.12, "memory_bytes": 512_000_000}
    yield (
        "machine",
        {"machine": machine},
        "base was measured on another machine (Cortex-A53, 4 cores, 0.5 GB of memory) than new (Ryzen 7, 16 cores, 32.0 GB of memory)",
    )
    yield "box", {"box": box}, "base was measured outside a box and new in the box zero2w of 512 MB"
    settings = {"medicines": 40, "history_days": 365}
    yield (
        "settings",
        {"settings": settings},
        "base was measured with 8 medicines and 365 days of history and new with 40",
    )


@pytest.mark.parametrize(("other", "sentence"), [each[1:] for each in unlike()], ids=[each[0] for each in unlike()])
def test_unlike_results_are_refused_in_a_sentence_unless_anyway(other: dict[str, Any], sentence: str):
    base, new = a_result(a_row(STEADY)), a_result(a_row(BUSIER), **other)

    with pytest.raises(CannotMeasure) as refused:
        compare(base, new)
    assert str(refused.value).startswith(sentence)
    assert str(refused.value).endswith("measure both alike, or compare them nevertheless with --anyway")

    found = compare(base, new, anyway=True)
    assert verdict(found) == "slower"
    assert sentence in found.note


def test_like_results_are_not_refused():
    refuse_unlike(a_result(), a_result(run_id="b", commit=None))


def test_boxes_of_one_name_are_alike_whatever_share_of_a_core_they_were_given_today():
    one, other = ({"name": "zero2w", "cpu_cores": share, "memory_bytes": 512_000_000} for share in (0.118, 0.124))

    refuse_unlike(a_result(box=one), a_result(box=other))


def test_runs_are_interleaved_only_when_each_names_the_other():
    base = a_result(a_row(STEADY), run_id="a", interleaved_with="b")

    assert compare(base, a_result(a_row(STEADY), run_id="b", interleaved_with="a")).interleaved
    assert not compare(base, a_result(a_row(STEADY), run_id="c", interleaved_with="a")).interleaved
    assert not compare(a_result(a_row(STEADY)), a_result(a_row(STEADY))).interleaved


def test_a_note_says_that_runs_one_after_the_other_do_not_cover_the_machine():
    assert "not interleaved" in apart([a_row(STEADY)], [a_row(STEADY)]).note
    assert "not interleaved" not in interleaved([a_row(STEADY)], [a_row(STEADY)]).note


def test_only_of_interleaved_runs_a_note_promises_how_seldom_they_cry_wolf():
    assert "fewer than 5 such comparisons in 100" in interleaved([a_row(STEADY)], [a_row(STEADY)]).note
    assert "fewer than 5 such comparisons in 100" not in apart([a_row(STEADY)], [a_row(STEADY)]).note


def test_a_note_says_which_versions_differ():
    machine = {**a_result()["machine"], "versions": {"python": "3.12.1"}}

    assert "python 3.11.2 and 3.12.1" in compare(a_result(), a_result(machine=machine)).note


def test_a_note_says_how_small_a_change_would_show():
    assert "a change of 2% would just show" in interleaved([a_row(STEADY)], [a_row(BUSIER)]).note


# How it is told


def test_it_is_told_as_json():
    found = told(interleaved([a_row(STEADY)], [a_row(BUSIER)]))

    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["base"] == "0123456789ab, 2025-03-30 12:00"
    assert found["rows"][0] == {
        "suite": "api",
        "operation": "today",
        "metric": "median_ms",
        "unit": "ms",
        "base": 10.0,
        "new": 15.1,
        "ratio": found["rows"][0]["ratio"],
        "low": found["rows"][0]["low"],
        "high": found["rows"][0]["high"],
        "verdict": "slower",
        "worse": True,
    }


def test_a_table_has_a_cell_for_each_heading():
    lines = table(interleaved([a_row(STEADY), a_row(STEADY, "gone")], [a_row(BUSIER)]))

    assert [len(line) for line in lines] == [len(HEADINGS)] * 2
    assert lines[0][:4] == ("api", "today", "10 ms", "15.1 ms")
    assert lines[1][2:] == ("10 ms", "–", "–", "–", "not comparable (measured only in base)")
