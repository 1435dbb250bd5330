"""A whole run on a household of its own: every suite once, its files, its end; and what is told when the stack fails."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest

from dosette_bench import results, seeding, targets
from dosette_bench.bench import ONCE, Bench, Sizes, Unwatched
from dosette_bench.errors import CannotMeasure
from dosette_bench.stack import Stack, of_its_own
from dosette_bench.suites import SUITES, api, database

pytestmark = pytest.mark.timeout(900, func_only=False)  # the fixture measures everything once

FIRST_PLAN = {
    "database": {
        "get_all_medicines",
        "get_medicine_by_id",
        "get_pending_medicines",
        "get_low_stock_medicines",
        "mark_medicine_taken",
        "update_medicine",
        "get_tracking_history",
        "get_tracking_history_by_date_range",
        "batch_mark_taken",
        "transaction_overhead",
    },
    "api": {
        "list_medicines",
        "get_medicine",
        "list_pending",
        "list_low_stock",
        "add_medicine",
        "take_medicine",
        "take_batch",
        "replace_medicine",
        "change_medicine",
        "health",
        "info",
    },
    "load": {"concurrent_50_users", "ramp_up_10_users", "ramp_up_100_users", "stress_200_users", "stress_500_users"},
    "memory": {"api_startup", "stack_with_data", "stack_under_requests", "stack_concurrent", "display_drawing"},
    "display": {"render_cold", "render_warm"},
    "scheduler": {"due_to_delivered_idle"},
    "recovery": {"resume_after_kill_api"},
}


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "dosette_bench.cli", *words]


def _bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(*words), capture_output=True, text=True, check=False)


def _started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(_command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _await_line(running: subprocess.Popen[str], part: str) -> None:
    assert running.stdout
    assert any(part in line for line in running.stdout), f"it never said {part}"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run of everything, a single time each, wrote its results."""
    out = tmp_path_factory.mktemp("bench") / "results"
    ran = _bench("--once", "--out", str(out))
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr, ran.stderr
    return out


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with of_its_own() as running:
        seeding.seed(running, days=3)
        yield running


def _rows(document: dict[str, Any], suite: str) -> dict[str, dict[str, Any]]:
    return {row["operation"]: row for row in document["benchmarks"][suite]["benchmarks"]}


def test_a_run_writes_every_file_in_the_published_form(once: Path):
    check = jsonschema.Draft202012Validator(results.schema(), format_checker=jsonschema.FormatChecker())
    written = [*once.glob("*.json"), *(once / "history").glob("*.json")]

    for file in written:
        check.validate(json.loads(file.read_text()))
    assert {file.name for file in once.glob("*.json")} == {*results.FILES.values(), results.COMPLETE}
    assert len(written) == len(results.FILES) + 2
    assert "dosette-bench" in (once / "README.md").read_text()


@pytest.mark.parametrize("suite", SUITES)
def test_what_the_first_plan_named_is_measured(once: Path, suite: str):
    document = results.read(once / results.FILES[suite])
    rows = _rows(document, suite)

    assert rows.keys() >= FIRST_PLAN[suite]
    assert "reason" not in document["benchmarks"][suite], document["benchmarks"][suite].get("reason")
    for operation in FIRST_PLAN[suite]:
        row = rows[operation]
        assert row.get("mean_ms", row.get("value")) is not None, (operation, row.get("reason"))
        assert row["errors"] == 0, (operation, row.get("error_reasons"))


def test_a_file_of_one_suite_says_what_the_whole_says_of_it(once: Path):
    whole = results.read(once)

    for suite, name in results.FILES.items():
        part = results.read(once / name)
        assert part["benchmarks"] == {suite: whole["benchmarks"][suite]}
        assert part["run_id"] == whole["run_id"]
        assert {each["suite"] for each in part["judgement"]["verdicts"]} <= {suite}


def test_a_run_knows_its_machine_and_its_versions(once: Path):
    told = results.read(once)

    assert told["machine"]["versions"]["postgresql"].startswith("18")
    assert all(told["machine"]["versions"][name] for name in ("python", "redis", "k6"))
    assert told["settings"]["medicines"] == 50


def test_costs_stand_beside_times(once: Path):
    document = results.read(once)

    listed = _rows(document, "api")["list_medicines"]
    assert listed["sql_messages_per_request"] == 1
    taken = _rows(document, "database")["mark_medicine_taken"]
    assert taken["sql_messages_per_request"] == 1
    assert taken["blocks_per_request"] > 10
    assert taken["wal_bytes_per_request"] > 500
    assert _rows(document, "database")["get_all_medicines"]["wal_bytes_per_request"] == 0
    assert listed["cpu_ms_per_request"]["api"] > 0
    assert listed["cpu_ms_per_request"]["postgresql"] > 0
    assert listed["cpu_ratio_to_reference"] > 1
    assert listed["load"] == {"model": "closed", "users": 1, "think_time_s": 0, "rate_rps": None}
    assert listed["bound_ms"] == pytest.approx(listed["mean_ms"], rel=0.01)
    assert sum(listed["histogram"]["counts"]) == listed["iterations"]


def test_many_users_are_bound_by_throughput(once: Path):
    row = _rows(results.read(once), "load")["concurrent_50_users"]

    assert row["load"]["users"] == 50
    assert row["iterations"] == 500
    assert row["bound_ms"] == pytest.approx(50 / row["throughput_rps"] * 1000, rel=0.01)


def test_a_run_compares_with_itself_and_finds_no_difference(once: Path):
    ran = _bench("compare", str(once), str(once))

    assert ran.returncode == 0, ran.stderr
    assert "slower" not in ran.stdout.replace("slower than", "")


def test_two_checkouts_are_measured_in_turns(tmp_path: Path):
    """This one and itself."""
    ran = _bench("ab", str(Path(sys.prefix).parent), "--quick", "--only", "health", "--out", str(tmp_path))

    assert ran.returncode in (0, 1), ran.stderr
    assert "fewer than 5 such comparisons in 100" in " ".join(ran.stdout.split())
    base, new = (results.read(tmp_path / "ab" / name) for name in ("base", "new"))
    assert (base["interleaved_with"], new["interleaved_with"]) == (new["run_id"], base["run_id"])
    assert [len(_rows(each, "api")["health"]["rounds"]) for each in (base, new)] == [5, 5]


def test_a_run_is_told_for_people(once: Path, tmp_path: Path):
    words = ("--markdown", str(tmp_path / "report.md"), "--page", str(tmp_path / "report.html"))

    ran = _bench("report", "--out", str(once), *words)

    assert ran.returncode == 0, ran.stderr
    assert "get_medicine_by_id" in (tmp_path / "report.md").read_text()
    assert "<svg" in (tmp_path / "report.html").read_text()


def test_a_run_that_is_interrupted_keeps_what_was_done_and_leaves_nothing_behind(tmp_path: Path):
    running = _started("database", "api", "--quick", "--out", str(tmp_path))
    _wait(lambda: (tmp_path / results.FILES["database"]).exists())
    time.sleep(1)
    family = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGINT)
    said, complained = running.communicate(timeout=60)

    assert (running.returncode, complained) == (130, "")
    kept = results.read(tmp_path)
    assert kept["interrupted"] is True
    assert kept["judgement"]["holds"] is False
    assert all(row["iterations"] == 30 for row in _rows(kept, "database").values())
    assert kept["benchmarks"]["api"]["reason"] == "it was interrupted"
    assert "interrupted" in said
    assert [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []


def test_two_checkouts_that_are_interrupted_keep_the_rounds_that_were_done(tmp_path: Path):
    running = _started("ab", str(Path(sys.prefix).parent), "--only", "health", "--out", str(tmp_path))
    _await_line(running, "api: measuring")
    running.send_signal(signal.SIGINT)
    _, complained = running.communicate(timeout=60)

    assert (running.returncode, complained) == (130, "")
    base, new = (results.read(tmp_path / "ab" / name) for name in ("base", "new"))
    assert base["interrupted"] is new["interrupted"] is True
    assert base["benchmarks"]["api"]["reason"] == "it was interrupted"


def test_a_run_that_is_killed_leaves_nothing_running(tmp_path: Path):
    running = _started("api", "--out", str(tmp_path))
    _await_line(running, "50 medicines")
    family = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    running.communicate()

    assert len(family) > 5
    _wait(lambda: not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE])


def test_a_run_that_is_interrupted_before_it_measured_anything_leaves_the_last_one_as_it_was(tmp_path: Path):
    (tmp_path / results.COMPLETE).write_text("the last one")
    running = _started("api", "--out", str(tmp_path))
    _await_line(running, "stack: starting")
    running.send_signal(signal.SIGINT)
    said, complained = running.communicate(timeout=60)

    assert (running.returncode, complained) == (130, "")
    assert "before anything was measured" in said
    assert [each.name for each in tmp_path.iterdir()] == [results.COMPLETE]
    assert (tmp_path / results.COMPLETE).read_text() == "the last one"


def test_a_slowed_endpoint_is_caught():
    """Every change sleeps 110 ms: the fault point is the product's own."""
    with of_its_own({"FAULT": "A1:delay:0.11"}) as slow:
        seeding.seed(slow, days=1)
        bench = Bench(slow, ONCE, Unwatched(), "take_*")
        api.measure(bench)

    rows = [results.row(series) for series in bench.collected]
    judged = results.judged({"api": rows}, targets.read(), partly=True)
    met = {row["operation"]: row["target_met"] for row in rows}
    assert met == dict.fromkeys(("take_medicine", "take_dose", "take_batch"), False)
    assert judged["holds"] is False
    assert min(row["min_ms"] for row in rows) > 110


def test_an_api_that_crashes_is_reported_as_it_was(tmp_path: Path):
    """Killed at the 125th change, a hundred of which fill the cupboard: the try fails, the launcher starts it again."""
    with of_its_own({"FAULT": "A1:kill:125"}) as frail:
        seeding.seed(frail, days=1)
        bench = Bench(frail, Sizes(rounds=4, tries=4, warm_up=4), Unwatched(), "take_dose")
        api.measure(bench)

    [series] = bench.collected
    row = results.row(series)
    assert row["errors"] >= 1
    assert any("RemoteDisconnected" in reason or "Refused" in reason for reason in row["error_reasons"]), row
    assert None in [value for each in row["rounds"] for value in each]
    assert results.judged({"api": [row]}, targets.read(), partly=True)["holds"] is False


def test_a_stack_that_dies_under_a_suite_says_so(stack: Stack):
    gone = Stack("http://127.0.0.1:1", stack.token, stack.data, stack.launcher)

    with pytest.raises(OSError, match="refused"):
        api.measure(Bench(gone, ONCE, Unwatched()))


def test_what_the_database_suite_changes_it_puts_back(stack: Stack):
    before = stack.get("/api/v1/medicines/pending")["items"]
    bench = Bench(stack, ONCE, Unwatched())

    database.measure(bench)

    assert [each["id"] for each in stack.get("/api/v1/medicines/pending")["items"]] == [each["id"] for each in before]
    assert {series.operation: series.reasons for series in bench.collected if series.reasons} == {}


def test_a_seeded_household_is_as_asked_for(stack: Stack):
    home = seeding.cupboard(stack)
    history = stack.get("/api/v1/history?limit=200")["items"]

    assert (len(home.medicines), len(home.due), len(home.as_needed)) == (50, 8, 2)
    assert len(history) > 3 * 50
    assert len(stack.get("/api/v1/medicines/low-stock")["items"]) >= seeding.LOW


def test_a_stack_that_does_not_start_says_its_last_words(tmp_path: Path):
    with pytest.raises(CannotMeasure, match="run `make up` in that checkout once"), of_its_own(commands=tmp_path):
        pass


def test_a_stack_is_gone_after_it_was_used():
    with of_its_own() as running:
        family = [psutil.Process(each.pid) for each in running.processes()]
        folder = running.data
        assert len(family) > 6

    assert folder is not None
    assert not folder.exists()
    assert [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []


def _wait(well: Any, within_s: float = 120) -> None:
    until = time.monotonic() + within_s
    while not well():
        assert time.monotonic() < until
        time.sleep(0.1)
