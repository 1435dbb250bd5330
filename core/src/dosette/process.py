"""What every process does first and last: settings, logs, clock, metrics, fault points; stopping on SIGTERM; ending when stuck."""

import faulthandler
import os
import signal
import socket
from dataclasses import dataclass
from threading import Event
from types import FrameType

from dosette import faults
from dosette.clock import Clock, clock_from
from dosette.logs import configure_logs
from dosette.settings import BadSetting, Common, Environment

STUCK_AFTER_S = 30.0


@dataclass(frozen=True)
class Process:
    """A started process: its environment, its clock, the event that says stop, and a socket that can be read from then on,
    for a loop that sleeps in `select`."""

    env: Environment
    common: Common
    clock: Clock
    stopping: Event
    woken: socket.socket


def start(service: str) -> Process:
    """To be called once, by a `main` on the main thread."""
    env = Environment(os.environ)
    common = Common.of(env)
    configure_logs(service, common.log_level)
    try:
        faults.arm(common.faults)
    except ValueError as error:
        raise BadSetting(str(error)) from None
    return Process(env, common, clock_from(common.clock_file), _stopping_on_signals(), _woken_by_signals())


def goes_on(stuck_after_s: float = STUCK_AFTER_S) -> None:
    """To be said by a loop at every turn: when it is not said again in time, the process writes what each thread was doing and
    ends, for engines restart what ends, not what hangs. A thread below Python counts, so that it works in a hung call, too."""
    faulthandler.dump_traceback_later(stuck_after_s, exit=True)


def _stopping_on_signals() -> Event:
    stopping = Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping


def _woken_by_signals() -> socket.socket:
    """Python goes on sleeping in `select` after a signal (PEP 475), unless the signal makes something readable."""
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.detach(), warn_on_full_buffer=False)
    return woken
