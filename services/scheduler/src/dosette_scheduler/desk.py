"""The desk: claims deliveries, hands each to its channel's lane, and records what became of it.

One thread speaks to PostgreSQL; each channel has threads of its own, so that one that hangs holds up no other. It claims no more
than the lanes have room for, so that a lease never runs out in a queue. Whatever nobody rang for is found every five seconds:
so it works without Redis, too; and without a scheduler, for whose telling it stands in.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, product
from queue import Empty, SimpleQueue
from threading import Event

from dosette.actions import alarms, reminders
from dosette.actions.reminders import LEASE, ClaimedDelivery, Sent
from dosette.clock import Clock, longest_wait_s
from dosette.domain.errors import Unavailable
from dosette.domain.reminders import FOREIGN_JOB, SCHEDULER_AWAY, wording
from dosette.faults import fp
from dosette.metrics import counter, gauge, histogram
from dosette.storage.connection import Database
from dosette_scheduler.channels import Action, ChannelFailed, Channels, Message, RemindsItself

SWEEP_S = 5.0
HASTY_S, HASTY_FOR_S = 1.0, 15.0
"""After a start, and after PostgreSQL was away: leases of those who are gone end meanwhile."""
RETRY_S = 1.0
STUCK_AFTER_S = 45.0
"""So long a message may be on its way, or the desk busy, before the process is no longer well."""
CLOSING_S = 8.0
LEADERLESS_S = 45.0
"""So long the scheduler's lease may stay as it is: one that hangs ends itself after 30 s and is back. By what elapses here: clocks may
be wrong, or moved."""
UNSEEN_S = 2 * SWEEP_S
"""Who has not looked for so long, since PostgreSQL was away or the process frozen, does not know whether somebody led meanwhile."""

log = logging.getLogger(__name__)
OUTCOMES = ("delivered", "failed", "parked")
_deliveries = counter("dosette_deliveries", "Tellings through a channel", ("channel", "outcome"))
_lag = histogram(
    "dosette_delivery_lag_seconds",
    "From the moment at which somebody was to be told, to the message's arrival",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 600),
)
_stands_in = gauge("dosette_worker_stands_in", "1 while no scheduler leads and this worker tells what is due")
_under_way = gauge("dosette_deliveries_under_way", "Messages that were claimed and not recorded", ("channel",))

Links = Callable[[ClaimedDelivery], tuple[Action, ...]]


@dataclass(frozen=True)
class _Done:
    delivery: ClaimedDelivery
    sent: Sent


@dataclass
class Desk:
    """`run` on a thread of its own; `rung` from any."""

    database: Database
    channels: Channels
    clock: Clock
    links: Links = lambda delivery: ()
    goes_on: Callable[[], None] = lambda: None
    elapsed_s: Callable[[], float] = time.monotonic
    progress: float = field(init=False)
    _inbox: "SimpleQueue[Sequence[str] | _Done | None]" = field(default_factory=SimpleQueue)
    _known: set[str] = field(default_factory=set)
    _was_refused: Event = field(default_factory=Event)
    _unrecorded: list[_Done] = field(default_factory=list)
    _under_way: dict[str, tuple[str, float]] = field(default_factory=dict)
    _hungry: set[str] = field(default_factory=set)
    _suspects: set[str] = field(default_factory=set)
    _swept_at: float = float("-inf")
    _led_until: datetime | None = None
    _led_at: float = field(init=False)
    _looked_at: float = field(init=False)
    _hasty_until: float = field(init=False)

    def __post_init__(self) -> None:
        self.progress = self._led_at = self._looked_at = self.elapsed_s()
        self._hasty_until = self.progress + HASTY_FOR_S
        self._lanes = {
            name: ThreadPoolExecutor(channel.threads, thread_name_prefix=name)
            for name, channel in self.channels.items()
        }
        for name, outcome in product(self.channels, OUTCOMES):
            _deliveries.labels(name, outcome)  # known as 0, so that Prometheus sees the first one come

    def rung(self, ids: Sequence[str]) -> None:
        """Somebody rang for these deliveries."""
        self._inbox.put(ids)

    def refused(self) -> None:
        """Somebody put a job into Redis that is none of ours: people are told, at the next turn."""
        self._was_refused.set()
        self._inbox.put(None)

    def run(self, stopping: Event) -> None:
        while not stopping.is_set():
            self._listen(longest_wait_s(self.clock, self._wait_s()))
            self.turn(stopping)
        self._close()

    def wake(self) -> None:
        """After `stopping` is set."""
        self._inbox.put(None)

    def is_alive(self) -> bool:
        """A result that waits for PostgreSQL is no message that hangs: it is kept as long as this process lives."""
        ready = {done.delivery.id for done in list(self._unrecorded)}
        sending = [began for each, (_, began) in list(self._under_way.items()) if each not in ready]
        return self.elapsed_s() - min([*sending, self.progress]) < STUCK_AFTER_S

    def turn(self, stopping: Event) -> None:
        """One turn: records what is done, claims what there is room for."""
        try:
            self._record()
            self._claim()
            self._tell_of_strangers()
        except Unavailable as error:
            log.warning("the database is out of reach", extra={"error": str(error.__cause__ or error)})
            stopping.wait(RETRY_S)
            self._hasty_until = self.elapsed_s() + HASTY_FOR_S
        self._has_gone_on()

    def _has_gone_on(self) -> None:
        self.progress = self.elapsed_s()
        if self.is_alive():
            self.goes_on()

    def _wait_s(self) -> float:
        return max(0.0, self._swept_at + self._sweep_s() - self.elapsed_s())

    def _sweep_s(self) -> float:
        return HASTY_S if self.elapsed_s() < self._hasty_until else SWEEP_S

    def _listen(self, wait_s: float) -> None:
        """Takes in all that was said meanwhile."""
        try:
            said = self._inbox.get(timeout=wait_s) if wait_s else self._inbox.get_nowait()
            while True:
                if isinstance(said, _Done):
                    self._unrecorded.append(said)
                elif said is not None:
                    self._known.update(said)
                said = self._inbox.get_nowait()
        except Empty:
            return

    def _record(self) -> None:
        """A result is kept until PostgreSQL has it; when its lease has ended meanwhile, somebody else's counts."""
        self._unrecorded.sort(key=lambda done: done.sent.lease)
        for lease, group in groupby(list(self._unrecorded), key=lambda done: done.sent.lease):
            done = list(group)
            recorded = reminders.record(self.database, [each.sent for each in done], self.clock())
            fp("W5")
            self._unrecorded = [each for each in self._unrecorded if each.sent.lease != lease]
            for each in done:
                self._is_done(each, recorded.get(each.delivery.id))

    def _is_done(self, done: _Done, became: str | None) -> None:
        self._under_way.pop(done.delivery.id, None)
        outcome = "failed" if done.sent.error else "delivered"
        _deliveries.labels(done.delivery.channel, outcome).inc()
        if became == "parked":
            _deliveries.labels(done.delivery.channel, "parked").inc()
        if not done.sent.error:
            _lag.observe((done.sent.at - done.delivery.since) / timedelta(seconds=1))
        log.info(
            "told" if not done.sent.error else "not told",
            extra={
                "delivery_id": done.delivery.id,
                "channel": done.delivery.channel,
                "reminders": len(done.delivery.items),
                "became": became or "somebody else's",
                "error": done.sent.error,
            },
        )

    def _claim(self) -> None:
        now = self.clock()
        if self._known:
            free = self._free()
            self._hand_out(reminders.claim(self.database, sorted(self._known), free, now), free, now)
            self._known.clear()
        is_time = self.elapsed_s() >= self._swept_at + self._sweep_s()
        if is_time:
            self._stand_in(now)
            now = self.clock()  # a lease begins with its claim
        if is_time or any(self._has_room(each) for each in self._hungry):
            self._hungry.clear()
            free = self._free()
            self._hand_out(reminders.sweep(self.database, free, now), free, now)
        if is_time or self._suspects:
            self._look_for_suspects(now)
        if is_time:
            self._swept_at = self.elapsed_s()

    def _stand_in(self, now: datetime) -> None:
        """While no scheduler leads, this desk turns what is due into messages, and people are told why panels hear nothing. Several
        desks at once do no harm."""
        until = reminders.led_until(self.database)
        if until != self._led_until or self.elapsed_s() - self._looked_at > UNSEEN_S:
            self._led_until, self._led_at = until, self.elapsed_s()
        leaderless = self.elapsed_s() - self._led_at >= LEADERLESS_S
        _stands_in.set(leaderless)
        if leaderless:
            alarms.raise_everywhere(self.database, SCHEDULER_AWAY, now)
            while reminders.tell_due(self.database, now) is not None:
                self._has_gone_on()
        self._looked_at = self.elapsed_s()

    def _tell_of_strangers(self) -> None:
        """Once, until somebody dismisses it."""
        if self._was_refused.is_set():
            alarms.raise_everywhere(self.database, FOREIGN_JOB, self.clock())
            self._was_refused.clear()

    def _look_for_suspects(self, now: datetime) -> None:
        """One at a time: so the one that ends the process takes no innocent along twice, and alone is given up in the end."""
        if any(each in self._under_way for each in self._suspects):
            return
        found = reminders.claim_suspect(self.database, self.channels, now)
        self._suspects = {each.id for each in found}
        self._hand_out(found, {}, now)

    def _free(self) -> dict[str, int]:
        busy = Counter(channel for channel, _ in self._under_way.values())
        return {name: channel.slots - busy[name] for name, channel in self.channels.items()}

    def _has_room(self, channel: str) -> bool:
        return self._free()[channel] * 2 >= self.channels[channel].slots

    def _hand_out(self, claimed: Iterable[ClaimedDelivery], free: dict[str, int], now: datetime) -> None:
        fp("W2")
        taken: Counter[str] = Counter()
        for delivery in claimed:
            taken[delivery.channel] += 1
            if delivery.parked:
                _deliveries.labels(delivery.channel, "parked").inc()
                log.error("given up", extra={"delivery_id": delivery.id, "channel": delivery.channel})
            else:
                self._under_way[delivery.id] = (delivery.channel, self.elapsed_s())
                self._lanes[delivery.channel].submit(self._send, delivery, now + LEASE)
        self._hungry |= {channel for channel, room in free.items() if taken[channel] >= room}
        busy = Counter(channel for channel, _ in self._under_way.values())
        for channel in self.channels:
            _under_way.labels(channel).set(busy[channel])
        fp("W6")

    def _send(self, delivery: ClaimedDelivery, until: datetime) -> None:
        """In the channel's lane, if its turn comes before the lease ends: after that the dose may be taken, and somebody else
        asks what still holds (a process that was frozen would say "take it now" when it thaws)."""
        error, missed = None, True
        try:
            fp("W3")
            if self.clock() >= until:
                raise ChannelFailed("its lease ended before its turn")
            self.channels[delivery.channel].send(delivery.address, self._message(delivery))
            fp("W4")
        except ChannelFailed as failure:
            error, missed = str(failure), not isinstance(failure, RemindsItself)
        except Exception as failure:  # a channel's bug is that channel's, and must not end the others
            log.exception("a channel broke", extra={"delivery_id": delivery.id, "channel": delivery.channel})
            error = repr(failure)
        sent = Sent(delivery.id, delivery.lease, delivery.attempts, self.clock(), error, missed)
        self._inbox.put(_Done(delivery, sent))

    def _message(self, delivery: ClaimedDelivery) -> Message:
        """What holds at the moment of sending."""
        now = self.clock()
        if not delivery.items:
            return Message(
                delivery.id,
                "test",
                "This is how Dosette reminds you.",
                now,
                recipient=delivery.recipient,
                secret=delivery.secret,
            )
        said = wording(delivery.items, delivery.zone, now, delivery.clock_doubted)
        actions = self.links(delivery) if delivery.personal else ()
        return Message(
            delivery.id,
            said.kind,
            said.text,
            now,
            urgent=delivery.urgent,
            recipient=delivery.recipient,
            items=delivery.items,
            actions=actions,
            secret=delivery.secret,
        )

    def _close(self) -> None:
        """What is on its way arrives and is recorded, as far as there is time."""
        until = self.elapsed_s() + CLOSING_S
        while self._under_way and self.elapsed_s() < until:
            self._listen(0.2)
            try:
                self._record()
            except Unavailable:
                return
        for lane in self._lanes.values():
            lane.shutdown(wait=False, cancel_futures=True)
