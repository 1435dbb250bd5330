"""Restarts a child that ended, at once or, when it keeps ending, after longer and longer; ends one that does not answer any more."""

import time
from collections.abc import Callable

from dosette_local.processes import Child

DELAYS_S = (0.2, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""What ends twice in ten seconds may have been struck twice; what ends five times has a fault, and must not use up a small machine."""
WORKED_AFTER_S = 1.0
STEADY_AFTER_S = 10.0
TRY_AGAIN_S = 5.0
ASK_EVERY_S = 15.0
SILENT_TIMES = 3
"""A process that hangs ends itself; one that was stopped (SIGSTOP) can't."""


class Backoff:
    """How long to wait before a child is started again."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def delay_s(self, lived_s: float, exit_code: int | None) -> float:
        """None for a child that ended as it should after real work, as the worker does after its number of jobs."""
        if lived_s > STEADY_AFTER_S:
            self._in_a_row = 0
        if exit_code == 0 and lived_s > WORKED_AFTER_S:
            return 0.0
        self._in_a_row += 1
        return DELAYS_S[min(self._in_a_row, len(DELAYS_S)) - 1]


class Watched:
    """A child that is to run for ever."""

    def __init__(
        self,
        child: Child,
        answers: Callable[[], bool] | None = None,
        mend: Callable[[], object] = lambda: None,
    ) -> None:
        """`answers` asks it whether it is there, whatever it says of itself; `mend` is done before it is started again."""
        self.child = child
        self._mend = mend
        self._answers = answers
        self._ask_at = time.monotonic() + ASK_EVERY_S
        self._silent = 0
        self._backoff = Backoff()
        self._restart_at: float | None = None

    def look(self) -> str | None:
        """To be called often. Restarts it when the time has come; returns a line for the log when it has just ended."""
        if self.child.running():
            return self._ask()
        now = time.monotonic()
        if self._restart_at is None:
            delay_s = self._backoff.delay_s(now - self.child.started_at, self.child.exit_code())
            self._restart_at = now + delay_s
            return f"{self.child.program.name} {self._ending()}; starts again in {delay_s:g} s"
        return self._restart(now) if now >= self._restart_at else None

    def _restart(self, now: float) -> str | None:
        """If the machine lets us: on a full disk there may be no room for its log."""
        try:
            self._mend()
            self.child.start()
        except OSError as error:
            self._restart_at = now + TRY_AGAIN_S
            return f"{self.child.program.name} can't be started: {error}; tried again in {TRY_AGAIN_S:g} s"
        self._restart_at = None
        self._silent, self._ask_at = 0, now + ASK_EVERY_S
        return None

    def _ask(self) -> str | None:
        """Now and then; ends the child when it was silent too often."""
        if self._answers is None or time.monotonic() < self._ask_at:
            return None
        self._silent = 0 if self._answers() else self._silent + 1
        self._ask_at = time.monotonic() + ASK_EVERY_S
        if self._silent < SILENT_TIMES:
            return None
        self.child.kill()
        return f"{self.child.program.name} did not answer any more and was ended"

    def _ending(self) -> str:
        code = self.child.exit_code()
        if code is not None and code < 0:
            return f"was ended by signal {-code}"
        return f"ended (exit code {code}): {self.child.program.log.complaint()}" if code else "ended"
