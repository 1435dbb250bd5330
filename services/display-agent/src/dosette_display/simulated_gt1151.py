"""A GT1151 as seen from its wires, for trying the touch layer without one: it reports again only when the report before was cleared."""

from collections.abc import Callable

from dosette_display.touch import FRESH, PRODUCT, STATUS


class SimulatedGt1151:
    """`news` is called at each pulse of its INT line. `touch` and `release` are what a finger does; a scan follows each at once."""

    def __init__(self, product: bytes = b"1158") -> None:
        self.product = product
        self.news: Callable[[], None] = lambda: None
        self._ready = False
        self._low = False
        self._fingers = 0
        self._status = 0

    def touch(self, fingers: int = 1) -> None:
        self._fingers = fingers
        self.scan()

    def release(self) -> None:
        self.touch(0)

    def scan(self) -> None:
        """As it does every ten milliseconds while touched, and once after."""
        if self._ready and not self._status & FRESH:
            self._status = FRESH | self._fingers
            self.news()

    # the wires

    def reset(self, high: bool) -> None:
        self._ready = high and (self._low or self._ready)
        self._low = not high

    def read(self, register: int, count: int) -> bytes:
        if not self._ready:
            raise AssertionError("read before it was reset")
        if register == PRODUCT:
            return self.product[:count]
        if register == STATUS and count == 1:
            return bytes([self._status])
        raise AssertionError(f"there is nothing to read at {register:#x}")

    def write(self, register: int, value: int) -> None:
        if (register, value) != (STATUS, 0):
            raise AssertionError("only the report may be written to, and only cleared")
        self._status = 0

    def pause(self, for_s: float) -> None:
        """Its time does not pass."""
