"""What the scheduler tells Prometheus about PostgreSQL and the queue; also when these hang, or are away."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from psycopg2.errors import InsufficientPrivilege
from redis import Redis

from conftest import Home, Server
from dosette.actions import vitals
from dosette.actions.reminders import Rung
from dosette.bus import connect
from dosette.storage.connection import Database
from dosette.storage.connection import connect as connect_database
from dosette_local.ports import free_port
from dosette_local.servers.postgres import Postgres
from dosette_local.servers.valkey import Valkey
from dosette_scheduler import watch
from dosette_scheduler.doorbell import Doorbell
from dosette_scheduler.watch import Watch

ID = "01980000-0000-7000-8000-000000000001"


def _told(watch: Watch) -> dict[str, float]:
    """Samples of one scrape by name, with the value of their label."""
    registry = CollectorRegistry()
    registry.register(watch)
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }


@contextmanager
def _frozen(pid: int | None) -> Iterator[None]:
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_postgresql_is_told_in_sums_and_counts(home: Home, database_of: Callable[[str], Database]):
    home.dose()

    told = _told(watch.of_database(database_of("scheduler")))

    assert told["dosette_database_up"] == 1
    assert told["dosette_database_connections_limit"] > told["dosette_database_connections"] >= 2
    assert told["dosette_database_size_bytes"] > 1_000_000
    assert told["dosette_database_transactions_total commit"] > 0
    assert told["dosette_database_blocks_read_total cache"] > 0
    assert told["dosette_database_wal_bytes_total"] > 0
    assert told["dosette_database_checkpoints_total demand"] >= 0


def test_a_transaction_that_somebody_else_leaves_open_is_seen(server: Server, database_of: Callable[[str], Database]):
    forgotten = connect_database(server.url("api"), "forgetful")
    with forgotten.cursor() as cursor:
        cursor.execute("BEGIN")
        time.sleep(0.1)

        told = _told(watch.of_database(database_of("scheduler")))
    forgotten.close()

    assert told["dosette_database_oldest_transaction_seconds"] >= 0.1


def test_only_the_scheduler_may_ask_how_postgresql_is(database_of: Callable[[str], Database]):
    with pytest.raises(InsufficientPrivilege, match="vitals"):
        vitals.read(database_of("worker"), watch.STATEMENT_MS)


def test_the_watch_leaves_no_connection_behind(server: Server, database_of: Callable[[str], Database]):
    before = _told(watch.of_database(database_of("scheduler")))["dosette_database_connections"]

    assert _told(watch.of_database(database_of("scheduler")))["dosette_database_connections"] == before == 1


def test_a_postgresql_that_hangs_is_not_waited_for(tmp_path: Path):
    with Postgres(tmp_path / "data", port=free_port(), password="postgres", durable=False) as postgres:
        hanging = watch.of_database(Database(postgres.url, "test"))
        hanging.patience_s = 0.2
        with _frozen(postgres.child.pid):
            began = time.monotonic()
            twice = [_told(hanging), _told(hanging)]
            took_s = time.monotonic() - began

    assert twice == [{"dosette_database_up": 0.0}] * 2
    assert took_s < watch.PATIENCE_S


def test_a_postgresql_that_is_away_is_told_as_that():
    away = Database("postgresql://nobody@127.0.0.1:1/none", "test")

    assert _told(watch.of_database(away)) == {"dosette_database_up": 0.0}


def test_jobs_that_nobody_does_are_counted_and_grow_old(redis: Redis):
    empty = _told(watch.of_queue(redis))
    Doorbell(redis).ring([Rung(ID, False)])
    time.sleep(0.1)
    Doorbell(redis).ring([Rung(ID, True)])
    told = _told(watch.of_queue(redis))

    assert (empty["dosette_queue_jobs queued"], empty["dosette_queue_oldest_job_seconds"]) == (0, 0)
    assert told["dosette_queue_jobs queued"] == 2
    assert told["dosette_queue_oldest_job_seconds"] >= 0.1
    assert told["dosette_redis_memory_bytes"] > 0


def test_a_worker_that_died_is_not_counted_though_rq_still_lists_it(redis: Redis):
    redis.sadd("rq:workers:deliveries", "rq:worker:alive", "rq:worker:dead")
    redis.hset("rq:worker:alive", "birth", "now")

    assert _told(watch.of_queue(redis))["dosette_queue_workers"] == 1


def test_a_redis_that_is_away_is_told_as_that():
    assert _told(watch.of_queue(connect("redis://127.0.0.1:1"))) == {"dosette_queue_up": 0.0}


def test_a_redis_that_hangs_is_not_waited_for(tmp_path: Path):
    with Valkey(tmp_path / "data", port=free_port(), password="valkey") as valkey:
        hanging = watch.of_queue(connect(valkey.url))
        hanging.patience_s = 0.2
        with _frozen(valkey.child.pid):
            assert _told(hanging) == {"dosette_queue_up": 0.0}
