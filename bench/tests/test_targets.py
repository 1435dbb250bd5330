"""The promises: what the first plan printed as kept without measuring it is in the file, and nothing unmeasured passes."""

import json
from pathlib import Path
from typing import Any

import pytest

from dosette_bench import results, targets
from dosette_bench.errors import CannotMeasure
from dosette_bench.samples import ONE_USER, Series
from dosette_bench.suites import SUITES

PROMISED = targets.read()
FIRST_PLAN = {  # operation and metric, limit, as its tables say
    ("database", "*", "mean_ms"): 50,
    ("database", "*", "p95_ms"): 100,
    ("database", "*", "p99_ms"): 200,
    ("database", "get_medicine_by_id", "mean_ms"): 5,
    ("database", "get_all_medicines", "mean_ms"): 20,
    ("database", "get_pending_medicines", "mean_ms"): 10,
    ("database", "mark_medicine_taken", "mean_ms"): 25,
    ("database", "batch_mark_taken", "mean_ms"): 100,
    ("api", "*", "mean_ms"): 100,
    ("api", "*", "p95_ms"): 150,
    ("api", "*", "p99_ms"): 250,
    ("api", "list_medicines", "mean_ms"): 75,
    ("api", "get_medicine", "mean_ms"): 50,
    ("api", "add_medicine", "mean_ms"): 100,
    ("api", "take_medicine", "mean_ms"): 75,
    ("api", "take_batch", "mean_ms"): 100,
    ("api", "health", "mean_ms"): 50,
    ("load", "ramp_up_10_users", "mean_ms"): 50,
    ("load", "ramp_up_25_users", "mean_ms"): 75,
    ("load", "ramp_up_50_users", "mean_ms"): 100,
    ("load", "ramp_up_100_users", "mean_ms"): 150,
    ("load", "ramp_up_10_users", "success_rate"): 1,
    ("load", "ramp_up_25_users", "success_rate"): 1,
    ("load", "ramp_up_50_users", "success_rate"): 0.99,
    ("load", "ramp_up_100_users", "success_rate"): 0.95,
    ("load", "concurrent_50_users", "mean_ms"): 100,
    ("load", "concurrent_50_users", "p95_ms"): 150,
    ("load", "concurrent_50_users", "p99_ms"): 250,
    ("load", "concurrent_50_users", "success_rate"): 0.99,
    ("load", "stress_200_users", "mean_ms"): 250,
    ("memory", "api_startup", "value"): 100,
    ("memory", "stack_with_data", "value"): 200,
    ("memory", "stack_concurrent", "value"): 300,
    ("memory", "display_drawing", "value"): 10,
    ("memory", "growth_per_hour", "value"): 10,
    ("display", "render_cold", "mean_ms"): 500,
}
ALERTS = {
    ("database", "p95_ms"): 100,
    ("database", "mean_ms"): 75,
    ("api", "p95_ms"): 200,
    ("api", "mean_ms"): 125,
    ("memory", "value"): {400, 10},
}


def _limit(target: dict[str, Any]) -> float:
    return next(target[word] for word in targets.COMPARES if word in target)


def _series(operation: str, *values: float, failed: int = 0) -> Series:
    series = Series(operation, load=ONE_USER)
    for value in values:
        series.add(value)
    for _ in range(failed):
        series.fail("status 500")
    return series


def _judged(*series: Series, **how: Any) -> dict[str, Any]:
    rows = {"database": [results.row(each) for each in series]}
    return results.judged(rows, PROMISED, **how) | {"rows": rows["database"]}


def test_every_promise_of_the_first_plan_stands_with_its_limit():
    found = {
        (each["suite"], each["operation"], each["metric"]): _limit(each)
        for each in PROMISED["targets"]
        if each["source"] == "first plan"
    }

    assert {key: found.get(key) for key in FIRST_PLAN} == FIRST_PLAN


def test_every_alert_of_the_first_plan_stands_with_its_threshold():
    found: dict[tuple[str, str], set[float]] = {}
    for each in PROMISED["alerts"]:
        found.setdefault((each["suite"], each["metric"]), set()).add(_limit(each))

    assert found == {key: limit if isinstance(limit, set) else {limit} for key, limit in ALERTS.items()}


def test_promises_are_about_suites_that_exist():
    assert {each["suite"] for part in PROMISED.values() for each in part} <= SUITES.keys()


@pytest.mark.parametrize(("mean", "met"), [(4.9, True), (5.0, False), (60.0, False)])
def test_below_means_below(mean: float, met: bool):
    judged = _judged(_series("get_medicine_by_id", mean))

    [verdict] = [each for each in judged["verdicts"] if each["id"] == "database by id"]
    assert (verdict["met"], verdict["value"]) == (met, mean)


def test_of_the_bare_answer_no_time_is_promised():
    """It is there to be compared with."""
    rows = {"api": [results.row(_series(name, 900.0)) for name in ("bare_flask", "health")]}

    judged = targets.judge([each for part in PROMISED.values() for each in part], rows)

    late = {
        each["operation"] for each in judged if each["metric"] in ("mean_ms", "p95_ms", "p99_ms") and not each["met"]
    }
    assert late == {"health"}
    assert "except" not in {name for each in judged for name in each}


def test_what_was_not_measured_never_passes():
    judged = _judged(Series("get_medicine_by_id"))

    assert {each["met"] for each in judged["verdicts"] if each["metric"] == "mean_ms"} == {"not measured"}
    assert judged["rows"][0]["target_met"] == "not measured"
    assert judged["holds"] is False


def test_what_was_never_tried_keeps_no_promise_about_errors():
    never = _judged(Series("get_all_medicines", load=ONE_USER, not_measured="nobody asked"))

    met = [each["met"] for each in never["verdicts"] if each["id"] == "database errors"]
    assert met == ["not measured"]


def test_a_promise_about_no_row_is_not_measured_unless_only_some_were_asked_for():
    whole, part = _judged(_series("get_all_medicines", 1.0)), _judged(_series("get_all_medicines", 1.0), partly=True)

    by_id = [each["met"] for each in whole["verdicts"] if each["id"] == "database by id"]
    assert by_id == ["not measured"]
    assert not [each for each in part["verdicts"] if each["id"] == "database by id"]


def test_one_failed_try_among_good_ones_breaks_a_critical_promise():
    judged = _judged(_series("get_medicine_by_id", 1.0, 1.0, failed=1))

    assert judged["rows"][0]["target_met"] is False
    assert judged["holds"] is False


def test_a_gate_of_counts_does_not_mind_times():
    slow = _series("get_medicine_by_id", 900.0)
    slow.note(sql_messages_per_request=1.0)

    assert _judged(slow, partly=True)["holds"] is False
    assert _judged(slow, partly=True, gate=("count", "ratio"))["holds"] is True


def test_a_gate_of_counts_minds_a_second_message():
    chatty = _series("get_medicine_by_id", 1.0)
    chatty.note(sql_messages_per_request=2.0)

    assert _judged(chatty, partly=True, gate=("count", "ratio"))["holds"] is False


def _broken(tmp_path: Path, **changed: Any) -> str:
    file = tmp_path / "targets.json"
    good = {**PROMISED["targets"][0], **changed}
    told = {name: value for name, value in good.items() if value is not None}
    file.write_text(json.dumps({"version": 1, "sources": {"first plan": ""}, "targets": [told], "alerts": []}))
    with pytest.raises(CannotMeasure) as refused:
        targets.read(file)
    return str(refused.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"level": "critcal"}, "level 'critcal' is none of critical, important, acceptable"),
        ({"metrc": "mean_ms"}, "unknown field metrc"),
        ({"metric": None}, "lacks metric"),
        ({"below": None}, "needs one number under one of below"),
        ({"below": "50"}, "needs one number"),
        ({"at_most": 50}, "needs one number"),
        ({"kind": "tme"}, "kind 'tme' is none of time"),
        ({"source": "hearsay"}, "source 'hearsay' is none of first plan"),
        ({"metric": "mean"}, "metric 'mean' is no field of a row"),
        ({"suite": "databse"}, "there is no suite 'databse'"),
    ],
)
def test_a_typo_in_the_targets_is_named(tmp_path: Path, changed: dict[str, Any], said: str):
    assert said in _broken(tmp_path, **changed)


def test_targets_that_are_no_json_are_named(tmp_path: Path):
    file = tmp_path / "targets.json"
    file.write_text("{")

    with pytest.raises(CannotMeasure, match="no JSON"):
        targets.read(file)


def test_an_id_stands_once(tmp_path: Path):
    file = tmp_path / "targets.json"
    twice = [PROMISED["targets"][0]] * 2
    file.write_text(json.dumps({"version": 1, "sources": {"first plan": ""}, "targets": twice, "alerts": []}))

    with pytest.raises(CannotMeasure, match="stands there twice"):
        targets.read(file)
