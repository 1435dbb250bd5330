"""How PostgreSQL itself is, for whoever watches."""

from dataclasses import dataclass
from datetime import datetime

from dosette.storage.connection import Database
from dosette.storage.vitals import VITALS


@dataclass(frozen=True)
class Vitals:
    """Counts since the statistics began, except where a name says otherwise; `connections` are those to our database, now."""

    connections: int
    connections_limit: int
    oldest_transaction_at: datetime | None
    size_bytes: int
    live_rows: int
    dead_rows: int
    blocks_from_cache: int
    blocks_from_disk: int
    commits: int
    rollbacks: int
    deadlocks: int
    wal_bytes: int
    checkpoints_timed: int
    checkpoints_requested: int


def read(database: Database, timeout_ms: int) -> Vitals:
    """Over a connection of its own, which ends with it. Raises Unavailable."""
    with database.patient(timeout_ms) as asked:
        return Vitals(*asked.one(VITALS))
