"""Entries: who asks. Each is the first statement of a message, so that the second sees what was committed before the lock."""

import hashlib
from collections.abc import Sequence

from psycopg2 import Binary

from dosette.storage.connection import Entry, Statement, uuids


def with_token(token: str, scope: str, writes: bool = False) -> Entry:
    """A bearer of a token. Raises Unauthorized or Forbidden when it runs; locks the household when it `writes`."""
    return Entry(
        "SELECT enter(%(entry_digest)s, %(entry_scope)s, %(entry_writes)s); ",
        {"entry_digest": Binary(token_digest(token)), "entry_scope": scope, "entry_writes": writes},
    )


def as_device(device_id: str) -> Entry:
    """A paired device, whose press the scheduler takes in. Raises Unauthorized when it runs: unknown or revoked."""
    return Entry("SELECT enter_device(%(entry_device)s); ", {"entry_device": device_id})


def with_link(delivery_id: str) -> Entry:
    """Whoever follows a link in a message, as the person that it was sent to. Raises NotFound when it runs: the message or its
    contact is gone."""
    return Entry("SELECT enter_link(%(entry_delivery)s); ", {"entry_delivery": delivery_id})


def at_console(household_id: str) -> Entry:
    """The person who runs the server, at its command line."""
    return Entry("SELECT enter_console(%(entry_household)s); ", {"entry_household": household_id})


def looking_in(household_id: str) -> Entry:
    """The same person, who only looks: nobody waits for them."""
    return Entry(
        "SELECT enter_as(%(entry_household)s, NULL, NULL, 'console', false); ", {"entry_household": household_id}
    )


def serving(household_id: str) -> Entry:
    """The scheduler, which looks into one household."""
    return Entry(
        "SELECT enter_as(%(entry_household)s, NULL, NULL, 'server', false); ", {"entry_household": household_id}
    )


def at_home_assistant(household_id: str, member_id: str) -> Entry:
    """A button that Home Assistant shows, pressed for this member; locks the household."""
    return Entry(
        "SELECT enter_as(%(entry_household)s, %(entry_member)s, NULL, 'mqtt', true); ",
        {"entry_household": household_id, "entry_member": member_id},
    )


def locking(household_ids: Sequence[str]) -> Entry:
    """The scheduler, over the rows of these households, locked in the order that everybody keeps."""
    return Entry("SELECT lock_households(%(entry_households)s); ", {"entry_households": uuids(household_ids)})


def token_digest(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


HOUSEHOLDS = Statement("console_households", "SELECT id, name FROM console_households()")

ADD_TOKEN = Statement(
    "add_token",
    """
    INSERT INTO tokens (digest, household_id, member_id, name, scopes, created_at)
    SELECT %(digest)s, entered_household(), (SELECT id FROM members WHERE name = %(member)s), %(name)s, %(scopes)s, %(now)s
     WHERE %(member)s IS NULL OR EXISTS (SELECT FROM members WHERE name = %(member)s)
    RETURNING id
    """,
    digest="bytea",
    member="text",
    name="text",
    scopes="text[]",
    now="timestamptz",
)
