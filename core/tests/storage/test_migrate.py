"""Migrations: once each, one migrator at a time, never another text under an old name."""

from collections.abc import Iterator
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


def _execute(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


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
