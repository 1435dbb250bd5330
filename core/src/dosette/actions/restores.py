"""After a restore from a backup: an epoch of its own begins, and what the server can't know is unknown until a person releases it.

A dose that could have been taken between the dump and now is `unknown`: nobody is told that it is due, and it is not counted as
missed. Devices see the new epoch in their plans and send their journals again; a person says the rest, then releases.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dosette.actions import schedules
from dosette.storage import restores as sql
from dosette.storage.connection import Database, Entry

TIMEOUT_MS = 600_000


@dataclass(frozen=True)
class Memory:
    """How far a server remembers one household: the number and hash of its newest dose event, and when it was recorded."""

    household: str
    seq: int
    head: str
    newest_at: datetime | None


def begin_epoch(database: Database, now: datetime) -> Mapping[str, int]:
    """Makes a database that was just restored one that may be served; how many doses are unknown, by household.

    To be run by a superuser before any service sees the database: it is planned up to now first, so that what fell due since the dump is
    among the unknown.
    """
    while schedules.extend_plans(database, now):
        pass
    with database.patient(TIMEOUT_MS) as patient:
        patient.run(sql.BEGIN_EPOCH, now=now)
        return dict(patient.run(sql.UNKNOWN))


def release(database: Database, entry: Entry, now: datetime) -> int:
    """A person has looked through what was open: the unknown doses of the household are pending again. How many they were."""
    released: int = database.one(sql.RELEASE, entry, now=now)[0]
    return released


def memory(database: Database) -> dict[str, Memory]:
    """What the server behind `database` (a superuser's) remembers, by household id; nothing before its first migration."""
    if not database.one(sql.IS_MIGRATED)[0]:
        return {}
    return {household_id: Memory(*known) for household_id, *known in database.run(sql.REMEMBERED)}
