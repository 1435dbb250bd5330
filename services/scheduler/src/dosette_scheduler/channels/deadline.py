"""A deadline over all of a try: names that nobody resolves, and peers that drip, outlast every time-out of a socket."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Lock, Thread
from typing import TypeVar

from dosette_scheduler.channels import TIMEOUT_S, ChannelFailed

MOST_LEFT_BEHIND = 16

_T = TypeVar("_T")


class Deadline:
    """Each try has a thread of its own, which is left behind when the deadline comes: it may still end well, and is told again.

    While too many were left behind, no more are begun.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._left_behind: list[Thread] = []
        self._lock = Lock()

    def keep(self, work: Callable[[], _T], give_up: Callable[[], None] = lambda: None) -> _T:
        """What `work` returns or raises; `give_up` may hasten its end when it is left behind. Raises ChannelFailed."""
        self._make_room()
        done: Future[_T] = Future()
        thread = Thread(target=_run, args=(work, done), daemon=True)
        thread.start()
        if not wait([done], self._timeout_s).done:
            with self._lock:
                self._left_behind.append(thread)
            give_up()
            raise ChannelFailed(f"no whole answer within {self._timeout_s:g} s")
        return done.result()

    def _make_room(self) -> None:
        with self._lock:
            self._left_behind = [thread for thread in self._left_behind if thread.is_alive()]
            if len(self._left_behind) >= MOST_LEFT_BEHIND:
                raise ChannelFailed("too many earlier messages still wait for their answer; it is tried again")


def _run(work: Callable[[], _T], done: "Future[_T]") -> None:
    try:
        done.set_result(work())
    except BaseException as error:
        done.set_exception(error)
