"""Panels: one file each, all with the same four things."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

from PIL import Image

Mode = Literal["full", "partial"]
SIZES = ((250, 122), (264, 176), (296, 128), (400, 300), (800, 480))
"""What there is a layout for; any other size is laid out as the next smaller one."""


class PanelFault(Exception):
    """The panel does not do what it is told; says in one sentence what to look at. It may be tried again."""


class Panel(Protocol):
    """An e-paper, or what stands in for one. `show` returns when the picture stands, or raises PanelFault; a picture is mode
    "1", 1 is white, and of the panel's size."""

    size: tuple[int, int]
    supports_partial: bool

    def show(self, image: Image.Image, mode: Mode) -> None: ...

    def sleep(self) -> None:
        """Takes the voltage off the panel; the picture stays."""


def check_size(image: Image.Image, size: tuple[int, int]) -> None:
    """Raises ValueError: whoever draws must look at the panel's size."""
    if image.size != size:
        raise ValueError(f"a picture of {image.size[0]}×{image.size[1]} dots does not fit {size[0]}×{size[1]}")


@cache
def panel_named(kind: str, folder: Path, size: tuple[int, int] = SIZES[0]) -> Panel:
    """The same one each time, since a pin can be opened only once. Imports what that panel needs, and nothing else. `size` is the
    virtual panel's. Raises ValueError naming the kinds there are, and PanelFault when the panel or its library is not there."""
    name, _, model = kind.partition(":")
    if name not in KINDS or bool(model) != (name == "waveshare"):
        raise ValueError(f"there is no panel '{kind}', only {', '.join(KINDS)}:MODEL")
    return KINDS[name](folder, size, model)


def size_of(text: str) -> tuple[int, int]:
    """Of "400x300". Raises ValueError naming the sizes there are."""
    sizes = {f"{width}x{height}": (width, height) for width, height in SIZES}
    if text not in sizes:
        raise ValueError(f"there is no size '{text}', only {', '.join(sizes)}")
    return sizes[text]


def _virtual(folder: Path, size: tuple[int, int], model: str) -> Panel:
    from dosette_display.panels.virtual import VirtualPanel

    return VirtualPanel(folder / "panel.png", size)


def _ssd1680(folder: Path, size: tuple[int, int], model: str) -> Panel:
    from dosette_display.panels.lines import GpioLines
    from dosette_display.panels.ssd1680 import Ssd1680

    return Ssd1680(GpioLines())


def _ssd1680_v3(folder: Path, size: tuple[int, int], model: str) -> Panel:
    from dosette_display.panels.lines import GpioLines
    from dosette_display.panels.ssd1680 import Ssd1680

    return Ssd1680(GpioLines(), has_partial_waveform=False)


def _inky(folder: Path, size: tuple[int, int], model: str) -> Panel:
    from dosette_display.panels.inky import InkyPanel

    return InkyPanel()


def _waveshare(folder: Path, size: tuple[int, int], model: str) -> Panel:
    from dosette_display.panels.waveshare import WavesharePanel

    return WavesharePanel(model)


KINDS: Mapping[str, Callable[[Path, tuple[int, int], str], Panel]] = {
    "virtual": _virtual,
    "ssd1680": _ssd1680,
    "ssd1680-v3": _ssd1680_v3,
    "inky": _inky,
    "waveshare": _waveshare,
}
