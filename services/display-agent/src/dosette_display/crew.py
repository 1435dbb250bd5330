"""The threads of a process: they stop together, and when one fails or hangs, the process ends, to be started again.

Nothing restarts a hung process from outside (Docker restarts one that has exited, never one that is unhealthy).
"""

import logging
import os
import time
from collections.abc import Callable
from threading import Event, Thread

STUCK_AFTER_S = 30.0
LOOK_EVERY_S = 5.0

log = logging.getLogger(__name__)


class Crew:
    """Runs loops, each on a thread of its own, until told to stop."""

    def __init__(self, stopping: Event) -> None:
        self._stopping = stopping
        self._threads: list[Thread] = []
        self.failed = False

    def start(self, name: str, loop: Callable[[], None]) -> None:
        thread = Thread(target=self._run, args=(name, loop), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, timeout_s: float) -> None:
        """Waits until all have ended, but no longer than this."""
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, name: str, loop: Callable[[], None]) -> None:
        try:
            loop()
        except Exception:  # whatever it is, a process with a thread missing must not look alive
            self.failed = True
            self._stopping.set()
            log.exception("a thread failed", extra={"loop": name})


class Watchdog:
    """Ends the process when a loop makes no progress. It counts its own looks and not the time, so that a process that was
    frozen and thawed is given another chance."""

    def __init__(
        self,
        progress: Callable[[], float],
        die: Callable[[int], object] = os._exit,
        alive: Callable[[], object] = lambda: None,
    ) -> None:
        """`progress` is another number after each round of the loop; `alive` is called at each look that sees another."""
        self._progress = progress
        self._alive = alive
        self._die = die

    def run(self, stopping: Event, every_s: float = LOOK_EVERY_S) -> None:
        seen, looks = self._progress(), 0
        while not stopping.wait(every_s):
            before, seen = seen, self._progress()
            looks = looks + 1 if seen == before else 0
            if not looks:
                self._alive()
            if looks * every_s >= STUCK_AFTER_S:
                log.error("the main loop made no progress; the process ends itself", extra={"seconds": looks * every_s})
                self._die(1)
                return
