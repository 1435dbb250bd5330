"""What people are reminded of beside doses: stock that runs low, a backup too old, a panel that is silent, Redis that is away, a
disk that fills up."""

import logging
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta

from dosette.actions import alarms, devices
from dosette.bus import Bus, BusDown
from dosette.domain.reminders import BACKUP_OLD, DISK_FILLING, DISK_FULL, PANEL_SILENT, REDIS_AWAY, SCHEDULER_AWAY
from dosette.metrics import gauge
from dosette.storage.connection import Database

LOOK_EVERY = timedelta(seconds=30)
LOOK_AT_ALL_EVERY = timedelta(hours=6)
AWAY_FOR = timedelta(seconds=45)
"""Redis may be restarted without anybody being told. With the minute that a person who was just told is left in peace, an alarm is
seen within two."""
SETTLED_AFTER = timedelta(minutes=10)
"""A panel that was just paired, or whose picture Redis has just lost, gets so long to show itself."""
AT_ONCE = 20
FILLING, FULL = 0.85, 0.95

log = logging.getLogger(__name__)
_disk = gauge(
    "dosette_disk_used_ratio", "How full the disk is that the scheduler stands on: on a small server, everybody's"
)


def disk_used() -> float:
    """Of the file system of the working folder; a container's is its host's."""
    usage = shutil.disk_usage(".")
    return 1 - usage.free / usage.total


class Alarms:
    """Raises them once and ends them when they are over. Cost follows what changed: a household's stock is looked at when
    something changed in it, and every six hours, a few households at a time."""

    def __init__(self, database: Database, bus: Bus, disk: Callable[[], float] = disk_used) -> None:
        self._database = database
        self._bus = bus
        self._disk = disk
        self._changed: set[str] = set()
        self._looked_at: datetime | None = None
        self._all_at: datetime | None = None
        self._away_since: datetime | None = None
        self._redis_alarm = True
        self._back_at: datetime | None = None

    def all_is_stale(self) -> None:
        """What changed may not have been heard of."""
        self._all_at = None

    def look(self, changed: set[str], redis_answered: bool, now: datetime) -> None:
        """To be called at every round. Raises Unavailable."""
        self._changed |= changed
        self._heed_redis(redis_answered, now)
        if self._looked_at and self._looked_at <= now < self._looked_at + LOOK_EVERY:
            return
        self._looked_at = now
        alarms.end_everywhere(self._database, SCHEDULER_AWAY, "it is back")
        self._look_at_stock(now)
        self._look_at_backups(now)
        self._look_at_the_disk(now)
        if redis_answered:
            self._look_at_panels(now)

    def _heed_redis(self, answered: bool, now: datetime) -> None:
        if answered:
            if self._away_since or self._back_at is None:
                self._back_at = now
            self._away_since = None
            if self._redis_alarm:
                alarms.end_everywhere(self._database, REDIS_AWAY, "it is back")
                self._redis_alarm = False
            return
        self._away_since = self._away_since or now
        if now - self._away_since >= AWAY_FOR and not self._redis_alarm:
            alarms.raise_everywhere(self._database, REDIS_AWAY, now)
            self._redis_alarm = True

    def _look_at_stock(self, now: datetime) -> None:
        if self._all_at is None or not self._all_at <= now < self._all_at + LOOK_AT_ALL_EVERY:
            self._changed |= set(alarms.households(self._database))
            self._all_at = now
        for household_id in sorted(self._changed)[:AT_ONCE]:
            raised = alarms.remind_of_low_stock(self._database, household_id, now)
            self._changed.discard(household_id)
            if raised:
                log.info("stock runs low", extra={"household_id": household_id, "medicines": raised})

    def _look_at_backups(self, now: datetime) -> None:
        if alarms.backup_is_old(self._database, now):
            alarms.raise_everywhere(self._database, BACKUP_OLD, now)
        else:
            alarms.end_everywhere(self._database, BACKUP_OLD, "a backup was made")

    def _look_at_the_disk(self, now: datetime) -> None:
        used = self._disk()
        _disk.set(used)
        for kind, too_much in ((DISK_FILLING, FILLING <= used < FULL), (DISK_FULL, used >= FULL)):
            if too_much:
                alarms.raise_everywhere(self._database, kind, now)
            else:
                alarms.end_everywhere(self._database, kind, "there is room again")

    def _look_at_panels(self, now: datetime) -> None:
        """A picture fades from Redis five minutes after the panel last sent one."""
        for device in devices.active(self._database):
            try:
                shown = self._bus.shows_a_frame(device.id)
            except BusDown:
                return
            if shown:
                alarms.end(self._database, device.household_id, PANEL_SILENT, device.id, "it is back")
            elif self._is_settled(device.paired_at, now):
                alarms.raise_one(
                    self._database, device.household_id, PANEL_SILENT, device.id, {"about": device.name}, now
                )

    def _is_settled(self, paired_at: datetime, now: datetime) -> bool:
        return bool(self._back_at and max(paired_at, self._back_at) + SETTLED_AFTER <= now)
