"""Pimoroni's Inky pHAT and wHAT, through their own library, which finds out which of them is there."""

import importlib
from typing import Any

from PIL import Image

from dosette_display.panels import Mode, PanelFault, check_size

WHITE, BLACK = 0, 1
"""As the library numbers them where it does not say."""
_LIGHT, _DARK = (255, 255, 255), (0, 0, 0)


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
            self._display.set_image(self._indexed(image))
            self._display.show()
        except (OSError, RuntimeError) as error:
            raise PanelFault(f"the Inky took no picture ({error}): see that it sits straight on its pins") from error

    def sleep(self) -> None:
        """It does so after each picture."""

    def _indexed(self, image: Image.Image) -> Image.Image:
        """In the library's own numbers for white and black: most of its panels take them as they are, some look at the palette."""
        white, black = getattr(self._display, "WHITE", WHITE), getattr(self._display, "BLACK", BLACK)
        indexed = image.convert("L").point([black if dot < 128 else white for dot in range(256)])
        indexed.putpalette([part for index in range(256) for part in (_LIGHT if index == white else _DARK)])
        return indexed


def _found() -> Any:
    try:
        return importlib.import_module("inky.auto").auto()
    except ImportError as error:
        why = " ".join(str(error).split())  # the library writes several lines
        raise PanelFault(f"the library inky can't be imported ({why}): install dosette-display[inky]") from None
    except (OSError, RuntimeError) as error:
        raise PanelFault(f"no Inky was found ({error}): turn on SPI and I2C with raspi-config") from None
