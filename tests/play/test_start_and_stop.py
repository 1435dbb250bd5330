"""What a person does to a running household: Ctrl-C, kill -9, a second start."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from dosette_local.ports import free_port


def _processes_on(folder: Path) -> list[int]:
    """Ids of living processes that name the folder in their command line or environment, or work in it."""
    return [
        int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal() and _lives_on(each, str(folder))
    ]


def _lives_on(process: Path, folder: str) -> bool:
    try:
        if "\nState:\tZ" in (process / "status").read_text():
            return False
        said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        return folder.encode() in said or os.readlink(process / "cwd").startswith(folder)
    except OSError:
        return False


def test_killed_with_9_nothing_is_left_and_the_next_start_has_lost_nothing(tmp_path: Path, start: Any, eventually: Any):
    folder, port = tmp_path / "My Dosette" / "data", free_port()
    folder.parent.mkdir()
    first = start(folder, port)
    _, before = first.call("GET", "/history")

    first.launcher.send_signal(signal.SIGKILL)
    first.launcher.wait()
    eventually(lambda: not _processes_on(folder))
    second = start(folder, port)
    _, after = second.call("GET", "/history", token=json.loads((folder / "access.json").read_text())["token"])

    assert [event["seq"] for event in after["items"]][: len(before["items"])] == [
        event["seq"] for event in before["items"]
    ]
    assert second.stop() == 0
    eventually(lambda: not _processes_on(folder))


def test_a_crashed_service_comes_back(tmp_path: Path, start: Any, eventually: Any):
    folder = tmp_path / "data"
    running = start(folder, free_port())
    workers = [pid for pid in _processes_on(folder) if b"dosette-worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(workers) == 1

    os.kill(workers[0], signal.SIGKILL)

    def another() -> bool:
        found = [pid for pid in _processes_on(folder) if b"dosette-worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return bool(found) and found != workers

    eventually(another)
    assert running.stop() == 0
