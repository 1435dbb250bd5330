"""Keys of backups: age's own, so that `age` itself opens a backup without Dosette.

A server needs the public key only. The private one belongs elsewhere: whoever has it and a backup can read everything.
"""

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pyrage import IdentityError, RecipientError, x25519

from dosette_api.backups.errors import BackupError

PRIVATE = "AGE-SECRET-KEY-1"
STDIN = Path("-")


def make(file: Path, now: datetime) -> str:
    """Writes a new private key to a file that is not there yet, for its owner alone to read; the public key. Raises BackupError."""
    identity = x25519.Identity.generate()
    public = str(identity.to_public())
    if file.exists():
        raise BackupError(f"{file} is there already: a key that backups were made with is never overwritten")
    part = file.with_name(f".{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(f"# created: {now.isoformat(timespec='seconds')}\n# public key: {public}\n{identity}\n")
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    except OSError as error:
        raise BackupError(f"{file} can't be written: {error.strerror}") from None
    return public


def recipients(said: str) -> list[x25519.Recipient]:
    """Public keys, separated by commas, spaces or lines. Raises BackupError."""
    words = said.replace(",", " ").split()
    return [_recipient(word) for word in words]


def identities(file: Path) -> Sequence[x25519.Identity]:
    """The private keys in a file, as age-keygen writes it, too; `-` is what is typed or piped in. Raises BackupError."""
    try:
        lines = (sys.stdin.read() if file == STDIN else file.read_text()).split()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(f"the key {file} can't be read: {getattr(error, 'strerror', error)}") from None
    found = [line for line in lines if line.startswith(PRIVATE)]
    try:
        keys = [x25519.Identity.from_str(line) for line in found]
    except IdentityError:
        keys = []
    if not keys:
        raise BackupError(f"{file} holds no private key: a line that begins with {PRIVATE} is wanted")
    return keys


def throwaway() -> x25519.Identity:
    """A key that lives as long as one backup's rehearsal, so that the server needs no private key to try the file out."""
    return x25519.Identity.generate()


def _recipient(word: str) -> x25519.Recipient:
    if word.startswith(PRIVATE):
        raise BackupError(
            "DOSETTE_BACKUP_TO is a private key: keep that one elsewhere, and put the public key (age1…) here"
        )
    try:
        return x25519.Recipient.from_str(word)
    except RecipientError:
        raise BackupError(
            f"DOSETTE_BACKUP_TO={word}: no public key of age; `dosette backup-key FILE` makes one"
        ) from None
