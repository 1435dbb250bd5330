"""Fault points: `fp("S3")` stands at each step that docs/architecture.md names, and does nothing until `FAULT` arms it.

`FAULT=S3:kill` ends the process at the first pass, `S3:kill:4` at the fourth; `stop` freezes it (SIGSTOP), `raise` raises
`InjectedFault`; `delay:5` sleeps five seconds at every pass. Several are joined by commas.
"""

import os
import signal
import threading
import time
from dataclasses import dataclass

KINDS = ("kill", "stop", "raise", "delay")
POINTS = (
    "S1",
    "S2",
    "S3",
    "S4",
    "W1",
    "W2",
    "W3",
    "W4",
    "W5",
    "W6",
    "A1",
    "A2",
    "A3",
    "A4",
    "P1",
    "P2",
    "P3",
    "P4",
    "P5",
    "P6",
)


class InjectedFault(RuntimeError):
    """Raised by a fault point armed with `raise`; nothing catches it on purpose."""


@dataclass
class _Fault:
    kind: str
    number: float  # seconds of a delay; else the pass at which it strikes
    passes: int = 0

    def strike(self, point: str) -> None:
        self.passes += 1
        if self.kind == "delay":
            time.sleep(self.number)
        elif self.passes == self.number:
            self._once(point)

    def _once(self, point: str) -> None:
        if self.kind == "raise":
            raise InjectedFault(point)
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        # Sent to the process, another thread may take it, and this one goes on for a while.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


_armed: dict[str, _Fault] = {}


def fp(point: str) -> None:
    """A place where a test may make this process fail; free when nothing is armed."""
    if _armed and (fault := _armed.get(point)):
        fault.strike(point)


def arm(faults: str | None) -> None:
    """Arms what `FAULT` says and disarms all else. ValueError names what is wrong with it."""
    armed = dict(_parsed(one) for one in faults.split(",")) if faults else {}
    _armed.clear()
    _armed.update(armed)


def _parsed(text: str) -> tuple[str, _Fault]:
    point, _, rest = text.partition(":")
    kind, _, number = rest.partition(":")
    if point not in POINTS or kind not in KINDS:
        raise ValueError(
            f"FAULT={text}: write POINT:KIND[:N], POINT one of {' '.join(POINTS)}, KIND one of {' '.join(KINDS)}"
        )
    try:
        return point, _Fault(kind, float(number or 1))
    except ValueError:
        raise ValueError(f"FAULT={text}: '{number}' is not a number") from None
