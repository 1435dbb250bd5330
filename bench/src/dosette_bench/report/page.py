"""The story as one HTML file that needs nothing else: no script, no font, no address."""

import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from dosette_bench.report.blocks import (
    Bad,
    Block,
    Bullets,
    Charts,
    Code,
    Good,
    Heading,
    Note,
    Open,
    Paragraph,
    Picture,
    Quiet,
    Score,
    Scores,
    Story,
    Strong,
    Table,
    Text,
    as_parts,
)

TAGS = {
    Code: ("<code>", "</code>"),
    Strong: ("<strong>", "</strong>"),
    Good: ('<span class="good">', "</span>"),
    Bad: ('<span class="bad">', "</span>"),
    Open: ('<span class="open">', "</span>"),
    Quiet: ('<span class="quiet">', "</span>"),
}
SHORT = 20
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]+")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def as_page(story: Story) -> str:
    """Light and dark, for a phone and for paper."""
    style = (files("dosette_bench.report") / "style.css").read_text(encoding="utf-8")
    blocks = "\n".join(_block(block) for block in story.blocks)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{safe(story.title)}: {safe(story.subtitle)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header>
<h1>{safe(story.title)}</h1>
<p>{safe(story.subtitle)}</p>
</header>
{_contents(story.blocks)}
<main>
{blocks}
</main>
</body>
</html>
"""


def _contents(blocks: Sequence[Block]) -> str:
    sections = [each.text for each in blocks if isinstance(each, Heading) and each.level == 2]
    entries = [f'<li><a href="#{slug(text)}">{safe(text)}</a></li>' for text in sections]
    return f'<nav aria-label="Contents"><ul>{"".join(entries)}</ul></nav>'


def slug(text: str) -> str:
    return re.sub(r"[^a-z]+", "-", text.lower()).strip("-")


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            anchor = f' id="{slug(text)}"' if level == 2 else ""
            return f"<h{level}{anchor}>{safe(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{inline(text)}</p>"
        case Note(title, text):
            return f'<aside class="note"><strong>{safe(title)}.</strong> {inline(text)}</aside>'
        case Bullets(items):
            return f"<ul>{''.join(f'<li>{inline(item)}</li>' for item in items)}</ul>"
        case Scores(levels):
            return f'<div class="scores">{"".join(map(_score, levels))}</div>'
        case Table():
            return _folded(block) if block.folded else _table(block)
        case Charts():
            return _charts(block)


def inline(text: Text) -> str:
    return "".join(map(_part, as_parts(text)))


def _part(part: str) -> str:
    before, after = TAGS.get(type(part), ("", ""))
    told = safe(part).replace("_", "_<wbr>") if type(part) is Code else safe(part)
    return f"{before}{told}{after}"


def safe(text: str) -> str:
    return escape(UNSEEN.sub(" ", text))


def _score(score: Score) -> str:
    counts = (
        ("good", "✓", score.holds, "hold"),
        ("bad", "✗", score.missed, "missed"),
        ("open", "?", score.open, "not measured"),
    )
    lines = [
        f'<li class="{tone if many else "quiet"}"><span aria-hidden="true">{sign}</span> <b>{many:,}</b> {word}</li>'
        for tone, sign, many, word in counts
    ]
    return f'<section class="score"><h3>{safe(score.level)}</h3><ul>{"".join(lines)}</ul></section>'


def _folded(table: Table) -> str:
    return f"<details><summary>{safe(table.caption)}</summary>{_table(table, shown=False)}</details>"


def _table(table: Table, shown: bool = True) -> str:
    """Scrolls inside its own container, which a keyboard can reach, so that the page itself never does."""
    head = "".join(
        f'<th scope="col"{_kind(table, place, each)}>{safe(each)}</th>' for place, each in enumerate(table.headings)
    )
    caption = f"<caption{'' if shown else ' class=hidden'}>{safe(table.caption)}</caption>"
    body = "".join(_row(table, row) for row in table.rows)
    return (
        f'<div class="table" role="region" tabindex="0" aria-label="{safe(table.caption)}"><table>{caption}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(table: Table, row: Sequence[Text]) -> str:
    cells = "".join(f"<td{_kind(table, place, cell)}>{inline(cell)}</td>" for place, cell in enumerate(row) if place)
    return f'<tr><th scope="row"{_kind(table, 0, row[0])}>{inline(row[0])}</th>{cells}</tr>'


def _kind(table: Table, place: int, cell: Text) -> str:
    """Figures stand right; short words stay on one line, so that long ones have the room."""
    if place >= table.words:
        return ' class="figure"'
    return ' class="short"' if sum(map(len, as_parts(cell))) <= SHORT else ""


def _charts(charts: Charts) -> str:
    legend = f'<ul class="legend">{charts.legend}</ul>' if charts.legend else ""
    pictures = "".join(map(_picture, charts.pictures))
    return (
        f'<section class="charts"><h4>{safe(charts.title)}</h4><p class="quiet">{safe(charts.about)}</p>{legend}'
        f'<div class="pictures">{pictures}</div></section>'
    )


def _picture(picture: Picture) -> str:
    told = f"{inline(picture.name)}<small>{safe(picture.figures)}</small>" if picture.name else ""
    return f"<figure>{f'<figcaption>{told}</figcaption>' if told else ''}{picture.svg}</figure>"
