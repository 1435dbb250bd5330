"""Letters: the one font, how wide a text is, shortening and wrapping by measured width, and which letters it has."""

import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

FONT = Path(__file__).parent / "fonts" / "DejaVuSansCondensed-Bold.ttf"
SMALLEST_PX = 14
"""At 0.194 mm a dot nobody should have to read anything smaller."""
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
ELLIPSIS = "…"
SEPARATOR = " · "


@lru_cache(maxsize=32)
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """The basic layout engine, since the other one depends on a library that a machine may lack."""
    return ImageFont.truetype(FONT, size_px, layout_engine=ImageFont.Layout.BASIC)


def width(text: str, size_px: int) -> int:
    return round(font(size_px).getlength(text))


def fitting(text: str, largest_px: int, room_px: int, smallest_px: int = SMALLEST_PX) -> int | None:
    """The largest size at which the text fits on one line; None when it fits at no size."""
    return next((size for size in range(largest_px, smallest_px - 1, -1) if width(text, size) <= room_px), None)


def shortened(text: str, size_px: int, room_px: int) -> str:
    """The text, or its beginning and an ellipsis."""
    if width(text, size_px) <= room_px:
        return text
    cut = next(
        (end for end in range(len(text) - 1, 0, -1) if width(text[:end].rstrip() + ELLIPSIS, size_px) <= room_px), 0
    )
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
    pieces = [""]
    for letter in word:
        if width(pieces[-1] + letter, size_px) <= room_px:
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces


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
