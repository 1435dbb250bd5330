"""A page: the words and rows that a panel shows, and which doses each button would name. `State` is what the agent knows besides the
plan; from both, `telling.page_of` makes one.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from dosette.contracts.press import Press
from dosette_display.keys import Act, Key, Screen, Wiring


class Mark(StrEnum):
    """The state of a dose, drawn as a shape."""

    NEXT = "next"
    LISTED = "listed"
    DUE = "due"
    SNOOZED = "snoozed"
    LATE = "late"
    TAKEN = "taken"
    SKIPPED = "skipped"
    MISSED = "missed"
    UNKNOWN = "unknown"
    LOW = "low"


@dataclass(frozen=True)
class Row:
    """One dose, or something else about one medicine. Strength, amount and member are shown whole or the row is not shown."""

    dose_id: str
    mark: Mark
    time: str
    name: str
    strength: str
    amount: str
    member: str
    note: str = ""


@dataclass(frozen=True)
class Choice:
    """An entry of a menu: what follows, for which reason, or what is shown."""

    text: str
    act: Act
    reason: str | None = None
    view: "View | None" = None


@dataclass(frozen=True)
class Page:
    """`takes` are the doses that a taking or skipping names, `snoozes` those that can wait: always rows of this page. `undoes`
    are those that an undo names: rows of this page, or the ones its title or a choice speaks of. `due` are all that are due, shown
    or not. `alarm` puts the title in inverse; `part` of `parts` is
    shown, and `more` rows stand on the others. `aside` is today's list, for a panel that has room. `view` is what led here."""

    title: str
    rows: tuple[Row, ...] = ()
    lines: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    undoes: tuple[str, ...] = ()
    alarm: bool = False
    more: int = 0
    as_of: str = "--:--"
    valid_until: str = "--:--"
    screen: Screen = Screen.STALE
    snoozes: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    chosen: int = 0
    part: int = 0
    parts: int = 1
    onward: Screen | None = None
    due: tuple[str, ...] = ()
    aside: tuple[Row, ...] = ()
    code: str = ""
    keys: tuple[Key, ...] = ()
    wiring: Wiring = Wiring.THREE
    view: "View | None" = field(default=None, compare=False, repr=False)

    @property
    def subject(self) -> tuple[tuple[str, Mark], ...]:
        """Which doses it shows, in which state."""
        return tuple((row.dose_id, row.mark) for row in self.rows)

    def same_but_for_stamps(self, other: "Page") -> bool:
        return replace(self, as_of=other.as_of, valid_until=other.valid_until) == other


@dataclass(frozen=True)
class View:
    """Where somebody has gone by the buttons. `at` is a part of a list or an entry of a menu, `over` the page that a menu was
    opened on, `due` what was due then: when something else is, the view is left."""

    screen: Screen
    at: int = 0
    over: Page | None = None
    dose_id: str = ""
    member: str = ""
    due: tuple[str, ...] = ()


@dataclass(frozen=True)
class Notice:
    """What was just answered to a press, for some seconds; if it is `about` what was on the screen, only while that is."""

    text: str
    about: tuple[tuple[str, Mark], ...] | None = None


@dataclass(frozen=True)
class State:
    """What the agent knows besides the plan: presses the server has not taken in, its last press, and how it is connected.

    `admitted` unless the server was there and did not let it in. `view` is where somebody has gone by the buttons, `confirmed` the
    id of a press whose answer was read. `trouble` is what is wrong with the panel itself: a title and sentences. `clock_known` if
    this machine's clock was right once since it booted.
    """

    waiting: tuple[Press, ...] = ()
    last: Press | None = None
    offline_since: datetime | None = None
    admitted: bool = True
    notice: Notice | None = None
    view: "View | None" = None
    confirmed: str = ""
    trouble: tuple[str, ...] = ()
    wiring: Wiring = Wiring.THREE
    clock_known: bool = True
