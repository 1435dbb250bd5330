"""What each gesture means on each screen: one table, for a panel with one button and for one with three."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Wiring(StrEnum):
    """Which buttons there are."""

    ONE = "one"
    THREE = "three"

    @classmethod
    def of(cls, buttons: Iterable[str]) -> "Wiring":
        return next(wiring for wiring in cls if set(wiring.buttons) == set(buttons))

    @property
    def buttons(self) -> tuple[str, ...]:
        return ("button",) if self is Wiring.ONE else ("take", "snooze", "skip")


class Gesture(StrEnum):
    """What a finger did: pushed one of the buttons, or held any of them."""

    BUTTON = "button"
    TAKE = "take"
    SNOOZE = "snooze"
    SKIP = "skip"
    HOLD = "hold"

    @classmethod
    def of(cls, button: str, held: bool) -> "Gesture":
        """`button` is one of a wiring's buttons."""
        return cls.HOLD if held else cls(button)


class Screen(StrEnum):
    """What a page is about; each says one thing. STALE: there is no plan that holds."""

    DUE = "due"
    STEP = "step"
    DONE = "done"
    NEXT = "next"
    TODAY = "today"
    LOW = "low"
    DOUBLE = "double"
    MENU = "menu"
    WHY = "why"
    CLOCK = "clock"
    STALE = "stale"
    ERROR = "error"
    PAIRING = "pairing"


class Act(StrEnum):
    """What follows. The first four are presses on the doses that the screen shows; the others only change the screen."""

    TAKE = "take"
    SNOOZE = "snooze"
    SKIP = "skip"
    UNDO = "undo"
    WHY = "why"
    MORE = "more"
    NEXT = "next"
    CHOOSE = "choose"
    BACK = "back"
    GO_ON = "go on"
    SHOW = "show"
    NOTHING = "nothing"


PRESSES = (Act.TAKE, Act.SNOOZE, Act.SKIP, Act.UNDO)


@dataclass(frozen=True)
class Key:
    """A button as it is labelled, and what it does, in many words and in few. A spare one is left out where all have no room."""

    button: str
    does: str
    briefly: str
    is_spare: bool = False


_DUE = {
    Gesture.BUTTON: Act.TAKE,
    Gesture.TAKE: Act.TAKE,
    Gesture.SNOOZE: Act.SNOOZE,
    Gesture.SKIP: Act.WHY,
    Gesture.HOLD: Act.MORE,
}
_LIST = {
    Gesture.BUTTON: Act.NEXT,
    Gesture.TAKE: Act.BACK,
    Gesture.SNOOZE: Act.NEXT,
    Gesture.SKIP: Act.BACK,
    Gesture.HOLD: Act.BACK,
}
_CHOICE = {
    Gesture.BUTTON: Act.NEXT,
    Gesture.TAKE: Act.CHOOSE,
    Gesture.SNOOZE: Act.NEXT,
    Gesture.SKIP: Act.BACK,
    Gesture.HOLD: Act.CHOOSE,
}
_DONE = {
    Gesture.BUTTON: Act.GO_ON,
    Gesture.TAKE: Act.GO_ON,
    Gesture.SNOOZE: Act.GO_ON,
    Gesture.SKIP: Act.GO_ON,
    Gesture.HOLD: Act.UNDO,
}
_LOOK = {**dict.fromkeys(Gesture, Act.NEXT), Gesture.HOLD: Act.MORE}
_NEXT = {
    Gesture.BUTTON: Act.NEXT,
    Gesture.TAKE: Act.TAKE,
    Gesture.SNOOZE: Act.NEXT,
    Gesture.SKIP: Act.WHY,
    Gesture.HOLD: Act.MORE,
}
"""With one button nothing is taken early by a push: whoever pushes an idle panel wants to look."""

MEANINGS: Mapping[Screen, Mapping[Gesture, Act]] = {
    Screen.DUE: _DUE,
    Screen.STEP: _DUE,
    Screen.DONE: _DONE,
    Screen.NEXT: _NEXT,
    Screen.TODAY: _LIST,
    Screen.LOW: _LIST,
    Screen.DOUBLE: _LOOK,
    Screen.CLOCK: _LOOK,
    Screen.MENU: _CHOICE,
    Screen.WHY: _CHOICE,
    Screen.STALE: dict.fromkeys(Gesture, Act.NOTHING),
    Screen.ERROR: _LOOK,
    Screen.PAIRING: dict.fromkeys(Gesture, Act.NOTHING),
}


def meaning(screen: Screen, gesture: Gesture) -> Act:
    return MEANINGS[screen][gesture]
