"""The ten operations of the project's first plan, through the very statements that the API sends, over one connection."""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY

from dosette.actions import doses as act_on_doses
from dosette.actions import medicines as act_on_medicines
from dosette.actions.doses import Taking
from dosette.actions.replies import Request
from dosette.domain.errors import DosetteError
from dosette.domain.members import DOSES, MEDICINES, READ
from dosette.storage import doses, history, medicines
from dosette.storage.access import with_token
from dosette.storage.connection import Database, Statement
from dosette_bench import processes
from dosette_bench.bench import Bench
from dosette_bench.loop import Call, Failed, Operation, Side, again
from dosette_bench.loop import measure as measure_loop
from dosette_bench.processes import Process
from dosette_bench.seeding import Cupboard, cupboard
from dosette_bench.stack import Stack

BATCH = 5
PAGE = 50
MONTH = timedelta(days=30)
APPLICATION = "dosette-bench"

NOTHING = Statement("nothing", "SELECT 1")
FLUSH = Statement("flush", "SELECT pg_stat_force_next_flush()")
COUNTED = Statement(
    "counted",
    """
    SELECT (SELECT coalesce(sum(hits) + sum(reads), 0) FROM pg_stat_get_backend_io(pg_backend_pid())),
           (SELECT coalesce(sum(wal_bytes), 0) FROM pg_stat_get_backend_wal(pg_backend_pid()))
    """,
)
COUNTS = ("blocks", "wal_bytes")
BACKEND = Statement("backend", "SELECT pg_backend_pid()")
ANYTHING: Mapping[str, None] = dict.fromkeys(
    ("member", "medicine", "state", "after", "before", "since", "until", "kind", "form", "low", "search")
)


def measure(bench: Bench) -> None:
    """Adds a row for each operation. CPU time is that of the one backend, and our own."""
    with _database(bench.stack) as database:
        desk = _Desk(database, bench.stack.token, cupboard(bench.stack))
        measure_loop(Side(bench, desk.operations(), _Meter(database)))


@contextmanager
def _database(stack: Stack) -> Iterator[Database]:
    database = Database(stack.database_url("api"), APPLICATION)
    try:
        yield database
    finally:
        database.close()


class _Meter:
    """Of the one backend, as it counts for itself, and of ourselves. What asking costs is taken off: it is the same each time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._processes = [Process("postgresql", database.one(BACKEND)[0]), Process("ours", os.getpid())]
        self._asked = 0
        self._asking = dict.fromkeys(COUNTS, 0.0)
        for _ in range(3):  # the first times it also learns what its catalogue holds
            before, after = self.counted(), self.counted()
        self._asking = {name: after[name] - before[name] for name in COUNTS}

    def cpu_ms(self) -> Mapping[str, float]:
        if not Path(f"/proc/{self._processes[0].pid}").exists():  # in a container of its own, under another number
            return {}
        return processes.cpu_ms(self._processes)

    def counted(self) -> Mapping[str, float]:
        self._database.run(FLUSH)
        counts = self._database.one(COUNTED)
        messages = REGISTRY.get_sample_value("dosette_sql_messages_total") or 0.0
        self._asked += 1
        asking = {name: each * self._asked for name, each in {**self._asking, "sql_messages": 2.0}.items()}
        found = {**dict(zip(COUNTS, map(float, counts), strict=True)), "sql_messages": messages}
        return {name: count - asking[name] for name, count in found.items()}


class _Desk:
    """The operations on one household, as one member's token opens it."""

    def __init__(self, database: Database, token: str, home: Cupboard) -> None:
        self._database = database
        self._token = token
        self._home = home
        self._taken: list[str] = []

    def operations(self) -> list[Operation]:
        asked: dict[str, Any] = {"sort": "added", "archived": False, "limit": PAGE}
        return [
            Operation("get_all_medicines", again(self._read(medicines.LIST, **asked)), what="50 medicines"),
            Operation("get_medicine_by_id", again(self._read(medicines.GET, medicine=self._home.medicines[0]))),
            Operation("get_pending_medicines", again(self._read(doses.PENDING)), what=f"{len(self._home.doses)} due"),
            Operation("get_low_stock_medicines", again(self._read(medicines.LOW_STOCK))),
            Operation("mark_medicine_taken", self._takings, self._put_back),
            Operation("update_medicine", self._changes),
            Operation("get_tracking_history", again(self._read(history.LIST, limit=PAGE)), what="the last 50 events"),
            Operation(
                "get_tracking_history_by_date_range",
                again(self._month),
                what="50 events of a month that ended a month ago",
            ),
            Operation("batch_mark_taken", self._batches, self._put_back, what=f"{BATCH} doses in one message"),
            Operation(
                "transaction_overhead",
                again(self._locked),
                what="entering the household, its lock and a commit, with nothing done in between",
            ),
        ]

    def _read(self, statement: Statement, **values: Any) -> Call:
        def read() -> int:
            given = {**ANYTHING, "now": datetime.now(UTC), **values}
            return self._told(
                lambda: self._database.run(
                    statement, with_token(self._token, READ), **{name: given[name] for name in statement.types}
                )[0][0]
            )

        return read

    def _month(self) -> int:
        until = datetime.now(UTC) - MONTH
        return self._read(history.LIST, since=until - MONTH, until=until, limit=PAGE)()

    def _locked(self) -> int:
        return self._told(lambda: str(self._database.one(NOTHING, with_token(self._token, READ, writes=True))[0]))

    def _takings(self, count: int) -> Sequence[Call]:
        return [self._taking(dose) for dose in self._home.doses[:count]]

    def _taking(self, dose: str) -> Call:
        def take() -> int:
            now = datetime.now(UTC)
            entry = with_token(self._token, DOSES, writes=True)
            taking = Taking(now, dose)
            taken = self._told(lambda: act_on_doses.take(self._database, entry, taking, _request(), now).body)
            self._taken.append(dose)
            return taken

        return take

    def _changes(self, count: int) -> Sequence[Call]:
        return [self._change(number) for number in range(count)]

    def _change(self, number: int) -> Call:
        def change() -> int:
            entry, now = with_token(self._token, MEDICINES, writes=True), datetime.now(UTC)
            medicine, note = self._home.medicines[number % len(self._home.medicines)], {"note": f"note {now:%H%M%S%f}"}
            return self._told(
                lambda: act_on_medicines.change(self._database, entry, medicine, note, _request(), now).body
            )

        return change

    def _batches(self, count: int) -> Sequence[Call]:
        """One at a time, for a batch takes most of what is due."""
        batch = self._home.doses[:BATCH]

        def take() -> int:
            now = datetime.now(UTC)
            entry = with_token(self._token, DOSES, writes=True)
            takings = [Taking(now, dose) for dose in batch]
            body = self._answered(
                lambda: act_on_doses.take_batch(self._database, entry, takings, now, None, _request(), now).body
            )
            results = json.loads(body)["results"]
            self._taken += [dose for dose, result in zip(batch, results, strict=True) if result["outcome"] == "done"]
            if len(self._taken) < len(batch):
                raise Failed("not every dose of the batch was taken")
            return len(body)

        return [take]

    def _put_back(self) -> None:
        while self._taken:
            self._undo(self._taken.pop())

    def _undo(self, dose: str) -> None:
        now = datetime.now(UTC)
        entry = with_token(self._token, DOSES, writes=True)
        self._told(lambda: act_on_doses.undo(self._database, entry, dose, _request(), now, now).body)

    def _told(self, do: Callable[[], str]) -> int:
        return len(self._answered(do))

    def _answered(self, do: Callable[[], str]) -> str:
        try:
            return do()
        except DosetteError as error:
            raise Failed(type(error).__name__) from error


def _request() -> Request:
    key = uuid.uuid4().hex
    return Request(key, hashlib.sha256(key.encode()).digest())
