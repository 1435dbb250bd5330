"""Whether history is still as it was written."""

from dataclasses import dataclass

from dosette.storage import history as sql
from dosette.storage.connection import Database, Entry

TIMEOUT_MS = 600_000


@dataclass(frozen=True)
class Fault:
    """Something in `list` (a table) that can't have come about by itself: which row, and what is wrong with it."""

    list: str
    which: str
    what: str


@dataclass(frozen=True)
class Chain:
    """A household's history: how many events, the hash of the newest, and what is wrong (nothing, when all is well).

    Whoever can write the whole database can also forge a whole chain: then only a head that was noted elsewhere tells.
    """

    household: str
    events: int
    head: str
    faults: tuple[Fault, ...]


def verify(database: Database, entry: Entry) -> Chain:
    """Checks every link of the chain, that each dose is what its last event says, and that each count is the sum of its ledger."""
    with database.patient(TIMEOUT_MS) as patient:
        faults = tuple(Fault(*row) for row in patient.run(sql.VERIFY, entry))
        household, events, head = patient.one(sql.HEAD, entry)
    return Chain(household, events, head, faults)
