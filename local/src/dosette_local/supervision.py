"""Restarts a child that ended, at once or, when it keeps ending, after longer and longer."""

import time

from dosette_local.processes import Child

DELAYS_S = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_AFTER_S = 10.0


class Watched:
    """A child that is to run for ever."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self._restarts_in_a_row = 0
        self._restart_at: float | None = None

    def look(self) -> str | None:
        """To be called often. Restarts it when the time has come; returns a line for the log when it has just ended."""
        if self.child.running():
            return None
        now = time.monotonic()
        if self._restart_at is None:
            delay_s = self._delay_s(now - self.child.started_at)
            self._restart_at = now + delay_s
            return f"{self.child.program.name} {self._ending()}; starts again in {delay_s:g} s"
        if now >= self._restart_at:
            self._restart_at = None
            self.child.start()
        return None

    def _delay_s(self, lived_s: float) -> float:
        """None for a child that ended as it should after real work, as the worker does after its number of jobs."""
        if lived_s > STEADY_AFTER_S:
            self._restarts_in_a_row = 0
        if self.child.exit_code() == 0 and lived_s > DELAYS_S[1]:
            return 0.0
        self._restarts_in_a_row += 1
        return DELAYS_S[min(self._restarts_in_a_row, len(DELAYS_S)) - 1]

    def _ending(self) -> str:
        code = self.child.exit_code()
        if code is not None and code < 0:
            return f"was ended by signal {-code}"
        return f"ended (exit code {code}): {self.child.program.log.complaint()}" if code else "ended"
