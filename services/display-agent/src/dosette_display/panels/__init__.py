"""Panels: one file each, all with the same four things."""

from pathlib import Path
from typing import Literal, Protocol

from PIL import Image

Mode = Literal["full", "partial"]


class PanelFault(Exception):
    """The panel does not do what it is told; says in one sentence what to look at. It may be tried again."""


class Panel(Protocol):
    """An e-paper, or what stands in for one. `show` returns when the picture stands, or raises PanelFault; a picture is mode
    "1", 1 is white."""

    size: tuple[int, int]
    supports_partial: bool

    def show(self, image: Image.Image, mode: Mode) -> None: ...

    def sleep(self) -> None:
        """Takes the voltage off the panel; the picture stays."""


KINDS = ("virtual",)


def panel_named(kind: str, folder: Path) -> Panel:
    """Raises ValueError naming the kinds there are."""
    if kind == "virtual":
        from dosette_display.panels.virtual import VirtualPanel

        return VirtualPanel(folder / "panel.png")
    raise ValueError(f"there is no panel '{kind}', only {', '.join(KINDS)}")
