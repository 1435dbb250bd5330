"""A second panel, with the real parts: paired by a code, given new keys, alone for three days, revoked."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dosette.clock import MovableClock
from dosette.contracts.device_file import DeviceFile
from dosette.contracts.press import Press
from dosette.device_bus import BusDown, DeviceBus
from dosette_local.wire import Wire

COMMAND = Path(sys.executable).parent / "dosette-display"
ALONE_H = 72
PRESSES = 4
"""On as many of the times at which something falls due, from the first to the last."""


@dataclass
class Panel:
    """An agent in a folder of its own, on a machine of its own as far as it knows."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def say(self, *words: str) -> tuple[int, str]:
        environ = {**os.environ, **self.environ, "DOSETTE_DEVICE_DIR": str(self.folder)}
        done = subprocess.run([COMMAND, *words], env=environ, capture_output=True, text=True, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def start(self, **environ: str) -> None:
        self.environ |= environ
        own = {**os.environ, **self.environ, "DOSETTE_DEVICE_DIR": str(self.folder)}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([COMMAND, "run"], env=own, stderr=log)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def device(self) -> DeviceFile:
        return DeviceFile.read(self.folder / "device.json")

    def picture(self) -> bytes:
        path = self.folder / "panel.png"
        return path.read_bytes() if path.exists() else b""

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines() if line.startswith("{")]

    def due_times(self, since: datetime, until: datetime) -> list[datetime]:
        """By the plan on its card: some of them, the first and the last among them."""
        plan = json.loads((self.folder / "plan.json").read_bytes().split(b" ", 1)[1])
        times = sorted(
            {datetime.fromisoformat(dose["due_at"]) for dose in plan["doses"] if dose["status"] == "pending"}
        )
        coming = [each for each in times if since < each < until]
        return [coming[at * (len(coming) - 1) // (PRESSES - 1)] for at in range(PRESSES)]

    def takes_something(self, pressed: list[tuple[datetime, datetime]], clock: Callable[[], datetime]) -> bool:
        """Presses TAKE; whether there was something to take, and then it notes between which times."""
        before = clock()
        if self.say("press", "take")[0]:
            return False
        pressed.append((before, clock()))
        return True

    def journaled(self) -> list[Press]:
        lines = (self.folder / "journal").read_bytes().splitlines()
        records = [json.loads(line.split(b" ", 1)[1]) for line in lines]
        return [Press.from_json(json.dumps(each["press"]).encode()) for each in records if "press" in each]


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[Panel]:
    folder = tmp_path / "a panel"
    folder.mkdir()
    it = Panel(folder)
    yield it
    it.stop()


def _device(running: Any, name: str) -> dict[str, Any]:
    _, devices = running.call("GET", "/devices")
    return next((each for each in devices["items"] if each["name"] == name), {})


def _pair(running: Any, panel: Panel, name: str) -> None:
    status, offer = running.call("POST", "/devices", {"name": name})
    assert status == 201, offer
    assert panel.say("pair", running.access["url"], offer["code"])[0] == 0


def test_a_panel_is_paired_by_a_typed_code_seen_from_afar_and_gone_within_ten_seconds_of_being_revoked(
    running: Any, panel: Panel, eventually: Callable[..., Any]
):
    _pair(running, panel, "Cellar")
    panel.start()
    eventually(lambda: _device(running, "Cellar").get("shown_at"))
    seen = _device(running, "Cellar")
    assert (seen["state"], seen["waiting"], seen["clock"], bool(seen["version"])) == ("paired", 0, "right", True)
    assert running.call("GET", f"/devices/{seen['id']}/frame.png")[1] == panel.picture()
    before = panel.picture()

    assert running.call("DELETE", f"/devices/{seen['id']}")[0] == 204

    device = panel.device()
    eventually(lambda: panel.picture() != before and not _is_let_in(device), 10)
    assert panel.say("press", "take") == (1, "nothing to do: the screen says NOT PAIRED")
    assert running.call("GET", f"/devices/{seen['id']}/frame.png")[0] == 404
    revoked_picture = panel.picture()
    _pair(running, panel, "Cellar")
    eventually(lambda: panel.picture() != revoked_picture)
    eventually(lambda: _device(running, "Cellar")["seen_at"])
    running.call("DELETE", f"/devices/{seen['id']}")


def _is_let_in(device: DeviceFile) -> bool:
    with closing(DeviceBus(device.redis, device.redis_user, device.redis_password)) as own:
        try:
            own.ping()
        except BusDown:
            return False
    return True


def test_a_panel_without_a_keyboard_shows_a_code_and_is_paired_when_somebody_enters_it(
    running: Any, panel: Panel, eventually: Callable[..., Any]
):
    panel.start(DOSETTE_SERVER=str(running.access["url"]))
    code = eventually(lambda: next((each["code"] for each in panel.log() if "code" in each), None))
    eventually(panel.picture)

    status, offer = running.call("POST", "/devices", {"name": "Hall", "code": code})

    assert (status, offer["code"]) == (201, code)
    eventually(lambda: _device(running, "Hall").get("seen_at"))
    running.call("DELETE", f"/devices/{_device(running, 'Hall')['id']}")


def test_a_panel_gets_new_keys_by_itself_and_goes_on(running: Any, panel: Panel, eventually: Callable[..., Any]):
    _pair(running, panel, "Attic")
    panel.start()
    eventually(lambda: _device(running, "Attic").get("seen_at"))
    old = panel.device()

    status, told = running.call("POST", f"/devices/{_device(running, 'Attic')['id']}/rotate")

    assert status == 200, told
    eventually(lambda: panel.device().generation == 2)
    assert (panel.device().old_key, panel.device().signing_key != old.signing_key) == (old.signing_key, True)
    eventually(lambda: _device(running, "Attic")["uses_new_keys"])
    assert _device(running, "Attic")["state"] == "rotating"
    assert [each for each in panel.log() if each["level"] == "error"] == []
    running.call("DELETE", f"/devices/{_device(running, 'Attic')['id']}")


def test_a_panel_alone_for_three_days_reminds_and_records_and_heals_within_ten_seconds(
    tmp_path: Path, start: Any, panel: Panel, eventually: Callable[..., Any]
):
    clock = MovableClock(tmp_path / "clock")
    running = start(tmp_path / "data", {"DOSETTE_CLOCK_FILE": str(tmp_path / "clock")})
    _pair(running, panel, "Cellar")
    port = int(panel.device().redis.rpartition(":")[2])
    with ExitStack() as stack:
        wire = stack.enter_context(Wire(port))
        panel.start(DOSETTE_CLOCK_FILE=str(tmp_path / "clock"), DOSETTE_DEVICE_REDIS=f"127.0.0.1:{wire.port}")
        eventually(lambda: _device(running, "Cellar").get("seen_at") and (panel.folder / "plan.json").exists())
        wire.cut()
        pressed = []

        for due_at in panel.due_times(clock(), clock() + timedelta(hours=ALONE_H)):
            clock.move(due_at + timedelta(minutes=1) - clock())
            eventually(lambda: panel.takes_something(pressed, clock))
        journaled = panel.journaled()
        wire.mend()
        eventually(lambda: all(_taken(running, press) for press in journaled), 10)
        eventually(lambda: _device(running, "Cellar")["waiting"] == 0)

    assert len(pressed) == PRESSES
    assert [press.number for press in journaled] == list(range(1, len(pressed) + 1))
    for press, (after, before) in zip(journaled, pressed, strict=True):
        assert after <= press.at <= before
    assert journaled[-1].at - journaled[0].at > timedelta(hours=48)
    for press in journaled:
        for times in _taken(running, press):
            assert len(times) == 1, "each press is stored once"
            assert abs(times[0] - press.at) <= timedelta(seconds=2)


def _taken(running: Any, press: Press) -> list[list[datetime]]:
    """For each dose of the press, when it was taken, by history; empty until all are there."""
    since = (press.at - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    _, history = running.call("GET", f"/history?since={since}&limit=200")
    taken = [
        [
            datetime.fromisoformat(event["at"])
            for event in history["items"]
            if event["dose"]["id"] == dose_id and event["kind"] == "taken"
        ]
        for dose_id in press.dose_ids
    ]
    return taken if all(taken) else []
