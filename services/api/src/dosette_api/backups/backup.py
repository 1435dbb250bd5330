"""Making one backup: dumped, encrypted, restored for trial, compared, and only then put among the others."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg2
from pyrage import x25519

from dosette.actions import backups as act
from dosette.actions.backups import State
from dosette.domain.backups import Backup
from dosette.domain.errors import DosetteError
from dosette.storage import databases
from dosette.storage.connection import Database
from dosette_api.backups import archive, keys
from dosette_api.backups.errors import BackupError
from dosette_api.backups.shelf import Shelf

TIMEOUT_MS = 3_600_000
TRIAL = "dosette_rehearsal_"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """`file` is on the disk and passed its rehearsal; `removed` are those that it made superfluous."""

    file: Path
    size_bytes: int
    rows: int
    removed: Sequence[Backup]


def make(url: str, folder: Path, to: str, clock: Callable[[], datetime]) -> Made:
    """Makes and rehearses one; `url` is the role backup's, `to` the public keys. The server records how it went.

    Raises DosetteError when none was made, or it did not pass: then the old ones are as they were, and people are told.
    """
    database = Database(url, "dosette-backup", TIMEOUT_MS)
    try:
        with _in_words(folder):
            return _made(database, url, folder, to, clock)
    except DosetteError as error:
        _tell(database, error.message, clock())
        raise
    finally:
        database.close()


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """Whatever disk or PostgreSQL say no: one sentence, and an alarm, instead of a service that starts again and again."""
    try:
        yield
    except OSError as error:
        raise BackupError(f"{error.filename or folder} can't be written: {error.strerror}") from error
    except psycopg2.Error as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BackupError(f"no backup was made, for PostgreSQL says: {said}") from error


def _made(database: Database, url: str, folder: Path, to: str, clock: Callable[[], datetime]) -> Made:
    began = clock().replace(microsecond=0)
    shelf = Shelf(folder, act.record(database).server_id)
    backup, throwaway = Backup(began, shelf.server), keys.throwaway()
    recipients = [*_recipients(to), throwaway.to_public()]
    with shelf.alone():
        with shelf.part(backup) as (part, file):
            with act.begun(database, began) as (snapshot, moment):
                archive.write(url, snapshot, file, recipients)
                state = act.state(moment, began)
            file.flush()
            os.fsync(file.fileno())
            broken = _rehearse(url, part, throwaway, state, began)
            size_bytes = part.stat().st_size
            place = shelf.put(part, backup)
        if broken:
            raise BackupError(f"{place} was made, and no old one removed, for {'; '.join(broken)}")
        act.succeeded(database, began, size_bytes)
        return Made(place, size_bytes, sum(rows for rows, _ in state.tables.values()), shelf.tidy(clock()))


def _recipients(to: str) -> list[x25519.Recipient]:
    found = keys.recipients(to)
    if not found:
        raise BackupError(
            "DOSETTE_BACKUP_TO is not set: make a key with `dosette backup-key FILE`, and set it to the public key"
        )
    return found


def _rehearse(url: str, file: Path, key: x25519.Identity, state: State, began: datetime) -> list[str]:
    """What is wrong with the histories in it, which is no fault of the backup. Raises BackupError when it is not what was dumped."""
    for left in databases.named_like(url, TRIAL):
        databases.drop(url, left)
    name = f"{TRIAL}{began:%Y%m%d%H%M%S}"
    trial_url = databases.beside(url, name)
    databases.make(url, name)
    trial = Database(trial_url, "dosette-backup", TIMEOUT_MS)
    try:
        archive.load(file, trial_url, [key], as_owner=True)
        differences = state.differences(act.state_now(trial, began))
        if differences:
            raise BackupError(
                f"the backup is not what the database holds, and was thrown away: {'; '.join(differences)}"
            )
        return act.broken_histories(trial)
    finally:
        trial.close()
        databases.drop(url, name)


def _tell(database: Database, fault: str, now: datetime) -> None:
    """The database itself may be what is away: then nobody can be told yet, and its age tells tomorrow."""
    try:
        act.failed(database, fault, now)
    except DosetteError as error:
        log.error("nobody could be told that the backup failed", extra={"error": error.message})
