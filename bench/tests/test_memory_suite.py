"""Leaks are named by their line, and what only fills up is none."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dosette_bench import leaks
from dosette_bench.leaks import Sites, leaking
from dosette_bench.processes import Memory, family, memory, total

PROGRAM = """
import sys

kept, cache = [], {}

def request(number):
    kept.append("leaked %d" % number)  # the line that leaks
    cache.setdefault(number % 50, "cached %d" % number)
    return "answered %d" % number

number = 0
for line in sys.stdin:
    for _ in range(int(line)):
        request(number)
        number += 1
    print("done", flush=True)
"""
LINE = 1 + next(place for place, line in enumerate(PROGRAM.splitlines()) if "line that leaks" in line)


@contextmanager
def _program(tmp_path: Path, source: str) -> Iterator[subprocess.Popen[str]]:
    file = tmp_path / "dosette-worker.py"
    file.write_text(source)
    trace = tmp_path / "trace"
    trace.mkdir()
    running = subprocess.Popen(
        [sys.executable, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | leaks.environment(trace),
    )
    try:
        yield running
    finally:
        running.communicate()


def _found(tmp_path: Path, source: str) -> list[leaks.Leak]:
    with _program(tmp_path, source) as running:
        assert running.stdin is not None
        assert running.stdout is not None

        def load() -> None:
            running.stdin.write("200\n")  # type: ignore[union-attr]
            running.stdin.flush()  # type: ignore[union-attr]
            assert running.stdout.readline() == "done\n"  # type: ignore[union-attr]

        return leaks.found(tmp_path / "trace", load, 200)


def test_a_line_that_leaks_is_named_with_its_process_and_a_cache_that_fills_is_not(tmp_path: Path):
    found = _found(tmp_path, PROGRAM)

    assert [(each.process, each.where.rpartition("/")[2]) for each in found] == [
        ("worker", f"dosette-worker.py:{LINE}")
    ]
    assert found[0].objects == 4 * 200
    assert found[0].bytes > 4 * 200 * 50


def test_a_program_without_a_leak_has_none(tmp_path: Path):
    assert _found(tmp_path, PROGRAM.replace("kept.append", "len")) == []


def _snapshots(*counts: int) -> list[Sites]:
    return [{("api", "app.py:1"): (count * 64, count)} for count in counts]


@pytest.mark.parametrize(
    ("counts", "leaks_found"),
    [
        ((0, 100, 200, 300, 400), 1),
        ((0, 100, 190, 290, 380), 1),
        ((0, 100, 150, 175, 187), 0),  # levels off
        ((0, 100, 100, 200, 300), 0),  # a round without growth
        ((0, 4, 8, 12, 16), 0),  # too little to be felt
        ((0, 0, 0, 0, 400), 0),  # once
        ((500, 500, 500, 500, 500), 0),
    ],
)
def test_only_steady_growth_is_a_leak(counts: tuple[int, ...], leaks_found: int):
    assert len(leaking(_snapshots(*counts), requests=100)) == leaks_found


def test_a_site_says_nothing_of_this_machine():
    short = leaks._short

    assert short("/home/ana/.venv/lib/python3.11/site-packages/flask/app.py:12") == "flask/app.py:12"
    assert short("/home/ana/dosette/core/src/dosette/bus.py:7") == "dosette/bus.py:7"
    assert short("/usr/lib/python3.11/json/decoder.py:3") == "json/decoder.py:3"


def test_memory_of_a_process_is_what_it_took():
    with subprocess.Popen(
        [sys.executable, "-c", "held = bytearray(b'x' * 50_000_000); print('ready', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        parts = memory(family(running.pid))
        running.communicate("\n")

    whole = total(parts)
    assert 50_000_000 < whole.anonymous <= whole.pss <= whole.rss < 100_000_000


def test_a_sum_is_of_all_its_parts():
    assert total({"api": Memory(1, 2, 3), "redis": Memory(10, 20, 30)}) == Memory(11, 22, 33)
