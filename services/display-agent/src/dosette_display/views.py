"""Where buttons lead from a page, and what stands on it about them."""

from dataclasses import replace

from dosette_display.keys import Act, Gesture, Key, Screen, Wiring, meaning
from dosette_display.menus import following
from dosette_display.page import Choice, Page, View

_MENUS = (Screen.MENU, Screen.WHY)
_PAGED = (Screen.TODAY, Screen.LOW, Screen.DOUBLE, Screen.CLOCK, Screen.NEXT)
_LABELS = {
    Wiring.ONE: {Gesture.BUTTON: "press", Gesture.HOLD: "hold"},
    Wiring.THREE: {Gesture.TAKE: "TAKE", Gesture.SNOOZE: "SNOOZE", Gesture.SKIP: "SKIP", Gesture.HOLD: "hold"},
}


def chosen(page: Page, gesture: Gesture) -> Choice:
    """What a gesture does on this page, as an entry of a menu would."""
    act = meaning(page.screen, gesture)
    if act is Act.CHOOSE:
        return page.choices[page.chosen]
    return Choice("", Act.MORE if act is Act.UNDO and not page.undoes else act)


def view_after(page: Page, choice: Choice) -> View | None:
    """What is looked at when this was done on this page; None is home."""
    over = page.view.over if page.screen in _MENUS and page.view else None
    if choice.act in (Act.MORE, Act.WHY):
        screen = Screen.MENU if choice.act is Act.MORE else Screen.WHY
        return View(screen, over=over or page, due=page.due)
    if choice.act is Act.SHOW:
        return choice.view
    if choice.act is Act.NEXT:
        return _next(page)
    if choice.act is Act.BACK:
        return over.view if over else None
    shown = over or page
    return following(shown, page.due) if shown.screen is Screen.STEP else None


def keys_of(page: Page) -> tuple[Key, ...]:
    """Each button that does something, with what that is; of several that do the same, the first.

    Beside a dose that may be taken, a way to another page is spare: the menu has it, too.
    """
    keys: dict[str, Key] = {}
    for gesture, label in _LABELS[page.wiring].items():
        act = chosen(page, gesture).act if page.screen not in _MENUS else meaning(page.screen, gesture)
        said = _said(act, page)
        if said and said[0] not in keys:
            does, briefly = said if page.wiring is Wiring.ONE else _beside_label(act, page, said)
            keys[said[0]] = Key(label, does, briefly, is_spare=act is Act.NEXT and bool(page.takes))
    return tuple(keys.values())


def _next(page: Page) -> View | None:
    if page.screen in _MENUS and page.view:
        return replace(page.view, at=(page.chosen + 1) % len(page.choices))
    if page.screen in _PAGED and page.part + 1 < page.parts:
        return View(page.screen, at=page.part + 1, due=page.due)
    return View(page.onward, due=page.due) if page.onward else None


def _said(act: Act, page: Page) -> tuple[str, str] | None:
    """In many words and in few; None when nothing would come of it."""
    words: dict[Act, tuple[str, str] | None] = {
        Act.TAKE: _taking(page) if page.takes else None,
        Act.SNOOZE: ("snooze", "snooze") if page.snoozes else None,
        Act.WHY: ("skip", "skip") if page.takes else None,
        Act.UNDO: ("undo", "undo"),
        Act.MORE: ("more", "more"),
        Act.NEXT: _leading(page),
        Act.CHOOSE: ("choose", "ok"),
        Act.BACK: ("back", "back"),
        Act.GO_ON: ("go on", "go on") if page.due else None,
    }
    return words.get(act)


def _taking(page: Page) -> tuple[str, str]:
    count = len(page.takes)
    if page.screen is Screen.NEXT:
        return "take early", "early"
    if count == 1:
        return "take it", "take"
    return f"take {'these' if page.parts > 1 else 'all'} {count}", f"take {count}"


def _leading(page: Page) -> tuple[str, str] | None:
    if page.view is None and page.onward is None and page.parts == 1:
        return None
    if page.screen in _MENUS or (page.screen in _PAGED and page.part + 1 < page.parts):
        return "next", "next"
    word = {Screen.TODAY: "today", Screen.LOW: "stock"}.get(page.onward, "back") if page.onward else "back"
    return word, word


def _beside_label(act: Act, page: Page, said: tuple[str, str]) -> tuple[str, str]:
    """What the button's own name says already is left out."""
    if act in (Act.SNOOZE, Act.WHY) or (act is Act.TAKE and len(page.takes) == 1 and page.screen is not Screen.NEXT):
        return "", ""
    return said[0].removeprefix("take "), said[1].removeprefix("take ")
