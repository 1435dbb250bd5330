"""A run told for people: one story, written as Markdown and as a page with charts. No number in it is typed by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dosette_bench.errors import CannotMeasure
from dosette_bench.report.markdown import as_markdown
from dosette_bench.report.page import as_page
from dosette_bench.report.story import tell
from dosette_bench.results import Document


def write_report(
    results: Sequence[Document], markdown: Path, page: Path, comparison: Mapping[str, Any] | None = None
) -> None:
    """Tells the last of `results`, which come oldest first; those before it are only for the trend.

    `comparison` is what `comparison.told` returns. Raises CannotMeasure when a file can't be written, or without a result.
    """
    if not results:
        raise CannotMeasure("there is no result to tell of: run dosette-bench first")
    story = tell(results[-1], results[:-1], comparison)
    _write(markdown, as_markdown(story))
    _write(page, as_page(story))


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    if path.exists() and not path.is_file():
        raise CannotMeasure(f"{path} is no file that could be written anew; choose another place for it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise CannotMeasure(f"{path} can't be written: {error.strerror}; choose another place for it") from None
