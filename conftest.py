"""What every package's tests share: a real PostgreSQL, a real Redis-compatible server, and a household to live in."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg2
import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright
from psycopg2 import sql
from redis import Redis

from dosette.actions import households, medicines, schedules
from dosette.actions.medicines import WantedMedicine
from dosette.actions.replies import Request
from dosette.actions.schedules import WantedSchedule
from dosette.bus import connect as connect_redis
from dosette.domain.members import SCOPES
from dosette.domain.schedules import Step
from dosette.storage import doses as dose_sql
from dosette.storage.access import at_console, with_token
from dosette.storage.connection import Database, Entry
from dosette.storage.migrate import migrate
from dosette.testing import NOON
from dosette_local.ports import free_port
from dosette_local.servers.postgres import Postgres
from dosette_local.servers.valkey import Valkey

settings.register_profile("any machine", deadline=None)  # a loaded one is no bug
settings.load_profile("any machine")

ROLES = ("api", "scheduler", "worker", "backup")
TEMPLATE = "dosette"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Server:
    """A migrated database of one test, as each role reaches it."""

    address: str
    name: str

    def url(self, role: str) -> str:
        return f"postgresql://dosette_{role}:{role}@{self.address}/{self.name}"

    def database(self, role: str) -> Database:
        return Database(self.url(role), "dosette-test")


@dataclass(frozen=True)
class Home:
    """A household with Ana (admin) and Bruno, a token of Ana's, and short ways to say what a test needs."""

    server: Server
    database: Database
    id: str
    ana: str
    bruno: str
    token: str
    console: Entry
    keys: Iterator[int] = field(default_factory=count)

    def reader(self) -> Entry:
        return with_token(self.token, "read")

    def writer(self, scope: str = "doses:take") -> Entry:
        return with_token(self.token, scope, writes=True)

    def request(self, key: str | None = None) -> Request:
        """A request of its own, or the one of `key`."""
        return Request(key or f"key-{next(self.keys)}", (key or "").encode())

    def medicine(
        self, name: str = "Metformin", on_hand: str = "30", member: str | None = None, now: datetime = NOON
    ) -> str:
        """The id of a new medicine of Bruno's."""
        wanted = WantedMedicine(member or self.bruno, name, "500 mg", "tablet", "tablet")
        told = medicines.add(self.database, self.console, wanted, Decimal(on_hand), Request(None, b""), now)
        medicine_id: str = json.loads(told.body)["id"]
        return medicine_id

    def schedule(self, medicine_id: str, *times: str, now: datetime = NOON, amount: str = "1") -> None:
        """From `now` on, `amount` units at each of `times` (UTC)."""
        steps = tuple(Step(time.fromisoformat(at), Decimal(amount)) for at in times)
        wanted = WantedSchedule(steps, zone="UTC")
        schedules.change(self.database, self.console, self.console, medicine_id, wanted, Request(None, b""), now)

    def doses(
        self, since: datetime = NOON - timedelta(days=30), until: datetime = NOON + timedelta(days=30)
    ) -> list[dict[str, object]]:
        """Up to 200 doses due in [since, until), as JSON."""
        everyone: dict[str, object] = {"member": None, "medicine": None, "state": None, "after": None}
        row = self.database.one(dose_sql.LIST, self.reader(), since=since, until=until, **everyone, limit=200, now=NOON)
        items: list[dict[str, object]] = json.loads(row[0])["items"]
        return items

    def rule(self, medicine_id: str, steps: tuple[Step, ...], now: datetime = NOON, **rule: Any) -> None:
        """From `now` on, a schedule of any kind, in UTC."""
        wanted = WantedSchedule(steps, zone="UTC", rule=rule)
        schedules.change(self.database, self.console, self.console, medicine_id, wanted, Request(None, b""), now)

    def dose(self, due_at: datetime = NOON + timedelta(minutes=30), on_hand: str = "30", amount: str = "1") -> str:
        """The id of a dose of a new medicine of Bruno's, due at `due_at` (UTC)."""
        medicine_id = self.medicine(f"Medicine {uuid4()}", on_hand)
        self.schedule(medicine_id, due_at.astimezone(ZoneInfo("UTC")).time().isoformat(), amount=amount)
        return next(str(dose["id"]) for dose in self.doses() if dose["medicine"]["id"] == medicine_id)  # type: ignore[index]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A real PostgreSQL with one migrated database, from which each test's is copied."""
    with Postgres(
        tmp_path_factory.mktemp("postgres") / "data", port=free_port(), password="postgres", durable=False
    ) as server:
        migrate(server.url, {role: role for role in ROLES})
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Callable[[str], str]:
    """The superuser's URL of a database by its name."""
    return lambda name: f"{postgres.url.rsplit('/', 1)[0]}/{name}"


@pytest.fixture
def server(postgres: Postgres) -> Iterator[Server]:
    """A database of this test's own, empty and migrated."""
    with a_database(postgres) as made:
        yield made


@pytest.fixture
def other_server(postgres: Postgres) -> Iterator[Server]:
    """Another one, which knows nothing of the first."""
    with a_database(postgres) as made:
        yield made


@contextmanager
def a_database(postgres: Postgres) -> Iterator[Server]:
    """A migrated database for as long as the block."""
    name = f"test_{uuid4().hex}"
    administer(postgres, "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, TEMPLATE)
    yield Server(f"127.0.0.1:{postgres.port}", name)
    administer(postgres, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def database_of(server: Server) -> Iterator[Callable[[str], Database]]:
    """Databases by role, closed after the test."""
    with ExitStack() as closing:

        def database(role: str) -> Database:
            made = server.database(role)
            closing.callback(made.close)
            return made

        yield database


@pytest.fixture
def home(server: Server, database_of: Callable[[str], Database]) -> Home:
    """A household to live in."""
    return found_home(server, database_of("api"), "Home")


def found_home(server: Server, database: Database, name: str) -> Home:
    household_id = households.found(database, name, "UTC", NOON)
    console = at_console(household_id)
    people = [
        json.loads(households.add_member(database, console, who, role, Request(None, b""), NOON).body)["id"]
        for who, role in (("Ana", "admin"), ("Bruno", "self"))
    ]
    token = households.add_token(database, console, "test", "Ana", SCOPES, NOON)
    return Home(server, database, household_id, *people, token, console)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A real Redis-compatible server."""
    with Valkey(tmp_path_factory.mktemp("valkey") / "data", port=free_port(), password="valkey") as server:
        yield server


@pytest.fixture
def redis(valkey: Valkey) -> Iterator[Redis]:
    """A client of it, with nothing in it."""
    client = connect_redis(valkey.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def folder_with_a_space(tmp_path: Path) -> Path:
    """Where people really keep things."""
    folder = tmp_path / "My Dosette"
    folder.mkdir()
    return folder


def administer(postgres: Postgres, statement: str, *names: str) -> None:
    connection = psycopg2.connect(postgres.url.rsplit("/", 1)[0] + "/postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
    connection.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The Chromium of this system; tests that ask for it carry the mark `browser`."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path is not None, "pages are looked at in a real browser: install Chromium (Debian: apt install chromium)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
