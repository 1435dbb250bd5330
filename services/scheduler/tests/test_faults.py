"""A fault at each step of the scheduler: what is due is told all the same, and no plan is half there. The worker's steps, and
processes that are really killed, are in tests/chaos."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from conftest import Home
from dosette.actions import households, reminders, schedules
from dosette.actions.reminders import DECIDING_LEASE, Rung
from dosette.contracts.names import DELIVERIES_QUEUE
from dosette.faults import InjectedFault, arm
from dosette.storage.connection import Database
from dosette.testing import NOON
from dosette_scheduler.doorbell import Doorbell

DUE = NOON + timedelta(minutes=30)


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm(None)


def test_a_scheduler_that_fails_between_lease_and_telling_is_followed_by_one_that_tells(
    home: Home, database_of: Callable[[str], Database]
):
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    home.dose(DUE)

    arm("S2:raise")
    with pytest.raises(InjectedFault):
        reminders.tell_due(database_of("scheduler"), DUE)
    arm(None)

    assert len(reminders.tell_due(database_of("scheduler"), DUE + DECIDING_LEASE) or []) == 1


def test_a_message_whose_bell_was_lost_is_found_by_a_sweep(
    home: Home, database_of: Callable[[str], Database], redis: Redis
):
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    home.dose(DUE)

    arm("S3:raise")
    with pytest.raises(InjectedFault):
        reminders.tell_due(database_of("scheduler"), DUE)
    arm("S4:raise")
    with pytest.raises(InjectedFault):
        Doorbell(redis).ring([Rung("01980000-0000-7000-8000-000000000001", False)])
    arm(None)

    assert len(Queue(DELIVERIES_QUEUE, connection=redis, serializer=JSONSerializer)) == 0
    assert len(reminders.sweep(database_of("worker"), {"file": 1}, DUE)) == 1


@pytest.mark.parametrize("point", ["S1", "S2", "S3"])
def test_a_planner_that_fails_at_any_step_leaves_no_half_a_plan(
    home: Home, database_of: Callable[[str], Database], point: str
):
    home.schedule(home.medicine(), "12:30")
    later = NOON + timedelta(days=2)

    arm(f"{point}:raise")
    with pytest.raises(InjectedFault):
        schedules.extend_plans(database_of("scheduler"), later)
    arm(None)
    schedules.extend_plans(database_of("scheduler"), later)

    days = [dose["slot_on"] for dose in home.doses()]
    assert len(days) == len(set(days)) == 10
