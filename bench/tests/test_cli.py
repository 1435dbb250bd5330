"""What a person types and gets wrong: one sentence, what to do, and exit code 2."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dosette_bench import machine, results, targets
from dosette_bench.samples import ONE_USER, Series
from dosette_bench.stack import Stack
from dosette_bench.suites import SUITES

Serving = Callable[[Callable[[str], "int | tuple[int, float]"]], Stack]


def _bench(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dosette_bench.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def _refused(*words: str, **environment: str) -> str:
    ran = _bench(*words, **environment)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr
    return ran.stderr


def test_an_unknown_suite_is_named_with_those_that_there_are():
    said = _refused("databse")

    assert "there is no suite databse (did you mean database?)" in said
    assert all(name in said for name in SUITES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["api", "--repeat", "0"], "0 is not a whole number of at least 1"),
        (["api", "--history", "forever"], "forever is no span: say 90d or 10y"),
        (["api", "--history", "0d"], "0d is no span"),
        (["api", "--nonsense"], "--help"),
        (["api", "--url", "127.0.0.1:8080", "--token", "x"], "no address of the form http://HOST:PORT"),
        (["api", "--url", "http://127.0.0.1:1/?a=b", "--token", "x"], "no address of the form"),
        (["api", "--token", "x"], "say --url, too"),
        (["api", "--write"], "say --url, too"),
        (["api", "--url", "http://127.0.0.1:1"], "--url needs --token"),
        (["api", "--url", "http://127.0.0.1:1", "--token", "a\nb"], "the token has characters that none has"),
        (["api", "--url", "http://127.0.0.1:1", "--token", "x"], "does not answer"),
        (["api", "--url", "http://127.0.0.1:1", "--token", "x", "--box", "pi-zero-2w"], "exclude each other"),
        (["api", "--box", "pi-zero"], "there is no box pi-zero (did you mean pi-zero-2w?)"),
        (["api", "--targets", "nowhere.json"], "can't be read"),
        (["compare", "nowhere"], "no baseline nowhere is in"),
        (["compare", "nowhere.json"], "can't be read"),
        (["compair", "a", "b"], "(did you mean compare?)"),
        (["ab", "/"], "run `make up` there once"),
        (["baseline", "sav"], "--help"),
    ],
)
def test_a_wrong_word_is_one_sentence(tmp_path: Path, words: list[str], said: str):
    assert said in _refused(*words, "--out", str(tmp_path))


def test_a_wrong_token_is_one_sentence(serving: Serving, tmp_path: Path):
    stack = serving(lambda path: 401)

    assert "check --token" in _refused("api", "--url", stack.url, "--token", "x", "--out", str(tmp_path))


@pytest.mark.parametrize(
    ("status", "said"),
    [(403, "check --token"), (404, "is it Dosette, is --url right?"), (503, "it runs, but is not well")],
)
def test_an_answer_that_is_none_says_what_to_look_at(serving: Serving, tmp_path: Path, status: int, said: str):
    stack = serving(lambda path: status)

    assert said in _refused("api", "--url", stack.url, "--token", "x", "--out", str(tmp_path))


def test_a_server_that_is_no_dosette_is_one_sentence(tmp_path: Path):
    class Page(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>Router</h1>")

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        said = _refused("api", "--url", f"http://127.0.0.1:{http.server_port}", "--token", "x", "--out", str(tmp_path))
        http.shutdown()

    assert "answers, but not as Dosette does" in said


def test_what_python_wraps_around_an_error_is_not_told(tmp_path: Path):
    said = _refused("api", "--url", "http://127.0.0.1:1", "--token", "x", "--out", str(tmp_path))

    assert "does not answer (Connection refused): is it running" in said


def test_a_folder_that_can_not_be_written_is_told_before_anything_is_measured(serving: Serving, tmp_path: Path):
    (tmp_path / "file").write_text("")
    asked: list[str] = []
    stack = serving(lambda path: asked.append(path) or 200)

    said = _refused("api", "--url", stack.url, "--token", "x", "--out", str(tmp_path / "file"))

    assert "say --out FOLDER" in said
    assert asked == []


def test_a_full_disk_is_told_and_what_was_there_is_kept(serving: Serving, tmp_path: Path):
    """Full: a file of this process takes no more than 8 kB."""
    stack, before = serving(lambda path: 200), '{"kept": true}'
    (tmp_path / results.COMPLETE).write_text(before)
    command = [sys.executable, "-m", "dosette_bench.cli", "api", "--url", stack.url, "--token", "x", "--once"]

    ran = subprocess.run(
        ["bash", "-c", 'ulimit -f 8; exec "$@"', "-", *command, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr
    assert "can't be written: File too large" in ran.stderr
    assert "list_medicines" in ran.stdout, "what was measured is shown, though it can't be kept"
    assert (tmp_path / results.COMPLETE).read_text() == before
    assert not list(tmp_path.glob("*.new"))


def test_a_suite_that_must_see_the_stack_from_inside_says_so_of_a_given_server(serving: Serving, tmp_path: Path):
    stack = serving(lambda path: 200)

    ran = _bench("database", "--url", stack.url, "--token", "x", "--out", str(tmp_path), "--once")

    assert ran.returncode == 1
    assert "leave --url out" in results.read(tmp_path)["benchmarks"]["database"]["reason"]
    assert "? not measured" in ran.stdout


def test_a_given_server_is_only_read_unless_it_may_be_written_to(serving: Serving, tmp_path: Path):
    stack = serving(lambda path: 200)

    ran = _bench("api", "--once", "--url", stack.url, "--out", str(tmp_path), DOSETTE_TOKEN="token")

    rows = {row["operation"]: row for row in results.read(tmp_path)["benchmarks"]["api"]["benchmarks"]}
    assert rows["list_medicines"]["mean_ms"] is not None, ran.stderr
    assert "--write" in rows["take_medicine"]["reason"]
    assert rows["take_medicine"]["target_met"] == "not measured"


def test_a_slow_answer_misses_its_target_and_the_exit_code_says_so(serving: Serving, tmp_path: Path):
    stack = serving(lambda path: (200, 0.12) if "low-stock" in path else 200)
    asked = ("api", "--once", "--url", stack.url, "--token", "x", "--out", str(tmp_path), "--only")

    assert _bench(*asked, "list_pending").returncode == 0
    slow = _bench(*asked, "list_low_stock")

    assert slow.returncode == 1
    assert "missed critical: api list_low_stock: mean_ms < 100" in slow.stdout
    assert _bench(*asked, "list_low_stock", "--gate", "counts").returncode == 0


def test_a_threshold_that_would_wake_somebody_is_told(serving: Serving, tmp_path: Path):
    stack = serving(lambda path: (200, 0.21) if "low-stock" in path else 200)
    asked = ("api", "--once", "--url", stack.url, "--token", "x", "--out", str(tmp_path), "--only")

    assert "would alert api list_low_stock: p95_ms ≤ 200" in _bench(*asked, "list_low_stock").stdout
    assert "would alert" not in _bench(*asked, "list_pending").stdout


def test_without_k6_the_load_is_not_measured_and_says_what_to_do(serving: Serving, tmp_path: Path):
    stack, bare = serving(lambda path: 200), tmp_path / "bin"
    bare.mkdir()
    (bare / "python").symlink_to(sys.executable)
    packages = os.pathsep.join(path for path in sys.path if path)

    ran = subprocess.run(
        [bare / "python", "-m", "dosette_bench.cli", "load", "--once", "--url", stack.url, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(bare), "PYTHONPATH": packages, "DOSETTE_TOKEN": "x"},
    )

    assert ran.returncode == 1, ran.stderr
    rows = results.read(tmp_path)["benchmarks"]["load"]["benchmarks"]
    assert {row["target_met"] for row in rows} == {"not measured"}
    assert "put the official one on PATH" in rows[0]["reason"]


def _document(tmp_path: Path, name: str, *times: float, **changed: Any) -> Path:
    series = Series("list_medicines", load=ONE_USER)
    for value in times:
        series.next_round()
        for step in range(10):
            series.add(value + step / 100)
    rows = {"api": [results.row(series)]}
    document = {
        "schema_version": results.VERSION,
        "run_id": name,
        "timestamp": f"2026-11-0{len(name)}T08:00:00+00:00",
        "finished_at": "2026-11-02T08:10:00+00:00",
        "interrupted": False,
        "version": "0.1.0",
        "commit": None,
        "box": None,
        "machine": machine.facts({}),
        "settings": {
            "suites": ["api"],
            "quick": True,
            "repeat": 1,
            "only": None,
            "medicines": 50,
            "history_days": 90,
            "server": "own",
        },
        "judgement": results.judged(rows, targets.read()),
        "benchmarks": {"api": results.suite(rows["api"], 1.0)},
        **changed,
    }
    return results.write(tmp_path, f"{name}.json", document)


def test_two_results_are_compared_row_by_row(tmp_path: Path):
    base, same, slow = (
        _document(tmp_path, name, *[value + number * 7 % 12 / 50 for number in range(12)])
        for name, value in (("base", 1.0), ("same", 1.0), ("slow", 1.5))
    )

    alike, slower = _bench("compare", str(base), str(same)), _bench("compare", str(base), str(slow))

    assert (alike.returncode, "no difference shown" in alike.stdout) == (0, True), alike.stderr
    assert (slower.returncode, "slower" in slower.stdout) == (1, True)


def test_results_of_two_machines_are_compared_only_on_purpose(tmp_path: Path):
    here = _document(tmp_path, "here", *[1.0] * 8)
    there = _document(tmp_path, "there", *[1.0] * 8, machine={**machine.facts({}), "id": "another", "cores": 64})

    assert "--anyway" in _refused("compare", str(here), str(there))
    assert _bench("compare", str(here), str(there), "--anyway").returncode == 0


def test_a_result_of_another_version_is_refused(tmp_path: Path):
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"schema_version": 1}))

    assert "measure again" in _refused("compare", str(old), str(_document(tmp_path, "new", 1.0)))


@pytest.mark.parametrize("command", [["compare"], ["report"]])
def test_a_damaged_result_is_named_with_where_it_is_damaged(tmp_path: Path, command: list[str]):
    kept = _document(tmp_path, "kept", 1.0)
    document = json.loads(kept.read_text())
    document["benchmarks"]["api"]["benchmarks"][0]["mean_ms"] = "fast"
    kept.write_text(json.dumps(document))

    assert "is damaged, in benchmarks/api/benchmarks/0/mean_ms" in _refused(*command, str(kept))


def test_a_report_replaces_nothing_but_a_file(tmp_path: Path):
    kept, pipe = _document(tmp_path, "kept", 1.0), tmp_path / "pipe"
    os.mkfifo(pipe)

    said = _refused("report", str(kept), "--markdown", str(pipe), "--page", str(tmp_path / "page.html"))

    assert "is no file that could be written anew" in said
    assert pipe.is_fifo()


def test_a_pattern_that_fits_nothing_is_no_success(serving: Serving, tmp_path: Path):
    stack, before = serving(lambda path: 200), tmp_path / results.COMPLETE
    before.write_text("{}")

    said = _refused("api", "--url", stack.url, "--token", "x", "--once", "--only", "nothing", "--out", str(tmp_path))

    assert "--only nothing fits no operation of api" in said
    assert list(tmp_path.iterdir()) == [before]
    assert before.read_text() == "{}"


def test_a_baseline_is_saved_listed_and_compared_with(tmp_path: Path):
    shutil.copy(_document(tmp_path, "one", *[1.0 + third / 50 for third in range(12)]), tmp_path / results.COMPLETE)

    assert "baselines/before.json" in _bench("baseline", "save", "before", "--out", str(tmp_path)).stdout
    assert _bench("baseline", "list", "--out", str(tmp_path)).stdout == "before\n"
    assert "in place of" in _bench("baseline", "save", "before", "--out", str(tmp_path)).stdout
    assert _bench("compare", "before", str(tmp_path), "--out", str(tmp_path)).returncode == 0


def test_a_trend_needs_two_runs(tmp_path: Path):
    assert "dosette-bench: " in _refused("trend", "--out", str(tmp_path))
    (tmp_path / "history").mkdir()
    for name in ("a", "bb", "ccc"):
        _document(tmp_path / "history", name, 1.0, 1.1)

    ran = _bench("trend", "--out", str(tmp_path))

    assert (ran.returncode, "list_medicines" in ran.stdout) == (0, True), ran.stderr


def test_the_help_tells_every_suite_and_every_command():
    said = _bench("--help").stdout

    assert all(word in said for word in (*SUITES, "compare", "ab", "trend", "baseline", "report"))
