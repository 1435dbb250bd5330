"""Connections that survive what happens to PostgreSQL."""

from pathlib import Path

import psycopg2
import pytest

from conftest import Home, Server
from dosette.domain.errors import Unavailable
from dosette.storage import households as sql
from dosette.storage.connection import Database, connect
from dosette_local.ports import free_port
from dosette_local.servers.postgres import Postgres


def test_a_connection_that_the_server_closed_is_replaced_unseen(home: Home, postgres: Postgres):
    home.database.ping()
    superuser = psycopg2.connect(postgres.url)
    with superuser.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE datname = %s", (home.server.name,)
        )
    superuser.close()

    assert home.database.run(sql.GET, home.reader())


def test_a_locked_household_is_an_outage_not_a_wait_without_end(home: Home):
    other = connect(home.server.url("api"), "other")
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT enter_console(%s)", (home.id,))

        with pytest.raises(Unavailable):
            home.database.run(sql.GET, home.writer())
        cursor.execute("ROLLBACK")
    other.close()


def test_a_restarted_server_is_found_again(tmp_path: Path):
    with Postgres(tmp_path / "data", port=free_port(), password="postgres", durable=False) as postgres:
        database = Database(postgres.url, "test")
        database.ping()
        postgres.kill()
        with pytest.raises(Unavailable):
            database.ping()
        postgres.start()

        database.ping()
        database.close()


def test_a_server_that_is_not_there_is_an_outage(server: Server):
    with pytest.raises(Unavailable):
        Database("postgresql://nobody@127.0.0.1:1/none", "test").ping()
