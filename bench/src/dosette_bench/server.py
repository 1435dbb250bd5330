"""The server under test: one that runs already, or a household of its own, started for the measurement and ended after."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from dosette_bench.errors import CannotMeasure

STOP_S = 30


@dataclass(frozen=True)
class Server:
    """Where it is and what opens it."""

    url: str
    token: str

    def check(self) -> None:
        """Raises CannotMeasure when it does not answer, or not to this token."""
        request = Request(f"{self.url}/api/v1/household", headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urlopen(request, timeout=5):
                return
        except HTTPError as error:
            raise CannotMeasure(f"{self.url} answers with {error.code}: check --token (dosette token create)") from None
        except (OSError, HTTPException, ValueError) as error:
            raise CannotMeasure(f"{self.url} does not answer ({error}): is it running, is --url right?") from None


@contextmanager
def household_of_its_own() -> Iterator[Server]:
    """Starts `dosette-local up` on a folder of its own. Raises CannotMeasure with its last words when it does not start."""
    with tempfile.TemporaryDirectory(prefix="dosette-bench-") as folder:
        launcher = _launched(Path(folder))
        try:
            _wait_until_ready(launcher)
            access = json.loads((Path(folder) / "data" / "access.json").read_text())
            yield Server(access["url"], access["token"])
        finally:
            launcher.send_signal(signal.SIGTERM)
            launcher.communicate(timeout=STOP_S)


def _launched(folder: Path) -> subprocess.Popen[str]:
    command = Path(sys.executable).parent / "dosette-local"
    if not command.exists():
        raise CannotMeasure(f"{command} is not installed: run `make up` once, or say --url and --token")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "DOSETTE_DATA": str(folder / "data"),
        "PORT": str(_free_port()),
    }
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [command, "up"], env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True
    )


def _wait_until_ready(launcher: subprocess.Popen[str]) -> None:
    shown = ""
    for line in launcher.stdout or ():
        shown += line
        if line.startswith("Ctrl-C"):
            return
    raise CannotMeasure(
        f"the household did not start: {shown.strip().splitlines()[-1] if shown.strip() else 'it said nothing'}"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
