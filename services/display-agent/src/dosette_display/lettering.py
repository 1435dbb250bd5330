"""Letters: the one font, how wide a text is, shortening and wrapping by measured width, and which letters it has.

Each letter is drawn by FreeType once and kept as a picture of itself; a line is put together from those, and kept as well. That
takes a third of the work of drawing a text anew, and comes to the same dots (a test holds them together).
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FONT = Path(__file__).parent / "fonts" / "DejaVuSansCondensed-Bold.ttf"
SMALLEST_PX = 14
"""At 0.194 mm a dot nobody should have to read anything smaller."""
SIZES_PX = (SMALLEST_PX, 15, 16, 17, 18, 19, 20, 22, 24, 27, 30, 34, 38, 44, 50, 58, 66, 76, 88, 100, 116)
REFERENCE_PX = 100
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
ELLIPSIS = "…"
SEPARATOR = " · "
JOINTS = "/-:"
INK, NO_INK = 1, 0
TALL = "|Ǻ  "


@dataclass(frozen=True)
class Letter:
    """`ink` is None for a space; else its upper left corner lies at `left`, `top` from where the letter begins on the baseline."""

    ink: Image.Image | None
    left: int = 0
    top: int = 0


@dataclass(frozen=True)
class Line:
    """A text as a picture of its ink, `left` and `top` from where it begins on the baseline."""

    ink: Image.Image
    left: int
    top: int


@lru_cache(maxsize=32)
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """The basic layout engine, since the other one depends on a library that a machine may lack."""
    return ImageFont.truetype(FONT, size_px, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=256)
def line(text: str, size_px: int) -> Line | None:
    """None for a text without ink."""
    placed, x = [], 0
    for each in text:
        letter = _letter(each, size_px)
        if letter.ink:
            placed.append((x + letter.left, letter.top, letter.ink))
        x += _advance(each, size_px)
    if not placed:
        return None
    left, top = min(place[0] for place in placed), min(place[1] for place in placed)
    right, bottom = max(at + ink.width for at, _, ink in placed), max(at + ink.height for _, at, ink in placed)
    whole = Image.new("1", (right - left, bottom - top), NO_INK)
    for at_x, at_y, ink in placed:
        whole.paste(INK, (at_x - left, at_y - top), ink)
    return Line(whole, left, top)


@lru_cache(maxsize=2048)
def width(text: str, size_px: int) -> int:
    """From where the text begins to where the next would."""
    return sum(_advance(each, size_px) for each in text)


def rise(text: str, size_px: int) -> int:
    """How far its ink reaches above the baseline, at most; measured without drawing it."""
    return 1 - min((_reach(each)[0] * size_px // REFERENCE_PX for each in text), default=0)


def fall(text: str, size_px: int) -> int:
    """How far its ink reaches below the baseline, at most."""
    return max((-(-_reach(each)[1] * size_px // REFERENCE_PX) for each in text), default=0)


def at_most(size_px: float) -> int:
    """The nearest of the sizes that is no larger: each size costs memory, and every letter in it."""
    return max((size for size in SIZES_PX if size <= size_px), default=SMALLEST_PX)


def fitting(text: str, largest_px: int, room_px: int) -> int | None:
    """The largest size at which the text fits on one line; None when it fits at no size."""
    return next((size for size in reversed(SIZES_PX) if size <= largest_px and width(text, size) <= room_px), None)


def shortened(text: str, size_px: int, room_px: int) -> str:
    """The text, or its beginning and an ellipsis."""
    if width(text, size_px) <= room_px:
        return text
    left, cut = room_px - _advance(ELLIPSIS, size_px), 0
    while (left := left - _advance(text[cut], size_px)) >= 0:
        cut += 1
    return text[:cut].rstrip() + ELLIPSIS if cut else ""


def wrapped(parts: tuple[str, ...], size_px: int, room_px: int) -> list[str]:
    """All of it, over as many lines as it takes: broken between parts, else between words, else within a word."""
    lines: list[str] = []
    for part in filter(None, parts):
        if lines and width(joined := lines[-1] + SEPARATOR + part, size_px) <= room_px:
            lines[-1] = joined
        else:
            lines += _broken(part, size_px, room_px)
    return lines


@lru_cache(maxsize=512)
def writable(text: str) -> str:
    """The text on one line, with a sign of the unknown for each letter that the font lacks or would set in wrong order."""
    composed = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(letter if _has(letter) else UNKNOWN for letter in composed)


def _broken(part: str, size_px: int, room_px: int) -> list[str]:
    lines = [""]
    for word in part.split():
        joined = f"{lines[-1]} {word}".strip()
        if width(joined, size_px) <= room_px:
            lines[-1] = joined
        else:
            lines += _split(word, size_px, room_px)
    return [line for line in lines if line]


def _split(word: str, size_px: int, room_px: int) -> list[str]:
    """At a joint where there is one."""
    pieces = [""]
    for letter in word:
        if width(pieces[-1] + letter, size_px) <= room_px:
            pieces[-1] += letter
        else:
            cut = max(pieces[-1].rfind(joint) for joint in JOINTS) + 1
            pieces[-1:] = [pieces[-1][:cut], pieces[-1][cut:] + letter] if cut else [pieces[-1], letter]
    return pieces


@lru_cache(maxsize=4096)
def _advance(letter: str, size_px: int) -> int:
    return round(font(size_px).getlength(letter, mode="1"))


@lru_cache(maxsize=512)
def _reach(letter: str) -> tuple[int, int]:
    """Top and bottom at the reference's size, from the baseline down."""
    _, top, _, bottom = font(REFERENCE_PX).getbbox(letter, anchor="ls")
    return int(top), int(bottom)


@lru_cache(maxsize=1024)
def _letter(letter: str, size_px: int) -> Letter:
    """Drawn behind a tall one: Pillow puts a text up or down by a dot as its tallest letter has it, and lines must not wobble."""
    before = width(TALL, size_px)
    paper = Image.new("1", (before + 3 * size_px, 3 * size_px), NO_INK)
    pen = ImageDraw.Draw(paper)
    pen.fontmode = "1"
    pen.text((0, 2 * size_px), TALL + letter, font=font(size_px), fill=INK, anchor="ls")
    begin = before - _advance(" ", size_px)
    box = paper.crop((begin, 0, paper.width, paper.height)).getbbox()
    if box is None:
        return Letter(None)
    box = (box[0] + begin, box[1], box[2] + begin, box[3])
    return Letter(paper.crop(box), box[0] - before, box[1] - 2 * size_px)


@lru_cache(maxsize=1024)
def _has(letter: str) -> bool:
    """Right-to-left scripts are in the font, but the basic layout engine would write them backwards."""
    if letter == " ":
        return True
    if unicodedata.bidirectional(letter) in ("R", "AL", "RLE", "RLO", "LRE", "LRO", "PDF") or unicodedata.combining(
        letter
    ):
        return False
    return letter.isprintable() and _shape(letter) != _shape("\uffff")


def _shape(letter: str) -> bytes:
    mask = font(SMALLEST_PX).getmask(letter, mode="1")
    return bytes(mask) + repr(mask.size).encode()
