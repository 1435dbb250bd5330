"""The screens, each by itself: what stands on it, and which doses its buttons would name."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby
from zoneinfo import ZoneInfo

from dosette.contracts.plan import LowStock, Plan, PlannedConflict, PlannedDose
from dosette.contracts.press import SNOOZE, Press
from dosette_display import words
from dosette_display.doses import STATUS_OF, is_due, is_late, is_snoozed, of_today, undoable, what_became
from dosette_display.keys import Screen
from dosette_display.page import Mark, Page, Row, State

CONFIRMED = timedelta(seconds=20)
"""How long the answer to a press hides other doses that are due."""
_BECAME = {mark.value: mark for mark in (Mark.TAKEN, Mark.SKIPPED, Mark.MISSED)}
"""Else nobody knows: a restored server has forgotten it, or a newer one has a word for it that this program lacks."""


def due_page(due: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, undoes: tuple[str, ...]) -> Page:
    rows = tuple(dose_row(dose, _due_mark(dose, now), now, zone) for dose in due)
    ids = tuple(dose.id for dose in due)
    title = _snoozed_title(due, now, zone) or _due_title(rows)
    return Page(title, rows, takes=ids, undoes=undoes, snoozes=_snoozable(due, now), screen=Screen.DUE)


def step_page(
    dose_id: str, due: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, undoes: tuple[str, ...]
) -> Page | None:
    """One of those that are due, by itself."""
    place = next((place for place, dose in enumerate(due) if dose.id == dose_id), None)
    if place is None:
        return None
    title = f"{place + 1} of {len(due)}{' · late' if is_late(due[place], now) else ''}"
    return replace(due_page([due[place]], now, zone, undoes), title=title, screen=Screen.STEP)


def answer_page(
    doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, state: State, due_count: int
) -> Page | None:
    """What the last press here did, while other doses wait to be shown. It also keeps a second, hasty push from taking them."""
    last = state.last
    if last is None or last.id == state.confirmed or not due_count or not abs(now - last.at) < CONFIRMED:
        return None
    mine = [dose for dose in doses if dose.id in last.dose_ids and _is_as_left(dose, last)]
    if not mine:
        return None
    page = done_page(mine, now, zone, state, undoable(doses, now, state))
    others = due_count - sum(dose.status == "pending" for dose in mine)
    return replace(page, lines=(f"{others} more {'is' if others == 1 else 'are'} due.",) if others else ())


def done_page(
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


def double_page(conflicts: Sequence[PlannedConflict], now: datetime, zone: ZoneInfo) -> Page:
    rows = tuple(_conflict_row(each, now, zone) for each in conflicts)
    advice = "Take no more of it.", "Say on the pages what is true."
    return Page(doubt(conflicts), rows, lines=advice, alarm=True, screen=Screen.DOUBLE, onward=Screen.TODAY)


def next_page(plan: Plan, doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo) -> Page:
    title = _sum_of_today(doses, now, zone)
    coming = sorted(
        (dose for dose in doses if dose.status == "pending" and now < dose.due_at), key=lambda dose: dose.due_at
    )
    missed = tuple(
        _missed_line(dose, now, zone) for dose in of_today(doses, now, zone) if what_became(dose, now) == "missed"
    )
    page = Page(title or "Nothing planned", lines=missed, alarm=bool(missed), screen=Screen.NEXT, onward=Screen.TODAY)
    if not coming:
        return replace(page, lines=(*missed, "Nothing is planned for the next days."))
    together = list(next(groupby(coming, key=lambda dose: dose.due_at))[1])
    open_ids = tuple(dose.id for dose in together if dose.opens_at <= now)
    return replace(
        page,
        title=f"{title} · next" if title else "Next",
        rows=tuple(dose_row(dose, Mark.NEXT, now, zone) for dose in sorted(together, key=lambda dose: dose.member)),
        takes=open_ids if len(open_ids) == len(together) else (),
    )


def today_page(plan: Plan, doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo, part: int) -> Page:
    rows = tuple(today_rows(doses, now, zone))
    onward = Screen.LOW if plan.low else None
    lines = () if rows else ("Nothing is planned for today.",)
    title = _sum_of_today(doses, now, zone)
    return Page(
        f"Today: {title.lower()}" if title else "Today", rows, lines, screen=Screen.TODAY, part=part, onward=onward
    )


def today_rows(doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo) -> list[Row]:
    today = sorted(of_today(doses, now, zone), key=lambda dose: (dose.due_at, dose.member))
    return [_today_row(dose, now, zone) for dose in today]


def low_page(low: Sequence[LowStock], now: datetime, zone: ZoneInfo) -> Page:
    by_member = sorted(low, key=lambda each: each.member)
    today = now.astimezone(zone).date()
    rows = tuple(
        Row(
            dose_id="",
            mark=Mark.LOW,
            time="",
            name=words.name(each.medicine),
            strength=words.safe_unit(each.strength),
            amount=words.supply(each, today),
            member=words.name(each.member),
        )
        for each in by_member
    )
    return Page("Low stock", rows, screen=Screen.LOW)


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


def dose_row(dose: PlannedDose, mark: Mark, now: datetime, zone: ZoneInfo) -> Row:
    return Row(
        dose_id=dose.id,
        mark=mark,
        time=words.day_and_clock(dose.due_at, now, zone),
        name=words.name(dose.medicine),
        strength=words.safe_unit(dose.strength),
        amount=words.safe_unit(words.amount(dose)),
        member=words.name(dose.member),
        note=dose.note,
    )


def doubt(conflicts: Sequence[PlannedConflict]) -> str:
    """A dose that one skipped and another took is told twice, but not taken twice."""
    double = any(each.report == "take" and each.status != "skipped" for each in conflicts)
    return "DOUBLE DOSE?" if double else "TOLD TWICE"


def _snoozable(due: Sequence[PlannedDose], now: datetime) -> tuple[str, ...]:
    """A snooze must end before the window does."""
    return tuple(dose.id for dose in due if now + SNOOZE < dose.closes_at)


def _due_mark(dose: PlannedDose, now: datetime) -> Mark:
    if is_snoozed(dose, now):
        return Mark.SNOOZED
    return Mark.LATE if is_late(dose, now) else Mark.DUE


def _due_title(rows: tuple[Row, ...]) -> str:
    late = sum(row.mark == Mark.LATE for row in rows)
    if len(rows) == 1:
        return "LATE" if late else "Due now"
    if late == len(rows):
        return f"{late} late"
    return f"{len(rows)} due" + (f", {late} late" if late else "")


def _snoozed_title(due: Sequence[PlannedDose], now: datetime, zone: ZoneInfo) -> str:
    """While all of them are."""
    ends = [dose.snoozed_until for dose in due if dose.snoozed_until and is_snoozed(dose, now)]
    return f"Snoozed until {words.clock(min(ends), zone)}" if ends and len(ends) == len(due) else ""


def _is_as_left(dose: PlannedDose, press: Press) -> bool:
    if press.kind == "snooze":
        return dose.status == "pending" and dose.snoozed_until is not None
    return dose.status == STATUS_OF.get(press.kind)


def _done_row(dose: PlannedDose, now: datetime, zone: ZoneInfo) -> Row:
    if dose.status == "pending":
        return dose_row(dose, Mark.SNOOZED, now, zone)
    at = dose.resolved_at or dose.due_at
    mark = Mark.TAKEN if dose.status == "taken" else Mark.SKIPPED
    return replace(dose_row(dose, mark, at, zone), time=words.clock(at, zone), note="")


def _conflict_row(conflict: PlannedConflict, now: datetime, zone: ZoneInfo) -> Row:
    at = words.day_and_clock(conflict.at, now, zone)
    report = words.DONE[conflict.report]
    if conflict.resolved_at and conflict.status in ("taken", "skipped"):
        first = words.day_and_clock(conflict.resolved_at, now, zone)
        told = f"{conflict.status} {first}, {'again' if report == conflict.status else report} {at}"
    else:
        told = f"{report} {at}, beyond the safe limit"
    medicine, member = words.name(conflict.medicine), words.name(conflict.member)
    return Row(conflict.id, Mark.LATE, "", medicine, words.safe_unit(conflict.strength), told, member)


def _sum_of_today(doses: Sequence[PlannedDose], now: datetime, zone: ZoneInfo) -> str:
    """A day's sum once something became of it; what was missed stays said the whole day."""
    mine = [what_became(dose, now) for dose in of_today(doses, now, zone)]
    if mine and set(mine) == {"taken"}:
        return "All taken"
    counted = ((mine.count(status), status) for status in ("unknown", "missed", "skipped", "taken"))
    said = [f"{count} {status}" for count, status in counted if count]
    return ", ".join(said[:2])


def _missed_line(dose: PlannedDose, now: datetime, zone: ZoneInfo) -> str:
    return f"missed {words.day_and_clock(dose.due_at, now, zone)}: {dose.medicine}, {dose.member}"


def _today_row(dose: PlannedDose, now: datetime, zone: ZoneInfo) -> Row:
    became = what_became(dose, now)
    if became == "pending":
        mark = _due_mark(dose, now) if is_due(dose, now) else Mark.LISTED
        return replace(dose_row(dose, mark, now, zone), note="")
    note = f"{became} {words.clock(dose.resolved_at, zone)}" if dose.resolved_at else became
    return replace(dose_row(dose, _BECAME.get(became, Mark.UNKNOWN), now, zone), note=note)
