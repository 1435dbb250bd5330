"""Backups as a person types them: made, restored for trial, kept; restored in earnest; and everything that can be wrong with them."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from uuid import uuid4

import psycopg2
import pytest

from conftest import Home, Server
from dosette.actions import doses, reminders
from dosette.actions.doses import Taking
from dosette.domain.backups import Backup
from dosette.storage import databases
from dosette.storage.connection import Database
from dosette.testing import NOON
from dosette_api.backups import keys, nightly, programs
from dosette_local.ports import free_port

SERVER_ELSEWHERE = "01a225ef-b07a-7edc-9843-23824ee929ed"


@dataclass
class Console:
    """Where a person backs up one server: a folder, a key, the command."""

    server: Server
    superuser: str
    folder: Path
    key: Path
    public: str
    settings: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, url: str | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
        here = {
            "DOSETTE_BACKUP_DIR": str(self.folder),
            "DOSETTE_BACKUP_TO": self.public,
            "PYTHONPATH": ":".join(sys.path),
        }
        env = here | {"DATABASE_URL": url or self.server.url("backup")} | self.settings | settings
        command = [sys.executable, "-m", "dosette_api.cli", *words]
        return subprocess.run(command, capture_output=True, text=True, env=env, check=False)

    def backup(self) -> Path:
        told = self.run("backup")
        assert told.returncode == 0, told.stderr
        return self.backups()[-1]

    def restore(self, file: Path, *options: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
        return self.run("restore", str(file), "--key", str(self.key), *options, url=url or self.superuser)

    def backups(self) -> list[Path]:
        return sorted(self.folder.glob("dosette-*")) if self.folder.exists() else []

    def ask(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(self.superuser)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            rows = cursor.fetchall() if cursor.description else []
        connection.close()
        return rows


@pytest.fixture
def console(server: Server, postgres_url: Callable[[str], str], folder_with_a_space: Path) -> Iterator[Console]:
    key = folder_with_a_space / "backup.key"
    made = Console(server, postgres_url(server.name), folder_with_a_space / "backups", key, keys.make(key, NOON))
    yield made
    for left in databases.named_like(postgres_url("postgres"), "dosette_before_"):
        databases.drop(postgres_url("postgres"), left)


@pytest.fixture
def elsewhere(postgres_url: Callable[[str], str]) -> Iterator[str]:
    """The superuser's URL of a database that is not there yet."""
    name = f"elsewhere_{uuid4().hex}"
    yield postgres_url(name)
    databases.drop(postgres_url("postgres"), name)


def test_a_backup_is_encrypted_for_its_owner_alone_and_restored_for_trial(home: Home, console: Console):
    home.dose()

    told = console.run("backup")

    (file,) = console.backups()
    ((server_id, backed_up, bytes_),) = console.ask(
        "SELECT id::text, now() - backed_up_at < interval '5 minutes', backup_bytes FROM dosette.server"
    )
    backup = Backup.named(file.name)
    assert "restored for trial and found equal" in told.stdout, told.stderr
    assert backup is not None
    assert (backup.server, backed_up, bytes_) == (server_id, True, file.stat().st_size)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_bytes().startswith(b"age-encryption.org/v1")
    assert b"Metformin" not in file.read_bytes()
    assert not [path for path in console.folder.iterdir() if path.name.endswith(".part")]
    assert databases.named_like(console.superuser, "dosette_rehearsal_") == []


def test_a_backup_brings_everything_back_into_an_empty_server(home: Home, console: Console, elsewhere: str):
    dose_id = home.dose()
    doses.take(home.database, home.writer(), Taking(NOON, dose_id), home.request(), NOON)
    file = console.backup()

    told = console.restore(file, url=elsewhere)

    assert told.returncode == 0, told.stderr
    copy = Console(console.server, elsewhere, console.folder, console.key, console.public)
    for table in {
        "members",
        "tokens",
        "medicines",
        "schedule_versions",
        "dose_events",
        "stock_entries",
        "stock",
        "replies",
    }:
        rows = f"SELECT t::text FROM dosette.{table} AS t ORDER BY 1"  # noqa: S608
        assert copy.ask(rows) == console.ask(rows), table
    assert copy.ask("SELECT status FROM dosette.doses WHERE id = %s", dose_id) == [("taken",)]
    assert copy.ask("SELECT backed_up_at, backup_bytes FROM dosette.server") == console.ask(
        "SELECT backed_up_at, backup_bytes FROM dosette.server"
    )
    owners = """SELECT relname, relowner::regrole::text, relacl::text FROM pg_class
                 WHERE relnamespace = 'dosette'::regnamespace ORDER BY 1"""
    functions = """SELECT oid::regprocedure::text, proowner::regrole::text, proacl::text FROM pg_proc
                    WHERE pronamespace = 'dosette'::regnamespace ORDER BY 1"""
    assert copy.ask(owners) == console.ask(owners)
    assert copy.ask(functions) == console.ask(functions)
    assert console.run("verify", url=elsewhere).returncode == 0


def test_fifty_doses_confirmed_after_the_dump_are_not_told_as_due_after_the_restore(
    home: Home, console: Console, database_of: Callable[[str], Database]
):
    now = datetime.now(UTC)
    for number in range(50):
        medicine_id = home.medicine(f"Medicine {number}", now=now)
        home.schedule(medicine_id, (now + timedelta(minutes=1 + number % 30)).time().isoformat(), now=now)
    file = console.backup()
    for (dose_id,) in console.ask("SELECT id::text FROM dosette.doses WHERE due_at < %s", now + timedelta(hours=1)):
        doses.take(home.database, home.writer(), Taking(now, str(dose_id)), home.request(), now)
    taken = "SELECT count(*) FROM dosette.doses WHERE status = 'taken'"
    assert console.ask(taken) == [(50,)]

    told = console.restore(file, "--yes")

    assert told.returncode == 0, told.stderr
    assert "Home: 50 doses unknown" in told.stdout
    assert console.ask(taken) == [(0,)]
    _live(database_of("scheduler"), now, now + timedelta(hours=1))
    re_reminded = "SELECT count(*) FROM dosette.reminders WHERE dose_id IS NOT NULL AND tellings > 0"
    assert console.ask(re_reminded) == [(0,)]
    released = console.run("release", url=console.server.url("api"))
    assert "50 doses were unknown" in released.stdout, released.stderr


def _live(scheduler: Database, since: datetime, until: datetime) -> None:
    """What the scheduler does, minute by minute."""
    minute = since
    while minute <= until:
        doses.close_missed(scheduler, minute)
        while reminders.tell_due(scheduler, minute) is not None:
            pass
        minute += timedelta(minutes=1)


def test_a_household_that_is_lived_in_is_not_overwritten_unless_told_and_then_kept_beside(home: Home, console: Console):
    file = console.backup()
    dose_id = home.dose()
    doses.take(home.database, home.writer(), Taking(NOON, dose_id), home.request(), NOON)

    refused = console.restore(file)
    still_there = console.ask("SELECT count(*) FROM dosette.dose_events")
    told = console.restore(file, "--yes")

    assert refused.returncode == 1
    assert "Home lives here, with 1 dose event more than in the backup" in refused.stderr
    assert still_there == [(1,)]
    assert console.ask("SELECT count(*) FROM dosette.dose_events") == [(0,)]
    (before,) = databases.named_like(console.superuser, "dosette_before_")
    assert f'DROP DATABASE "{before}"' in told.stdout
    connection = psycopg2.connect(databases.beside(console.superuser, before))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM dosette.dose_events")
        assert cursor.fetchone() == (1,)
    connection.close()


def test_a_household_that_the_backup_does_not_know_is_named(home: Home, console: Console, elsewhere: str):
    file = console.backup()
    console.run("migrate", url=_empty(elsewhere))
    console.run("found", "Next door", "--zone", "UTC", url=elsewhere)

    refused = console.restore(file, url=elsewhere)

    assert "Next door lives here, and is not in the backup" in refused.stderr


def _empty(url: str) -> str:
    databases.make(databases.beside(url, "postgres"), databases.name_of(url))
    return url


def test_services_that_keep_connecting_do_not_stop_a_restore(home: Home, console: Console):
    file = console.backup()
    connections = [psycopg2.connect(console.server.url(role)) for role in ("api", "scheduler", "worker")]

    told = console.restore(file, "--yes")

    assert told.returncode == 0, told.stderr
    for connection in connections:
        connection.close()


def test_two_backups_begin_different_epochs_when_restored(home: Home, console: Console):
    file = console.backup()
    epoch = console.ask("SELECT epoch FROM dosette.server")

    once = console.restore(file, "--yes")
    first = console.ask("SELECT epoch FROM dosette.server")
    again = console.restore(file, "--yes")

    assert (once.returncode, again.returncode) == (0, 0), once.stderr + again.stderr
    assert len({*epoch, *first, *console.ask("SELECT epoch FROM dosette.server")}) == 3


# What can be wrong


def test_a_key_is_never_overwritten_and_is_its_owners_alone(console: Console):
    before = console.key.read_text()

    told = console.run("backup-key", str(console.key))

    assert (told.returncode, console.key.read_text()) == (1, before)
    assert "a key that backups were made with is never overwritten" in told.stderr
    assert console.key.stat().st_mode & 0o777 == 0o600


def test_a_new_key_prints_what_the_server_needs_and_opens_what_was_made_for_it(
    home: Home, console: Console, elsewhere: str, tmp_path: Path
):
    other = tmp_path / "other.key"
    public = console.run("backup-key", str(other)).stdout.strip()
    console.run("backup", DOSETTE_BACKUP_TO=f"{console.public}, {public}")

    told = console.run("restore", str(console.backups()[0]), "--key", str(other), url=elsewhere)

    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "DOSETTE_BACKUP_TO is not set: make a key with `dosette backup-key FILE`"),
        ("age1nonsense", "DOSETTE_BACKUP_TO=age1nonsense: no public key of age"),
        ("AGE-SECRET-KEY-1QQQ", "DOSETTE_BACKUP_TO is a private key: keep that one elsewhere"),
    ],
)
def test_without_a_proper_public_key_nothing_is_written(home: Home, console: Console, said: str, why: str):
    told = console.run("backup", DOSETTE_BACKUP_TO=said)

    assert (told.returncode, console.backups()) == (1, [])
    assert why in told.stderr


def test_a_folder_that_can_not_be_written_is_named_and_people_are_told(home: Home, console: Console):
    console.folder.parent.joinpath("file").write_text("")

    told = console.run("backup", DOSETTE_BACKUP_DIR=str(console.folder.parent / "file" / "backups"))

    assert told.returncode == 1
    assert "can't be written: Not a directory; the backups that are there are kept" in told.stderr
    assert console.ask(
        "SELECT count(*) FROM dosette.reminders WHERE kind = 'backup_failed' AND status = 'waiting'"
    ) == [(1,)]


def test_the_next_good_backup_ends_the_alarm_of_a_bad_one(home: Home, console: Console):
    console.run("backup", DOSETTE_BACKUP_TO="")

    console.backup()

    assert console.ask("SELECT status, reason FROM dosette.reminders WHERE kind = 'backup_failed'") == [
        ("dropped", "a backup was made")
    ]
    assert console.ask("SELECT backup_fault FROM dosette.server") == [(None,)]


@pytest.mark.parametrize("size", [100, 20_000])
def test_on_a_full_disk_no_backup_is_made_and_the_old_one_stays(home: Home, console: Console, size: int):
    old = console.backup()
    before = old.read_bytes()
    limited = f'ulimit -f {max(1, size // 1024)}; exec "$@"'  # a file may not grow beyond that
    env = {
        "DOSETTE_BACKUP_DIR": str(console.folder),
        "DOSETTE_BACKUP_TO": console.public,
        "PYTHONPATH": ":".join(sys.path),
    }
    command = [
        sys.executable,
        "-c",
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from dosette_api.cli import main; main(['backup'])",
    ]

    told = subprocess.run(
        ["bash", "-c", limited, "bash", *command],
        capture_output=True,
        text=True,
        env=env | {"DATABASE_URL": console.server.url("backup")},
    )

    assert told.returncode == 1
    assert "can't be written: File too large; the backups that are there are kept" in told.stderr
    assert (console.backups(), old.read_bytes()) == ([old], before)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _altered(file: Path) -> None:
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _replaced(file: Path) -> None:
    file.write_text("a shopping list\n" * 100)


@pytest.mark.parametrize("spoil", [_cut, _altered, _emptied, _replaced])
def test_a_spoilt_file_restores_nothing_and_leaves_what_was_there(
    home: Home, console: Console, spoil: Callable[[Path], None]
):
    file = console.backup()
    home.dose()
    before = console.ask("SELECT count(*) FROM dosette.doses")
    spoil(file)

    told = console.restore(file, "--yes")

    assert told.returncode == 1
    assert "truncated or altered" in told.stderr
    assert "Traceback" not in told.stderr
    assert console.ask("SELECT count(*) FROM dosette.doses") == before
    assert databases.named_like(console.superuser, "dosette_restoring") == []


def test_the_wrong_key_is_said_to_be_wrong(home: Home, console: Console, tmp_path: Path):
    file, other = console.backup(), tmp_path / "other.key"
    keys.make(other, NOON)

    told = console.run("restore", str(file), "--key", str(other), "--yes", url=console.superuser)

    assert told.returncode == 1
    assert "was encrypted for another key: take the private key that belongs to it" in told.stderr


@pytest.mark.parametrize("what", ["file", "key"])
def test_a_file_that_is_not_there_is_named(home: Home, console: Console, what: str):
    file = console.backup()
    names = {"file": str(file), "key": str(console.key)} | {what: "/nowhere/at all"}

    told = console.run("restore", names["file"], "--key", names["key"], "--yes", url=console.superuser)

    assert told.returncode == 1
    assert "/nowhere/at all can't be read: No such file or directory" in told.stderr


def test_a_role_that_is_no_superuser_can_not_restore(home: Home, console: Console):
    told = console.restore(console.backup(), "--yes", url=console.server.url("api"))

    assert (told.returncode, "a superuser's DATABASE_URL is wanted" in told.stderr) == (1, True), told.stderr


def test_a_backup_of_a_newer_dosette_is_refused(home: Home, console: Console, elsewhere: str):
    console.ask("INSERT INTO public.migrations VALUES ('9999_later.sql', '')")

    told = console.restore(console.backup(), url=elsewhere)

    assert (told.returncode, "install a newer Dosette" in told.stderr) == (1, True), told.stderr
    assert not databases.exists(elsewhere)


def test_without_the_database_nothing_is_made_and_one_sentence_says_so(console: Console):
    told = console.run("backup", url="postgresql://dosette_backup@127.0.0.1:1/dosette")

    assert (told.returncode, console.backups()) == (1, [])
    assert "out of reach" in told.stderr
    assert "Traceback" not in told.stderr


def test_what_postgresql_refuses_is_one_sentence_and_an_alarm(home: Home, console: Console):
    console.ask("ALTER ROLE dosette_backup NOCREATEDB")
    try:
        told = console.run("backup")
    finally:
        console.ask("ALTER ROLE dosette_backup CREATEDB")

    assert (told.returncode, console.backups()) == (1, [])
    assert "for PostgreSQL says: permission denied to create database" in told.stderr
    assert "Traceback" not in told.stderr
    assert console.ask(
        "SELECT count(*) FROM dosette.reminders WHERE kind = 'backup_failed' AND status = 'waiting'"
    ) == [(1,)]


def test_a_history_that_was_altered_is_still_backed_up_but_told_and_pushes_no_old_backup_out(
    home: Home, console: Console
):
    dose_id = home.dose()
    doses.take(home.database, home.writer(), Taking(NOON, dose_id), home.request(), NOON)
    console.folder.mkdir()
    old = [_pretended(console, days) for days in range(400, 430)]
    console.ask("UPDATE dosette.dose_events SET reason = 'forged'")

    told = console.run("backup")

    assert told.returncode == 1
    assert "the history of Home has 1 faults" in told.stderr
    assert len(console.backups()) == len(old) + 1


def test_old_backups_of_this_server_go_and_other_files_stay(home: Home, console: Console):
    console.folder.mkdir()
    (note, foreign) = (console.folder / "note.txt", console.folder / Backup(NOON, SERVER_ELSEWHERE).name)
    for each in (note, foreign):
        each.touch()
    for days in range(1, 40):
        _pretended(console, days)

    console.backup()

    assert (note.exists(), foreign.exists()) == (True, True)
    assert len(console.backups()) - 1 <= 7 + 4 + 12


def _pretended(console: Console, days_ago: int) -> Path:
    ((server_id,),) = console.ask("SELECT id::text FROM dosette.server")
    path = (
        console.folder
        / Backup((datetime.now(UTC) - timedelta(days=days_ago)).replace(microsecond=0), str(server_id)).name
    )
    path.touch()
    return path


# Z-2: what was written is not what can be read


def _lying_pg_dump(folder: Path, tail: str) -> str:
    """A PATH on which pg_dump loses what it said on the way to the disk, and says that all went well."""
    folder.mkdir()
    real = programs.find("pg_dump", 18)
    script = folder / "pg_dump"
    script.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec "{real}" "$1"\n"{real}" "$@" {tail}\n')
    script.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.mark.parametrize("tail", ["| head -c 4000", "| sed 's/Metformin/Metformax/'", "> /dev/null"])
def test_a_backup_that_does_not_come_back_as_it_was_is_thrown_away_and_told_and_the_old_one_stays(
    home: Home, console: Console, tmp_path: Path, tail: str
):
    home.medicine("Metformin")
    old = console.backup()
    if "sed" in tail:
        tail = f"--compress=0 {tail}"

    told = console.run("backup", PATH=_lying_pg_dump(tmp_path / "bin", tail))

    assert told.returncode == 1, told.stdout
    assert "could not be restored" in told.stderr or "is not what the database holds" in told.stderr
    assert console.backups() == [old]
    assert console.ask("SELECT backup_fault IS NOT NULL, backed_up_at IS NOT NULL FROM dosette.server") == [
        (True, True)
    ]
    assert console.ask(
        "SELECT count(*) FROM dosette.reminders WHERE kind = 'backup_failed' AND status = 'waiting'"
    ) == [(1,)]


# Every night


def test_the_service_makes_one_when_there_is_none_says_how_it_went_and_ends_when_told(home: Home, console: Console):
    port = free_port()
    env = {
        "DOSETTE_BACKUP_DIR": str(console.folder),
        "DOSETTE_BACKUP_TO": console.public,
        "PYTHONPATH": ":".join(sys.path),
    }
    env |= {"DATABASE_URL": console.server.url("backup"), "DOSETTE_METRICS_BIND": f"127.0.0.1:{port}"}
    service = subprocess.Popen(
        [sys.executable, "-m", "dosette_api.cli", "backup", "--nightly"], env=env, stderr=subprocess.DEVNULL
    )

    said = _eventually(lambda: (told := _metrics(port)) and "dosette_backups_kept 1.0" in told and told)
    service.terminate()

    (file,) = console.backups()
    assert f"dosette_backup_size_bytes {float(file.stat().st_size)}" in said
    assert "dosette_backup_rehearsal_passed 1.0" in said
    assert service.wait(timeout=60) == 0


class ClockThatIsSetRight(Event):
    """It runs a year ahead until somebody waits, and then is right; after the next look all is over."""

    ahead = timedelta(days=365)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def wait(self, timeout: float | None = None) -> bool:
        if not self.ahead:
            self.set()
        self.ahead = timedelta()
        return self.is_set()


def test_a_backup_that_was_made_while_the_clock_ran_ahead_is_no_reason_to_make_none(home: Home, console: Console):
    clock = ClockThatIsSetRight()

    nightly.keep_making(
        console.server.url("backup"), console.folder, console.public, datetime.now(UTC).time(), clock.now, clock
    )

    assert len(console.backups()) == 2


def test_a_time_of_day_that_is_none_stops_the_service_with_its_name(console: Console):
    told = console.run("backup", "--nightly", DOSETTE_BACKUP_AT="three")

    assert (told.returncode, "DOSETTE_BACKUP_AT=three: a time of day in UTC is wanted" in told.stderr) == (1, True), (
        told.stderr
    )


def _metrics(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _eventually(true: Callable[[], object]) -> str:
    until = time.monotonic() + 100
    while not (said := true()):
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.1)
    return str(said)
