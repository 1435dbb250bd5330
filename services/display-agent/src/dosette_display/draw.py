"""From a page to a picture of one bit a dot. All measures follow from the size alone.

`fit(page, size)` says which rows a panel of this size can show whole; the page that it returns is the one to draw, and the one
whose doses a press may name.
"""

from dataclasses import dataclass, replace

from PIL import Image, ImageDraw

from dosette_display.lettering import SEPARATOR, SMALLEST_PX, fitting, font, shortened, width, wrapped, writable
from dosette_display.page import Mark, Page, Row

Size = tuple[int, int]

WHITE, BLACK = 1, 0
_BASE = (250, 122)
_LIST_SCALE_AT_MOST = 1.6
"""A list on a large panel holds more rows before it gets larger ones."""
_TOO_LONG = "Too long for this panel: see the pages."


def fit(page: Page, size: Size) -> Page:
    """The page as a panel of this size shows it: a dose that can't be shown whole is neither shown nor named by a press."""
    look = Look.of(size)
    page = _writable(page)
    shown = page.rows if len(page.rows) == 1 and _one_layout(page.rows[0], look) else _rows_that_fit(page, look)
    if shown == page.rows:
        return page
    hidden = {row.dose_id for row in page.rows[len(shown) :]}
    return replace(
        page,
        rows=shown,
        more=len(hidden),
        lines=page.lines if shown else (_TOO_LONG, *page.lines),
        takes=tuple(each for each in page.takes if each not in hidden),
        undoes=() if hidden & set(page.undoes) else page.undoes,
    )


def draw(page: Page, size: Size) -> Image.Image:
    """A picture of a fitted page: mode "1", 1 is white."""
    look = Look.of(size)
    image = Image.new("1", size, WHITE)
    pen = ImageDraw.Draw(image)
    pen.fontmode = "1"
    _header(pen, page, look)
    below = _room_below(page, look)
    if len(page.rows) == 1 and not page.more and (layout := _one_layout(page.rows[0], look, below)):
        bottom = _one(pen, page.rows[0], layout, look, below)
    elif page.rows:
        bottom = _list(pen, page, look)
    else:
        bottom = _sentences(pen, page, look)
    if page.rows:
        _small_lines(pen, page.lines, bottom, look)
    _footer(pen, page, look)
    return image


@dataclass(frozen=True)
class Look:
    """The measures of one size, in dots."""

    width: int
    height: int
    scale: float
    margin: int
    small: int
    header: int
    footer: int
    line: int

    @classmethod
    def of(cls, size: Size) -> "Look":
        scale = max(1.0, min(size[0] / _BASE[0], size[1] / _BASE[1]))
        in_lists = min(scale, _LIST_SCALE_AT_MOST)
        small = round(SMALLEST_PX * in_lists)
        return cls(
            width=size[0],
            height=size[1],
            scale=scale,
            margin=round(4 * in_lists),
            small=small,
            header=round(small * 1.29),
            footer=round(small * 1.1),
            line=small,
        )

    def big(self, px: int) -> int:
        return round(px * self.scale)

    @property
    def room(self) -> int:
        return self.width - 2 * self.margin

    @property
    def body_bottom(self) -> int:
        return self.height - self.footer


@dataclass(frozen=True)
class _OneLayout:
    """One dose on the whole panel: sizes in dots, and the lines that may not be cut."""

    time_px: int
    name_px: int
    name_line: int
    member_px: int  # 0: among the details
    details_px: int
    details: list[str]


def _room_below(page: Page, look: Look) -> int:
    """What the first line needs below the rows."""
    return look.line * len(wrapped(page.lines[:1], look.small, look.room))


def _one_layout(row: Row, look: Look, below: int = 0) -> _OneLayout | None:
    """The largest layout in which strength, amount and member stand whole, with that much room below if there is one with it;
    None when there is none."""
    for time_px, name_px, details_px in ((38, 24, 19), (38, 20, 16), (30, 18, 14), (24, 16, 14), (20, 14, 14)):
        layout = _one_try(row, look, look.big(time_px), look.big(name_px), look.big(details_px))
        fits_across = _time_right(row, layout.time_px) <= look.room
        if fits_across and _one_height(layout, look) + below <= look.body_bottom - look.header:
            return layout
    return _one_layout(row, look) if below else None


def _one_try(row: Row, look: Look, time_px: int, name_px: int, details_px: int) -> _OneLayout:
    beside = look.room - _time_right(row, time_px)
    member_px = fitting(row.member, min(look.big(17 if row.note else 22), time_px), beside, look.small) or 0
    parts = (row.strength, row.amount) if member_px else (row.strength, row.amount, row.member)
    details_px = fitting(SEPARATOR.join(parts), details_px, look.room, look.small) or look.small
    name_at_least = min(name_px, look.big(18))
    fitted_px = fitting(row.name, name_px, look.room, name_at_least) or name_at_least
    return _OneLayout(time_px, fitted_px, name_px, member_px, details_px, wrapped(parts, details_px, look.room))


def _one_height(layout: _OneLayout, look: Look) -> int:
    return round(
        layout.time_px * 0.92 + layout.name_line * 1.1 + len(layout.details) * layout.details_px * 1.1 + look.scale
    )


def _one(pen: ImageDraw.ImageDraw, row: Row, layout: _OneLayout, look: Look, below: int) -> int:
    """Time and member, then the name, then strength and amount; where it ends."""
    spare = max(0, look.body_bottom - look.header - _one_height(layout, look) - below)
    gap = min(spare // 3, layout.details_px // 2)
    y = look.header + round(layout.time_px * 0.88) + gap // 2
    _mark(pen, row.mark, (look.margin, y - round(layout.time_px * 0.75)), round(layout.time_px * 0.75))
    pen.text((look.margin + layout.time_px, y), row.time, font=font(layout.time_px), fill=BLACK, anchor="ls")
    _beside(pen, row, layout, look, y)
    y += round(layout.name_line * 1.04) + gap
    name = shortened(row.name, layout.name_px, look.room)
    pen.text((look.margin, y), name, font=font(layout.name_px), fill=BLACK, anchor="ls")
    for line in layout.details:
        y += round(layout.details_px * 1.1) + gap // 2
        pen.text((look.margin, y), line, font=font(layout.details_px), fill=BLACK, anchor="ls")
    return y + round(layout.details_px * 0.25)


def _beside(pen: ImageDraw.ImageDraw, row: Row, layout: _OneLayout, look: Look, baseline: int) -> None:
    """The member to the right of the time, the note above."""
    right, room = look.width - look.margin, look.room - _time_right(row, layout.time_px)
    above = baseline
    if layout.member_px:
        pen.text((right, baseline), row.member, font=font(layout.member_px), fill=BLACK, anchor="rs")
        above -= layout.member_px
    note_px = fitting(row.note, look.big(16), room) or look.small
    if above - round(note_px * 0.8) > look.header:
        pen.text((right, above), shortened(row.note, note_px, room), font=font(note_px), fill=BLACK, anchor="rs")


def _time_right(row: Row, time_px: int) -> int:
    return time_px + width(row.time, time_px) + time_px // 4


def _rows_that_fit(page: Page, look: Look) -> tuple[Row, ...]:
    """As many as fit; when not all do, a line is kept free to say so."""
    room = look.body_bottom - look.header
    heights = [_row_height(row, look) for row in page.rows]
    if sum(heights) <= room:
        return page.rows
    shown = 0
    while shown < len(heights) and sum(heights[: shown + 1]) <= room:
        shown += 1
    return page.rows[:shown]


def _row_height(row: Row, look: Look) -> int:
    return (1 + len(_row_details(row, look))) * look.line + 1


def _strength_beside_name(row: Row, look: Look) -> bool:
    """Whether enough of the name is left beside the whole strength."""
    left = look.room - look.line - width(row.strength, look.small) - look.small // 2
    return left >= min(width(row.name, look.small), look.room // 3)


def _row_details(row: Row, look: Look) -> list[str]:
    """The lines below the name; the note only where it costs no line."""
    room = look.room - look.line
    beside = _strength_beside_name(row, look)
    parts = (row.time, row.amount, row.member) if beside else (row.time, row.strength, row.amount, row.member)
    lines = wrapped(parts, look.small, room)
    with_note = wrapped((*parts, row.note), look.small, room)
    return with_note if len(with_note) == len(lines) else lines


def _list(pen: ImageDraw.ImageDraw, page: Page, look: Look) -> int:
    heights = [_row_height(row, look) for row in page.rows]
    spare = look.body_bottom - look.header - sum(heights)
    below = _room_below(page, look)
    spare -= below if below <= spare else 0
    gap = min(spare // len(heights), look.line // 3)
    y = look.header
    for row, height in zip(page.rows, heights, strict=True):
        _list_row(pen, row, y + gap // 2, look)
        y += height + gap
    return y


def _list_row(pen: ImageDraw.ImageDraw, row: Row, top: int, look: Look) -> None:
    x, right = look.margin + look.line, look.width - look.margin
    baseline = top + round(look.line * 0.86)
    size = round(look.small * 0.86)
    _mark(pen, row.mark, (look.margin, baseline - size + 1), size)
    room = right - x
    if _strength_beside_name(row, look):
        pen.text((right, baseline), row.strength, font=font(look.small), fill=BLACK, anchor="rs")
        room -= width(row.strength, look.small) + look.small // 2
    pen.text((x, baseline), shortened(row.name, look.small, room), font=font(look.small), fill=BLACK, anchor="ls")
    for line in _row_details(row, look):
        baseline += look.line
        pen.text((x, baseline), line, font=font(look.small), fill=BLACK, anchor="ls")


def _sentences(pen: ImageDraw.ImageDraw, page: Page, look: Look) -> int:
    """A page without doses: its title large, its sentences under it."""
    size = fitting(page.title, look.big(28), look.room) or look.small
    y = look.header + round(size * 1.2)
    pen.text((look.margin, y), shortened(page.title, size, look.room), font=font(size), fill=BLACK, anchor="ls")
    return _small_lines(pen, page.lines, y + look.line // 2, look)


def _small_lines(pen: ImageDraw.ImageDraw, lines: tuple[str, ...], top: int, look: Look) -> int:
    """As many sentences as there is room for."""
    for line in (piece for sentence in lines for piece in wrapped((sentence,), look.small, look.room)):
        if top + look.line > look.body_bottom:
            break
        pen.text((look.margin, top + round(look.line * 0.86)), line, font=font(look.small), fill=BLACK, anchor="ls")
        top += look.line
    return top


def _header(pen: ImageDraw.ImageDraw, page: Page, look: Look) -> None:
    """What kind of page it is to the left, what the buttons do to the right."""
    paper, ink = (BLACK, WHITE) if page.alarm else (WHITE, BLACK)
    bottom = look.header - 2
    pen.rectangle((0, 0, look.width, bottom), fill=paper)
    pen.line((0, bottom, look.width, bottom), fill=BLACK)
    more = f" +{page.more} more" if page.more else ""
    baseline = round(look.header * 0.72)
    left = _hints(pen, page, page.title + more, look, paper, ink)
    text = shortened(page.title, look.small, left - look.margin - width(more, look.small)) + more
    pen.text((look.margin, baseline), text, font=font(look.small), fill=ink, anchor="ls")


def _hints(pen: ImageDraw.ImageDraw, page: Page, title: str, look: Look, paper: int, ink: int) -> int:
    """The buttons as they are labelled, in boxes; left out when the title needs their room. Where they begin."""
    left = look.width - look.margin
    labels = ("TAKE", "SKIP") if page.takes else ("hold: undo",) if page.undoes else ()
    boxes = [width(label, look.small) + look.small // 2 for label in labels]
    if look.margin + width(title, look.small) + sum(boxes) + look.small > left:
        return left
    for label, box in zip(reversed(labels), reversed(boxes), strict=True):
        pen.rectangle((left - box, 1, left - 2, look.header - 4), fill=ink)
        pen.text(
            (left - box // 2 - 1, round(look.header * 0.72)), label, font=font(look.small), fill=paper, anchor="ms"
        )
        left -= box + 1
    return left


def _footer(pen: ImageDraw.ImageDraw, page: Page, look: Look) -> None:
    """The stamps that every frame carries: e-paper keeps its picture when the power is gone."""
    top = look.body_bottom
    pen.line((0, top, look.width, top), fill=BLACK)
    stamps = f"as of {page.as_of} · valid until {page.valid_until}"
    if width(stamps, look.small) > look.room:
        stamps = f"as of {page.as_of} · until {page.valid_until}"
    pen.text((look.width // 2, top + round(look.footer * 0.84)), stamps, font=font(look.small), fill=BLACK, anchor="ms")


def _mark(pen: ImageDraw.ImageDraw, mark: Mark, at: tuple[int, int], size: int) -> None:
    """Shapes, since glyphs for them are missing in many fonts and too thin in others."""
    (x, y), stroke = at, max(2, size // 10)
    box = (x, y, x + size - 1, y + size - 1)
    if mark is Mark.LATE:
        pen.rectangle(box, fill=BLACK)
        middle = x + size // 2
        pen.rectangle((middle - stroke // 2, y + size // 5, middle + (stroke - 1) // 2, y + size * 3 // 5), fill=WHITE)
        pen.rectangle(
            (middle - stroke // 2, y + size * 7 // 10, middle + (stroke - 1) // 2, y + size * 4 // 5), fill=WHITE
        )
    elif mark is Mark.NEXT:
        pen.polygon(((x + size // 6, y), (x + size * 5 // 6, y + size // 2), (x + size // 6, y + size - 1)), fill=BLACK)
    elif mark is Mark.SKIPPED:
        pen.rectangle((x, y + size // 2 - stroke, x + size - 1, y + size // 2 + stroke), fill=BLACK)
    else:
        pen.rectangle(box, outline=BLACK, width=stroke)
        if mark is Mark.TAKEN:
            tick = (
                (x + size // 5, y + size // 2),
                (x + size * 2 // 5, y + size * 3 // 4),
                (x + size * 4 // 5, y + size // 5),
            )
            pen.line(tick, fill=BLACK, width=stroke + 1)


def _writable(page: Page) -> Page:
    rows = tuple(
        replace(
            row,
            name=writable(row.name),
            strength=writable(row.strength),
            amount=writable(row.amount),
            member=writable(row.member),
            note=writable(row.note),
        )
        for row in page.rows
    )
    return replace(page, rows=rows)
