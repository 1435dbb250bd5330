"""The wires between this machine and an e-paper's chip: SPI, and three pins. lgpio's own calls: no other library is needed."""

import importlib
import os
import tempfile
import time
from typing import Any, Protocol

from dosette_display.panels import PanelFault

RST, DC, BUSY = 17, 25, 24
"""As on Waveshare's HATs; the chip is selected by CE0 (GPIO 8)."""
CHIP, SPI_BUS, SPI_SELECT = 0, 0, 0
SPEED_HZ = 4_000_000
LONGEST_WRITE = 4096
"""What spidev takes in one go."""


class Lines(Protocol):
    """What a driver needs of them; `SimulatedSsd1680` has the same at its other end. All but `pause` may raise PanelFault."""

    def reset(self, high: bool) -> None: ...

    def data(self, high: bool) -> None:
        """High: what is written next is data; low: a command."""

    def write(self, sent: bytes) -> None: ...

    def is_busy(self) -> bool: ...

    def pause(self, for_s: float) -> None: ...


def imported_lgpio() -> Any:
    """The library, imported when it is needed: it starts a thread, and no process may fork after. It makes a FIFO in the working
    directory, which may be read-only, unless LG_WD names another. Raises ImportError."""
    os.environ.setdefault("LG_WD", tempfile.gettempdir())
    return importlib.import_module("lgpio")


class GpioLines:
    """Of a real Pi."""

    def __init__(self) -> None:
        try:
            lgpio = imported_lgpio()
        except ImportError as error:
            raise PanelFault(f"lgpio can't be imported ({error}): install dosette-display[pi]") from None
        self._lgpio = lgpio
        self._chip = self._opened("/dev/gpiochip0", lgpio.gpiochip_open, CHIP)
        self._spi = self._opened("/dev/spidev0.0", lgpio.spi_open, SPI_BUS, SPI_SELECT, SPEED_HZ, 0)
        for pin, level in ((RST, 1), (DC, 0)):
            self._opened(f"GPIO {pin}", lgpio.gpio_claim_output, self._chip, pin, level)
        self._opened(f"GPIO {BUSY}", lgpio.gpio_claim_input, self._chip, BUSY)

    def reset(self, high: bool) -> None:
        self._told(self._lgpio.gpio_write, self._chip, RST, int(high))

    def data(self, high: bool) -> None:
        self._told(self._lgpio.gpio_write, self._chip, DC, int(high))

    def write(self, sent: bytes) -> None:
        for start in range(0, len(sent), LONGEST_WRITE):
            self._told(self._lgpio.spi_write, self._spi, sent[start : start + LONGEST_WRITE])

    def is_busy(self) -> bool:
        return bool(self._told(self._lgpio.gpio_read, self._chip, BUSY))

    def pause(self, for_s: float) -> None:
        time.sleep(for_s)

    def _opened(self, what: str, call: Any, *words: Any) -> int:
        try:
            return int(call(*words))
        except self._lgpio.error as error:
            raise PanelFault(f"{what} can't be opened ({error}): run `dosette-display doctor`") from None

    def _told(self, call: Any, *words: Any) -> int:
        try:
            return int(call(*words))
        except self._lgpio.error as error:
            raise PanelFault(f"the panel's wires failed ({error}): run `dosette-display doctor`") from None
