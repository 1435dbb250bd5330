"""MQTT against a real broker: messages arrive, Home Assistant finds its sensors, a button takes a dose once."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from conftest import Home
from dosette.actions import doses, sensors
from dosette.actions.doses import Taking
from dosette.actions.reminders import LEASE
from dosette.storage.access import at_console
from dosette.storage.connection import Database, Statement
from dosette.testing import NOON
from dosette_local.ports import free_port, is_free
from dosette_scheduler.channels import ChannelFailed, Message
from dosette_scheduler.channels.mqtt import MqttChannel, a_client, a_name, where
from dosette_scheduler.home_assistant import HomeAssistant

DUE = NOON + timedelta(minutes=30)
NAMES = Statement(
    "names_medicines", "UPDATE members SET names_medicines = true WHERE id = %(id)s RETURNING id", id="uuid"
)
NAMES_NONE = Statement(
    "names_no_medicines", "UPDATE members SET names_medicines = false WHERE id = %(id)s RETURNING id", id="uuid"
)


@dataclass
class Broker:
    """A broker that can be stopped and started again on the same port."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        config = self.folder / "broker.yaml"
        config.write_text(
            f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{self.port}\n"
            "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
        )
        amqtt = Path(sys.executable).parent / "amqtt"
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen([amqtt, "-c", config], stdout=log, stderr=log)
        until = time.monotonic() + 20
        while is_free(self.port):
            assert self.process.poll() is None, (self.folder / "broker.log").read_text()[-2000:]
            assert time.monotonic() < until, "the broker does not listen"
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    found = Broker(tmp_path)
    found.start()
    yield found
    found.stop()


class Ear:
    """Hears everything, as Home Assistant would."""

    def __init__(self, url: str) -> None:
        self.heard: dict[str, str] = {}
        self.everything: list[tuple[str, str]] = []
        self._client = a_client(url, "test-ear")
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [("dosette/#", 1), ("homeassistant/#", 1), ("pills", 1)]
        )
        self._client.on_message = self._on_message
        self._client.connect(*where(url))
        self._client.loop_start()

    def say(self, topic: str, payload: str, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, client: Any, userdata: object, message: Any) -> None:
        self.heard[message.topic] = message.payload.decode()
        self.everything.append((message.topic, message.payload.decode()))


@pytest.fixture
def ear(broker: Broker) -> Iterator[Ear]:
    found = Ear(broker.url)
    yield found
    found.close()


@pytest.fixture
def bridge(home: Home, broker: Broker) -> Iterator[HomeAssistant]:
    with _bridged(home, broker) as made:
        yield made


@contextmanager
def _bridged(home: Home, broker: Broker) -> Iterator[HomeAssistant]:
    """A bridge that runs, for a scheduler that leads."""
    leads, stopping = Event(), Event()
    leads.set()
    made = HomeAssistant(home.server.database("scheduler"), broker.url, lambda: DUE, leads)
    thread = Thread(target=made.run, args=(stopping,), daemon=True)
    thread.start()
    yield made
    stopping.set()
    made.wake()
    thread.join(10)


def _eventually(true: Callable[[], object]) -> bool:
    """Whether it becomes true within fifteen seconds."""
    patience = Event()
    return any(true() or patience.wait(0.05) for _ in range(300))


def test_a_message_arrives_on_its_topic(broker: Broker, ear: Ear):
    channel = MqttChannel(broker.url)

    def heard() -> bool:
        """Said until the ear has subscribed."""
        channel.send("pills", Message("key", "due", "time", NOON))
        return "pills" in ear.heard

    assert _eventually(heard)
    assert json.loads(ear.heard["pills"])["text"] == "time"


def test_a_broker_that_was_restarted_is_told_again(broker: Broker):
    channel = MqttChannel(broker.url)
    channel.send("pills", Message("key", "due", "time", NOON))
    broker.stop()

    with pytest.raises(ChannelFailed, match="MQTT broker"):
        channel.send("pills", Message("key", "due", "time", NOON))
    broker.start()
    channel.send("pills", Message("key", "due", "time", NOON))


def test_without_a_broker_the_failure_says_what_to_set():
    with pytest.raises(ChannelFailed, match="set DOSETTE_MQTT_URL"):
        MqttChannel(None).send("pills", Message("key", "due", "time", NOON))


@pytest.mark.parametrize("url", ["http://host", "mqtt://", "host:1883", ""])
def test_an_address_that_is_no_broker_s_says_how_it_is_written(url: str):
    with pytest.raises(ValueError, match="mqtt://user:password@host:1883"):
        a_client(url, "test")


def test_home_assistant_finds_sensors_and_buttons_and_no_medicine_s_name(home: Home, ear: Ear, bridge: HomeAssistant):
    home.dose(DUE)
    bridge.heard({home.id})

    config = f"homeassistant/sensor/dosette_{home.bruno}/next_dose/config"
    assert _eventually(lambda: config in ear.heard)
    assert _eventually(lambda: json.loads(ear.heard.get(f"dosette/{home.bruno}/state", "{}")).get("due_now") == 1)
    told = json.loads(ear.heard[config])
    assert (told["state_topic"], told["device"]["name"]) == (f"dosette/{home.bruno}/state", "Medicine of Bruno")
    assert _eventually(lambda: ear.heard.get("dosette/status") == "online")
    assert f"homeassistant/button/dosette_{home.bruno}/take/config" in ear.heard
    assert not any("Medicine " in text.replace("Medicine of", "") for text in ear.heard.values())


def test_stock_is_shown_where_the_member_lets_medicines_be_named(home: Home, ear: Ear, bridge: HomeAssistant):
    medicine_id = home.medicine("Metformin", "12")
    home.database.run(NAMES, at_console(home.id), id=home.bruno)

    bridge.heard({home.id})

    assert _eventually(lambda: f"homeassistant/sensor/dosette_{home.bruno}/stock_{medicine_id}/config" in ear.heard)
    stock = json.loads(ear.heard[f"dosette/{home.bruno}/state"])["stock"]
    assert stock[medicine_id]["on_hand"] == "12"


@pytest.mark.parametrize(("button", "status"), [("take", "taken"), ("skip", "skipped")])
def test_a_button_answers_what_is_due_once_however_often_it_comes(
    home: Home, ear: Ear, bridge: HomeAssistant, button: str, status: str
):
    home.dose(DUE)
    bridge.heard({home.id})
    assert _eventually(lambda: f"dosette/{home.bruno}/state" in ear.heard)

    for _ in range(3):
        ear.say(f"dosette/{home.bruno}/press", button)

    assert _eventually(lambda: home.doses()[0]["status"] == status)
    assert _eventually(lambda: json.loads(ear.heard[f"dosette/{home.bruno}/state"])["due_now"] == 0)
    assert [dose["status"] for dose in home.doses()].count(status) == 1
    assert home.doses()[0]["resolved_by"]["name"] == "Bruno"  # type: ignore[index]


def test_snooze_puts_it_off(home: Home, ear: Ear, bridge: HomeAssistant):
    home.dose(DUE)
    bridge.heard({home.id})
    assert _eventually(lambda: f"dosette/{home.bruno}/state" in ear.heard)

    ear.say(f"dosette/{home.bruno}/press", "snooze")

    assert _eventually(lambda: home.doses()[0]["snoozed_until"])


def test_a_stranger_s_press_changes_nothing(home: Home, ear: Ear, bridge: HomeAssistant):
    home.dose(DUE)
    bridge.heard({home.id})
    assert _eventually(lambda: f"dosette/{home.bruno}/state" in ear.heard)

    for topic, payload in (("dosette/nobody/press", "take"), (f"dosette/{home.bruno}/press", "destroy")):
        ear.say(topic, payload)
    ear.say(f"dosette/{home.ana}/press", "take")

    assert home.doses()[0]["status"] == "pending"


def test_after_the_broker_was_restarted_everything_is_said_again(home: Home, broker: Broker, bridge: HomeAssistant):
    bridge.heard({home.id})
    broker.stop()
    broker.start()

    ear = Ear(broker.url)

    assert _eventually(
        lambda: ear.heard.get("dosette/status") == "online" and f"dosette/{home.bruno}/state" in ear.heard
    )
    ear.close()


def test_who_does_not_lead_says_nothing(home: Home, broker: Broker, ear: Ear):
    stopping = Event()
    idle = HomeAssistant(home.server.database("scheduler"), broker.url, lambda: DUE, Event())
    thread = Thread(target=idle.run, args=(stopping,), daemon=True)
    thread.start()

    idle.heard({home.id})
    time.sleep(1.5)
    stopping.set()
    thread.join(10)

    assert "dosette/status" not in ear.heard


def test_what_was_taken_elsewhere_meanwhile_is_left_as_it_is(home: Home, database_of: Callable[[str], Database]):
    dose_id = home.dose(DUE)
    doses.take(home.database, home.writer(), Taking(DUE, dose_id), home.request(), DUE)

    assert sensors.press(database_of("scheduler"), home.id, home.bruno, "take", DUE, DUE) == []


def test_no_two_connections_have_one_name_for_a_broker_ends_the_older_one():
    names = [a_name("worker"), a_name("worker"), a_name("bridge")]

    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 23  # what every broker takes (MQTT 3.1.1, 3.1.3.1)


def test_a_broker_that_hangs_is_given_up_before_the_lease_ends(broker: Broker):
    channel = MqttChannel(broker.url)
    channel.send("pills", Message("key", "due", "time", NOON))
    assert broker.process
    broker.process.send_signal(signal.SIGSTOP)

    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(ChannelFailed, match="MQTT broker"):
            channel.send("pills", Message("key", "due", "time", NOON))
        assert time.monotonic() - began < LEASE.total_seconds()


def test_a_press_that_the_broker_kept_presses_nothing(home: Home, broker: Broker, ear: Ear):
    home.dose(DUE)
    ear.say(f"dosette/{home.bruno}/press", "take", retain=True)

    with _bridged(home, broker):
        assert _eventually(lambda: f"dosette/{home.bruno}/state" in ear.heard)
        ear.say(f"dosette/{home.ana}/press", "take")
        time.sleep(1)

    assert home.doses()[0]["status"] == "pending"


def test_a_press_is_about_what_was_due_then_and_not_about_what_fell_due_since(
    home: Home, database_of: Callable[[str], Database]
):
    early, late = home.dose(DUE), home.dose(DUE + timedelta(minutes=20))

    done = sensors.press(
        database_of("scheduler"), home.id, home.bruno, "take", DUE + timedelta(minutes=5), DUE + timedelta(minutes=30)
    )

    assert done == ["done"]
    assert {dose["id"]: dose["status"] for dose in home.doses() if dose["id"] in (early, late)} == {
        early: "taken",
        late: "pending",
    }


def test_the_last_will_of_a_leader_before_us_is_contradicted(broker: Broker, ear: Ear, bridge: HomeAssistant):
    assert _eventually(lambda: ear.heard.get("dosette/status") == "online")

    ear.say("dosette/status", "offline", retain=True)

    assert _eventually(
        lambda: [said for topic, said in ear.everything if topic == "dosette/status"][-2:] == ["offline", "online"]
    )


def test_a_name_that_may_not_be_told_any_more_is_taken_back(home: Home, broker: Broker, ear: Ear):
    home.database.run(NAMES, at_console(home.id), id=home.bruno)
    medicine_id = home.medicine("Metformin", "12")
    config = f"homeassistant/sensor/dosette_{home.bruno}/stock_{medicine_id}/config"
    with _bridged(home, broker):
        assert _eventually(lambda: "Metformin" in ear.heard.get(config, ""))

    home.database.run(NAMES_NONE, at_console(home.id), id=home.bruno)
    with _bridged(home, broker) as bridge:  # another process: it knows of it from the broker alone
        assert _eventually(lambda: bridge.heard({home.id}) or ear.heard[config] == "")


def test_the_next_dose_says_what_it_is_where_medicines_may_be_named(home: Home, ear: Ear, bridge: HomeAssistant):
    home.schedule(home.medicine("Metformin"), "14:00", amount="0.5")
    home.schedule(home.medicine("Ramipril"), "14:00")
    state = f"dosette/{home.bruno}/state"

    bridge.heard({home.id})
    assert _eventually(lambda: json.loads(ear.heard.get(state, "{}")).get("next") == {"doses": 2, "medicines": []})
    home.database.run(NAMES, at_console(home.id), id=home.bruno)
    bridge.heard({home.id})

    named = ["Metformin 500 mg, 0.5 tablet", "Ramipril 500 mg, 1 tablet"]
    assert _eventually(lambda: json.loads(ear.heard[state])["next"] == {"doses": 2, "medicines": named})
