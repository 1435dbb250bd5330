"""The scheduler: keeps the plan ahead, tells what is due, closes what was missed, publishes to devices, takes presses in.

Everything it does is a row first and a message second, so that it may be killed anywhere, and a second one does no harm: one of
them leads, the others wait.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Thread
from uuid import uuid4

from prometheus_client import REGISTRY

from dosette import process
from dosette.actions import doses, households, reminders, replies, schedules
from dosette.actions.devices import ServerKeys
from dosette.actions.reminders import Rung
from dosette.bus import Bus, BusDown, connect
from dosette.clock import Clock, longest_wait_s
from dosette.domain.errors import Unavailable
from dosette.metrics import counter, gauge, histogram, serve_metrics
from dosette.settings import BadSetting
from dosette.storage.connection import Database
from dosette_scheduler import certificate, watch
from dosette_scheduler.alarms import Alarms
from dosette_scheduler.doorbell import Doorbell, redis_up
from dosette_scheduler.listener import Listener
from dosette_scheduler.presses import PressDesk
from dosette_scheduler.publisher import Publisher

LONGEST_WAIT_S = 5.0
REDIS_ANSWERS_S = 1.0
"""A Redis that hangs must not hold up the telling; workers look without it."""
RETRY_S = 1.0
TIDY_EVERY = timedelta(hours=1)
STUCK_AFTER_S = 30.0

log = logging.getLogger(__name__)

_planned = counter("dosette_doses_planned", "Doses that became rows")
_missed = counter("dosette_doses_missed", "Doses whose window ended untaken")
_rung = counter("dosette_reminders_rung", "Messages that were rung in RQ, again counted again")
_waiting = gauge("dosette_reminders_waiting", "Reminders that are due and messages that are to be sent, and were not")
_lag = gauge("dosette_reminder_lag_seconds", "Age of the oldest reminder that is due and not told")
_parked = gauge("dosette_deliveries_parked", "Messages that were given up after too many tries")
_tick = histogram("dosette_scheduler_tick_seconds", "Duration of one round of the scheduler")
_heartbeat = gauge(
    "dosette_scheduler_heartbeat_timestamp_seconds", "When the scheduler last finished a round (its clock)"
)
_leads = gauge("dosette_scheduler_leads", "1 while this scheduler leads; the sum over all of them is to be 1")
_term = gauge("dosette_scheduler_term", "Number of the newest term that this scheduler has led in")


@dataclass
class Scheduler:
    """One round after another, until told to stop; sleeps until something is due, something changed, or five seconds passed."""

    database: Database
    doorbell: Doorbell
    publisher: Publisher
    alarms: Alarms
    listener: Listener
    clock: Clock
    name: str = field(default_factory=lambda: str(uuid4()))
    leads: Event = field(default_factory=Event)
    goes_on: Callable[[], None] = lambda: None
    told_of: Callable[[set[str]], None] = lambda households: None
    """Who else wants to know what changed."""
    progress: float = field(default_factory=time.monotonic)
    tidied_at: datetime | None = None
    zones_known: bool = False

    def run(self, stopping: Event) -> None:
        wait_s = 0.0
        changed: set[str] = set()
        while not stopping.is_set():
            try:
                changed |= self.listener.wait(longest_wait_s(self.clock, wait_s))
                wait_s = self._round(changed)
                changed = set()
            except Unavailable as error:
                log.warning("the database is out of reach", extra={"error": str(error.__cause__ or error)})
                self.publisher.all_is_stale()
                self.alarms.all_is_stale()
                stopping.wait(RETRY_S)
            self.progress = time.monotonic()
            self.goes_on()

    def is_alive(self) -> bool:
        return time.monotonic() - self.progress < STUCK_AFTER_S

    @_tick.time()
    def _round(self, changed: set[str]) -> float:
        """One round; how many seconds until the next has something to do. What is due is told though the planning broke: that has
        been done for days ahead."""
        now = self.clock()
        if not self._is_leader(now):
            _heartbeat.set(now.timestamp())
            return LONGEST_WAIT_S
        try:
            self._know_zones()
            more = self._keep_plan(now)
        finally:
            self._tell(now)
        answered = self._speak(changed, now)
        self.told_of(changed)
        self.alarms.look(changed, answered, now)
        wait_s = self._until_next(now)
        _heartbeat.set(now.timestamp())
        if more:
            return 0.0
        return wait_s if answered else min(wait_s, RETRY_S)

    def _is_leader(self, now: datetime) -> bool:
        """Renews the lease; several leaders at once would be harmless, but do everything twice."""
        term = reminders.lead(self.database, self.name, now)
        if term is not None and not self.leads.is_set():
            log.info("leads", extra={"term": term})
            self.publisher.all_is_stale()
            _term.set(term)
        if term is None:
            self.leads.clear()
            _waiting.set(0)  # the leader says it
            _lag.set(0)
        else:
            self.leads.set()
        _leads.set(self.leads.is_set())
        return self.leads.is_set()

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

    def _tell(self, now: datetime) -> None:
        """What is due becomes messages; they are rung batch by batch, so that the first need not wait for the last."""
        self._ring(reminders.ring_again(self.database, now))
        while (told := reminders.tell_due(self.database, now)) is not None:
            self._ring(told)
            self.progress = time.monotonic()
            self.goes_on()

    def _ring(self, rung: list[Rung]) -> None:
        """A bell that nobody hears costs seconds: workers look by themselves."""
        try:
            self.doorbell.ring(rung)
        except BusDown as error:
            log.warning("a bell was not heard", extra={"error": str(error)})
        else:
            _rung.inc(len(rung))

    def _speak(self, changed: set[str], now: datetime) -> bool:
        """Redis may be away (then False): workers look for the rows, and what was not published is published when it is back."""
        try:
            self.doorbell.ping()
            self.publisher.publish(changed, now)
        except BusDown as error:
            log.warning("Redis is out of reach", extra={"error": str(error)})
            redis_up.set(0)
            self.publisher.all_is_stale()
            return False
        redis_up.set(1)
        return True

    def _until_next(self, now: datetime) -> float:
        backlog = reminders.backlog(self.database, now)
        _waiting.set(backlog.waiting)
        _parked.set(backlog.parked)
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
    bus = Bus(connect(redis_url, answer_s=REDIS_ANSWERS_S))
    publisher = Publisher(database, bus, keys)
    scheduler = Scheduler(
        database,
        Doorbell(connect(redis_url, answer_s=REDIS_ANSWERS_S, connected=publisher.all_is_stale)),
        publisher,
        Alarms(database, bus),
        Listener(url, started.woken),
        started.clock,
        goes_on=process.goes_on,
    )
    desk = PressDesk(database, Bus(connect(redis_url, block_s=LONGEST_WAIT_S)), keys, started.clock, scheduler.leads)
    serve_metrics(started.common.metrics_bind, scheduler.is_alive)
    REGISTRY.register(watch.of_database(database))
    REGISTRY.register(watch.of_queue(connect(redis_url, answer_s=REDIS_ANSWERS_S)))
    if (public_url := env.optional("DOSETTE_PUBLIC_URL")) and public_url.startswith("https:"):
        Thread(target=certificate.look, args=(public_url, started.stopping), name="certificate", daemon=True).start()
    Thread(target=desk.run, args=(started.stopping,), name="presses", daemon=True).start()
    if mqtt_url := env.optional("DOSETTE_MQTT_URL"):
        _start_home_assistant(scheduler, mqtt_url, started.stopping)
    log.info("started")
    scheduler.run(started.stopping)
    log.info("stopped")


def _start_home_assistant(scheduler: Scheduler, url: str, stopping: Event) -> None:
    """Imported only where a broker is set."""
    from dosette_scheduler.home_assistant import HomeAssistant

    try:
        bridge = HomeAssistant(scheduler.database, url, scheduler.clock, scheduler.leads)
    except ValueError as error:
        raise BadSetting(str(error)) from None
    scheduler.told_of = bridge.heard
    Thread(target=bridge.run, args=(stopping,), name="home assistant", daemon=True).start()


if __name__ == "__main__":
    main()
