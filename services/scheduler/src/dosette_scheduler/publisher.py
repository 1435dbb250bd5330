"""Publishes each device's signed plan and rings its hint: when its household changed, and every minute as a sign of life."""

import logging
from datetime import datetime, timedelta

from dosette.actions import devices
from dosette.actions.devices import Device, ServerKeys
from dosette.bus import Bus
from dosette.metrics import counter
from dosette.storage.connection import Database

SIGN_OF_LIFE = timedelta(seconds=60)

log = logging.getLogger(__name__)
_published = counter("dosette_plans_published", "Plans published to devices")


class Publisher:
    """Knows which devices must hear from it. Raises BusDown and Unavailable; what was not published then is published later."""

    def __init__(self, database: Database, bus: Bus, keys: ServerKeys) -> None:
        self._database = database
        self._bus = bus
        self._keys = keys
        self._changed: set[str] = set()
        self._all_at: datetime | None = None

    def all_is_stale(self) -> None:
        """Redis or PostgreSQL was away: users and plans may be gone, and changes may have gone unheard."""
        self._all_at = None

    def publish(self, changed: set[str], now: datetime) -> None:
        """Publishes to the devices of the `changed` households; to all of them when a sign of life is due."""
        self._changed |= changed
        if self._all_at is None or not self._all_at <= now < self._all_at + SIGN_OF_LIFE:
            self._publish_all(now)
        elif self._changed:
            self._publish_to(
                [each for each in devices.active(self._database) if each.household_id in self._changed], now
            )
        self._changed.clear()

    def _publish_all(self, now: datetime) -> None:
        everyone = devices.active(self._database)
        for device_id in devices.revoked(self._database):
            self._bus.expel_device(device_id)
        self._publish_to(everyone, now)
        self._all_at = now

    def _publish_to(self, to: list[Device], now: datetime) -> None:
        self._bus.admit_devices({device.id: self._keys.redis_password(device) for device in to})
        for device in to:
            sealed = devices.next_plan(self._database, device, self._keys, now)
            if sealed is not None:
                self._bus.publish_plan(device.id, sealed)
                _published.inc()
