"""What the files say: every try, the machine, and nothing that was not measured."""

import json
import resource
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dosette_bench import machine, results, targets
from dosette_bench.errors import CannotMeasure
from dosette_bench.samples import ONE_USER, Load, Series

ROW = {"$ref": "#/$defs/row", "$defs": results.schema()["$defs"]}


def _row(series: Series) -> dict[str, Any]:
    row = results.row(series)
    results.judged({"database": [row]}, targets.read())
    jsonschema.Draft202012Validator(ROW).validate(row)
    return row


def _series(*rounds: list[float], **how: Any) -> Series:
    series = Series("get_medicine_by_id", **{"load": ONE_USER, **how})
    for each in rounds:
        series.next_round()
        for value in each:
            series.add(value)
    return series


def test_a_failed_try_is_kept_as_null_with_its_reason_and_is_no_fast_success():
    series = _series([4.0, 6.0])
    series.fail("status 503")

    row = _row(series)

    assert row["rounds"] == [[4.0, 6.0, None]]
    assert (row["iterations"], row["errors"], row["error_reasons"]) == (3, 1, {"status 503": 1})
    assert (row["mean_ms"], row["min_ms"]) == (5.0, 4.0)


def test_an_operation_that_always_failed_was_not_measured_and_says_why():
    series = Series("get_medicine_by_id", load=ONE_USER)
    series.fail("status 500")

    row = _row(series)

    assert (row["mean_ms"], row["reason"], row["target_met"]) == (None, "status 500", "not measured")


def test_an_operation_that_was_never_tried_says_so():
    assert _row(Series("get_medicine_by_id"))["reason"] == "it was not tried"


def test_a_closed_loop_states_its_bound():
    """Little's law: N = X (R + Z)."""
    row = _row(_facts(_series([900.0, 1300.0], load=Load("closed", users=50, think_time_s=0.1)), throughput_rps=45.0))

    assert row["throughput_rps"] == 45.0
    assert row["bound_ms"] == pytest.approx(50 / 45 * 1000 - 100, rel=1e-4)


def test_users_who_think_longer_than_they_wait_bound_nothing():
    row = _row(_facts(_series([12.0], load=Load("closed", users=5, think_time_s=1)), throughput_rps=4.4))

    assert (row["throughput_rps"], row["bound_ms"]) == (4.4, None)


def test_what_took_no_time_has_no_throughput():
    row = _row(_series([0.0], load=Load("closed", users=1)))

    assert (row["throughput_rps"], row["bound_ms"]) == (None, None)


def _facts(series: Series, **facts: Any) -> Series:
    series.note(**facts)
    return series


def test_an_open_loop_has_no_bound():
    row = _row(_facts(_series([5.0], load=Load("open", rate_rps=50)), throughput_rps=49.0))

    assert (row["bound_ms"], row["throughput_rps"], row["load"]["rate_rps"]) == (None, 49.0, 50)


def test_memory_is_a_value_not_a_time():
    row = _row(_series([100.0], [110.0], [300.0], unit="MB", load=None))

    assert row["value"] == 110.0
    assert "mean_ms" not in row


def test_a_suite_counts_what_holds_what_is_missed_and_what_was_not_measured():
    rows = [results.row(each) for each in (_series([1.0]), _series([900.0]), Series("get_all_medicines"))]
    rows[1]["operation"] = "get_pending_medicines"
    results.judged({"database": rows}, {"targets": [_target("mean_ms", 50)], "alerts": []})

    summary = results.suite(rows, 3.0)["summary"]

    assert (summary["passed_target"], summary["missed_target"], summary["not_measured"]) == (1, 1, 1)
    assert (summary["total_benchmarks"], summary["average_mean_ms"]) == (3, 450.5)


def _target(metric: str, below: float) -> dict[str, Any]:
    about = {"suite": "database", "operation": "*", "metric": metric}
    return {"id": metric, "level": "critical", "kind": "time", "source": "first plan", "below": below, **about}


def test_a_row_without_a_promise_counts_as_neither():
    row = results.row(_series([1.0]))
    results.judged({"database": [row]}, {"targets": [], "alerts": []})

    summary = results.suite([row], 1.0)["summary"]
    assert (summary["passed_target"], summary["not_measured"]) == (0, 0)


def test_a_machine_knows_itself():
    facts = machine.facts({"k6": None})

    jsonschema.Draft202012Validator(
        results.schema()["$defs"]["machine"] | {"$defs": results.schema()["$defs"]}
    ).validate(facts)
    assert facts["cores"] >= 1
    assert facts["memory_bytes"] > 100_000_000
    assert facts["id"] == machine.facts({})["id"]


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(results.schema())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"schema_version": 1}', "has version 1, and this dosette-bench reads version 2"),
        ('{"format": 1}', "is no result of dosette-bench"),
        ("[]", "is no result of dosette-bench"),
        ('{"schema_version": 2', "is no JSON"),
    ],
)
def test_a_file_that_is_no_result_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str):
    file = tmp_path / "result.json"
    file.write_text(text)

    with pytest.raises(CannotMeasure) as refused:
        results.read(file)

    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(CannotMeasure, match="can't be read"):
        results.read(tmp_path)


def test_a_result_is_written_whole_or_not_at_all(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(CannotMeasure, match="say --out FOLDER"):
        results.write(tmp_path / "file", "x.json", {})

    written = results.write(tmp_path, "x.json", {"schema_version": 2})
    assert json.loads(written.read_text()) == {"schema_version": 2}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "x.json"]


def test_a_full_disk_is_one_sentence_and_the_result_before_stays(tmp_path: Path):
    before = results.write(tmp_path, "x.json", {"schema_version": 2})
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(CannotMeasure, match="can't be written"):
            results.write(tmp_path, "x.json", {"schema_version": 2, "much": "x" * 1000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    assert json.loads(before.read_text()) == {"schema_version": 2}
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]
