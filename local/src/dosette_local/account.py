"""The account that PostgreSQL runs under: it refuses to run as root, so root starts it as `nobody`.

A checkout below a folder that only root may enter (0700, as mktemp makes it) is closed to `nobody`, and its folders are
not ours to open. The server then keeps one right of root's: to walk through closed folders (capabilities(7), ambient set).
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from dosette_local.errors import CannotStart

# Numbers of linux/capability.h.
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8
NOBODY = 65534


@dataclass(frozen=True)
class Account:
    """Who a child becomes before it executes its program."""

    uid: int
    gid: int
    passes_closed_folders: int | None  # the capability that it keeps for that; None: it needs none

    def owns(self, path: Path) -> None:
        """Gives it the file or folder."""
        os.chown(path, self.uid, self.gid)


def server_account(folder: Path, binaries: Path) -> Account | None:
    """Who runs the server on that data folder; None: we are not root, and run it ourselves.

    A folder that exists keeps its owner, so that root can run what a user has made.
    """
    if os.geteuid() != 0:
        return None
    uid, gid = _owner(folder) or _nobody()
    closed = _closed_folder(folder.parent) or _closed_folder(binaries)
    return Account(uid, gid, _right_to_pass(closed) if closed else None)


def _owner(folder: Path) -> tuple[int, int] | None:
    if not folder.exists():
        return None
    status = folder.stat()
    return (status.st_uid, status.st_gid) if status.st_uid != 0 else None


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return NOBODY, NOBODY
    return entry.pw_uid, entry.pw_gid


def _closed_folder(path: Path) -> Path | None:
    """The first folder on the way to the path (itself included) that others may not enter; one that is still to be made is open."""
    for folder in (path, *path.parents):
        if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def _right_to_pass(closed: Path) -> int:
    """The smaller right of the two that we hold; a container often has the second one only."""
    held = _held() if _held() & 1 << CAP_SETPCAP else 0  # needed to hand the right on
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if held & 1 << capability:
            return capability
    raise CannotStart(
        f"PostgreSQL may not run as root, and the account it runs under may not enter {closed}: "
        "move the checkout to a folder that everyone may enter, or run as a user who owns it."
    )


def _held() -> int:
    """The capabilities that this process has and may hand on, as a bit set."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sets = dict(line.split(":\t", 1) for line in lines if line.startswith("Cap"))
    return int(sets["CapPrm"], 16) & int(sets["CapBnd"], 16)
