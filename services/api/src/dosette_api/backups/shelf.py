"""The folder in which backups lie: only such as passed their rehearsal bear a backup's name."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from dosette.domain.backups import Backup, kept
from dosette_api.backups.errors import BackupError

_PART = ".part"


@dataclass(frozen=True)
class Shelf:
    """`folder` is made when it is absent. Files of other servers and other names are left alone."""

    folder: Path
    server: str

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else makes a backup here meanwhile; what a killed one left is gone. Raises BackupError."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._refused(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in self.folder.glob(f".*{_PART}"):
                left.unlink()
            yield
        except BlockingIOError:
            raise BackupError(f"another backup is being made in {self.folder}: wait until it is done") from None
        finally:
            os.close(lock)

    def backups(self) -> list[Backup]:
        """Of this server, oldest first."""
        try:
            found = (Backup.named(path.name) for path in self.folder.iterdir())
            return sorted(each for each in found if each and each.server == self.server)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._refused(error) from None

    @contextmanager
    def part(self, backup: Backup) -> Iterator[tuple[Path, BinaryIO]]:
        """A file for one that is not yet good, readable by its owner only; gone at the end, unless it was put. Raises BackupError."""
        path = self.folder / f".{backup.name}{_PART}"
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                yield path, file
        except OSError as error:
            raise self._refused(error) from None
        finally:
            path.unlink(missing_ok=True)

    def put(self, path: Path, backup: Backup) -> Path:
        """Gives a file its name, for good when this returns."""
        place = self.folder / backup.name
        path.replace(place)
        self._sync()
        return place

    def tidy(self, now: datetime) -> list[Backup]:
        """Removes those that need not be kept; which they were."""
        there = self.backups()
        gone = sorted(set(there) - kept(there, now))
        for each in gone:
            (self.folder / each.name).unlink()
        return gone

    def _refused(self, error: OSError) -> BackupError:
        whose = f" (it must belong to user {os.getuid()})" if isinstance(error, PermissionError) else ""
        return BackupError(
            f"{self.folder} can't be written: {error.strerror}{whose}; the backups that are there are kept"
        )

    def _sync(self) -> None:
        """A new name is on the disk only when its folder is."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
