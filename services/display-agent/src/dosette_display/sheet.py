"""What is put where on one picture: a list of texts and shapes. It can be looked through before it is drawn, and `draw` draws it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from PIL import Image, ImageDraw

from dosette_display.lettering import line, width
from dosette_display.page import Mark

Size = tuple[int, int]
WHITE, BLACK = 1, 0
"""Of a picture of mode "1"."""


@dataclass(frozen=True)
class Text:
    """`x` is where it begins, `y` its baseline."""

    said: str
    x: int
    y: int
    px: int
    ink: int = BLACK

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of its ink; empty for a text without any."""
        drawn = line(self.said, self.px)
        if drawn is None:
            return self.x, self.y, self.x, self.y
        left, top = self.x + drawn.left, self.y + drawn.top
        return left, top, left + drawn.ink.width, top + drawn.ink.height

    def draw(self, image: Image.Image) -> None:
        if drawn := line(self.said, self.px):
            image.paste(self.ink, (self.x + drawn.left, self.y + drawn.top), drawn.ink)


@dataclass(frozen=True)
class Box:
    """Filled, edges included."""

    left: int
    top: int
    right: int
    bottom: int
    ink: int = BLACK

    def draw(self, image: Image.Image) -> None:
        image.paste(self.ink, (self.left, self.top, self.right + 1, self.bottom + 1))


@dataclass(frozen=True)
class Sign:
    """The state of a dose, as a shape: glyphs for them are missing in many fonts and too thin in others."""

    mark: Mark
    x: int
    y: int
    size: int

    def draw(self, image: Image.Image) -> None:
        image.paste(BLACK, (self.x, self.y), _shape(self.mark, self.size))


@dataclass(frozen=True)
class Code:
    """A QR code, each module a square of `module_px`; the quiet zone is whoever's who places it."""

    modules: tuple[bytes, ...]
    x: int
    y: int
    module_px: int

    def draw(self, image: Image.Image) -> None:
        side = len(self.modules)
        small = Image.new("1", (side, side), WHITE)
        small.putdata([BLACK if dark else WHITE for row in self.modules for dark in row])
        image.paste(small.resize((side * self.module_px,) * 2, Image.Resampling.NEAREST), (self.x, self.y))


Thing = Text | Box | Sign | Code


@dataclass
class Sheet:
    """Later things lie on earlier ones."""

    size: Size
    things: list[Thing] = field(default_factory=list)

    @property
    def texts(self) -> list[Text]:
        return [thing for thing in self.things if isinstance(thing, Text)]

    def text(self, said: str, x: int, y: int, px: int, ink: int = BLACK) -> int:
        """Where it ends."""
        self.things.append(Text(said, x, y, px, ink))
        return x + width(said, px)

    def text_until(self, said: str, right: int, y: int, px: int, ink: int = BLACK) -> int:
        """Flush right. Where it begins."""
        self.text(said, right - width(said, px), y, px, ink)
        return right - width(said, px)

    def box(self, left: int, top: int, right: int, bottom: int, ink: int = BLACK) -> None:
        self.things.append(Box(left, top, right, bottom, ink))

    def sign(self, mark: Mark, x: int, y: int, size: int) -> None:
        self.things.append(Sign(mark, x, y, size))

    def draw(self) -> Image.Image:
        image = Image.new("1", self.size, WHITE)
        for thing in self.things:
            thing.draw(image)
        return image


@lru_cache(maxsize=64)
def _shape(mark: Mark, size: int) -> Image.Image:
    """Its ink is 1."""
    image = Image.new("1", (size, size), 0)
    _SHAPES[mark](ImageDraw.Draw(image), size, max(2, size // 9))
    return image


def _frame(pen: ImageDraw.ImageDraw, size: int, stroke: int) -> None:
    pen.rectangle((0, 0, size - 1, size - 1), outline=1, width=stroke)


def _late(pen: ImageDraw.ImageDraw, size: int, stroke: int) -> None:
    """An exclamation mark, in inverse."""
    pen.rectangle((0, 0, size - 1, size - 1), fill=1)
    left = (size - stroke) // 2
    right = left + stroke - 1 + (size - stroke) % 2
    pen.rectangle((left, size // 6, right, size * 3 // 5), fill=0)
    pen.rectangle((left, size * 7 // 10, right, size * 5 // 6), fill=0)


def _taken(pen: ImageDraw.ImageDraw, size: int, stroke: int) -> None:
    _frame(pen, size, stroke)
    corners = (size // 5, size // 2), (size * 2 // 5, size * 3 // 4), (size * 4 // 5, size // 4)
    pen.line(corners, fill=1, width=stroke + 1)


def _skipped(pen: ImageDraw.ImageDraw, size: int, stroke: int) -> None:
    pen.rectangle((0, size // 2 - stroke, size - 1, size // 2 + stroke - 1), fill=1)


def _missed(pen: ImageDraw.ImageDraw, size: int, stroke: int) -> None:
    pen.line((1, 1, size - 2, size - 2), fill=1, width=stroke + 1)
    pen.line((1, size - 2, size - 2, 1), fill=1, width=stroke + 1)


def _unknown(pen: ImageDraw.ImageDraw, size: int, stroke: int) -> None:
    """A question mark, its dot by itself at any size."""
    stroke = max(2, size // 7)
    left, right, middle = size // 5, size - 1 - size // 5, size // 2
    begin, end, dot = middle - stroke // 2, middle + (stroke - 1) // 2, size - stroke
    pen.arc((left, 0, right, size * 3 // 5), 180, 90, fill=1, width=stroke)
    pen.rectangle((begin, size * 3 // 5 - stroke, end, min(size * 7 // 10, dot - 2)), fill=1)
    pen.rectangle((begin, dot, end, size - 1), fill=1)


def _snoozed(pen: ImageDraw.ImageDraw, size: int, stroke: int) -> None:
    """The hands of a clock."""
    _frame(pen, size, stroke)
    middle = size // 2
    pen.line((middle, size // 4, middle, middle), fill=1, width=stroke)
    pen.line((middle, middle, size * 7 // 10, middle), fill=1, width=stroke)


def _next(pen: ImageDraw.ImageDraw, size: int, stroke: int) -> None:
    pen.polygon(((size // 6, 0), (size * 5 // 6, size // 2), (size // 6, size - 1)), fill=1)


def _listed(pen: ImageDraw.ImageDraw, size: int, stroke: int) -> None:
    side = max(4, size // 3)
    begin = (size - side) // 2
    pen.rectangle((begin, begin, begin + side - 1, begin + side - 1), fill=1)


def _low(pen: ImageDraw.ImageDraw, size: int, stroke: int) -> None:
    """A box with little in it."""
    _frame(pen, size, stroke)
    pen.rectangle((0, size * 2 // 3, size - 1, size - 1), fill=1)


_SHAPES: dict[Mark, Callable[[ImageDraw.ImageDraw, int, int], None]] = {
    Mark.NEXT: _next,
    Mark.LISTED: _listed,
    Mark.DUE: _frame,
    Mark.SNOOZED: _snoozed,
    Mark.LATE: _late,
    Mark.TAKEN: _taken,
    Mark.SKIPPED: _skipped,
    Mark.MISSED: _missed,
    Mark.UNKNOWN: _unknown,
    Mark.LOW: _low,
}
