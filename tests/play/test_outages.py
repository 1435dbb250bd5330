"""A household whose Redis or PostgreSQL hangs, as its people see it: on the panel, through the channels that still work, in metrics."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from dosette.clock import MovableClock

SEEN_WITHIN_S = 120
AWAY = timedelta(seconds=110)
"""The same, but for what passes really: the parts see that the clock was moved, and wait for answers that don't come."""


class Household:
    """Lives by a clock of its own. Ana, its admin, has a contact; its panel is in touch."""

    def __init__(self, folder: Path, start: Callable[..., Any], eventually: Callable[..., Any]) -> None:
        self.clock = MovableClock(folder / "clock")
        self.running = start(folder / "data", {"DOSETTE_CLOCK_FILE": os.fspath(folder / "clock")})
        eventually(lambda: self.metric("display-agent", "dosette_panel_link_up") == 1)
        eventually(lambda: self.metric("scheduler", "dosette_redis_up") == 1)
        self.medicine = self.running.call("GET", "/medicines")[1]["items"][0]["id"]

    def refill(self) -> tuple[int, Any]:
        """What somebody writes down meanwhile."""
        told: tuple[int, Any] = self.running.call("POST", f"/medicines/{self.medicine}/stock/refill", {"amount": "10"})
        return told

    @contextmanager
    def frozen(self, server: str) -> Iterator[None]:
        """A server that answers nobody, with all its processes."""
        (pid,) = [each for each in _children(self.running.process.pid) if server in _command(each)]
        os.kill(pid, signal.SIGSTOP)
        stopped = [pid, *_children(pid)]
        for each in stopped:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in stopped:
                os.kill(each, signal.SIGCONT)

    def ana_was_told_of(self, kind: str) -> bool:
        path = self.running.data / "deliveries" / "ana.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return any(json.loads(line)["kind"] == kind for line in lines)

    def alarms(self) -> list[str]:
        return [each["kind"] for each in self.running.call("GET", "/reminders")[1]["items"] if each["kind"] != "dose"]

    def metric(self, service: str, name: str) -> float:
        port = json.loads((self.running.data / "ports.json").read_text())[service]
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@pytest.fixture
def household(tmp_path: Path, start: Callable[..., Any], eventually: Callable[..., Any]) -> Household:
    return Household(tmp_path, start, eventually)


def test_while_redis_hangs_people_are_told_the_panel_says_so_and_doses_are_taken(
    household: Household, eventually: Callable[..., Any]
):
    picture = household.running.picture()

    with household.frozen("valkey-server"):
        eventually(lambda: household.metric("scheduler", "dosette_redis_up") == 0)
        eventually(lambda: household.metric("display-agent", "dosette_panel_link_up") == 0)
        household.clock.move(AWAY)
        eventually(lambda: household.ana_was_told_of("redis_away"))
        eventually(lambda: household.running.picture() != picture)
        _, ready = _get(household, "/ready")
        written, _ = household.refill()

    assert (ready["status"], written) == ("degraded", 201)
    eventually(lambda: "redis_away" not in household.alarms())


@pytest.mark.timeout(300)  # two minutes that pass really
def test_while_postgresql_hangs_nothing_is_called_saved_and_the_panel_says_that_it_hears_nothing(
    household: Household, eventually: Callable[..., Any]
):
    picture = household.running.picture()

    with household.frozen("bin/postgres"):
        answers = [household.refill() for _ in range(5)]  # each within the ten seconds that a call waits
        eventually(lambda: household.running.picture() != picture, SEEN_WITHIN_S)  # a panel goes by what has elapsed

    assert {status for status, _ in answers} == {503}
    assert any("nothing was saved" in told["detail"] for _, told in answers)
    eventually(lambda: household.refill()[0] == 201)


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _get(household: Household, path: str) -> tuple[int, Any]:
    with urlopen(f"{household.running.access['url']}{path}", timeout=10) as answer:
        return answer.status, json.loads(answer.read())
