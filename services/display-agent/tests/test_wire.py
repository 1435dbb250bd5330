"""The agent on a bad network: half-open, lossy, slow. Nothing is lost, nothing comes twice, and no thread piles up."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dosette.testing import a_dose
from dosette_local.servers.valkey import Valkey
from dosette_local.wire import Wire

LAMP = 1
"""A lamp that blinks does so on a thread of its own."""


@pytest.fixture
def wire(kitchen: Any, valkey: Valkey) -> Iterator[Wire]:
    """What the kitchen's agent hangs on."""
    with Wire(valkey.port) as it:
        kitchen.address = f"127.0.0.1:{it.port}"
        yield it


def _ready(kitchen: Any, within_s: float = 10.0) -> None:
    kitchen.publish(a_dose(datetime.now(UTC)))
    kitchen.start()
    kitchen.eventually(lambda: (kitchen.folder / "plan.json").exists(), within_s)
    kitchen.eventually(lambda: kitchen.log().count("the link is up"), within_s)
    kitchen.eventually(kitchen.frame, within_s)


def _threads(kitchen: Any) -> int:
    return len(list(Path(f"/proc/{kitchen.processes[-1].pid}/task").iterdir()))


def test_a_half_open_link_is_noticed_and_a_press_on_it_arrives_when_it_is_whole(kitchen: Any, wire: Wire):
    _ready(kitchen)
    threads = _threads(kitchen)

    wire.go_deaf()
    kitchen.press_until("saved: take", "take")
    kitchen.eventually(lambda: "the link is down" in kitchen.log(), within_s=30)
    wire.mend()

    kitchen.eventually(kitchen.presses, within_s=30)
    assert len(kitchen.presses()) == 1
    assert _threads(kitchen) <= threads + LAMP


def test_a_link_that_is_cut_again_and_again_loses_and_doubles_nothing(kitchen: Any, wire: Wire):
    _ready(kitchen)
    threads = _threads(kitchen)
    kitchen.press_until("saved: take", "take")

    for _ in range(5):
        wire.cut()
        time.sleep(0.3)
        wire.mend()
        time.sleep(0.6)

    kitchen.eventually(kitchen.presses)
    assert [press.number for press in kitchen.presses()] == [1]
    assert _threads(kitchen) <= threads + LAMP


def test_a_slow_and_lossy_link_brings_the_plan_and_the_press(kitchen: Any, wire: Wire):
    """Five seconds there and back, and of ten pieces three come late."""
    wire.latency_s, wire.loss = 2.5, 0.3
    _ready(kitchen, within_s=90)
    threads = _threads(kitchen)

    kitchen.press_until("saved: take", "take")

    kitchen.eventually(kitchen.presses, within_s=60)
    assert [press.number for press in kitchen.presses()] == [1]
    assert _threads(kitchen) <= threads + LAMP
