"""From a page to a picture of one bit a dot.

`fit(page, size)` says which rows a panel of this size can show whole; the page that it returns is the one to draw, and the one
whose doses a press may name.
"""

from dataclasses import replace

from PIL import Image

from dosette_display.dose_list import list_height, plain, put_aside, put_list, put_rows
from dosette_display.keys import Key, Screen
from dosette_display.lettering import shortened, width, writable
from dosette_display.look import ASIDE, Look, ascent, cap_height, descent, line_height
from dosette_display.one_dose import one_layout, put_one
from dosette_display.page import Page, Row
from dosette_display.sentences import lines_height, put_lines, put_pairing, put_sentences, title_end
from dosette_display.sheet import BLACK, WHITE, Sheet, Size
from dosette_display.views import keys_of

_LISTS = (Screen.TODAY, Screen.LOW, Screen.DOUBLE, Screen.CLOCK)
_TOO_LONG = "Too long for this panel: see the pages."


def fit(page: Page, size: Size) -> Page:
    """The page as a panel of this size shows it: a dose that can't be shown whole is neither shown nor named by a press."""
    look = Look.of(size)
    page = _writable(page if look.is_wide else replace(page, aside=()))
    if page.choices or not page.rows:
        return replace(page, keys=keys_of(page))
    parts = _parts(page, _main(page, look))
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
        put_pairing(sheet, page, look)
        return sheet
    main, has_header = _main(page, look), bool(page.rows or page.choices)
    _body(sheet, page, main)
    if has_header:
        _header(sheet, page, look)
    if page.aside:
        put_aside(sheet, page, look, look.top if has_header else title_end(page, main))
    if page.keys:
        _key_bar(sheet, page.keys, look)
    _footer(sheet, page, look)
    return sheet


def _main(page: Page, look: Look) -> Look:
    """The column for what the page is about."""
    return replace(look, right=round(look.width * (1 - ASIDE)) - look.left) if page.aside else look


# Parts of a page


def _parts(page: Page, look: Look) -> list[tuple[Row, ...]]:
    """As many rows on each as fit; a row that can't be shown whole leaves a part empty."""
    room = look.key_bar - look.top
    parts: list[tuple[Row, ...]] = []
    for row in page.rows:
        longer = (*parts[-1], row) if parts and parts[-1] else ()
        if longer and _fits_in_list(longer, look, room):
            parts[-1] = longer
        else:
            parts.append((row,) if _fits_alone(row, page, look, room) else ())
    return parts


def _fits_alone(row: Row, page: Page, look: Look, room: int) -> bool:
    may_be_large = page.screen not in _LISTS and one_layout(row, look, room) is not None
    return may_be_large or _fits_in_list((row,), look, room)


def _fits_in_list(rows: tuple[Row, ...], look: Look, room: int) -> bool:
    return list_height(rows, look, plain(look)) <= room


# The bars


def _header(sheet: Sheet, page: Page, look: Look) -> None:
    """What the page says, and which part of it this is."""
    paper, ink = (BLACK, WHITE) if page.alarm else (WHITE, BLACK)
    bottom = look.top - 2
    sheet.box(0, 0, look.width - 1, bottom, paper)
    sheet.box(0, bottom, look.width - 1, bottom)
    baseline = look.air // 2 + ascent(look.small)
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
    words = _key_words(keys, look)
    spare = max(0, look.room - _keys_width(words, look))
    gap = min(spare // max(1, len(words) - 1), look.small) if len(words) > 1 else 0
    top, baseline = look.key_bar + 1, look.key_bar + cap_height(px) + 2 + look.air // 2
    x = look.left
    for button, does in words:
        right = x + width(button, px) + 2 * pad
        sheet.box(x, top, right - 1, baseline + max(1 + look.air // 2, descent(px) - 1 if "p" in button else 0))
        sheet.text(button, x + pad, baseline, px, WHITE)
        x = sheet.text(does, right + pad, baseline, px) + pad if does else right + pad
        x += gap


def _key_words(keys: tuple[Key, ...], look: Look) -> list[tuple[str, str]]:
    """In many words, in few, or without the spare ones, as there is room."""
    tries = [(key.button, key.does) for key in keys], [(key.button, key.briefly) for key in keys]
    needed = [(key.button, key.briefly) for key in keys if not key.is_spare]
    return next((words for words in tries if _keys_width(words, look) <= look.room), needed)


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
    baseline = look.height - descent(look.small) - look.air // 4
    sheet.text(stamps, (look.width - width(stamps, look.small)) // 2, baseline, look.small)


# The body


def _body(sheet: Sheet, page: Page, look: Look) -> None:
    top, bottom = look.top, look.bottom(page)
    if page.choices:
        _menu(sheet, page, look, top, bottom)
        return
    if not page.rows:
        put_sentences(sheet, page, look, bottom)
        return
    below = lines_height(page.lines[:1], look)
    layout = None
    if len(page.rows) == 1 and page.screen not in _LISTS:
        layout = one_layout(page.rows[0], look, bottom - top, below)
    end = (
        put_one(sheet, page.rows[0], layout, look, top, bottom - below)
        if layout
        else put_list(sheet, page.rows, look, top, bottom - below)
    )
    air = min(look.air, max(0, bottom - below - end))
    put_lines(sheet, page.lines, end + air, look, bottom)


def _menu(sheet: Sheet, page: Page, look: Look, top: int, bottom: int) -> None:
    """What it is about, then the entries around the chosen one, which is in inverse."""
    if not _choices_fit(page, look):
        _put_without_choices(sheet, page, look, top, bottom)
        return
    px = look.small
    y = put_rows(sheet, page.rows, look, top, plain(look)) + look.air // 2
    count = min(len(page.choices), (bottom - y) // line_height(px))
    gap = min((bottom - y - count * line_height(px)) // count, look.air)
    first = min(max(0, page.chosen - count // 2), len(page.choices) - count)
    for place in range(first, first + count):
        is_chosen = place == page.chosen
        if is_chosen:
            sheet.box(look.left, y, look.right - 1, y + line_height(px) - 1)
        said = shortened(page.choices[place].text, px, look.room - px)
        sheet.text(said, look.left + px // 2, y + ascent(px), px, WHITE if is_chosen else BLACK)
        y += line_height(px) + gap


def _put_without_choices(sheet: Sheet, page: Page, look: Look, top: int, bottom: int) -> None:
    """One dose that is too long for a list stands as on the page that the menu was opened on."""
    row = None if _fits_in_list(page.rows, look, bottom - top) else page.rows[0]
    if row and (layout := one_layout(row, look, bottom - top)):
        put_one(sheet, row, layout, look, top, bottom)
    else:
        put_list(sheet, page.rows, look, top, bottom)


def _choices_fit(page: Page, look: Look) -> bool:
    """Whether two entries at least have room below the doses that they are about."""
    room = look.key_bar - look.top - list_height(page.rows, look, plain(look))
    return room >= min(2, len(page.choices)) * line_height(look.small)


# Only letters that the font has


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
