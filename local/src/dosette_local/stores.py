"""The database and the Redis of a household: at an address that was given, or servers of our own."""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from dosette_local.errors import CannotStart
from dosette_local.folder import REDIS_USERS, Folder
from dosette_local.processes import Child, Pause
from dosette_local.servers.postgres import Postgres
from dosette_local.servers.valkey import Valkey

USUAL_PORTS = {"redis": 6379, "rediss": 6379, "postgresql": 5432, "postgres": 5432}


class Stores:
    """Where the household keeps things; starts what is its own."""

    def __init__(
        self,
        folder: Folder,
        *,
        database_url: str | None,
        redis_url: str | None,
        ports: Mapping[str, int],
        keeps_open: tuple[int, ...],
        pause: Pause,
    ) -> None:
        """A URL that is None is that of a server of our own; that of a database must be a superuser's."""
        self._given_database = _checked("DATABASE_URL", database_url, ("postgresql", "postgres"))
        self._given_redis = _checked("REDIS_URL", redis_url, ("redis", "rediss"))
        self._passwords = folder.passwords()
        self._postgres = self._valkey = None
        if not self._given_database:
            self._postgres = Postgres(
                folder.postgres,
                port=ports["postgres"],
                password=self._passwords["superuser"],
                log=folder.log("postgres"),
                keeps_open=keeps_open,
                pause=pause,
            )
        if not self._given_redis:
            self._valkey = Valkey(
                folder.valkey,
                port=ports["valkey"],
                password=self._passwords["redis"],
                users={user: self._passwords[f"redis_{user}"] for user in REDIS_USERS},
                log=folder.log("valkey"),
                keeps_open=keeps_open,
                pause=pause,
            )

    @property
    def children(self) -> list[Child]:
        """Of our own servers, the last to be stopped first."""
        return [server.child for server in self._own]

    def mend(self, child: Child) -> None:
        """Before it is started again: a file of Redis that can't be read would end it for ever."""
        if self._valkey and child is self._valkey.child:
            self._valkey.mend()

    def start(self) -> None:
        """Both at once; a new PostgreSQL takes longest to begin, so it comes last."""
        for server in reversed(self._own):
            server.begin()
        for server in self._own:
            server.wait_until_ready()

    @property
    def _own(self) -> list[Postgres | Valkey]:
        return [server for server in (self._postgres, self._valkey) if server]

    @property
    def database(self) -> str:
        """The superuser's URL."""
        return self._postgres.url if self._postgres else self._given_database

    def database_of(self, role: str) -> str:
        """The same database for one of Dosette's roles; options such as sslmode stay."""
        own_name = f"dosette_{role}:{self._passwords[role]}@{_address(self.database)}"
        return urlunsplit(urlsplit(self.database)._replace(netloc=own_name))

    @property
    def database_identity(self) -> str:
        """Tells one database from another: a token and a panel belong to the one that they were made in."""
        if self._postgres:
            return self._postgres.identity()
        return f"{_address(self._given_database)}{urlsplit(self._given_database).path}"

    def redis_of(self, user: str) -> str:
        """The URL for one of Dosette's services; a given server is reached as it was given."""
        return self._valkey.url_of(user) if self._valkey else self._given_redis

    @property
    def redis_address(self) -> str:
        """HOST:PORT."""
        return _address(self._valkey.url if self._valkey else self._given_redis)

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What a service may inherit: libpq's own variables are for a given database, not for ours."""
        return {name: text for name, text in environ.items() if not (self._postgres and name.startswith("PG"))}


def given(environ: Mapping[str, str], name: str) -> str | None:
    """The variable, or what is in the file that NAME_FILE names; None when neither says anything."""
    if value := environ.get(name, "").strip():
        return value
    file = environ.get(f"{name}_FILE", "").strip()
    if not file:
        return None
    try:
        with open(file) as stream:
            return stream.read().strip() or None
    except OSError as error:
        raise CannotStart(f"{name}_FILE={file} cannot be read ({error.strerror}).") from None


def _checked(name: str, url: str | None, schemes: tuple[str, ...]) -> str:
    if not url:
        return ""
    try:
        well_formed = urlsplit(url).scheme in schemes and urlsplit(url).hostname and urlsplit(url).port != 0
    except ValueError:
        well_formed = False
    if not well_formed:
        raise CannotStart(
            f"{name} is no address of the form {schemes[0]}://USER:PASSWORD@HOST:PORT/NAME: correct or unset it."
        )
    return url


def _address(url: str) -> str:
    """HOST:PORT of a URL."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or USUAL_PORTS[parts.scheme]}"
