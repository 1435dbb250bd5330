"""Connections to PostgreSQL: as many as threads ask at once, in autocommit, tested when borrowed, with prepared statements.

One call of `Database.run` is one message and one commit: PostgreSQL makes the entry and the statement one transaction.
"""

import logging
import os
import re
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self, TypeVar
from uuid import UUID
from weakref import WeakSet

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, register_adapter
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import UUID_adapter
from psycopg2.sql import Composable

from dosette.domain.errors import (
    Changed,
    DosetteError,
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    Unauthorized,
    Unavailable,
)
from dosette.metrics import counter, histogram

STATEMENT_TIMEOUT_MS = 3000
LOCK_TIMEOUT_MS = 2000
CONNECT_TIMEOUT_S = 3
READER_TIMEOUT_MS = 60_000
"""So long a reader of a long export may fall silent."""
IDLE_S = 30.0
"""A connection beyond the first that was not needed for so long is closed: each costs PostgreSQL some 10 MB."""
LOOK_EVERY_S = 2.0
SLOW_TO_REFUSE_S, REFUSED_FOR_S = 1.0, 1.0
"""Whoever asks in the second after a connection was waited for in vain need not wait as well: they would queue."""
_AWAY = "the database is out of reach; nothing was saved, try again in a few seconds"
SLACK_S = 1.0

log = logging.getLogger(__name__)

Row = tuple[Any, ...]
_T = TypeVar("_T")

_messages = counter("dosette_sql_messages", "Messages sent to PostgreSQL, each one round trip and one commit")
_seconds = histogram(
    "dosette_sql_seconds",
    "Time from sending a message to PostgreSQL to its answer, its time-out or its refusal",
    ("statement",),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0),
)


_seconds_of = cache(_seconds.labels)  # a statement that never ran has no series


class Statement:
    """SQL with `%(named)s` values, prepared once on each connection that uses it; `types` are the values' SQL types."""

    def __init__(self, name: str, sql: str, /, **types: str) -> None:
        places = {value: f"${number}" for number, value in enumerate(types, start=1)}
        body = re.sub(r"%\((\w+)\)s", lambda found: places[found[1]], sql)
        signature = f"({', '.join(types.values())})" if types else ""
        values = f"({', '.join(f'%({value})s' for value in types)})" if types else ""
        self.name = name
        self.types = types
        self.prepare = f"PREPARE {name}{signature} AS {body}"
        self.execute = f"EXECUTE {name}{values}"


@dataclass(frozen=True)
class Entry:
    """The first statement of a message: who asks, and whether the household is locked for a change."""

    sql: str = ""
    values: Mapping[str, object] = field(default_factory=dict)


NOBODY = Entry()

register_adapter(UUID, UUID_adapter)


def uuids(ids: Sequence[str]) -> str:
    """A `uuid[]` value."""
    return "{" + ",".join(ids) + "}"


class Database:
    """Where `run` goes. Safe to share between threads, which borrow the connection that was used last; connect only after a fork.

    Raises Unavailable when PostgreSQL is away, too slow or locked: nothing was saved, unless it says that nobody knows.
    """

    def __init__(
        self, url: str, application: str, timeout_ms: int = STATEMENT_TIMEOUT_MS, *, watched: bool = False
    ) -> None:
        """`watched`: a PostgreSQL that hangs is an outage, too, at the cost of a thread that looks now and then. For who answers
        people; a loop says `process.goes_on`."""
        self._url = url
        self._application = application
        self._timeout_ms = timeout_ms
        self._idle: deque[_Link] = deque()  # the last used is the last; what a deque does is one step for all threads
        self._pinned = threading.local()
        self._closer: threading.Timer | None = None
        self._watch = _Watch() if watched else None
        self._refused_until = 0.0  # time.monotonic()

    def run(self, statement: Statement, entry: Entry = NOBODY, /, **values: object) -> list[Row]:
        """The rows of `statement`, run after `entry` in the same message and the same transaction."""
        return self._borrowed(lambda link: link.run(statement, entry, values), statement.name)

    def one(self, statement: Statement, entry: Entry = NOBODY, /, **values: object) -> Row:
        """The only row of `statement`."""
        return self.run(statement, entry, **values)[0]

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What this thread runs inside is one transaction. For the console: a request's one message is one already."""
        with _as_ours():
            link = self._pinned.link = self._take()
        try:
            self._borrowed(lambda link: link.say("BEGIN"))
            try:
                yield
            except BaseException:
                self._borrowed(lambda link: link.say("ROLLBACK"))
                raise
            self._borrowed(lambda link: link.say("COMMIT"))
        finally:
            self._pinned.link = None
            self._give_back(link)

    @contextmanager
    def at_one_moment(self, entry: Entry) -> Iterator["Moment"]:
        """A look at everything as it is now, however long it takes, over a connection of its own that ends with the block."""
        with _as_ours():
            link = self._connected()
        try:
            moment = Moment(link, max(READER_TIMEOUT_MS, self._timeout_ms))
            moment.begin(entry)
            yield moment
        finally:
            link.connection.close()

    @contextmanager
    def patient(self, timeout_ms: int) -> Iterator["Database"]:
        """The same database over a connection of its own that ends with the block; its statements may take so long.

        A message's time begins to count before its first statement could say otherwise.
        """
        database = Database(self._url, self._application, timeout_ms)
        database._watch = self._watch
        try:
            yield database
        finally:
            database.close()

    def ping(self) -> None:
        """Raises Unavailable when PostgreSQL does not answer."""
        self._borrowed(lambda link: link.say("SELECT 1"))

    def close(self) -> None:
        """Closes what nobody has borrowed."""
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().connection.close()

    def _borrowed(self, use: Callable[["_Link"], _T], statement: str = "none") -> _T:
        _messages.inc()
        started = time.perf_counter()
        try:
            with _as_ours():
                if pinned := getattr(self._pinned, "link", None):
                    with pinned:
                        return use(pinned)
                link = self._take()
                try:
                    with link:
                        return use(link)
                finally:
                    self._give_back(link)
        finally:
            _seconds_of(statement).observe(time.perf_counter() - started)

    def _take(self) -> "_Link":
        while self._idle:
            with suppress(IndexError):  # another thread may have been faster
                if (link := self._idle.pop()).is_alive():
                    return link
                link.connection.close()
        return self._connected()

    def _connected(self) -> "_Link":
        began = time.monotonic()
        if began < self._refused_until:
            raise Unavailable(_AWAY)
        try:
            link = _Link(connect(self._url, self._application, self._timeout_ms), self._timeout_ms)
        except psycopg2.OperationalError:
            if time.monotonic() > began + SLOW_TO_REFUSE_S:
                self._refused_until = time.monotonic() + REFUSED_FOR_S
            raise
        if self._watch:
            self._watch.over(link)
        return link

    def _give_back(self, link: "_Link") -> None:
        if not link.is_free():
            link.connection.close()
            return
        link.free_since = time.monotonic()
        self._idle.append(link)
        if len(self._idle) > 1 and self._closer is None:
            self._close_after(IDLE_S)

    def _close_after(self, seconds: float) -> None:
        self._closer = threading.Timer(seconds, self._close_long_idle)
        self._closer.daemon = True
        self._closer.start()

    def _close_long_idle(self) -> None:
        """All but one, of those that nobody needed; the longest idle is the first."""
        self._closer = None
        now = time.monotonic()
        while len(self._idle) > 1:
            with suppress(IndexError):
                link = self._idle.popleft()
                if (still_s := link.free_since + IDLE_S - now) > 0:
                    self._idle.appendleft(link)
                    self._close_after(still_s)
                    return
                link.connection.close()


class Moment:
    """One transaction that sees nothing of what others do meanwhile."""

    def __init__(self, link: "_Link", may_be_idle_ms: int) -> None:
        self._link = link
        self._may_be_idle_ms = may_be_idle_ms

    def begin(self, entry: Entry) -> None:
        with _as_ours(), self._link as link, link.connection.cursor() as cursor:
            patience = f"SET LOCAL idle_in_transaction_session_timeout = {self._may_be_idle_ms}"
            cursor.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ; {patience}; {entry.sql.rstrip('; ')}", entry.values)

    def pages(self, query: str, size: int) -> Iterator[list[Row]]:
        """The rows of a query, so many at a time: neither we nor PostgreSQL hold them all."""
        with _as_ours(), self._link as link, link.connection.cursor() as cursor:
            cursor.execute(f"DECLARE page NO SCROLL CURSOR FOR {query}")
        while rows := self._fetch(size):
            yield rows
        with _as_ours(), self._link as link, link.connection.cursor() as cursor:
            cursor.execute("CLOSE page")

    def rows(self, query: str | Composable) -> list[Row]:
        """All rows of a query that has few."""
        _messages.inc()
        with _as_ours(), self._link as link, link.connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def _fetch(self, size: int) -> list[Row]:
        _messages.inc()
        with _as_ours(), self._link as link, link.connection.cursor() as cursor:
            cursor.execute("FETCH %s FROM page", (size,))
            return cursor.fetchall()


class _Link:
    """One connection and the names of what is prepared on it; a block in which it is asked something."""

    def __init__(self, connection: Connection, timeout_ms: int) -> None:
        self.connection = connection
        self.free_since = 0.0  # time.monotonic()
        self._prepared: set[str] = set()
        self._patience_s = (LOCK_TIMEOUT_MS + timeout_ms) / 1000 + SLACK_S
        self._asked_at: float | None = None

    def __enter__(self) -> Self:
        self._asked_at = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked_at = None

    def run(self, statement: Statement, entry: Entry, values: Mapping[str, object]) -> list[Row]:
        with self.connection.cursor() as cursor:
            self._prepare(cursor, statement)
            cursor.execute(f"{entry.sql}{statement.execute}", {**entry.values, **values})
            return cursor.fetchall() if cursor.description else []

    def say(self, words: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(words)

    def is_alive(self) -> bool:
        """False when closed, or when PostgreSQL said something while nobody asked, which it does only to say goodbye."""
        if self.connection.closed:
            return False
        said = select.poll()  # select() knows no descriptor above 1023, and an api has as many callers
        said.register(self.connection, select.POLLIN)
        return not said.poll(0)

    def is_free(self) -> bool:
        """False when closed, or when whoever had it was interrupted in the middle of a message."""
        return not self.connection.closed and self.connection.get_transaction_status() == TRANSACTION_STATUS_IDLE

    def is_overdue(self) -> bool:
        """Whether PostgreSQL would have given up by itself, if it were going."""
        asked_at = self._asked_at
        return asked_at is not None and time.monotonic() - asked_at > self._patience_s

    def cut(self) -> None:
        """Ends it under whoever waits for its answer; from any thread."""
        with suppress(psycopg2.Error, OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    def _prepare(self, cursor: Cursor, statement: Statement) -> None:
        if statement.name not in self._prepared:
            cursor.execute(statement.prepare)
            self._prepared.add(statement.name)


class _Watch:
    """Cuts links whose answer is overdue. A stopped process and a dead disk heed no time-out of PostgreSQL's, the network is well, and
    libpq waits for ever; its asynchronous side would end a wait, and costs every message that is answered."""

    def __init__(self) -> None:
        self._links: WeakSet[_Link] = WeakSet()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def over(self, link: _Link) -> None:
        """From now on. The thread begins with the first one: connections are made after a fork only."""
        with self._lock:
            self._links.add(link)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="overdue", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_S)
            with self._lock:
                overdue = [link for link in self._links if link.is_overdue()]
            for link in overdue:
                log.error("PostgreSQL hangs: an answer is overdue, and waited for no longer")
                link.cut()


def connect(url: str, application: str, timeout_ms: int = STATEMENT_TIMEOUT_MS) -> Connection:
    """A connection in autocommit, in UTC, that gives up on slow statements and on locks. Raises psycopg2.Error."""
    connection = psycopg2.connect(
        url,
        connect_timeout=CONNECT_TIMEOUT_S,
        application_name=application,
        options=f"{_OPTIONS} -c statement_timeout={timeout_ms}",
    )
    connection.autocommit = True
    return connection


_OPTIONS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "timezone": "UTC",
        "search_path": "dosette",
        "lock_timeout": LOCK_TIMEOUT_MS,
        "plan_cache_mode": "force_generic_plan",  # planned once, not with each new time of day
        "jit": "off",
        "max_parallel_workers_per_gather": 0,
    }.items()
)


@contextmanager
def _as_ours() -> Iterator[None]:
    """Turns what PostgreSQL says into our errors; a bug of ours stays what it is."""
    try:
        yield
    except psycopg2.Error as error:
        ours = _error(error)
        if ours is None:
            raise
        raise ours from error


def is_locked_out(error: DosetteError) -> bool:
    """Whether somebody else's lock was in the way: what others hold free can be had."""
    return isinstance(error.__cause__, psycopg2.Error) and error.__cause__.pgcode in _LOCKED


def _error(error: psycopg2.Error) -> DosetteError | None:
    code = error.pgcode
    if code == "DO401":
        return Unauthorized("this token is unknown or was revoked; make one with: dosette token create")
    if code == "DO404":
        return NotFound("the message of this link is gone, or the contact that it was sent to was removed")
    if code == "DO409":
        return Refused(error.diag.message_primary or "")
    if code == "DO403":
        scope = error.diag.message_primary
        return Forbidden(f"this token lacks the scope {scope}; make one with: dosette token create --scope {scope}")
    if code == errorcodes.UNIQUE_VIOLATION:
        return Changed("somebody else stored the same at the same time; read it again and repeat")
    if code is not None and code[:2] == errorcodes.CLASS_DATA_EXCEPTION:
        return Invalid(f"a value can't be stored: {error.diag.message_primary}")
    if code is None and error.cursor is not None:  # it was asked, and the line ended
        return Unavailable(
            "the database went away before it answered; whether it saved anything is not known: "
            "look, or ask the same again with the same Idempotency-Key"
        )
    if code == errorcodes.DISK_FULL:
        return Unavailable("the database's disk is full; nothing was saved: free space on it, then try again")
    if code is None or code[:2] in _OUTAGES or code in _TOO_SLOW:
        return Unavailable(_AWAY)
    return None


_OUTAGES = (
    "08",
    "53",
    "57",
    "58",
)  # connection, resources (disk full, too many clients), operator intervention, system error
_LOCKED = (errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED)
_TOO_SLOW = (*_LOCKED, errorcodes.READ_ONLY_SQL_TRANSACTION)
