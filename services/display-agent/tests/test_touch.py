"""The touch layer against a simulated chip: touched anywhere, it is the one button."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event, Thread

import pytest

from dosette_display.panels import PanelFault
from dosette_display.simulated_gt1151 import SimulatedGt1151
from dosette_display.touch import TouchGlass


@dataclass
class Touched:
    chip: SimulatedGt1151 = field(default_factory=SimulatedGt1151)
    edges: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.glass = TouchGlass(self.chip, lambda: self.edges.append("down"), lambda: self.edges.append("up"))
        self.chip.news = self.glass.look


@pytest.fixture
def touched() -> Touched:
    return Touched()


def test_a_finger_is_a_button_that_goes_down_and_up(touched):
    touched.chip.touch()
    touched.chip.release()

    assert touched.edges == ["down", "up"]


def test_a_finger_that_rests_or_a_second_one_is_no_second_press(touched):
    touched.chip.touch()
    for fingers in (1, 2, 1):
        touched.chip.touch(fingers)
    touched.chip.release()

    assert touched.edges == ["down", "up"]


def test_a_report_is_cleared_so_that_another_can_come(touched):
    for _ in range(3):
        touched.chip.touch()
        touched.chip.release()

    assert touched.edges == ["down", "up"] * 3


def test_a_pulse_without_a_report_is_nothing(touched):
    touched.glass.look()

    assert touched.edges == []


def test_another_chip_is_refused_with_what_to_do():
    with pytest.raises(PanelFault, match="no GT1151 but b'9271': set DOSETTE_BUTTONS"):
        TouchGlass(SimulatedGt1151(product=b"9271"), lambda: None, lambda: None)


def test_a_loose_wire_is_said_and_stops_nothing(touched, caplog, monkeypatch):
    def loose(register: int, count: int) -> bytes:
        raise PanelFault("no answer")

    monkeypatch.setattr(touched.chip, "read", loose)
    touched.glass.look()

    assert "does not answer" in caplog.text


@pytest.fixture
def running(touched: Touched) -> Iterator[Touched]:
    touched.chip.news, stopping = touched.glass.news, Event()
    thread = Thread(target=touched.glass.run, args=(stopping,))
    thread.start()
    yield touched
    stopping.set()
    touched.glass.wake()
    thread.join(timeout=5)
    assert not thread.is_alive()


def _comes_and_goes(touched: Touched) -> bool:
    """Whether one finger is heard, and that it is gone, within ten seconds."""
    patience = Event()
    return any(touched.edges == ["down", "up"] or patience.wait(0.02) for _ in range(500))


def test_a_finger_whose_release_was_lost_is_gone_when_nothing_more_is_heard(running):
    running.chip.touch()

    assert _comes_and_goes(running)


def test_a_look_that_failed_once_leaves_the_next_finger_heard(running, monkeypatch):
    read, faults = running.chip.read, [PanelFault("one bit was lost")]
    monkeypatch.setattr(running.chip, "read", lambda *wanted: _raised(faults.pop()) if faults else read(*wanted))

    running.chip.touch()

    assert _comes_and_goes(running)


def test_a_finger_before_anybody_listened_does_not_end_the_listening():
    touched = Touched()
    touched.chip.news = lambda: None
    touched.chip.touch()
    stopping = Event()
    thread = Thread(target=touched.glass.run, args=(stopping,))
    thread.start()

    for _ in range(500):
        if touched.edges:
            break
        Event().wait(0.02)
    stopping.set()
    touched.glass.wake()
    thread.join(timeout=5)

    assert touched.edges


def _raised(fault: PanelFault) -> bytes:
    raise fault
