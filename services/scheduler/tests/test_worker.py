"""The worker: answers the bell, and runs nothing that is not on its list."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest
from redis import Redis
from rq import Callback, Queue, SimpleWorker
from rq.serializers import DefaultSerializer, JSONSerializer

from conftest import Home
from dosette.actions.reminders import Rung
from dosette.contracts.job import DELIVER, DeliveryJob
from dosette.contracts.names import DELIVERIES_QUEUE
from dosette.settings import Environment
from dosette.testing import NOON
from dosette_local.ports import free_port
from dosette_local.servers.valkey import Valkey
from dosette_scheduler import jobs
from dosette_scheduler.channels import TIMEOUT_S, Message, RemindsItself
from dosette_scheduler.doorbell import IDS_PER_JOB, Doorbell
from dosette_scheduler.worker import ENDS_WITHIN_S, ListedJob, channels_of

IDS = [f"01980000-0000-7000-8000-{number:012}" for number in range(3 * IDS_PER_JOB + 1)]


@pytest.fixture
def rung() -> list[str]:
    """What the jobs of this process rang for, in order."""
    heard: list[str] = []
    jobs.serve(heard.extend)
    return heard


def _queue(redis: Redis) -> Queue:
    return Queue(DELIVERIES_QUEUE, connection=redis, serializer=JSONSerializer, job_class=ListedJob)


def _work(redis: Redis) -> None:
    SimpleWorker([_queue(redis)], connection=redis, serializer=JSONSerializer, job_class=ListedJob).work(
        burst=True, logging_level="CRITICAL"
    )


def test_what_is_rung_is_heard_in_few_jobs(redis: Redis, rung: list[str]):
    Doorbell(redis).ring([Rung(each, False) for each in IDS])

    assert len(_queue(redis)) == 4
    _work(redis)
    assert rung == IDS


def test_what_is_urgent_is_heard_first(redis: Redis, rung: list[str]):
    Doorbell(redis).ring([Rung(IDS[0], False), Rung(IDS[1], True), Rung(IDS[2], False)])

    _work(redis)

    assert rung == [IDS[1], IDS[0], IDS[2]]


@pytest.mark.parametrize("serializer", [JSONSerializer, DefaultSerializer])
def test_a_callable_that_is_not_on_the_list_is_refused_and_not_run(
    redis: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture, serializer: Any
):
    proof, refused = tmp_path / "ran", Event()
    jobs.serve(lambda ids: None, refused.set)
    Queue(DELIVERIES_QUEUE, connection=redis, serializer=serializer).enqueue_call("os.mkdir", args=(str(proof),))

    with caplog.at_level(logging.ERROR, "dosette_scheduler"):
        _work(redis)

    assert not proof.exists()
    assert caplog.text.count("a job was refused") == 1
    assert refused.is_set()


def test_a_callback_that_rides_on_a_job_of_ours_is_not_run(redis: Redis, rung: list[str]):
    queue = Queue(DELIVERIES_QUEUE, connection=redis, serializer=JSONSerializer)
    callback = Callback("os.getcwd")
    queue.enqueue_call(DELIVER, args=(DeliveryJob(()).payload(),), on_success=callback, on_failure=callback)

    _work(redis)

    (job,) = (
        ListedJob.fetch(each, connection=redis, serializer=JSONSerializer)
        for each in queue.finished_job_registry.get_job_ids()
    )
    assert (job.success_callback, job.failure_callback, job.stopped_callback) == (None, None, None)


@pytest.mark.parametrize(
    "payload",
    [
        {"v": 1, "reminder_ids": [IDS[0]]},
        {"v": 3, "delivery_ids": [IDS[0]]},
        {"delivery_ids": [IDS[0]]},
        {"v": 2, "delivery_ids": "all"},
        {"v": 2, "delivery_ids": ["1; DROP TABLE doses"]},
        [],
        None,
    ],
)
def test_a_payload_of_another_version_or_none_of_ours_rings_for_nothing(payload: object, rung: list[str]):
    with pytest.raises(ValueError, match=r"not a delivery job|badly formed"):
        jobs.deliver(payload)  # type: ignore[arg-type]

    assert rung == []


def test_nonsense_in_the_queue_stops_nobody(redis: Redis, rung: list[str], caplog: pytest.LogCaptureFixture):
    _queue(redis).enqueue_call(DELIVER, args=({"v": 1, "reminder_ids": IDS[:1]},))
    redis.rpush(f"rq:queue:{DELIVERIES_QUEUE}", "no-such-job")
    Doorbell(redis).ring([Rung(IDS[0], False)])

    with caplog.at_level(logging.CRITICAL):
        _work(redis)

    assert rung == IDS[:1]


@pytest.fixture
def worker(home: Home, valkey_of_its_own: Valkey, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process, with a Redis that is nobody else's; its log is the file `log`."""
    told = {"DATABASE_URL": home.server.url("worker"), "REDIS_URL": valkey_of_its_own.url}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "from dosette_scheduler.worker import main; main()"],
            env={**os.environ, **told, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            cwd=tmp_path,
            stderr=log,
        )
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def valkey_of_its_own(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "valkey", port=free_port(), password="valkey") as server:
        yield server


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.5, 1.5], ids=lambda after_s: f"{after_s} s after Redis")
def test_a_worker_that_is_to_end_ends_though_redis_is_gone(
    worker: "subprocess.Popen[bytes]", valkey_of_its_own: Valkey, tmp_path: Path, after_s: float
):
    with Redis.from_url(valkey_of_its_own.url) as redis:
        assert _eventually(lambda: redis.exists("rq:workers"))
    time.sleep(0.5)  # it waits for the bell
    valkey_of_its_own.kill()
    time.sleep(after_s)

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(ENDS_WITHIN_S) == 0
    assert '"stopped"' in (tmp_path / "log").read_text()


def test_a_worker_that_never_reached_redis_ends_when_it_is_to(
    worker: "subprocess.Popen[bytes]", valkey_of_its_own: Valkey, tmp_path: Path
):
    valkey_of_its_own.kill()
    assert _eventually(lambda: '"Redis is out of reach"' in (tmp_path / "log").read_text())

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(ENDS_WITHIN_S) == 0


def _eventually(true: Callable[[], object]) -> bool:
    patience = Event()
    return any(true() or patience.wait(0.05) for _ in range(400))


def test_a_redis_that_hangs_ends_the_look_at_a_panel_before_its_lease_ends():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        channels = channels_of(Environment({"REDIS_URL": f"redis://127.0.0.1:{mute.getsockname()[1]}/0"}))
        began = monotonic()

        with pytest.raises(RemindsItself, match="Redis is out of reach"):
            channels["panel"].send(IDS[0], Message("key", "due", "text", NOON))

    assert monotonic() - began < TIMEOUT_S
