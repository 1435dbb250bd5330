"""What the panel says: `page_of(plan, now, state) -> Page` is words and rows only, and says which doses each button would name.

Home is what matters most: what was just done here, what is due, what is wrong, what comes next. From there buttons lead to
other screens (`views.py`); whoever goes away leaves them, and a dose that falls due does so, too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum
from itertools import groupby
from zoneinfo import ZoneInfo

from dosette.contracts.plan import LowStock, Plan, PlannedConflict, PlannedDose
from dosette.contracts.press import SNOOZE, Press
from dosette_display import words
from dosette_display.keys import Act, Key, Screen, Wiring

JUST_RESOLVED = timedelta(minutes=2)
"""How long a taken dose stays on the screen, and how long its press can be undone."""
CONFIRMED = timedelta(seconds=20)
"""How long the answer to a press hides other doses that are due."""
NOT_UP_TO_DATE_AFTER = timedelta(hours=1)
CLOCK_BEHIND = timedelta(minutes=5)
"""A plan from the future means that this machine's clock is wrong: it booted without network, perhaps."""
_AFTER = timedelta.resolution

_STATUS_OF = {"take": "taken", "skip": "skipped"}
_HOMES = (Screen.DUE, Screen.STEP, Screen.DONE, Screen.NEXT, Screen.DOUBLE, Screen.ERROR)
_CALM = (Screen.MENU, Screen.WHY)
"""Their titles say what is being asked, and nothing else."""
_ELSEWHERE = {Screen.TODAY: "Today", Screen.LOW: "Low stock", Screen.DOUBLE: "Double dose?"}
"""Where a menu leads, which needs to know what day it is."""


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


_BECAME = {mark.value: mark for mark in (Mark.TAKEN, Mark.SKIPPED, Mark.MISSED)}
"""Else nobody knows: a restored server has forgotten it, or a newer one has a word for it that this program lacks."""


@dataclass(frozen=True)
class Notice:
    """What was just answered to a press, for some seconds; if it is `about` what was on the screen, only while that is."""

    text: str
    about: tuple[tuple[str, Mark], ...] | None = None


@dataclass(frozen=True)
class State:
    """What the agent knows besides the plan: presses the server has not taken in, its last press, and how it is connected.

    `admitted` unless the server was there and did not let it in. `view` is where somebody has gone by the buttons, `confirmed` the
    id of a press whose answer was read. `trouble` is what is wrong with the panel itself: a title and sentences.
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


def page_of(plan: Plan | None, now: datetime, state: State) -> Page:
    """What is shown at `now`; `draw.fit` makes it a page of a panel's size."""
    if plan is None:
        waiting = ("No plan yet", "Waiting for the server.") if state.admitted else words.NOT_ADMITTED
        title, *lines = state.trouble or waiting
        return replace(_noticed(Page(title, lines=tuple(lines), alarm=True), state), wiring=state.wiring)
    zone = ZoneInfo(plan.zone)
    page = _ended(plan, now, zone, state) or _without_clock(plan, now, zone, state) or _told(plan, now, zone, state)
    as_of, until = words.stamp(plan.issued_at, now, zone), words.stamp(valid_until(plan, now, state), now, zone)
    if not _knows_time(plan, now):
        as_of, until = words.weekday(plan.issued_at, zone), words.stamp(plan.valid_until, plan.issued_at, zone)
    return replace(_noticed(page, state), as_of=as_of, valid_until=until, wiring=state.wiring)


def pairing_page(code: str, url: str, now: datetime, until: datetime, zone: tzinfo = UTC) -> Page:
    """How to pair this panel: the address as a QR code, and the code to type. The zone is named, since nobody has set it yet."""
    name = now.astimezone(zone).tzname() or ""
    address = url.partition("://")[2].partition("?")[0] or url
    return Page(
        "Pair this panel",
        lines=(code, address, "Scan this, or go there and type the code."),
        screen=Screen.PAIRING,
        code=url,
        as_of=f"{now.astimezone(zone):%H:%M} {name}".strip(),
        valid_until=f"{until.astimezone(zone):%H:%M} {name}".strip(),
    )


def changes_at(plan: Plan | None, now: datetime, state: State) -> datetime | None:
    """The next moment at which the page becomes another by time alone."""
    if plan is None:
        return None
    moments = [valid_until(plan, now, state), _midnight(now, ZoneInfo(plan.zone))]
    for dose in _with_presses(plan, state):
        moments += [dose.resolved_at + JUST_RESOLVED] if dose.resolved_at else []
        moments += [dose.snoozed_until] if dose.snoozed_until else []
        moments += [dose.closes_at - SNOOZE] if dose.status == "pending" else []
    if state.last:
        moments += [state.last.at + CONFIRMED, state.last.at + JUST_RESOLVED]
    return min((moment for moment in moments if moment > now), default=moments[0])


def valid_until(plan: Plan, now: datetime, state: State) -> datetime:
    """Until when a picture of this page, with nobody there to renew it, tells no lie about what is due."""
    if now > plan.valid_until:
        return plan.valid_until
    moments = (moment for dose in _with_presses(plan, state) if dose.status == "pending" for moment in _moments(dose))
    return min((moment for moment in moments if moment > now), default=plan.valid_until)


def latest_by_dose(presses: Iterable[Press]) -> dict[str, Press]:
    """Of the presses on one dose, oldest first, the last counts."""
    return {dose_id: press for press in presses for dose_id in press.dose_ids}


def _midnight(now: datetime, zone: ZoneInfo) -> datetime:
    """The next one: "Tue 06:30" becomes "06:30", and yesterday's sum goes."""
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), zone).astimezone(UTC)


def _moments(dose: PlannedDose) -> tuple[datetime, ...]:
    """A dose is still due at `late_at` and still late at `closes_at`; it changes just after."""
    return dose.opens_at, dose.due_at, dose.late_at + _AFTER, dose.closes_at + _AFTER


# The doses, as they are here


def _with_presses(plan: Plan, state: State) -> tuple[PlannedDose, ...]:
    """The plan's doses as they will be when the server has taken in what was pressed here."""
    pressed = latest_by_dose(state.waiting)
    return tuple(_pressed(dose, pressed[dose.id]) if dose.id in pressed else dose for dose in plan.doses)


def _pressed(dose: PlannedDose, press: Press) -> PlannedDose:
    if press.kind == "snooze":
        return replace(dose, snoozed_until=press.at + SNOOZE) if dose.status == "pending" else dose
    if press.kind == "undo":
        return replace(dose, status="pending", resolved_at=None)
    return replace(dose, status=_STATUS_OF[press.kind], resolved_at=press.at)


def _is_due(dose: PlannedDose, now: datetime) -> bool:
    return dose.status == "pending" and dose.due_at <= now <= dose.closes_at


def _is_late(dose: PlannedDose, now: datetime) -> bool:
    return _is_due(dose, now) and now > dose.late_at


def _is_snoozed(dose: PlannedDose, now: datetime) -> bool:
    return dose.snoozed_until is not None and now < dose.snoozed_until


def _is_just_resolved(dose: PlannedDose, now: datetime) -> bool:
    resolved = dose.status in ("taken", "skipped") and dose.resolved_at
    return bool(resolved and now - JUST_RESOLVED < resolved <= now + JUST_RESOLVED)


def _became(dose: PlannedDose, now: datetime) -> str:
    return "missed" if dose.status == "pending" and now > dose.closes_at else dose.status


def _due(doses: Sequence[PlannedDose], now: datetime) -> list[PlannedDose]:
    """Person by person, whoever has waited longest first; of one person by time."""
    due = [dose for dose in doses if _is_due(dose, now)]
    first = {dose.member: dose.due_at for dose in sorted(due, key=lambda dose: dose.due_at, reverse=True)}
    return sorted(due, key=lambda dose: (first[dose.member], dose.member, dose.due_at))


def _undoable(doses: Sequence[PlannedDose], now: datetime, state: State) -> tuple[str, ...]:
    """The doses of the last press here, while all of them are still as it left them."""
    last = state.last
    if last is None or last.kind not in _STATUS_OF:
        return ()
    resolved = {dose.id for dose in doses if _is_just_resolved(dose, now) and dose.status == _STATUS_OF[last.kind]}
    return last.dose_ids if resolved.issuperset(last.dose_ids) else ()


# Instead of anything about doses


def _ended(plan: Plan, now: datetime, zone: ZoneInfo, state: State) -> Page | None:
    """Then no button does anything either."""
    if plan.revoked:
        parted = ("Taken out of the household.", "It reminds of nothing.", "Pair it anew to use it.")
        return Page("NOT PAIRED", lines=parted, alarm=True, screen=Screen.STALE)
    if now <= plan.valid_until:
        return None
    title, *why = ("NOT UP TO DATE", "See the pages for what is due.") if state.admitted else words.NOT_ADMITTED
    ended = f"This plan ended {words.day_and_clock(plan.valid_until, now, zone)}."
    return Page(title, lines=(ended, *why), alarm=True, screen=Screen.STALE)


def _knows_time(plan: Plan, now: datetime) -> bool:
    return now >= plan.issued_at - CLOCK_BEHIND


def _without_clock(plan: Plan, now: datetime, zone: ZoneInfo, state: State) -> Page | None:
    """What is planned, and no word about what is due; a dose can still be recorded, one by one: the server works out when."""
    if _knows_time(plan, now):
        return None
    since = plan.issued_at - JUST_RESOLVED
    doses = [dose for dose in _with_presses(plan, state) if dose.status == "pending" and dose.closes_at > since]
    view = state.view
    if view and view.over and view.screen in _CALM:
        menu = _menu(view, view.over, doses, plan, ())
        return replace(
            menu, choices=tuple(each for each in menu.choices if not (each.view and each.view.screen in _ELSEWHERE))
        )
    page = Page("CLOCK NOT SET", alarm=True, screen=Screen.CLOCK, part=view.at if view else 0, view=view)
    if view and view.screen is Screen.STEP and (found := [dose for dose in doses if dose.id == view.dose_id]):
        page = replace(page, screen=Screen.STEP, takes=(view.dose_id,), part=0)
        doses = found
    rows = tuple(replace(_row(dose, Mark.LISTED, now, zone), time=words.weekday(dose.due_at, zone)) for dose in doses)
    if not rows:
        return replace(page, lines=("The time is not known.", "See the pages for what is due."))
    return replace(page, rows=rows, lines=("The time is not known: look what is planned.",))


# Home, and where buttons lead


def _told(plan: Plan, now: datetime, zone: ZoneInfo, state: State) -> Page:
    """The doses, and what else is to be known. Rows may leave room for no line, so the title says what matters most."""
    doses = _with_presses(plan, state)
    due = _due(doses, now)
    ids = tuple(dose.id for dose in due)
    page = _viewed(plan, doses, now, zone, state, ids) or _home(plan, doses, now, zone, state)
    page = replace(page, due=ids)
    if page.screen in _CALM:
        return page
    offline, gaps = _offline(now, zone, state)
    if page.screen not in _HOMES:
        return replace(page, title=offline or page.title, alarm=page.alarm or bool(offline))
    grave, warnings = _warned(plan, zone, state, page)
    claim = _claim(due) if page.screen is not Screen.DONE else ""
    title = offline or (page.title if page.undoes and page.screen is Screen.DONE else grave or claim or page.title)
    said = (f"{claim}.",) if claim and title != claim else ()
    lines = (*page.lines, *gaps, *said, *warnings)
    aside = tuple(replace(row, note="") for row in _today_rows(doses, now, zone))
    return replace(page, title=title, alarm=page.alarm or bool(offline or grave), lines=lines, aside=aside)


def _home(plan: Plan, doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, state: State) -> Page:
    """What was just done here, what is due, what is wrong, what was done elsewhere, what comes next."""
    due, undoes = _due(doses, now), _undoable(doses, now, state)
    if page := _answer(doses, now, zone, state, len(due)):
        return page
    if due:
        return _due_page(due, now, zone, undoes)
    if state.trouble:
        return Page(state.trouble[0], lines=state.trouble[1:], alarm=True, screen=Screen.ERROR, onward=Screen.TODAY)
    if just := [dose for dose in doses if _is_just_resolved(dose, now)]:
        return _done_page(just, now, zone, state, undoes)
    if plan.conflicts:
        return _double_page(plan.conflicts, now, zone)
    return _next_page(plan, doses, now, zone)


def _viewed(
    plan: Plan, doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, state: State, due_ids: tuple[str, ...]
) -> Page | None:
    """Where somebody has gone; None when there is nothing to be seen any more, or something has fallen due since."""
    view, due = state.view, _due(doses, now)
    if view is None or not set(due_ids) <= set(view.due) or _answer(doses, now, zone, state, len(due)):
        return None
    page = _view_page(view, plan, doses, now, zone, state)
    return replace(page, view=view) if page else None


def _view_page(
    view: View, plan: Plan, doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, state: State
) -> Page | None:
    due, undoes = _due(doses, now), _undoable(doses, now, state)
    if view.screen is Screen.DUE:
        mine = [dose for dose in due if view.member in ("", dose.member)]
        return replace(_due_page(mine, now, zone, undoes), part=view.at) if mine else None
    if view.screen is Screen.STEP:
        return _step_page(view.dose_id, due, now, zone, undoes)
    if view.screen is Screen.NEXT and not due:
        return replace(_next_page(plan, doses, now, zone), part=view.at)
    if view.screen is Screen.TODAY:
        return _today_page(plan, doses, now, zone, view.at)
    if view.screen is Screen.LOW:
        return replace(_low_page(plan.low, now, zone), part=view.at) if plan.low else None
    if view.screen is Screen.DOUBLE:
        return replace(_double_page(plan.conflicts, now, zone), part=view.at) if plan.conflicts else None
    over = view.over
    still = {dose.id for dose in doses if dose.status == "pending" and now <= dose.closes_at}
    return _menu(view, over, due, plan, undoes) if over and set(over.takes) <= still else None


def _offline(now: datetime, zone: ZoneInfo, state: State) -> tuple[str, tuple[str, ...]]:
    """Title and lines; none while we are in touch."""
    if state.offline_since is None:
        return "", ()
    since, gap = words.day_and_clock(state.offline_since, now, zone), "May lack doses taken by phone."
    if not state.admitted:
        title, *why = words.NOT_ADMITTED
        return title, (*why, gap)
    if now - state.offline_since > NOT_UP_TO_DATE_AFTER:
        return "NOT UP TO DATE", (f"Offline since {since}.", gap)
    return f"offline since {since}", (gap,)


def _warned(plan: Plan, zone: ZoneInfo, state: State, page: Page) -> tuple[str, tuple[str, ...]]:
    """What a person must know: a title, if it is grave, and lines, the gravest first."""
    titles = [words.GRAVE[kind] for kind in words.GRAVE if kind in plan.alarms]
    lines = [words.ALARMS[kind] for kind in words.ALARMS if kind in plan.alarms]
    if plan.stuck_since:
        since = words.clock(plan.stuck_since, zone)
        titles.insert(0, f"stuck since {since}")
        lines.insert(0, f"Messages stuck since {since}.")
    if state.trouble and page.screen is not Screen.ERROR:
        titles.insert(0, state.trouble[0])
        lines[:0] = state.trouble[1:]
    if plan.conflicts and page.screen is not Screen.DOUBLE:
        titles.insert(0, _doubt(plan.conflicts))
        lines[:0] = [f"{_doubt([each])} {each.medicine}, {each.member}." for each in plan.conflicts]
    if plan.low and page.screen is Screen.NEXT:
        lines += [f"Low: {each.medicine}, {words.left(each)}." for each in plan.low]
    return titles[0] if titles else "", tuple(lines)


def _claim(due: Sequence[PlannedDose]) -> str:
    """Who has said "I've got it", and of how many; empty when nobody has."""
    claimed = [dose.claimed_by for dose in due if dose.claimed_by]
    if not claimed:
        return ""
    names = list(dict.fromkeys(claimed))
    who = f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'}"
    return f"{who} it" if len(claimed) == len(due) else f"{len(due)} due, {who} {len(claimed)}"


def _noticed(page: Page, state: State) -> Page:
    if state.notice is None or page.screen in _CALM or not _is_about(state.notice, page):
        return page
    return replace(page, title=state.notice.text, alarm=True)


def _is_about(notice: Notice, page: Page) -> bool:
    """What was on the screen may have been a part only, when not all fitted."""
    if notice.about is None:
        return True
    return set(notice.about) <= set(page.subject) if notice.about else not page.rows


# The screens


def _due_page(due: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, undoes: tuple[str, ...]) -> Page:
    rows = tuple(_row(dose, _due_mark(dose, now), now, zone) for dose in due)
    ids = tuple(dose.id for dose in due)
    title = _snoozed_title(due, now, zone) or _due_title(rows)
    return Page(title, rows, takes=ids, undoes=undoes, snoozes=_snoozable(due, now), screen=Screen.DUE)


def _snoozable(due: Sequence[PlannedDose], now: datetime) -> tuple[str, ...]:
    """A snooze must end before the window does."""
    return tuple(dose.id for dose in due if now + SNOOZE < dose.closes_at)


def _due_mark(dose: PlannedDose, now: datetime) -> Mark:
    if _is_snoozed(dose, now):
        return Mark.SNOOZED
    return Mark.LATE if _is_late(dose, now) else Mark.DUE


def _due_title(rows: tuple[Row, ...]) -> str:
    late = sum(row.mark == Mark.LATE for row in rows)
    if len(rows) == 1:
        return "LATE" if late else "Due now"
    if late == len(rows):
        return f"{late} late"
    return f"{len(rows)} due" + (f", {late} late" if late else "")


def _snoozed_title(due: Sequence[PlannedDose], now: datetime, zone: ZoneInfo) -> str:
    """While all of them are."""
    ends = [dose.snoozed_until for dose in due if dose.snoozed_until and _is_snoozed(dose, now)]
    return f"Snoozed until {words.clock(min(ends), zone)}" if ends and len(ends) == len(due) else ""


def _step_page(
    dose_id: str, due: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, undoes: tuple[str, ...]
) -> Page | None:
    """One of those that are due, by itself."""
    place = next((place for place, dose in enumerate(due) if dose.id == dose_id), None)
    if place is None:
        return None
    title = f"{place + 1} of {len(due)}{' · late' if _is_late(due[place], now) else ''}"
    return replace(_due_page([due[place]], now, zone, undoes), title=title, screen=Screen.STEP)


def _answer(doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, state: State, due_count: int) -> Page | None:
    """What the last press here did, while other doses wait to be shown. It also keeps a second, hasty push from taking them."""
    last = state.last
    if last is None or last.id == state.confirmed or not due_count or not abs(now - last.at) < CONFIRMED:
        return None
    mine = [dose for dose in doses if dose.id in last.dose_ids and _is_as_left(dose, last)]
    if not mine:
        return None
    page = _done_page(mine, now, zone, state, _undoable(doses, now, state))
    others = due_count - sum(dose.status == "pending" for dose in mine)
    return replace(page, lines=(f"{others} more {'is' if others == 1 else 'are'} due.",) if others else ())


def _is_as_left(dose: PlannedDose, press: Press) -> bool:
    if press.kind == "snooze":
        return dose.status == "pending" and dose.snoozed_until is not None
    return dose.status == _STATUS_OF.get(press.kind)


def _done_page(
    done: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, state: State, undoes: tuple[str, ...]
) -> Page:
    """What can be undone first, then the newest."""
    ordered = sorted(
        done,
        key=lambda dose: (
            dose.id not in undoes,
            dose.resolved_at is None,
            -(dose.resolved_at or dose.due_at).timestamp(),
            dose.member,
        ),
    )
    saving = {dose_id for press in state.waiting for dose_id in press.dose_ids}
    kinds = {dose.status for dose in done}
    title = "Taken" if kinds == {"taken"} else "Skipped" if kinds == {"skipped"} else "Done"
    title = _snoozed_title(done, now, zone) or title
    if saving & {dose.id for dose in done}:
        title += " · saving"
    return Page(title, tuple(_done_row(dose, now, zone) for dose in ordered), undoes=undoes, screen=Screen.DONE)


def _double_page(conflicts: Sequence[PlannedConflict], now: datetime, zone: ZoneInfo) -> Page:
    rows = tuple(_conflict_row(each, now, zone) for each in conflicts)
    advice = "Take no more of it.", "Say on the pages what is true."
    return Page(_doubt(conflicts), rows, lines=advice, alarm=True, screen=Screen.DOUBLE, onward=Screen.TODAY)


def _doubt(conflicts: Sequence[PlannedConflict]) -> str:
    """A dose that one skipped and another took is told twice, but not taken twice."""
    double = any(each.report == "take" and each.status != "skipped" for each in conflicts)
    return "DOUBLE DOSE?" if double else "TOLD TWICE"


def _conflict_row(conflict: PlannedConflict, now: datetime, zone: ZoneInfo) -> Row:
    at = words.day_and_clock(conflict.at, now, zone)
    report = words.DONE[conflict.report]
    if conflict.resolved_at and conflict.status in ("taken", "skipped"):
        first = words.day_and_clock(conflict.resolved_at, now, zone)
        told = f"{conflict.status} {first}, {'again' if report == conflict.status else report} {at}"
    else:
        told = f"{report} {at}, beyond the safe limit"
    return Row(conflict.id, Mark.LATE, "", conflict.medicine, words.safe_unit(conflict.strength), told, conflict.member)


def _next_page(plan: Plan, doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo) -> Page:
    title = _sum_of_today(doses, now, zone)
    coming = sorted(
        (dose for dose in doses if dose.status == "pending" and now < dose.due_at), key=lambda dose: dose.due_at
    )
    missed = tuple(_missed_line(dose, zone) for dose in doses if _missed_today(dose, now, zone))
    page = Page(title or "Nothing planned", lines=missed, alarm=bool(missed), screen=Screen.NEXT, onward=Screen.TODAY)
    if not coming:
        return replace(page, lines=(*missed, "Nothing is planned for the next days."))
    together = list(next(groupby(coming, key=lambda dose: dose.due_at))[1])
    open_ids = tuple(dose.id for dose in together if dose.opens_at <= now)
    return replace(
        page,
        title=f"{title} · next" if title else "Next",
        rows=tuple(_row(dose, Mark.NEXT, now, zone) for dose in sorted(together, key=lambda dose: dose.member)),
        takes=open_ids if len(open_ids) == len(together) else (),
    )


def _sum_of_today(doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo) -> str:
    """A day's sum once something became of it; what was missed stays said the whole day."""
    mine = [_became(dose, now) for dose in _of_today(doses, now, zone)]
    if mine and set(mine) == {"taken"}:
        return "All taken"
    counted = ((mine.count(status), status) for status in ("unknown", "missed", "skipped", "taken"))
    said = [f"{count} {status}" for count, status in counted if count]
    return ", ".join(said[:2])


def _of_today(doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo) -> list[PlannedDose]:
    today = now.astimezone(zone).date()
    return [dose for dose in doses if dose.due_at.astimezone(zone).date() == today]


def _missed_today(dose: PlannedDose, now: datetime, zone: ZoneInfo) -> bool:
    return _became(dose, now) == "missed" and bool(_of_today([dose], now, zone))


def _missed_line(dose: PlannedDose, zone: ZoneInfo) -> str:
    return f"missed {words.clock(dose.due_at, zone)}: {dose.medicine}, {dose.member}"


def _today_page(plan: Plan, doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, part: int) -> Page:
    rows = tuple(_today_rows(doses, now, zone))
    onward = Screen.LOW if plan.low else None
    lines = () if rows else ("Nothing is planned for today.",)
    title = _sum_of_today(doses, now, zone)
    return Page(
        f"Today: {title.lower()}" if title else "Today", rows, lines, screen=Screen.TODAY, part=part, onward=onward
    )


def _today_rows(doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo) -> list[Row]:
    today = sorted(_of_today(doses, now, zone), key=lambda dose: (dose.due_at, dose.member))
    return [_today_row(dose, now, zone) for dose in today]


def _today_row(dose: PlannedDose, now: datetime, zone: ZoneInfo) -> Row:
    became = _became(dose, now)
    if became == "pending":
        mark = _due_mark(dose, now) if _is_due(dose, now) else Mark.LISTED
        return replace(_row(dose, mark, now, zone), note="")
    note = f"{became} {words.clock(dose.resolved_at, zone)}" if dose.resolved_at else became
    return replace(_row(dose, _BECAME.get(became, Mark.UNKNOWN), now, zone), note=note)


def _low_page(low: Sequence[LowStock], now: datetime, zone: ZoneInfo) -> Page:
    by_member = sorted(low, key=lambda each: each.member)
    today = now.astimezone(zone).date()
    rows = tuple(
        Row("", Mark.LOW, "", each.medicine, words.safe_unit(each.strength), words.supply(each, today), each.member)
        for each in by_member
    )
    return Page("Low stock", rows, screen=Screen.LOW)


def _menu(view: View, over: Page, due: Sequence[PlannedDose], plan: Plan, undoes: tuple[str, ...]) -> Page:
    """What can be done about the doses that the page shows which it was opened on."""
    choices = _reasons() if view.screen is Screen.WHY else _choices(over, due, plan, undoes)
    what = "it" if len(over.takes) == 1 else f"these {len(over.takes)}"
    return Page(
        f"Skip {what}, since …" if view.screen is Screen.WHY else "What else?",
        rows=tuple(row for row in over.rows if row.dose_id in over.takes),
        takes=over.takes,
        snoozes=over.snoozes,
        undoes=undoes,
        screen=view.screen,
        choices=choices,
        chosen=view.at % len(choices),
        view=view,
    )


def _reasons() -> tuple[Choice, ...]:
    return (*(Choice(reason, Act.SKIP, reason) for reason in words.REASONS), Choice("Back", Act.BACK))


def _choices(over: Page, due: Sequence[PlannedDose], plan: Plan, undoes: tuple[str, ...]) -> tuple[Choice, ...]:
    """Only what can be done from there."""
    choices: list[Choice] = []
    ids = tuple(dose.id for dose in due)
    if undoes:
        choices.append(Choice(words.undoing(len(undoes)), Act.UNDO))
    if over.parts > 1:
        part = replace(over.view or View(over.screen), at=(over.part + 1) % over.parts, due=ids)
        choices.append(Choice(f"Show the other {over.more}", Act.SHOW, view=part))
    choices += _steps(over, due)
    if over.snoozes:
        choices.append(Choice(words.SNOOZED, Act.SNOOZE))
    if over.takes:
        choices += [Choice("Take early", Act.TAKE)] if over.screen is Screen.NEXT else []
        choices.append(Choice("Skip …", Act.WHY))
    there = {Screen.TODAY: True, Screen.LOW: bool(plan.low), Screen.DOUBLE: bool(plan.conflicts)}
    choices += [
        Choice(text, Act.SHOW, view=View(screen, due=ids))
        for screen, text in _ELSEWHERE.items()
        if there[screen] and screen is not over.screen
    ]
    return (*choices, Choice("Back", Act.BACK))


def _steps(over: Page, due: Sequence[PlannedDose]) -> list[Choice]:
    """One dose by itself, or one person's."""
    ids = tuple(dose.id for dose in due)
    if over.screen is Screen.STEP and len(due) > 1:
        return [Choice("The next one", Act.SHOW, view=following(over, ids)), Choice("All together", Act.SHOW)]
    if over.screen not in (Screen.DUE, Screen.CLOCK) or len(due) < 2 or not over.rows:
        return []
    first = next((row.dose_id for row in over.rows if row.dose_id in ids), ids[0])
    choices = [Choice("One by one", Act.SHOW, view=View(Screen.STEP, dose_id=first, due=ids))]
    members = list(dict.fromkeys(dose.member for dose in due))
    if over.screen is Screen.DUE and len(members) > 1:
        mine = over.view.member if over.view else ""
        choices += [
            Choice(f"Only {member}", Act.SHOW, view=View(Screen.DUE, member=member, due=ids))
            for member in members
            if member != mine
        ]
        choices += [Choice("All together", Act.SHOW)] if mine else []
    return choices


def following(page: Page, ids: tuple[str, ...]) -> View | None:
    """The view on the dose after the one that is shown by itself; None after the only one."""
    shown = page.rows[0].dose_id if page.rows else ""
    others = [each for each in ids if each != shown]
    if not others:
        return None
    place = ids.index(shown) if shown in ids else 0
    return View(Screen.STEP, dose_id=(ids[place + 1 :] or ids)[0], due=ids)


def _row(dose: PlannedDose, mark: Mark, now: datetime, zone: ZoneInfo) -> Row:
    return Row(
        dose_id=dose.id,
        mark=mark,
        time=words.day_and_clock(dose.due_at, now, zone),
        name=dose.medicine,
        strength=words.safe_unit(dose.strength),
        amount=words.safe_unit(words.amount(dose)),
        member=dose.member,
        note=dose.note,
    )


def _done_row(dose: PlannedDose, now: datetime, zone: ZoneInfo) -> Row:
    if dose.status == "pending":
        return _row(dose, Mark.SNOOZED, now, zone)
    at = dose.resolved_at or dose.due_at
    mark = Mark.TAKEN if dose.status == "taken" else Mark.SKIPPED
    return replace(_row(dose, mark, at, zone), time=words.clock(at, zone), note="")
