"""Redis full: bells are not heard, and people are told all the same."""

from collections.abc import Callable, Iterator

import pytest
from prometheus_client import REGISTRY
from redis import Redis

from conftest import Home
from dosette.actions import households, reminders
from dosette.actions.devices import ServerKeys
from dosette.actions.reminders import Rung
from dosette.bus import Bus, BusDown
from dosette.storage.connection import Database
from dosette.testing import NOON
from dosette_scheduler.alarms import Alarms
from dosette_scheduler.doorbell import Doorbell
from dosette_scheduler.listener import Listener
from dosette_scheduler.publisher import Publisher
from dosette_scheduler.scheduler import RETRY_S, Scheduler

ID = "01980000-0000-7000-8000-000000000001"
DUE = NOON.replace(minute=30)


@pytest.fixture
def full(redis: Redis) -> Iterator[Redis]:
    """A Redis that takes no more, and evicts nothing."""
    redis.config_set("maxmemory", "1")
    yield redis
    redis.config_set("maxmemory", "0")


def test_a_bell_that_does_not_fit_any_more_is_said_to_be_down(full: Redis):
    with pytest.raises(BusDown, match=r"OOM|used memory"):
        Doorbell(full).ring([Rung(ID, False)])


def test_with_redis_full_a_due_dose_is_a_message_that_a_worker_finds(
    home: Home, database_of: Callable[[str], Database], full: Redis
):
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    home.dose(DUE)
    database, bus = database_of("scheduler"), Bus(full)
    publisher, alarms = Publisher(database, bus, ServerKeys("secret")), Alarms(database, bus, lambda: 0.5)
    scheduler = Scheduler(
        database, Doorbell(full), publisher, alarms, Listener(home.server.url("scheduler")), lambda: DUE
    )

    waits = [scheduler._round(set()) for _ in range(3)]

    assert waits[-1] <= RETRY_S
    assert REGISTRY.get_sample_value("dosette_redis_up") == 0
    (found,) = reminders.sweep(database_of("worker"), {"file": 5}, DUE)
    assert found.recipient == "Bruno"
