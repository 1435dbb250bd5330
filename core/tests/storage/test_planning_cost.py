"""Planning costs what is to be planned, not what exists."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

from conftest import Home
from dosette.actions import schedules
from dosette.storage import schedules as sql
from dosette.storage.connection import Database, connect
from dosette.testing import NOON

MANY = """
    SET session_replication_role = replica;
    INSERT INTO schedules (medicine_id, household_id, version, planned_until, kind)
    SELECT gen_random_uuid(), %(home)s, 1, %(until)s + number * interval '1 second', 'fixed' FROM generate_series(1, %(count)s) AS number;
    RESET session_replication_role;
    ANALYZE schedules
"""


def _blocks(home: Home, superuser: str) -> int:
    """That the search for what is to be planned reads."""
    values = {"before": NOON + timedelta(days=7), "limit": 200}
    with closing(connect(superuser, "test")) as connection, connection.cursor() as cursor:
        cursor.execute(sql.TO_PLAN.prepare)
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql.TO_PLAN.execute, values)
        plan = cursor.fetchone()[0]
    told = (plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]
    return int(told["Shared Hit Blocks"] + told["Shared Read Blocks"])


def _settle(home: Home, superuser: str, count: int) -> None:
    with closing(connect(superuser, "test")) as connection, connection.cursor() as cursor:
        cursor.execute(MANY, {"home": home.id, "until": NOON + timedelta(days=8), "count": count})


def test_what_is_planned_far_enough_is_not_read(
    home: Home, database_of: Callable[[str], Database], postgres_url: Callable[[str], str]
):
    superuser = postgres_url(home.server.name)
    home.schedule(home.medicine(), "08:00", now=NOON - timedelta(days=2))
    _settle(home, superuser, 100)
    few = _blocks(home, superuser)

    _settle(home, superuser, 50_000)
    many = _blocks(home, superuser)

    assert few <= many <= few + 10
    assert schedules.extend_plans(database_of("scheduler"), NOON) == 2
