"""Children never outlive the launcher, and leave nothing behind themselves."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from dosette_local import supervision
from dosette_local.errors import CannotStart
from dosette_local.household import Household, Settings
from dosette_local.lock import is_held
from dosette_local.logs import KEPT_BYTES, Log
from dosette_local.processes import Child, Program, output_of
from dosette_local.supervision import SILENT_TIMES, Watched

# A launcher with one child, which has a child of its own; both hold the lock.
LAUNCHER = """
import sys, time
from pathlib import Path
from dosette_local.lock import hold
from dosette_local.logs import Log
from dosette_local.processes import Child, Program
folder = Path(sys.argv[1])
held = hold(folder / "up.lock", time.sleep)
Child(Program("sleeper", ["/bin/sh", "-c", sys.argv[2]], {}, folder, Log(folder / "log"), keeps_open=(held,))).start()
print("started", flush=True)
time.sleep(60)
"""


def shell(folder: Path, script: str) -> Program:
    return Program("script", ["/bin/sh", "-c", script], {}, folder, Log(folder / "log"))


def eventually(what: Callable[[], bool], within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while not (so := what()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return so


def test_a_child_ends_when_its_launcher_is_killed(tmp_path: Path) -> None:
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, tmp_path, "exec sleep 60"], stdout=subprocess.PIPE, text=True
    )
    with launcher:
        assert launcher.stdout
        launcher.stdout.readline()
        launcher.kill()

    assert eventually(lambda: not is_held(tmp_path / "up.lock"))


def test_what_a_child_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    child = Child(shell(tmp_path, "sleep 60 & echo $! > pid; exit 3"))
    child.start()

    assert eventually(lambda: child.exit_code() == 3)
    left = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    assert eventually(lambda: not left.exists() or ") Z " in left.read_text())


def test_a_child_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    stubborn = shell(tmp_path, "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    child = Child(Program(**{**vars(stubborn), "stop_timeout_s": 0.2}))
    child.start()
    assert eventually(lambda: "ready" in stubborn.log.this_run())

    child.stop()

    assert child.exit_code() == -9


def test_a_command_that_fails_is_reported_with_its_line_about_an_error(tmp_path: Path) -> None:
    script = "echo first >&2; echo 'error: no disk' >&2; echo last >&2; exit 1"

    with pytest.raises(CannotStart, match=r"script failed: error: no disk \(see .*log\)"):
        output_of(shell(tmp_path, script))


def test_of_a_traceback_the_error_is_reported_and_not_the_code(tmp_path: Path) -> None:
    script = "printf '%s\\n' 'Traceback:' '    raise error' 'db.OperationalError: refused' '\tIs it on?' >&2; exit 1"

    with pytest.raises(CannotStart, match=r"script failed: db\.OperationalError: refused"):
        output_of(shell(tmp_path, script))


def test_a_command_may_hear_and_say_more_than_a_pipe_holds(tmp_path: Path) -> None:
    assert len(output_of(shell(tmp_path, "cat; head -c 300000 /dev/zero"), stdin="x" * 200_000)) == 500_000


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="nothing-here is missing"):
        output_of(Program("script", [tmp_path / "nothing-here"], {}, tmp_path, Log(tmp_path / "log")))


def test_a_json_log_line_is_told_as_text(tmp_path: Path) -> None:
    line = '{"level": "error", "event": "no database", "traceback": "Traceback\\n  x\\nOSError: refused"}'

    with pytest.raises(CannotStart, match="error: no database: OSError: refused"):
        output_of(shell(tmp_path, f"printf '%s' '{line}' >&2; exit 1"))


def test_a_large_log_is_put_aside_when_a_child_starts(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.path.write_bytes(b"x" * (KEPT_BYTES + 1))

    with log.opened() as file:
        file.write(b"new")

    assert log.path.read_bytes() == b"new"
    assert (tmp_path / "log.1").stat().st_size == KEPT_BYTES + 1


def test_a_child_that_was_stopped_is_ended_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dosette_local.supervision.ASK_EVERY_S", 0.0)
    child = Child(shell(tmp_path, "exec sleep 60"))
    child.start()
    first = child.pid
    assert first
    os.kill(first, signal.SIGSTOP)
    watched = Watched(child, lambda: False)

    said = [watched.look() for _ in range(SILENT_TIMES + 1)]

    assert said[:-1] == [None] * (SILENT_TIMES - 1) + ["script did not answer any more and was ended"]
    assert eventually(lambda: bool(watched.look()) or child.running())
    child.kill()


def test_a_child_for_which_there_is_no_room_is_started_when_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "TRY_AGAIN_S", 0.0)
    child = Child(shell(tmp_path, "exec sleep 60"))
    watched = Watched(child)
    child.start()
    child.kill()

    with monkeypatch.context() as full:
        full.setattr(subprocess, "Popen", _no_room)
        assert eventually(lambda: "No space left" in (watched.look() or ""))

    assert eventually(lambda: watched.look() is None and child.running())
    child.kill()


def _no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_launcher_whose_log_has_no_room_goes_on(tmp_path: Path) -> None:
    said: list[str] = []

    def pause(seconds: float) -> None:
        if len(said) == 2:
            raise KeyboardInterrupt

    settings = Settings(tmp_path, 8080, None, None, tmp_path, {})
    household = Household(settings, lambda what: nullcontext(), said.append, pause)
    household.folder.logs.mkdir(parents=True)
    household.folder.log("launcher").symlink_to("/dev/full")
    household._services = [Watched(Child(shell(tmp_path, "exit 1"))) for _ in range(2)]

    with pytest.raises(KeyboardInterrupt):
        household.watch()

    assert said == ["script ended; starts again in 0.2 s"] * 2


def test_a_child_that_answers_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dosette_local.supervision.ASK_EVERY_S", 0.0)
    child = Child(shell(tmp_path, "exec sleep 60"))
    child.start()
    answers = iter([False, False, True, False, False, True])
    watched = Watched(child, lambda: next(answers))

    assert [watched.look() for _ in range(6)] == [None] * 6
    assert child.running()
    child.kill()
