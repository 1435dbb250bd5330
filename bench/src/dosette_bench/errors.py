"""The one thing that goes wrong here and can be said in a sentence."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class CannotMeasure(Exception):
    """What stands in the way, which, and what to do."""


class NotWritten(CannotMeasure):
    """A file could not be written; `document` is what was measured by then, if anything was."""

    document: Any = None


def meant(word: str, known: Iterable[str]) -> str:
    """For the end of such a sentence: what was probably meant; nothing when none is near."""
    near = get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
