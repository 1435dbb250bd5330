"""The link to the server over Redis: two threads, one that waits for hints, one that sends presses and the picture.

Each call may fail at any moment; then nothing is lost, since the plan stays here, presses are in the journal, and all is said
again after a second.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Condition, Event

from dosette.clock import Clock
from dosette.contracts.device_file import DeviceFile
from dosette.contracts.life import SignOfLife
from dosette.contracts.press import Press
from dosette.contracts.signing import seal
from dosette.device_bus import BusDown, DeviceBus
from dosette.faults import fp
from dosette.metrics import gauge

BLOCK_S = 5.0
"""How long one wait for a hint lasts: a wire that was cut silently is noticed 10 s after."""
LOOK_EVERY_S = 30.0
"""The plan is fetched this often without a hint, since hints may be lost."""
RETRY_S = 1.0
FRAME_EVERY_S = 60.0
RESEND_S = 5.0
RESEND_AT_MOST_S = 60.0
"""A press is sent again after 5 s, 10 s … while nothing is heard, so that the stream of a server that is away stays short."""
BATCH = 200

log = logging.getLogger(__name__)
_up = gauge("dosette_panel_link_up", "Whether the last word to Redis was answered")


@dataclass(frozen=True)
class Talk:
    """What the agent answers to the link, and is told by it. Called from the link's threads."""

    heard: Callable[[bytes], None]
    unsent: Callable[[], Sequence[Press]]
    sent: Callable[[], None]
    clock_synced: Callable[[], bool] = lambda: True


@dataclass
class Link:
    """`lost_at` is when the link went down, by the clock; None while it is up."""

    device: DeviceFile
    address: str
    talk: Talk
    clock: Clock
    stopping: Event
    lost_at: datetime | None = None
    _wake: Condition = field(default_factory=Condition)
    _frame: bytes | None = None
    _frame_at: float = float("-inf")
    _sent_number: int = 0
    _sent_at: float = float("-inf")
    _resend_s: float = RESEND_S

    def __post_init__(self) -> None:
        self.lost_at = self.clock()
        self._listener, self._sender = self._bus(BLOCK_S), self._bus(0.0)

    def listen(self) -> None:
        """A loop: fetches the plan at each hint, and every half a minute."""
        self._repeat(self._listen)

    def send(self) -> None:
        """A loop: sends presses until they are taken in, and the picture when it changed or would fade."""
        self._repeat(self._send)

    def show(self, frame: bytes) -> None:
        """The picture that the panel shows now."""
        with self._wake:
            self._frame, self._frame_at = frame, float("-inf")
            self._wake.notify()

    def pressed(self) -> None:
        """There is a press to send."""
        with self._wake:
            self._wake.notify()

    def wake(self) -> None:
        """After `stopping` is set. The listener hears of it when its wait is over, and ends with the process before that."""
        with self._wake:
            self._wake.notify()

    def _bus(self, block_s: float) -> DeviceBus:
        return DeviceBus(self.address, self.device.redis_user, self.device.redis_password, block_s)

    def _repeat(self, talk: Callable[[], None]) -> None:
        while not self.stopping.is_set():
            try:
                talk()
            except BusDown as error:
                self._is_down(error)
                self.stopping.wait(RETRY_S * random.uniform(0.7, 1.3))

    def _listen(self) -> None:
        after = self._listener.wait_for_hint(self.device.device_id, "0", 0.001)
        while not self.stopping.is_set():
            self._look()
            after = self._next_hint(after)

    def _look(self) -> None:
        sealed = self._listener.plan(self.device.device_id)
        self._is_up()
        if sealed is not None:
            self.talk.heard(sealed)

    def _next_hint(self, after: str) -> str:
        """Returns at a hint, or when it is time to look without one."""
        until = time.monotonic() + LOOK_EVERY_S
        newest = after
        while newest == after and time.monotonic() < until and not self.stopping.is_set():
            newest = self._listener.wait_for_hint(self.device.device_id, after, BLOCK_S)
        return newest

    def _send(self) -> None:
        while not self.stopping.is_set():
            self._send_presses(time.monotonic())
            self._send_frame(time.monotonic())
            with self._wake:
                if not self._has_news():
                    self._wake.wait(self._wait_s(time.monotonic()))

    def _send_presses(self, now: float) -> None:
        """All that wait, in one transaction: the server acknowledges a number only with all before it."""
        presses = self.talk.unsent()[:BATCH]
        if not presses or not self._is_time_to_send(presses, now):
            return
        fp("P4")
        again = presses[-1].number <= self._sent_number
        sealed = [seal(press.to_json(), self.device.signing_key) for press in presses]
        self._sender.send_presses(self.device.device_id, sealed)
        self._sent_number, self._sent_at = presses[-1].number, now
        self._resend_s = min(self._resend_s * 2, RESEND_AT_MOST_S) if again else RESEND_S
        if again:
            self.talk.sent()

    def _is_time_to_send(self, presses: Sequence[Press], now: float) -> bool:
        return presses[-1].number > self._sent_number or now >= self._sent_at + self._resend_s

    def _send_frame(self, now: float) -> None:
        with self._wake:
            frame = self._frame
        if frame is not None and now >= self._frame_at + FRAME_EVERY_S:
            self._sender.show_frame(self.device.device_id, frame)
            self._sender.send_life(self.device.device_id, seal(self._life().to_json(), self.device.signing_key))
            with self._wake:
                if frame is self._frame:
                    self._frame_at = now

    def _life(self) -> SignOfLife:
        return SignOfLife(self.device.device_id, self.clock(), self.talk.clock_synced(), len(self.talk.unsent()))

    def _has_news(self) -> bool:
        presses = self.talk.unsent()[:BATCH]
        return self.stopping.is_set() or bool(presses and presses[-1].number > self._sent_number)

    def _wait_s(self, now: float) -> float:
        frame_in = self._frame_at + FRAME_EVERY_S - now if self._frame is not None else FRAME_EVERY_S
        resend_in = self._sent_at + self._resend_s - now if self.talk.unsent() else FRAME_EVERY_S
        return max(0.0, min(frame_in, resend_in))

    def _is_up(self) -> None:
        if self.lost_at is not None:
            log.info("the link is up", extra={"address": self.address})
            self._say_all_again()
        self.lost_at = None
        _up.set(1)

    def _is_down(self, error: Exception) -> None:
        if self.lost_at is None and not self.stopping.is_set():
            log.warning("the link is down", extra={"address": self.address, "error": str(error)})
            self.lost_at = self.clock()
        _up.set(0)

    def _say_all_again(self) -> None:
        """Redis may have lost everything meanwhile."""
        with self._wake:
            self._sent_number, self._resend_s, self._frame_at = 0, RESEND_S, float("-inf")
            self._wake.notify()
