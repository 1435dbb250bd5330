"""On Redis each service may do its own work, and nothing else."""

from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from conftest import Home
from dosette.actions import devices
from dosette.actions.devices import ServerKeys
from dosette.actions.reminders import Rung
from dosette.bus import Bus, connect
from dosette.contracts.names import DELIVERIES_QUEUE
from dosette.storage.connection import Database
from dosette.testing import NOON
from dosette_local.ports import free_port
from dosette_local.servers.valkey import Valkey
from dosette_scheduler import jobs, watch
from dosette_scheduler.channels import Message
from dosette_scheduler.channels.panel import PanelChannel
from dosette_scheduler.doorbell import Doorbell
from dosette_scheduler.publisher import Publisher
from dosette_scheduler.worker import ListedJob

USERS = ("api", "scheduler", "worker")
ID = "01980000-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A server as `make up` starts it, with a user for each service."""
    folder = tmp_path_factory.mktemp("guarded") / "data"
    with Valkey(folder, port=free_port(), password="all", users=dict.fromkeys(USERS, "own")) as server:
        yield server


@pytest.fixture
def as_user(guarded: Valkey) -> Callable[[str], Redis]:
    connect(guarded.url).flushall()
    connect(guarded.url).acl_log_reset()
    return lambda user: connect(guarded.url_of(user))


def _refused(guarded: Valkey) -> list[str]:
    """What was asked and refused since the last look."""
    admin = connect(guarded.url)
    entries = admin.acl_log()
    admin.acl_log_reset()
    return [f"{entry['username']}: {entry['object']}" for entry in entries]


def test_the_scheduler_rings_publishes_and_admits(
    guarded: Valkey, as_user: Callable[[str], Redis], home: Home, database_of: Callable[[str], Database]
):
    own = as_user("scheduler")
    keys = ServerKeys("secret")
    panel = devices.pair(home.database, home.console, "Kitchen", keys, f"127.0.0.1:{guarded.port}", "", NOON)
    bell, bus = Doorbell(own), Bus(own)

    bell.ping()
    bell.ring([Rung(ID, True), Rung(ID, False)])
    Publisher(database_of("scheduler"), bus, keys).publish(set(), NOON)
    list(bus.presses([panel.device_id], 0.01))
    bus.forget_press(panel.device_id, "1-1")
    bus.shows_a_frame(panel.device_id)
    bus.expel_device(panel.device_id)
    list(watch.of_queue(own).collect())

    assert _refused(guarded) == []


def test_the_worker_answers_the_bell_and_looks_at_panels(guarded: Valkey, as_user: Callable[[str], Redis]):
    heard: list[str] = []
    jobs.serve(heard.extend)
    Doorbell(as_user("scheduler")).ring([Rung(ID, False)])
    Queue(DELIVERIES_QUEUE, connection=as_user("scheduler"), serializer=JSONSerializer).enqueue_call("os.getcwd")
    connect(guarded.url).set(f"dosette:frame:{ID}", b"png")
    own = as_user("worker")

    for _ in range(2):
        queue = Queue(DELIVERIES_QUEUE, connection=own, serializer=JSONSerializer, job_class=ListedJob)
        SimpleWorker([queue], connection=own, serializer=JSONSerializer, job_class=ListedJob).work(
            burst=True, logging_level="CRITICAL"
        )
    PanelChannel(own).send(ID, Message("key", "due", "text", NOON))

    assert heard == [ID]
    assert _refused(guarded) == []


def test_the_api_sees_panels(guarded: Valkey, as_user: Callable[[str], Redis]):
    connect(guarded.url).set(f"dosette:frame:{ID}", b"png")

    assert Bus(as_user("api")).frame(ID) == b"png"
    assert _refused(guarded) == []


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    "words",
    [
        "FLUSHALL",
        "CONFIG GET dir",
        "KEYS *",
        "EVAL return\u00a01 0",
        "SET other value",
        "GET other",
        "SHUTDOWN",
        "ACL LIST",
        "MODULE LIST",
        "REPLICAOF 127.0.0.1 1",
    ],
)
def test_what_is_none_of_its_work_is_refused(as_user: Callable[[str], Redis], user: str, words: str):
    with pytest.raises(NoPermissionError):
        as_user(user).execute_command(*words.split(" "))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "key", [f"dosette:plan:{ID}", f"dosette:hint:{ID}", f"dosette:press:{ID}", f"dosette:frame:{ID}"]
)
@pytest.mark.parametrize("user", ["worker", "api"])
def test_only_the_scheduler_publishes(as_user: Callable[[str], Redis], user: str, key: str):
    with pytest.raises(NoPermissionError):
        as_user(user).execute_command("SET", key, "forged")  # type: ignore[no-untyped-call]


def test_the_api_reaches_no_queue(as_user: Callable[[str], Redis]):
    with pytest.raises(NoPermissionError):
        as_user("api").get("rq:job:x")
