"""The processes of a stack as the kernel sees them: what they are called here, their memory, their CPU time."""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from dosette_bench.errors import CannotMeasure

MB = 1_000_000
ASLEEP_AFTER_S = 0.5
_WAITS = "voluntary_ctxt_switches"
NAMES = (
    ("api", re.compile(r"gunicorn|dosette-api")),
    ("worker", re.compile(r"dosette-worker")),
    ("scheduler", re.compile(r"dosette-scheduler")),
    ("display-agent", re.compile(r"dosette-display")),
    ("postgresql", re.compile(r"(^|/)postgres( |:|$)")),
    ("redis", re.compile(r"(valkey|redis)-server")),
    ("launcher", re.compile(r"dosette-local")),
)


@dataclass(frozen=True)
class Process:
    """One process, under the name of the part that it belongs to."""

    name: str
    pid: int


@dataclass(frozen=True)
class Memory:
    """In bytes. PSS shares out what several processes share, so that a sum over processes is true; RSS counts it each time.

    `anonymous` is the part of PSS that belongs to no file: it does not depend on what else runs on the machine.
    """

    pss: int
    rss: int
    anonymous: int

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.pss + other.pss, self.rss + other.rss, self.anonymous + other.anonymous)

    @property
    def in_mb(self) -> dict[str, float]:
        """As the results hold it."""
        return {
            "pss_mb": round(self.pss / MB, 2),
            "rss_mb": round(self.rss / MB, 2),
            "anonymous_mb": round(self.anonymous / MB, 2),
        }


def family(pid: int) -> list[Process]:
    """A process and all that it started, with theirs; a process without a name of its own has its parent's."""
    try:
        root = psutil.Process(pid)
        return _named(root, "other")
    except psutil.NoSuchProcess:
        return []


def _named(process: psutil.Process, parent: str) -> list[Process]:
    try:
        line, children = " ".join(process.cmdline()), process.children()
    except psutil.NoSuchProcess:
        return []
    name = name_of(line, parent)
    return [Process(name, process.pid), *(each for child in children for each in _named(child, name))]


def name_of(command: str, otherwise: str) -> str:
    """What the part is called here whose process was started by this command."""
    return next((name for name, pattern in NAMES if pattern.search(command)), otherwise)


def memory(processes: Iterable[Process]) -> dict[str, Memory]:
    """Of each part, the sum of its processes. Raises CannotMeasure when the kernel does not show them to this user."""
    found: dict[str, Memory] = {}
    for process in processes:
        taken = _memory(process)
        if taken:
            found[process.name] = found[process.name] + taken if process.name in found else taken
    return found


def total(parts: Mapping[str, Memory]) -> Memory:
    return sum(parts.values(), Memory(0, 0, 0))


def _memory(process: Process) -> Memory | None:
    """None when it ended meanwhile, or is a zombie."""
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    except PermissionError:
        raise CannotMeasure(
            f"the memory of {process.name} (process {process.pid}) belongs to another user: run as root, or as the one who started it"
        ) from None
    fields = dict(line.split(":") for line in text.splitlines()[1:])
    return Memory(*(_bytes(fields[name]) for name in ("Pss", "Rss", "Pss_Anon")))


def _bytes(text: str) -> int:
    return int(text.split()[0]) * 1024


def cpu_ms(processes: Iterable[Process]) -> dict[str, float]:
    """CPU time that each part has used so far. Threads that have ended are not in it."""
    used: dict[str, float] = {}
    for process in processes:
        used[process.name] = used.get(process.name, 0.0) + _cpu_ns(process.pid) / 1e6
    return used


def _cpu_ns(pid: int) -> int:
    """To the nanosecond, of all threads: /proc/PID/stat counts in hundredths of a second."""
    return sum(_thread_ns(task) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def _thread_ns(schedstat: Path) -> int:
    try:
        return int(schedstat.read_text().split()[0])
    except (OSError, IndexError):
        return 0


class Wakes:
    """How often threads went from sleep to work. The short waits within one piece of work, for an answer or a lock, are none."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes
        self._began = self._looked_at = time.monotonic()
        self._waited = dict(self._waits())
        self._busy_at: dict[tuple[str, Path], float] = {}
        self._woke_at: dict[tuple[str, Path], list[float]] = {}

    def look(self) -> None:
        """To be called again and again, more often than ASLEEP_AFTER_S."""
        self._looked_at = now = time.monotonic()
        for thread, waits in self._waits():
            if waits == self._waited.get(thread, 0):
                continue
            if now - self._busy_at.get(thread, 0.0) > ASLEEP_AFTER_S:
                self._woke_at.setdefault(thread, []).append(now)
            self._waited[thread], self._busy_at[thread] = waits, now

    def per_second(self, name: str) -> list[float]:
        """Of each thread of a part that woke at all, to the hundredth."""
        took_s = self._looked_at - self._began
        return [_rate(woke_at, took_s) for (part, _), woke_at in self._woke_at.items() if part == name]

    def _waits(self) -> Iterator[tuple[tuple[str, Path], int]]:
        """How often each thread has waited for something so far."""
        for process in self._processes:
            for status in Path(f"/proc/{process.pid}/task").glob("*/status"):
                try:
                    lines = status.read_text().splitlines()
                except OSError:  # the thread ended meanwhile
                    continue
                yield (process.name, status), sum(int(each.split()[1]) for each in lines if each.startswith(_WAITS))


def _rate(woke_at: Sequence[float], took_s: float) -> float:
    """Between its first wake and its last: where we begin to look and end is chance."""
    in_all = len(woke_at) / took_s
    if len(woke_at) < 2:
        return round(in_all, 2)
    return round(min(in_all, (len(woke_at) - 1) / (woke_at[-1] - woke_at[0])), 2)
