"""Whole databases of one PostgreSQL: made, dropped, put into another's place."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from dosette.domain.errors import DosetteError, Refused, Unavailable
from dosette.storage.connection import connect

NO_TIMEOUT = 0
GIVEN_TO_LEAVE_S = 20.0
_AGAIN_S = 0.2


def name_of(url: str) -> str:
    """Of the database that a URL leads to."""
    return urlsplit(url).path.removeprefix("/")


def beside(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def make(url: str, name: str) -> None:
    """An empty one, owned by who asks; `url` is that of any other database there."""
    with _administering(url) as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))


def drop(url: str, name: str) -> None:
    """With whoever is connected to it; nothing when it is not there."""
    with _administering(url) as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def named_like(url: str, prefix: str) -> list[str]:
    """The databases whose names begin so."""
    with _administering(url) as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY datname", (prefix,))
        return [row[0] for row in cursor.fetchall()]


def exists(url: str) -> bool:
    """Whether the database of `url` is there. Raises Unavailable when its server is not."""
    try:
        connect(url, "dosette-console").close()
    except psycopg2.OperationalError as error:
        if "does not exist" in str(error):
            return False
        raise Unavailable(f"the database is out of reach: {str(error).strip()}") from None
    return True


def version(url: str) -> int:
    """The server's major version."""
    with _administering(url) as cursor:
        cursor.execute("SHOW server_version_num")
        return int(cursor.fetchall()[0][0]) // 10_000


def must_be_superuser(url: str) -> None:
    """Raises Refused when the role of `url` is none."""
    with _administering(url) as cursor:
        cursor.execute("SHOW is_superuser")
        if cursor.fetchall()[0][0] != "on":
            raise Refused("a superuser's DATABASE_URL is wanted, as for `dosette migrate`")


def replace(url: str, new: str, old: str, kept_as: str) -> None:
    """Calls the database `new` what `old` was called, and `old`, when it is there, `kept_as`: both or neither.

    `url` leads to a third one. Who is connected to either is thrown out, again and again, since services come back at once. Raises
    DosetteError when that does not help.
    """
    deadline = monotonic() + GIVEN_TO_LEAVE_S
    while True:
        try:
            with _administering(url) as cursor:
                _rename(cursor, new, old, kept_as)
            return
        except psycopg2.errors.ObjectInUse:
            if monotonic() > deadline:
                raise DosetteError(
                    f"others keep connecting to the database {old}: stop Dosette's services, then restore again"
                ) from None
            sleep(_AGAIN_S)


def _rename(cursor: Cursor, new: str, old: str, kept_as: str) -> None:
    cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (%s, %s)", (new, old))
    cursor.execute("SELECT count(*) FROM pg_database WHERE datname = %s", (old,))
    is_there = cursor.fetchall()[0][0]
    cursor.execute("BEGIN")
    if is_there:
        _call(cursor, old, kept_as)
    _call(cursor, new, old)
    cursor.execute("COMMIT")


def _call(cursor: Cursor, name: str, becomes: str) -> None:
    cursor.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(becomes)))


@contextmanager
def _administering(url: str) -> Iterator[Cursor]:
    """A connection that waits as long as it takes; an error of PostgreSQL's own stays what it is."""
    connection = connect(url, "dosette-console", NO_TIMEOUT)
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
