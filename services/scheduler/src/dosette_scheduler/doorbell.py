"""Rings RQ: a job carries row ids and nothing else; a ring that is lost costs seconds, since the rows are swept as well."""

from collections.abc import Iterator, Sequence

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from dosette.actions.reminders import Rung
from dosette.contracts.job import DELIVER, DeliveryJob
from dosette.contracts.names import ALIVE_KEY, DELIVERIES_QUEUE
from dosette.faults import fp
from dosette.metrics import gauge

IDS_PER_JOB = 50
JOB_LIVES_S = 60
JOB_TIMEOUT_S = 30
FAILURE_KEPT_S = 3600
ALIVE_FOR_S = 60

redis_up = gauge("dosette_redis_up", "Whether this process's last word to Redis was answered")


class Doorbell:
    """Raises BusDown when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queue = Queue(DELIVERIES_QUEUE, connection=redis, serializer=JSONSerializer)

    def ping(self) -> None:
        """Writes: a Redis that is full answers a PING, and hears nothing."""
        self._redis.set(ALIVE_KEY, 1, ex=ALIVE_FOR_S)

    def ring(self, rung: Sequence[Rung]) -> None:
        """Urgent ones pass all that is queued."""
        for urgent in (False, True):
            for ids in _batches([each.id for each in rung if each.urgent == urgent]):
                fp("S4")
                self._queue.enqueue_call(
                    DELIVER,
                    args=(DeliveryJob(tuple(ids)).payload(),),
                    timeout=JOB_TIMEOUT_S,
                    ttl=JOB_LIVES_S,
                    result_ttl=0,
                    failure_ttl=FAILURE_KEPT_S,
                    at_front=urgent,
                )


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + IDS_PER_JOB] for start in range(0, len(ids), IDS_PER_JOB))
