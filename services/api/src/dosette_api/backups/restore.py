"""Restoring a backup: into a database of its own first, which takes the other one's place when all is well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dosette.actions import backups, restores
from dosette.actions.restores import Memory
from dosette.domain.errors import Refused
from dosette.storage import databases
from dosette.storage.connection import Database
from dosette.storage.migrate import ensure_roles, migrate
from dosette_api.backups import archive, keys
from dosette_api.backups.backup import TIMEOUT_MS

MAINTENANCE = "postgres"
NEW, BEFORE = "dosette_restoring", "dosette_before_"


@dataclass(frozen=True)
class Restored:
    """`dumped_at`: until when the server remembers, if its dump said so; `unknown`: doses by household; `broken`: histories that are not
    as they were written; `before`: the name under which the database that was there is kept, or None."""

    dumped_at: datetime | None
    unknown: Mapping[str, int]
    broken: Sequence[str]
    before: str | None


def restore(url: str, file: Path, key: Path, overwrite: bool, now: datetime) -> Restored:
    """Puts the backup in the place of the database of `url` (a superuser's), or changes nothing.

    Raises Refused when somebody lives in that one, unless `overwrite`; DosetteError.
    """
    identities = keys.identities(key)
    administration = databases.beside(url, MAINTENANCE)
    databases.must_be_superuser(administration)
    new_url, before = databases.beside(url, NEW), f"{BEFORE}{now:%Y%m%d%H%M%S%f}"
    databases.drop(administration, NEW)
    databases.make(administration, NEW)
    try:
        ensure_roles(administration)
        archive.load(file, new_url, identities, as_owner=False)
        migrate(new_url, {})
        lost = _lost(url, new_url)
        if lost and not overwrite:
            raise Refused(f"{lost}; say --yes if the backup is to take its place (it is kept beside)")
        restored = _ready(new_url, file, before if lost else None, now)
        databases.replace(administration, NEW, databases.name_of(url), before)
    finally:
        databases.drop(administration, NEW)
    if not lost:
        databases.drop(administration, before)
    return restored


def _lost(url: str, new_url: str) -> str:
    """What would be forgotten, in words; empty when nobody lives in the database that is there, or none is there."""
    there = _memory(url) if databases.exists(url) else {}
    remembered = _memory(new_url)
    return ", ".join(_loss(memory, remembered.get(home_id)) for home_id, memory in there.items())


def _loss(there: Memory, remembered: Memory | None) -> str:
    if remembered is None:
        return f"{there.household} lives here, and is not in the backup"
    newer = there.seq - remembered.seq
    if newer <= 0:
        return f"{there.household} lives here"
    newest = f", the newest of {there.newest_at:%Y-%m-%d %H:%M} UTC" if there.newest_at else ""
    return f"{there.household} lives here, with {newer} dose event{'s' if newer > 1 else ''} more than in the backup{newest}"


def _memory(url: str) -> Mapping[str, Memory]:
    database = Database(url, "dosette-console", TIMEOUT_MS)
    try:
        return restores.memory(database)
    finally:
        database.close()


def _ready(url: str, file: Path, before: str | None, now: datetime) -> Restored:
    """Begins the epoch in a database that nobody serves yet, and which knows that its backup was a good one."""
    database = Database(url, "dosette-console", TIMEOUT_MS)
    try:
        broken, dumped_at = backups.broken_histories(database), backups.dumped_at(database)
        if dumped_at:
            backups.succeeded(database, dumped_at, file.stat().st_size)
        return Restored(dumped_at, restores.begin_epoch(database, now), broken, before)
    finally:
        database.close()
