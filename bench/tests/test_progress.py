"""What whoever waits sees: a bar in a terminal, lines in a pipe, and a time left that learns from the suites that are through."""

import io
import time

import pytest
from rich.console import Console

from dosette_bench.progress import Shown

EXPECTED = {"stack": 10.0, "database": 30.0, "api": 60.0}


def _console(terminal: bool) -> tuple[Console, io.StringIO]:
    said = io.StringIO()
    return Console(file=said, force_terminal=terminal, width=100), said


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One number: the seconds that have passed."""
    passed = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    return passed


def test_at_first_what_is_left_is_the_guess(clock: list[float]):
    with Shown(_console(False)[0], EXPECTED) as shown:
        shown.suite("stack")

        assert shown.left_s() == 100


def test_time_that_passes_is_left_no_more(clock: list[float]):
    with Shown(_console(False)[0], EXPECTED) as shown:
        shown.suite("stack")
        clock[0] = 4

        assert shown.left_s() == 96


def test_a_machine_that_is_half_as_fast_takes_twice_as_long_for_the_rest(clock: list[float]):
    with Shown(_console(False)[0], EXPECTED) as shown:
        shown.suite("stack")
        clock[0] = 20
        shown.suite("database")

        assert shown.left_s() == 180


def test_a_suite_that_takes_longer_than_guessed_does_not_take_from_those_after_it(clock: list[float]):
    with Shown(_console(False)[0], EXPECTED) as shown:
        shown.suite("stack")
        clock[0] = 500

        assert shown.left_s() == 90


def test_in_a_pipe_each_step_is_a_line_with_the_time_left(clock: list[float]):
    console, said = _console(False)
    with Shown(console, EXPECTED) as shown:
        shown.suite("database")
        shown.doing("warming up", 10)
        shown.advance()

    assert said.getvalue().splitlines()[-1] == "  database: warming up (about 2 min left)"


def test_in_a_terminal_there_is_one_bar_that_is_gone_at_the_end():
    console, said = _console(True)
    with Shown(console, EXPECTED) as shown:
        shown.suite("database")
        shown.doing("warming up")
        shown.advance()

    assert "database: warming up" in said.getvalue()
    assert "left" in said.getvalue()
    assert said.getvalue().endswith("\x1b[2K")
