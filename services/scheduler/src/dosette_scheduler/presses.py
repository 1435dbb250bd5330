"""Takes presses in: reads each device's stream, believes what is signed, and forgets an entry only when it is committed."""

import logging
from datetime import datetime, timedelta
from threading import Event

from dosette.actions import alarms, devices, doses
from dosette.actions.devices import Device, ServerKeys
from dosette.bus import Bus, BusDown, Entry
from dosette.clock import Clock, difference
from dosette.contracts.life import SignOfLife
from dosette.contracts.plan import UnknownVersion
from dosette.contracts.press import Press
from dosette.contracts.signing import BadSignature, unseal
from dosette.domain.doses import pressed_at
from dosette.domain.errors import Unauthorized, Unavailable
from dosette.domain.reminders import CLOCK_WRONG
from dosette.metrics import counter
from dosette.storage.connection import Database

WAIT_S = 5.0
RETRY_S = 1.0
FRESH = timedelta(seconds=10)
CLOCKS_AGREE = timedelta(seconds=60)
DOUBTS = 2

log = logging.getLogger(__name__)
_presses = counter("dosette_presses", "Presses taken in, by what became of each dose", ("outcome",))


class PressDesk:
    """Runs on a thread of its own, since waiting on Redis blocks. A press comes at least once, and counts once."""

    def __init__(
        self, database: Database, bus: Bus, keys: ServerKeys, clock: Clock, leads: Event, wait_s: float = WAIT_S
    ) -> None:
        """Works while `leads` is set. `wait_s` bounds one wait on Redis: how long until a new device is listened to."""
        self._database = database
        self._bus = bus
        self._keys = keys
        self._clock = clock
        self._leads = leads
        self._wait_s = wait_s
        self._doubts: dict[str, int] = {}

    def run(self, stopping: Event) -> None:
        while not stopping.is_set():
            try:
                if self._leads.wait(self._wait_s):
                    self._serve(stopping)
            except (BusDown, Unavailable) as error:
                log.warning("presses wait", extra={"error": str(error.__cause__ or error)})
                stopping.wait(RETRY_S)

    def _serve(self, stopping: Event) -> None:
        known = {device.id: device for device in devices.active(self._database)}
        if not known:
            stopping.wait(self._wait_s)
            return
        for entry in self._bus.presses(list(known), self._wait_s):
            self._take_in(known[entry.device_id], entry)
            self._bus.forget_press(entry.device_id, entry.id)

    def _take_in(self, device: Device, entry: Entry) -> None:
        """Raises Unavailable: the entry stays where it is, and later ones behind it, so that their order holds."""
        try:
            body = unseal(entry.sealed, self._keys.signing_key(device))
            if entry.alive:
                self._heed(device, SignOfLife.from_json(body), entry.sent_at)
                return
            press = Press.from_json(body)
            outcomes = self._taken_in(device, press)
        except (BadSignature, UnknownVersion, ValueError, Unauthorized) as error:
            log.error("a press was refused", extra={"device_id": device.id, "error": repr(error)})
            _presses.labels("forged").inc()
        else:
            log.info("a press was taken in", extra={"device_id": device.id, "press_id": press.id, "outcomes": outcomes})

    def _heed(self, device: Device, life: SignOfLife, sent_at: datetime) -> None:
        """Two signs in a row that disagree with our clock by more than a minute are an alarm; one that waited says nothing."""
        if life.device_id != device.id:
            raise ValueError("it names another device")
        now = self._clock()
        devices.seen(self._database, device, now)
        if not life.clock_synced or abs(now - sent_at) > FRESH:
            return
        off = abs(life.at - now)
        difference.labels("panel").set(off.total_seconds())
        self._doubts[device.id] = self._doubts.get(device.id, 0) + 1 if off > CLOCKS_AGREE else 0
        if self._doubts[device.id] >= DOUBTS:
            alarms.raise_one(self._database, device.household_id, CLOCK_WRONG, device.id, {"about": device.name}, now)
        elif not self._doubts[device.id]:
            alarms.end(self._database, device.household_id, CLOCK_WRONG, device.id, "the clocks agree again")

    def _taken_in(self, device: Device, press: Press) -> list[str]:
        if press.device_id != device.id:
            raise ValueError("it names another device")
        now = self._clock()
        outcomes = doses.take_in(self._database, press, pressed_at(press.at, press.clock_synced, now), now)
        for outcome in outcomes:
            _presses.labels(outcome).inc()
        return outcomes
