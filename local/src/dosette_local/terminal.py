"""What the launcher shows, and how the terminal's Ctrl-C reaches it."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dosette_local import leash
from dosette_local.errors import Stopped


class Stopping:
    """Remembers that someone asked to stop: Ctrl-C, `make down`, a closed terminal, the end of the parent."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def pause(self, seconds: float) -> None:
        """Sleeps; raises Stopped as soon as someone has asked."""
        if not self.asked:
            time.sleep(seconds)
        if self.asked:
            raise Stopped

    def _ask(self, *_: object) -> None:
        self.asked = True


@contextmanager
def step(what: str) -> Iterator[None]:
    """Shows what is being done, and then how long it took."""
    began = time.monotonic()
    show(f"  {what} ... ", end="")
    try:
        yield
    except BaseException:
        show("")
        raise
    show(f"{time.monotonic() - began:.1f} s")


def show(line: str, end: str = "\n") -> None:
    """Prints it; a reader that went away is no reason to stop a household."""
    with suppress(BrokenPipeError):
        print(line, end=end, flush=True)


def live_with_parent() -> None:
    """Stops when `make` is killed, and takes Ctrl-C alone, so that `make` doesn't die of it and ends with our exit code."""
    leash.die_with(os.getppid(), signal.SIGTERM)
    with suppress(OSError), open("/dev/tty") as terminal:
        if os.tcgetpgrp(terminal.fileno()) == os.getpgrp() != os.getpid():
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # `make` would not notice, and nobody would have the terminal
            os.setpgid(0, 0)
            os.tcsetpgrp(terminal.fileno(), os.getpid())


def complain(sentence: str) -> int:
    """Shows it on stderr; returns the exit code that goes with it."""
    print(f"dosette: {sentence}", file=sys.stderr, flush=True)
    return 1
