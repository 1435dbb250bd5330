"""Several doses: person by person or time by time, each with its strength and amount whole."""

from dataclasses import dataclass, replace

from dosette_display.lettering import SEPARATOR, at_most, shortened, width, wrapped
from dosette_display.look import ASIDE, LETTER_STEPS, Look, ascent, cap_height, descent, line_height
from dosette_display.page import Mark, Page, Row
from dosette_display.sheet import Sheet


@dataclass(frozen=True)
class _ListLook:
    """The size of its letters, and whether notes get lines of their own."""

    px: int
    notes: bool


def put_list(sheet: Sheet, rows: tuple[Row, ...], look: Look, top: int, bottom: int) -> int:
    """Person by person or time by time. Where it ends."""
    chosen = _list_look(rows, look, bottom - top)
    spare = max(0, bottom - top - list_height(rows, look, chosen))
    gap = min(spare // (len(rows) + 1), chosen.px // 2)
    return put_rows(sheet, rows, look, top + gap // 2, chosen, gap) - gap


def put_rows(sheet: Sheet, rows: tuple[Row, ...], look: Look, y: int, chosen: _ListLook, gap: int = 0) -> int:
    for before, row in zip((None, *rows), rows, strict=False):
        if _begins_group(before, row):
            y = _head(sheet, row, look, y, chosen.px)
        y = _list_row(sheet, row, look, y, chosen) + gap
    return y


def put_aside(sheet: Sheet, page: Page, look: Look, top: int) -> None:
    """Today's list, below the title, as far as there is room; what is to come goes before what is over."""
    left = round(look.width * (1 - ASIDE))
    column = replace(look, left=left + look.left, small=at_most(look.small * 0.84))
    sheet.box(left, top + look.air, left + 1, look.bottom(page) - look.air)
    px, bottom = column.small, look.bottom(page) - look.air
    y = top + look.air // 2 + ascent(px)
    sheet.text("Today", column.left, y, px)
    y += descent(px) + look.air // 2
    rows, hidden = _aside_rows(page.aside, column, bottom - y)
    y = put_rows(sheet, rows, column, y, plain(column))
    if hidden:
        sheet.text(f"and {hidden} more", column.left, y + ascent(px), px)


def list_height(rows: tuple[Row, ...], look: Look, chosen: _ListLook) -> int:
    lines = 0
    for before, row in zip((None, *rows), rows, strict=False):
        lines += len(_heads(row, look, chosen.px)) if _begins_group(before, row) else 0
        lines += 1 + len(_facts_below(row, look, chosen))
    return lines * line_height(chosen.px)


def _list_look(rows: tuple[Row, ...], look: Look, room: int) -> _ListLook:
    """With notes if they fit; then as large as fits."""
    tries = [_ListLook(at_most(look.small * step), notes) for notes in (True, False) for step in LETTER_STEPS]
    return next((each for each in tries if list_height(rows, look, each) <= room), tries[-1])


def plain(look: Look) -> _ListLook:
    """What takes least room."""
    return _ListLook(look.small, notes=False)


def _begins_group(before: Row | None, row: Row) -> bool:
    return before is None or (before.time, before.member) != (row.time, row.member)


def _heads(row: Row, look: Look, px: int) -> list[str]:
    return wrapped((row.time, row.member), px, look.room)


def _head(sheet: Sheet, row: Row, look: Look, y: int, px: int) -> int:
    """When and who, with a rule to the edge."""
    for each in _heads(row, look, px):
        end = sheet.text(each, look.left, y + ascent(px), px)
        y += line_height(px)
    middle = y - descent(px) - cap_height(px) // 2
    if end + px < look.right:
        sheet.box(end + px // 2, middle, look.right - 1, middle + (1 if look.scale > 1.5 else 0))
    return y


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
    px, size = chosen.px, cap_height(chosen.px)
    indent = look.left + px + px // 3
    y += ascent(px)
    sheet.sign(row.mark, look.left, y - size, size)
    sheet.text(shortened(row.name, px, look.right - indent), indent, y, px)
    facts = _facts_below(row, look, chosen)
    if said := _on_first_line(row, look, px):
        sheet.text_until(said if facts else _noted(said, row, look, px), look.right, y, px)
    for each in facts:
        y += line_height(px)
        sheet.text(each, indent, y, px)
    return y + descent(px)


def _aside_rows(rows: tuple[Row, ...], look: Look, room: int) -> tuple[tuple[Row, ...], int]:
    """Those that fit, and how many do not."""
    if list_height(rows, look, plain(look)) <= room:
        return rows, 0
    over = (Mark.TAKEN, Mark.SKIPPED)
    shown = rows
    while shown and list_height(shown, look, plain(look)) > room - line_height(look.small):
        shown = shown[1:] if shown[0].mark in over else shown[:-1]
    return shown, len(rows) - len(shown)
