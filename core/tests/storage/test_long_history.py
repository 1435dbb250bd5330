"""Ten years of a big household cost no more than its first month."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from conftest import Home, Server, a_database, found_home
from dosette.actions import doses
from dosette.actions.doses import Taking
from dosette.storage import doses as dose_sql
from dosette.storage import history as history_sql
from dosette.storage import medicines as medicine_sql
from dosette.storage.connection import Statement
from dosette.testing import NOON
from dosette_local.servers.postgres import Postgres

pytestmark = pytest.mark.timeout(300, func_only=False)  # two hundred thousand doses are made first

MEDICINES = 55
MONTH, QUARTER, DECADE = 30, 90, 3650  # days
BLOCKS_OF_A_PAGE = 1000
MOST = 1.2
SEED = """
    UPDATE households SET moving_in = true;
    INSERT INTO doses (household_id, medicine_id, member_id, version, slot_on, slot_time, amount, opens_at, due_at, late_at, closes_at,
                       status, resolved_at, resolved_by)
    SELECT m.household_id, m.id, m.member_id, 1, (at AT TIME ZONE 'UTC')::date, '12:30', 1, at - interval '2 hours', at,
           at + interval '1 hour', at + interval '2 hours', 'taken', at, m.member_id
      FROM medicines AS m, generate_series(1, %(days)s) AS day,
           LATERAL (SELECT %(noon)s::timestamptz + interval '30 minutes' - day * interval '1 day' AS at) AS due
     ORDER BY at;
    INSERT INTO dose_events (household_id, seq, dose_id, kind, at, recorded_at, by_member, source, key, salt, content_digest, hash)
    SELECT household_id, row_number() OVER (ORDER BY due_at, id), id, 'taken', due_at, due_at, resolved_by, 'api', 'key' || id, '', '', ''
      FROM doses WHERE status = 'taken';
    UPDATE households SET moving_in = false, seq = (SELECT max(seq) FROM dose_events);
    ALTER TABLE stock_entries DISABLE TRIGGER add_up;
    INSERT INTO stock_entries (household_id, medicine_id, kind, amount, dose_id, at, by_member, source)
    SELECT household_id, medicine_id, 'taken', -1, id, due_at, resolved_by, 'api' FROM doses WHERE status = 'taken' ORDER BY due_at;
    ALTER TABLE stock_entries ENABLE TRIGGER add_up;
"""
SHARED = """
    INSERT INTO members (household_id, name, role, created_at)
    SELECT household_id, 'Another ' || number, 'self', min(created_at) FROM members, generate_series(1, 2) AS number GROUP BY 1, number;
    UPDATE doses SET member_id = (SELECT id FROM members ORDER BY id LIMIT 1 OFFSET (slot_on - date '2000-01-01') % 3);
    ANALYZE;
"""
EVERYTHING: dict[str, object] = dict.fromkeys(
    ("member", "medicine", "state", "after", "before", "since", "until", "kind")
)
MEDICINE_PAGE = dict.fromkeys(("member", "form", "low", "search", "after")) | {"sort": "added", "archived": False}


@dataclass(frozen=True)
class Past:
    """A household with so many days behind it, the doses of today still open."""

    home: Home
    connection: Connection
    open_doses: list[str] = field(default_factory=list)

    @property
    def backend(self) -> int:
        return int(
            self.ask(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'dosette-test' AND datname = current_database()"
            )
        )

    def ask(self, query: str, **values: object) -> Any:
        with self.connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchone()[0]


@pytest.fixture(scope="module")
def pasts(postgres: Postgres) -> Iterator[tuple[Past, Past]]:
    """The same household after a month and after ten years."""
    with a_database(postgres) as one, a_database(postgres) as other:
        short, long = _lived(postgres, one, MONTH), _lived(postgres, other, DECADE)
        yield short, long
        for past in (short, long):
            past.home.database.close()
            past.connection.close()


READS: dict[str, tuple[Statement, dict[str, Any]]] = {
    "pending": (dose_sql.PENDING, {"now": NOON + timedelta(minutes=40)}),
    "medicines": (medicine_sql.LIST, MEDICINE_PAGE | {"limit": 50, "now": NOON}),
    "low stock": (medicine_sql.LOW_STOCK, {"now": NOON}),
    "doses": (
        dose_sql.LIST,
        EVERYTHING | {"since": NOON - timedelta(days=1), "until": NOON + timedelta(days=1), "limit": 50, "now": NOON},
    ),
    "history": (history_sql.LIST, EVERYTHING | {"limit": 50}),
    "adherence of four weeks": (
        history_sql.ADHERENCE,
        EVERYTHING | {"since_on": None, "until_on": None, "by": "medicine", "now": NOON},
    ),
}


def test_there_really_are_ten_years(pasts: tuple[Past, Past]):
    short, long = pasts
    behind = "SELECT count(*) FROM dosette.doses WHERE due_at < %(noon)s"

    assert short.ask(behind, noon=NOON) == MEDICINES * MONTH
    assert long.ask(behind, noon=NOON) == MEDICINES * DECADE > 200_000


@pytest.mark.parametrize("name", READS)
def test_a_read_costs_no_more_cpu_after_ten_years(pasts: tuple[Past, Past], name: str):
    def read(past: Past) -> None:
        statement, values = READS[name]
        past.home.database.run(statement, past.home.reader(), **{key: values[key] for key in statement.types})

    assert _cheapest_ratio(pasts, read, times=10) <= MOST


def test_a_page_of_history_reads_its_own_rows_only(postgres: Postgres):
    """After a quarter of a year it once read every dose of the household, one by one, and sorted them."""
    with a_database(postgres) as server:
        past = _lived(postgres, server, QUARTER)
        with past.connection.cursor() as cursor:
            cursor.execute(SHARED)
        explaining = Statement("explain_history", "", **history_sql.LIST.types)
        explaining.prepare = history_sql.LIST.prepare
        explaining.execute = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {history_sql.LIST.execute}"
        page = dict.fromkeys(history_sql.LIST.types) | {"limit": 50}
        plan = past.home.database.one(explaining, past.home.reader(), **page)[0][0]["Plan"]
        past.home.database.close()
        past.connection.close()

    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < BLOCKS_OF_A_PAGE


def test_taking_a_dose_costs_no_more_cpu_after_ten_years(pasts: tuple[Past, Past]):
    def take(past: Past) -> None:
        taking = Taking(NOON, past.open_doses.pop())
        doses.take(past.home.database, past.home.writer(), taking, past.home.request(), NOON)

    assert _cheapest_ratio(pasts, take, times=2, tries=2) <= MOST


def _cheapest_ratio(pasts: tuple[Past, Past], use: Callable[[Past], None], times: int, tries: int = 3) -> float:
    """CPU time of PostgreSQL's process in the long past over the short one's, in alternate rounds: the best of `tries` medians,
    for other work on the machine makes it worse and never better."""
    for past in pasts:
        use(past)

    def ratio() -> float:
        rounds = [[_cpu_ns(past, use, times) for past in pasts] for _ in range(7)]
        return statistics.median(long for _, long in rounds) / statistics.median(short for short, _ in rounds)

    found: list[float] = []
    while len(found) < tries and min(found, default=MOST + 1) > MOST:
        found.append(ratio())
    return min(found)


def _cpu_ns(past: Past, use: Callable[[Past], None], times: int) -> int:
    schedule = Path("/proc", str(past.backend), "schedstat")
    before = int(schedule.read_text().split()[0])
    for _ in range(times):
        use(past)
    return int(schedule.read_text().split()[0]) - before


def _lived(postgres: Postgres, server: Server, days: int) -> Past:
    home = found_home(server, server.database("api"), "Home")
    for number in range(MEDICINES):
        home.schedule(home.medicine(f"Medicine {number}"), "12:30")
    connection = _superuser(postgres, server.name)
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = dosette")
        cursor.execute(SEED, {"noon": NOON, "days": days})
        cursor.execute("VACUUM ANALYZE")
        cursor.execute(
            "SELECT id::text FROM doses WHERE status = 'pending' AND due_at < %s", (NOON + timedelta(hours=2),)
        )
        return Past(home, connection, [row[0] for row in cursor.fetchall()])


def _superuser(postgres: Postgres, database: str) -> Connection:
    server, _ = postgres.url.rsplit("/", 1)
    connection = psycopg2.connect(f"{server}/{database}")
    connection.autocommit = True
    return connection
