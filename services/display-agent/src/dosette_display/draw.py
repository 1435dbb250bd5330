"""From a page to a picture of one bit a dot. All measures follow from the size alone.

`fit(page, size)` says which rows a panel of this size can show whole; the page that it returns is the one to draw, and the one
whose doses a press may name.
"""

from dataclasses import dataclass, replace

from PIL import Image

from dosette_display.keys import Key, Screen
from dosette_display.lettering import (
    JOINTS,
    SEPARATOR,
    SMALLEST_PX,
    at_most,
    fall,
    fitting,
    line,
    rise,
    shortened,
    width,
    wrapped,
    writable,
)
from dosette_display.page import Mark, Page, Row
from dosette_display.sheet import BLACK, WHITE, Code, Sheet, Size
from dosette_display.views import keys_of

_BASE = (250, 122)
_WIDE = 640
"""From here on today's list stands beside what is due."""
_ASIDE = 0.38
_TALL = 160
"""From here on a name may go over two lines."""
_STEPS = (38, 24, 19), (38, 22, 18), (38, 20, 17), (34, 20, 16), (30, 18, 16), (30, 18, 14), (24, 16, 14), (20, 14, 14)
"""Time, name and facts of one dose alone, in dots of the smallest panel; all are scaled."""
_WISHES = ("whole with note", "whole", "on one line each", "there")
"""Of the name and the note; then of strength, amount and member, which are there in each."""
_SMALLER = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
_LIST_STEPS = (1.5, 1.25, 1.1, 1.0)
_LISTS = (Screen.TODAY, Screen.LOW, Screen.DOUBLE, Screen.CLOCK)
_TOO_LONG = "Too long for this panel: see the pages."


def fit(page: Page, size: Size) -> Page:
    """The page as a panel of this size shows it: a dose that can't be shown whole is neither shown nor named by a press."""
    look = Look.of(size)
    page = _writable(page if look.is_wide else replace(page, aside=()))
    if page.choices or not page.rows:
        return replace(page, keys=keys_of(page))
    parts = _parts(page.rows, _main(page, look))
    part = page.part % len(parts)
    shown = parts[part]
    ids = {row.dose_id for row in shown}
    page = replace(
        page,
        rows=shown,
        part=part,
        parts=len(parts),
        more=len(page.rows) - len(shown),
        lines=page.lines if shown else (_TOO_LONG, *page.lines),
        takes=tuple(each for each in page.takes if each in ids),
        snoozes=tuple(each for each in page.snoozes if each in ids),
        undoes=page.undoes if page.screen is not Screen.DONE or ids.issuperset(page.undoes) else (),
    )
    return replace(page, keys=keys_of(page))


def draw(page: Page, size: Size) -> Image.Image:
    """A picture of a fitted page: mode "1", 1 is white."""
    return lay_out(page, size).draw()


def lay_out(page: Page, size: Size) -> Sheet:
    """What `draw` draws."""
    sheet, look = Sheet(size), Look.of(size)
    if page.screen is Screen.PAIRING:
        _pairing(sheet, page, look)
        return sheet
    _body(sheet, page, _main(page, look))
    if page.rows or page.choices:
        _header(sheet, page, look)
    if page.aside:
        _aside(sheet, page, look)
    if page.keys:
        _key_bar(sheet, page.keys, look)
    _footer(sheet, page, look)
    return sheet


@dataclass(frozen=True)
class Look:
    """The measures of one size, in dots: of letters, and of the column between `left` and `right`."""

    width: int
    height: int
    scale: float
    left: int
    right: int
    small: int

    @classmethod
    def of(cls, size: Size) -> "Look":
        scale = max(1.0, min(size[0] / _BASE[0], size[1] / _BASE[1]))
        in_lists = 1 + (min(scale, 3.0) - 1) * 0.42
        margin = round(4 * in_lists) if scale < 2 else round(6 * in_lists)
        return cls(size[0], size[1], scale, margin, size[0] - margin, at_most(SMALLEST_PX * in_lists))

    @property
    def is_roomy(self) -> bool:
        return self.scale > 1.2

    @property
    def is_wide(self) -> bool:
        return self.width >= _WIDE

    @property
    def room(self) -> int:
        return self.right - self.left

    @property
    def air(self) -> int:
        """Beyond what must be: none on a small panel."""
        return round(self.small * (self.scale - 1) * 0.25) if self.is_roomy else 0

    @property
    def top(self) -> int:
        """Of the body, below the title and its rule."""
        return _height(self.small) + 2 + self.air

    @property
    def footer(self) -> int:
        return self.height - _height(self.small) + 1 - self.air // 2

    @property
    def key_bar(self) -> int:
        return self.footer - _height(self.small) + 1 - self.air

    def bottom(self, page: Page) -> int:
        return self.key_bar if page.keys or page.rows else self.footer


def _ascent(px: int) -> int:
    """Of the tallest letter that has a diacritic."""
    drawn = line("Å", px)
    return -drawn.top if drawn else px


def _descent(px: int) -> int:
    drawn = line("gj,", px)
    return drawn.ink.height + drawn.top if drawn else 0


def _height(px: int) -> int:
    """Of a line whose letters touch neither the line above nor the one below."""
    return _ascent(px) + _descent(px)


def _cap(px: int) -> int:
    drawn = line("0", px)
    return -drawn.top if drawn else px


def _main(page: Page, look: Look) -> Look:
    """The column for what the page is about."""
    return replace(look, right=round(look.width * (1 - _ASIDE)) - look.left) if page.aside else look


# Parts of a page


def _parts(rows: tuple[Row, ...], look: Look) -> list[tuple[Row, ...]]:
    """As many rows on each as fit; a row that can't be shown whole leaves a part empty."""
    room = look.key_bar - look.top
    parts: list[tuple[Row, ...]] = []
    for row in rows:
        longer = (*parts[-1], row) if parts and parts[-1] else ()
        if longer and _list_height(longer, look, _plain(look)) <= room:
            parts[-1] = longer
        else:
            parts.append((row,) if _fits_alone(row, look, room) else ())
    return parts


def _fits_alone(row: Row, look: Look, room: int) -> bool:
    return _one_layout(row, look, room) is not None or _list_height((row,), look, _plain(look)) <= room


# The bars


def _header(sheet: Sheet, page: Page, look: Look) -> None:
    """What the page says, and which part of it this is."""
    paper, ink = (BLACK, WHITE) if page.alarm else (WHITE, BLACK)
    bottom = look.top - 2
    sheet.box(0, 0, look.width - 1, bottom, paper)
    sheet.box(0, bottom, look.width - 1, bottom)
    baseline = look.air // 2 + _ascent(look.small)
    right = look.right
    if aside := _where(page) or _unsaid_note(page, sheet, look):
        right = sheet.text_until(aside, right, baseline, look.small, ink) - look.small // 2
    sheet.text(shortened(_title(page, look), look.small, right - look.left), look.left, baseline, look.small, ink)


def _title(page: Page, look: Look) -> str:
    """A menu whose entries have no room says the chosen one."""
    if page.choices and not _choices_fit(page, look):
        ask = "Skip: " if page.screen is Screen.WHY and page.chosen < len(page.choices) - 1 else ""
        return f"{ask}{page.choices[page.chosen].text}?"
    return page.title


def _where(page: Page) -> str:
    if page.choices:
        return f"{page.chosen + 1}/{len(page.choices)}"
    return f"{page.part + 1}/{page.parts}" if page.parts > 1 else ""


def _unsaid_note(page: Page, sheet: Sheet, look: Look) -> str:
    """Of the only dose, if the body had no room for it."""
    note = page.rows[0].note if len(page.rows) == 1 else ""
    written = "".join(each.said for each in sheet.texts).replace(" ", "")
    if not note or note.replace(" ", "") in written:
        return ""
    return shortened(note, look.small, look.room - width(page.title, look.small) - look.small)


def _key_bar(sheet: Sheet, keys: tuple[Key, ...], look: Look) -> None:
    """Each button's label in inverse, and what it does beside it."""
    px, pad = look.small, max(2, look.small // 5)
    words = [(key.button, key.does) for key in keys]
    if _keys_width(words, look) > look.room:
        words = [(key.button, key.briefly) for key in keys]
    spare = max(0, look.room - _keys_width(words, look))
    gap = min(spare // max(1, len(words) - 1), look.small) if len(words) > 1 else 0
    top, baseline = look.key_bar + 1, look.key_bar + _cap(px) + 2 + look.air // 2
    x = look.left
    for button, does in words:
        right = x + width(button, px) + 2 * pad
        sheet.box(x, top, right - 1, baseline + max(1 + look.air // 2, _descent(px) - 1 if "p" in button else 0))
        sheet.text(button, x + pad, baseline, px, WHITE)
        x = sheet.text(does, right + pad, baseline, px) + pad if does else right + pad
        x += gap


def _keys_width(words: list[tuple[str, str]], look: Look) -> int:
    pad = max(2, look.small // 5)
    one_by_one = [
        width(button, look.small) + 2 * pad + (width(does, look.small) + pad if does else 0) for button, does in words
    ]
    return sum(one_by_one) + pad * (len(words) - 1)


def _footer(sheet: Sheet, page: Page, look: Look) -> None:
    """The stamps that every frame carries: e-paper keeps its picture when the power is gone."""
    top = look.footer
    sheet.box(0, top, look.width - 1, top)
    stamps = f"as of {page.as_of} · valid until {page.valid_until}"
    if width(stamps, look.small) > look.room:
        stamps = f"as of {page.as_of} · until {page.valid_until}"
    baseline = look.height - _descent(look.small) - look.air // 4
    sheet.text(stamps, (look.width - width(stamps, look.small)) // 2, baseline, look.small)


# The body


def _body(sheet: Sheet, page: Page, look: Look) -> None:
    top, bottom = look.top, look.bottom(page)
    if page.choices:
        _menu(sheet, page, look, top, bottom)
        return
    if not page.rows:
        _sentences(sheet, page, look, bottom)
        return
    below = _lines_height(page.lines[:1], look)
    layout = None
    if len(page.rows) == 1 and page.screen not in _LISTS:
        layout = _one_layout(page.rows[0], look, bottom - top, below)
    end = (
        _one(sheet, page.rows[0], layout, look, top, bottom - below)
        if layout
        else _list(sheet, page.rows, look, top, bottom - below)
    )
    air = min(look.air, max(0, bottom - below - end))
    _small_lines(sheet, page.lines, end + air, look, bottom)


@dataclass(frozen=True)
class _OneLayout:
    """One dose on the whole panel: sizes in dots, and the lines that may not be cut."""

    time_px: int
    name_px: int
    member_px: int  # 0: among the facts
    facts_px: int
    names: list[str]
    facts: list[str]
    drop: int  # of the name, below letters of the member that hang down on it
    height: int


def _one_layout(row: Row, look: Look, room: int, below: int = 0) -> _OneLayout | None:
    """The largest layout in which strength, amount and member stand whole, with that much room below if there is one with it.

    One with the whole name is better than a larger one. None when there is none.
    """
    for wish in _WISHES if row.time else ():
        for smaller in _SMALLER if look.is_roomy else (1.0,):
            for steps in _STEPS:
                sizes = [at_most(each * look.scale * smaller) for each in steps]
                layout = _one_try(row, look, sizes, wish)
                if layout and layout.height + below <= room:
                    return layout
    return _one_layout(row, look, room) if below else None


def _one_try(row: Row, look: Look, sizes: list[int], wish: str) -> _OneLayout | None:
    """With time, name and facts of these sizes; None if they don't fit across, or the wish can't be granted."""
    time_px, name_px, facts_px = sizes
    beside = look.room - _time_width(row, time_px)
    if beside < 0:
        return None
    member_px = fitting(row.member, max(SMALLEST_PX, min(name_px, time_px)), beside - name_px // 2) or 0
    most = 3 if look.is_roomy else 2 if look.height >= _TALL else 1
    names = wrapped((row.name,), name_px, look.room)
    must = (row.strength, row.amount) if member_px else (row.strength, row.amount, row.member)
    facts, noted = wrapped(must, facts_px, look.room), wrapped((*must, row.note), facts_px, look.room)
    if wish == "whole with note" and (len(noted) > most or not member_px):
        return None
    if wish.startswith("whole") and (len(names) > most or _is_broken(row.name, names)):
        return None
    if wish != "there" and not all(any(each in fact for fact in facts) for each in must):
        return None
    if len(names) > most:
        names = [*names[: most - 1], shortened(_after(row.name, names[: most - 1]), name_px, look.room)]
    facts = noted if wish == "whole with note" or len(noted) == len(facts) else facts
    touches = member_px and width(names[0], name_px) >= look.room - width(row.member, member_px)
    drop = fall(row.member, member_px) if touches else 0
    lines = [(each, name_px) for each in names] + [(each, facts_px) for each in facts]
    height = _cap(time_px) + drop + sum(_ink_height(each, px) for each, px in lines) + 2
    return _OneLayout(time_px, name_px, member_px, facts_px, names, facts, drop, height)


def _after(text: str, lines: list[str]) -> str:
    """What of the text comes after its first lines."""
    for each in lines:
        text = text[text.index(each) + len(each) :].lstrip()
    return text


def _is_broken(text: str, lines: list[str]) -> bool:
    """Whether a word had to be cut elsewhere than at a joint."""
    joined = " ".join(lines)
    for joint in JOINTS:
        joined, text = joined.replace(f"{joint} ", joint), text.replace(f"{joint} ", joint)
    return joined != text


def _ink_height(text: str, px: int) -> int:
    """With a dot of air above."""
    return 1 + rise(text, px) + fall(text, px)


def _time_width(row: Row, time_px: int) -> int:
    return time_px + width(row.time, time_px)


def _one(sheet: Sheet, row: Row, layout: _OneLayout, look: Look, top: int, bottom: int) -> int:
    """Where it ends."""
    spare = max(0, bottom - top - layout.height)
    gap = min(spare // (2 + len(layout.names) + len(layout.facts)), layout.facts_px)
    y = top + 1 + gap + _cap(layout.time_px)
    mark = round(layout.time_px * 0.74)
    sheet.sign(row.mark, look.left, y - mark, mark)
    sheet.text(row.time, look.left + layout.time_px, y, layout.time_px)
    if layout.member_px:
        sheet.text_until(row.member, look.right, y, layout.member_px)
    y += max(gap, layout.drop)
    for place, each in enumerate(layout.names):
        y = _beneath(sheet, each, look.left, y + (gap // 2 if place else 0), layout.name_px)
    y += gap // 2
    for each in layout.facts:
        y = _beneath(sheet, each, look.left, y + gap // 2, layout.facts_px)
    return y


def _beneath(sheet: Sheet, said: str, x: int, y: int, px: int) -> int:
    """A text whose ink begins a dot below `y`. Where it ends."""
    baseline = y + 1 + rise(said, px)
    sheet.text(said, x, baseline, px)
    return baseline + fall(said, px)


# Lists


@dataclass(frozen=True)
class _ListLook:
    """The size of its letters, and whether notes get lines of their own."""

    px: int
    notes: bool


def _list_look(rows: tuple[Row, ...], look: Look, room: int) -> _ListLook:
    """With notes if they fit; then as large as fits."""
    tries = [_ListLook(at_most(look.small * step), notes) for notes in (True, False) for step in _LIST_STEPS]
    return next((each for each in tries if _list_height(rows, look, each) <= room), tries[-1])


def _plain(look: Look) -> _ListLook:
    """What takes least room."""
    return _ListLook(look.small, notes=False)


def _list(sheet: Sheet, rows: tuple[Row, ...], look: Look, top: int, bottom: int) -> int:
    """Person by person or time by time. Where it ends."""
    chosen = _list_look(rows, look, bottom - top)
    spare = max(0, bottom - top - _list_height(rows, look, chosen))
    gap = min(spare // (len(rows) + 1), chosen.px // 2)
    return _list_at(sheet, rows, look, top + gap // 2, chosen, gap) - gap


def _list_at(sheet: Sheet, rows: tuple[Row, ...], look: Look, y: int, chosen: _ListLook, gap: int = 0) -> int:
    for before, row in zip((None, *rows), rows, strict=False):
        if _begins_group(before, row):
            y = _head(sheet, row, look, y, chosen.px)
        y = _list_row(sheet, row, look, y, chosen) + gap
    return y


def _begins_group(before: Row | None, row: Row) -> bool:
    return before is None or (before.time, before.member) != (row.time, row.member)


def _heads(row: Row, look: Look, px: int) -> list[str]:
    return wrapped((row.time, row.member), px, look.room)


def _head(sheet: Sheet, row: Row, look: Look, y: int, px: int) -> int:
    """When and who, with a rule to the edge."""
    for each in _heads(row, look, px):
        end = sheet.text(each, look.left, y + _ascent(px), px)
        y += _height(px)
    middle = y - _descent(px) - _cap(px) // 2
    if end + px < look.right:
        sheet.box(end + px // 2, middle, look.right - 1, middle + (1 if look.scale > 1.5 else 0))
    return y


def _list_height(rows: tuple[Row, ...], look: Look, chosen: _ListLook) -> int:
    lines = 0
    for before, row in zip((None, *rows), rows, strict=False):
        lines += len(_heads(row, look, chosen.px)) if _begins_group(before, row) else 0
        lines += 1 + len(_facts_below(row, look, chosen))
    return lines * _height(chosen.px)


def _on_first_line(row: Row, look: Look, px: int) -> str:
    """What has room beside the whole name: strength and amount, else the strength alone, else nothing."""
    room = look.room - px - px // 3 - width(row.name, px) - px
    both = SEPARATOR.join(filter(None, (row.strength, row.amount)))
    return next((facts for facts in (both, row.strength) if width(facts, px) <= room), "")


def _facts_below(row: Row, look: Look, chosen: _ListLook) -> list[str]:
    """The lines below the name."""
    px, room = chosen.px, look.room - chosen.px - chosen.px // 3
    first = _on_first_line(row, look, px)
    if first and first != row.strength and (not row.note or _noted(first, row, look, px) != first):
        return []
    facts = (row.amount,) if first == row.strength and row.amount else () if first else (row.strength, row.amount)
    lines, with_note = wrapped(facts, px, room), wrapped((*facts, shortened(row.note, px, room)), px, room)
    return with_note if chosen.notes or len(with_note) == len(lines) else lines


def _noted(first: str, row: Row, look: Look, px: int) -> str:
    """The note beside the facts, too, if it has room there."""
    both = SEPARATOR.join(filter(None, (first, row.note)))
    return both if width(both, px) <= look.room - px - px // 3 - width(row.name, px) - px else first


def _list_row(sheet: Sheet, row: Row, look: Look, y: int, chosen: _ListLook) -> int:
    px, size = chosen.px, _cap(chosen.px)
    indent = look.left + px + px // 3
    y += _ascent(px)
    sheet.sign(row.mark, look.left, y - size, size)
    sheet.text(shortened(row.name, px, look.right - indent), indent, y, px)
    facts = _facts_below(row, look, chosen)
    if said := _on_first_line(row, look, px):
        sheet.text_until(said if facts else _noted(said, row, look, px), look.right, y, px)
    for each in facts:
        y += _height(px)
        sheet.text(each, indent, y, px)
    return y + _descent(px)


def _aside(sheet: Sheet, page: Page, look: Look) -> None:
    """Today's list, as far as there is room; what is to come goes before what is over."""
    left = round(look.width * (1 - _ASIDE))
    column = replace(look, left=left + look.left, small=at_most(look.small * 0.84))
    sheet.box(left, look.top + look.air, left + 1, look.bottom(page) - look.air)
    px, bottom = column.small, look.bottom(page) - look.air
    y = look.top + look.air // 2 + _ascent(px)
    sheet.text("Today", column.left, y, px)
    y += _descent(px) + look.air // 2
    rows, hidden = _aside_rows(page.aside, column, bottom - y)
    y = _list_at(sheet, rows, column, y, _plain(column))
    if hidden:
        sheet.text(f"and {hidden} more", column.left, y + _ascent(px), px)


def _aside_rows(rows: tuple[Row, ...], look: Look, room: int) -> tuple[tuple[Row, ...], int]:
    """Those that fit, and how many do not."""
    if _list_height(rows, look, _plain(look)) <= room:
        return rows, 0
    over = (Mark.TAKEN, Mark.SKIPPED)
    shown = rows
    while shown and _list_height(shown, look, _plain(look)) > room - _height(look.small):
        shown = shown[1:] if shown[0].mark in over else shown[:-1]
    return shown, len(rows) - len(shown)


# Menus and sentences


def _choices_fit(page: Page, look: Look) -> bool:
    """Whether two entries at least have room below the doses that they are about."""
    room = look.key_bar - look.top - _list_height(page.rows, look, _plain(look))
    return room >= min(2, len(page.choices)) * _height(look.small)


def _menu(sheet: Sheet, page: Page, look: Look, top: int, bottom: int) -> None:
    """What it is about, then the entries around the chosen one, which is in inverse."""
    if not _choices_fit(page, look):
        _list(sheet, page.rows, look, top, bottom)
        return
    px = look.small
    y = _list_at(sheet, page.rows, look, top, _plain(look)) + look.air // 2
    count = min(len(page.choices), (bottom - y) // _height(px))
    gap = min((bottom - y - count * _height(px)) // count, look.air)
    first = min(max(0, page.chosen - count // 2), len(page.choices) - count)
    for place in range(first, first + count):
        is_chosen = place == page.chosen
        if is_chosen:
            sheet.box(look.left, y, look.right - 1, y + _height(px) - 1)
        said = shortened(page.choices[place].text, px, look.room - px)
        sheet.text(said, look.left + px // 2, y + _ascent(px), px, WHITE if is_chosen else BLACK)
        y += _height(px) + gap


def _sentences(sheet: Sheet, page: Page, look: Look, bottom: int) -> None:
    """A page without doses: its title large, its sentences under it."""
    paper, ink = (BLACK, WHITE) if page.alarm else (WHITE, BLACK)
    px = fitting(page.title, round(28 * min(look.scale, 2.4)), look.room) or look.small
    baseline = look.air + 4 + _cap(px)
    end = baseline + _descent(px) + look.air + 2
    sheet.box(0, 0, look.width - 1, end, paper)
    sheet.box(0, end, look.width - 1, end)
    sheet.text(shortened(page.title, px, look.room), look.left, baseline, px, ink)
    room = bottom - end - look.air
    sizes = (at_most(look.small * step) for step in _LIST_STEPS)
    small = next((each for each in sizes if _lines_height(page.lines, replace(look, small=each)) <= room), look.small)
    _small_lines(sheet, page.lines, end + 3 + look.air, replace(look, small=small), bottom)


def _lines_height(lines: tuple[str, ...], look: Look) -> int:
    return _height(look.small) * len([piece for each in lines for piece in wrapped((each,), look.small, look.room)])


def _small_lines(sheet: Sheet, lines: tuple[str, ...], top: int, look: Look, bottom: int) -> None:
    """As many sentences as there is room for."""
    px = look.small
    for sentence in lines:
        pieces = wrapped((sentence,), px, look.room)
        if top + len(pieces) * _height(px) > bottom:
            return
        for piece in pieces:
            sheet.text(piece, look.left, top + _ascent(px), px)
            top += _height(px)


def _pairing(sheet: Sheet, page: Page, look: Look) -> None:
    """The QR code as large as it goes, the words beside it."""
    modules = _qr(page.code)
    quiet = 2
    module_px = max(1, min(look.height, look.width * 11 // 20) // (len(modules) + 2 * quiet))
    side = module_px * (len(modules) + 2 * quiet)
    sheet.things.append(Code(modules, quiet * module_px, (look.height - side) // 2 + quiet * module_px, module_px))
    column = replace(look, left=side + look.left)
    code, *lines = page.lines
    y = look.air + 2
    for each, px in (
        (page.title, look.small),
        (code, fitting(code, round(30 * look.scale), column.room) or look.small),
    ):
        for piece in wrapped((each,), px, column.room):
            sheet.text(piece, column.left, y + _ascent(px), px)
            y += _height(px)
        y += look.air
    stamps = (f"as of {page.as_of}", f"valid until {page.valid_until}")
    if width(stamps[1], look.small) > column.room:
        stamps = (stamps[0], f"until {page.valid_until}")
    foot = look.height - 2 - look.air // 2 - _lines_height(stamps, column)
    _small_lines(sheet, tuple(lines), y, column, foot)
    _small_lines(sheet, stamps, foot, column, look.height)


def _qr(text: str) -> tuple[bytes, ...]:
    import segno  # only a panel that is being paired needs it

    return tuple(bytes(row) for row in segno.make_qr(text, error="m").matrix)


def _writable(page: Page) -> Page:
    return replace(
        page,
        title=writable(page.title),
        rows=tuple(map(_writable_row, page.rows)),
        aside=tuple(map(_writable_row, page.aside)),
        lines=tuple(map(writable, page.lines)),
        choices=tuple(replace(each, text=writable(each.text)) for each in page.choices),
    )


def _writable_row(row: Row) -> Row:
    return replace(
        row,
        name=writable(row.name),
        strength=writable(row.strength),
        amount=writable(row.amount),
        member=writable(row.member),
        note=writable(row.note),
    )
