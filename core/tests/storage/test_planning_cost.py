"""The scheduler costs what changed and what is due, not what exists."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from psycopg2.extensions import connection as Connection

from conftest import Home, Server
from dosette.actions import alarms, doses, households, reminders, schedules
from dosette.actions.reminders import Sent
from dosette.domain.reminders import ALARMS
from dosette.storage.connection import Database, Statement, connect
from dosette.testing import NOON

DAY = timedelta(days=1)
SLOTS = {"file": 20, "panel": 100, "apprise": 4}
FEW, MANY = 2_000, 20_000
MORE = 1.5
"""Trees are a little higher over many rows."""
UNTOLD = """
    SELECT DISTINCT to_char(r.due_at AT TIME ZONE 'UTC', 'HH24:MI') FROM reminders AS r JOIN doses AS d ON d.id = r.dose_id
     WHERE r.status = 'waiting'
"""
CROWD = """
    SET session_replication_role = replica;
    SET search_path = dosette;
    WITH many AS (
        SELECT gen_random_uuid() AS medicine_id, home.id AS home, %(noon)s + interval '8 days' + n * interval '1 second' AS until
          FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, %(count)s / 20)) AS home, generate_series(1, 20) AS n
    ), schedule AS (
        INSERT INTO schedules (medicine_id, household_id, version, planned_until, kind)
        SELECT medicine_id, home, 1, until, 'fixed' FROM many
    ), version AS (
        INSERT INTO schedule_versions (medicine_id, number, household_id, zone, starts_on, critical, steps, created_at)
        SELECT medicine_id, 1, home, 'UTC', '2000-01-01', false, '[]', %(noon)s FROM many
    ), dose AS (
        INSERT INTO doses (household_id, medicine_id, member_id, version, slot_on, slot_time, amount, opens_at, due_at, late_at, closes_at)
        SELECT home, medicine_id, gen_random_uuid(), 1, '2000-01-01', '12:00', 1, until, until, until, until FROM many
        RETURNING id, household_id, due_at
    ), reminder AS (
        INSERT INTO reminders (household_id, dose_id, due_at) SELECT household_id, id, due_at FROM dose RETURNING id, household_id
    )
    INSERT INTO deliveries (household_id, contact_id, channel, reminder_ids, made_at, due_at, status, at)
    SELECT household_id, gen_random_uuid(), 'file', ARRAY[id], yesterday, yesterday, 'delivered', yesterday
      FROM reminder, LATERAL (SELECT %(noon)s - interval '1 day' AS yesterday) AS at;
    RESET session_replication_role;
    ANALYZE
"""
DUE = """
    INSERT INTO dosette.deliveries (household_id, contact_id, channel, reminder_ids, made_at, due_at, rung_at)
    SELECT %(home)s, (SELECT id FROM dosette.contacts), 'file', '{}', %(noon)s, %(noon)s, %(noon)s FROM generate_series(1, %(count)s)
    RETURNING id::text
"""
FLUSH = Statement("flush", "SELECT pg_stat_force_next_flush(), pg_backend_pid()")
READ = "SELECT sum(hits) + sum(reads) FROM pg_stat_get_backend_io(%s) WHERE object = 'relation'"


@dataclass(frozen=True)
class Crowd:
    """Our household, and beside it so many schedules, doses, reminders and messages of others."""

    home: Home
    superuser: Connection

    def grow(self, count: int) -> None:
        with self.superuser.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute(CROWD, {"noon": NOON, "count": count})

    def fall_due(self, count: int) -> list[str]:
        """So many test messages to Bruno; their ids."""
        with self.superuser.cursor() as cursor:
            cursor.execute(DUE, {"home": self.home.id, "noon": NOON, "count": count})
            return [row[0] for row in cursor.fetchall()]

    def blocks(self, database: Database, work: Callable[[], object]) -> int:
        """That PostgreSQL reads for it."""
        before = self._read(database)
        work()
        return self._read(database) - before

    def _read(self, database: Database) -> int:
        pid = database.one(FLUSH)[1]
        with self.superuser.cursor() as cursor:
            cursor.execute(READ, (pid,))
            row = cursor.fetchone()
            return int(row[0]) if row else 0


@pytest.fixture
def crowd(home: Home, postgres_url: Callable[[str], str]) -> Iterator[Crowd]:
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    with closing(connect(postgres_url(home.server.name), "test")) as superuser:
        yield Crowd(home, superuser)


def _round(database: Database, now: datetime) -> None:
    """What a scheduler asks for in each round, and what it asks twice a minute."""
    doses.close_missed(database, now)
    schedules.extend_plans(database, now)
    reminders.ring_again(database, now)
    while reminders.tell_due(database, now) is not None:
        continue
    reminders.backlog(database, now)
    for kind in ALARMS:
        alarms.end_everywhere(database, kind, "it is over")


def _look(worker: Database) -> None:
    """What a worker asks for every five seconds."""
    reminders.sweep(worker, SLOTS, NOON)
    reminders.claim_suspect(worker, SLOTS, NOON)


def test_what_is_neither_due_nor_changed_costs_nothing(crowd: Crowd, database_of: Callable[[str], Database]):
    home, scheduler, worker = crowd.home, database_of("scheduler"), database_of("worker")
    found: dict[str, list[int]] = {"a round": [], "a look": [], "a changed schedule": []}

    for count in (FEW, MANY):
        crowd.grow(count)
        changed, due = home.medicine(f"Changed {count}"), home.medicine(f"Due {count}")
        home.schedule(changed, "08:00")
        home.schedule(due, "08:00", "12:00", now=NOON - 2 * DAY)
        _round(scheduler, NOON - DAY)
        _look(worker)
        found["a round"].append(crowd.blocks(scheduler, lambda: _round(scheduler, NOON)))
        found["a look"].append(crowd.blocks(worker, lambda: _look(worker)))
        found["a changed schedule"].append(
            crowd.blocks(home.database, lambda changed=changed: home.schedule(changed, "09:00"))  # type: ignore[misc]
        )

    assert all(many <= few * MORE for few, many in found.values()), found


def test_in_a_minute_in_which_thousands_fall_due_each_message_costs_what_it_costs_alone(
    crowd: Crowd, database_of: Callable[[str], Database]
):
    worker, found = database_of("worker"), {}
    crowd.grow(FEW)  # the statistics are those of a quiet moment
    crowd.fall_due(FEW)
    _send(worker, [])

    for count in (FEW, MANY):
        ours = crowd.fall_due(count)
        found[count] = crowd.blocks(worker, lambda ours=ours: _send(worker, ours[:20]))  # type: ignore[misc]

    assert found[MANY] <= found[FEW] * MORE, found


def _send(worker: Database, ids: Sequence[str]) -> None:
    """What a worker does with what was rung, and with what was not."""
    for claimed in (reminders.claim(worker, ids, SLOTS, NOON), reminders.sweep(worker, SLOTS, NOON)):
        if claimed:
            sent = [Sent(each.id, each.lease, each.attempts, NOON) for each in claimed]
            assert len(reminders.record(worker, sent, NOON)) == len(sent)


def test_a_changed_schedule_takes_its_untold_reminders_along_in_the_same_commit(
    home: Home, database_of: Callable[[str], Database], server: Server
):
    medicine_id = home.medicine()
    home.schedule(medicine_id, "12:30")
    with closing(connect(server.url("scheduler"), "test")) as link, link.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        cursor.execute(UNTOLD)
        before = cursor.fetchall()
        home.schedule(medicine_id, "13:15")
        cursor.execute("COMMIT")
        cursor.execute(UNTOLD)
        after = cursor.fetchall()

    assert (before, after) == ([("12:30",)], [("13:15",)])
