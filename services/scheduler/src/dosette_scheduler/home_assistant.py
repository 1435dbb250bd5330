"""Home Assistant over MQTT: for each member a device with sensors (next dose, due now, stock) and buttons (taken, snooze, skip).

Home Assistant finds them by itself (https://www.home-assistant.io/integrations/mqtt, "MQTT discovery"). Only the scheduler that
leads speaks; what it says is retained, so that a restart of either side loses nothing.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

from dosette.actions import alarms, sensors
from dosette.actions.sensors import BUTTONS, Sensors
from dosette.clock import Clock
from dosette.domain.errors import DosetteError, Unavailable
from dosette.storage.connection import Database
from dosette_scheduler.channels.mqtt import a_client, a_name, where

SAY_ALL_EVERY_S = 20.0
"""What falls due changes without anybody writing it."""
LOOK_EVERY_S = 5.0
"""Whether we still lead."""
RETRY_S = 5.0
STATUS = "dosette/status"
PRESSES = "dosette/+/press"
CONFIGS = "homeassistant/+/+/+/config"
LABELS = {"take": "Taken", "snooze": "Snooze", "skip": "Skip"}

log = logging.getLogger(__name__)


class HomeAssistant:
    """`run` on a thread of its own, which does everything; others (the scheduler, the library's) only put it into the inbox.
    Raises ValueError when `url` is none."""

    def __init__(self, database: Database, url: str, clock: Clock, leads: Event) -> None:
        self._database = database
        self._url = url
        self._clock = clock
        self._leads = leads
        self._inbox: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._household_of: dict[str, str] = {}
        self._said: dict[str, str] = {}
        self._retained: dict[str, set[str]] = {}
        self._all_said_at = float("-inf")
        self._speaks = False
        self._client = self._a_client()

    def heard(self, changed: set[str]) -> None:
        """Something changed in these households."""
        for household_id in sorted(changed):
            self._inbox.put(partial(self._say, household_id))

    def run(self, stopping: Event) -> None:
        while not stopping.is_set():
            if not self._leads.wait(LOOK_EVERY_S):
                self._inbox = SimpleQueue()  # whoever leads has heard it, too
                continue
            try:
                self._serve(stopping)
            except (OSError, ValueError, Unavailable) as error:
                log.warning("Home Assistant is not told", extra={"error": str(error.__cause__ or error)})
                stopping.wait(RETRY_S)
            except Exception:  # nobody would start this thread again
                log.exception("Home Assistant is not told")
                stopping.wait(RETRY_S)

    def wake(self) -> None:
        """After `stopping` is set."""
        self._inbox.put(lambda: None)

    def _serve(self, stopping: Event) -> None:
        """While we lead and the broker is there."""
        self._client.connect(*where(self._url), keepalive=30)
        self._client.loop_start()
        try:
            while self._leads.is_set() and not stopping.is_set():
                self._turn()
        finally:
            self._leave()

    def _turn(self) -> None:
        """One thing from the inbox; everything, when it is time."""
        wait_s = self._all_said_at + SAY_ALL_EVERY_S - time.monotonic()
        if self._speaks and wait_s <= 0:
            self._say_all()
            return
        try:
            heard = self._inbox.get(timeout=min(LOOK_EVERY_S, max(0.1, wait_s)))
        except Empty:
            return
        if self._leads.is_set():
            heard()

    def _leave(self) -> None:
        self._speaks = False
        self._client.publish(STATUS, "offline", qos=1, retain=True)
        self._client.disconnect()
        self._client.loop_stop()

    def _a_client(self) -> Any:
        client = a_client(self._url, a_name("bridge"))
        client.will_set(STATUS, "offline", qos=1, retain=True)
        client.reconnect_delay_set(1, 30)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: Any, userdata: object, flags: object, reason: Any, properties: object) -> None:
        """On the library's thread, at every connection."""
        if reason.is_failure:
            log.warning("the MQTT broker refuses us", extra={"error": str(reason)})
            return
        client.subscribe([(PRESSES, 1), (STATUS, 1), (CONFIGS, 1)])
        self._inbox.put(self._greet)

    def _on_message(self, client: Any, userdata: object, message: Any) -> None:
        """On the library's thread. A press that a broker kept is none: it would be pressed again at every connection."""
        names, said = message.topic.split("/"), bytes(message.payload).decode(errors="replace")
        if message.topic == STATUS:
            self._inbox.put(partial(self._is_said_to_be, said))
        elif names[0] == "homeassistant":
            if said and message.retain and names[2].startswith("dosette_"):
                self._inbox.put(partial(self._found, names[2].removeprefix("dosette_"), message.topic))
        elif not message.retain:
            self._inbox.put(partial(self._press, names[1], said, self._clock()))

    def _greet(self) -> None:
        """A broker that was restarted may have forgotten all."""
        self._speaks = True
        self._said.clear()
        self._client.publish(STATUS, "online", qos=1, retain=True)
        self._say_all()

    def _is_said_to_be(self, status: str) -> None:
        """The last will of a scheduler that led before us may come after our greeting."""
        if self._speaks and status != "online":
            self._client.publish(STATUS, "online", qos=1, retain=True)

    def _found(self, member_id: str, topic: str) -> None:
        """Somebody before us said this, and the broker kept it."""
        self._retained.setdefault(member_id, set()).add(topic)

    def _press(self, member_id: str, button: str, at: datetime) -> None:
        """About what was due then, however late PostgreSQL is there to be told."""
        household_id = self._household_of.get(member_id)
        if household_id is None or button not in BUTTONS:
            log.warning("a button that nobody knows", extra={"topic_member": member_id[:40]})
            return
        try:
            outcomes = sensors.press(self._database, household_id, member_id, button, at, self._clock())
        except Unavailable:
            self._inbox.put(partial(self._press, member_id, button, at))
            raise
        except DosetteError as error:
            outcomes = [error.code]
        log.info("a button was pressed", extra={"member_id": member_id, "button": button, "outcomes": outcomes})
        self._say(household_id)

    def _say_all(self) -> None:
        for household_id in alarms.households(self._database):
            self._say(household_id)
        self._all_said_at = time.monotonic()

    def _say(self, household_id: str) -> None:
        """Everything of the household that differs from what was said; what is no longer so is taken back: a medicine that was
        named is not named for ever."""
        for each in sensors.read(self._database, household_id, self._clock()):
            self._household_of[each.member_id] = household_id
            configs, states = dict(_discovery(each)), dict(_states(each))
            gone = dict.fromkeys(self._retained.get(each.member_id, set()) - configs.keys(), "")
            self._retained[each.member_id] = set(configs)
            for topic, payload in {**gone, **configs, **states}.items():
                if self._said.get(topic) != payload:
                    self._client.publish(topic, payload, qos=1, retain=True)
                    self._said[topic] = payload


def _discovery(each: Sensors) -> Iterator[tuple[str, str]]:
    """The configuration topics of one member's device."""
    state, press = f"dosette/{each.member_id}/state", f"dosette/{each.member_id}/press"
    shared = {
        "device": {
            "identifiers": [f"dosette_{each.member_id}"],
            "name": f"Medicine of {each.member}",
            "manufacturer": "Dosette",
        },
        "origin": {"name": "Dosette"},
        "availability_topic": STATUS,
    }

    def entity(component: str, object_id: str, **facts: object) -> tuple[str, str]:
        unique = {
            "unique_id": f"dosette_{each.member_id}_{object_id}",
            "default_entity_id": f"{component}.dosette_{object_id}_{each.member_id[-6:]}",  # was object_id before 2025.10
        }
        topic = f"homeassistant/{component}/dosette_{each.member_id}/{object_id}/config"
        return topic, json.dumps({**shared, **unique, **facts})

    yield entity(
        "sensor",
        "next_dose",
        name="Next dose",
        device_class="timestamp",
        state_topic=state,
        value_template="{{ value_json.next_dose }}",
        json_attributes_topic=state,
        json_attributes_template="{{ value_json.next | tojson }}",
    )
    yield entity(
        "sensor",
        "due_now",
        name="Due now",
        icon="mdi:pill",
        state_class="measurement",
        state_topic=state,
        value_template="{{ value_json.due_now }}",
    )
    for button in BUTTONS:
        yield entity("button", button, name=LABELS[button], command_topic=press, payload_press=button)
    for medicine in each.medicines:
        yield entity(
            "sensor",
            f"stock_{medicine['id']}",
            name=f"{medicine['name']} {medicine['strength']}".strip(),
            state_topic=state,
            unit_of_measurement=medicine["unit"],
            value_template=f"{{{{ value_json.stock['{medicine['id']}'].on_hand }}}}",
            json_attributes_topic=state,
            json_attributes_template=f"{{{{ value_json.stock['{medicine['id']}'] | tojson }}}}",
        )


def _states(each: Sensors) -> Iterator[tuple[str, str]]:
    told = {
        "next_dose": _time(each.next_at),
        "next": {"doses": each.next_doses, "medicines": list(each.next_named)},
        "due_now": len(each.due),
        "stock": {
            medicine["id"]: {"on_hand": medicine["on_hand"], "days_left": medicine["days_left"]}
            for medicine in each.medicines
        },
    }
    yield f"dosette/{each.member_id}/state", json.dumps(told)


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
