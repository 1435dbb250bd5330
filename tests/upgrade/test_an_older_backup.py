"""A backup of the previous version is restored by this one, as if its household had been upgraded."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg2
import pyrage
import pytest

from conftest import administer
from dosette.storage import databases
from dosette.storage.migrate import migrations
from dosette.testing import NOON
from dosette_api.backups import keys, programs
from dosette_local.servers.postgres import Postgres
from tests.upgrade.conftest import Version

APPLIED = "SELECT name FROM public.migrations ORDER BY name"
LIVED = (
    "SELECT id, name FROM dosette.members ORDER BY id",
    "SELECT id, name, strength FROM dosette.medicines ORDER BY id",
    "SELECT id, due_at, status FROM dosette.doses WHERE status NOT IN ('pending', 'unknown') ORDER BY id",
    "SELECT medicine_id, on_hand FROM dosette.stock ORDER BY medicine_id",
)
RIGHTS = (
    "SELECT oid::regclass::text, relowner::regrole::text, relacl::text FROM pg_class"
    " WHERE relnamespace = to_regnamespace('dosette') ORDER BY 1",
    "SELECT oid::regprocedure::text, proowner::regrole::text, proacl::text FROM pg_proc"
    " WHERE pronamespace = to_regnamespace('dosette') ORDER BY 1",
)


@pytest.fixture
def older(postgres: Postgres, postgres_url: Callable[[str], str], previous_as_it_was: Version) -> Iterator[str]:
    """The superuser's URL of a database that the previous version made and filled with its demo household."""
    name = f"older_{uuid4().hex}"
    administer(postgres, "CREATE DATABASE {}", name)
    for command in ("migrate", "demo"):
        _dosette(command, PYTHONPATH=previous_as_it_was.python_path, DATABASE_URL=postgres_url(name))
    yield postgres_url(name)
    administer(postgres, "DROP DATABASE {} WITH (FORCE)", name)


def _dosette(*words: str, **environment: str) -> None:
    command = [sys.executable, "-m", "dosette_api.cli", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _back_up(url: str, file: Path, to: str) -> None:
    """As docs/backup.md says that a backup is: pg_dump's custom format, encrypted with age."""
    pg_dump = programs.find("pg_dump", databases.version(url))
    dump = subprocess.run([pg_dump, "--format=custom", f"--dbname={url}"], capture_output=True, check=True).stdout
    file.write_bytes(pyrage.encrypt(dump, keys.recipients(to)))


def _ask(url: str, *queries: str) -> list[list[tuple[object, ...]]]:
    connection = psycopg2.connect(url)
    answers = []
    with connection.cursor() as cursor:
        for query in queries:
            cursor.execute(query)
            answers.append(cursor.fetchall())
    connection.close()
    return answers


def test_a_backup_of_the_previous_version_comes_out_migrated_with_all_that_was_lived(
    older: str, postgres: Postgres, postgres_url: Callable[[str], str], tmp_path: Path
):
    key, file, here = tmp_path / "key", tmp_path / "older.dump.age", {"PYTHONPATH": ":".join(sys.path)}
    name = f"restored_{uuid4().hex}"
    _back_up(older, file, keys.make(key, NOON))

    _dosette("restore", str(file), "--key", str(key), **here, DATABASE_URL=postgres_url(name))

    restored, applied = postgres_url(name), [(migration.name,) for migration in migrations()]
    assert _ask(older, APPLIED)[0] < _ask(restored, APPLIED)[0] == applied
    assert _ask(restored, *LIVED) == _ask(older, *LIVED)
    assert all(_ask(restored, *LIVED))
    assert _ask(restored, *RIGHTS) == _ask(postgres.url, *RIGHTS)
    as_api = f"postgresql://dosette_api:api@127.0.0.1:{postgres.port}/{name}"
    _dosette("verify", **here, DATABASE_URL=as_api)
    databases.drop(postgres.url, name)
