"""Applies the migrations: numbered files, each in one transaction, one migrator at a time.

Not dbmate: it holds no lock against a second migrator and records no checksum (docs/decisions/0001-own-migrator.md).
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from dosette.domain.errors import DosetteError

ROLES = ("migrator", "api", "scheduler", "worker", "backup")
LOCK_WAIT = "30s"
TABLE_WAIT, TRIES = "2s", 15
"""Whoever waits for a table holds up all who come after: so a migration gives way soon, and is tried again."""
_ONE_MIGRATOR = 0x0D05E77E  # the advisory lock's number; any other would do


class MigrationError(DosetteError):
    """The database and this program don't fit together; nothing was changed."""

    code = "migration"


@dataclass(frozen=True)
class Migration:
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """The shipped ones, in order."""
    folder = files("dosette.storage") / "migrations"
    shipped = sorted((each for each in folder.iterdir() if each.name.endswith(".sql")), key=lambda each: each.name)
    return [Migration(each.name, each.read_text()) for each in shipped]


def migrate(url: str, passwords: Mapping[str, str]) -> list[str]:
    """Brings the database of `url` (a superuser's) up to date; the names of what was applied.

    Creates the five roles when absent and sets the passwords given by role name. Killed at any statement, it can be run again.
    """
    with _connected(url) as (connection, cursor):
        return list(_migrated(connection, cursor, passwords))


def ensure_roles(url: str) -> None:
    """Creates the five roles when absent, for a dump that names them; `url` may lead to any database of the server."""
    with _connected(url) as (_, cursor):
        _ensure_roles(cursor, {})


@contextmanager
def _connected(url: str) -> Iterator[tuple[Connection, Cursor]]:
    try:
        connection = psycopg2.connect(url, application_name="dosette-migrate")
    except psycopg2.OperationalError as error:
        raise MigrationError(f"can't connect to the database: {str(error).strip()}") from None
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            _be_the_only_one(cursor)
            yield connection, cursor
    finally:
        connection.close()


def _be_the_only_one(cursor: Cursor) -> None:
    """The lock goes with the connection."""
    cursor.execute("SET lock_timeout = %s", (LOCK_WAIT,))
    try:
        cursor.execute("SELECT pg_advisory_lock(%s)", (_ONE_MIGRATOR,))
    except psycopg2.errors.LockNotAvailable:
        raise MigrationError("another migration is running: wait until it is done, then run this one again") from None
    cursor.execute("SET lock_timeout = %s", (TABLE_WAIT,))


def _migrated(connection: Connection, cursor: Cursor, passwords: Mapping[str, str]) -> Iterator[str]:
    _ensure_roles(cursor, passwords)
    _admit_migrator(cursor)
    _ensure_record(cursor)
    applied = _applied(cursor)
    _check(applied)
    for migration in migrations():
        if migration.name not in applied:
            _apply_in_turn(connection, cursor, migration)
            yield migration.name


def _ensure_record(cursor: Cursor) -> None:
    """What was applied; owned by a role that is there on every server, so that a dump can name it."""
    cursor.execute("CREATE TABLE IF NOT EXISTS public.migrations (name text PRIMARY KEY, checksum text NOT NULL)")
    cursor.execute("SELECT relowner::regrole::text FROM pg_class WHERE oid = 'public.migrations'::regclass")
    if cursor.fetchall() != [("dosette_migrator",)]:
        cursor.execute("ALTER TABLE public.migrations OWNER TO dosette_migrator")


def _ensure_roles(cursor: Cursor, passwords: Mapping[str, str]) -> None:
    cursor.execute("SELECT rolname FROM pg_roles")
    present = {row[0] for row in cursor.fetchall()}
    for role in (f"dosette_{each}" for each in ROLES):
        if role not in present:
            cursor.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    for each, password in passwords.items():
        cursor.execute(
            sql.SQL("ALTER ROLE {} LOGIN PASSWORD %s").format(sql.Identifier(f"dosette_{each}")), (password,)
        )
    # A dump must hold every row, and is tried out in a database of its own.
    cursor.execute("ALTER ROLE dosette_backup BYPASSRLS CREATEDB; GRANT pg_read_all_data TO dosette_backup")


def _admit_migrator(cursor: Cursor) -> None:
    cursor.execute("SELECT current_database()")
    database = sql.Identifier(cursor.fetchall()[0][0])
    cursor.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO dosette_migrator").format(database))
    cursor.execute("GRANT pg_read_all_stats TO dosette_migrator")  # for vitals(): who waits how long, not what they ask


def _applied(cursor: Cursor) -> dict[str, str]:
    cursor.execute("SELECT name, checksum FROM public.migrations")
    return dict(cursor.fetchall())


def _check(applied: Mapping[str, str]) -> None:
    shipped = {migration.name: migration.checksum for migration in migrations()}
    for name, checksum in applied.items():
        if name not in shipped:
            raise MigrationError(
                f"the database has migration {name}, which this version does not know: install a newer Dosette"
            )
        if shipped[name] != checksum:
            raise MigrationError(
                f"migration {name} was changed after it was applied: install the Dosette that applied it"
            )


def _apply_in_turn(connection: Connection, cursor: Cursor, migration: Migration) -> None:
    """Between the transactions of services that are running."""
    for _ in range(TRIES):
        try:
            _apply(connection, cursor, migration)
        except psycopg2.errors.LockNotAvailable:
            continue
        return
    raise MigrationError(
        f"migration {migration.name} waited in vain for a table that somebody keeps locked: stop Dosette's services, then run it again"
    )


def _apply(connection: Connection, cursor: Cursor, migration: Migration) -> None:
    connection.autocommit = False
    try:
        cursor.execute("SET LOCAL ROLE dosette_migrator")
        cursor.execute(migration.text)
        cursor.execute("RESET ROLE")
        cursor.execute("INSERT INTO public.migrations VALUES (%s, %s)", (migration.name, migration.checksum))
        connection.commit()
    except BaseException:
        if not connection.closed:
            connection.rollback()
        raise
    finally:
        if not connection.closed:
            connection.autocommit = True
