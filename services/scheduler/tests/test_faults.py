"""A fault at each step of the scheduler and the worker: what is due is told all the same, and shown once."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from conftest import Home
from dosette.actions import households, reminders, schedules
from dosette.actions.reminders import LEASE, RING_AGAIN
from dosette.contracts.job import ReminderJob
from dosette.contracts.names import REMINDERS_QUEUE
from dosette.faults import InjectedFault, arm
from dosette.storage.connection import Database
from dosette.testing import NOON
from dosette_scheduler import jobs
from dosette_scheduler.channels.file import FileChannel
from dosette_scheduler.doorbell import Doorbell

DUE = NOON + timedelta(minutes=30)


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm(None)


@pytest.mark.parametrize(("point", "tellings"), [("W1", 1), ("W2", 1), ("W3", 1), ("W4", 2), ("W5", 1), ("W6", 1)])
def test_a_worker_that_fails_at_any_step_is_followed_by_one_that_tells(
    home: Home, database_of: Callable[[str], Database], tmp_path: Path, point: str, tellings: int
):
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    home.dose(DUE)
    payload = ReminderJob(tuple(reminders.ring(database_of("scheduler"), DUE))).payload()
    worker, now = database_of("worker"), [DUE]
    jobs.serve(worker, {"file": FileChannel(tmp_path)}, lambda: now[0])

    arm(f"{point}:raise")
    with pytest.raises(InjectedFault):
        jobs.deliver(payload)
    arm(None)
    now[0] = DUE + LEASE
    for _ in range(3):
        jobs.deliver(payload)

    lines = (tmp_path / "bruno.jsonl").read_text().splitlines()
    assert len(lines) == tellings
    assert len({line.split('"key"')[1] for line in lines}) == 1
    assert reminders.backlog(database_of("scheduler"), now[0]).waiting == 0


def test_a_ring_that_was_lost_is_rung_again(home: Home, database_of: Callable[[str], Database], redis: Redis):
    scheduler = database_of("scheduler")
    home.dose(DUE)

    arm("S4:raise")
    with pytest.raises(InjectedFault):
        Doorbell(redis).ring(reminders.ring(scheduler, DUE))
    arm(None)

    assert len(Queue(REMINDERS_QUEUE, connection=redis, serializer=JSONSerializer)) == 0
    assert len(reminders.ring(scheduler, DUE + RING_AGAIN)) == 1


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
