"""The outbox: ringing what is due, claiming it under a lease, recording what was told."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from dosette.storage import reminders as sql
from dosette.storage.connection import Database, uuids

BATCH = 500
LEASE = timedelta(seconds=10)
RING_AGAIN = timedelta(seconds=5)
MOST_ATTEMPTS = 5


@dataclass(frozen=True)
class ContactTo:
    """One way to tell somebody."""

    id: str
    channel: str
    address: str


@dataclass(frozen=True)
class ClaimedReminder:
    """Ours to tell until the lease ends."""

    id: str
    lease: str
    member: str
    due_at: datetime
    late_at: datetime
    zone: str
    contacts: tuple[ContactTo, ...]


@dataclass(frozen=True)
class Delivery:
    """One telling through one contact; `error` None when it went well."""

    contact_id: str
    error: str | None


@dataclass(frozen=True)
class Backlog:
    """Due and not told: how many and since when; and when the next one falls due (None: none planned)."""

    waiting: int
    oldest_due_at: datetime | None
    next_due_at: datetime | None


def ring(database: Database, now: datetime) -> list[str]:
    """Ids of up to BATCH reminders that are due and that nobody was rung for lately; they count as rung from now."""
    return [row[0] for row in database.run(sql.RING, now=now, again=now - RING_AGAIN, limit=BATCH)]


def claim(database: Database, reminder_ids: Sequence[str], now: datetime) -> list[ClaimedReminder]:
    """Those of the reminders that are still to be told, ours for LEASE. What was resolved meanwhile is dropped here."""
    lease = str(uuid4())
    rows = database.run(sql.CLAIM, ids=uuids(reminder_ids), lease=lease, until=now + LEASE, most=MOST_ATTEMPTS, now=now)
    return [
        ClaimedReminder(
            reminder_id, lease, member, due_at, late_at, zone, tuple(ContactTo(**each) for each in contacts)
        )
        for reminder_id, member, due_at, late_at, zone, contacts in rows
    ]


def record(database: Database, reminder: ClaimedReminder, deliveries: Sequence[Delivery], now: datetime) -> bool:
    """Told if one delivery went well; dropped when there is nobody to tell; else it waits for its lease to end.

    False when the lease had ended and somebody else holds the reminder: then nothing is recorded.
    """
    status, reason = _verdict(deliveries)
    raw = [
        {"contact_id": each.contact_id, "status": "failed" if each.error else "delivered", "error": each.error}
        for each in deliveries
    ]
    values = {"reminder": reminder.id, "lease": reminder.lease, "status": status, "reason": reason}
    return bool(database.run(sql.RECORD, **values, deliveries=json.dumps(raw), now=now))


def backlog(database: Database, now: datetime) -> Backlog:
    return Backlog(*database.one(sql.BACKLOG, now=now))


def _verdict(deliveries: Sequence[Delivery]) -> tuple[str, str | None]:
    if not deliveries:
        return "dropped", "nobody to tell"
    if any(each.error is None for each in deliveries):
        return "told", None
    return "waiting", "; ".join(each.error or "" for each in deliveries)[:200]
