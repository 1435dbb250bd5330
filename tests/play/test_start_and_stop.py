"""What a person does to a running household: Ctrl-C, kill -9, a second start."""

import os
import signal
from pathlib import Path
from typing import Any

LEAVES_WITHIN_S = 60  # two seconds are the aim; several tests at once on two cores take longer


def test_killed_with_9_nothing_is_left_and_the_next_start_has_lost_nothing(tmp_path: Path, start: Any):
    data = tmp_path / "My Dosette"
    first = start(data)
    _, before = first.call("GET", "/history")

    first.process.send_signal(signal.SIGKILL)
    first.end()
    assert first.leaves_nothing(LEAVES_WITHIN_S)
    second = start(data, port=first.port)
    _, after = second.call("GET", "/history")

    known = [event["seq"] for event in before["items"]]
    assert [event["seq"] for event in after["items"] if event["seq"] <= known[0]] == known
    assert second.stop()[0] == 0
    assert second.leaves_nothing(LEAVES_WITHIN_S)


def test_a_crashed_service_comes_back(tmp_path: Path, start: Any, eventually: Any):
    running = start(tmp_path / "data")
    crashed = _workers(tmp_path)
    assert len(crashed) == 1

    os.kill(crashed[0], signal.SIGKILL)

    eventually(lambda: _workers(tmp_path) not in ([], crashed))
    assert running.stop()[0] == 0


def _workers(folder: Path) -> list[int]:
    """Ids of the living workers that write their deliveries below the folder."""
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal() and _is_worker(each, folder)]


def _is_worker(process: Path, folder: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes()
        return b"dosette-worker" in words and str(folder).encode() in (process / "environ").read_bytes()
    except OSError:
        return False
