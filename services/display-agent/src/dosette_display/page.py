"""What the panel says: `page_of(plan, now, state) -> Page` is words and rows only, and decides what each button would do."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from itertools import groupby
from zoneinfo import ZoneInfo

from dosette.contracts.plan import Plan, PlannedDose
from dosette.contracts.press import Press
from dosette_display import words

JUST_RESOLVED = timedelta(minutes=2)
"""How long a taken dose stays on the screen, and how long its press can be undone."""
NOT_UP_TO_DATE_AFTER = timedelta(hours=1)
CLOCK_BEHIND = timedelta(minutes=5)
"""A plan from the future means that this machine's clock is wrong: it booted without network, perhaps."""
_AFTER = timedelta.resolution

_STATUS_OF = {"take": "taken", "skip": "skipped", "undo": "pending"}


class Mark(StrEnum):
    """The state of a dose, drawn as a shape."""

    NEXT = "next"
    DUE = "due"
    LATE = "late"
    TAKEN = "taken"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Notice:
    """What was just answered to a press, for some seconds; if it is `about` what was on the screen, only while that is."""

    text: str
    about: tuple[tuple[str, Mark], ...] | None = None


@dataclass(frozen=True)
class State:
    """What the agent knows besides the plan: presses the server has not taken in, its last press, and how it is connected."""

    waiting: tuple[Press, ...] = ()
    last: Press | None = None
    offline_since: datetime | None = None
    notice: Notice | None = None


@dataclass(frozen=True)
class Row:
    """One dose. Strength, amount and member are shown whole or the row is not shown."""

    dose_id: str
    mark: Mark
    time: str
    name: str
    strength: str
    amount: str
    member: str
    note: str = ""


@dataclass(frozen=True)
class Page:
    """`takes` are the doses that TAKE and SKIP name: always rows of this page. `undoes` are those that a held TAKE names:
    rows of this page, or the ones its title speaks of. `alarm` puts the title in inverse; `more` counts rows that did not fit."""

    title: str
    rows: tuple[Row, ...] = ()
    lines: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    undoes: tuple[str, ...] = ()
    alarm: bool = False
    more: int = 0
    as_of: str = "--:--"
    valid_until: str = "--:--"

    @property
    def subject(self) -> tuple[tuple[str, Mark], ...]:
        """Which doses it shows, in which state."""
        return tuple((row.dose_id, row.mark) for row in self.rows)

    def same_but_for_stamps(self, other: "Page") -> bool:
        return replace(self, as_of=other.as_of, valid_until=other.valid_until) == other


def page_of(plan: Plan | None, now: datetime, state: State) -> Page:
    """The page for this moment. It changes by time alone only at `changes_at`."""
    if plan is None:
        return _noticed(Page("No plan yet", lines=("Waiting for the server.", "Nothing is reminded.")), state)
    zone = ZoneInfo(plan.zone)
    page = _alarm(plan, now, zone) or _told(plan, now, zone, state)
    return replace(
        _noticed(page, state),
        as_of=words.stamp(plan.issued_at, now, zone),
        valid_until=words.stamp(valid_until(plan, now, state), now, zone),
    )


def changes_at(plan: Plan | None, now: datetime, state: State) -> datetime | None:
    """The next moment at which the page becomes another by time alone."""
    if plan is None:
        return None
    resolved = (
        dose.resolved_at + JUST_RESOLVED
        for dose in _with_presses(plan, state)
        if dose.resolved_at and dose.resolved_at + JUST_RESOLVED > now
    )
    return min((valid_until(plan, now, state), _midnight(now, ZoneInfo(plan.zone)), *resolved))


def valid_until(plan: Plan, now: datetime, state: State) -> datetime:
    """Until when a picture of this page, with nobody there to renew it, tells no lie about what is due."""
    if now > plan.valid_until:
        return plan.valid_until
    moments = (moment for dose in _with_presses(plan, state) if dose.status == "pending" for moment in _moments(dose))
    return min((moment for moment in moments if moment > now), default=plan.valid_until)


def _midnight(now: datetime, zone: ZoneInfo) -> datetime:
    """The next one: "Tue 06:30" becomes "06:30", and yesterday's sum goes."""
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), zone).astimezone(UTC)


def latest_by_dose(presses: Iterable[Press]) -> dict[str, Press]:
    """Of the presses on one dose, oldest first, the last counts."""
    return {dose_id: press for press in presses for dose_id in press.dose_ids}


def _moments(dose: PlannedDose) -> tuple[datetime, ...]:
    """A dose is still due at `late_at` and still late at `closes_at`; it changes just after."""
    return dose.opens_at, dose.due_at, dose.late_at + _AFTER, dose.closes_at + _AFTER


def _with_presses(plan: Plan, state: State) -> tuple[PlannedDose, ...]:
    """The plan's doses as they will be when the server has taken in what was pressed here."""
    pressed = latest_by_dose(state.waiting)
    return tuple(_pressed(dose, pressed[dose.id]) if dose.id in pressed else dose for dose in plan.doses)


def _pressed(dose: PlannedDose, press: Press) -> PlannedDose:
    return replace(dose, status=_STATUS_OF[press.kind], resolved_at=None if press.kind == "undo" else press.at)


def _told(plan: Plan, now: datetime, zone: ZoneInfo, state: State) -> Page:
    """The doses, and what else is to be known. Rows may leave room for no line, so the title says what matters most."""
    doses = _with_presses(plan, state)
    page = _doses(doses, now, zone, state)
    offline, gaps = _offline(now, zone, state)
    grave, warnings = _warned(plan, zone)
    claim = _claim([dose for dose in doses if _is_due(dose, now)])
    title = offline or (page.title if page.undoes else grave or claim or page.title)
    said = (f"{claim}.",) if claim and title != claim else ()
    lines = (*page.lines, *gaps, *said, *warnings)
    return replace(page, title=title, alarm=page.alarm or bool(offline or grave), lines=lines)


def _alarm(plan: Plan, now: datetime, zone: ZoneInfo) -> Page | None:
    """What must be said instead of anything about doses: then no button does anything either."""
    if now > plan.valid_until:
        ended = words.day_and_clock(plan.valid_until, now, zone)
        return Page("NOT UP TO DATE", lines=(f"This plan ended {ended}.", "See the pages for what is due."), alarm=True)
    if now < plan.issued_at - CLOCK_BEHIND:
        return Page("CLOCK NOT SET", lines=("The time is not known.", "See the pages for what is due."), alarm=True)
    return None


def _offline(now: datetime, zone: ZoneInfo, state: State) -> tuple[str, tuple[str, ...]]:
    """Title and lines; none while we are in touch."""
    if state.offline_since is None:
        return "", ()
    since, gap = words.day_and_clock(state.offline_since, now, zone), "May lack doses taken by phone."
    if now - state.offline_since > NOT_UP_TO_DATE_AFTER:
        return "NOT UP TO DATE", (f"Offline since {since}.", gap)
    return f"offline since {since}", (gap,)


def _warned(plan: Plan, zone: ZoneInfo) -> tuple[str, tuple[str, ...]]:
    """What a person must know of the server: a title, if it is grave, and lines."""
    titles = [words.GRAVE[kind] for kind in words.GRAVE if kind in plan.alarms]
    lines = [words.ALARMS[kind] for kind in words.ALARMS if kind in plan.alarms]
    if plan.stuck_since:
        since = words.clock(plan.stuck_since, zone)
        titles.insert(0, f"stuck since {since}")
        lines.insert(0, f"Messages stuck since {since}.")
    return titles[0] if titles else "", tuple(lines)


def _claim(due: list[PlannedDose]) -> str:
    """Who has said "I've got it", and of how many; empty when nobody has."""
    claimed = [dose.claimed_by for dose in due if dose.claimed_by]
    if not claimed:
        return ""
    names = list(dict.fromkeys(claimed))
    who = f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'}"
    return f"{who} it" if len(claimed) == len(due) else f"{len(due)} due, {who} {len(claimed)}"


def _noticed(page: Page, state: State) -> Page:
    if state.notice is None or not _is_about(state.notice, page):
        return page
    return replace(page, title=state.notice.text, alarm=True)


def _is_about(notice: Notice, page: Page) -> bool:
    """What was on the screen may have been the page's beginning only, when not all fitted."""
    if notice.about is None:
        return True
    return page.subject[: len(notice.about)] == notice.about if notice.about else not page.rows


def _doses(doses: tuple[PlannedDose, ...], now: datetime, zone: ZoneInfo, state: State) -> Page:
    """What is due or late, else what was just resolved, else what comes next."""
    undoes = _undoable(doses, now, state)
    if due := [dose for dose in doses if _is_due(dose, now)]:
        return _due_page(due, undoes, now, zone)
    if just := [dose for dose in doses if _is_just_resolved(dose, now)]:
        return _resolved_page(just, undoes, zone, state)
    return _next_page(doses, now, zone)


def _due_page(due: list[PlannedDose], undoes: tuple[str, ...], now: datetime, zone: ZoneInfo) -> Page:
    due.sort(key=lambda dose: dose.due_at)
    rows = tuple(_row(dose, Mark.LATE if _is_late(dose, now) else Mark.DUE, now, zone) for dose in due)
    title = f"{len(undoes)} done, hold: undo" if undoes else _due_title(rows)
    return Page(title, rows, takes=tuple(dose.id for dose in due), undoes=undoes)


def _due_title(rows: tuple[Row, ...]) -> str:
    late = sum(row.mark == Mark.LATE for row in rows)
    if len(rows) == 1:
        return "LATE" if late else "Due now"
    if late == len(rows):
        return f"{late} late"
    return f"{len(rows)} due" + (f", {late} late" if late else "")


def _resolved_page(just: list[PlannedDose], undoes: tuple[str, ...], zone: ZoneInfo, state: State) -> Page:
    """Newest first, so that what can be undone is seen."""
    just.sort(key=lambda dose: (dose.id not in undoes, -(dose.resolved_at or dose.due_at).timestamp()))
    saving = {dose_id for press in state.waiting for dose_id in press.dose_ids}
    kinds = {dose.status for dose in just}
    title = "Taken" if kinds == {"taken"} else "Skipped" if kinds == {"skipped"} else "Done"
    if saving & {dose.id for dose in just}:
        title += " · saving"
    return Page(title, tuple(_resolved_row(dose, zone) for dose in just), undoes=undoes)


def _next_page(doses: tuple[PlannedDose, ...], now: datetime, zone: ZoneInfo) -> Page:
    title = _today(doses, now, zone)
    coming = sorted(
        (dose for dose in doses if dose.status == "pending" and now < dose.due_at), key=lambda dose: dose.due_at
    )
    missed = tuple(_missed_line(dose, zone) for dose in doses if _missed_today(dose, now, zone))
    if not coming:
        lines = (*missed, "Nothing is planned for the next days.")
        return Page(title or "Nothing planned", lines=lines, alarm=bool(missed))
    together = list(next(groupby(coming, key=lambda dose: dose.due_at))[1])
    open_ids = tuple(dose.id for dose in together if dose.opens_at <= now)
    return Page(
        f"{title} · next" if title else "Next",
        tuple(_row(dose, Mark.NEXT, now, zone) for dose in together),
        lines=missed,
        alarm=bool(missed),
        takes=open_ids if len(open_ids) == len(together) else (),
    )


def _today(doses: tuple[PlannedDose, ...], now: datetime, zone: ZoneInfo) -> str:
    """A day's sum once something became of it; what was missed stays said the whole day."""
    today = now.astimezone(zone).date()
    mine = [_became(dose, now) for dose in doses if dose.due_at.astimezone(zone).date() == today]
    if mine and set(mine) == {"taken"}:
        return "All taken"
    counted = ((mine.count(status), status) for status in ("missed", "skipped", "taken"))
    said = [f"{count} {status}" for count, status in counted if count]
    return ", ".join(said[:2])


def _missed_today(dose: PlannedDose, now: datetime, zone: ZoneInfo) -> bool:
    return _became(dose, now) == "missed" and dose.due_at.astimezone(zone).date() == now.astimezone(zone).date()


def _missed_line(dose: PlannedDose, zone: ZoneInfo) -> str:
    return f"missed {words.clock(dose.due_at, zone)}: {dose.medicine}, {dose.member}"


def _became(dose: PlannedDose, now: datetime) -> str:
    return "missed" if dose.status == "pending" and now > dose.closes_at else dose.status


def _undoable(doses: tuple[PlannedDose, ...], now: datetime, state: State) -> tuple[str, ...]:
    """The doses of the last press here, while all of them are still as it left them."""
    last = state.last
    if last is None or last.kind == "undo":
        return ()
    resolved = {dose.id for dose in doses if _is_just_resolved(dose, now) and dose.status == _STATUS_OF[last.kind]}
    return last.dose_ids if resolved.issuperset(last.dose_ids) else ()


def _is_due(dose: PlannedDose, now: datetime) -> bool:
    return dose.status == "pending" and dose.due_at <= now <= dose.closes_at


def _is_late(dose: PlannedDose, now: datetime) -> bool:
    return _is_due(dose, now) and now > dose.late_at


def _is_just_resolved(dose: PlannedDose, now: datetime) -> bool:
    resolved = dose.status in ("taken", "skipped") and dose.resolved_at
    return bool(resolved and now - JUST_RESOLVED < resolved <= now + JUST_RESOLVED)


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


def _resolved_row(dose: PlannedDose, zone: ZoneInfo) -> Row:
    at = dose.resolved_at or dose.due_at
    mark = Mark.TAKEN if dose.status == "taken" else Mark.SKIPPED
    return replace(_row(dose, mark, at, zone), time=words.clock(at, zone), note="")
