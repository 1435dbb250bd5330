"""The data folder: what lies where in it, its secrets, the ports it remembers, and how to get in."""

import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dosette_local.errors import CannotStart
from dosette_local.ports import free_port, is_free

ROLES = ("api", "scheduler", "worker", "backup")
REDIS_USERS = ("api", "scheduler", "worker")
PASSWORDS = ("superuser", "redis", "signing", "links", *ROLES, *(f"redis_{user}" for user in REDIS_USERS))
LONGEST_PATH = 900  # bytes; PostgreSQL takes 1023 for the path of each of its files (MAXPGPATH)


@dataclass(frozen=True)
class Folder:
    """`.dosette`, or where DOSETTE_DATA says."""

    path: Path

    def prepare(self) -> None:
        """Makes it when it is absent; CannotStart when it can't be written, or its path is too long for PostgreSQL."""
        self._refuse_long_path()
        try:
            # Others may pass, not look: PostgreSQL's account has its own folder in here, and all else is private.
            self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()
        except OSError as error:
            raise CannotStart(
                f"The data folder {self.path} cannot be written ({error.strerror}): "
                "set DOSETTE_DATA to a folder that you may write."
            ) from None

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def device(self) -> Path:
        """Of the display agent: device.json, plan, journal, panel.png."""
        return self.path / "device"

    @property
    def deliveries(self) -> Path:
        """Where the file channel writes."""
        return self.path / "deliveries"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def lock(self) -> Path:
        return self.path / "up.lock"

    @property
    def access(self) -> Path:
        """Of the household that started last: address, token, device; absent until it is ready."""
        return self.path / "access.json"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def passwords(self) -> dict[str, str]:
        """Made once, then always the same. CannotStart when they are gone while the database still asks for them."""
        known = self._secrets()
        if not known and (self.postgres / "PG_VERSION").exists():
            raise CannotStart(
                f"{self._secrets_file} is gone, and {self.postgres} asks for its passwords: "
                "bring it back, or choose another data folder with DOSETTE_DATA."
            )
        missing = {name: secrets.token_urlsafe(32) for name in PASSWORDS if name not in known}
        if missing:
            write_private(self._secrets_file, known | missing)
        return known | missing

    def entry(self, name: str) -> str | None:
        """What `remember` was told under that name."""
        return self._secrets().get(name)

    def remember(self, **entries: str) -> None:
        """Keeps them among the secrets."""
        write_private(self._secrets_file, self._secrets() | entries)

    def forget(self, *names: str) -> None:
        write_private(self._secrets_file, {key: text for key, text in self._secrets().items() if key not in names})

    def ports(self, names: Iterable[str], taken: int) -> dict[str, int]:
        """A free port for each name: that of the last time unless someone has taken it since; never the `taken` one."""
        file = self.path / "ports.json"
        before = read_object(file)
        now: dict[str, int] = {}
        for name in names:
            now[name] = _port(before.get(name), {taken, *now.values()})
        if now != before:
            write_private(file, now)
        return now

    @property
    def _secrets_file(self) -> Path:
        return self.path / "secrets.json"

    def _secrets(self) -> dict[str, str]:
        return {name: str(text) for name, text in read_object(self._secrets_file).items()}

    def _refuse_long_path(self) -> None:
        if (length := len(os.fsencode(self.path))) > LONGEST_PATH:
            raise CannotStart(
                f"The data folder's path has {length} bytes, and PostgreSQL takes {LONGEST_PATH}: "
                f"set DOSETTE_DATA to a shorter one than {self.path}."
            )


def read_object(file: Path) -> dict[str, object]:
    """A JSON object; empty when there is no such file; CannotStart when it holds something else."""
    try:
        value = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CannotStart(f"{file} is damaged: bring it back from a backup, or remove it.")
    return value


def write_private(file: Path, value: Mapping[str, object]) -> None:
    """Whole or not at all, readable by its owner only."""
    new = file.with_name(file.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(value, stream, indent=2)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)


def _port(before: object, taken: set[int]) -> int:
    if isinstance(before, int) and before not in taken and is_free(before):
        return before
    while (port := free_port()) in taken:
        pass
    return port
