"""Takes presses in: reads each device's stream, believes what is signed, and forgets an entry only when it is committed."""

import logging
from datetime import datetime, timedelta
from threading import Event

from dosette.actions import alarms, devices, doses
from dosette.actions.devices import Device, ServerKeys
from dosette.bus import Bus, BusDown, Entry
from dosette.clock import Clock
from dosette.contracts.life import SignOfLife
from dosette.contracts.plan import UnknownVersion
from dosette.contracts.press import SentPress
from dosette.contracts.signing import BadSignature
from dosette.domain.doses import pressed_when
from dosette.domain.errors import DosetteError, Unavailable
from dosette.domain.reminders import CLOCK_WRONG, NOT_BELIEVED, TIME_UNSURE
from dosette.metrics import counter
from dosette.storage.connection import Database
from dosette_scheduler.clocks import difference

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
            except Exception:  # nobody would start this thread again
                log.exception("presses wait")
                stopping.wait(RETRY_S)

    def _serve(self, stopping: Event) -> None:
        known = {device.id: device for device in devices.active(self._database)}
        if not known:
            stopping.wait(self._wait_s)
            return
        for entry in self._bus.presses(list(known), self._wait_s):
            known[entry.device_id] = self._take_in(known[entry.device_id], entry)
            self._bus.forget_press(entry.device_id, entry.id)

    def _take_in(self, device: Device, entry: Entry) -> Device:
        """The device as it is known after this. Raises Unavailable: the entry stays where it is, and later ones behind it, so that
        their order holds. What else is wrong with it concerns its panel alone, which keeps a press until it hears that it counts."""
        now = self._clock()
        try:
            body, generation = self._keys.unsealed(device, entry.sealed, now)
            if generation > device.uses:
                device = devices.uses(self._database, device, generation)
            if entry.alive:
                self._heed(device, SignOfLife.from_json(body), entry.age, now)
            else:
                self._count(device, SentPress.from_json(body), entry.age, now)
        except Unavailable:
            raise
        except (BadSignature, UnknownVersion, ValueError, DosetteError) as error:
            self._refuse(device, error, now)
        except Exception as error:  # a bug of ours with one press must not end the intake of all
            log.exception("a press broke its intake", extra={"device_id": device.id})
            self._refuse(device, error, now)
        return device

    def _refuse(self, device: Device, error: Exception, now: datetime) -> None:
        log.error("a press was refused", extra={"device_id": device.id, "error": repr(error)})
        _presses.labels("forged").inc()
        self._alarm(device, NOT_BELIEVED, now)

    def _count(self, device: Device, sent: SentPress, age: timedelta, now: datetime) -> None:
        press = sent.press
        if press.device_id != device.id:
            raise ValueError("it names another device")
        before = timedelta(seconds=sent.age_s) if sent.age_s is not None else None
        when = pressed_when(press.at, press.clock_synced, before, press.after, now - age)
        outcomes = doses.take_in(self._database, press, when, now)
        if not when.sure and "replayed" not in outcomes:
            self._alarm(device, TIME_UNSURE, now)
        for outcome in outcomes:
            _presses.labels(outcome).inc()
        log.info("a press was taken in", extra={"device_id": device.id, "press_id": press.id, "outcomes": outcomes})

    def _heed(self, device: Device, life: SignOfLife, age: timedelta, now: datetime) -> None:
        """Two signs in a row that disagree with our clock by more than a minute are an alarm; one that waited says nothing."""
        if life.device_id != device.id:
            raise ValueError("it names another device")
        if age > FRESH:
            return
        off = abs(life.at - now)
        clock = "unknown" if not life.clock_synced else "wrong" if off > CLOCKS_AGREE else "right"
        if devices.seen(self._database, device, life, clock, now):
            self._alarm(device, NOT_BELIEVED, now)  # somebody else's plan, or the panel has lost its keys
        if clock == "unknown":
            return
        difference.labels("panel").set(off.total_seconds())
        self._doubts[device.id] = self._doubts.get(device.id, 0) + 1 if clock == "wrong" else 0
        if self._doubts[device.id] >= DOUBTS:
            self._alarm(device, CLOCK_WRONG, now)
        elif not self._doubts[device.id]:
            alarms.end(self._database, device.household_id, CLOCK_WRONG, device.id, "the clocks agree again")

    def _alarm(self, device: Device, kind: str, now: datetime) -> None:
        alarms.raise_one(self._database, device.household_id, kind, device.id, {"about": device.name}, now)
