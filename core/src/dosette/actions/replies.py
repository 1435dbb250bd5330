"""Idempotency: the key a caller gives, and the answer it gets, be it for the first or for the fifth time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2 import Binary

from dosette.domain.errors import KeyReused
from dosette.storage import replies as sql
from dosette.storage.connection import Database

KEPT = timedelta(days=30)
BATCH = 1000


@dataclass(frozen=True)
class Request:
    """`key` is None where the caller gave none; `digest` tells one request from another under the same key."""

    key: str | None
    digest: bytes

    @property
    def values(self) -> dict[str, object]:
        """As the statements name them."""
        return {"key": self.key, "request_hash": Binary(self.digest)}


@dataclass(frozen=True)
class Answer:
    """The body as JSON; `replayed` when the request had been done before and nothing was done now."""

    body: str
    replayed: bool = False


def answer(outcome: str, body: str | None, key: str | None) -> Answer | None:
    """None when the statement did not do it, for a reason that the caller of this function tells. Raises KeyReused."""
    if outcome == "key-reused":
        raise KeyReused(f"the Idempotency-Key {key} was used for another request; take a new key for a new request")
    return Answer(body or "", outcome == "replayed") if outcome in ("done", "replayed") else None


def forget_old(database: Database, now: datetime) -> int:
    """Forgets up to BATCH replies that are older than KEPT, over all households that this role sees; how many."""
    return len(database.run(sql.FORGET, before=now - KEPT, limit=BATCH))
