"""Connections that survive what happens to PostgreSQL."""

import os
import resource
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psycopg2
import psycopg2.extensions
import pytest

from conftest import Home, Server
from dosette.domain.errors import Unavailable
from dosette.storage import connection
from dosette.storage import households as sql
from dosette.storage.connection import Database, Entry, Statement, connect
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


def test_a_process_with_more_than_a_thousand_callers_still_reaches_its_database(home: Home):
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    callers = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    database = Database(home.server.url("api"), "test")
    try:
        database.ping()
        database.ping()
    finally:
        database.close()
        for each in callers:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))


def test_threads_that_ask_one_after_another_share_a_connection(counted: "Counted"):
    for _ in range(5):
        counted.ask_at_once(1)

    assert counted.come_to(1)


def test_threads_that_ask_at_once_wait_for_nobody(counted: "Counted"):
    counted.ask_at_once(3)

    assert counted.come_to(3)


def test_what_nobody_needs_any_more_is_closed_but_for_one(counted: "Counted", monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "IDLE_S", 0.5)
    counted.ask_at_once(3)

    assert counted.come_to(1)


def test_what_is_in_use_is_not_closed(counted: "Counted", monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "IDLE_S", 0.05)
    for _ in range(5):
        counted.ask_at_once(2)  # longer than that, so that some are looked at in the middle of it


def test_a_transaction_keeps_its_connection_to_itself(counted: "Counted"):
    with counted.database.all_or_nothing():
        counted.ask_at_once(1)
        counted.database.ping()

        assert counted.come_to(2)


def test_a_transaction_whose_connection_is_lost_is_never_half_done(counted: "Counted"):
    transaction = counted.database.all_or_nothing()
    transaction.__enter__()
    counted.end_all()

    with pytest.raises(Unavailable):
        counted.database.ping()
    with pytest.raises(Unavailable):
        transaction.__exit__(None, None, None)


@dataclass
class Counted:
    """A database of its own, and what PostgreSQL says of its connections."""

    database: Database
    superuser: psycopg2.extensions.cursor

    def ask_at_once(self, threads: int) -> None:
        """So many threads, each of which begins to ask while all others still do."""
        wait = Statement("wait_a_little", "SELECT pg_sleep(0.2)")
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda _: self.database.run(wait), range(threads)))

    def come_to(self, wanted: int) -> bool:
        """Whether there are so many soon; a closed one takes a moment to leave."""
        return any(len(self._pids()) == wanted or sleep(0.02) for _ in range(100))

    def end_all(self) -> None:
        for pid in self._pids():
            self.superuser.execute("SELECT pg_terminate_backend(%s, 20000)", (pid,))

    def _pids(self) -> list[int]:
        self.superuser.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'counted'")
        return [pid for (pid,) in self.superuser.fetchall()]


@pytest.fixture
def counted(home: Home, postgres: Postgres) -> Iterator[Counted]:
    superuser = psycopg2.connect(postgres.url.rsplit("/", 1)[0] + "/postgres")
    superuser.autocommit = True
    database = Database(home.server.url("api"), "counted")
    with closing(database), closing(superuser), superuser.cursor() as cursor:
        yield Counted(database, cursor)


BACKEND = Statement("backend", "SELECT pg_backend_pid()")


def test_a_server_that_hangs_is_an_outage_in_which_nobody_knows_what_was_saved(home: Home):
    database = Database(home.server.url("api"), "test", timeout_ms=100, watched=True)
    backend: int = database.one(BACKEND)[0]

    os.kill(backend, signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable, match="whether it saved anything is not known"):
            database.run(sql.GET, home.reader())
    finally:
        os.kill(backend, signal.SIGCONT)

    assert database.run(sql.GET, home.reader())
    database.close()


def test_a_look_at_everything_does_not_wait_for_ever_for_a_server_that_hangs(home: Home):
    database = Database(home.server.url("api"), "test", timeout_ms=100, watched=True)

    with database.at_one_moment(home.reader()) as moment:
        backend: int = moment.rows("SELECT pg_backend_pid()")[0][0]
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable):
                moment.rows("SELECT 1")
        finally:
            os.kill(backend, signal.SIGCONT)


def test_those_who_ask_right_after_one_who_waited_in_vain_are_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        database = Database(f"postgresql://nobody@127.0.0.1:{mute.getsockname()[1]}/none", "test")

        waited = [_until_refused(database) for _ in range(10)]

    assert sum(waited[1:]) < waited[0]


def _until_refused(database: Database) -> float:
    began = monotonic()
    with pytest.raises(Unavailable):
        database.ping()
    return monotonic() - began


def test_a_full_disk_is_an_outage_that_says_what_is_full(home: Home):
    full = Entry("DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$")

    with pytest.raises(Unavailable, match="disk is full; nothing was saved"), home.database.at_one_moment(full):
        pass


def test_a_server_that_is_not_there_is_an_outage(server: Server):
    with pytest.raises(Unavailable):
        Database("postgresql://nobody@127.0.0.1:1/none", "test").ping()
