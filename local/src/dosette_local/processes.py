"""Child processes that never outlive the launcher, whatever happens to it.

Linux sends each child a signal when the *thread* that made it ends, so children are made on the main thread only.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dosette_local import leash
from dosette_local.account import Account
from dosette_local.errors import CannotStart
from dosette_local.logs import Log

LOOK_EVERY_S = 0.02

Pause = Callable[[float], None]


@dataclass(frozen=True)
class Program:
    """What is to run, and how it is told to end."""

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str] = field(repr=False)  # holds passwords
    cwd: Path
    log: Log
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 8.0
    keeps_open: tuple[int, ...] = ()  # descriptors that it inherits: a lock that lasts as long as any child does


class Child:
    """A program that runs, ended, or has not begun."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.started_at = 0.0  # time.monotonic()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Begins it, output appended to its log; does not wait for it to be of use."""
        with self.program.log.opened() as log:
            self._process = _spawn(self.program, stdin=subprocess.DEVNULL, stdout=log.fileno(), stderr=log.fileno())
        self.started_at = time.monotonic()

    def running(self) -> bool:
        return self._process is not None and self.exit_code() is None

    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it. What it left of its own children is ended too."""
        process = self._process
        if process is None or process.returncode is not None:
            return process.returncode if process else None
        # Looked at before it is reaped: until then nobody else can get its number, so the group is surely ours.
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        _end_group(process.pid)
        return process.wait()

    def stop(self) -> None:
        """Asks it to end and waits; a child that won't is killed."""
        self.ask_to_end()
        self.wait_for_end()

    def ask_to_end(self) -> None:
        """The first half of `stop`. To be called once: a second time, some programs take for impatience."""
        self._signal(self.program.stop_signal)

    def wait_for_end(self) -> None:
        """The second half."""
        if not self._ended_within(self.program.stop_timeout_s):
            self.kill()

    def kill(self) -> None:
        """Ends it at once (kill -9), and waits until it is gone."""
        self._signal(signal.SIGKILL)
        self._ended_within(self.program.stop_timeout_s)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.running():
            os.kill(self._process.pid, number)

    def _ended_within(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.running():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_EVERY_S)
        return True


def output_of(program: Program, stdin: str = "", pause: Pause = time.sleep) -> str:
    """Runs it to its end and returns what it wrote on stdout; its stderr goes to its log. CannotStart when it fails.

    `pause` is slept with while waiting; what it raises ends the program.
    """
    # Files and no pipes: nobody waits for anybody, however much is said.
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as told, program.log.opened() as log:
        said.write(stdin.encode())
        said.seek(0)
        process = _spawn(program, stdin=said.fileno(), stdout=told.fileno(), stderr=log.fileno())
        _wait(process, pause)
        told.seek(0)
        output = told.read().decode(errors="replace").strip()
    if process.returncode != 0:
        raise CannotStart(f"{program.name} failed: {program.log.complaint()} (see {program.log.path})")
    return output


def _spawn(program: Program, stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    words = [os.fspath(word) for word in program.argv]
    if not os.access(words[0], os.X_OK):
        raise CannotStart(
            f"{program.name} cannot be started: {words[0]} is missing; install it again (`make clean up`)."
        )
    return subprocess.Popen(
        [*_leash(program), *words],
        env=dict(program.env),
        cwd=program.cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,  # the terminal's Ctrl-C is for the launcher, who then ends all in order
        pass_fds=program.keeps_open,
    )


def _wait(process: subprocess.Popen[bytes], pause: Pause) -> None:
    try:
        while process.poll() is None:
            pause(LOOK_EVERY_S)
    except BaseException:
        _end_group(process.pid)
        process.wait()
        raise


def _leash(program: Program) -> list[str]:
    who = "-"
    if account := program.account:
        right = account.passes_closed_folders
        who = f"{account.uid}:{account.gid}:{-1 if right is None else right}"
    # -I -S: nothing of the user's environment or of site-packages is read.
    return [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), str(int(program.stop_signal)), who]


def _end_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
