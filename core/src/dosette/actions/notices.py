"""Answering reminders: "I've got it", dismissing an alarm, and the links in messages."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dosette.actions.replies import Answer, Request, answer
from dosette.domain.errors import DosetteError, NotFound, Refused
from dosette.faults import fp
from dosette.storage import notices as sql
from dosette.storage.access import with_link
from dosette.storage.connection import Database, Entry, Statement

PARKED_SHOWN = timedelta(hours=24)
DISMISSED_FOR = timedelta(days=3)
"""So long an alarm is not raised again whose cause goes on."""

_WHY_NOT = {
    "alarm": "this is an alarm, of which nobody needs to take care for others: dismiss it, or do what it says",
    "nobody": "this token is no member's, so nobody would take care of it; make one with: dosette token create --member NAME",
    "dose": "this reminds of a dose, which is not dismissed: take it or skip it",
}


def show(database: Database, entry: Entry, now: datetime) -> str:
    """The reminders that are open, and the messages that were given up lately, as JSON."""
    body: str = database.one(sql.LIST, entry, since=now - PARKED_SHOWN, most=sql.MOST, now=now)[0]
    return body


def claim(database: Database, entry: Entry, reminder_id: str, request: Request, now: datetime) -> Answer:
    """The member who enters takes care of it: the others are not told any more. Raises NotFound; Refused, saying why."""
    return _changed(database, entry, sql.CLAIM, request, now, reminder=reminder_id)


def dismiss(database: Database, entry: Entry, reminder_id: str, request: Request, now: datetime) -> Answer:
    """An alarm, or a reminder that was given up, is seen to. Raises NotFound; Refused, saying why."""
    return _changed(database, entry, sql.DISMISS, request, now, reminder=reminder_id, until=now + DISMISSED_FOR)


@dataclass(frozen=True)
class LinkState:
    """What a link is about, as it is now. `done_at`: when it did what it does, None when it has not; `done_now`: just now.

    `told` has the recipient's name, the household's zone, and the items; `refusals` says by dose which safe limit forbade it.
    """

    told: Mapping[str, Any]
    done_at: datetime | None = None
    done_now: bool = False
    refusals: Mapping[str, Mapping[str, Any]] | None = None


def look_at_link(database: Database, delivery_id: str, action: str, now: datetime) -> LinkState:
    """Changes nothing. Raises NotFound when the message or its contact is gone."""
    key = _link_key(delivery_id, action)
    stored, told = database.one(sql.LOOK, with_link(delivery_id), delivery=delivery_id, key=key, now=now)
    return LinkState(told, _time(stored))


def answer_link(database: Database, delivery_id: str, action: str, now: datetime) -> LinkState:
    """take, skip or claim, for all that the message told of and that is open; once. Raises NotFound."""
    key = _link_key(delivery_id, action)
    request = Request(key, hashlib.sha256(key.encode()).digest())
    values = {"delivery": delivery_id, "action": action}
    fp("A2")
    outcome, body, told = database.one(sql.ANSWER, with_link(delivery_id), now=now, **values, **request.values)
    fp("A3")
    answer(outcome, None, key)
    return LinkState(told, _time(body), outcome == "done", body["refusals"])


def _changed(
    database: Database, entry: Entry, statement: Statement, request: Request, now: datetime, **values: object
) -> Answer:
    outcome, body, facts = database.one(statement, entry, now=now, **values, **request.values)
    told = answer(outcome, body, request.key)
    if told is None:
        raise _refusal(outcome, facts)
    return told


def _refusal(outcome: str, facts: Mapping[str, Any]) -> DosetteError:
    if outcome == "no-reminder":
        return NotFound("there is no such reminder in this household; GET /api/v1/reminders lists them")
    if outcome == "over":
        reminder = facts["reminder"]
        why = f"it is {reminder['status']}" + (f": {reminder['reason']}" if reminder["reason"] else "")
        return Refused(f"this reminder is not open any more, {why}", facts)
    return Refused(_WHY_NOT[outcome], facts)


def _link_key(delivery_id: str, action: str) -> str:
    return f"link:{delivery_id}:{action}"


def _time(stored: Mapping[str, Any] | None) -> datetime | None:
    return datetime.fromisoformat(stored["done_at"]) if stored and "done_at" in stored else None
