"""The measures of a panel's size, and of the letters on it, in dots. All follow from the size alone."""

from dataclasses import dataclass

from dosette_display.lettering import SMALLEST_PX, at_most, line
from dosette_display.page import Page
from dosette_display.sheet import Size

_BASE = (250, 122)
_WIDE = 640
"""From here on today's list stands beside what is due."""
ASIDE = 0.38
"""So much of the width."""
LETTER_STEPS = (1.5, 1.25, 1.1, 1.0)
"""How much larger than small the letters of lists and sentences are, if that fits."""


@dataclass(frozen=True)
class Look:
    """The measures of one size, in dots: of letters, and of the column between `left` and `right`."""

    width: int
    height: int
    scale: float
    left: int
    right: int
    small: int

    @classmethod
    def of(cls, size: Size) -> "Look":
        scale = max(1.0, min(size[0] / _BASE[0], size[1] / _BASE[1]))
        in_lists = 1 + (min(scale, 3.0) - 1) * 0.42
        margin = round(4 * in_lists) if scale < 2 else round(6 * in_lists)
        return cls(size[0], size[1], scale, margin, size[0] - margin, at_most(SMALLEST_PX * in_lists))

    @property
    def is_roomy(self) -> bool:
        return self.scale > 1.2

    @property
    def is_wide(self) -> bool:
        return self.width >= _WIDE

    @property
    def room(self) -> int:
        return self.right - self.left

    @property
    def air(self) -> int:
        """Beyond what must be: none on a small panel."""
        return round(self.small * (self.scale - 1) * 0.25) if self.is_roomy else 0

    @property
    def top(self) -> int:
        """Of the body, below the title and its rule."""
        return line_height(self.small) + 2 + self.air

    @property
    def footer(self) -> int:
        return self.height - line_height(self.small) + 1 - self.air // 2

    @property
    def key_bar(self) -> int:
        return self.footer - line_height(self.small) + 1 - self.air

    def bottom(self, page: Page) -> int:
        return self.key_bar if page.keys or page.rows else self.footer


def ascent(px: int) -> int:
    """Of the tallest letter that has a diacritic."""
    drawn = line("Å", px)
    return -drawn.top if drawn else px


def descent(px: int) -> int:
    drawn = line("gj,", px)
    return drawn.ink.height + drawn.top if drawn else 0


def line_height(px: int) -> int:
    """Of a line whose letters touch neither the line above nor the one below."""
    return ascent(px) + descent(px)


def cap_height(px: int) -> int:
    drawn = line("0", px)
    return -drawn.top if drawn else px
