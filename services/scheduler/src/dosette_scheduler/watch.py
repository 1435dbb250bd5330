"""How PostgreSQL and the queue are, told to Prometheus by the scheduler, so that no exporter runs beside them.

They are asked when Prometheus asks, each in one or two cheap round trips, and never waited for longer than PATIENCE_S: a database that
hangs must not take the metrics along that say so. Where nobody scrapes, nobody is asked.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from redis import Redis
from rq.job import Job
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from dosette.actions import vitals
from dosette.bus import BusDown
from dosette.contracts.names import DELIVERIES_QUEUE
from dosette.domain.errors import Unavailable
from dosette.storage.connection import Database

PATIENCE_S = 2.0
STATEMENT_MS = 1500
_QUEUE = f"rq:queue:{DELIVERIES_QUEUE}"
_FAILED, _STARTED = f"rq:failed:{DELIVERIES_QUEUE}", f"rq:wip:{DELIVERIES_QUEUE}"
_WORKERS = WORKERS_BY_QUEUE_KEY % DELIVERIES_QUEUE

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Watch:
    """A collector for the registry: `up` says whether the answer came in time, and without one there is nothing else."""

    up: str
    what: str
    read: Callable[[], Iterable[Metric]]
    patience_s: float = PATIENCE_S
    _reading: Lock = field(default_factory=Lock)

    def describe(self) -> list[Metric]:
        """Asked at registration: what there is to be told is known then, what it says is not."""
        return [GaugeMetricFamily(self.up, self.what)]

    def collect(self) -> Iterator[Metric]:
        found = self._found()
        yield GaugeMetricFamily(self.up, self.what, value=found is not None)
        yield from found or ()

    def _found(self) -> list[Metric] | None:
        """A reading that hangs is waited for by the next one, in vain but no longer."""
        if not self._reading.acquire(timeout=self.patience_s):
            return None
        answer: SimpleQueue[list[Metric] | None] = SimpleQueue()
        Thread(target=self._read_into, args=(answer,), name=self.up, daemon=True).start()
        try:
            return answer.get(timeout=self.patience_s)
        except Empty:
            return None

    def _read_into(self, answer: "SimpleQueue[list[Metric] | None]") -> None:
        try:
            answer.put(list(self.read()))
        except (Unavailable, BusDown) as error:
            log.warning("no answer to the watch", extra={"asked": self.up, "error": str(error)})
            answer.put(None)
        finally:
            self._reading.release()


def of_database(database: Database) -> Watch:
    """PostgreSQL by its own statistics."""
    return Watch(
        "dosette_database_up",
        "Whether PostgreSQL told the watch how it is, in time",
        lambda: _database(vitals.read(database, STATEMENT_MS)),
    )


def of_queue(redis: Redis) -> Watch:
    """RQ's queue, and the Redis it is in."""
    return Watch("dosette_queue_up", "Whether Redis told the watch how the queue is, in time", lambda: _queue(redis))


def _database(now: vitals.Vitals) -> Iterator[Metric]:
    oldest_s = max(0.0, time.time() - now.oldest_transaction_at.timestamp()) if now.oldest_transaction_at else 0.0
    yield _gauge("dosette_database_connections", "Connections to the database", now.connections)
    yield _gauge("dosette_database_connections_limit", "Connections that PostgreSQL allows", now.connections_limit)
    yield _gauge("dosette_database_oldest_transaction_seconds", "Age of the longest open transaction", oldest_s)
    yield _gauge("dosette_database_size_bytes", "Size of the database on its disk", now.size_bytes)
    rows = GaugeMetricFamily(
        "dosette_database_rows", "Rows: live, and dead until they are cleaned up", labels=["state"]
    )
    rows.add_metric(["live"], now.live_rows)
    rows.add_metric(["dead"], now.dead_rows)
    yield rows
    yield _counter(
        "dosette_database_blocks_read", "Blocks read", "source", cache=now.blocks_from_cache, disk=now.blocks_from_disk
    )
    yield _counter("dosette_database_transactions", "Transactions", "end", commit=now.commits, rollback=now.rollbacks)
    yield CounterMetricFamily("dosette_database_deadlocks", "Deadlocks that were broken", value=now.deadlocks)
    yield CounterMetricFamily(
        "dosette_database_wal_bytes", "Bytes written ahead, by the whole server", value=now.wal_bytes
    )
    yield _counter(
        "dosette_database_checkpoints",
        "Checkpoints: in time, or early since much was written",
        "cause",
        time=now.checkpoints_timed,
        demand=now.checkpoints_requested,
    )


def _queue(redis: Redis) -> Iterator[Metric]:
    asked = redis.pipeline(transaction=False)
    asked.llen(_QUEUE)
    asked.zcard(_FAILED)
    asked.zcard(_STARTED)
    asked.smembers(_WORKERS)
    asked.lindex(_QUEUE, 0)
    asked.lindex(_QUEUE, -1)
    asked.info("memory")
    queued, failed, started, workers, first, last, memory = asked.execute()
    jobs = GaugeMetricFamily(
        "dosette_queue_jobs", "Jobs: to be done, being done, failed within the hour", labels=["state"]
    )
    for state, count in (("queued", queued), ("started", started), ("failed", failed)):
        jobs.add_metric([state], count)
    yield jobs
    asked = redis.pipeline(transaction=False)
    for worker in workers:
        asked.exists(worker)
    for job_id in filter(None, {first, last}):  # an urgent one is first, and may be the newest
        asked.hget(Job.key_for(job_id.decode()), "enqueued_at")
    answers = asked.execute()
    alive, enqueued = answers[: len(workers)], answers[len(workers) :]
    yield _gauge("dosette_queue_workers", "Workers that RQ knows and that live", sum(alive))
    yield _gauge("dosette_queue_oldest_job_seconds", "Age of the oldest job that is to be done", _oldest_s(enqueued))
    yield _gauge("dosette_redis_memory_bytes", "Memory that Redis uses", memory["used_memory"])
    yield _gauge("dosette_redis_memory_limit_bytes", "Memory that Redis may use; 0: all", memory["maxmemory"])


def _oldest_s(enqueued: Iterable[bytes | None]) -> float:
    ages = [time.time() - datetime.fromisoformat(at.decode()).timestamp() for at in enqueued if at]
    return max([0.0, *ages])


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _counter(name: str, what: str, label: str, **counts: int) -> Metric:
    family = CounterMetricFamily(name, what, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
