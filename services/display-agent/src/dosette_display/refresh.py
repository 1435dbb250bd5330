"""When the panel is given another picture, and whether by a full or a partial refresh. E-paper wears and flickers: each must be worth it.

The rules are Waveshare's for its panels: 180 s between refreshes, a full one after a few partial ones, which leave shadows, and
one each day. A person's wish to see something at once goes before the first of them.
"""

import math
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from dosette_display.page import Page
from dosette_display.panels import Mode

PARTIALS_PER_FULL = 5
APART_S = 180.0
"""Between two refreshes that nobody waits for."""
STAMPS_AFTER_S = 15 * 60.0
"""When nothing but "as of" would change, the panel is left in peace this long."""
MAY_WAIT = ("title", "alarm", "lines", "more", "aside", "as_of", "valid_until")
"""Of a page, what says no dose and no button. A title has a rule of its own."""
_MEANT = tuple(part.name for part in fields(Page) if part.compare and part.name not in MAY_WAIT)
ASKED_FOR_S = 15.0
"""After a press, whatever changes is shown at once: somebody stands there."""
AFTER_FAULT_S = 60.0
NIGHT_BEGINS = timedelta(hours=3)
"""By the household's clock: nobody minds two seconds of flicker then."""


@dataclass(frozen=True)
class Moment:
    """`elapsed_s` and `pressed_s` (the last press) are CLOCK_BOOTTIME; `night` is None while the household's zone is unknown."""

    elapsed_s: float
    night: date | None = None
    pressed_s: float = float("-inf")


@dataclass(frozen=True)
class Past:
    """What the panel went through: which page it shows, and when that was drawn. `faulty` until a refresh has worked again."""

    page: Page = field(default_factory=lambda: Page(""))
    refreshed_s: float = float("-inf")
    retitled_s: float = float("-inf")
    partials: int = PARTIALS_PER_FULL
    night: date | None = None
    faulty: bool = False


def night_of(now: datetime, zone: ZoneInfo) -> date:
    """Two moments are of one night when no 03:00 lies between them."""
    return (now.astimezone(zone).replace(tzinfo=None) - NIGHT_BEGINS).date()


def wait_s(past: Past, page: Page, moment: Moment) -> float:
    """Until the panel is to be given this page: 0 is now, infinity never."""
    since_s = moment.elapsed_s - past.refreshed_s
    if past.faulty:
        return max(0.0, AFTER_FAULT_S - since_s)
    if _is_another_night(past, moment):
        return 0.0
    if page == past.page:
        return math.inf
    if page.same_but_for_stamps(past.page):
        return max(0.0, STAMPS_AFTER_S - since_s)
    return 0.0 if _is_wanted_at_once(past, page, moment) else max(0.0, APART_S - since_s)


def mode(past: Past, moment: Moment, supports_partial: bool, is_there: bool) -> Mode | None:
    """How the next picture comes to the panel; None when it `is_there` already and the panel needs no cleaning."""
    cleaned = past.faulty or _is_another_night(past, moment)
    if is_there and not cleaned:
        return None
    return "full" if cleaned or not supports_partial or past.partials >= PARTIALS_PER_FULL else "partial"


def refreshed(past: Past, page: Page, moment: Moment, mode: Mode) -> Past:
    """After a picture of this page came to the panel. The first one's title is none that came and may go."""
    retitled = bool(past.page.title) and page.title != past.page.title and _mean_the_same(past.page, page)
    return Past(
        page=page,
        refreshed_s=moment.elapsed_s,
        retitled_s=moment.elapsed_s if retitled else past.retitled_s,
        partials=0 if mode == "full" else past.partials + 1,
        night=(moment.night or past.night) if mode == "full" else (past.night or moment.night),
    )


def failed(past: Past, moment: Moment) -> Past:
    """After the panel refused a picture: nobody knows what it shows, so a press names nothing."""
    return replace(past, page=Page(""), refreshed_s=moment.elapsed_s, faulty=True)


def _is_another_night(past: Past, moment: Moment) -> bool:
    return past.night is not None and moment.night is not None and moment.night != past.night


def _is_wanted_at_once(past: Past, page: Page, moment: Moment) -> bool:
    """Somebody pressed, a dose is another or in another state, or the title says so; but a title that comes and goes, as with a
    link that does, not each time: what is wrong is shown at once, and that it is right again after a while."""
    if moment.elapsed_s - moment.pressed_s < ASKED_FOR_S or not _mean_the_same(past.page, page):
        return True
    retitled = (page.title, page.alarm) != (past.page.title, past.page.alarm)
    worse = page.alarm and not past.page.alarm
    return retitled and (worse or moment.elapsed_s - past.retitled_s >= APART_S)


def _mean_the_same(one: Page, other: Page) -> bool:
    """Whether both show the same doses, and the buttons do the same on both."""
    return all(getattr(one, name) == getattr(other, name) for name in _MEANT)
