"""The scheduler: keeps the plan ahead, rings what is due, closes what was missed, publishes to devices, takes presses in.

Everything it does is a row first and a message second, so that it may be killed anywhere, and a second one does no harm.
"""

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Thread

from dosette import process
from dosette.actions import doses, households, reminders, replies, schedules
from dosette.actions.devices import ServerKeys
from dosette.bus import Bus, BusDown, connect
from dosette.clock import Clock, longest_wait_s
from dosette.domain.errors import Unavailable
from dosette.metrics import counter, gauge, histogram, serve_metrics
from dosette.storage.connection import Database
from dosette_scheduler.doorbell import Doorbell
from dosette_scheduler.listener import Listener
from dosette_scheduler.presses import PressDesk
from dosette_scheduler.publisher import Publisher

LONGEST_WAIT_S = 5.0
RETRY_S = 1.0
TIDY_EVERY = timedelta(hours=1)
STUCK_AFTER_S = 30.0

log = logging.getLogger(__name__)

_planned = counter("dosette_doses_planned", "Doses that became rows")
_missed = counter("dosette_doses_missed", "Doses whose window ended untaken")
_rung = counter("dosette_reminders_rung", "Reminders rung in RQ, again counted again")
_waiting = gauge("dosette_reminders_waiting", "Reminders that are due and not told")
_lag = gauge("dosette_reminder_lag_seconds", "Age of the oldest reminder that is due and not told")
_tick = histogram("dosette_scheduler_tick_seconds", "Duration of one round of the scheduler")
_heartbeat = gauge(
    "dosette_scheduler_heartbeat_timestamp_seconds", "When the scheduler last finished a round (its clock)"
)
_redis_up = gauge("dosette_redis_up", "Whether the scheduler's last word to Redis was answered")


@dataclass
class Scheduler:
    """One round after another, until told to stop; sleeps until something is due, something changed, or five seconds passed."""

    database: Database
    doorbell: Doorbell
    publisher: Publisher
    listener: Listener
    clock: Clock
    progress: float = field(default_factory=time.monotonic)
    tidied_at: datetime | None = None
    zones_known: bool = False

    def run(self, stopping: Event) -> None:
        wait_s = 0.0
        while not stopping.is_set():
            try:
                changed = self.listener.wait(longest_wait_s(self.clock, wait_s))
                wait_s = self._round(changed)
            except Unavailable as error:
                log.warning("the database is out of reach", extra={"error": str(error.__cause__ or error)})
                self.publisher.all_is_stale()
                stopping.wait(RETRY_S)
            self.progress = time.monotonic()

    def is_alive(self) -> bool:
        return time.monotonic() - self.progress < STUCK_AFTER_S

    @_tick.time()
    def _round(self, changed: set[str]) -> float:
        """One round; how many seconds until the next has something to do."""
        now = self.clock()
        self._know_zones()
        more = self._keep_plan(now)
        answered = self._bell(now, changed)
        wait_s = self._until_next(now)
        _heartbeat.set(now.timestamp())
        if more:
            return 0.0
        return wait_s if answered else RETRY_S

    def _know_zones(self) -> None:
        """Once: this program may have come with newer zone rules than the households were founded with."""
        if not self.zones_known:
            changed = households.refresh_offsets(self.database)
            log.info("zones known", extra={"households_changed": changed})
            self.zones_known = True

    def _keep_plan(self, now: datetime) -> bool:
        missed, planned = doses.close_missed(self.database, now), schedules.extend_plans(self.database, now)
        _missed.inc(missed)
        _planned.inc(planned)
        return bool(missed or planned or self._tidy(now))

    def _tidy(self, now: datetime) -> bool:
        """Once an hour; whether there is more to forget."""
        if self.tidied_at and self.tidied_at <= now < self.tidied_at + TIDY_EVERY:
            return False
        more = replies.forget_old(self.database, now) == replies.BATCH
        self.tidied_at = self.tidied_at if more else now
        return more

    def _bell(self, now: datetime, changed: set[str]) -> bool:
        """Redis may be away (then False): the rows wait, and are rung and published when it is back."""
        try:
            self._ring(now)
            self.publisher.publish(changed, now)
        except BusDown as error:
            log.warning("Redis is out of reach", extra={"error": str(error)})
            _redis_up.set(0)
            self.publisher.all_is_stale()
            return False
        _redis_up.set(1)
        return True

    def _ring(self, now: datetime) -> None:
        self.doorbell.ping()
        while due := reminders.ring(self.database, now):
            self.doorbell.ring(due)
            _rung.inc(len(due))

    def _until_next(self, now: datetime) -> float:
        backlog = reminders.backlog(self.database, now)
        _waiting.set(backlog.waiting)
        _lag.set((now - backlog.oldest_due_at).total_seconds() if backlog.oldest_due_at else 0)
        if backlog.next_due_at is None:
            return LONGEST_WAIT_S
        return min(LONGEST_WAIT_S, max(0.0, (backlog.next_due_at - self.clock()) / timedelta(seconds=1)))


def main() -> None:
    """The console command `dosette-scheduler`."""
    started = process.start("scheduler")
    env = started.env
    url, redis_url = env.text("DATABASE_URL"), env.text("REDIS_URL")
    keys = ServerKeys(env.text("DOSETTE_SECRET"))
    database = Database(url, "dosette-scheduler")
    redis = connect(redis_url)
    scheduler = Scheduler(
        database, Doorbell(redis), Publisher(database, Bus(redis), keys), Listener(url, started.woken), started.clock
    )
    desk = PressDesk(database, Bus(connect(redis_url, block_s=LONGEST_WAIT_S)), keys, started.clock)
    serve_metrics(started.common.metrics_bind, scheduler.is_alive)
    Thread(target=desk.run, args=(started.stopping,), name="presses", daemon=True).start()
    log.info("started")
    scheduler.run(started.stopping)
    log.info("stopped")


if __name__ == "__main__":
    main()
