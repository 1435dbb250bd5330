"""The stack under test: one that runs already and is seen from outside, or one of our own, started for the run and ended after."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from dosette_bench import processes
from dosette_bench.errors import CannotMeasure
from dosette_bench.processes import Process

HERE = Path(sys.executable).parent  # not resolved: .venv/bin/python is a link to another folder
PROBES = Path(__file__).parents[2] / "probes"  # what runs inside a process of a service, or in place of one
STOP_S = 30
READY_S = 60
ASK_S = 10


class Boxed(Protocol):
    """What is known of a stack in a box; see `box`."""

    launcher_pid: int

    def observed(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Stack:
    """Where it is and what opens it; of our own also its folder and its launcher's process, else None.

    `commands` is where its installation has its commands.

    `writes` is false when nothing may be changed there: somebody's real household may be behind a URL.
    """

    url: str
    token: str
    data: Path | None = None
    launcher: int | None = None
    writes: bool = False
    box: Boxed | None = None
    device: str = ""
    commands: Path = HERE

    @property
    def own(self) -> bool:
        return self.data is not None

    def check(self) -> None:
        """Raises CannotMeasure when it does not answer, or not to this token."""
        try:
            home = self.get("/api/v1/household")
        except HTTPError as error:
            raise CannotMeasure(f"{self.url} answers with {error.code}: {_why(error.code)}") from None
        except ValueError:
            home = None
        except (OSError, HTTPException) as error:
            told = _in_words(error)
            raise CannotMeasure(f"{self.url} does not answer ({told}): is it running, is --url right?") from None
        if not isinstance(home, dict):
            raise CannotMeasure(f"{self.url} answers, but not as Dosette does: is --url right?")

    def get(self, path: str) -> Any:
        """The JSON of an answer. Raises HTTPError and OSError."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON of an answer, None when it is empty. Raises HTTPError and OSError. For setting the scene, not for measuring."""
        sent = None if body is None else json.dumps(body).encode()
        told = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        request = Request(self.url + path, data=sent, headers=told, method=method)
        with urlopen(request, timeout=ASK_S) as answer:
            received = answer.read()
        return json.loads(received) if received else None

    def processes(self) -> list[Process]:
        """Of our own stack, now: a killed one comes back under another id."""
        return processes.family(self.launcher) if self.launcher else []

    def metric(self, part: str, name: str) -> float:
        """The sum of a metric over its labels, as `part` (api, scheduler, worker, display-agent) tells it; 0 when it has none yet."""
        base = self.url if part == "api" else f"http://127.0.0.1:{self._file('ports.json')[part]}"
        with urlopen(f"{base}/metrics", timeout=ASK_S) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((name + "{", name + " ")))

    def database_url(self, role: str) -> str:
        """Of the superuser, or of one of the roles api, scheduler, worker, backup, for our own stack."""
        user = "postgres" if role == "superuser" else f"dosette_{role}"
        password = quote(str(self._file("secrets.json")[role]), safe="")
        return f"postgresql://{user}:{password}@127.0.0.1:{self._file('ports.json')['postgres']}/dosette"

    def redis_url(self) -> str:
        password = quote(str(self._file("secrets.json")["redis"]), safe="")
        return f"redis://:{password}@127.0.0.1:{self._file('ports.json')['valkey']}/0"

    def _file(self, name: str) -> dict[str, Any]:
        if self.data is None:
            raise CannotMeasure(
                "a given server can't be seen from inside: leave --url out, and one of our own is started"
            )
        found: dict[str, Any] = json.loads((self.data / name).read_text())
        return found


def _why(status: int) -> str:
    """Of an answer that is none: what to look at."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "check --token (dosette token create --name bench --scope read)"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "it runs, but is not well; see its log"
    return "is it Dosette, is --url right?"


def _in_words(error: Exception) -> str:
    """Without what Python wraps around it."""
    cause = error.reason if isinstance(error, URLError) else error
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


@contextmanager
def of_its_own(environment: Mapping[str, str] | None = None, commands: Path = HERE) -> Iterator[Stack]:
    """Starts `dosette-local up` on a folder of its own, and ends it after. Raises CannotMeasure with its last words when it does not start.

    `environment` is handed on to every process of it; `commands` is the folder of another installation's commands.
    """
    with tempfile.TemporaryDirectory(prefix="dosette-bench-") as folder:
        os.chmod(folder, 0o711)  # noqa: S103  PostgreSQL's account must pass, and sees nothing of ours
        data = Path(folder) / "data"
        launcher = _launched(commands / "dosette-local", data, environment or {})
        try:
            _wait_until_ready(launcher)
            yield opened(data, launcher.pid, commands=commands)
        finally:
            _end(launcher)


def opened(data: Path, launcher: int, box: Boxed | None = None, commands: Path = HERE) -> Stack:
    """A stack of ours that is ready, by the file in which it says how to get in."""
    access = json.loads((data / "access.json").read_text())
    url, token, device = (access[name] for name in ("url", "token", "device"))
    return Stack(url, token, data, launcher, writes=True, box=box, device=device, commands=commands)


def _launched(command: Path, data: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    if not command.exists():
        raise CannotMeasure(f"{command} is not there: run `make up` in that checkout once")
    told = {"PATH": "/usr/bin:/bin", "HOME": str(data.parent), "DOSETTE_DATA": str(data), "PORT": str(free_port())}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [command, "up", "--with-parent"],  # however we end, even killed: it ends, too
        env={**told, **environment},
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C ends the measurement first, and then we end the stack
    )


def _wait_until_ready(launcher: subprocess.Popen[str]) -> None:
    shown = ""
    for line in launcher.stdout or ():
        shown += line
        if line.startswith("Ctrl-C"):
            return
    raise CannotMeasure(
        f"the stack did not start: {shown.strip().splitlines()[-1] if shown.strip() else 'it said nothing'}"
    )


def _end(launcher: subprocess.Popen[str]) -> None:
    launcher.send_signal(signal.SIGTERM)
    try:
        launcher.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        launcher.kill()  # what it started ends with it
        launcher.communicate()


def wait_until(well: Callable[[], bool], within_s: float, what: str, every_s: float = 0.02) -> float:
    """Seconds until `well()` is true. Raises CannotMeasure saying `what` did not come."""
    began = time.monotonic()
    while not well():
        if time.monotonic() - began > within_s:
            raise CannotMeasure(f"{what} did not come within {within_s:g} s")
        time.sleep(every_s)
    return time.monotonic() - began


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
