"""The clock and its movable twin."""

from datetime import timedelta
from pathlib import Path

from dosette.clock import MovableClock, clock_from, longest_wait_s, real_clock
from dosette.metrics import exposition


def test_every_process_on_one_file_sees_a_move_at_once(tmp_path: Path):
    mine, theirs = MovableClock(tmp_path / "clock"), MovableClock(tmp_path / "clock")

    mine.move(timedelta(hours=3))

    assert timedelta(hours=3) <= theirs() - real_clock() + timedelta(seconds=1) < timedelta(hours=3, seconds=2)


def test_how_far_it_is_moved_is_told_to_prometheus(tmp_path: Path):
    clock = MovableClock(tmp_path / "clock")
    clock.move(timedelta(hours=3))

    clock()

    assert b"\ndosette_clock_offset_seconds 10800.0\n" in exposition()[0]


def test_without_a_file_the_clock_is_the_real_one():
    assert clock_from(None) is real_clock


def test_a_loop_on_a_movable_clock_looks_often(tmp_path: Path):
    assert longest_wait_s(MovableClock(tmp_path / "clock"), 5.0) < 1 < longest_wait_s(real_clock, 5.0)
