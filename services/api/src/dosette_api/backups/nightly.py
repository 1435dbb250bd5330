"""One backup a night, for ever; what was missed while the server was off, or failed, is made up for."""

import logging
from collections.abc import Callable
from datetime import datetime, time, timedelta
from pathlib import Path
from threading import Event

from dosette.actions import backups as act
from dosette.domain.backups import next_at
from dosette.domain.errors import DosetteError
from dosette.metrics import gauge
from dosette.storage.connection import Database
from dosette_api.backups import backup
from dosette_api.backups.shelf import Shelf

LOOK_EVERY_S = 30.0
AGAIN_AFTER = timedelta(minutes=15)
"""A failed one is tried again."""

log = logging.getLogger(__name__)

_made_at = gauge("dosette_backup_timestamp_seconds", "When the dump of the newest good backup was begun")
_size = gauge("dosette_backup_size_bytes", "Size of the newest good backup, encrypted")
_tried_at = gauge("dosette_backup_rehearsal_timestamp_seconds", "When a backup was last made and restored for trial")
_passed = gauge(
    "dosette_backup_rehearsal_passed", "1: the last backup passed its rehearsal; 0: it did not, or could not be made"
)
_kept = gauge("dosette_backups_kept", "Good backups in the folder")


def keep_making(
    url: str, folder: Path, to: str, daily_at: time, clock: Callable[[], datetime], stopping: Event
) -> None:
    """Returns when told to stop; never raises what may pass by itself."""
    tried_at: datetime | None = None
    while not stopping.is_set():
        now = clock()
        try:
            # A clock that was ahead and is set back has tried nothing yet.
            just_tried = tried_at and tried_at <= now < tried_at + AGAIN_AFTER
            if not just_tried and _is_due(url, folder, daily_at, now):
                tried_at = now
                made = backup.make(url, folder, to, clock)
                log.info("backed up", extra={"file": made.file.name, "bytes": made.size_bytes, "rows": made.rows})
            _show(url, folder)
        except DosetteError as error:
            log.error("no backup was made", extra={"error": error.message})
        stopping.wait(LOOK_EVERY_S)


def _is_due(url: str, folder: Path, daily_at: time, now: datetime) -> bool:
    return next_at(Shelf(folder, _record(url).server_id).backups(), daily_at, now) <= now


def _show(url: str, folder: Path) -> None:
    known = _record(url)
    _made_at.set(known.made_at.timestamp() if known.made_at else 0)
    _size.set(known.size_bytes or 0)
    _tried_at.set(known.tried_at.timestamp() if known.tried_at else 0)
    _passed.set(known.tried_at is not None and known.fault is None)
    _kept.set(len(Shelf(folder, known.server_id).backups()))


def _record(url: str) -> act.Record:
    database = Database(url, "dosette-backup")
    try:
        return act.record(database)
    finally:
        database.close()
