"""Taking, skipping and undoing a dose, at the API or on a panel; closing what was missed."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from dosette.actions.replies import Answer, Request, answer
from dosette.contracts.press import Press
from dosette.domain.doses import PENDING, SKIPPED, TAKEN, refusal
from dosette.domain.errors import NotFound, Refused
from dosette.faults import fp
from dosette.storage import devices as device_sql
from dosette.storage import doses as sql
from dosette.storage.access import as_device, locking
from dosette.storage.connection import NOBODY, Database, Entry, uuids

BATCH = 500


def take(database: Database, entry: Entry, dose_id: str, request: Request, at: datetime, now: datetime) -> Answer:
    """The dose was taken at `at`. Raises Refused with who and when if it was resolved already or `at` is outside its window."""
    return _resolve(database, entry, {"dose": dose_id, "medicine": None}, TAKEN, None, request, at, now)


def take_of_medicine(
    database: Database, entry: Entry, medicine_id: str, request: Request, at: datetime, now: datetime
) -> Answer:
    """The dose of this medicine that is open at `at` was taken then. Raises as `take` does; NotFound when it has no doses."""
    return _resolve(database, entry, {"dose": None, "medicine": medicine_id}, TAKEN, None, request, at, now)


def skip(
    database: Database, entry: Entry, dose_id: str, reason: str | None, request: Request, at: datetime, now: datetime
) -> Answer:
    """The dose is left out on purpose. Raises as `take` does."""
    return _resolve(database, entry, {"dose": dose_id, "medicine": None}, SKIPPED, reason, request, at, now)


def undo(database: Database, entry: Entry, dose_id: str, request: Request, at: datetime, now: datetime) -> Answer:
    """The dose is open again and the stock is as before. Raises Refused when it was neither taken nor skipped."""
    fp("A2")
    row = database.one(sql.UNDO, entry, dose=dose_id, at=at, now=now, **request.values)
    fp("A3")
    return _told("undo", row, request, now)


def take_in(database: Database, press: Press, at: datetime, now: datetime) -> list[str]:
    """What became of each dose of a press, in its order: done, replayed, refused or conflict.

    A dose that somebody else resolved before the press arrived gets a conflict event, for a person to look at.
    Raises Unauthorized when the device was revoked; Unavailable when the press must be taken in again later.
    """
    outcomes = [_press_one(database, press, dose_id, at, now) for dose_id in press.dose_ids]
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


def _resolve(
    database: Database,
    entry: Entry,
    which: Mapping[str, str | None],
    status: str,
    reason: str | None,
    request: Request,
    at: datetime,
    now: datetime,
) -> Answer:
    fp("A2")
    row = database.one(sql.RESOLVE, entry, **which, status=status, reason=reason, at=at, now=now, **request.values)
    fp("A3")
    return _told("take" if status == TAKEN else "skip", row, request, now)


def _told(
    wanted: str, row: tuple[str, str | None, dict[str, object] | None, str], request: Request, now: datetime
) -> Answer:
    outcome, body, dose, zone = row
    told = answer(outcome, body, request.key)
    if told is None:
        raise refusal(wanted, dose, zone, now)
    return told


def _press_one(database: Database, press: Press, dose_id: str, at: datetime, now: datetime) -> str:
    entry = as_device(press.device_id)
    request = Request(f"{press.id}:{dose_id}", hashlib.sha256(press.to_json()).digest())
    try:
        told = _pressed(database, entry, press.kind, dose_id, request, at, now)
        return "replayed" if told.replayed else "done"
    except NotFound:
        return "refused"
    except Refused as refused:
        return _kept_as_conflict(database, entry, press.kind, dose_id, request, refused, at, now)


def _pressed(
    database: Database, entry: Entry, kind: str, dose_id: str, request: Request, at: datetime, now: datetime
) -> Answer:
    if kind == "undo":
        return undo(database, entry, dose_id, request, at, now)
    if kind == "skip":
        return skip(database, entry, dose_id, None, request, at, now)
    return take(database, entry, dose_id, request, at, now)


def _kept_as_conflict(
    database: Database,
    entry: Entry,
    kind: str,
    dose_id: str,
    request: Request,
    refused: Refused,
    at: datetime,
    now: datetime,
) -> str:
    dose = refused.facts.get("dose")
    if not isinstance(dose, dict) or dose["status"] == PENDING or kind == "undo":
        return "refused"
    database.run(
        sql.REPORT_CONFLICT,
        entry,
        dose=dose_id,
        reason=f"{kind} pressed; was {dose['status']}",
        at=at,
        now=now,
        **request.values,
    )
    return "conflict"
