"""The callables that RQ may run, by name. They take row ids, ask PostgreSQL what is still true, and tell people."""

import logging
from datetime import timedelta

from dosette.actions import reminders
from dosette.actions.reminders import ClaimedReminder, ContactTo, Delivery
from dosette.clock import Clock
from dosette.contracts.job import ReminderJob
from dosette.domain.reminders import Wording, wording
from dosette.faults import fp
from dosette.metrics import counter, histogram
from dosette.storage.connection import Database
from dosette_scheduler.channels import Channel, ChannelFailed, Channels, Message

log = logging.getLogger(__name__)
_deliveries = counter("dosette_deliveries", "Tellings through a channel", ("channel", "outcome"))
_lag = histogram(
    "dosette_delivery_lag_seconds", "From falling due to being told", buckets=(0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 600)
)

_desk: "_Desk | None" = None


def serve(database: Database, channels: Channels, clock: Clock) -> None:
    """What the jobs of this process work with; called once, before the first job."""
    global _desk
    _desk = _Desk(database, channels, clock)


def deliver(payload: dict[str, object]) -> None:
    """Tells what these reminders say, as far as it still holds. Raises Unavailable; ValueError on another version's payload."""
    fp("W1")
    if _desk is None:
        raise RuntimeError("call serve() first")
    _desk.deliver(ReminderJob.of(payload))


class _Desk:
    def __init__(self, database: Database, channels: Channels, clock: Clock) -> None:
        self._database = database
        self._channels = channels
        self._clock = clock

    def deliver(self, job: ReminderJob) -> None:
        claimed = reminders.claim(self._database, job.reminder_ids, self._clock())
        fp("W2")
        for reminder in claimed:
            self._tell(reminder)
        fp("W6")

    def _tell(self, reminder: ClaimedReminder) -> None:
        now = self._clock()
        said = wording(reminder.member, reminder.due_at, reminder.late_at, reminder.zone, now)
        fp("W3")
        deliveries = [self._deliver(contact, reminder, said) for contact in reminder.contacts]
        fp("W4")
        recorded = reminders.record(self._database, reminder, deliveries, self._clock())
        fp("W5")
        _lag.observe((now - reminder.due_at) / timedelta(seconds=1))
        log.info(
            "told",
            extra={"reminder_id": reminder.id, "wording": said.kind, "contacts": len(deliveries), "recorded": recorded},
        )

    def _deliver(self, contact: ContactTo, reminder: ClaimedReminder, said: Wording) -> Delivery:
        try:
            self._through(contact).send(contact.address, Message(reminder.id, said.kind, said.text, self._clock()))
        except ChannelFailed as error:
            _deliveries.labels(contact.channel, "failed").inc()
            log.warning("not told", extra={"reminder_id": reminder.id, "channel": contact.channel, "error": str(error)})
            return Delivery(contact.id, str(error))
        _deliveries.labels(contact.channel, "delivered").inc()
        return Delivery(contact.id, None)

    def _through(self, contact: ContactTo) -> Channel:
        try:
            return self._channels[contact.channel]
        except KeyError:
            raise ChannelFailed(f"this server has no channel named {contact.channel}") from None
