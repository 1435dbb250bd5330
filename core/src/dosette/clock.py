"""The one place where Dosette asks for the time; everybody else is given `now`.

`DOSETTE_CLOCK_FILE` names a file that holds a number of seconds. Every process that reads the same file lives that many
seconds ahead of (or behind) the real time, so that a test moves a whole household by writing one number.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

Clock = Callable[[], datetime]
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

log = logging.getLogger(__name__)
_moved_s = 0.0


def real_clock() -> datetime:
    """The time in UTC, aware."""
    return datetime.now(UTC)


def moved_s() -> float:
    """How far this process's clock was moved when it was last read; 0 in real life."""
    return _moved_s


class MovableClock:
    """Real time plus the seconds in a file; read again at each call, so that a move is seen at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> datetime:
        global _moved_s
        _moved_s = self._offset_s()
        return real_clock() + timedelta(seconds=_moved_s)

    def move(self, by: timedelta) -> None:
        """Moves every process on this file; used by tests."""
        replacement = self._path.with_suffix(".new")
        replacement.write_text(str(self._offset_s() + by.total_seconds()))
        replacement.replace(self._path)

    def _offset_s(self) -> float:
        try:
            return float(self._path.read_text() or 0)
        except FileNotFoundError:
            return 0.0


def clock_from(path: Path | None) -> Clock:
    """The real clock, or the movable one when a path is given, which is said loudly."""
    if path is None:
        return real_clock
    log.warning(
        "the clock of this process is moved by a file; never use this with real medicine", extra={"path": str(path)}
    )
    return MovableClock(path)


def longest_wait_s(clock: Clock, wanted_s: float) -> float:
    """How long a loop may sleep: a movable clock can jump while it sleeps, so then it looks five times a second."""
    return min(wanted_s, 0.2) if isinstance(clock, MovableClock) else wanted_s


def boot_id() -> str:
    """Which boot of this machine it is that `boottime_s` counts from."""
    return BOOT_ID.read_text().strip()


def boottime_s() -> float:
    """Seconds since this machine booted, sleep included; steps of the wall clock don't touch it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
