"""A household's plan in a few words, a device in a folder, and a real Valkey."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dosette_local.ports import free_port
from dosette_local.servers.valkey import Valkey

from dosette.bus import Bus, connect
from dosette.contracts.device_file import DeviceFile
from dosette.contracts.names import redis_user
from dosette.contracts.plan import Plan
from dosette.contracts.press import Press
from dosette.contracts.signing import redis_password, seal, signing_key, unseal

EIGHT = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)  # 08:00 in Berlin
DEVICE = "0199f000-0000-7000-8000-000000000001"
KEY = signing_key("a secret", DEVICE, 1)
PASSWORD = redis_password("a secret", DEVICE, 1)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def a_dose(id: str = "metformin", **facts: object) -> dict[str, object]:
    """Due at 08:00, early from 06:00, late from 09:00, missed after 10:00, unless `facts` say otherwise."""
    due_at = facts.pop("due_at", EIGHT)
    assert isinstance(due_at, datetime)
    return {
        "id": id,
        "member": "Bruno",
        "medicine": id.capitalize(),
        "strength": "500 mg",
        "form": "tablet",
        "unit": "tablet",
        "amount": "1",
        "note": "",
        "opens_at": due_at - minutes(120),
        "due_at": due_at,
        "late_at": due_at + minutes(60),
        "closes_at": due_at + minutes(120),
        "status": "pending",
        "resolved_at": None,
    } | facts


def plan_json(*doses: dict[str, object], number: int = 1, issued_at: datetime = EIGHT, **facts: object) -> bytes:
    plan = {
        "v": 1,
        "device_id": DEVICE,
        "device": "Kitchen",
        "zone": "Europe/Berlin",
        "epoch": "first",
        "number": number,
        "pressed": 0,
        "issued_at": issued_at,
        "valid_until": issued_at + timedelta(days=7),
        "doses": doses,
    } | facts
    return json.dumps(plan, default=datetime.isoformat).encode()


def a_plan(*doses: dict[str, object], **facts: object) -> Plan:
    return Plan.from_json(plan_json(*doses, **facts))  # type: ignore[arg-type]


def sealed_plan(*doses: dict[str, object], **facts: object) -> bytes:
    return seal(plan_json(*doses, **facts), KEY)  # type: ignore[arg-type]


def a_press(number: int = 1, kind: str = "take", *dose_ids: str, at: datetime = EIGHT + minutes(3)) -> Press:
    return Press(f"press-{number}", number, DEVICE, kind, dose_ids or ("metformin",), at, "boot", 1.0, True)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("redis") / "valkey", port=free_port(), password="secret") as server:
        yield server


@dataclass
class Home:
    """An agent in a process of its own, and the server's end of its Redis."""

    folder: Path
    redis: str
    bus: Bus
    number: int = 0
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, **environ: str) -> "subprocess.Popen[bytes]":
        log = open(self.folder / "log", "ab")
        command = [sys.executable, "-m", "dosette_display.cli", "run"]
        process = subprocess.Popen(command, env=self._environ(environ), stderr=log)
        log.close()
        self.processes.append(process)
        return process

    def press(self, *words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "dosette_display.cli", "press", *words]
        done = subprocess.run(command, env=self._environ({}), capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def publish(self, *doses: dict[str, object], **facts: object) -> None:
        self.number += 1
        facts = {"number": self.number, "issued_at": datetime.now(UTC)} | facts
        self.bus.publish_plan(DEVICE, sealed_plan(*doses, **facts))

    def presses(self) -> list[Press]:
        """Everything that was sent, each press once."""
        sent = [Press.from_json(unseal(sealed, KEY)) for _, _, sealed in self.bus.presses([DEVICE], 0.01)]
        return sorted({press.id: press for press in sent}.values(), key=lambda press: press.number)

    def admit(self) -> None:
        self.bus.admit_devices({DEVICE: PASSWORD})

    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def journal(self) -> bytes:
        return (self.folder / "journal").read_bytes()

    def _environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        path = os.pathsep.join(filter(None, sys.path))
        own = {"PYTHONPATH": path, "DOSETTE_DEVICE_DIR": str(self.folder), "DOSETTE_DEVICE_REDIS": self.redis}
        return {**os.environ, **own, **environ}


@pytest.fixture
def home(tmp_path: Path, valkey: Valkey) -> Iterator[Home]:
    """On a Redis that was just wiped, in a folder whose path is too long for a socket's address."""
    folder = tmp_path / ("a kitchen with a long name " * 4)
    folder.mkdir()
    redis = connect(valkey.url)
    redis.flushall()
    address = f"127.0.0.1:{valkey.port}"
    DeviceFile(DEVICE, "", "somewhere.else:1", redis_user(DEVICE), PASSWORD, KEY).write(folder / "device.json")
    home = Home(folder, address, Bus(redis))
    home.admit()
    yield home
    for process in home.processes:
        process.kill()
        process.wait()
    redis.close()


def eventually(holds: Callable[[], object], within_s: float = 10.0) -> None:
    """Waits until it holds; fails with what it said last."""
    deadline = time.monotonic() + within_s
    while not (said := holds()):
        assert time.monotonic() < deadline, f"still {said!r} after {within_s} s"
        time.sleep(0.02)


def is_listening(path: Path) -> bool:
    """Whether somebody accepts on a Unix socket, by a name short enough."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as caller:
            return caller.connect_ex(f"/proc/self/fd/{descriptor}/{path.name}") == 0
    finally:
        os.close(descriptor)
