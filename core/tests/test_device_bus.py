"""A device's own way to speak to Redis: to a real one, and to what may answer in its place. `test_bus.py` has both ends."""

import socket
import time
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from redis import Redis

from dosette import device_bus
from dosette.bus import Bus
from dosette.contracts.names import press_key, redis_user
from dosette.device_bus import BusDown, DeviceBus, NotAdmitted
from dosette_local.ports import free_port
from dosette_local.servers.valkey import Valkey


@pytest.fixture
def agent(redis: Redis, valkey: Valkey) -> Iterator[DeviceBus]:
    Bus(redis).admit_devices({"one": ["password"]})
    agent = DeviceBus(f"127.0.0.1:{valkey.port}", redis_user("one"), "password")
    yield agent
    agent.close()


def test_a_large_plan_and_bytes_of_any_kind_come_whole(redis: Redis, agent: DeviceBus):
    sealed = bytes(range(256)) * 4000 + b"\r\n$-1\r\n"
    Bus(redis).publish_plan("one", sealed)

    assert agent.plan("one") == sealed


def test_without_a_plan_there_is_none(agent: DeviceBus):
    assert agent.plan("one") is None


def test_a_wait_without_a_hint_ends_and_the_newest_of_many_is_returned(redis: Redis, agent: DeviceBus):
    assert agent.wait_for_hint("one", "0", 0.01) == "0"
    for _ in range(3):
        Bus(redis).publish_plan("one", b"plan")

    newest = agent.wait_for_hint("one", "0", 0.01)

    assert agent.wait_for_hint("one", newest, 0.01) == newest


def test_several_presses_come_in_their_order(redis: Redis, agent: DeviceBus):
    agent.send_presses("one", [b"first", b"second", b"third"])

    assert [entry.sealed for entry in Bus(redis).presses(["one"], 0.1)] == [b"first", b"second", b"third"]


def test_presses_are_taken_all_or_none_and_a_refusal_is_raised(redis: Redis, agent: DeviceBus):
    redis.set(press_key("one"), "in the way")

    with pytest.raises(BusDown, match="WRONGTYPE"):
        agent.send_presses("one", [b"first", b"second"])


def test_who_is_not_let_in_is_told_apart_from_who_finds_nobody(valkey: Valkey, redis: Redis):
    with pytest.raises(NotAdmitted, match="WRONGPASS"):
        DeviceBus(f"127.0.0.1:{valkey.port}", redis_user("one"), "guess").ping()


def test_after_a_failure_it_connects_anew(redis: Redis, agent: DeviceBus):
    agent.ping()
    redis.execute_command("CLIENT", "KILL", "USER", redis_user("one"))

    with pytest.raises(BusDown):
        agent.ping()

    agent.ping()


def test_nobody_there_is_said_at_once():
    with pytest.raises(BusDown, match="refused"):
        DeviceBus(f"127.0.0.1:{free_port()}", "user", "password").ping()


Impostor = Callable[[bytes], DeviceBus]


@pytest.fixture
def impostor() -> Iterator[Impostor]:
    """Something that accepts, takes the password, then answers with these bytes and hangs up; nothing at all: it hangs."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)
    held = []

    def serve(answer: bytes) -> None:
        caller, _ = listener.accept()
        held.append(caller)
        caller.recv(1000)
        caller.sendall(b"+OK\r\n")
        caller.recv(1000)
        if answer:
            caller.sendall(answer)
            caller.close()

    def answering(answer: bytes) -> DeviceBus:
        Thread(target=serve, args=(answer,), daemon=True).start()
        return DeviceBus(f"127.0.0.1:{listener.getsockname()[1]}", "user", "password")

    yield answering
    for caller in held:
        caller.close()
    listener.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "this is no Redis"),
        (b"\r\n", "this is no Redis"),
        (b"$12\r\nhalf", "closed"),
        (b"$12", "closed"),
        (b"*2\r\n$1\r\na\r\n", "closed"),
        (b"$x\r\n", "invalid literal"),
        (b"$999999999999\r\n", "announces"),
        (b"*999999999\r\n", "announces"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "LOADING"),
        (b"-OOM command not allowed\r\n", "OOM"),
    ],
)
def test_whatever_answers_in_redis_s_place_is_an_outage(impostor: Impostor, answer: bytes, said: str):
    with pytest.raises(BusDown, match=said):
        impostor(answer).plan("one")


def test_a_redis_that_hangs_is_given_up(impostor: Impostor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device_bus, "ANSWER_TIMEOUT_S", 0.1)
    agent = impostor(b"")

    began = time.monotonic()
    with pytest.raises(BusDown, match="timed out"):
        agent.ping()

    assert time.monotonic() - began < 5


def test_it_needs_no_redis_py():
    import subprocess
    import sys

    code = "import sys, dosette.device_bus; sys.exit('redis' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
