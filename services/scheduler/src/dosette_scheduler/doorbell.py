"""Rings RQ: a job carries row ids and nothing else; a ring that is lost is rung again from the rows."""

from collections.abc import Iterator, Sequence

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from dosette.contracts.job import DELIVER, ReminderJob
from dosette.contracts.names import REMINDERS_QUEUE
from dosette.faults import fp

IDS_PER_JOB = 50
JOB_LIVES_S = 60
JOB_TIMEOUT_S = 30
FAILURE_KEPT_S = 3600


class Doorbell:
    """Raises BusDown when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queue = Queue(REMINDERS_QUEUE, connection=redis, serializer=JSONSerializer)

    def ping(self) -> None:
        self._redis.ping()

    def ring(self, reminder_ids: Sequence[str]) -> None:
        for ids in _batches(reminder_ids):
            fp("S4")
            self._queue.enqueue_call(
                DELIVER,
                args=(ReminderJob(tuple(ids)).payload(),),
                timeout=JOB_TIMEOUT_S,
                ttl=JOB_LIVES_S,
                result_ttl=0,
                failure_ttl=FAILURE_KEPT_S,
            )


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + IDS_PER_JOB] for start in range(0, len(ids), IDS_PER_JOB))
