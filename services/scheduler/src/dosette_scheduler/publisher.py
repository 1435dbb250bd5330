"""Publishes each device's signed plan and rings its hint: when its household changed, and every minute as a sign of life. Tells a
revoked device so, and then ends its access."""

import logging
from datetime import datetime, timedelta

from dosette.actions import alarms, devices
from dosette.actions.devices import Device, ServerKeys
from dosette.bus import Bus
from dosette.domain.reminders import NOT_BELIEVED, PANEL_SILENT
from dosette.metrics import counter, gauge
from dosette.storage.connection import Database

SIGN_OF_LIFE = timedelta(seconds=60)
FAREWELL_TAKES = timedelta(seconds=3)
"""A revoked panel that is there hears within so long that it is no longer paired; then it reaches nothing any more."""
LOOK_INTO_STREAM_S = 0.001

log = logging.getLogger(__name__)
_published = counter("dosette_plans_published", "Plans published to devices")
_panels = gauge("dosette_panels", "Devices that were paired, by how they are", ("state",))
_silence = gauge("dosette_panel_silence_seconds", "For how long the most silent panel has given no sign of life")
_frame_age = gauge("dosette_panel_frame_age_seconds", "For how long some panel has shown the same picture, at most")
_waiting = gauge("dosette_panel_waiting_presses", "Presses in the panels' journals, by their last signs of life")
_refused = gauge("dosette_panel_refused_plans", "Plans that panels did not believe since they were started")


class Publisher:
    """Knows which devices must hear from it. Raises BusDown and Unavailable; what was not published then is published later."""

    def __init__(self, database: Database, bus: Bus, keys: ServerKeys) -> None:
        self._database = database
        self._bus = bus
        self._keys = keys
        self._changed: set[str] = set()
        self._all_at: datetime | None = None
        self._farewells: dict[str, datetime] = {}
        self._expelled: set[str] = set()

    def all_is_stale(self) -> None:
        """Redis or PostgreSQL was away: users and plans may be gone, and changes may have gone unheard."""
        self._all_at = None
        self._expelled.clear()

    def publish(self, changed: set[str], now: datetime) -> None:
        """Publishes to the devices of the `changed` households; to all of them when a sign of life is due."""
        self._changed |= changed
        if self._all_at is None or not self._all_at <= now < self._all_at + SIGN_OF_LIFE:
            self._publish_all(now)
        elif self._changed:
            self._publish_to(
                [each for each in devices.active(self._database) if each.household_id in self._changed], now
            )
            self._part(devices.revoked(self._database), now)
        elif self._farewells:
            self._part(devices.revoked(self._database), now)
        self._changed.clear()

    def _publish_all(self, now: datetime) -> None:
        if rotated := devices.rotate_old(self._database, now):
            log.info("devices get new keys", extra={"devices": rotated})
        everyone = devices.active(self._database)
        self._part(devices.revoked(self._database), now)
        self._publish_to(everyone, now)
        self._tell_standing(now)
        devices.forget_pairings(self._database, now)
        self._all_at = now

    def _publish_to(self, to: list[Device], now: datetime) -> None:
        """First the passwords, then the plan that calls for one of them."""
        self._bus.admit_devices({device.id: self._keys.redis_passwords(device, now) for device in to})
        for device in to:
            self._expelled.discard(device.id)
            sealed = devices.next_plan(self._database, device, self._keys, now)
            if sealed is not None:
                self._bus.publish_plan(device.id, sealed)
                _published.inc()

    def _part(self, revoked: list[Device], now: datetime) -> None:
        """Each is told once, and expelled when it had time to hear."""
        for device in revoked:
            told_at = self._farewells.get(device.id)
            if device.id in self._expelled:
                continue
            if told_at is None:
                self._say_farewell(device, now)
            elif not told_at <= now < told_at + FAREWELL_TAKES:
                self._expel(device, now)
        gone = {device.id for device in revoked} - self._expelled
        self._farewells = {device_id: at for device_id, at in self._farewells.items() if device_id in gone}

    def _say_farewell(self, device: Device, now: datetime) -> None:
        if sealed := devices.farewell(self._database, device, self._keys, now):
            self._bus.publish_plan(device.id, sealed)
            self._farewells[device.id] = now

    def _expel(self, device: Device, now: datetime) -> None:
        if any(not entry.alive for entry in self._bus.presses([device.id], LOOK_INTO_STREAM_S)):
            about = {"about": device.name}
            alarms.raise_one(self._database, device.household_id, NOT_BELIEVED, device.id, about, now)
        self._bus.expel_device(device.id)
        self._expelled.add(device.id)
        alarms.end(self._database, device.household_id, PANEL_SILENT, device.id, "it was revoked")
        log.info("a revoked device was expelled", extra={"device_id": device.id})

    def _tell_standing(self, now: datetime) -> None:
        standing = devices.standing(self._database, now)
        for state in ("paired", "silent", "rotating", "revoked"):
            _panels.labels(state).set(getattr(standing, state))
        _silence.set(standing.longest_silence_s or 0.0)
        _frame_age.set(standing.oldest_frame_s or 0.0)
        _waiting.set(standing.waiting)
        _refused.set(standing.refused)
