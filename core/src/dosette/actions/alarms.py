"""Alarms: reminders that are about no dose. Each is raised once, told until it is over, and then ended."""

import json
from collections.abc import Mapping
from datetime import datetime

from dosette.actions.reminders import BACKUP_AHEAD_AFTER, BACKUP_OLD_AFTER
from dosette.storage import reminders as sql
from dosette.storage.access import serving
from dosette.storage.connection import Database


def raise_one(
    database: Database,
    household_id: str,
    kind: str,
    about: str | None,
    detail: Mapping[str, object] | None,
    now: datetime,
) -> bool:
    """Whether it is new."""
    told = json.dumps(detail) if detail else None
    return bool(database.one(sql.RAISE, household=household_id, kind=kind, about=about, detail=told, now=now)[0])


def end(database: Database, household_id: str, kind: str, about: str | None, why: str) -> bool:
    """Whether there was one."""
    return bool(database.one(sql.END, household=household_id, kind=kind, about=about, why=why)[0])


def raise_everywhere(database: Database, kind: str, now: datetime) -> None:
    """In every household of this server."""
    database.run(sql.RAISE_EVERYWHERE, kind=kind, now=now)


def end_everywhere(database: Database, kind: str, why: str) -> None:
    database.run(sql.END_EVERYWHERE, kind=kind, why=why)


def households(database: Database) -> list[str]:
    return [row[0] for row in database.run(sql.HOUSEHOLDS)]


def remind_of_low_stock(database: Database, household_id: str, now: datetime) -> int:
    """Raises an alarm for each medicine that runs low and ends it for each that does not any more; how many are new."""
    raised: int = database.one(sql.LOW_STOCK, serving(household_id), now=now)[0]
    return raised


def backup_is_old(database: Database, now: datetime) -> bool:
    """Or was made, by a clock that ran ahead, in a time to come. False where nobody has made one yet: then nobody has asked for backups."""
    made_at = database.one(sql.BACKED_UP_AT)[0]
    return made_at is not None and not made_at - BACKUP_AHEAD_AFTER <= now <= made_at + BACKUP_OLD_AFTER
