"""Pimoroni's Inky pHAT and wHAT, through their own library, which finds out which of them is there."""

import importlib
from typing import Any

from PIL import Image

from dosette_display.panels import Mode, PanelFault, check_size


class InkyPanel:
    """Full refreshes only. The library keeps no voltage on the glass, so there is nothing to put to sleep."""

    supports_partial = False

    def __init__(self, display: Any | None = None) -> None:
        """`display` is what the library's `auto()` returns."""
        self._display = display if display is not None else _found()
        self.size = (int(self._display.width), int(self._display.height))

    def show(self, image: Image.Image, mode: Mode) -> None:
        check_size(image, self.size)
        try:
            self._display.set_image(image.convert("RGB"))
            self._display.show()
        except (OSError, RuntimeError) as error:
            raise PanelFault(f"the Inky took no picture ({error}): see that it sits straight on its pins") from error

    def sleep(self) -> None:
        """It does so after each picture."""


def _found() -> Any:
    try:
        return importlib.import_module("inky.auto").auto()
    except ImportError as error:
        raise PanelFault(f"the library inky can't be imported ({error}): install dosette-display[inky]") from None
    except (OSError, RuntimeError) as error:
        raise PanelFault(f"no Inky was found ({error}): turn on SPI and I2C with raspi-config") from None
