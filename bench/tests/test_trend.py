"""What moved over many results, and what chance would do as well."""

import json
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dosette_bench import results
from dosette_bench.errors import CannotMeasure
from dosette_bench.trend import HEADINGS, chance, collect, spark, table, told, trend

MACHINE = {"id": "one", "cpu": "Cortex-A53", "cores": 4, "memory_bytes": 512_000_000, "architecture": "aarch64"}


def a_result(day: int, *rows: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {
        "schema_version": results.VERSION,
        "run_id": f"run-{day}",
        "timestamp": f"2025-03-{day:02}T12:00:00+00:00",
        "interrupted": False,
        "version": "0.1.0",
        "commit": None,
        "box": None,
        "machine": MACHINE,
        "settings": {"medicines": 8, "history_days": 365},
        "benchmarks": {"api": {"benchmarks": list(rows)}},
        **other,
    }


def a_row(median: float | None, operation: str = "today", unit: str = "ms", better: str = "lower") -> dict[str, Any]:
    figure = "median_ms" if unit == "ms" else "value"
    return {"operation": operation, "unit": unit, "better": better, figure: median}


def over_days(*medians: float | None, **row: Any) -> list[dict[str, Any]]:
    return [a_result(day, a_row(median, **row)) for day, median in enumerate(medians, 1)]


def keep(folder: Path, name: str, document: Any) -> None:
    (folder / "history").mkdir(exist_ok=True)
    (folder / "history" / name).write_text(json.dumps(document))


def test_a_line_tells_first_last_best_and_change():
    line = trend(over_days(20, 10, 16, 25)).lines[0]

    assert (line["first"], line["last"], line["best"], line["results"]) == (20, 25, 10, 4)
    assert line["change"] == pytest.approx(0.25)


def test_the_best_is_the_most_where_more_is_better():
    assert trend(over_days(200, 300, 100, unit="1/s", better="higher")).lines[0]["best"] == 300


def test_results_are_put_in_order_of_their_time():
    line = trend(list(reversed(over_days(10, 20, 30)))).lines[0]

    assert (line["first"], line["last"]) == (10, 30)


@pytest.mark.parametrize(
    ("medians", "verdict"),
    [
        ([10, 11, 12, 13, 14, 15], "rising"),
        ([15, 14, 13, 12, 11, 10], "falling"),
        ([10, 14, 11, 15, 10, 12], "no trend shown"),
        ([10, 11, 12, 13], "no trend shown"),
        ([10, 10, 10, 10, 10, 10], "no trend shown"),
        ([10, 10.001, 10.002, 10.003, 10.004, 10.005], "no trend shown"),
    ],
)
def test_a_trend_is_what_chance_would_hardly_do_and_worth_a_word(medians: list[float], verdict: str):
    assert trend(over_days(*medians)).lines[0]["verdict"] == verdict


def test_one_odd_result_bends_no_slope():
    assert trend(over_days(10, 11, 300, 13.31, 14.641, 16.1051)).lines[0]["slope"] == pytest.approx(0.1, abs=0.01)


def test_like_results_are_called_a_trend_in_under_five_of_a_hundred_tries_however_many_rows():
    random = Random(1)

    def is_called() -> bool:
        documents = [
            a_result(day, *(a_row(random.lognormvariate(2, 0.1), str(name)) for name in range(15)))
            for day in range(1, 13)
        ]
        return any(line["verdict"] != "no trend shown" for line in trend(documents).lines)

    assert sum(is_called() for _ in range(300)) / 300 < 0.05


def test_a_percent_a_result_is_found_within_a_month():
    random = Random(2)

    def is_found() -> bool:
        return bool(
            trend(over_days(*(1.01**day * random.lognormvariate(2, 0.05) for day in range(30)))).lines[0]["verdict"]
            == "rising"
        )

    assert sum(is_found() for _ in range(100)) >= 95


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_the_chance_of_few_results_is_counted_over_all_their_orders(count: int):
    orders = list(permutations(range(count)))

    def score(order: Sequence[int]) -> int:
        return sum((order[j] > order[i]) - (order[j] < order[i]) for j in range(count) for i in range(j))

    for order in orders[:30]:
        as_steady = sum(abs(score(other)) >= abs(score(order)) for other in orders)
        assert chance(order) == pytest.approx(as_steady / len(orders))


def test_the_chance_of_many_results_is_near_that_of_few():
    order = list(range(40))
    Random(3).shuffle(order)

    assert chance([*order, 20.5]) == pytest.approx(chance(order), abs=0.1)


def test_results_of_equal_figures_show_nothing():
    assert chance([5, 5, 5, 5]) == 1


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"),
        ([100, None, 200], "▁·█"),
        ([100, 100, 100], "▅▅▅"),
        ([100, 101, 100], "▄▅▄"),
        ([0, 0], "▅▅"),
        ([-1, 1], "▁█"),
    ],
)
def test_a_spark_has_a_bar_for_each_result_and_makes_no_mountain_of_noise(values: list[float | None], bars: str):
    assert spark(values) == bars


def test_values_without_a_ratio_have_no_change_in_percent():
    line = trend(over_days(-1, 0, 1, 2, 3, 4, unit="MB/h")).lines[0]

    assert (line["change"], line["slope"], line["verdict"]) == (None, None, "rising")


def test_a_result_without_the_row_leaves_a_gap():
    line = trend([*over_days(10, None, 10), a_result(4)]).lines[0]

    assert (line["spark"], line["results"]) == ("▅·▅·", 2)


def unlike() -> list[dict[str, Any]]:
    return [
        {"machine": {**MACHINE, "id": "other", "cpu": "Ryzen 7"}},
        {"box": {"name": "zero2w", "cpu_cores": 0.12, "memory_bytes": 512_000_000}},
        {"settings": {"medicines": 40, "history_days": 365}},
    ]


@pytest.mark.parametrize("other", unlike(), ids=lambda other: next(iter(other)))
def test_results_of_two_machines_boxes_or_households_share_no_line(other: dict[str, Any]):
    found = trend([*over_days(10, 10), a_result(3, a_row(90), **other), a_result(4, a_row(90), **other)])

    assert [(line["first"], line["last"]) for line in found.lines] == [(10, 10), (90, 90)]
    assert found.lines[0]["where"] != found.lines[1]["where"]


def test_who_is_left_out_is_named_with_the_reason():
    alone = a_result(3, a_row(90), **unlike()[0])
    stopped = a_result(4, a_row(90), interrupted=True)

    found = trend([*over_days(10, 10), alone, stopped], skipped=["old.json has version 1"])

    assert found.left_out == [
        "old.json has version 1",
        "version 0.1.0, 2025-03-04 12:00: it was stopped before its end",
        "version 0.1.0, 2025-03-03 12:00: the only one on Ryzen 7, 4 cores, 0.5 GB of memory, outside a box,"
        " with 8 medicines and 365 days of history",
    ]


def test_a_suite_and_a_part_of_a_name_or_a_pattern_choose_lines():
    rows = [a_row(10, name) for name in ("today", "take", "history")]
    documents = [a_result(1, *rows), a_result(2, *rows)]

    def chosen(**choice: str) -> list[str]:
        return [line["operation"] for line in trend(documents, **choice).lines]

    assert chosen(suite="api", only="ta") == ["take"]
    assert chosen(only="t*") == ["today", "take"]
    with pytest.raises(CannotMeasure, match="no row of the suite load like ta was measured in two results"):
        chosen(suite="load", only="ta")


@pytest.mark.parametrize("documents", [[], over_days(10)])
def test_fewer_than_two_results_say_what_to_do(documents: list[dict[str, Any]]):
    with pytest.raises(CannotMeasure, match="a trend needs two results of one machine: run dosette-bench again"):
        trend(documents)


def test_where_nothing_is_left_the_sentence_names_what_was_left_out():
    with pytest.raises(CannotMeasure, match=r"left out: x\.json is no JSON"):
        trend([], skipped=["x.json is no JSON"])


def test_it_is_told_as_json_and_as_a_table():
    found = trend(over_days(10, 11, 12, 13, 14, 15))

    assert json.loads(json.dumps(told(found), allow_nan=False)) == told(found)
    assert table(found) == [("api", "today", "6", "10 ms", "15 ms", "10 ms", "+50.0%", "▁▂▄▅▇█", "rising")]
    assert len(table(found)[0]) == len(HEADINGS)


def test_the_history_is_read_oldest_first_and_what_is_no_result_is_named(result: dict[str, Any], tmp_path: Path):
    keep(tmp_path, "b.json", {**result, "run_id": "run-1"})
    keep(tmp_path, "a.json", {**result, "run_id": "run-2", "timestamp": "2025-03-31T12:00:00+00:00"})
    keep(tmp_path, "c.json", {"schema_version": 1})
    (tmp_path / "history" / "d.json").write_text('{"cut off')

    history = collect(tmp_path)

    assert [each["run_id"] for each in history.documents] == ["run-1", "run-2"]
    assert [Path(each.split(" ")[0]).name for each in history.skipped] == ["c.json", "d.json"]
    assert "has version 1" in history.skipped[0]


def test_where_nothing_was_kept_the_history_is_empty(tmp_path: Path):
    assert collect(tmp_path).documents == []
