"""One dose on the whole panel, as large as it goes: when and who, what, how much."""

from dataclasses import dataclass

from dosette_display.lettering import JOINTS, SMALLEST_PX, at_most, fall, fitting, rise, shortened, width, wrapped
from dosette_display.look import Look, cap_height
from dosette_display.page import Row
from dosette_display.sheet import Sheet

_TALL = 160
"""From here on a name may go over two lines."""
_STEPS = (38, 24, 19), (38, 22, 18), (38, 20, 17), (34, 20, 16), (30, 18, 16), (30, 18, 14), (24, 16, 14), (20, 14, 14)
"""Time, name and facts of one dose alone, in dots of the smallest panel; all are scaled."""
_WISHES = ("whole with note", "whole", "on one line each", "there")
"""Of the name and the note; then of strength, amount and member, which are there in each."""
_SMALLER = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True)
class OneLayout:
    """One dose on the whole panel: sizes in dots, and the lines that may not be cut."""

    time_px: int
    name_px: int
    member_px: int  # 0: among the facts
    facts_px: int
    names: list[str]
    facts: list[str]
    drop: int  # of the name, below letters of the member that hang down on it
    height: int


def one_layout(row: Row, look: Look, room: int, below: int = 0) -> OneLayout | None:
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
    return one_layout(row, look, room) if below else None


def put_one(sheet: Sheet, row: Row, layout: OneLayout, look: Look, top: int, bottom: int) -> int:
    """Where it ends."""
    spare = max(0, bottom - top - layout.height)
    gap = min(spare // (2 + len(layout.names) + len(layout.facts)), layout.facts_px)
    y = top + 1 + gap + cap_height(layout.time_px)
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


def _one_try(row: Row, look: Look, sizes: list[int], wish: str) -> OneLayout | None:
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
    height = cap_height(time_px) + drop + sum(_ink_height(each, px) for each, px in lines) + 2
    return OneLayout(time_px, name_px, member_px, facts_px, names, facts, drop, height)


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


def _beneath(sheet: Sheet, said: str, x: int, y: int, px: int) -> int:
    """A text whose ink begins a dot below `y`. Where it ends."""
    baseline = y + 1 + rise(said, px)
    sheet.text(said, x, baseline, px)
    return baseline + fall(said, px)
