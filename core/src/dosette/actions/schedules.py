"""Changing a schedule, which plans its doses in the same transaction; seeing first what a change does; extending every plan."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from dosette.actions.replies import Answer, Request, answer
from dosette.domain.errors import Changed, NotFound
from dosette.domain.schedules import (
    ANCHOR,
    ELAPSED,
    FIXED,
    HORIZON,
    LAST_TAKEN,
    REPLAN,
    WEEKDAYS,
    Pause,
    Slot,
    Step,
    Version,
    as_needed_amount,
    difference,
    slots,
    window_width,
)
from dosette.domain.stock import DAYS_AHEAD, REFRESH_BELOW, cumulative, projected_use, runs_out_on
from dosette.domain.trips import Trip
from dosette.domain.zones import local_day, offsets
from dosette.faults import fp
from dosette.storage import schedules as sql
from dosette.storage.access import locking
from dosette.storage.connection import NOBODY, Database, Entry, Row

BATCH = 200
SHOWN = timedelta(days=28)
"""How far a preview looks."""
_TRIES = 5
_NO_GAPS = {"shortest_gap_minutes": None, "longest_gap_minutes": None, "too_close": False}


@dataclass(frozen=True)
class WantedSchedule:
    """What a caller asks for; `zone` None: as the schedule has it, else the household's; `starts_on` None: today there.

    `rule` holds whatever else a Version has.
    """

    steps: tuple[Step, ...]
    zone: str | None = None
    starts_on: date | None = None
    rule: Mapping[str, Any] = field(default_factory=dict)

    def in_household(self, zone: str, now: datetime) -> Version:
        zone = self.zone or zone
        wanted = Version(zone, self.starts_on or local_day(now, zone), self.steps, **self.rule)
        if wanted.kind == ELAPSED and wanted.counted_from == ANCHOR and wanted.anchor_at is None:
            return replace(wanted, anchor_at=now)
        return wanted


@dataclass(frozen=True)
class Standing:
    """A medicine's schedule as it is: what a change starts from. `left` is on hand, usable, and not due before now."""

    medicine_id: str
    medicine: Mapping[str, str]
    household_zone: str
    number: int
    version: Version | None
    left: Decimal
    last_taken_at: datetime | None
    open_due_at: datetime | None
    next_due_at: datetime | None

    @property
    def zone(self) -> str:
        return self.version.zone if self.version else self.household_zone

    def planned(self, after: datetime, until: datetime) -> list[Slot]:
        return slots(self.version, after, until, self.next_due_at) if self.version else []


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

    def versions() -> Iterable[tuple[Standing, Version]]:
        standing = _standing(database, reading, medicine_id, now)
        return [(standing, wanted.in_household(standing.zone, now))]

    return _change(database, writing, versions, None, request, now)


def move_household(
    database: Database, reading: Entry, writing: Entry, zone: str, shift: bool, request: Request, now: datetime
) -> Answer:
    """The household lives by another zone's clock: its schedules keep their own zone, or `shift` to the new one.

    Raises Changed as `change` does.
    """

    def versions() -> Iterable[tuple[Standing, Version]]:
        if not shift:
            return []
        kept = [standing for standing in _standings(database, reading, None, now) if standing.version]
        return [
            (standing, replace(standing.version, zone=zone))
            for standing in kept
            if standing.version and standing.version.kind == FIXED and standing.version.zone != zone
        ]

    return _change(database, writing, versions, zone, request, now)


def preview(database: Database, reading: Entry, medicine_id: str, wanted: WantedSchedule, now: datetime) -> str:
    """What a change would do, as JSON: the doses of the next 28 days that appear, move and vanish, and until when the stock
    would last. Nothing is stored. Raises NotFound."""
    standing = _standing(database, reading, medicine_id, now)
    version = wanted.in_household(standing.zone, now)
    until = now + SHOWN
    told = difference(standing.planned(now, until), _planned(version, standing, now, until))
    return json.dumps(
        {
            "until": until.isoformat(),
            "appear": [_slot_told(slot) for slot in told.appear],
            "move": [{"was": _slot_told(was), "becomes": _slot_told(becomes)} for was, becomes in told.moves],
            "vanish": [_slot_told(slot) for slot in told.vanish],
            "stay": told.stay,
            "supply": {
                "was": _supply(standing, standing.version, now),
                "becomes": _supply(standing, version, now),
            },
        }
    )


def preview_trip(database: Database, reading: Entry, trip: Trip, now: datetime) -> str:
    """What a trip or a move to another zone does to the doses of every medicine with fixed times, as JSON."""
    standings = _standings(database, reading, None, now)
    return json.dumps(
        {
            "zone": trip.zone,
            "since": trip.since.isoformat(),
            "until": trip.until.isoformat() if trip.until else None,
            "doses": trip.doses,
            "medicines": [_trip_told(standing, trip, now) for standing in standings if standing.version],
        }
    )


def extend_plans(database: Database, now: datetime, entry: Entry = NOBODY) -> int:
    """Plans doses up to the horizon for schedules that are planned less far ahead; how many doses became rows.

    One batch; to be called again while it returns more than 0. Several may run at once.
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


def planned_slots(raw: Mapping[str, Any], last_at: datetime | None, since: datetime, until: datetime) -> list[Slot]:
    """What a stored version plans after `since`; `last_at` is that of the last dose, where the next one follows it."""
    version = version_of(raw)
    next_at = last_at + version.interval if last_at and version.counted_from == LAST_TAKEN else None
    if next_at and version.anchor_at:
        next_at = max(next_at, version.anchor_at)
    return slots(version, since, until, next_at)


def version_of(raw: Mapping[str, Any]) -> Version:
    """A stored version as the domain knows it."""
    return Version(
        zone=raw["zone"],
        starts_on=date.fromisoformat(raw["starts_on"]),
        steps=tuple(_step_of(step) for step in raw["steps"]),
        ends_on=_date(raw["ends_on"]),
        kind=raw["kind"],
        critical=raw["critical"],
        window_minutes=raw["window_minutes"],
        nag_minutes=raw["nag_minutes"],
        every_days=raw["every_days"],
        every_weeks=raw["every_weeks"],
        month_days=tuple(raw["month_days"]),
        days_on=raw["days_on"],
        days_off=raw["days_off"],
        every_minutes=raw["every_minutes"],
        counted_from=raw["counted_from"],
        anchor_at=datetime.fromisoformat(raw["anchor_at"]) if raw["anchor_at"] else None,
        min_gap_minutes=raw["min_gap_minutes"],
        most_per_24_h=Decimal(raw["most_per_24_h"]) if raw["most_per_24_h"] else None,
        pauses=tuple(Pause(date.fromisoformat(each["starts_on"]), _date(each["ends_on"])) for each in raw["pauses"]),
    )


def version_json(version: Version) -> dict[str, object]:
    """A version as PostgreSQL stores it."""
    return {
        "zone": version.zone,
        "starts_on": version.starts_on.isoformat(),
        "ends_on": _date_text(version.ends_on),
        "kind": version.kind,
        "critical": version.critical,
        "window_minutes": version.window_minutes,
        "nag_minutes": version.nag_minutes,
        "steps": [_step_json(step) for step in version.steps],
        "every_days": version.every_days,
        "every_weeks": version.every_weeks,
        "month_days": sorted(version.month_days),
        "days_on": version.days_on,
        "days_off": version.days_off,
        "every_minutes": version.every_minutes,
        "counted_from": version.counted_from,
        "anchor_at": version.anchor_at.isoformat() if version.anchor_at else None,
        "min_gap_minutes": version.min_gap_minutes,
        "most_per_24_h": _amount(version.most_per_24_h) if version.most_per_24_h else None,
        "pauses": [
            {"starts_on": pause.starts_on.isoformat(), "ends_on": _date_text(pause.ends_on)} for pause in version.pauses
        ],
    }


def offset_columns(zone: str) -> dict[str, object]:
    """What a household's row knows of its zone."""
    known = offsets(zone)
    return {"offset_since": [since for since, _ in known], "utc_offset": [offset for _, offset in known]}


def _change(
    database: Database,
    writing: Entry,
    versions: Callable[[], Iterable[tuple[Standing, Version]]],
    zone: str | None,
    request: Request,
    now: datetime,
) -> Answer:
    moved = {"zone": zone, **(offset_columns(zone) if zone else {"offset_since": None, "utc_offset": None})}
    for _ in range(_TRIES):
        changes = [_change_json(standing, version, now) for standing, version in versions()]
        row = database.one(sql.CHANGE, writing, changes=json.dumps(changes), now=now, **moved, **request.values)
        told = answer(row[0], row[1], request.key)
        if told is not None:
            return told
    raise Changed("the schedule was changed by somebody else at the same time; read it again and repeat")


def _standing(database: Database, reading: Entry, medicine_id: str, now: datetime) -> Standing:
    found = _standings(database, reading, medicine_id, now)
    if not found:
        raise NotFound("there is no such medicine in use in this household; GET /api/v1/medicines lists them")
    return found[0]


def _standings(database: Database, reading: Entry, medicine_id: str | None, now: datetime) -> list[Standing]:
    rows = database.run(sql.CONTEXT, reading, medicine=medicine_id, now=now)
    return [
        Standing(medicine_id, medicine, zone, number, version_of(raw) if number else None, *known)
        for medicine_id, medicine, zone, number, raw, *known in rows
    ]


def _change_json(standing: Standing, version: Version, now: datetime) -> dict[str, object]:
    until = now + HORIZON
    number = standing.number + 1
    return {
        "medicine_id": standing.medicine_id,
        "number": number,
        "version": {"medicine_id": standing.medicine_id, "number": number, **version_json(version)},
        "effect": _effect(version, until, now),
        "slots": [_slot_json(slot, version) for slot in _planned(version, standing, now, until)],
    }


def _effect(version: Version, until: datetime, now: datetime) -> dict[str, object]:
    """What the version means for taking and counting, as columns of its schedule."""
    amount = as_needed_amount(version)
    follows = version.kind == ELAPSED and version.counted_from == LAST_TAKEN
    return {
        "planned_until": until.isoformat() if amount is None else None,
        "amount": _amount(amount) if amount is not None else None,
        "follows_minutes": version.every_minutes if follows else None,
        "follows_window": str(window_width(version)) if follows else None,
        **_use_columns(version, local_day(now, version.zone)),
    }


def _use_columns(version: Version, first: date) -> dict[str, object]:
    use = projected_use(version, first)
    if use is None:
        return dict.fromkeys(("use_from", "use_through", "daily_use"))
    return {
        "use_from": first.isoformat(),
        "use_through": cumulative(use.through),
        "daily_use": str(use.daily.quantize(Decimal("0.000001"))),
    }


def _planned(version: Version, standing: Standing, now: datetime, until: datetime) -> list[Slot]:
    """The slots of a version that begins to hold now."""
    if version.kind != ELAPSED or version.counted_from == ANCHOR:
        return slots(version, now, until)
    first = version.anchor_at or now
    for before in (standing.last_taken_at, standing.open_due_at):
        if before:
            first = max(first, before + version.interval)
    return slots(version, now - timedelta(microseconds=1), until, max(first, now))


def _plan_of(row: Row, now: datetime) -> dict[str, object]:
    medicine_id, _, was, use_from, raw, _ = row
    today = local_day(now, raw["zone"])
    plan = {
        "medicine_id": medicine_id,
        "version": raw["version"],
        "was": was.isoformat(),
        "planned_until": (now + HORIZON).isoformat(),
    }
    if use_from is None or (today - use_from).days > DAYS_AHEAD - REFRESH_BELOW:
        plan |= _use_columns(version_of(raw), today)
    return plan


def _doses_of(row: Row, now: datetime) -> list[dict[str, object]]:
    medicine_id, _, planned_until, _, raw, last_at = row
    version = version_of(raw)
    found = planned_slots(raw, last_at, planned_until, now + HORIZON)
    return [{"medicine_id": medicine_id, "version": raw["version"], **_slot_json(slot, version)} for slot in found]


def _supply(standing: Standing, version: Version | None, now: datetime) -> dict[str, object]:
    """Until when the stock lasts under this version, told from the doses that it still plans for today."""
    if version is None:
        return {"days_left": None, "runs_out_on": None}
    today = local_day(now, version.zone)
    use = projected_use(version, today)
    tonight = [slot for slot in _planned(version, standing, now, now + timedelta(days=2)) if slot.slot_on <= today]
    left = standing.left - sum((slot.amount for slot in tonight), Decimal())
    day = runs_out_on(use, left, today) if use else None
    return {"days_left": (day - today).days if day else None, "runs_out_on": _date_text(day)}


def _trip_told(standing: Standing, trip: Trip, now: datetime) -> dict[str, object]:
    told = trip.effect(standing.version, now, standing.next_due_at) if standing.version else None
    if told is None:
        return {"medicine": standing.medicine, "moves": [], "vanish": [], **_NO_GAPS}
    return {
        "medicine": standing.medicine,
        "moves": [
            {
                "was": {"due_at": move.was_at.isoformat(), "local_time": move.was_local},
                "becomes": {"due_at": move.becomes_at.isoformat(), "local_time": move.becomes_local},
            }
            for move in told.moves
        ],
        "vanish": [_slot_told(slot) for slot in told.vanish],
        "shortest_gap_minutes": told.shortest_gap_minutes,
        "longest_gap_minutes": told.longest_gap_minutes,
        "too_close": told.too_close,
    }


def _slot_json(slot: Slot, version: Version) -> dict[str, object]:
    return {
        "kind": "elapsed" if version.kind == ELAPSED else "planned",
        "slot_on": slot.slot_on.isoformat(),
        "slot_time": slot.slot_time.isoformat(),
        "amount": str(slot.amount),
        "opens_at": slot.window.opens_at.astimezone(UTC).isoformat(),
        "due_at": slot.window.due_at.astimezone(UTC).isoformat(),
        "late_at": slot.window.late_at.astimezone(UTC).isoformat(),
        "closes_at": slot.window.closes_at.astimezone(UTC).isoformat(),
    }


def _slot_told(slot: Slot) -> dict[str, object]:
    return {
        "slot_on": slot.slot_on.isoformat(),
        "local_time": slot.slot_time.isoformat(),
        "due_at": slot.due_at.astimezone(UTC).isoformat(),
        "amount": _amount(slot.amount),
    }


def _step_json(step: Step) -> dict[str, object]:
    return {
        "time": step.time.isoformat() if step.time else None,
        "amount": _amount(step.amount),
        "weekdays": [WEEKDAYS[day] for day in sorted(step.weekdays)],
        "starts_on": _date_text(step.starts_on),
        "ends_on": _date_text(step.ends_on),
    }


def _step_of(raw: Mapping[str, Any]) -> Step:
    return Step(
        time.fromisoformat(raw["time"]) if raw["time"] else None,
        Decimal(raw["amount"]),
        frozenset(WEEKDAYS.index(day) for day in raw["weekdays"]),
        _date(raw.get("starts_on")),
        _date(raw.get("ends_on")),
    )


def _amount(amount: Decimal) -> str:
    return format(amount.normalize(), "f")


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _date_text(day: date | None) -> str | None:
    return day.isoformat() if day else None
