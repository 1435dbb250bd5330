"""Migrations: once each, one migrator at a time, never another text under an old name; whole or not at all, wherever they are killed."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg2
import pytest

from dosette.storage.migrate import MigrationError, migrate, migrations
from dosette_local.servers.postgres import Postgres


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """The superuser's URL of an empty database."""
    name, base = f"empty_{uuid4().hex}", postgres.url.rsplit("/", 1)[0]
    _execute(f"{base}/postgres", f"CREATE DATABASE {name}")
    yield f"{base}/{name}"
    _execute(f"{base}/postgres", f"DROP DATABASE {name} WITH (FORCE)")


def _execute(url: str, statement: str, *values: object) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def test_a_second_run_applies_nothing(empty: str):
    assert migrate(empty, {}) == [migration.name for migration in migrations()]
    assert migrate(empty, {}) == []


def test_of_two_migrators_at_once_one_does_the_work(empty: str):
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: migrate(empty, {}), range(2))

    assert sorted([len(first), len(second)]) == [0, len(migrations())]


def test_a_shipped_migration_that_was_edited_is_refused_by_name(empty: str):
    migrate(empty, {})
    _execute(empty, "UPDATE public.migrations SET checksum = 'other'")

    with pytest.raises(MigrationError, match=r"0001_the_spine\.sql was changed"):
        migrate(empty, {})


def test_a_database_from_the_future_is_refused(empty: str):
    migrate(empty, {})
    _execute(empty, "INSERT INTO public.migrations VALUES ('9999_later.sql', '')")

    with pytest.raises(MigrationError, match="install a newer Dosette"):
        migrate(empty, {})


def test_an_unreachable_database_is_one_sentence():
    with pytest.raises(MigrationError, match="can't connect"):
        migrate("postgresql://nobody@127.0.0.1:1/none", {})


# Killed at every statement: an event trigger sees each one that changes the schema, and puts a trigger on each table that sees those
# that change rows. They count (a sequence is not rolled back), and end their own connection at the statement that was chosen.

KILLER = """
    CREATE SCHEMA killer;
    CREATE SEQUENCE killer.seen;
    CREATE SEQUENCE killer.seen_changing_rows;
    CREATE TABLE killer.chosen (applied bigint, number bigint);
    INSERT INTO killer.chosen VALUES (-1, 0);
    CREATE FUNCTION killer.strike() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = killer AS $$
    BEGIN
        IF nextval('seen') = (SELECT number FROM chosen) THEN
            PERFORM pg_terminate_backend(pg_backend_pid());
        END IF;
    END $$;
    CREATE FUNCTION killer.sees_rows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = killer AS $$
    BEGIN
        IF (SELECT count(*) FROM public.migrations) = (SELECT applied FROM chosen) THEN
            PERFORM nextval('seen_changing_rows'), strike();
        END IF;
        RETURN NULL;
    END $$;
    CREATE FUNCTION killer.sees_schema() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = killer AS $$
    DECLARE
        made text;
    BEGIN
        FOR made IN SELECT object_identity FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' LOOP
            EXECUTE format('CREATE TRIGGER killer BEFORE INSERT OR UPDATE OR DELETE ON %s EXECUTE FUNCTION killer.sees_rows()', made);
        END LOOP;
        IF current_setting('role') = 'dosette_migrator' AND (SELECT count(*) FROM public.migrations) = (SELECT applied FROM chosen) THEN
            PERFORM strike();
        END IF;
    END $$;
    CREATE EVENT TRIGGER killer ON ddl_command_end EXECUTE FUNCTION killer.sees_schema();
"""
CHANGES_ROWS = re.compile(r"^(?:INSERT|UPDATE|DELETE|MERGE)\b", re.MULTILINE)

SCHEMA = """
    SELECT 'column', attrelid::regclass::text, attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull
           || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
      FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = attrelid AND d.adnum = attnum
     WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('dosette')) AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'table', oid::regclass::text, concat_ws(' ', relkind, relowner::regrole, relrowsecurity, relforcerowsecurity, relacl)
      FROM pg_class WHERE relnamespace = to_regnamespace('dosette')
    UNION ALL
    SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
      FROM pg_index WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('dosette'))
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid)
      FROM pg_constraint WHERE connamespace = to_regnamespace('dosette')
    UNION ALL
    SELECT 'function', oid::regprocedure::text, concat_ws(' ', pg_get_functiondef(oid), proacl, proowner::regrole)
      FROM pg_proc WHERE pronamespace = to_regnamespace('dosette')
    UNION ALL
    SELECT 'policy', tablename, concat_ws(' ', policyname, roles, cmd, qual, with_check) FROM pg_policies WHERE schemaname = 'dosette'
    UNION ALL
    SELECT 'trigger', tgrelid::regclass::text, pg_get_triggerdef(oid)
      FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('dosette'))
     ORDER BY 1, 2, 3
"""
TRACES = """
    SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('dosette')),
           (SELECT count(*) FROM pg_proc WHERE pronamespace = to_regnamespace('dosette')),
           (SELECT count(*) FROM pg_constraint WHERE connamespace = to_regnamespace('dosette')),
           (SELECT count(*) FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('dosette'))),
           (SELECT count(*) FROM pg_policy), (SELECT count(*) FROM pg_trigger)
"""
APPLIED = "SELECT name FROM public.migrations ORDER BY name"


def _comes_through(url: str, applied: int, number: int) -> bool:
    """Whether the migrator does, with its connection dropped at that statement of the migration after so many."""
    _execute(
        url,
        "SELECT setval('killer.seen', 1, false), setval('killer.seen_changing_rows', 1, false);"
        "UPDATE killer.chosen SET applied = %s, number = %s",
        applied,
        number,
    )
    try:
        migrate(url, {})
    except psycopg2.OperationalError:
        return False
    return True


@pytest.mark.parametrize("applied", range(len(migrations())), ids=[each.name for each in migrations()])
def test_killed_at_any_of_its_statements_a_migration_leaves_nothing_and_runs_again_clean(
    postgres: Postgres, empty: str, applied: int
):
    _execute(empty, KILLER)
    before, traces, number = [(migration.name,) for migration in migrations()[:applied]], None, 1

    while not _comes_through(empty, applied, number):
        traces = traces or _execute(empty, TRACES)  # it died at its first statement
        assert _execute(empty, APPLIED) == before
        assert _execute(empty, TRACES) == traces, f"it died at its statement {number} and left something"
        number += 1
    seen = _execute(empty, "SELECT last_value FROM killer.seen_changing_rows")
    _execute(empty, "DROP EVENT TRIGGER killer; DROP SCHEMA killer CASCADE")

    assert number > 3, "it was killed now and then"
    assert seen == [(len(CHANGES_ROWS.findall(migrations()[applied].text)) + 1,)], (
        "its own, and the one that says it is applied"
    )
    assert _execute(empty, SCHEMA) == _execute(postgres.url, SCHEMA)


def test_a_migrator_that_is_killed_itself_leaves_nothing_half_done(empty: str):
    """SIGKILL: it can't say goodbye, and PostgreSQL works on until it notices."""
    _execute(empty, KILLER)
    gate = psycopg2.connect(empty)
    with gate.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(4711)")
    _execute(empty, _WAITS_AT_THE_GATE)
    migrator = subprocess.Popen([sys.executable, "-c", _MIGRATES, empty], env={"PYTHONPATH": ":".join(sys.path)})
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dosette-migrate' AND datname = current_database()"
    _await(lambda: _execute(empty, f"{waiting} AND wait_event = 'advisory'") == [(1,)])

    migrator.kill()
    migrator.wait()
    gate.close()
    _await(lambda: _execute(empty, waiting) == [(0,)])

    assert _execute(empty, APPLIED) == [(migrations()[0].name,)]
    assert migrate(empty, {}) == [migration.name for migration in migrations()[1:]]


_MIGRATES = "import sys; from dosette.storage.migrate import migrate; migrate(sys.argv[1], {})"

_WAITS_AT_THE_GATE = """
    CREATE OR REPLACE FUNCTION killer.sees_schema() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = killer AS $$
    BEGIN
        IF current_setting('application_name') = 'dosette-migrate' AND to_regclass('dosette.conflicts') IS NOT NULL THEN
            PERFORM set_config('lock_timeout', '0', true), pg_advisory_lock(4711);
        END IF;
    END $$;
"""


def _await(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until, "it did not come about within a minute"
        time.sleep(0.02)


def test_a_migration_gives_way_to_a_service_that_holds_a_table_and_comes_through_after_it(empty: str):
    migrate(empty, {})
    _execute(empty, "DROP SCHEMA dosette CASCADE; DELETE FROM public.migrations")
    holder = psycopg2.connect(empty)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE public.migrations IN SHARE MODE")  # it may read what is applied, and not write
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'public.migrations'::regclass"

    with ThreadPoolExecutor() as pool:
        migrating = pool.submit(migrate, empty, {})
        _await(lambda: _execute(empty, waits) == [(1,)])
        _await(lambda: _execute(empty, waits) == [(0,)])
        holder.close()

        assert migrating.result() == [migration.name for migration in migrations()]
