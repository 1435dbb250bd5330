"""Backups as the server knows them: begun, compared with what was restored from them for trial, recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from dosette.actions import history, households
from dosette.actions.schedules import planned_slots
from dosette.storage import backups as sql
from dosette.storage.connection import NOBODY, Database, Moment

COMPARED_AHEAD = timedelta(days=7)

Plan = frozenset[tuple[str, datetime, Decimal]]
"""Medicine, when and how much: what the domain plans for some days."""


@dataclass(frozen=True)
class State:
    """What a database holds at one moment: a count and a checksum for each table, and what it will plan from `since` on."""

    tables: dict[str, tuple[int, int]]
    plan: Plan

    def differences(self, copy: "State") -> list[str]:
        """What is not the same in a copy, in words."""
        names = sorted({*self.tables, *copy.tables})
        told = [_difference(name, self.tables.get(name), copy.tables.get(name)) for name in names]
        plan = len(self.plan ^ copy.plan)
        return [
            *filter(None, told),
            *([f"{plan} doses of the next 7 days are planned in one of them only"] if plan else []),
        ]


@dataclass(frozen=True)
class Record:
    """How backups went: of which server, when the newest good one was made and its size; when one was last tried, and what was wrong
    with that one (None: nothing)."""

    server_id: str
    made_at: datetime | None
    size_bytes: int | None
    tried_at: datetime | None
    fault: str | None


def record(database: Database) -> Record:
    return Record(*database.one(sql.RECORD))


@contextmanager
def begun(database: Database, now: datetime) -> Iterator[tuple[str, Moment]]:
    """A moment that a dump can share: the name of its snapshot, and the moment. The dump will know that it was begun `now`."""
    database.run(sql.BEGUN, now=now)
    with database.at_one_moment(NOBODY) as moment:
        yield moment.rows(sql.SNAPSHOT)[0][0], moment


def state(moment: Moment, since: datetime) -> State:
    slots = (
        (medicine_id, slot.due_at, slot.amount)
        for medicine_id, version, last_at in moment.rows(sql.PLANS)
        for slot in planned_slots(version, last_at, since, since + COMPARED_AHEAD)
    )
    return State(sql.contents(moment), frozenset(slots))


def state_now(database: Database, since: datetime) -> State:
    with database.at_one_moment(NOBODY) as moment:
        return state(moment, since)


def broken_histories(database: Database) -> list[str]:
    """Which households' histories are not as they were written, in words."""
    chains = [history.verify(database, entry) for entry in households.in_each(database)]
    return [
        f"the history of {chain.household} has {len(chain.faults)} faults, the first: {chain.faults[0].which}: {chain.faults[0].what}"
        for chain in chains
        if chain.faults
    ]


def succeeded(database: Database, made_at: datetime, size_bytes: int) -> None:
    """A backup of `made_at` passed its rehearsal."""
    database.run(sql.REHEARSED, made_at=made_at, bytes=size_bytes)


def failed(database: Database, fault: str, now: datetime) -> None:
    """None could be made, or it did not pass: people are told."""
    database.run(sql.FAILED, fault=fault, now=now)


def dumped_at(database: Database) -> datetime | None:
    """Until when a restored database remembers; None when its dump did not say."""
    at: datetime | None = database.one(sql.DUMPED_AT)[0]
    return at


def _difference(name: str, was: tuple[int, int] | None, copied: tuple[int, int] | None) -> str:
    if was == copied:
        return ""
    if was is None or copied is None:
        return f"{name} is in one of them only"
    if was[0] != copied[0]:
        return f"{name} has {was[0]} rows, and the copy {copied[0]}"
    return f"{name} has other values in the copy"
