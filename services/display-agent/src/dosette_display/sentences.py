"""Pages of words: sentences under a title or below the doses, and how to pair a panel."""

from dataclasses import replace

from dosette_display.lettering import at_most, fitting, shortened, width, wrapped
from dosette_display.look import LETTER_STEPS, Look, ascent, cap_height, descent, line_height
from dosette_display.page import Page
from dosette_display.sheet import BLACK, WHITE, Code, Sheet


def put_sentences(sheet: Sheet, page: Page, look: Look, bottom: int) -> None:
    """A page without doses: its title large, its sentences under it."""
    paper, ink = (BLACK, WHITE) if page.alarm else (WHITE, BLACK)
    px = _title_px(page, look)
    baseline, end = look.air + 4 + cap_height(px), title_end(page, look)
    sheet.box(0, 0, look.width - 1, end, paper)
    sheet.box(0, end, look.width - 1, end)
    sheet.text(shortened(page.title, px, look.room), look.left, baseline, px, ink)
    room = bottom - end - look.air
    sizes = (at_most(look.small * step) for step in LETTER_STEPS)
    small = next((each for each in sizes if lines_height(page.lines, replace(look, small=each)) <= room), look.small)
    put_lines(sheet, page.lines, end + 3 + look.air, replace(look, small=small), bottom)


def title_end(page: Page, look: Look) -> int:
    """Of a page without doses."""
    px = _title_px(page, look)
    return look.air + 4 + cap_height(px) + descent(px) + look.air + 2


def put_lines(sheet: Sheet, lines: tuple[str, ...], top: int, look: Look, bottom: int) -> None:
    """As many sentences as there is room for."""
    px = look.small
    for sentence in lines:
        pieces = wrapped((sentence,), px, look.room)
        if top + len(pieces) * line_height(px) > bottom:
            return
        for piece in pieces:
            sheet.text(piece, look.left, top + ascent(px), px)
            top += line_height(px)


def lines_height(lines: tuple[str, ...], look: Look) -> int:
    return line_height(look.small) * len([piece for each in lines for piece in wrapped((each,), look.small, look.room)])


def put_pairing(sheet: Sheet, page: Page, look: Look) -> None:
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
            sheet.text(piece, column.left, y + ascent(px), px)
            y += line_height(px)
        y += look.air
    stamps = (f"as of {page.as_of}", f"valid until {page.valid_until}")
    if width(stamps[1], look.small) > column.room:
        stamps = (stamps[0], f"until {page.valid_until}")
    foot = look.height - 2 - look.air // 2 - lines_height(stamps, column)
    put_lines(sheet, tuple(lines), y, column, foot)
    put_lines(sheet, stamps, foot, column, look.height)


def _title_px(page: Page, look: Look) -> int:
    return fitting(page.title, round(28 * min(look.scale, 2.4)), look.room) or look.small


def _qr(text: str) -> tuple[bytes, ...]:
    import segno  # only a panel that is being paired needs it

    return tuple(bytes(row) for row in segno.make_qr(text, error="m").matrix)
