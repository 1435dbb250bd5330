"""Waveshare's other panels, such as 4.2" and 7.5", through their own library: one module for each model."""

import importlib
from typing import Any

from PIL import Image

from dosette_display.panels import Mode, PanelFault, check_size

LIBRARY = "epaper"


class WavesharePanel:
    """Full refreshes only: each model's partial one is another, and some leave shadows. Drawn lying, whatever way the glass stands."""

    supports_partial = False

    def __init__(self, model: str, library: Any | None = None) -> None:
        """`library` has `epaper(model)`, which returns the model's module. Raises PanelFault."""
        self._epd = _opened(model, library)
        self.size = (max(self._epd.width, self._epd.height), min(self._epd.width, self._epd.height))
        self._awake = False

    def show(self, image: Image.Image, mode: Mode) -> None:
        check_size(image, self.size)
        self._awake = True
        try:
            if self._epd.init() == -1:
                raise PanelFault(
                    "the panel can't be set up: turn on SPI with raspi-config, and see that it sits on its pins"
                )
            self._epd.display(self._epd.getbuffer(image))
        except (OSError, RuntimeError) as error:
            raise PanelFault(f"the panel took no picture ({error}): see that it sits straight on its pins") from error

    def sleep(self) -> None:
        if not self._awake:
            return
        try:
            self._epd.sleep()
        except (OSError, RuntimeError) as error:
            raise PanelFault(
                f"the panel did not go to sleep ({error}): see that it sits straight on its pins"
            ) from error
        self._awake = False


def _opened(model: str, library: Any | None) -> Any:
    try:
        return (library or importlib.import_module(LIBRARY)).epaper(model).EPD()
    except ImportError as error:
        raise PanelFault(
            f"Waveshare's library has no {model} ({error}): install dosette-display[waveshare], and name a model that it has"
        ) from None
    except (OSError, RuntimeError) as error:
        raise PanelFault(f"the panel {model} can't be opened ({error}): run `dosette-display doctor`") from None
