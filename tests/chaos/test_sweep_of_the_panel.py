"""A panel's agent that is killed, frozen, broken or slow at each step of a press: what its lamp called saved is taken in, once."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from dosette.actions import devices
from dosette.actions.devices import ServerKeys
from dosette.testing import NOON
from dosette_display.buttons import BOUNCE_S
from dosette_display.cli import TAP_S
from dosette_display.press_socket import NoAgent, push
from tests.chaos.invariants import violations
from tests.chaos.parts import KINDS, SECRET, Parts

DUE = NOON + timedelta(seconds=1)
LOOKS_FOR_S = 1.0
"""So long somebody waits for the lamp."""
PASSES = [("P1", 1), ("P2", 1), ("P2", 2), ("P3", 1), ("P4", 1), ("P5", 1), ("P6", 2)]
"""A press is written, and then made to last, in two passes of P2; the first picture of P6 has no dose."""


@pytest.fixture
def kitchen(parts: Parts) -> Parts:
    """With a panel, a dose that is due, and a scheduler that takes presses in."""
    home, address = parts.home, parts.redis_url.rpartition("@")[2].partition("/")[0]
    paired = devices.pair(home.database, home.console, "Kitchen", ServerKeys(SECRET), address, "", NOON)
    paired.write(parts.folder / "device.json")
    home.dose(DUE)
    parts.start("scheduler")
    return parts


@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize(("point", "number"), PASSES)
def test_a_press_counts_once_though_the_agent_is_struck(kitchen: Parts, point: str, number: int, kind: str):
    struck = kitchen.start("display", f"{point}:{kind}" if ":" in kind else f"{point}:{kind}:{number}")
    kitchen.eventually(lambda: (kitchen.folder / "plan.json").exists() or struck.ended() or struck.is_frozen())
    kitchen.eventually(lambda: struck.ended() or struck.is_frozen() or kitchen.count(_TAKEN) or _press(kitchen))

    kitchen.strike(struck, kind)
    kitchen.eventually(lambda: kitchen.count(_TAKEN) or _press(kitchen))
    kitchen.eventually(lambda: kitchen.count(_TAKEN))

    history = kitchen.history(NOON)
    assert violations(history) == {}
    assert [event.kind for event in history.events] == ["taken"]


def _press(parts: Parts) -> bool:
    """As somebody does who looks at the lamp: whether it said saved. Who is frozen is let go of."""
    told = _FINGERS.submit(push, parts.folder, "take", TAP_S)
    try:
        saved, said = told.result(LOOKS_FOR_S)
    except (NoAgent, TimeoutError):
        return False
    saved = saved and said.startswith("saved")
    parts.saved_presses += saved
    time.sleep(0 if saved else BOUNCE_S)
    return saved


_FINGERS = ThreadPoolExecutor(8)
_TAKEN = "SELECT count(*) FROM doses WHERE status = 'taken'"
