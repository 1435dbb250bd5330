"""TCP ports of 127.0.0.1: which are free, and who holds one."""

import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the range that Linux gives to outgoing connections (32768 and up), which would take our port between two starts.
CHOICE = range(20000, 32768)
LISTENING = "0A"
_chance = random.SystemRandom()


def free_port() -> int:
    """A port that nobody listens on; drawn at random, so that two test runs at once hardly ever meet: by the system, for a test
    runner may begin everybody's chance with the same number."""
    for _ in range(1000):
        port = _chance.choice(CHOICE)
        if is_free(port):
            return port
    raise OSError(f"no free port between {CHOICE.start} and {CHOICE.stop}")


def is_free(port: int) -> bool:
    """Whether a server could listen there; a port that we may not use (below 1024 as a user) raises PermissionError."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError:
            raise
        except OSError:
            return False
        return True


def answers(port: int) -> bool:
    """Whether someone accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def holder(port: int) -> str | None:
    """Who listens there, as "name, process 123"; None when it can't be seen (another user's process)."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*"):
        if inodes & _sockets(process):
            return f"{(process / 'comm').read_text().strip()}, process {process.name}"
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _sockets(process: Path) -> set[str]:
    """The inodes of a process's sockets; empty when it is gone or not ours to look into."""
    try:
        links = [str(link.readlink()) for link in (process / "fd").iterdir()]
    except OSError:
        return set()
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
