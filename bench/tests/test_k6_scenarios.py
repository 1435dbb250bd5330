"""The scenarios as anybody may run them: with the real k6, by hand, against a server that is there, is not, or fails."""

import csv
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

import pytest

from dosette_bench import k6, targets
from dosette_bench.stack import Stack
from dosette_bench.suites.load import SCENARIOS

Serving = Callable[[Callable[[str], "int | tuple[int, float]"]], Stack]

FILES = sorted(path.stem for path in k6.SCENARIOS.glob("*.js"))
PROMISED = [each for each in targets.read()["targets"] if each["suite"] == "load"]


def _k6(scenario: str, stack: Stack | None, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """As small as it goes: a second each, which is k6's least."""
    told = {
        "SECONDS": "1",
        "GAP": "0.1",
        "K6_NO_USAGE_REPORT": "true",
        "SUMMARY": os.devnull,
        "REQUESTS": "2",
        **variables,
    }
    if stack:
        told = {"BASE_URL": stack.url, "TOKEN": stack.token, **told}
    command = [
        k6.binary(),
        "run",
        "--quiet",
        "--no-color",
        "--address",
        "",
        *options,
        str(k6.SCENARIOS / f"{scenario}.js"),
    ]
    return subprocess.run(command, env=os.environ | told, capture_output=True, text=True, check=False)


def test_there_is_a_scenario_for_each_question():
    assert {"smoke", *(each.name for each in SCENARIOS)} == set(FILES)
    assert {"concurrent-users", "household", "morning-rush", "ramp-up", "smoke", "soak", "stress"} <= set(FILES)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_scenario_makes_the_requests_of_its_rows_and_leaves_its_figures(
    sink: tuple[str, list[str]], tmp_path: Path, scenario: Any
):
    table, figures = tmp_path / "requests.csv", tmp_path / "summary.json"

    ran = _k6(scenario.name, Stack(sink[0], "token"), "--out", f"csv={table}", SUMMARY=str(figures))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert _operations(table) == set(scenario.rows)
    told = json.loads(figures.read_text())
    assert told["metrics"]["http_reqs"]["values"]["count"] > 0
    assert (told["scenario"], told["quick"], told["writes"]) == (scenario.name, False, False)
    assert {each["env"]["OPERATION"] for each in told["k6_options"]["scenarios"].values()} == set(scenario.rows)
    assert "good/s" in ran.stdout
    assert "token" not in figures.read_text().lower().replace('token":', "")
    for operation, load in scenario.rows.items():
        line = next(line.split() for line in ran.stdout.splitlines() if line.startswith(f"{operation} "))
        assert line[1].rstrip(",") == load.model
        assert (f"{load.users}" if load.model == "closed" else f"{load.rate_rps:g}/s") in line


def _operations(table: Path) -> set[str]:
    with table.open(newline="") as file:
        rows = [dict(parse_qsl(row["extra_tags"])) for row in csv.DictReader(file) if row["metric_name"] == "http_reqs"]
    return {row["operation"] for row in rows if row.get("operation", "none") != "none"}


def test_every_promise_about_loads_is_about_a_row_of_a_scenario():
    assert {each["operation"] for each in PROMISED} <= {row for each in SCENARIOS for row in each.rows}


@pytest.mark.parametrize("times", ["", "1"])
def test_thresholds_are_the_promises(times: str):
    command = [k6.binary(), "inspect", "-e", f"TIMES={times}", str(k6.SCENARIOS / "concurrent-users.js")]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    thresholds = told["thresholds"]

    assert thresholds["checks{operation:concurrent_50_users}"] == ["rate>0.99"]
    expected = {"avg<100", "p(95)<150", "p(99)<250"} if times else set()
    assert set(thresholds["http_req_duration{operation:concurrent_50_users}"]) - {"max>=0"} == expected


def test_a_server_that_fails_crosses_a_threshold(serving: Serving):
    asked = iter(range(10_000))
    stack = serving(lambda path: 200 if next(asked) < 2 else 500)

    assert _k6("concurrent-users", stack, USERS="5").returncode == k6.THRESHOLDS_CROSSED


def test_a_fast_error_is_a_failure_to_the_runner_too(serving: Serving):
    asked = iter(range(10_000))
    stack = serving(lambda path: 200 if next(asked) < 2 else 500)

    found = k6.run("concurrent-users", stack, {"USERS": "5", "REQUESTS": "2"})["concurrent_50_users"]

    assert found.wrong == ["status 500"] * 10


def test_without_a_token_it_is_one_sentence(serving: Serving):
    ran = _k6("smoke", serving(lambda path: 200), TOKEN="")

    assert ran.returncode != 0
    assert "TOKEN is missing: make one with dosette token create" in ran.stderr


def test_a_wrong_token_is_one_sentence(serving: Serving):
    ran = _k6("smoke", serving(lambda path: 401))

    assert ran.returncode != 0
    assert "check TOKEN" in ran.stderr


def test_a_server_that_is_not_there_is_one_sentence():
    ran = _k6("smoke", Stack("http://127.0.0.1:1", "x"))

    assert ran.returncode != 0
    assert "is it running, is BASE_URL right?" in ran.stderr


def test_a_server_that_is_no_dosette_is_one_sentence(nothing_to_take: str):
    ran = _k6("smoke", Stack(f"{nothing_to_take}/other", "x"))

    assert ran.returncode != 0
    assert "answers, but not as Dosette does" in ran.stderr


class _Crowded(ThreadingHTTPServer):
    """Five hundred may knock at once; with the usual five, the others would try again after a second."""

    request_queue_size = 1024


def _answering(answer: Callable[[str, str], tuple[int, Any]]) -> ThreadingHTTPServer:
    """Asks `answer` what a method and a path get: a status and a body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer()

        def _answer(self) -> None:
            status, told = answer(self.command, self.path)
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    http = _Crowded(("127.0.0.1", 0), Handler)
    Thread(target=http.serve_forever, daemon=True).start()
    return http


@pytest.fixture
def nothing_to_take() -> Iterator[str]:
    """A household where nothing is due, and every medicine has a limit; below /other is something else."""
    limited = {"kind": "as_needed", "min_gap_minutes": 360, "most_per_24_h": "4"}

    def answer(method: str, path: str) -> tuple[int, Any]:
        if path.startswith("/other"):
            return 200, {"hello": "there"}
        if path.endswith("/schedule"):
            return 200, limited
        return 200, {"items": [] if path.endswith("/pending") else [{"id": "one"}]}

    http = _answering(answer)
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.mark.parametrize("scenario", ["household", "morning-rush"])
def test_with_writes_but_nothing_to_take_it_is_one_sentence(nothing_to_take: str, scenario: str):
    ran = _k6(scenario, Stack(nothing_to_take, "x"), WRITES="1")

    assert ran.returncode != 0
    assert "WRITES=1, but there is nothing to take" in ran.stderr


@pytest.fixture
def nothing_due() -> Iterator[tuple[str, list[str]]]:
    """Nothing is due, a medicine without limits can be taken besides, one with limits is not to be; and the changes so far."""
    seen: list[str] = []

    def answer(method: str, path: str) -> tuple[int, Any]:
        if method == "POST":
            seen.append(path.removeprefix("/api/v1"))
            return 200, {"id": f"dose{len(seen)}"}
        if path.endswith("/schedule"):
            return 200, {"kind": "fixed", "most_per_24_h": "4" if "limited" in path else None}
        return 200, {"items": [] if path.endswith("/pending") else [{"id": "limited"}, {"id": "free"}]}

    http = _answering(answer)
    yield f"http://127.0.0.1:{http.server_port}", seen
    http.shutdown()
    http.server_close()


def test_when_nothing_is_due_an_extra_dose_without_limits_is_taken_and_undone(nothing_due: tuple[str, list[str]]):
    url, seen = nothing_due

    ran = _k6("morning-rush", Stack(url, "x"), WRITES="1", SECONDS="1")

    assert ran.returncode == 0, ran.stderr
    takes = [each for each in seen if each.endswith("/take")]
    assert set(takes) == {"/medicines/free/take"}
    undone = [each for each in seen if each.endswith("/undo")]
    assert len(undone) == len(takes) == len(set(undone))


def test_a_soak_holds_its_last_third_against_its_first(serving: Serving, tmp_path: Path):
    figures, began = tmp_path / "summary.json", time.monotonic()
    stack = serving(lambda path: (200, 0.002 if time.monotonic() - began < 2 else 0.2))

    ran = _k6("soak", stack, SECONDS="3", RATE="10", SUMMARY=str(figures))

    assert ran.returncode == 0, ran.stderr
    assert json.loads(figures.read_text())["soak"]["held"] is False
    assert "MORE than 2 times" in ran.stdout


@pytest.fixture
def sink() -> Iterator[tuple[str, list[str]]]:
    """An address that takes what is sent to it, and the paths that were asked so far with their methods."""
    seen: list[str] = []

    def answer(method: str, path: str) -> tuple[int, Any]:
        seen.append(f"{method} {path}")
        return 200, {"items": [{"id": "one"}]} if method == "GET" else {"id": "one"}

    http = _answering(answer)
    yield f"http://127.0.0.1:{http.server_port}", seen
    http.shutdown()
    http.server_close()


@pytest.mark.parametrize("scenario", ["household", "morning-rush"])
@pytest.mark.parametrize("writes", ["", "1"])
def test_only_with_writes_is_anything_changed_and_then_undone(sink: tuple[str, list[str]], scenario: str, writes: str):
    url, seen = sink

    ran = _k6(
        scenario, Stack(url, "x"), WRITES=writes, SECONDS="4" if writes and scenario == "household" else "1", RATE="50"
    )

    assert ran.returncode == 0, ran.stderr
    changes = [each for each in seen if each.startswith("POST")]
    if writes:
        assert set(changes) == {"POST /api/v1/doses/one/take", "POST /api/v1/doses/one/undo"}
        assert changes.count("POST /api/v1/doses/one/take") - changes.count("POST /api/v1/doses/one/undo") in (0, 1)
    else:
        assert changes == []


def test_a_run_can_be_sent_to_prometheus(sink: tuple[str, list[str]], serving: Serving):
    url, seen = sink
    sent_to = {"K6_PROMETHEUS_RW_SERVER_URL": f"{url}/api/v1/write", "K6_PROMETHEUS_RW_PUSH_INTERVAL": "500ms"}

    ran = _k6("smoke", serving(lambda path: 200), "--out", "experimental-prometheus-rw", **sent_to)

    assert ran.returncode == 0, ran.stderr
    assert seen.count("POST /api/v1/write") >= 1


def test_a_summary_that_can_not_be_written_does_not_hide_the_figures(serving: Serving):
    ran = _k6("smoke", serving(lambda path: 200), SUMMARY="/nowhere/summary.json")

    assert "smoke" in ran.stdout
    assert "/nowhere/summary.json" in ran.stderr
