"""Home Assistant over MQTT: for each member a device with sensors (next dose, due now, stock) and buttons (taken, snooze, skip).

Home Assistant finds them by itself (https://www.home-assistant.io/integrations/mqtt, "MQTT discovery"). Only the scheduler that
leads speaks; what it says is retained, so that a restart of either side loses nothing.
"""

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

from dosette.actions import alarms, sensors
from dosette.actions.sensors import BUTTONS, Sensors
from dosette.clock import Clock
from dosette.domain.errors import DosetteError, Unavailable
from dosette.storage.connection import Database
from dosette_scheduler.channels.mqtt import a_client, where

SAY_ALL_EVERY_S = 20.0
"""What falls due changes without anybody writing it."""
RETRY_S = 5.0
STATUS = "dosette/status"
PRESSES = "dosette/+/press"
LABELS = {"take": "Taken", "snooze": "Snooze", "skip": "Skip"}

log = logging.getLogger(__name__)


class HomeAssistant:
    """`run` on a thread of its own. Raises ValueError when `url` is none."""

    def __init__(self, database: Database, url: str, clock: Clock, leads: Event) -> None:
        self._database = database
        self._url = url
        self._clock = clock
        self._leads = leads
        self._inbox: SimpleQueue[set[str] | tuple[str, str] | None] = SimpleQueue()
        self._household_of: dict[str, str] = {}
        self._said: dict[str, str] = {}
        self._client = self._a_client()

    def heard(self, changed: set[str]) -> None:
        """Something changed in these households."""
        if changed:
            self._inbox.put(set(changed))

    def run(self, stopping: Event) -> None:
        while not stopping.is_set():
            if not self._leads.wait(1.0):
                continue
            try:
                self._serve(stopping)
            except (OSError, ValueError, Unavailable) as error:
                log.warning("Home Assistant is not told", extra={"error": str(error.__cause__ or error)})
                stopping.wait(RETRY_S)
        self._leave()

    def wake(self) -> None:
        """After `stopping` is set."""
        self._inbox.put(None)

    def _serve(self, stopping: Event) -> None:
        """While we lead and the broker is there."""
        self._client.connect(*where(self._url), keepalive=30)
        self._client.loop_start()
        try:
            while self._leads.is_set() and not stopping.is_set():
                self._answer()
        finally:
            self._leave()

    def _answer(self) -> None:
        """One thing that was heard; everything, when nothing was for a while."""
        try:
            heard = self._inbox.get(timeout=SAY_ALL_EVERY_S)
        except Empty:
            heard = set(alarms.households(self._database))
        if isinstance(heard, tuple):
            self._press(*heard)
        elif heard is not None:
            for household_id in sorted(heard):
                self._say(household_id)

    def _leave(self) -> None:
        self._client.publish(STATUS, "offline", qos=1, retain=True)
        self._client.disconnect()
        self._client.loop_stop()
        self._said.clear()

    def _a_client(self) -> Any:
        client = a_client(self._url, "dosette-scheduler")
        client.will_set(STATUS, "offline", qos=1, retain=True)
        client.reconnect_delay_set(1, 30)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: Any, *_: object) -> None:
        """On the library's thread, at every connection: a broker that was restarted may have forgotten all."""
        client.subscribe(PRESSES, qos=1)
        client.publish(STATUS, "online", qos=1, retain=True)
        self._said.clear()
        try:
            self._inbox.put(set(alarms.households(self._database)))
        except Unavailable:
            return  # all is said soon anyway

    def _on_message(self, client: Any, userdata: object, message: Any) -> None:
        """On the library's thread."""
        member_id, button = message.topic.split("/")[1], bytes(message.payload).decode(errors="replace")
        self._inbox.put((member_id, button))

    def _press(self, member_id: str, button: str) -> None:
        household_id = self._household_of.get(member_id)
        if household_id is None or button not in BUTTONS:
            log.warning("a button that nobody knows", extra={"topic_member": member_id[:40]})
            return
        try:
            outcomes = sensors.press(self._database, household_id, member_id, button, self._clock())
        except DosetteError as error:
            if isinstance(error, Unavailable):
                self._inbox.put((member_id, button))
                raise
            outcomes = [error.code]
        log.info("a button was pressed", extra={"member_id": member_id, "button": button, "outcomes": outcomes})
        self._say(household_id)

    def _say(self, household_id: str) -> None:
        """Everything of the household that differs from what was said."""
        for each in sensors.read(self._database, household_id, self._clock()):
            self._household_of[each.member_id] = household_id
            for topic, payload in [*_discovery(each), *_states(each)]:
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
        "availability_topic": STATUS,
    }

    def entity(component: str, object_id: str, **facts: object) -> tuple[str, str]:
        unique = {
            "unique_id": f"dosette_{each.member_id}_{object_id}",
            "object_id": f"dosette_{object_id}_{each.member_id[-6:]}",
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
        "due_now": len(each.due),
        "stock": {
            medicine["id"]: {"on_hand": medicine["on_hand"], "days_left": medicine["days_left"]}
            for medicine in each.medicines
        },
    }
    yield f"dosette/{each.member_id}/state", json.dumps(told)


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
