"""The worker: one RQ worker on one queue, without a fork for each job, that runs only the callables on a list."""

import logging
from pathlib import Path

from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from dosette import process
from dosette.bus import connect
from dosette.contracts.job import DELIVER
from dosette.contracts.names import REMINDERS_QUEUE
from dosette.metrics import counter, serve_metrics
from dosette.storage.connection import Database
from dosette_scheduler import jobs
from dosette_scheduler.channels import Channels
from dosette_scheduler.channels.file import FileChannel

ALLOWED = frozenset({DELIVER})
JOBS_PER_LIFE = 1000
"""Then the process ends with 0 and is started again: whatever a library leaks stays small."""

log = logging.getLogger(__name__)
_refused = counter("dosette_jobs_refused", "Jobs that named a callable which is not on the list")


class ForbiddenCallable(Exception):
    """Somebody put a job into Redis that is none of ours."""


class ListedJob(Job):
    """A job whose callable is looked up only when it is on the list: RQ itself would import any name found in Redis."""

    @property
    def func(self) -> object:
        if self.func_name not in ALLOWED:
            _refused.inc()
            log.error("a job was refused: its callable is not on the list", extra={"job_id": self.id})
            raise ForbiddenCallable(self.func_name)
        return super().func

    @property
    def success_callback(self) -> None:
        """None of ours has one, and RQ would import any name found in Redis for these, too."""

    @property
    def failure_callback(self) -> None:
        """As above."""

    @property
    def stopped_callback(self) -> None:
        """As above."""


def main() -> None:
    """The console command `dosette-worker`."""
    started = process.start("worker")
    env = started.env
    redis = connect(env.text("REDIS_URL"))
    folder = env.path("DOSETTE_FILE_CHANNEL_DIR") or Path("deliveries")
    channels: Channels = {"file": FileChannel(folder)}
    jobs.serve(Database(env.text("DATABASE_URL"), "dosette-worker"), channels, started.clock)
    serve_metrics(started.common.metrics_bind)
    queue = Queue(REMINDERS_QUEUE, connection=redis, serializer=JSONSerializer, job_class=ListedJob)
    worker = SimpleWorker([queue], connection=redis, serializer=JSONSerializer, job_class=ListedJob)
    log.info("started", extra={"queue": REMINDERS_QUEUE})
    worker.work(max_jobs=JOBS_PER_LIFE, logging_level="WARNING")
    log.info("stopped")


if __name__ == "__main__":
    main()
