"""Both ends of the bus on a real server: what each says to the other, what a device may reach, and what it may not."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from redis import Redis

from dosette.bus import Bus
from dosette.contracts.names import plan_key, redis_user
from dosette.device_bus import BusDown, DeviceBus, NotAdmitted
from dosette_local.servers.valkey import Valkey


@pytest.fixture
def agent(redis: Redis, valkey: Valkey) -> Iterator[DeviceBus]:
    """The end of a device named `one`, admitted."""
    Bus(redis).admit_devices({"one": ["password"]})
    with closing(DeviceBus(f"127.0.0.1:{valkey.port}", redis_user("one"), "password")) as agent:
        yield agent


def test_a_device_reads_its_plan_and_sends_a_press(redis: Redis, agent: DeviceBus):
    server = Bus(redis)
    server.publish_plan("one", b"plan")

    agent.send_presses("one", [b"press"])

    assert agent.plan("one") == b"plan"
    assert agent.wait_for_hint("one", "0", 0.1) != "0"
    assert [(entry.device_id, entry.sealed) for entry in server.presses(["one"], 0.1)] == [("one", b"press")]


def test_a_forgotten_press_does_not_come_again(redis: Redis, agent: DeviceBus):
    agent.send_presses("one", [b"press"])
    (entry,) = Bus(redis).presses(["one"], 0.1)

    Bus(redis).forget_press("one", entry.id)

    assert list(Bus(redis).presses(["one"], 0.05)) == []


def test_a_sign_of_life_comes_over_the_same_stream(redis: Redis, agent: DeviceBus):
    agent.send_presses("one", [b"press"])
    agent.send_life("one", b"life")

    entries = list(Bus(redis).presses(["one"], 0.1))

    assert [(entry.alive, entry.sealed) for entry in entries] == [(False, b"press"), (True, b"life")]
    assert timedelta(0) <= entries[0].age < timedelta(seconds=30)


def test_a_device_shows_its_frame(redis: Redis, agent: DeviceBus):
    agent.show_frame("one", b"png")

    assert Bus(redis).frame("one") == b"png"


@pytest.mark.parametrize(
    "command", [("GET", plan_key("two")), ("SET", plan_key("one"), "forged"), ("KEYS", "*"), ("FLUSHALL",)]
)
def test_a_device_reaches_nothing_but_its_own_keys(agent: DeviceBus, command: tuple[str, ...]):
    with pytest.raises(BusDown, match="NOPERM"):
        agent._ask(command)


def test_an_expelled_device_is_cut_off(redis: Redis, agent: DeviceBus):
    agent.ping()

    Bus(redis).expel_device("one")

    with pytest.raises(BusDown, match=r"closed|reset"):
        agent.ping()
    with pytest.raises(NotAdmitted):
        agent.ping()
