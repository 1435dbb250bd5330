"""Adding, testing and removing a contact."""

import secrets
from base64 import b64encode
from datetime import datetime

from dosette.actions.replies import Answer, Request, answer
from dosette.domain.errors import Invalid, NotFound, Refused
from dosette.storage import contacts as sql
from dosette.storage.connection import Database, Entry

APPRISE, FILE, MQTT, WEBHOOK = "apprise", "file", "mqtt", "webhook"
CHANNELS = (APPRISE, FILE, MQTT, WEBHOOK)
"""Panels are told without a contact."""
NO_SUCH_CONTACT = "there is no such contact in use in this household; GET /api/v1/contacts lists them"
_SECRET_BYTES = 24


def add(
    database: Database,
    entry: Entry,
    member_id: str,
    channel: str,
    address: str,
    request: Request,
    now: datetime,
) -> Answer:
    """A new contact of a member; `address` is as its channel wants it. The body of a webhook's holds its secret, this once.

    Raises Invalid when there is no such member; Refused when the member has this contact already: each message would come twice.
    """
    secret = f"whsec_{b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}" if channel == WEBHOOK else None
    values = {"member": member_id, "channel": channel, "address": address, "signs": secret}
    outcome, body = database.one(sql.ADD, entry, now=now, **values, **request.values)
    told = answer(outcome, body, request.key)
    if told is not None:
        return told
    if outcome == "no-member":
        raise Invalid(
            "member_id: there is no such member in this household; GET /api/v1/members lists them",
            {"field": "member_id"},
        )
    raise Refused(
        "this member has a contact with this channel and address already; remove that one first", {"field": "address"}
    )


def remove(database: Database, entry: Entry, contact_id: str, now: datetime) -> None:
    """Nothing is sent to it any more, nor what was about to be. Again: nothing happens. Raises NotFound."""
    if not database.one(sql.REMOVE, entry, contact=contact_id, now=now)[0]:
        raise NotFound(NO_SUCH_CONTACT)


def test(database: Database, entry: Entry, contact_id: str, request: Request, now: datetime) -> Answer:
    """Puts a message into the outbox that tells of nothing, unless one is there still. Raises NotFound."""
    outcome, body = database.one(sql.TEST, entry, contact=contact_id, now=now, **request.values)
    told = answer(outcome, body, request.key)
    if told is None:
        raise NotFound(NO_SUCH_CONTACT)
    return told
