"""A kitchen: a display agent in a process of its own, and the server's end of its Redis."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from redis import Redis

from dosette.bus import Bus
from dosette.contracts.device_file import DeviceFile
from dosette.contracts.names import redis_user
from dosette.contracts.plan import Plan, PlannedDose
from dosette.contracts.press import Press
from dosette.contracts.signing import redis_password, seal, signing_key, unseal
from dosette.testing import a_plan
from dosette_display.buttons import BOUNCE_S
from dosette_display.journal import Journal
from dosette_local.servers.valkey import Valkey

DEVICE = "01980000-0000-7000-8000-000000000001"
KEY = signing_key("a secret", DEVICE, 1)
PASSWORD = redis_password("a secret", DEVICE, 1)


def sealed_by_the_server(plan: Plan, key: str = KEY) -> bytes:
    """As PostgreSQL makes it: amounts as text, times in RFC 3339."""
    return seal(json.dumps({"v": 1} | asdict(plan), default=_text).encode(), key)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(Decimal(str(value)))


@pytest.fixture
def key() -> str:
    """The device's signing key."""
    return KEY


@pytest.fixture
def sealed() -> Callable[..., bytes]:
    return sealed_by_the_server


@dataclass
class Kitchen:
    """What a test does to an agent, and what it can see of it."""

    folder: Path
    address: str
    bus: Bus
    number: int = 0
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, **environ: str) -> "subprocess.Popen[bytes]":
        """An agent, when it can be pressed."""
        before = self.log().count('"started"')
        process = self.start_unpaired(**environ)
        self.eventually(lambda: self.log().count('"started"') > before or process.poll() is not None)
        return process

    def start_unpaired(self, **environ: str) -> "subprocess.Popen[bytes]":
        """An agent, without waiting for anything."""
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(self._command("run"), env=self._environ(environ), stderr=log)
        self.processes.append(process)
        return process

    def press(self, *words: str) -> tuple[int, str]:
        """The exit code and what was said."""
        return self.command("press", *words)

    def press_until(self, answer: str, *words: str) -> None:
        """Until what is said begins so; each time after a pause, since a hand that drums presses once."""

        def answered() -> bool:
            time.sleep(BOUNCE_S)
            return self.press(*words)[1].startswith(answer)

        self.eventually(answered)

    def command(self, *words: str, **environ: str) -> tuple[int, str]:
        """The exit code of `dosette-display` with these words, and what it said."""
        command, around = self._command(*words), self._environ(environ)
        done = subprocess.run(command, env=around, capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def publish(self, *doses: PlannedDose, **facts: object) -> None:
        self.number += 1
        plan = replace(a_plan(*doses, issued_at=datetime.now(UTC)), number=self.number)
        self.bus.publish_plan(DEVICE, sealed_by_the_server(replace(plan, **facts)))  # type: ignore[arg-type]

    def presses(self) -> list[Press]:
        """Everything that was sent, each press once."""
        entries = [entry for entry in self.bus.presses([DEVICE], 0.01) if not entry.alive]
        sent = [Press.from_json(unseal(entry.sealed, KEY)) for entry in entries]
        return list({press.id: press for press in sent}.values())

    def frame(self) -> bytes | None:
        return self.bus.frame(DEVICE)

    def admit(self) -> None:
        """As the scheduler does at every reconnect."""
        self.bus.admit_devices({DEVICE: [PASSWORD]})

    def journal_is_empty(self) -> bool:
        return not Journal(self.folder / "journal", DEVICE).waiting()

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def eventually(self, holds: Callable[[], object], within_s: float = 10.0) -> None:
        deadline = time.monotonic() + within_s
        while not (said := holds()):
            assert time.monotonic() < deadline, f"still {said!r} after {within_s} s:\n{self.log()}"
            time.sleep(0.02)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "dosette_display.cli", *words]

    def _environ(self, environ: dict[str, str]) -> dict[str, str]:
        own = {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "DOSETTE_DEVICE_DIR": str(self.folder),
            "DOSETTE_DEVICE_REDIS": self.address,
        }
        return {**os.environ, **own, **environ}


@pytest.fixture
def kitchen(tmp_path: Path, valkey: Valkey, redis: Redis) -> Iterator[Kitchen]:
    """In a folder whose path is too long for a socket's address."""
    folder = tmp_path / ("a kitchen with a long name, " * 5 + "really")
    folder.mkdir()
    device = DeviceFile(DEVICE, "", "somewhere.else:1", redis_user(DEVICE), PASSWORD, KEY)
    device.write(folder / "device.json")
    kitchen = Kitchen(folder, f"127.0.0.1:{valkey.port}", Bus(redis))
    kitchen.admit()
    yield kitchen
    for process in kitchen.processes:
        process.kill()
        process.wait()
