"""Taking, skipping, undoing, snoozing and correcting a dose, at the API or on a panel; conflicts; closing what was missed."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from dosette.actions.replies import Answer, Request, answer
from dosette.contracts.press import SNOOZE, Press
from dosette.domain.doses import PENDING, SKIPPED, TAKEN, When, refusal
from dosette.domain.errors import NotFound, OverLimit, Refused
from dosette.faults import fp
from dosette.storage import devices as device_sql
from dosette.storage import doses as sql
from dosette.storage.access import as_device, locking
from dosette.storage.connection import NOBODY, Database, Entry, Statement, uuids

BATCH = 500


@dataclass(frozen=True)
class Taking:
    """A dose by its id, or the one of a medicine: that is open at `at`, or a new one of a medicine as needed.

    `amount` None: as planned. `extra`: on purpose, beside what is planned or was taken. `override_reason`: why a safe limit
    does not hold this time.
    """

    at: datetime
    dose_id: str | None = None
    medicine_id: str | None = None
    amount: Decimal | None = None
    extra: bool = False
    override_reason: str | None = None


def take(database: Database, entry: Entry, taking: Taking, request: Request, now: datetime) -> Answer:
    """The dose was taken at `taking.at`.

    Raises Refused with who and when if it was resolved already or `at` is outside its window; OverLimit with the limit and
    from when it may be taken; NotFound; Invalid when nobody knows how much.
    """
    return _settle(database, entry, taking, TAKEN, None, request, now)


def skip(
    database: Database, entry: Entry, dose_id: str, reason: str | None, request: Request, at: datetime, now: datetime
) -> Answer:
    """The dose is left out on purpose. Raises as `take` does."""
    return _settle(database, entry, Taking(at, dose_id), SKIPPED, reason, request, now)


def take_batch(
    database: Database,
    entry: Entry,
    takings: Sequence[Taking],
    at: datetime,
    override: str | None,
    request: Request,
    now: datetime,
) -> Answer:
    """Several in one transaction, each taken or not: the body tells a result for each, in their order."""
    items = [
        {"dose_id": each.dose_id, "medicine_id": each.medicine_id, "amount": str(each.amount) if each.amount else None}
        for each in takings
    ]
    fp("A2")
    row = database.one(
        sql.SETTLE_BATCH, entry, items=json.dumps(items), at=at, override=override, now=now, **request.values
    )
    fp("A3")
    return answer(row[0], row[1], request.key) or Answer('{"results": []}')


def undo(database: Database, entry: Entry, dose_id: str, request: Request, at: datetime, now: datetime) -> Answer:
    """The dose is open again and the stock is as before. Raises Refused when it was neither taken nor skipped."""
    return _changed(database, entry, "undo", sql.UNDO, request, now, dose=dose_id, at=at)


def snooze(database: Database, entry: Entry, dose_id: str, until: datetime, request: Request, now: datetime) -> Answer:
    """Told again at `until`. Raises Refused when its window ends before, or is not open."""
    return _changed(database, entry, "snooze", sql.SNOOZE, request, now, dose=dose_id, until=until)


def correct(
    database: Database,
    entry: Entry,
    dose_id: str,
    at: datetime,
    reason: str | None,
    override_reason: str | None,
    request: Request,
    now: datetime,
) -> Answer:
    """The dose was really taken at `at`. Raises as `take` does."""
    values = {"dose": dose_id, "at": at, "reason": reason, "override": override_reason}
    return _changed(database, entry, "correct", sql.CORRECT, request, now, **values)


def resolve_conflict(
    database: Database,
    entry: Entry,
    conflict_id: str,
    verdict: str,
    reason: str | None,
    request: Request,
    now: datetime,
) -> Answer:
    """A person says what a conflicting report was: `not_taken` (the same taking, or none) or `taken`: the dose, or, where
    that is settled or the time is outside its window, one of its own.

    Raises NotFound; Refused when somebody resolved it already.
    """
    row = database.one(
        sql.RESOLVE_CONFLICT, entry, conflict=conflict_id, verdict=verdict, reason=reason, now=now, **request.values
    )
    told = answer(row[0], row[1], request.key)
    if told is not None:
        return told
    if row[0] == "no-conflict":
        raise NotFound("there is no such conflict in this household; GET /api/v1/conflicts lists them")
    raise Refused(f"this conflict was resolved already, as {row[2]['conflict']['status']}", row[2])


def take_in(database: Database, press: Press, when: When, now: datetime) -> list[str]:
    """What became of each dose of a press, in its order: done, replayed, refused or conflict.

    A dose that somebody else resolved before the press arrived, one over a safe limit, or one whose window is another by now
    gets a conflict, for a person to resolve. Raises Unauthorized when the device was revoked; Unavailable when the press must be
    taken in again later.
    """
    outcomes = [_press_one(database, press, dose_id, when, now) for dose_id in press.dose_ids]
    database.run(
        device_sql.PRESS_TAKEN_IN, as_device(press.device_id), device=press.device_id, number=press.number, now=now
    )
    return outcomes


def close_missed(database: Database, now: datetime, entry: Entry = NOBODY) -> int:
    """Marks up to BATCH pending doses whose window has ended, over all households that `entry` sees; how many."""
    households = [row[0] for row in database.run(sql.HOUSEHOLDS_WITH_MISSED, entry, now=now, limit=BATCH)]
    if not households:
        return 0
    values = {"households": uuids(households), "now": now}
    closed: int = database.one(sql.CLOSE_MISSED, entry if entry.sql else locking(households), **values)[0]
    return closed


def _settle(
    database: Database, entry: Entry, taking: Taking, status: str, reason: str | None, request: Request, now: datetime
) -> Answer:
    wanted = "take" if status == TAKEN else "skip"
    return _changed(
        database,
        entry,
        wanted,
        sql.SETTLE,
        request,
        now,
        dose=taking.dose_id,
        medicine=taking.medicine_id,
        status=status,
        extra=taking.extra,
        amount=taking.amount,
        at=taking.at,
        reason=reason,
        override=taking.override_reason,
    )


def _changed(
    database: Database, entry: Entry, wanted: str, statement: Statement, request: Request, now: datetime, **values: Any
) -> Answer:
    fp("A2")
    outcome, body, facts, zone = database.one(statement, entry, now=now, **values, **request.values)
    fp("A3")
    told = answer(outcome, body, request.key)
    if told is None:
        raise refusal(wanted, outcome, facts, zone, now)
    return told


def _press_one(database: Database, press: Press, dose_id: str, when: When, now: datetime) -> str:
    entry = as_device(press.device_id)
    at, why = (when.until, None) if when.sure else _guessed(database, entry, dose_id, when)
    request = Request(f"{press.id}:{dose_id}", hashlib.sha256(press.to_json()).digest())
    try:
        told = _pressed(database, entry, press, dose_id, why, request, at, now)
        return "replayed" if told.replayed else "done"
    except NotFound:
        return "refused"
    except Refused as refused:
        dose = refused.facts.get("dose")
        if not isinstance(dose, dict) or press.kind in ("undo", "snooze"):
            return "refused"
        was = "outside its window" if dose["status"] == PENDING else f"was {dose['status']}"
        return _kept_as_conflict(database, entry, press.kind, dose_id, request, was, at, now)
    except OverLimit as refused:
        return _kept_as_conflict(database, entry, press.kind, dose_id, request, refused.message, at, now)


def _guessed(database: Database, entry: Entry, dose_id: str, when: When) -> tuple[datetime, str]:
    """The time that counts for a press that may have been at any time of an interval; and that, for history."""
    rows = database.run(sql.WINDOW, entry, dose=dose_id)
    since = f"after {when.since:%H:%M} UTC on {when.since:%Y-%m-%d}, " if when.since else ""
    why = f"the panel's clock was not set: pressed {since}before {when.until:%H:%M} UTC on {when.until:%Y-%m-%d}"
    return (when.within(*rows[0]) if rows else when.until), why


def _pressed(
    database: Database,
    entry: Entry,
    press: Press,
    dose_id: str,
    why: str | None,
    request: Request,
    at: datetime,
    now: datetime,
) -> Answer:
    if press.kind == "undo":
        return undo(database, entry, dose_id, request, at, now)
    if press.kind == "snooze":
        return snooze(database, entry, dose_id, at + SNOOZE, request, now)
    if press.kind == "skip":
        return skip(database, entry, dose_id, "; ".join(filter(None, (press.reason, why))) or None, request, at, now)
    return _settle(database, entry, Taking(at, dose_id), TAKEN, why, request, now)


def _kept_as_conflict(
    database: Database, entry: Entry, kind: str, dose_id: str, request: Request, why: str, at: datetime, now: datetime
) -> str:
    database.run(
        sql.KEEP_CONFLICT,
        entry,
        dose=dose_id,
        report=kind,
        reason=f"{kind} pressed; {why}",
        at=at,
        now=now,
        **request.values,
    )
    return "conflict"
