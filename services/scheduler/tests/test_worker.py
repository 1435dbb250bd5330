"""The worker: tells what is due, through channels, from rows; runs nothing else."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq import Callback, Queue, SimpleWorker
from rq.serializers import JSONSerializer

from conftest import Home
from dosette.actions import doses, households, reminders
from dosette.actions.doses import Taking
from dosette.contracts.job import DELIVER, ReminderJob
from dosette.contracts.names import REMINDERS_QUEUE
from dosette.domain.reminders import wording
from dosette.storage.connection import Database
from dosette.testing import NOON
from dosette_scheduler import jobs
from dosette_scheduler.channels import ChannelFailed, Message
from dosette_scheduler.channels.file import FileChannel
from dosette_scheduler.doorbell import IDS_PER_JOB, Doorbell
from dosette_scheduler.worker import ListedJob

DUE = NOON + timedelta(minutes=30)


@pytest.fixture
def told(home: Home, database_of: Callable[[str], Database], tmp_path: Path) -> Callable[[], list[dict[str, str]]]:
    """Serves the jobs of this process at DUE; what Bruno was told."""
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    jobs.serve(database_of("worker"), {"file": FileChannel(tmp_path)}, lambda: DUE)

    def lines() -> list[dict[str, str]]:
        path = tmp_path / "bruno.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return lines


def _work(redis: Redis) -> None:
    queue = Queue(REMINDERS_QUEUE, connection=redis, serializer=JSONSerializer, job_class=ListedJob)
    SimpleWorker([queue], connection=redis, serializer=JSONSerializer, job_class=ListedJob).work(
        burst=True, logging_level="CRITICAL"
    )


def test_what_is_rung_is_told_once(
    home: Home, database_of: Callable[[str], Database], redis: Redis, told: Callable[[], list[dict[str, str]]]
):
    home.dose(DUE)
    ids = reminders.ring(database_of("scheduler"), DUE)

    for _ in range(2):
        Doorbell(redis).ring(ids)
    _work(redis)

    assert [line["text"] for line in told()] == ["Bruno: time for the medicine of 12:30"]
    assert told()[0]["key"] == ids[0]


def test_a_dose_taken_meanwhile_is_not_told(
    home: Home, database_of: Callable[[str], Database], told: Callable[[], list[dict[str, str]]]
):
    dose_id = home.dose(DUE)
    ids = reminders.ring(database_of("scheduler"), DUE)
    doses.take(home.database, home.writer(), Taking(DUE, dose_id), home.request(), DUE)

    jobs.deliver(ReminderJob(tuple(ids)).payload())

    assert told() == []


def test_a_failed_channel_is_on_record_and_tried_again(
    home: Home, database_of: Callable[[str], Database], told: Callable[[], list[dict[str, str]]], tmp_path: Path
):
    home.dose(DUE)
    (tmp_path / "bruno.jsonl").mkdir()
    ids = reminders.ring(database_of("scheduler"), DUE)

    jobs.deliver(ReminderJob(tuple(ids)).payload())
    (tmp_path / "bruno.jsonl").rmdir()
    jobs.serve(database_of("worker"), {"file": FileChannel(tmp_path)}, lambda: DUE + reminders.LEASE)
    jobs.deliver(ReminderJob(tuple(ids)).payload())

    assert len(told()) == 1


def test_a_callable_that_is_not_on_the_list_is_refused_and_not_run(
    redis: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    proof = tmp_path / "ran"
    Queue(REMINDERS_QUEUE, connection=redis, serializer=JSONSerializer).enqueue_call("os.mkdir", args=(str(proof),))

    with caplog.at_level(logging.ERROR, "dosette_scheduler"):
        _work(redis)

    assert not proof.exists()
    assert "not on the list" in caplog.text


def test_a_callback_that_rides_on_a_job_of_ours_is_not_run(redis: Redis, told: Callable[[], list[dict[str, str]]]):
    queue = Queue(REMINDERS_QUEUE, connection=redis, serializer=JSONSerializer)
    callback = Callback("os.getcwd")
    queue.enqueue_call(DELIVER, args=(ReminderJob(()).payload(),), on_success=callback, on_failure=callback)

    _work(redis)

    (job,) = (
        ListedJob.fetch(each, connection=redis, serializer=JSONSerializer)
        for each in queue.finished_job_registry.get_job_ids()
    )
    assert (job.success_callback, job.failure_callback, job.stopped_callback) == (None, None, None)


def test_many_reminders_ring_in_few_jobs(redis: Redis):
    Doorbell(redis).ring([f"id-{number}" for number in range(3 * IDS_PER_JOB + 1)])

    assert len(Queue(REMINDERS_QUEUE, connection=redis, serializer=JSONSerializer)) == 4


@pytest.mark.parametrize("address", ["../outside", "/etc/passwd", "", "a/b", ".hidden", "x" * 101])
def test_the_file_channel_stays_in_its_folder(tmp_path: Path, address: str):
    with pytest.raises(ChannelFailed, match="plain file name"):
        FileChannel(tmp_path / "deliveries").send(address, Message("key", "due", "text", NOON))


def test_the_words_are_those_of_the_moment_of_telling(
    home: Home, database_of: Callable[[str], Database], tmp_path: Path
):
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    home.dose(DUE)
    late = DUE + timedelta(minutes=90)
    jobs.serve(database_of("worker"), {"file": FileChannel(tmp_path)}, lambda: late)

    jobs.deliver(ReminderJob(tuple(reminders.ring(database_of("scheduler"), late))).payload())

    line = json.loads((tmp_path / "bruno.jsonl").read_text())
    assert line["text"] == wording("Bruno", DUE, DUE + timedelta(hours=1), "UTC", late).text
    assert line["kind"] == "late"
