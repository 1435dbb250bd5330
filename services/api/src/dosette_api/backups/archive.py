"""The file of a backup: what pg_dump says, encrypted by age on the way. Nothing is on disk in the clear at any time."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pyrage
from pyrage import x25519

from dosette.storage import databases
from dosette_api.backups import programs
from dosette_api.backups.errors import BackupError


def write(url: str, snapshot: str, out: IO[bytes], to: Sequence[x25519.Recipient]) -> None:
    """Dumps the database of `url` as it was at the snapshot. Raises BackupError; OSError when `out` can't be written."""
    pg_dump = programs.find("pg_dump", databases.version(url))
    wanted = ("--format=custom", "--no-password", f"--snapshot={snapshot}", f"--dbname={programs.options(url)}")
    with tempfile.TemporaryFile() as said, _running((pg_dump, *wanted), url, said) as dumping:
        target = _Target(out)
        try:
            pyrage.encrypt_io(dumping.stdout, target, list(to))
        except pyrage.EncryptError as error:
            dumping.kill()
            raise target.error or BackupError(f"the dump could not be encrypted: {error}") from None
        if dumping.wait() != 0:
            raise BackupError(f"pg_dump failed: {_last_words(said)}")


def load(file: Path, url: str, keys: Sequence[x25519.Identity], as_owner: bool) -> None:
    """Restores a backup into the empty database of `url`; `as_owner`: for trial, where who restores owns everything.

    Raises BackupError.
    """
    pg_restore = programs.find("pg_restore", databases.version(url))
    trial = ("--no-owner", "--no-privileges") if as_owner else ()
    wanted = ("--exit-on-error", "--no-password", *trial, f"--dbname={programs.options(url)}")
    with (
        tempfile.TemporaryFile() as said,
        _opened(file) as source,
        _running((pg_restore, *wanted), url, said) as loading,
    ):
        target = _Target(loading.stdin)
        if fault := _decrypted(source, target, keys):
            loading.kill()
            target.close()
            raise BackupError(f"{file} {fault}")
        target.close()
        if loading.wait() != 0:
            raise BackupError(f"{file} could not be restored: {_last_words(said)}")


def _decrypted(source: IO[bytes], target: "_Target", keys: Sequence[x25519.Identity]) -> str | None:
    """What is wrong with the file or the key; None when all of it was decrypted, or pg_restore would not hear more of it."""
    try:
        pyrage.decrypt_io(source, target, list(keys))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            return "was encrypted for another key: take the private key that belongs to it"
        return f"is no backup of Dosette, or was truncated or altered: {error}"
    except OSError as error:
        if target.error is None:
            return f"was truncated or altered, or can't be read: {error}"
    return None


class _Target:
    """Where bytes go; remembers why they could not, which the library that writes would hide in words."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self.error: OSError | None = None

    def write(self, piece: bytes) -> int:
        try:
            return int(self._out.write(piece))
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        try:
            self._out.flush()
        except OSError as error:
            self.error = error
            raise

    def close(self) -> None:
        """pg_restore may be gone: what it said then says more than a broken pipe."""
        try:
            self._out.close()
        except OSError as error:
            self.error = error


def _opened(file: Path) -> IO[bytes]:
    try:
        return open(file, "rb")
    except OSError as error:
        raise BackupError(f"{file} can't be read: {error.strerror}") from None


def _running(command: Sequence[str | Path], url: str, said: IO[bytes]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=programs.environment(url), stdin=pipe, stdout=pipe, stderr=said)


def _last_words(said: IO[bytes]) -> str:
    said.seek(0)
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line] or lines or ["it said nothing"]
    return errors[0]
