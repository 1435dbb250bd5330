"""A worker that is killed, frozen, broken or slow at each of its steps: what is due is told, and the reader sees it once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from redis import Redis

from dosette.actions import doses, households, reminders
from dosette.actions.doses import Taking
from dosette.actions.reminders import LEASE
from dosette.storage.connection import Database
from dosette.testing import NOON
from dosette_scheduler.doorbell import Doorbell
from tests.chaos.invariants import seen_twice, violations
from tests.chaos.parts import KINDS, Parts

DUE = NOON + timedelta(seconds=1)
WHILE_SENDING = ("W1", "W4", "W6")
"""Struck there, a worker may have sent what it did not record (bells are heard beside): it arrives again under the same key."""


@dataclass(frozen=True)
class Ringing:
    """What a scheduler does meanwhile."""

    parts: Parts
    database: Database
    doorbell: Doorbell

    def begin(self) -> str:
        """A dose falls due; which."""
        home = self.parts.home
        households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
        dose = home.dose(DUE)
        self.doorbell.ring(reminders.tell_due(self.database, self.parts.clock()) or [])
        return dose

    def on(self) -> bool:
        """What is to be tried again is rung again; whether all is told."""
        self.doorbell.ring(reminders.ring_again(self.database, self.parts.clock()))
        return self.parts.told()


@pytest.fixture
def ringing(parts: Parts, database_of: Callable[[str], Database], redis: Redis) -> Ringing:
    return Ringing(parts, database_of("scheduler"), Doorbell(redis))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", ["W1", "W2", "W3", "W4", "W5", "W6"])
def test_what_is_due_is_told_though_the_worker_is_struck(parts: Parts, ringing: Ringing, point: str, kind: str):
    ringing.begin()
    struck = parts.start("worker", f"{point}:{kind}")

    parts.strike(struck, kind)
    parts.clock.move(LEASE)
    parts.eventually(ringing.on)

    history = parts.history(NOON)
    assert violations(history) == {}
    assert seen_twice(history) <= (point in WHILE_SENDING)


def test_a_worker_that_thaws_after_its_lease_does_not_tell_of_what_was_taken_meanwhile(parts: Parts, ringing: Ringing):
    dose = ringing.begin()
    frozen = parts.start("worker", "W3:stop")
    parts.eventually(frozen.is_frozen)

    parts.clock.move(LEASE)
    doses.take(
        parts.home.database, parts.home.writer(), Taking(parts.clock(), dose), parts.home.request(), parts.clock()
    )
    parts.clock.move(LEASE)
    frozen.go_on()

    parts.eventually(lambda: "delivery_id" in frozen.log.read_text())
    assert violations(parts.history(NOON)) == {}
