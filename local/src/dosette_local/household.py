"""The steps of a start: servers, migrations, demo, services; then watching over them; then stopping them in order."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dosette_local import lock
from dosette_local.errors import CannotStart
from dosette_local.folder import ROLES, Folder, write_private
from dosette_local.logs import Log
from dosette_local.ports import LOOPBACK, holder, is_free
from dosette_local.processes import LOOK_EVERY_S, Child, Pause, output_of
from dosette_local.services import METERED, Commands, Service, services
from dosette_local.stores import Stores
from dosette_local.supervision import Watched

LOOK_AGAIN_S = 0.2

Step = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Settings:
    """What the environment says about a start."""

    data: Path
    port: int
    database_url: str | None  # of a superuser; None: a PostgreSQL of our own
    redis_url: str | None  # None: a server of our own
    bin: Path  # where Dosette's commands are
    environ: Mapping[str, str] = field(repr=False)  # what the services inherit
    ready_timeout_s: float = 30.0


@dataclass(frozen=True)
class Access:
    """How to get in."""

    url: str
    token: str
    device: str
    metrics: Mapping[str, str]


class Household:
    """Everything that `make up` runs. For the main thread only: see `processes`."""

    def __init__(self, settings: Settings, step: Step, say: Callable[[str], None], pause: Pause = time.sleep) -> None:
        """`step` shows how long something takes, `say` a line; `pause` is slept with, and may raise to end a start."""
        self.folder = Folder(settings.data)
        self._settings = settings
        self._step = step
        self._say = say
        self._pause = pause
        self._stores: list[Watched] = []
        self._services: list[Watched] = []

    def start(self) -> Access:
        """Returns when all is ready; CannotStart says why it can't be, and then `stop` ends what did start."""
        self.folder.prepare()
        held = lock.hold(self.folder.lock, self._pause)
        self.folder.access.unlink(missing_ok=True)
        _refuse_taken_port(self._settings.port)
        ports = self.folder.ports(("postgres", "valkey", *METERED), self._settings.port)
        stores = self._chosen_stores(ports, held)
        environ = stores.environment(self._settings.environ)
        commands = Commands(self._settings.bin, environ, self.folder, (held,))
        self._start_stores(stores)
        self._migrate(commands, stores)
        self._settle(commands, stores)
        self._start_services(services(commands, stores, self._settings.port, ports))
        return self._write_access(ports)

    def watch(self) -> None:
        """Restarts what ends, until `pause` raises. On a full disk, too, where no log takes a line: PostgreSQL may end of it."""
        note = Log(self.folder.log("launcher")).note
        while True:
            for line in filter(None, [watched.look() for watched in self._stores + self._services]):
                with suppress(OSError):
                    note(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}")
                with suppress(OSError):
                    self._say(line)
            self._pause(LOOK_AGAIN_S)

    def stop(self) -> list[str]:
        """Ends everything, last started first; returns the names of what it ended. May be called at any time.

        The services are asked one after another and waited for together: they need the stores, not each other.
        """
        services = [watched.child for watched in reversed(self._services) if watched.child.running()]
        for child in services:
            child.ask_to_end()
        for child in services:
            child.wait_for_end()
        stores = [watched.child for watched in reversed(self._stores) if watched.child.running()]
        for child in stores:
            child.stop()
        return [child.program.name for child in services + stores]

    def _chosen_stores(self, ports: Mapping[str, int], held: int) -> Stores:
        return Stores(
            self.folder,
            database_url=self._settings.database_url,
            redis_url=self._settings.redis_url,
            ports=ports,
            keeps_open=(held,),
            pause=self._pause,
        )

    def _start_stores(self, stores: Stores) -> None:
        self._stores = [Watched(child, mend=partial(stores.mend, child)) for child in stores.children]
        names = " and ".join(child.program.name for child in stores.children)
        with self._step(f"starting {names}" if names else "using the given servers"):
            stores.start()

    def _migrate(self, commands: Commands, stores: Stores) -> None:
        passwords = self.folder.passwords()
        environ = {f"DOSETTE_DB_PASSWORD_{role.upper()}": passwords[role] for role in ROLES}
        with self._step("bringing the database up to date"):
            self._run(commands, "migrate", environ=environ | {"DATABASE_URL": stores.database})

    def _settle(self, commands: Commands, stores: Stores) -> None:
        """What a new database needs once: the demo household, a token, a panel."""
        if self.folder.entry("database") != stores.database_identity:
            self.folder.forget("token", "device")
            self.folder.remember(database=stores.database_identity)
        environ = {"DATABASE_URL": stores.database_of("api")}
        if not self.folder.entry("token"):
            with self._step("filling the demo household"):
                self._run(commands, "demo", environ=environ)
                token = self._run(commands, "token create", "--name", "demo", environ=environ)
                self.folder.remember(token=token)
        if not (self.folder.entry("device") and self._device_file.exists()):
            with self._step("pairing the virtual panel"):
                self._pair(commands, stores, environ)

    def _pair(self, commands: Commands, stores: Stores, environ: Mapping[str, str]) -> None:
        self._device_file.parent.mkdir(mode=0o700, exist_ok=True)
        self._device_file.unlink(missing_ok=True)
        where = ("--into", os.fspath(self.folder.device), "--redis", stores.redis_address, "--server", self._web)
        secret = {"DOSETTE_SECRET": self.folder.passwords()["signing"]}
        device = self._run(commands, "device pair", "Kitchen", *where, environ={**environ, **secret})
        self.folder.remember(device=device)

    def _run(self, commands: Commands, command: str, *options: str, environ: Mapping[str, str]) -> str:
        """A `dosette` command, to its end."""
        words = ["dosette", *command.split(), *options]
        return output_of(commands.program(f"`dosette {command}`", words, environ, log="dosette"), pause=self._pause)

    def _start_services(self, all_of_them: list[Service]) -> None:
        self.folder.deliveries.mkdir(mode=0o700, exist_ok=True)
        waiting = {Child(service.program): service for service in all_of_them}
        self._services = [Watched(child, service.answers) for child, service in waiting.items()]
        with self._step("starting " + ", ".join(service.program.name for service in all_of_them)):
            for child in waiting:
                child.start()
            self._await_ready(waiting)

    def _await_ready(self, waiting: dict[Child, Service]) -> None:
        deadline = time.monotonic() + self._settings.ready_timeout_s
        while waiting := {child: service for child, service in waiting.items() if not service.well()}:
            for child in waiting:
                if not child.running() or time.monotonic() > deadline:
                    raise CannotStart(_not_ready(child, self._settings.ready_timeout_s))
            self._pause(LOOK_EVERY_S)

    def _write_access(self, ports: Mapping[str, int]) -> Access:
        token, device = self.folder.entry("token") or "", self.folder.entry("device") or ""
        write_private(self.folder.access, {"url": self._web, "token": token, "device": device})
        metered = {"api": self._settings.port} | {name: ports[name] for name in METERED}
        metrics = {name: f"http://{LOOPBACK}:{port}/metrics" for name, port in metered.items()}
        return Access(self._web, token, device, metrics)

    @property
    def _device_file(self) -> Path:
        return self.folder.device / "device.json"

    @property
    def _web(self) -> str:
        return f"http://{LOOPBACK}:{self._settings.port}"


def _refuse_taken_port(port: int) -> None:
    try:
        if is_free(port):
            return
    except PermissionError:
        raise CannotStart(f"Port {port} is for root only: set PORT=8080 or another above 1023.") from None
    raise CannotStart(f"Port {port} is taken ({holder(port) or 'by a process of another user'}): set PORT=another.")


def _not_ready(child: Child, timeout_s: float) -> str:
    log = child.program.log
    what = f"was not ready after {timeout_s:g} s" if child.running() else f"ended (exit code {child.exit_code()})"
    return f"{child.program.name} {what}: {log.complaint()} (see {log.path})"
