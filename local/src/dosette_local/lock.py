"""One household per data folder: a lock that is held as long as its launcher or any of its children lives.

The children inherit the open file, and the kernel drops the lock with the last of them: no process number to trust, no
stale file to remove, and a zombie holds nothing.
"""

import fcntl
import os
import signal
import time
from pathlib import Path

from dosette_local.errors import CannotStart
from dosette_local.processes import LOOK_EVERY_S, Pause

LEAVING_TIMEOUT_S = 15.0
STATE, STARTED = 2, 21  # fields of /proc/PID/stat, counted from 0


def hold(file: Path, pause: Pause) -> int:
    """The descriptor that holds it, for children to inherit. Waits for those whom a killed launcher left, as they leave.

    CannotStart when another launcher has it.
    """
    deadline = time.monotonic() + LEAVING_TIMEOUT_S
    while (descriptor := _taken(file)) is None:
        if launcher := launcher_of(file):
            raise CannotStart(f"Dosette already runs on {file.parent} (process {launcher}): `make down` stops it.")
        if time.monotonic() > deadline:
            raise CannotStart(f"Processes of an earlier start still use {file.parent}: see `fuser {file}`, end them.")
        pause(LOOK_EVERY_S)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()} {_started(os.getpid())}\n".encode())
    return descriptor


def launcher_of(file: Path) -> int | None:
    """The process that holds it; None when nobody does, or only what a killed launcher left."""
    if not is_held(file):
        return None
    number, _, started = file.read_text().strip().partition(" ")
    return int(number) if number.isdecimal() and started == _started(int(number)) else None


def is_held(file: Path) -> bool:
    """Whether the launcher or any of its children lives."""
    if not file.exists():
        return False
    if (descriptor := _taken(file)) is None:
        return True
    os.close(descriptor)
    return False


def end(file: Path, timeout_s: float) -> bool:
    """Asks the launcher to stop all and waits until everything has ended; False when it doesn't in time."""
    if launcher := launcher_of(file):
        os.kill(launcher, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while is_held(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def _taken(file: Path) -> int | None:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _started(process: int) -> str | None:
    """When a living process began, in the kernel's ticks; None for one that is gone or a zombie."""
    try:
        after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[STATE - 2] == "Z" else after_name[STARTED - 2]
