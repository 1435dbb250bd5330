"""What the panel says: `page_of(plan, now, state) -> Page` is words and rows only, and says which doses each button would name.

Home is what matters most: what was just done here, what is due, what is wrong, what comes next. From there buttons lead to
other screens (`views.py`); whoever goes away leaves them, and a dose that falls due does so, too.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dosette.contracts.plan import Plan, PlannedDose
from dosette.contracts.press import SNOOZE
from dosette_display import words
from dosette_display.doses import JUST_RESOLVED, all_due, is_just_resolved, undoable, with_presses
from dosette_display.keys import Screen
from dosette_display.menus import ELSEWHERE, menu_page
from dosette_display.page import Mark, Notice, Page, State, View
from dosette_display.screens import (
    CONFIRMED,
    answer_page,
    done_page,
    dose_row,
    double_page,
    doubt,
    due_page,
    low_page,
    next_page,
    step_page,
    today_page,
    today_rows,
)

NOT_UP_TO_DATE_AFTER = timedelta(hours=1)
CLOCK_BEHIND = timedelta(minutes=5)
"""A plan from the future means that this machine's clock is wrong: it booted without network, perhaps."""
_AFTER = timedelta.resolution
_HOMES = (Screen.DUE, Screen.STEP, Screen.DONE, Screen.NEXT, Screen.DOUBLE, Screen.ERROR)
_CALM = (Screen.MENU, Screen.WHY)
"""Their titles say what is being asked, and nothing else."""


def page_of(plan: Plan | None, now: datetime, state: State) -> Page:
    """What is shown at `now`; `draw.fit` makes it a page of a panel's size."""
    if plan is None:
        waiting = ("No plan yet", "Waiting for the server.") if state.admitted else words.NOT_ADMITTED
        title, *lines = state.trouble or waiting
        return replace(_noticed(Page(title, lines=tuple(lines), alarm=True), state), wiring=state.wiring)
    zone = ZoneInfo(plan.zone)
    page = _ended(plan, now, zone, state) or _without_clock(plan, now, zone, state) or _told(plan, now, zone, state)
    as_of, until = words.stamp(plan.issued_at, now, zone), words.stamp(valid_until(plan, now, state), now, zone)
    if not _knows_time(plan, now, state):
        as_of, until = words.weekday(plan.issued_at, zone), words.stamp(plan.valid_until, plan.issued_at, zone)
    return replace(_noticed(page, state), as_of=as_of, valid_until=until, wiring=state.wiring)


def changes_at(plan: Plan | None, now: datetime, state: State) -> datetime | None:
    """The next moment at which the page becomes another by time alone."""
    if plan is None:
        return None
    moments = [valid_until(plan, now, state), _midnight(now, ZoneInfo(plan.zone))]
    for dose in with_presses(plan, state):
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
    moments = (moment for dose in with_presses(plan, state) if dose.status == "pending" for moment in _moments(dose))
    return min((moment for moment in moments if moment > now), default=plan.valid_until)


def _midnight(now: datetime, zone: ZoneInfo) -> datetime:
    """The next one: "Tue 06:30" becomes "06:30", and yesterday's sum goes."""
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), zone).astimezone(UTC)


def _moments(dose: PlannedDose) -> tuple[datetime, ...]:
    """A dose is still due at `late_at` and still late at `closes_at`; it changes just after."""
    return dose.opens_at, dose.due_at, dose.late_at + _AFTER, dose.closes_at + _AFTER


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


def _knows_time(plan: Plan, now: datetime, state: State) -> bool:
    return state.clock_known and now >= plan.issued_at - CLOCK_BEHIND


def _without_clock(plan: Plan, now: datetime, zone: ZoneInfo, state: State) -> Page | None:
    """What is planned, and no word about what is due; a dose can still be recorded, one by one: the server works out when."""
    if _knows_time(plan, now, state):
        return None
    since = plan.issued_at - JUST_RESOLVED
    doses = [dose for dose in with_presses(plan, state) if dose.status == "pending" and dose.closes_at > since]
    view = state.view
    if view and view.over and view.screen in _CALM:
        menu = menu_page(view, view.over, doses, plan, ())
        choices = tuple(each for each in menu.choices if not (each.view and each.view.screen in ELSEWHERE))
        return replace(menu, choices=choices, chosen=view.at % len(choices))
    page = Page("CLOCK NOT SET", alarm=True, screen=Screen.CLOCK, part=view.at if view else 0, view=view)
    if view and view.screen is Screen.STEP and (found := [dose for dose in doses if dose.id == view.dose_id]):
        page = replace(page, screen=Screen.STEP, takes=(view.dose_id,), part=0)
        doses = found
    rows = tuple(
        replace(dose_row(dose, Mark.LISTED, now, zone), time=words.weekday(dose.due_at, zone)) for dose in doses
    )
    if not rows:
        return replace(page, lines=("The time is not known.", "See the pages for what is due."))
    return replace(page, rows=rows, lines=("The time is not known: look what is planned.",))


# Home, and where buttons lead


def _told(plan: Plan, now: datetime, zone: ZoneInfo, state: State) -> Page:
    """The doses, and what else is to be known. Rows may leave room for no line, so the title says what matters most."""
    doses = with_presses(plan, state)
    due = all_due(doses, now)
    ids = tuple(dose.id for dose in due)
    page = _viewed(plan, doses, now, zone, state, ids) or _home(plan, doses, now, zone, state)
    page = replace(page, due=ids)
    if page.screen in _CALM:
        return page
    offline, gaps = _offline(now, zone, state)
    if offline and state.trouble:
        offline = state.trouble[0]  # graver, and what else is said is said below
    if page.screen not in _HOMES:
        return replace(page, title=offline or page.title, alarm=page.alarm or bool(offline))
    grave, warnings = _warned(plan, zone, state, page)
    claim = _claim(due) if page.screen is not Screen.DONE else ""
    title = offline or (page.title if page.undoes and page.screen is Screen.DONE else grave or claim or page.title)
    said = (f"{claim}.",) if claim and title != claim else ()
    lines = (*page.lines, *gaps, *said, *warnings)
    aside = tuple(replace(row, note="") for row in today_rows(doses, now, zone))
    return replace(page, title=title, alarm=page.alarm or bool(offline or grave), lines=lines, aside=aside)


def _home(plan: Plan, doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, state: State) -> Page:
    """What was just done here, what is due, what is wrong, what was done elsewhere, what comes next."""
    due, undoes = all_due(doses, now), undoable(doses, now, state)
    if page := answer_page(doses, now, zone, state, len(due)):
        return page
    if due:
        return due_page(due, now, zone, undoes)
    if state.trouble:
        return Page(state.trouble[0], lines=state.trouble[1:], alarm=True, screen=Screen.ERROR, onward=Screen.TODAY)
    if just := [dose for dose in doses if is_just_resolved(dose, now)]:
        return done_page(just, now, zone, state, undoes)
    if plan.conflicts:
        return double_page(plan.conflicts, now, zone)
    return next_page(plan, doses, now, zone)


def _viewed(
    plan: Plan, doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, state: State, due_ids: tuple[str, ...]
) -> Page | None:
    """Where somebody has gone; None when there is nothing to be seen any more, or something has fallen due since."""
    view, due = state.view, all_due(doses, now)
    if view is None or not set(due_ids) <= set(view.due) or answer_page(doses, now, zone, state, len(due)):
        return None
    page = _view_page(view, plan, doses, now, zone, state)
    return replace(page, view=view) if page else None


def _view_page(
    view: View, plan: Plan, doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, state: State
) -> Page | None:
    due, undoes = all_due(doses, now), undoable(doses, now, state)
    if view.screen is Screen.DUE:
        mine = [dose for dose in due if view.member in ("", dose.member)]
        return replace(due_page(mine, now, zone, undoes), part=view.at) if mine else None
    if view.screen is Screen.STEP:
        return step_page(view.dose_id, due, now, zone, undoes)
    if view.screen is Screen.NEXT and not due:
        return replace(next_page(plan, doses, now, zone), part=view.at)
    if view.screen is Screen.TODAY:
        return today_page(plan, doses, now, zone, view.at)
    if view.screen is Screen.LOW:
        return replace(low_page(plan.low, now, zone), part=view.at) if plan.low else None
    if view.screen is Screen.DOUBLE:
        return replace(double_page(plan.conflicts, now, zone), part=view.at) if plan.conflicts else None
    over = view.over
    still = {dose.id for dose in doses if dose.status == "pending" and now <= dose.closes_at}
    return menu_page(view, over, due, plan, undoes) if over and set(over.takes) <= still else None


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
        titles.insert(0, doubt(plan.conflicts))
        lines[:0] = [f"{doubt([each])} {each.medicine}, {each.member}." for each in plan.conflicts]
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
