"""The whole household, running as `make up` runs it, in a folder with a space; and a member's way to talk to it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from dosette_local.testing import Launched

PATIENCE_S = 60
SOON_S = 4
BOUNCE_S = 0.5
"""An edge within 0.4 s of the one before is no new press."""


class Running(Launched):
    """A household that was started by `dosette-local up`."""

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body of a call of the API, by the token of `make up`."""
        headers = {"Authorization": f"Bearer {self.access['token']}", "Idempotency-Key": str(uuid4())}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = Request(f"{self.access['url']}/api/v1{path}", data, headers, method=method)
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status, _read(answer)
        except HTTPError as error:
            return error.code, _read(error)

    def press(self, *words: str) -> bool:
        """Whether `dosette-display press` found something to do."""
        command = [Path(sys.executable).parent / "dosette-display", "press", *words]
        environment = {"DOSETTE_DEVICE_DIR": str(self.data / "device")}
        return subprocess.run(command, capture_output=True, env=environment, check=False).returncode == 0

    def taken_at_the_panel(self, dose: dict[str, Any]) -> dict[str, Any] | None:
        """Presses TAKE; the dose, once it is taken. A press takes what stands on the screen, which may be another dose first."""
        self.press("take")
        time.sleep(BOUNCE_S)
        found = self.dose(dose)
        return found if found["status"] == "taken" else None

    def dose(self, dose: dict[str, Any]) -> dict[str, Any]:
        """The same dose as it is now."""
        _, doses = self.call("GET", f"/doses?medicine={dose['medicine']['id']}")
        found: dict[str, Any] = next(each for each in doses["items"] if each["id"] == dose["id"])
        return found

    def settle(self) -> None:
        """Takes what the demo household has due at this hour, so that the panel has room for the dose of the play."""
        _, pending = self.call("GET", "/medicines/pending")
        for dose in pending["items"]:
            self.call("POST", f"/doses/{dose['id']}/take")

    def picture(self) -> bytes:
        """What the panel shows."""
        return (self.data / "device" / "panel.png").read_bytes()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One household for the plays of a module."""
    with Running(tmp_path_factory.mktemp("My Dosette") / "data") as household:
        yield household


@pytest.fixture
def due_soon(running: Running) -> Callable[[str], dict[str, Any]]:
    """Gives Bruno a medicine, over the API, that is due in a few seconds; its dose."""

    def give(name: str) -> dict[str, Any]:
        _, members = running.call("GET", "/members")
        bruno = next(member["id"] for member in members["items"] if member["name"] == "Bruno")
        new = {"member_id": bruno, "name": name, "strength": "400 mg", "on_hand": "20"}
        status, medicine = running.call("POST", "/medicines", new)
        assert status == 201, medicine
        _, household = running.call("GET", "/household")
        at = (datetime.now(UTC) + timedelta(seconds=SOON_S)).astimezone(ZoneInfo(household["zone"]))
        steps = [{"time": at.strftime("%H:%M:%S"), "amount": "1.5"}]
        status, schedule = running.call(
            "PUT", f"/medicines/{medicine['id']}/schedule", {"steps": steps, "critical": True}
        )
        assert status == 200, schedule
        _, doses = running.call("GET", f"/doses?medicine={medicine['id']}")
        dose: dict[str, Any] = doses["items"][0]
        return dose

    return give


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Starts households that are ended with the test, however it ends."""
    with ExitStack() as ending:

        def begin(data: Path, environ: Mapping[str, str] | None = None, port: int | None = None) -> Running:
            return ending.enter_context(Running(data, environ, port=port))

        yield begin


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Waits for the first truth that a callable tells; fails when none comes in time."""

    def wait(true: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if told := true():
                return told
            time.sleep(0.05)
        raise AssertionError(f"it did not come true within {patience_s} s")

    return wait


def _read(answer: Any) -> Any:
    raw = answer.read()
    return json.loads(raw) if "json" in answer.headers.get("Content-Type", "") else raw
