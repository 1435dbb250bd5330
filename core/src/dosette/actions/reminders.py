"""Telling: what is due becomes messages, one for each person; a message is claimed under a lease, sent, and recorded."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from dosette.domain import reminders as ladder
from dosette.domain.errors import Unavailable
from dosette.domain.reminders import Contact, Home, Item, Person, Reminder, Telling
from dosette.faults import fp
from dosette.storage import reminders as sql
from dosette.storage.access import locking
from dosette.storage.connection import Database, Row, Statement, is_locked_out, uuids

BATCH = 200
LEASE = timedelta(seconds=10)
"""So long a delivery is one worker's, who may wait for a channel's answer."""
DECIDING_LEASE = timedelta(seconds=3)
"""So long a reminder is one scheduler's, who only decides whom to tell: that takes milliseconds."""
MOST_ATTEMPTS = 5
LEAD = timedelta(seconds=15)
BACKUP_OLD_AFTER = timedelta(hours=26)
BACKUP_AHEAD_AFTER = timedelta(hours=1)
_TRY_AGAIN_S = 5
_TRY_AGAIN_TIMES = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rung:
    """A delivery that somebody must hear of."""

    id: str
    urgent: bool


@dataclass(frozen=True)
class ClaimedDelivery:
    """Ours to send until the lease ends. `address` is the contact's, or the id of a panel; `personal` when a person reads it.
    `since`: when the first thing that it tells was to be told.

    `parked`: it was tried too often and is not sent; told so that it is counted.
    """

    id: str
    lease: str
    channel: str
    address: str
    secret: str | None
    recipient: str
    urgent: bool
    since: datetime
    attempts: int
    zone: str
    items: tuple[Item, ...]
    clock_doubted: bool
    personal: bool
    parked: bool


@dataclass(frozen=True)
class Sent:
    """What became of a delivery at its try number `attempts`; `error` None when it went well. `missed`: whether somebody misses it
    when it is given up."""

    id: str
    lease: str
    attempts: int
    at: datetime
    error: str | None = None
    missed: bool = True


@dataclass(frozen=True)
class Backlog:
    """Due and not told: how many and since when; when the next one falls due (None: none planned); how many were given up."""

    waiting: int
    oldest_due_at: datetime | None
    next_due_at: datetime | None
    parked: int


def tell_due(database: Database, now: datetime) -> list[Rung] | None:
    """Turns what is due in up to BATCH households into messages; those to be rung, urgent ones first.

    None when nothing was due. Killed in between, the lease ends and another one tells. A household that is locked, or about which
    nothing can be decided, waits for the next try, and holds up no other.
    """
    lease, minute = str(uuid4()), now.replace(second=0, microsecond=0)
    values = {"lease": lease, "until": now + DECIDING_LEASE, "minute": minute, "most": MOST_ATTEMPTS, "limit": BATCH}
    rows = database.run(sql.LEASE_DUE, **values, now=now)
    homes = [row for row in rows if row[0]]
    if not homes:
        return [] if rows[0][-1] else None
    fp("S2")
    tellings = dict(_decided(homes, now))
    try:
        told = _tell(database, tellings, lease, now)
    except Unavailable as error:
        if not is_locked_out(error):
            _give_back(database, tellings.values(), lease)
            raise
        told = [each for home, telling in tellings.items() for each in _tell_alone(database, home, telling, lease, now)]
    fp("S3")
    return sorted(told, key=lambda each: not each.urgent)


def ring_again(database: Database, now: datetime) -> list[Rung]:
    """Up to BATCH deliveries that are to be tried again, or whose bell nobody rang; they count as rung from now."""
    return [Rung(*row) for row in database.run(sql.RING_AGAIN, limit=BATCH, now=now)]


def claim(database: Database, ids: Sequence[str], slots: Mapping[str, int], now: datetime) -> list[ClaimedDelivery]:
    """Those of the deliveries that still hold, ours for LEASE; at most `slots` of each channel. The rest is left waiting."""
    return _claimed(database, sql.CLAIM, slots, now, ids=uuids(ids))


def sweep(database: Database, slots: Mapping[str, int], now: datetime) -> list[ClaimedDelivery]:
    """The same for whatever is due and nobody's, urgent and oldest first."""
    return _claimed(database, sql.SWEEP, slots, now)


def claim_suspect(database: Database, channels: Iterable[str], now: datetime) -> list[ClaimedDelivery]:
    """One of those that somebody claimed and never recorded. To be sent with no other of its kind: it may end this process."""
    return _claimed(database, sql.SUSPECT, dict.fromkeys(channels, 1), now, limit=1)


def record(database: Database, sent: Sequence[Sent], now: datetime) -> dict[str, str]:
    """What became of each, by its id: delivered, waiting (to be tried again), parked, or dropped
    (given up, and not missed); those whose lease had ended are not there.

    All of `sent` are of one lease.
    """
    results = [
        {
            "id": each.id,
            "error": each.error and each.error[:500],
            "missed": each.missed,
            "at": each.at.isoformat(),
            "again_at": (now + _patience(each.attempts)).isoformat() if each.error else None,
        }
        for each in sent
    ]
    rows = database.run(sql.RECORD, results=json.dumps(results), lease=sent[0].lease, most=MOST_ATTEMPTS, now=now)
    return {delivery_id: status for delivery_id, status, _ in rows}


def backlog(database: Database, now: datetime) -> Backlog:
    return Backlog(*database.one(sql.BACKLOG, now=now))


def lead(database: Database, holder: str, now: datetime) -> int | None:
    """The term in which `holder` leads for LEAD from now; None while another scheduler does."""
    rows = database.run(sql.LEAD, holder=holder, until=now + LEAD, now=now)
    return rows[0][0] if rows else None


def led_until(database: Database) -> datetime:
    """Until when a scheduler last said that it leads."""
    until: datetime = database.one(sql.LEASED_UNTIL)[0]
    return until


def _decided(homes: Iterable[Row], now: datetime) -> Iterator[tuple[str, Telling]]:
    """By household. One whose state is not foreseen keeps its lease: it is tried again, and given up in the end, with an alarm."""
    for row in homes:
        try:
            yield row[0], ladder.tell(_home(row), _due(row), now)
        except Exception:
            log.exception("nothing could be decided", extra={"household_id": row[0]})


def _tell(database: Database, tellings: Mapping[str, Telling], lease: str, now: datetime) -> list[Rung]:
    told = database.run(
        sql.TELL,
        locking(list(tellings)),
        steps=json.dumps([_step_json(step) for telling in tellings.values() for step in telling.steps]),
        deliveries=json.dumps(_deliveries_json(tellings.values())),
        lease=lease,
        now=now,
    )
    return [Rung(delivery_id, urgent) for delivery_id, urgent, _ in told]


def _tell_alone(database: Database, home: str, telling: Telling, lease: str, now: datetime) -> list[Rung]:
    try:
        return _tell(database, {home: telling}, lease, now)
    except Unavailable as error:
        log.warning(
            "a household waits to be told", extra={"household_id": home, "error": str(error.__cause__ or error)}
        )
        _give_back(database, [telling], lease)
        if not is_locked_out(error):
            raise
        return []


def _give_back(database: Database, tellings: Iterable[Telling], lease: str) -> None:
    """An outage is no fault of what was to be told: the try does not count. If that can't be said either, it does."""
    with suppress(Unavailable):
        database.run(
            sql.GIVE_BACK, ids=uuids([step.reminder_id for each in tellings for step in each.steps]), lease=lease
        )


def _patience(attempts: int) -> timedelta:
    return timedelta(seconds=_TRY_AGAIN_S * _TRY_AGAIN_TIMES ** max(0, attempts - 1))


def _home(row: Row) -> Home:
    household_id, zone, _, people, panels, told, _ = row
    return Home(
        household_id, zone, tuple(_person(each) for each in people or ()), tuple(panels or ()), frozenset(told or ())
    )


def _person(raw: Mapping[str, Any]) -> Person:
    return Person(
        id=raw["id"],
        contacts=tuple(Contact(each["id"], each["channel"]) for each in raw["contacts"] or ()),
        admin=raw["admin"],
        second_id=raw["second_id"],
        third_id=raw["third_id"],
        quiet_from=time.fromisoformat(raw["quiet_from"]) if raw["quiet_from"] else None,
        quiet_until=time.fromisoformat(raw["quiet_until"]) if raw["quiet_until"] else None,
    )


def _due(row: Row) -> list[Reminder]:
    return [Reminder(**raw | {name: _time(raw[name]) for name in ("due_at", "late_at", "closes_at")}) for raw in row[2]]


def _step_json(step: ladder.Step) -> dict[str, object]:
    return asdict(step) | {"next_at": step.next_at.isoformat() if step.next_at else None}


def _deliveries_json(tellings: Iterable[Telling]) -> list[dict[str, object]]:
    messages = [each for telling in tellings for each in telling.deliveries]
    return [{"place": place, **asdict(each)} for place, each in enumerate(messages)]


def _claimed(
    database: Database, statement: Statement, slots: Mapping[str, int], now: datetime, **values: object
) -> list[ClaimedDelivery]:
    lease = str(uuid4())
    values = {"limit": sum(slots.values()), **values}
    free = json.dumps([{"channel": channel, "free": count} for channel, count in slots.items() if count > 0])
    rows = database.run(statement, slots=free, lease=lease, until=now + LEASE, most=MOST_ATTEMPTS, now=now, **values)
    return [_delivery(row, lease) for row in rows]


def _delivery(row: Row, lease: str) -> ClaimedDelivery:
    delivery_id, *known, items, clock_doubted, personal, parked, _ = row
    names = ("channel", "address", "secret", "recipient", "urgent", "since", "attempts", "zone")
    return ClaimedDelivery(
        id=delivery_id,
        lease=lease,
        items=tuple(_item(each) for each in items),
        clock_doubted=clock_doubted,
        personal=personal,
        parked=parked,
        **dict(zip(names, known, strict=True)),
    )


def _item(raw: dict[str, Any]) -> Item:
    times = {name: _time(raw[name]) for name in ("due_at", "late_at", "closes_at")}
    amount = Decimal(raw["amount"]) if raw["amount"] is not None else None
    return Item(**{**raw, **times, "amount": amount})


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
