"""Stops the start when .env holds what is no setting: Compose passes over a line that was cut off, and over a mistyped name.
Also for an address that no panel could use, as Compose can't know that panels are told it.

    python check_settings.py /project/.env /env.example

Compose also hands over what it read there, as the environment. So a .env that only its owner may read, since it holds a broker's
password, starts all the same: then names are looked at there, where a line without an = sign leaves none.
"""

import os
import re
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

LISTED = re.compile(r"^#([A-Z][A-Z0-9_]*)=", re.MULTILINE)
OVER_LINES = re.compile(r"""^([^#\n"']*=[ \t]*)("(?:\\.|[^"\\])*"|'[^']*')""", re.MULTILINE | re.DOTALL)
OURS = "DOSETTE_"
TOLD_TO_PANELS = "DOSETTE_PANELS_LISTEN"
EVERYWHERE = re.compile(r"[0.:\[\]]+")
"""0.0.0.0, ::, and other ways to write them."""
ALIKE = 0.9  # of a name of 10 letters one may be wrong; COMPOSE_ENV_FILES is Compose's own, and not like COMPOSE_FILE


def main(file: Path, example: Path) -> None:
    listed = LISTED.findall(example.read_text())
    for mistake in _mistakes(file, listed):
        sys.exit(f".env{mistake}; nothing was changed")


def _mistakes(file: Path, listed: list[str]) -> Iterator[str]:
    try:
        text = file.read_text("utf-8-sig", errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        print(f".env can't be read here ({error.strerror}): only what Compose read in it is looked at")
        wrongs = (_wrong_name(name, listed) or _wrong_value(name, value) for name, value in os.environ.items())
        yield from (f": {wrong}" for wrong in wrongs if wrong)
        return
    for number, line in enumerate(_lines(text), start=1):
        if wrong := _wrong(line, listed):
            yield f", line {number}: {wrong}"


def _lines(text: str) -> list[str]:
    """A value in quotes may go over several."""
    return OVER_LINES.sub(
        lambda found: found[1] + (found[2] if "\n" not in found[2] else "\n" * found[2].count("\n")), text
    ).splitlines()


def _wrong(line: str, listed: list[str]) -> str:
    """What is, in words; empty when nothing is."""
    name, equals, value = line.partition("=")
    name = name.strip().removeprefix("export ").strip()
    if not name or name.startswith("#"):
        return ""
    if not equals:
        return f"{name} is cut off before its = sign: finish the line, or remove it"
    return _wrong_name(name, listed) or _wrong_value(name, re.sub(r"\s#.*", "", value).strip(" \t\r\"'"))


def _wrong_name(name: str, listed: list[str]) -> str:
    meant = get_close_matches(name.upper(), listed, n=1, cutoff=ALIKE)
    if name in listed or not (meant or name.upper().startswith(OURS)):
        return ""
    guess = f", but {meant[0]}" if meant else ""
    return f"there is no setting {name}{guess}: correct the name (.env.example lists all), or remove the line"


def _wrong_value(name: str, value: str) -> str:
    if name != TOLD_TO_PANELS or not EVERYWHERE.fullmatch(value):
        return ""
    return f"{name} is told to panels, and this address would lead each to itself: write the address of this machine in the house"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
