"""The plan's doses as they are here: with what was pressed on this panel and the server has not taken in yet."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from dosette.contracts.plan import Plan, PlannedDose
from dosette.contracts.press import SNOOZE, Press
from dosette_display.page import State

JUST_RESOLVED = timedelta(minutes=2)
"""How long a taken dose stays on the screen, and how long its press can be undone."""
STATUS_OF = {"take": "taken", "skip": "skipped"}


def with_presses(plan: Plan, state: State) -> tuple[PlannedDose, ...]:
    """The plan's doses as they will be when the server has taken in what was pressed here."""
    pressed = latest_by_dose(state.waiting)
    return tuple(_pressed(dose, pressed[dose.id]) if dose.id in pressed else dose for dose in plan.doses)


def latest_by_dose(presses: Iterable[Press]) -> dict[str, Press]:
    """Of the presses on one dose, oldest first, the last counts."""
    return {dose_id: press for press in presses for dose_id in press.dose_ids}


def all_due(doses: Sequence[PlannedDose], now: datetime) -> list[PlannedDose]:
    """Person by person, whoever has waited longest first; of one person by time."""
    due = [dose for dose in doses if is_due(dose, now)]
    first = {dose.member: dose.due_at for dose in sorted(due, key=lambda dose: dose.due_at, reverse=True)}
    return sorted(due, key=lambda dose: (first[dose.member], dose.member, dose.due_at))


def undoable(doses: Sequence[PlannedDose], now: datetime, state: State) -> tuple[str, ...]:
    """The doses of the last press here, while all of them are still as it left them."""
    last = state.last
    if last is None or last.kind not in STATUS_OF:
        return ()
    resolved = {dose.id for dose in doses if is_just_resolved(dose, now) and dose.status == STATUS_OF[last.kind]}
    return last.dose_ids if resolved.issuperset(last.dose_ids) else ()


def of_today(doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo) -> list[PlannedDose]:
    """What is due today; and what was due late yesterday and was missed, when its window closed today."""
    today = now.astimezone(zone).date()
    return [dose for dose in doses if today in _days(dose, now, zone)]


def is_due(dose: PlannedDose, now: datetime) -> bool:
    return dose.status == "pending" and dose.due_at <= now <= dose.closes_at


def is_late(dose: PlannedDose, now: datetime) -> bool:
    return is_due(dose, now) and now > dose.late_at


def is_snoozed(dose: PlannedDose, now: datetime) -> bool:
    return dose.snoozed_until is not None and now < dose.snoozed_until


def is_just_resolved(dose: PlannedDose, now: datetime) -> bool:
    resolved = dose.status in ("taken", "skipped") and dose.resolved_at
    return bool(resolved and now - JUST_RESOLVED < resolved <= now + JUST_RESOLVED)


def _days(dose: PlannedDose, now: datetime, zone: ZoneInfo) -> set[date]:
    moments = (dose.due_at, dose.closes_at) if what_became(dose, now) == "missed" else (dose.due_at,)
    return {moment.astimezone(zone).date() for moment in moments}


def what_became(dose: PlannedDose, now: datetime) -> str:
    return "missed" if dose.status == "pending" and now > dose.closes_at else dose.status


def _pressed(dose: PlannedDose, press: Press) -> PlannedDose:
    if press.kind == "snooze":
        return replace(dose, snoozed_until=press.at + SNOOZE) if dose.status == "pending" else dose
    if press.kind == "undo":
        return replace(dose, status="pending", resolved_at=None)
    return replace(dose, status=STATUS_OF[press.kind], resolved_at=press.at)
