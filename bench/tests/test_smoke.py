"""The smoke: what it measures, writes, and says when it can't."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dosette_bench import results
from dosette_bench.closed_loop import ClosedLoop, Measured
from dosette_bench.server import Server

Serving = Callable[[Callable[[str], int]], Server]


def _bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dosette_bench.cli", *words], capture_output=True, text=True, check=False
    )


def _api(measured: list[Measured]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    api = results.of_api(measured)["benchmarks"]["api"]
    return api["summary"], {each["operation"]: each for each in api["benchmarks"]}


def test_each_read_is_measured_as_often_as_asked(serving: Serving):
    measured = ClosedLoop(serving(lambda path: 200)).measure(7)

    assert {each.operation: len(each.times_ms) for each in measured} == dict.fromkeys(results.targets()["api"], 7)


def test_an_error_is_no_fast_success(serving: Serving):
    server = serving(lambda path: 500 if "history" in path else 200)

    summary, found = _api(ClosedLoop(server).measure(3))

    assert (found["list_history"]["mean_ms"], found["list_history"]["target_met"]) == (None, "not measured")
    assert found["list_history"]["reason"] == "status 500"
    assert summary["passed_target"] == summary["total_benchmarks"] - 1


def test_one_failed_try_among_good_ones_misses_the_target():
    _, found = _api([Measured("list_history", [1.0, 1.0], ["status 503"])])

    assert found["list_history"]["target_met"] is False


def test_a_slow_operation_misses_its_target():
    _, found = _api([Measured("get_medicine", [49.0, 60.0])])

    assert found["get_medicine"]["target_met"] is False


def test_what_was_not_tried_is_not_measured():
    summary, found = _api([])

    assert {each["target_met"] for each in found.values()} == {"not measured"}
    assert (summary["passed_target"], summary["average_mean_ms"]) == (0, None)


def test_a_result_carries_its_machine_and_its_load_model():
    document = results.of_api([])

    assert {"cpu", "cores", "memory", "kernel", "python"} <= document["machine"].keys()
    assert document["benchmarks"]["api"]["load"]["model"] == "closed"
    assert document["timestamp"].endswith("+00:00")


def test_a_server_that_is_not_there_is_one_sentence(tmp_path: Path):
    ran = _bench("smoke", "--url", "http://127.0.0.1:1", "--token", "x", "--out", str(tmp_path))

    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "does not answer" in ran.stderr


def test_a_wrong_token_is_one_sentence(serving: Serving, tmp_path: Path):
    server = serving(lambda path: 401)

    ran = _bench("smoke", "--url", server.url, "--token", "x", "--out", str(tmp_path))

    assert (ran.returncode, "check --token" in ran.stderr) == (2, True)


def test_the_whole_smoke_runs_k6_and_writes_both_files(serving: Serving, tmp_path: Path):
    server = serving(lambda path: 200)

    ran = _bench("smoke", "--url", server.url, "--token", server.token, "--tries", "2", "--out", str(tmp_path))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    load = json.loads((tmp_path / "load_test.json").read_text())["benchmarks"]["load"]
    assert (load["target_met"], load["smoke"]["success_rate"]) == (True, 1)
    assert (
        json.loads((tmp_path / "api_benchmark.json").read_text())["benchmarks"]["api"]["summary"]["total_benchmarks"]
        == 5
    )


def test_a_server_that_fails_under_k6_misses_the_target(serving: Serving, tmp_path: Path):
    asked = iter(range(10_000))
    server = serving(lambda path: 200 if next(asked) < 60 else 500)

    ran = _bench("smoke", "--url", server.url, "--token", server.token, "--tries", "2", "--out", str(tmp_path))

    assert ran.returncode == 1
    assert json.loads((tmp_path / "load_test.json").read_text())["benchmarks"]["load"]["target_met"] is False


def test_a_folder_that_can_not_be_written_is_one_sentence(serving: Serving, tmp_path: Path):
    (tmp_path / "file").write_text("")
    server = serving(lambda path: 200)

    ran = _bench("smoke", "--url", server.url, "--token", "x", "--tries", "1", "--out", str(tmp_path / "file"))

    assert ran.returncode == 2
    assert "--out FOLDER" in ran.stderr
