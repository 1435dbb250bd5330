"""The story as Markdown, for a repository: no charts, the same words and figures."""

import re
from collections.abc import Sequence
from itertools import groupby

from dosette_bench.report.blocks import (
    Block,
    Bullets,
    Charts,
    Code,
    Heading,
    Note,
    Paragraph,
    Scores,
    Story,
    Strong,
    Table,
    Text,
    as_parts,
)

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")
UNSEEN = re.compile(r"[\x00-\x1f\x7f]+")


def as_markdown(story: Story) -> str:
    """Ends with a line break."""
    parts = [f"# {plain(story.title)}", plain(story.subtitle), *(_block(block) for block in story.blocks)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {plain(text)}"
        case Paragraph(text):
            return inline(text)
        case Note(title, text):
            return f"> **{plain(title)}.** {inline(text)}"
        case Bullets(items):
            return "\n".join(f"- {inline(item)}" for item in items)
        case Scores(levels):
            lines = [[each.level, str(each.holds), str(each.missed), str(each.open)] for each in levels]
            return _table(("level", "hold", "missed", "not measured"), lines, words=1)
        case Table(caption, headings, rows, words, _):
            return f"**{plain(caption)}**\n\n{_table(headings, rows, words)}"
        case Charts():
            return ""


def _table(headings: Sequence[str], rows: Sequence[Sequence[Text]], words: int) -> str:
    rule = [":--" if place < words else "--:" for place in range(len(headings))]
    lines = [[plain(heading) for heading in headings], rule, *([inline(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def inline(text: Text) -> str:
    """Neighbours of the same kind are one, as `**a****b**` is not bold."""
    return "".join(_part(kind, "".join(some)) for kind, some in groupby(as_parts(text), key=type)).strip()


def _part(kind: type[str], text: str) -> str:
    if kind is Code:
        return code(text)
    if kind is Strong:
        return _around(plain(text), "**")
    return plain(text)


def _around(text: str, sign: str) -> str:
    """Spaces stay outside, where Markdown wants them."""
    inside = text.strip()
    return text.replace(inside, f"{sign}{inside}{sign}", 1) if inside else text


def plain(text: str) -> str:
    """On one line, with nothing in it that means something to Markdown or HTML."""
    return (
        SPECIAL.sub(r"\\\1", UNSEEN.sub(" ", text))
        .replace("\\<", "&lt;")
        .replace("\\>", "&gt;")
        .replace("\\&", "&amp;")
    )


def code(text: str) -> str:
    """Fenced by more backticks than are in it; a bar would end a table's cell even here."""
    told = UNSEEN.sub(" ", text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", told)), default=0)
    fence = "`" * (longest + 1)
    gap = " " if longest else ""
    return f"{fence}{gap}{told}{gap}{fence}" if told.strip() else ""
