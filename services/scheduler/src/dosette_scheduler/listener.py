"""Hears PostgreSQL's NOTIFY, so that the scheduler may sleep until something changes."""

import select
import socket

import psycopg2
from psycopg2.extensions import connection as Connection

from dosette.domain.errors import Unavailable
from dosette.storage.connection import connect

CHANNEL = "dosette"


class Listener:
    """A connection of its own; opened when first waited on and again after it was lost."""

    def __init__(self, url: str, woken: socket.socket | None = None) -> None:
        """`woken` ends a wait when it can be read: the process is to stop."""
        self._url = url
        self._also: list[Connection | socket.socket] = [woken] if woken else []
        self._connection: Connection | None = None

    def wait(self, seconds: float) -> set[str]:
        """Ids of the households that changed; returns at once when there are some, else after `seconds`.

        Raises Unavailable when PostgreSQL is away.
        """
        try:
            return self._heard(self._listening(), seconds)
        except psycopg2.Error as error:
            self._connection = None
            raise Unavailable("the database is out of reach") from error

    def _listening(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url, "dosette-listener")
            with self._connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
        return self._connection

    def _heard(self, connection: Connection, seconds: float) -> set[str]:
        if not connection.notifies:
            select.select([connection, *self._also], [], [], seconds)
        connection.poll()
        changed = {notice.payload for notice in connection.notifies}
        connection.notifies.clear()
        return changed
