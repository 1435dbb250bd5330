"""The parts of one household as real processes: started with a fault, struck by it, and started again without, as a supervisor would."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TypeVar

import psycopg2

from conftest import Home
from dosette.clock import MovableClock
from dosette.testing import NOON
from dosette_local.ports import free_port
from tests.chaos.history import Acknowledged, History, read

KINDS = ("kill", "stop", "raise", "delay:0.3")
PATIENCE_S = 45.0
SECRET = "a secret"
SOON = timedelta(seconds=2)
"""After noon: what fell due then need not be waited for."""
HERE = Path(sys.executable).parent

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """A process of its own, with a group of its own (gunicorn has children)."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def is_frozen(self) -> bool:
        """Whether any of its group was stopped by a signal."""
        return any(_state(pid) == "T" for pid in self._group())

    def has_raised(self) -> bool:
        return "InjectedFault" in self.log.read_text()

    def was_killed(self) -> bool:
        """It, or the child of it that did the work."""
        return self.process.poll() == -signal.SIGKILL or "SIGKILL" in self.log.read_text()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def go_on(self) -> None:
        os.killpg(self.process.pid, signal.SIGCONT)

    def end(self) -> None:
        """At once, whatever state it is in."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _group(self) -> list[int]:
        """It and its children."""
        pid = self.process.pid
        try:
            return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        except OSError:
            return []


@dataclass
class Parts:
    """All processes live by one clock, which goes on from soon after noon; `superuser` reads the history."""

    home: Home
    superuser: str
    redis_url: str
    folder: Path
    port: int = field(default_factory=free_port)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    saved_presses: int = 0
    started: list[Part] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.clock = MovableClock(self.folder / "clock")
        self.clock.move(NOON + SOON - datetime.now(UTC))
        self._connection = psycopg2.connect(self.superuser, options="-c search_path=dosette")
        self._connection.autocommit = True

    @property
    def deliveries(self) -> Path:
        return self.folder / "deliveries"

    def start(self, name: str, fault: str = "", **environ: str) -> Part:
        """One of scheduler, worker, api, display."""
        words: list[str | Path] = [HERE / f"dosette-{name}", *(["run"] if name == "display" else [])]
        log = self.folder / f"{name}-{next(self._numbers)}.log"
        told = self._environ(name) | ({"FAULT": fault} if fault else {}) | environ
        with log.open("wb") as file:
            process = subprocess.Popen(words, env=told, stdout=file, stderr=file, start_new_session=True)
        part = Part(name, process, log)
        self.started.append(part)
        return part

    def end(self) -> None:
        for part in self.started:
            part.end()
        self._connection.close()

    def strike(self, part: Part, kind: str) -> None:
        """Waits until the fault has struck, and ends what hangs: a supervisor starts what has ended, and nothing else."""
        if kind == "kill":
            self.eventually(part.was_killed)
            part.end()
        elif kind == "stop":
            self.eventually(part.is_frozen)
            part.end()
        elif kind == "raise":
            self.eventually(part.has_raised)

    def told(self) -> bool:
        """Whether everything that is due was told, and nothing is on its way."""
        return bool(self.lines()) and self.count(_UNTOLD) == 0

    def lines(self) -> int:
        return sum(len(path.read_text().splitlines()) for path in self.deliveries.glob("*"))

    def history(self, since: datetime, ahead: timedelta = timedelta()) -> History:
        """From `since` until now, and what is planned for so long after."""
        return read(self.superuser, self.deliveries, since, self.clock(), self.acknowledged, self.saved_presses, ahead)

    def eventually(self, true: Callable[[], T], within_s: float = PATIENCE_S) -> T:
        """What it tells as soon as it is something; fails with the logs when it does not in time. What ends is started again."""
        until = time.monotonic() + within_s
        while not (said := true()):
            self._supervise()
            assert time.monotonic() < until, self.logs()
            time.sleep(0.02)
        return said

    def logs(self) -> str:
        return "\n".join(f"{log.name}:\n{log.read_text()}" for log in sorted(self.folder.glob("*.log")))

    def count(self, query: str) -> int:
        """What a query of one number tells; `%(now)s` is known."""
        with self._connection.cursor() as cursor:
            cursor.execute(query, {"now": self.clock()})
            row = cursor.fetchone()
            return int(row[0]) if row else 0

    def _supervise(self) -> None:
        for part in [each for each in self.started if each.ended()]:
            self.started.remove(part)
            self.start(part.name)

    def _environ(self, name: str) -> dict[str, str]:
        role = {
            "PATH": "/usr/bin:/bin",
            "PYTHONUNBUFFERED": "1",
            "DOSETTE_CLOCK_FILE": os.fspath(self.folder / "clock"),
        }
        if name == "display":
            return role | {"DOSETTE_DEVICE_DIR": os.fspath(self.folder), "DOSETTE_PANEL": "virtual"}
        return role | {
            "DATABASE_URL": self.home.server.url(name),
            "REDIS_URL": self.redis_url,
            "DOSETTE_SECRET": SECRET,
            "DOSETTE_BIND": f"127.0.0.1:{self.port}",
            "DOSETTE_FILE_CHANNEL_DIR": os.fspath(self.deliveries),
        }


def _state(pid: int) -> str:
    """R, S, T (stopped), Z …; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


_UNTOLD = """
    SELECT (SELECT count(*) FROM reminders WHERE status = 'waiting' AND due_at <= %(now)s)
         + (SELECT count(*) FROM deliveries WHERE status = 'waiting')
"""
