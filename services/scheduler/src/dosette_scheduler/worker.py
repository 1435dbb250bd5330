"""The worker: one RQ worker on one queue, without a fork for each job, that runs only the callables on a list; and its desk."""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from types import FrameType

from redis import Redis
from rq import Queue, SimpleWorker
from rq.exceptions import DeserializationError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from dosette import process
from dosette.actions.reminders import ClaimedDelivery
from dosette.bus import BusDown, connect
from dosette.contracts.job import DELIVER
from dosette.contracts.names import DELIVERIES_QUEUE
from dosette.metrics import counter, serve_metrics
from dosette.settings import Environment
from dosette.storage.connection import Database
from dosette_scheduler import jobs
from dosette_scheduler.channels import Action, Channels
from dosette_scheduler.channels.apprise import AppriseChannel
from dosette_scheduler.channels.file import FileChannel
from dosette_scheduler.channels.mqtt import MqttChannel
from dosette_scheduler.channels.panel import PanelChannel
from dosette_scheduler.channels.webhook import WebhookChannel
from dosette_scheduler.desk import Desk
from dosette_scheduler.doorbell import redis_up
from dosette_scheduler.links import Links, no_links

ALLOWED = frozenset({DELIVER})
JOBS_PER_LIFE = 1000
"""Then the process ends with 0 and is started again: whatever a library leaks stays small."""
RETRY_S = 1.0
REDIS_ANSWERS_S = 1.0
"""To the panel channel, over a connection of its own: on the worker's, RQ waits for minutes."""
ENDS_WITHIN_S = 12.0

log = logging.getLogger(__name__)
_refused = counter("dosette_jobs_refused", "Jobs that named a callable which is not on the list")


class ForbiddenCallable(Exception):
    """Somebody put a job into Redis that is none of ours."""


class ListedJob(Job):
    """A job whose callable is looked up only when it is on the list: RQ itself would import any name found in Redis."""

    _unread = False

    @property
    def func(self) -> object:
        if self.func_name not in ALLOWED:
            self._refuse()
            raise ForbiddenCallable(self.func_name)
        return super().func

    def _deserialize_data(self) -> None:
        """RQ pickles unless it is told otherwise. Nobody unpickles here; who sent it is a stranger all the same."""
        try:
            super()._deserialize_data()  # type: ignore[no-untyped-call]
        except DeserializationError:
            if not self._unread:
                self._refuse()
            self._unread = True
            raise

    def _refuse(self) -> None:
        _refused.inc()
        log.error("a job was refused: its callable is not on the list", extra={"job_id": self.id})
        jobs.refuse()

    @property
    def success_callback(self) -> None:
        """None of ours has one, and RQ would import any name found in Redis for these, too."""

    @property
    def failure_callback(self) -> None:
        """As above."""

    @property
    def stopped_callback(self) -> None:
        """As above."""


class EndingWorker(SimpleWorker):
    """RQ's keeps to itself that the process is to end, and forgets it when Redis is away while it says goodbye there."""

    stopping: Event

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()  # type: ignore[no-untyped-call]
        if self.stopping.is_set():  # while the process's own handlers still stood
            raise StopRequested

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping.set()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


def work(redis: Redis, stopping: Event) -> None:
    """Answers the bell until told to stop, or JOBS_PER_LIFE times. Raises BusDown, and StopRequested when told to stop before it
    could begin."""
    queue = Queue(DELIVERIES_QUEUE, connection=redis, serializer=JSONSerializer, job_class=ListedJob)
    worker = EndingWorker([queue], connection=redis, serializer=JSONSerializer, job_class=ListedJob)
    worker.stopping = stopping
    redis_up.set(1)
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        worker.work(max_jobs=JOBS_PER_LIFE, logging_level="WARNING")
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    stopping.set()


def channels_of(env: Environment) -> Channels:
    """Every channel that this worker can tell through, by its name in contacts."""
    return {
        "panel": PanelChannel(connect(env.text("REDIS_URL"), answer_s=REDIS_ANSWERS_S)),
        "apprise": AppriseChannel(),
        "webhook": WebhookChannel(),
        "mqtt": MqttChannel(env.optional("DOSETTE_MQTT_URL")),
        "file": FileChannel(env.path("DOSETTE_FILE_CHANNEL_DIR") or Path("deliveries")),
    }


def links_of(env: Environment) -> Callable[[ClaimedDelivery], tuple[Action, ...]]:
    key, public_url = env.optional("DOSETTE_LINK_KEY"), env.optional("DOSETTE_PUBLIC_URL")
    return Links(key, public_url) if key and public_url else no_links


def main() -> None:
    """The console command `dosette-worker`."""
    started = process.start("worker")
    env = started.env
    redis = connect(env.text("REDIS_URL"))
    desk = Desk(
        Database(env.text("DATABASE_URL"), "dosette-worker"),
        channels_of(env),
        started.clock,
        links_of(env),
        goes_on=process.goes_on,
    )
    jobs.serve(desk.rung, desk.refused)
    serve_metrics(started.common.metrics_bind, desk.is_alive)
    desk_thread = Thread(target=_run_or_end, args=(desk, started.stopping), name="desk", daemon=True)
    desk_thread.start()
    log.info("started", extra={"queue": DELIVERIES_QUEUE})
    while not started.stopping.is_set():
        try:
            work(redis, started.stopping)
        except BusDown as error:  # the desk goes on without a bell
            redis_up.set(0)
            log.warning("Redis is out of reach", extra={"error": str(error)})
            started.stopping.wait(RETRY_S)
        except StopRequested:
            break
    desk.wake()
    desk_thread.join(ENDS_WITHIN_S)
    log.info("stopped")
    logging.shutdown()
    os._exit(0)  # a lane that hangs is not waited for


def _run_or_end(desk: Desk, stopping: Event) -> None:
    """A worker without its desk would look alive and tell nobody: it ends, and is started again."""
    try:
        desk.run(stopping)
    except Exception:
        log.exception("the desk broke")
        logging.shutdown()
        os._exit(1)


if __name__ == "__main__":
    main()
