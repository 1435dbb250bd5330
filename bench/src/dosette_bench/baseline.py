"""Results kept by name, to compare with later."""

import re
from pathlib import Path

from dosette_bench import results
from dosette_bench.comparison import label
from dosette_bench.errors import CannotMeasure
from dosette_bench.results import Document

NAME = "baseline"
FOLDER = "baselines"
GOOD_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")


def save(document: Document, folder: Path, name: str = NAME) -> Path:
    """Whole or not at all, in the place of what had the name; ask `replaces` before, to tell what that was.

    Raises CannotMeasure when the name is no name, the run was stopped before its end, or the file can't be written.
    """
    path = _path(folder, name)
    if document["interrupted"]:
        raise CannotMeasure(
            f"the run of {label(document)} was stopped before its end, so a part of it would be missing from every"
            " comparison: let one run to its end, then save it"
        )
    return results.write(path.parent, path.name, document)


def replaces(folder: Path, name: str = NAME) -> str | None:
    """What would be lost by saving under this name, in a few words; None: nothing."""
    path = _path(folder, name)
    if not path.exists():
        return None
    try:
        return label(results.read(path))
    except CannotMeasure:
        return "a file that this dosette-bench can't read"


def load(folder: Path, name: str = NAME) -> Document:
    """Raises CannotMeasure when there is none, telling which there are, or when it is of another version."""
    path = _path(folder, name)
    if not path.exists():
        kept = ", ".join(names(folder))
        raise CannotMeasure(
            f"no baseline {name} is in {path.parent}"
            + (f"; there is {kept}" if kept else "; `dosette-bench baseline save` keeps a result as one")
        )
    return results.read(path)


def names(folder: Path) -> list[str]:
    """Of all that are kept."""
    return sorted(path.stem for path in (folder / FOLDER).glob("*.json") if GOOD_NAME.fullmatch(path.stem))


def _path(folder: Path, name: str) -> Path:
    if not GOOD_NAME.fullmatch(name):
        raise CannotMeasure(
            f"{name!r} can't name a baseline: take up to 100 letters without accents, digits, - _ and ., no . first"
        )
    return folder / FOLDER / f"{name}.json"
