"""Changing a schedule, which plans its doses in the same transaction, and extending every plan day by day."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from dosette.actions.replies import Answer, Request, answer
from dosette.domain.errors import Changed, NotFound
from dosette.domain.schedules import HORIZON, REPLAN, WEEKDAYS, Slot, Step, Version, daily_use, slots, today
from dosette.faults import fp
from dosette.storage import schedules as sql
from dosette.storage.access import locking
from dosette.storage.connection import NOBODY, Database, Entry, Row

BATCH = 200
_TRIES = 5


@dataclass(frozen=True)
class WantedSchedule:
    """What a caller asks for; `zone` None: as the schedule has it, else the household's; `starts_on` None: today there."""

    steps: tuple[Step, ...]
    zone: str | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    critical: bool = False
    window_minutes: int | None = None

    def version(self, zone: str, now: datetime) -> Version:
        zone = self.zone or zone
        starts_on = self.starts_on or today(now, zone)
        return Version(zone, starts_on, self.steps, self.ends_on, self.critical, self.window_minutes)


def change(
    database: Database,
    reading: Entry,
    writing: Entry,
    medicine_id: str,
    wanted: WantedSchedule,
    request: Request,
    now: datetime,
) -> Answer:
    """Makes a new version, cancels what was planned after `now` and plans anew. Two round trips.

    Raises NotFound; Changed when others kept changing the same schedule meanwhile.
    """
    for _ in range(_TRIES):
        zone, number = _context(database, reading, medicine_id)
        version = wanted.version(zone, now)
        row = database.one(
            sql.CHANGE,
            writing,
            medicine=medicine_id,
            number=number + 1,
            **_columns(version),
            now=now,
            **_planned(version, now),
            **request.values,
        )
        told = answer(row[0], row[1], request.key)
        if told is not None:
            return told
    raise Changed("the schedule was changed by somebody else at the same time; read it again and repeat")


def extend_plans(database: Database, now: datetime, entry: Entry = NOBODY) -> int:
    """Plans doses up to the horizon for schedules that are planned less far ahead; how many doses became rows.

    One batch; to be called again while it returns more than 0 or `more_to_plan`. Several may run at once.
    """
    fp("S1")
    rows = database.run(sql.TO_PLAN, entry, before=now + REPLAN, limit=BATCH)
    if not rows:
        return 0
    plans = [_plan_of(row, now) for row in rows]
    fp("S2")
    doses = [dose for row in rows for dose in _doses_of(row, now)]
    households = sorted({row[1] for row in rows})
    planned: int = database.one(
        sql.EXTEND, entry if entry.sql else locking(households), plans=json.dumps(plans), slots=json.dumps(doses)
    )[0]
    fp("S3")
    return planned


def version_of(
    zone: str,
    starts_on: date,
    ends_on: date | None,
    critical: bool,
    window_minutes: int | None,
    steps: Iterable[dict[str, object]],
) -> Version:
    """A stored version as the domain knows it."""
    return Version(zone, starts_on, tuple(map(_step, steps)), ends_on, critical, window_minutes)


def _context(database: Database, reading: Entry, medicine_id: str) -> tuple[str, int]:
    rows = database.run(sql.CONTEXT, reading, medicine=medicine_id)
    if not rows:
        raise NotFound("there is no such medicine in use in this household; GET /api/v1/medicines lists them")
    zone, number = rows[0]
    return zone, number


def _columns(version: Version) -> dict[str, object]:
    return {
        "zone": version.zone,
        "starts_on": version.starts_on,
        "ends_on": version.ends_on,
        "critical": version.critical,
        "window_minutes": version.window_minutes,
        "steps": json.dumps([_step_json(step) for step in version.steps]),
        "daily_use": daily_use(version),
    }


def _planned(version: Version, now: datetime) -> dict[str, object]:
    until = now + HORIZON
    return {"planned_until": until, "slots": json.dumps([_slot_json(slot) for slot in slots(version, now, until)])}


def _plan_of(row: Row, now: datetime) -> dict[str, object]:
    medicine_id, _, was, number = row[:4]
    return {
        "medicine_id": medicine_id,
        "version": number,
        "was": was.isoformat(),
        "planned_until": (now + HORIZON).isoformat(),
    }


def _doses_of(row: Row, now: datetime) -> list[dict[str, object]]:
    medicine_id, _, planned_until, number, *columns = row
    found = slots(version_of(*columns), planned_until, now + HORIZON)
    return [{"medicine_id": medicine_id, "version": number, **_slot_json(slot)} for slot in found]


def _slot_json(slot: Slot) -> dict[str, object]:
    window = slot.window
    return {
        "slot_on": slot.slot_on.isoformat(),
        "slot_time": slot.slot_time.isoformat(),
        "amount": str(slot.amount),
        "opens_at": window.opens_at.astimezone(UTC).isoformat(),
        "due_at": window.due_at.isoformat(),
        "late_at": window.late_at.isoformat(),
        "closes_at": window.closes_at.isoformat(),
    }


def _step_json(step: Step) -> dict[str, object]:
    return {
        "time": step.time.isoformat(),
        "amount": format(step.amount.normalize(), "f"),
        "weekdays": [WEEKDAYS[day] for day in sorted(step.weekdays)],
    }


def _step(raw: dict[str, object]) -> Step:
    weekdays = raw["weekdays"]
    days = (
        frozenset(WEEKDAYS.index(str(day)) for day in weekdays) if isinstance(weekdays, list) else frozenset(range(7))
    )
    return Step(time.fromisoformat(str(raw["time"])), Decimal(str(raw["amount"])), days)
