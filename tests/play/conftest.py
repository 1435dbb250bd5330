"""The whole household, running as `make up` runs it, in a folder with a space; and a member's way to talk to it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from dosette_local.ports import free_port

START_S, PATIENCE_S = 60, 20


@dataclass
class Running:
    """A household that was started by `dosette-local up`."""

    folder: Path
    port: int
    launcher: subprocess.Popen[bytes]

    @property
    def access(self) -> dict[str, str]:
        access: dict[str, str] = json.loads((self.folder / "access.json").read_text())
        return access

    def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        """Status and body of a call of the API, by the token of `make up` unless another is given."""
        headers = {"Authorization": f"Bearer {token or self.access['token']}", "Idempotency-Key": str(uuid4())}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = Request(f"{self.access['url']}/api/v1{path}", data, headers, method=method)
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status, _read(answer)
        except HTTPError as error:
            return error.code, _read(error)

    def command(self, *words: str) -> str:
        """What one of our commands prints, run beside the household."""
        environment = os.environ | {"DOSETTE_DEVICE_DIR": str(self.folder / "device")}
        ran = subprocess.run(
            [_beside(words[0]), *words[1:]], capture_output=True, text=True, env=environment, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def picture(self) -> bytes:
        return (self.folder / "device" / "panel.png").read_bytes()

    def stop(self) -> int:
        self.launcher.send_signal(signal.SIGINT)
        return self.launcher.wait(START_S)


def start_household(folder: Path, port: int) -> Running:
    """Starts the household and waits until its last line is printed."""
    environment = os.environ | {"DOSETTE_DATA": str(folder), "PORT": str(port)}
    command = [_beside("dosette-local"), "up"]
    with (folder.parent / "up.log").open("ab") as output:
        launcher = subprocess.Popen(command, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    running = Running(folder, port, launcher)
    wait_until(lambda: _is_up(running), START_S)
    return running


def wait_until(true: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """The first truth that `true` tells; fails when none comes in time."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if told := true():
            return told
        time.sleep(0.05)
    raise AssertionError(f"{getattr(true, '__name__', true)} did not come true within {patience_s} s")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One household for the plays of a module."""
    household = start_household(tmp_path_factory.mktemp("My Dosette") / "data", free_port())
    yield household
    household.launcher.send_signal(signal.SIGINT)
    household.launcher.wait(START_S)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Waits until something comes true."""
    return wait_until


@pytest.fixture
def start() -> Iterator[Callable[[Path, int], Running]]:
    """Starts households that are ended with the test, however it ends."""
    started: list[Running] = []

    def begin(folder: Path, port: int) -> Running:
        started.append(start_household(folder, port))
        return started[-1]

    yield begin
    for household in started:
        if household.launcher.poll() is None:
            household.stop()


def _is_up(running: Running) -> bool:
    if running.launcher.poll() is not None:
        raise AssertionError((running.folder.parent / "up.log").read_text()[-2000:])
    try:
        with urlopen(f"http://127.0.0.1:{running.port}/ready", timeout=2) as answer:
            return (
                answer.status == 200
                and bool(running.access["device"])
                and (running.folder / "device" / "panel.png").exists()
            )
    except (OSError, ValueError, KeyError):
        return False


def _read(answer: Any) -> Any:
    raw = answer.read()
    return json.loads(raw) if "json" in answer.headers.get("Content-Type", "") else raw


def _beside(command: str) -> str:
    return str(Path(sys.executable).parent / command)
