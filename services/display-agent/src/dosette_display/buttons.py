"""Buttons: from edges on a pin to presses. What was on the screen is looked up at the first edge."""

import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Generic, Protocol, TypeVar

from gpiozero import DigitalInputDevice, Factory

from dosette.clock import boottime_s
from dosette.faults import fp
from dosette_display.keys import Gesture

HOLD_S = 2.0
BOUNCE_S = 0.4
"""An edge this soon after the one before is no new press."""
SETTLE_S = 0.05
"""A release counts when it lasts this long: contacts bounce for some milliseconds."""

Scene = TypeVar("Scene")
"""What was seen when a button went down: the buttons carry it and don't look into it."""


class Contact:
    """One button's edges, told one after another, become a short press, a long one, or nothing. Times are CLOCK_BOOTTIME."""

    def __init__(self) -> None:
        self._down_at: float | None = None
        self._up_at: float | None = None
        self._edge_at = float("-inf")

    @property
    def deadline(self) -> float | None:
        """When to `pass_time` if no edge comes before."""
        if self._down_at is None:
            return None
        return self._down_at + HOLD_S if self._up_at is None else self._up_at + SETTLE_S

    def down(self, at: float) -> bool:
        """Whether this edge begins a press."""
        begins = self._down_at is None and at - self._edge_at >= BOUNCE_S
        self._edge_at, self._up_at = at, None
        if begins:
            self._down_at = at
        return begins

    def up(self, at: float) -> None:
        self._edge_at = at
        if self._down_at is not None:
            self._up_at = at

    def pass_time(self, now: float) -> str | None:
        """`short` or `long` when a press is complete by now."""
        if self._down_at is None or self.deadline is None or now < self.deadline:
            return None
        ended = now if self._up_at is None else self._up_at
        length = ended - self._down_at
        self._down_at = self._up_at = None
        return "long" if length >= HOLD_S else "short"


@dataclass(frozen=True)
class _Edge(Generic[Scene]):
    button: str
    at: float
    scene: Scene | None  # of a release: None


class Presser(Protocol[Scene]):
    """Whoever answers presses: the agent."""

    def look(self) -> Scene:
        """What is on the screen now; given back with the press. Called at the edge, from gpiozero's thread: must be quick."""

    def press(self, gesture: Gesture, scene: Scene) -> None: ...


class Buttons(Generic[Scene]):
    """Over gpiozero; a mock factory's pins do just as well."""

    def __init__(
        self,
        presser: Presser[Scene],
        pins: Mapping[str, int],
        factory: Factory,
        ignored: Callable[[], None] = lambda: None,
        untied: Sequence[str] = (),
    ) -> None:
        """`pins` has the GPIO of each button; `untied` ones have none: somebody calls `down` and `up`. `ignored` is called when an
        edge was a bounce."""
        self._presser = presser
        self._ignored = ignored
        self._edges: queue.SimpleQueue[_Edge[Scene] | None] = queue.SimpleQueue()
        self._contacts = {button: Contact() for button in (*pins, *untied)}
        self._scenes: dict[str, Scene] = {}
        self._inputs = [self._wired(button, gpio, factory) for button, gpio in pins.items()]

    def run(self, stopping: Event) -> None:
        """Turns edges into presses; on a thread of its own, since a press waits for the card."""
        while not stopping.is_set():
            try:
                edge = self._edges.get(timeout=self._wait_s())
            except queue.Empty:
                edge = None
            if edge:
                self._complete(edge.at)
                self._follow(edge)
            if self._edges.empty():  # else the next edge may show that this one was a bounce
                self._complete(boottime_s())

    def down(self, button: str) -> None:
        """An edge of a button; what is on the screen is looked up now."""
        self._edges.put(_Edge(button, boottime_s(), self._presser.look()))

    def up(self, button: str) -> None:
        self._edges.put(_Edge(button, boottime_s(), None))

    def wake(self) -> None:
        """So that `run` sees that it must stop."""
        self._edges.put(None)

    def close(self) -> None:
        for each in self._inputs:
            each.close()

    def _wired(self, button: str, gpio: int, factory: Factory) -> DigitalInputDevice:
        """Not gpiozero's Button: it looks ten times a second whether it is held."""
        wired = DigitalInputDevice(gpio, pull_up=True, pin_factory=factory)
        wired.when_activated = lambda: self.down(button)
        wired.when_deactivated = lambda: self.up(button)
        return wired

    def _follow(self, edge: _Edge[Scene]) -> None:
        contact = self._contacts[edge.button]
        if edge.scene is None:
            contact.up(edge.at)
        elif contact.down(edge.at):
            fp("P1")
            self._scenes[edge.button] = edge.scene
        else:
            self._ignored()

    def _complete(self, now: float) -> None:
        for button, contact in self._contacts.items():
            if length := contact.pass_time(now):
                self._presser.press(Gesture.of(button, held=length == "long"), self._scenes.pop(button))

    def _wait_s(self) -> float | None:
        deadlines = [each.deadline for each in self._contacts.values() if each.deadline is not None]
        return max(0.0, min(deadlines) - boottime_s()) if deadlines else None
