"""Households of a suite's own in the stack's database, whose doses fall due when it says."""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from redis import Redis, RedisError

from dosette.contracts.names import DELIVERIES_QUEUE
from dosette.domain.members import SCOPES
from dosette_bench.errors import CannotMeasure
from dosette_bench.sink import Sink
from dosette_bench.stack import Stack

NAME = "Dosette bench"
PEOPLE, MEDICINES_EACH = 2, 5
LOOK_EVERY_S, DRAIN_S = 0.1, 15.0
QUEUE, AT_WORK = f"rq:queue:{DELIVERIES_QUEUE}", f"rq:wip:{DELIVERIES_QUEUE}"


@dataclass(frozen=True)
class Telling:
    """A reminder that fell due. Times are seconds since 1970; `told_at` None: not delivered so far."""

    id: str
    due_at: float
    told_at: float | None
    given_up: bool

    @property
    def latency_s(self) -> float | None:
        return None if self.told_at is None else self.told_at - self.due_at


class Village:
    """Households of our own in the stack's database; everybody in them is told through a file.

    Written as SQL, by the superuser, whom row-level security does not bind: the API would take an hour. What they leave
    anywhere is removed at the end, and at the start what an interrupted run has left.
    """

    def __init__(
        self, stack: Stack, people: int = PEOPLE, medicines_each: int = MEDICINES_EACH, critical: bool = False
    ) -> None:
        """`critical`: time-critical medicines, of which a person may be told more than once a minute."""
        self._stack = stack
        self._people, self._medicines_each, self._critical = people, medicines_each, critical
        self._token = f"bench_{token_urlsafe(32)}"
        self._connection: Connection | None = None
        self._sink: Sink | None = None

    def __enter__(self) -> "Village":
        self._vanish()
        return self

    def __exit__(self, trouble: type[BaseException] | None, *_: object) -> None:
        with suppress(CannotMeasure) if trouble else nullcontext():  # the first trouble is the one to tell
            self.call_off()
            self._vanish()
        if self._connection is not None:
            self._connection.close()

    def settle(self, doses: int) -> None:
        """Grows to so many doses that can be due at once."""
        of_one = self._people * self._medicines_each
        missing = math.ceil(doses / of_one) - int(self._one("SELECT count(*) FROM ours"))
        if missing > 0:
            people, medicines = self._people, self._medicines_each
            self._run(_SETTLE, count=missing, people=people, medicines=medicines, critical=self._critical)
            self._run("ANALYZE households, members, contacts, medicines")

    def member(self) -> str:
        """One who takes medicines, in the household of `as_member`."""
        return str(self._one(_MEMBER))

    def as_member(self) -> Stack:
        """The stack as it is seen with a token of the first household."""
        digest = psycopg2.Binary(sha256(self._token.encode()).digest())
        self._run(_LET_IN, digest=digest, scopes=list(SCOPES))
        return replace(self._stack, token=self._token)

    def fall_due(self, count: int, due_in: timedelta = timedelta(0)) -> float:
        """So many doses, each with its reminder, are due then (0: as soon as they are committed); the scheduler is notified.

        Returns when they are due. Raises CannotMeasure when that was over before they were committed.
        """
        due_at = datetime.now(UTC) + due_in
        self._run(_DUE + _KNOWN, count=count, due=due_at, reminded=True)
        now = time.time()
        if not due_in:
            return now
        if now > due_at.timestamp():
            self.call_off()
            self.forget()
            raise CannotMeasure(f"{count} doses were not written before they were due: this machine is too slow for it")
        return due_at.timestamp()

    def open_doses(self, count: int) -> list[str]:
        """Ids of so many doses that can be taken, of the first household; nobody is reminded of them."""
        return [row[0] for row in self._run(_DUE, count=count, due=datetime.now(UTC), reminded=False)]

    def tellings(self) -> list[Telling]:
        """Of all reminders that are here, by the time they are due."""
        return [Telling(*row) for row in self._run(_TELLINGS)]

    def delivered(self) -> int:
        """How many reminders messages on this server told of, ever; quicker than `tellings`."""
        return int(
            self._one("SELECT coalesce(sum(cardinality(reminder_ids)), 0) FROM deliveries WHERE status = 'delivered'")
        )

    def made(self) -> int:
        """How many messages there are about what is here, whatever became of them."""
        return int(self._one("SELECT count(*) FROM deliveries WHERE household_id IN (SELECT id FROM ours)"))

    def sent(self, until: float) -> int:
        """How many of them had arrived by then."""
        return int(self._run(_SENT, until=until)[0][0])

    def backend(self) -> int:
        """The process that serves us here."""
        return int(self._one("SELECT pg_backend_pid()"))

    def listen_at(self, sink: Sink | None) -> None:
        """From now on everybody is told by a webhook there; None: by a file again."""
        self._sink = sink
        address, secret = (sink.url, "whsec_ZG9zZXR0ZQ==") if sink else (None, None)
        self._run(_LISTEN, channel="webhook" if sink else "file", address=address, secret=secret)

    def messages(self) -> Counter[str]:
        """How often each reminder was told, by what people read."""
        if self._sink is not None:
            return Counter(self._sink.told)
        return Counter(
            item["reminder_id"]
            for path in self._files()
            for line in path.read_text().splitlines(keepends=True)
            if line[-1:] == "\n"
            for item in json.loads(line)["items"]
        )

    def call_off(self) -> None:
        """What is still waiting is dropped; returns when nobody works on any of it any more."""
        self._run(_CALL_OFF)
        try:
            with Redis.from_url(self._stack.redis_url(), decode_responses=True) as redis:
                _drain(redis)
        except RedisError as error:
            raise CannotMeasure(f"Redis can't be asked: {error}") from error

    def forget(self) -> None:
        """Removes the doses and all that came of them. The messages stay until the end."""
        self._run(_FORGET)

    def _vanish(self) -> None:
        self.forget()
        self._run(_VANISH)
        self._run("VACUUM (ANALYZE)")  # the next suite measures tables without holes
        for path in self._files():
            path.unlink()

    def _files(self) -> Iterator[Path]:
        if self._stack.data is None:
            raise CannotMeasure("what people were told can't be seen of a given server: leave --url out")
        return (self._stack.data / "deliveries").glob("dosette-bench-*")

    def _one(self, query: str) -> Any:
        return self._run(query)[0][0]

    def _run(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """Over a new connection, when PostgreSQL was killed since the last time."""
        values = {"name": NAME, **values}
        try:
            return self._run_once(query, values)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            self._connection = None
        try:
            return self._run_once(query, values)
        except psycopg2.Error as error:
            raise CannotMeasure(f"PostgreSQL can't be asked: {str(error).strip().splitlines()[0]}") from error

    def _run_once(self, query: str, values: dict[str, object]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            options = "-c search_path=dosette -c timezone=UTC"
            self._connection = psycopg2.connect(self._stack.database_url("superuser"), options=options)
            self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                cursor.execute(_OURS, values)
        with self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []


def _drain(redis: Redis) -> None:
    """Empties the queue and waits for the jobs that are at work. A worker that hangs is not waited for longer than this."""
    until = time.monotonic() + DRAIN_S
    while time.monotonic() < until:
        jobs = ["rq:job:" + str(each) for each in redis.lrange(QUEUE, 0, -1)]
        redis.delete(QUEUE, *jobs)
        if not jobs and not redis.zcard(AT_WORK):
            return
        time.sleep(LOOK_EVERY_S)


_OURS = "CREATE TEMPORARY VIEW ours AS SELECT id FROM households WHERE name = %(name)s"
_SETTLE = """
    WITH home AS (
        INSERT INTO households (name, zone, created_at) SELECT %(name)s, 'UTC', now() FROM generate_series(1, %(count)s)
        RETURNING id
    ), person AS (
        INSERT INTO members (household_id, name, role, created_at)
        SELECT home.id, 'Person ' || number, 'self', now() FROM home, generate_series(1, %(people)s) AS number
        RETURNING id, household_id
    ), contact AS (
        INSERT INTO contacts (household_id, member_id, channel, address, created_at)
        SELECT household_id, id, 'file', 'dosette-bench-' || id, now() FROM person
    ), medicine AS (
        INSERT INTO medicines (household_id, member_id, name, strength, form, unit, created_at)
        SELECT household_id, id, 'Medicine ' || number, '1 mg', 'tablet', 'tablet', now()
          FROM person, generate_series(1, %(medicines)s) AS number
        RETURNING id, household_id
    )
    INSERT INTO schedule_versions (medicine_id, number, household_id, zone, starts_on, critical, steps, created_at)
    SELECT id, 1, household_id, 'UTC', '2000-01-01', %(critical)s, '[]', now() FROM medicine
"""
_LISTEN = """
    UPDATE contacts SET channel = %(channel)s, address = coalesce(%(address)s, 'dosette-bench-' || member_id), secret = %(secret)s
     WHERE household_id IN (SELECT id FROM ours)
"""
_MEMBER = """
    SELECT id::text FROM members WHERE household_id = (SELECT id FROM ours ORDER BY id LIMIT 1) ORDER BY id LIMIT 1
"""
_LET_IN = """
    INSERT INTO tokens (digest, household_id, name, scopes, created_at)
    SELECT %(digest)s, id, %(name)s, %(scopes)s, now() FROM ours ORDER BY id LIMIT 1
    ON CONFLICT DO NOTHING
"""
_DUE = """
    WITH made AS (
        INSERT INTO doses (household_id, medicine_id, member_id, version, slot_on, slot_time, amount, opens_at, due_at, late_at, closes_at)
        SELECT m.household_id, m.id, m.member_id, 1, (at AT TIME ZONE 'UTC')::date, (at AT TIME ZONE 'UTC')::time, 1,
               at - interval '1 hour', at, at + interval '1 hour', at + interval '1 hour'
          FROM medicines AS m
          JOIN schedule_versions AS v ON v.medicine_id = m.id AND v.steps = '[]',  -- of which nothing else is planned
               (SELECT %(due)s::timestamptz AS at) AS due
         WHERE m.household_id IN (SELECT id FROM ours)
           AND (%(reminded)s OR m.household_id = (SELECT id FROM ours ORDER BY id LIMIT 1))
         ORDER BY m.id LIMIT %(count)s
        RETURNING id, household_id, due_at
    ), reminded AS (
        INSERT INTO reminders (household_id, dose_id, due_at) SELECT household_id, id, due_at FROM made WHERE %(reminded)s
    )
    SELECT id::text, pg_notify('dosette', household_id::text) FROM made
"""
# In the same transaction: a server that has such mornings knows how many rows there are, and does not plan as for ten.
_KNOWN = "; ANALYZE doses, reminders, deliveries"
_TELLINGS = """
    WITH told AS (
        SELECT item.id, min(d.at) AS at FROM deliveries AS d CROSS JOIN unnest(d.reminder_ids) AS item (id)
         WHERE d.household_id IN (SELECT id FROM ours) AND d.status = 'delivered' GROUP BY item.id
    )
    SELECT r.id::text, extract(epoch FROM dose.due_at)::float8, extract(epoch FROM told.at)::float8,
           r.status IN ('dropped', 'parked') AND r.reason <> %(name)s
      FROM reminders AS r JOIN doses AS dose ON dose.id = r.dose_id LEFT JOIN told ON told.id = r.id
     WHERE r.household_id IN (SELECT id FROM ours)
     ORDER BY dose.due_at, r.id
"""
_SENT = """
    SELECT count(*) FROM deliveries
     WHERE household_id IN (SELECT id FROM ours) AND status = 'delivered' AND at <= to_timestamp(%(until)s)
"""
_CALL_OFF = """
    UPDATE reminders SET status = 'dropped', reason = %(name)s WHERE status = 'waiting' AND household_id IN (SELECT id FROM ours);
    UPDATE deliveries SET status = 'dropped', error = %(name)s WHERE status = 'waiting' AND household_id IN (SELECT id FROM ours)
"""
# References are not checked row by row: what refers to a row of ours is of the same household, and goes with it.
_FORGET = """
    SET session_replication_role = replica;
    DELETE FROM conflicts WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM stock_entries WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM stock WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM packages WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM dose_events WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM deliveries WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM reminders WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM doses WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM replies WHERE household_id IN (SELECT id FROM ours);
    RESET session_replication_role
"""
_VANISH = """
    SET session_replication_role = replica;
    DELETE FROM schedules WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM schedule_versions WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM medicines WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM contacts WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM tokens WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM members WHERE household_id IN (SELECT id FROM ours);
    DELETE FROM households WHERE id IN (SELECT id FROM ours);
    RESET session_replication_role
"""
