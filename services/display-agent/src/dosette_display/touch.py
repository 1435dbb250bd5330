"""A touch layer over the glass (the GT1151 of Waveshare's 2.13" Touch HAT): wherever it is touched, it is the one button.

Which way round the layer reports its coordinates differs from one HAT to the next, and a TAKE that is a SKIP on the other would be worse
than no touch at all. So only whether it is touched counts: short and long, as with one button.
"""

import logging
import queue
from collections.abc import Callable
from threading import Event
from typing import Any, Protocol

from dosette_display.panels import PanelFault

INT, RESET = 27, 22
BUS, ADDRESS = 1, 0x14
PRODUCT, STATUS = 0x8140, 0x814E
NAME = b"115"
"""How the chip's product id begins in ASCII, if it is one of this family."""
FRESH, POINTS = 0x80, 0x0F
"""Of the status: whether there is a report, and of how many fingers. It stays until it is cleared."""
RESET_S = 0.1
RELEASED_AFTER_S = 0.3
"""A finger is gone when the chip says so, or says nothing for this long. After a look that failed there is another as soon."""

log = logging.getLogger(__name__)


class Wires(Protocol):
    """I²C to the chip, and its reset line; all may raise PanelFault."""

    def reset(self, high: bool) -> None: ...

    def read(self, register: int, count: int) -> bytes: ...

    def write(self, register: int, value: int) -> None: ...

    def pause(self, for_s: float) -> None: ...


class Pulses(Protocol):
    """gpiozero's device on the chip's INT line."""

    when_activated: Callable[[], None] | None


class TouchGlass:
    """Calls `down` and `up` as a button's edges would. `heed` tells it of the pulses of the chip's INT line."""

    def __init__(self, wires: Wires, down: Callable[[], None], up: Callable[[], None]) -> None:
        """Raises PanelFault when no such chip answers."""
        self._wires, self._down, self._up = wires, down, up
        self._touched = self._failed = False
        self._unread = True
        """There may be a report that the chip waits with: of a finger before anybody listened, or after a look that failed."""
        self._pulses: Pulses | None = None
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        for high in (True, False, True):
            wires.reset(high)
            wires.pause(RESET_S)
        if (found := wires.read(PRODUCT, 4))[: len(NAME)] != NAME:
            raise PanelFault(
                f"what answers as touch layer is no GT1151 but {found!r}: set DOSETTE_BUTTONS to one or three"
            )

    def heed(self, pulses: Pulses) -> None:
        """Looks at each pulse. It keeps them, since gpiozero closes a device that nobody refers to."""
        self._pulses = pulses
        pulses.when_activated = self.news

    def news(self) -> None:
        self._news.put(None)

    def wake(self) -> None:
        """So that `run` sees that it must stop."""
        self._news.put(None)

    def run(self, stopping: Event) -> None:
        """A loop: sleeps until the glass is touched."""
        while not stopping.is_set():
            try:
                self._news.get(timeout=RELEASED_AFTER_S if self._touched or self._unread else None)
            except queue.Empty:
                if not (self._unread and self.look()):
                    self._is(touched=False)
                continue
            if not stopping.is_set():
                self.look()

    def look(self) -> bool:
        """Reads the chip's report, if there is one, and clears it, so that there can be another. Whether there was one."""
        try:
            status = self._wires.read(STATUS, 1)[0]
            if status & FRESH:
                self._wires.write(STATUS, 0)
        except PanelFault as error:  # a loose wire: the panel still reminds
            if not self._failed:
                log.error("the touch layer does not answer", extra={"error": str(error)})
            self._unread = self._failed = True
            return False
        self._unread = self._failed = False
        if status & FRESH:
            self._is(touched=bool(status & POINTS))
        return bool(status & FRESH)

    def _is(self, touched: bool) -> None:
        if touched != self._touched:
            self._touched = touched
            self._down() if touched else self._up()


class I2cWires:
    """Of a real Pi, over lgpio."""

    def __init__(self, lgpio: Any) -> None:
        self._lgpio = lgpio
        self._chip = self._told(lgpio.gpiochip_open, 0)
        self._told(lgpio.gpio_claim_output, self._chip, RESET, 1)
        self._i2c = self._told(lgpio.i2c_open, BUS, ADDRESS)

    def reset(self, high: bool) -> None:
        self._told(self._lgpio.gpio_write, self._chip, RESET, int(high))

    def read(self, register: int, count: int) -> bytes:
        self._told(self._lgpio.i2c_write_device, self._i2c, register.to_bytes(2, "big"))
        _, read = self._told(self._lgpio.i2c_read_device, self._i2c, count)
        if len(read) != count:
            raise PanelFault(
                f"the touch layer sent {len(read)} of {count} bytes: see that the HAT sits straight on its pins"
            )
        return bytes(read)

    def write(self, register: int, value: int) -> None:
        self._told(self._lgpio.i2c_write_device, self._i2c, register.to_bytes(2, "big") + bytes([value]))

    def pause(self, for_s: float) -> None:
        Event().wait(for_s)

    def _told(self, call: Any, *words: Any) -> Any:
        try:
            return call(*words)
        except self._lgpio.error as error:
            raise PanelFault(f"the touch layer does not answer ({error}): turn on I2C with raspi-config") from None
