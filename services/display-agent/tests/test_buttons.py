"""From edges on a pin to presses: bounce, hold, and what was on the screen at the first edge."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event, Thread

import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from dosette_display.buttons import Buttons, Contact
from dosette_display.hardware import PINS
from dosette_display.keys import Wiring


def gesture(*edges: float, until: float = 10.0) -> list[str]:
    """What edges at these times (down, up, down, …) become."""
    one, made = Contact(), []
    for number, at in enumerate((*edges, until)):
        if done := one.pass_time(at):
            made.append(done)
        if at != until:
            one.up(at) if number % 2 else one.down(at)
    return made


def test_down_and_up_is_one_short_press():
    assert gesture(0, 0.1) == ["short"]


def test_two_seconds_are_a_long_press():
    assert gesture(0, 1.99) == ["short"]
    assert gesture(0, 2.0) == ["long"]
    assert gesture(0) == ["long"]


def test_contacts_that_bounce_make_one_press():
    assert gesture(0, 0.001, 0.002, 0.005, 0.006, 0.3, 0.301, 0.302) == ["short"]


def test_a_held_button_that_bounced_at_first_is_still_held():
    assert gesture(0, 0.001, 0.003, 2.5) == ["long"]


def test_a_hand_that_trembles_or_drums_presses_once_for_as_long_as_it_does():
    assert gesture(*(edge / 10 for edge in range(40)), until=20) == ["short"]


@pytest.mark.parametrize("seed", range(20))
def test_up_to_twenty_edges_within_400_ms_are_one_press(seed):
    chance = random.Random(seed)
    edges = sorted(chance.uniform(0.001, 0.399) for _ in range(chance.randrange(1, 20)))

    assert gesture(0, *edges, *([0.4] if len(edges) % 2 == 0 else []), until=1.5) == ["short"]


def test_a_press_half_a_second_later_is_a_press_of_its_own():
    assert gesture(0, 0.1, 0.6, 0.7) == ["short", "short"]


@dataclass
class Presser:
    """A screen that shows the number of the look, and remembers the presses."""

    looks: int = 0
    presses: list[tuple[str, str]] = field(default_factory=list)

    def look(self) -> str:
        self.looks += 1
        return f"page {self.looks}"

    def press(self, kind: str, scene: str) -> None:
        self.presses.append((kind, scene))


@pytest.fixture(params=Wiring)
def wiring(request) -> Wiring:
    return request.param


@pytest.fixture
def wired(wiring) -> Iterator[tuple[Presser, MockFactory]]:
    factory, presser, stopping = MockFactory(), Presser(), Event()
    buttons = Buttons(presser, PINS[wiring], factory)
    thread = Thread(target=buttons.run, args=(stopping,))
    thread.start()
    yield presser, factory
    stopping.set()
    buttons.wake()
    thread.join()
    buttons.close()


def push(pin: MockPin, hold_s: float = 0.05) -> None:
    pin.drive_low()
    time.sleep(hold_s)
    pin.drive_high()
    time.sleep(0.1)


def test_a_pin_pulled_low_is_a_press_on_what_was_seen_at_that_moment(wired, wiring):
    presser, factory = wired

    for pin in PINS[wiring].values():
        push(factory.pin(pin))

    assert presser.presses == [(button, f"page {number}") for number, button in enumerate(wiring.buttons, start=1)]


def test_a_button_without_a_pin_is_pressed_by_whoever_sees_the_finger():
    presser, stopping = Presser(), Event()
    buttons = Buttons(presser, {}, MockFactory(), untied=("button",))
    thread = Thread(target=buttons.run, args=(stopping,))
    thread.start()

    buttons.down("button")
    buttons.up("button")
    for _ in range(500):
        if presser.presses:
            break
        time.sleep(0.02)

    stopping.set()
    buttons.wake()
    thread.join()
    assert presser.presses == [("button", "page 1")]


def test_a_button_held_for_two_seconds_is_a_hold_while_it_is_still_held(wired, wiring):
    presser, factory = wired
    pin = factory.pin(PINS[wiring][wiring.buttons[-1]])

    pin.drive_low()
    time.sleep(2.1)

    assert presser.presses == [("hold", "page 1")]
    pin.drive_high()
    time.sleep(0.1)
    assert len(presser.presses) == 1
