"""The link to the server over Redis: two threads, one that waits for hints, one that sends presses and the picture.

Each call may fail at any moment; then nothing is lost, since the plan stays here, presses are in the journal, and all is said
again after a second.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition, Event

from dosette import __version__
from dosette.clock import Clock, boot_id, boottime_s
from dosette.contracts.device_file import DeviceFile
from dosette.contracts.life import SignOfLife
from dosette.contracts.press import Press, SentPress
from dosette.contracts.signing import seal
from dosette.device_bus import BusDown, DeviceBus, NotAdmitted
from dosette.faults import fp
from dosette_display.metrics import Gauge

BLOCK_S = 5.0
"""How long one wait for a hint lasts: a wire that was cut silently is noticed 10 s after."""
LOOK_EVERY_S = 30.0
"""The plan is fetched this often without a hint, since hints may be lost."""
RETRY_S = 1.0
PARTED_RETRY_S = 60.0
FRAME_EVERY_S = 60.0
RESEND_S = 5.0
RESEND_AT_MOST_S = 60.0
"""A press is sent again after 5 s, 10 s … while nothing is heard, so that the stream of a server that is away stays short."""
BATCH = 200

log = logging.getLogger(__name__)
_up = Gauge("dosette_panel_link_up", "Whether the last word to Redis was answered", begins=None)


@dataclass(frozen=True)
class Talk:
    """What the agent answers to the link, and is told by it. Called from the link's threads."""

    heard: Callable[[bytes], None]
    unsent: Callable[[], Sequence[Press]]
    sent: Callable[[], None]
    clock_synced: Callable[[], bool] = lambda: True
    refused: Callable[[], int] = lambda: 0
    parted: Callable[[], bool] = lambda: False
    """Whether this device is no longer paired, so that nobody will answer."""


@dataclass
class Link:
    """Speaks as `device`, or as what `use` was told last."""

    device: DeviceFile
    address: str
    talk: Talk
    clock: Clock
    stopping: Event
    admitted: bool = True
    """False while the link is down because Redis does not let this device in."""
    _lost_at_s: float | None = field(default_factory=boottime_s)
    _wake: Condition = field(default_factory=Condition)
    _frame: bytes | None = None
    _frame_since_s: float = field(default_factory=boottime_s)
    _frame_at: float = float("-inf")
    _sent_number: int = 0
    _said_waiting: int = 0
    _sent_at: float = float("-inf")
    _resend_s: float = RESEND_S

    @property
    def lost_s(self) -> float | None:
        """For how long the link has been down, whatever the wall clock says; None while it is up."""
        lost_at_s = self._lost_at_s
        return None if lost_at_s is None else boottime_s() - lost_at_s

    def use(self, device: DeviceFile) -> None:
        """The same device with newer keys: connects anew, and says all again, so that the server sees that they are in use."""
        self.device = device
        self._say_all_again()

    def listen(self) -> None:
        """A loop: fetches the plan at each hint, and every half a minute."""
        self._repeat(self._listen, BLOCK_S)

    def send(self) -> None:
        """A loop: sends presses until they are taken in, and the picture when it changed or would fade."""
        self._repeat(self._send, 0.0)

    def show(self, frame: bytes) -> None:
        """The picture that the panel shows now."""
        with self._wake:
            self._frame, self._frame_at, self._frame_since_s = frame, float("-inf"), boottime_s()
            self._wake.notify()

    def pressed(self) -> None:
        """There is a press to send."""
        with self._wake:
            self._wake.notify()

    def wake(self) -> None:
        """After `stopping` is set. The listener hears of it when its wait is over, and ends with the process before that."""
        with self._wake:
            self._wake.notify()

    def _repeat(self, talk: Callable[[DeviceBus, DeviceFile], None], block_s: float) -> None:
        """One connection after another, each until it fails or the keys change."""
        while not self.stopping.is_set():
            device = self.device
            bus = DeviceBus(self.address, device.redis_user, device.redis_password, block_s)
            try:
                talk(bus, device)
            except BusDown as error:
                self._is_down(error)
                wait_s = PARTED_RETRY_S if self.talk.parted() else RETRY_S
                self.stopping.wait(wait_s * random.uniform(0.7, 1.3))
            finally:
                bus.close()

    def _listen(self, bus: DeviceBus, device: DeviceFile) -> None:
        after = bus.wait_for_hint(device.device_id, "0", 0.001)
        while not self.stopping.is_set() and self.device is device:
            self._look(bus)
            after = self._next_hint(bus, after)

    def _look(self, bus: DeviceBus) -> None:
        sealed = bus.plan(self.device.device_id)
        self._is_up()
        if sealed is not None:
            self.talk.heard(sealed)

    def _next_hint(self, bus: DeviceBus, after: str) -> str:
        """Returns at a hint, or when it is time to look without one."""
        until, device = time.monotonic() + LOOK_EVERY_S, self.device
        newest = after
        while newest == after and time.monotonic() < until and not self.stopping.is_set() and self.device is device:
            newest = bus.wait_for_hint(device.device_id, after, BLOCK_S)
        return newest

    def _send(self, bus: DeviceBus, device: DeviceFile) -> None:
        while not self.stopping.is_set() and self.device is device:
            self._send_presses(bus, time.monotonic())
            self._send_frame(bus, time.monotonic())
            with self._wake:
                if not self._has_news():
                    self._wake.wait(self._wait_s(time.monotonic()))

    def _send_presses(self, bus: DeviceBus, now: float) -> None:
        """All that wait, in one transaction: the server acknowledges a number only with all before it."""
        presses = self.talk.unsent()[:BATCH]
        if not presses or not self._is_time_to_send(presses, now):
            return
        fp("P4")
        again = presses[-1].number <= self._sent_number
        boot, boot_s, key = boot_id(), boottime_s(), self.device.signing_key
        sealed = [seal(SentPress(press, boot, boot_s).to_json(), key) for press in presses]
        bus.send_presses(self.device.device_id, sealed)
        self._sent_number, self._sent_at = presses[-1].number, now
        self._resend_s = min(self._resend_s * 2, RESEND_AT_MOST_S) if again else RESEND_S
        if again:
            self.talk.sent()

    def _is_time_to_send(self, presses: Sequence[Press], now: float) -> bool:
        return presses[-1].number > self._sent_number or now >= self._sent_at + self._resend_s

    def _send_frame(self, bus: DeviceBus, now: float) -> None:
        with self._wake:
            frame = self._frame
        if frame is not None and (now >= self._frame_at + FRAME_EVERY_S or self._all_arrived()):
            bus.show_frame(self.device.device_id, frame)
            bus.send_life(self.device.device_id, seal(self._life().to_json(), self.device.signing_key))
            with self._wake:
                if frame is self._frame:
                    self._frame_at = now

    def _all_arrived(self) -> bool:
        """Whether the last sign of life said of presses that wait, and none does any more."""
        return bool(self._said_waiting) and not self.talk.unsent()

    def _life(self) -> SignOfLife:
        self._said_waiting = len(self.talk.unsent())
        return SignOfLife(
            self.device.device_id,
            self.clock(),
            self.talk.clock_synced(),
            waiting=self._said_waiting,
            shown_s=boottime_s() - self._frame_since_s,
            refused=self.talk.refused(),
            version=__version__,
        )

    def _has_news(self) -> bool:
        presses = self.talk.unsent()[:BATCH]
        unsent = bool(presses and presses[-1].number > self._sent_number)
        return self.stopping.is_set() or unsent or (self._frame is not None and self._all_arrived())

    def _wait_s(self, now: float) -> float:
        frame_in = self._frame_at + FRAME_EVERY_S - now if self._frame is not None else FRAME_EVERY_S
        resend_in = self._sent_at + self._resend_s - now if self.talk.unsent() else FRAME_EVERY_S
        return max(0.0, min(frame_in, resend_in))

    def _is_up(self) -> None:
        if self._lost_at_s is not None:
            log.info("the link is up", extra={"address": self.address})
            self._say_all_again()
        self._lost_at_s, self.admitted = None, True
        _up.set(1)

    def _is_down(self, error: Exception) -> None:
        if self._lost_at_s is None and not self.stopping.is_set():
            log.warning("the link is down", extra={"address": self.address, "error": str(error)})
            self._lost_at_s = boottime_s()
        self.admitted = not isinstance(error, NotAdmitted)
        _up.set(0)

    def _say_all_again(self) -> None:
        """Redis may have lost everything meanwhile."""
        with self._wake:
            self._sent_number, self._resend_s, self._frame_at = 0, RESEND_S, float("-inf")
            self._wake.notify()
