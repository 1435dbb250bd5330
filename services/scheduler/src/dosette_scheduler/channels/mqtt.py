"""The MQTT channel: each message as JSON on a topic, for Home Assistant's automations and for whoever listens."""

import json
import logging
import ssl
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from dosette_scheduler.channels import TIMEOUT_S, ChannelFailed, Message
from dosette_scheduler.channels.deadline import Deadline

PORTS = {"mqtt": 1883, "mqtts": 8883}

log = logging.getLogger(__name__)


class MqttChannel:
    """`url` is the broker's, as mqtt://user:password@host:1883 (mqtts for TLS); None: none is set. An address is a topic."""

    slots = 16
    threads = 16

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._client: Any = None
        self._lock = Lock()
        self._deadline = Deadline()

    def send(self, address: str, message: Message) -> None:
        told = {
            "key": message.key,
            "kind": message.kind,
            "title": message.title,
            "text": message.text,
            "at": message.at.isoformat(),
            "urgent": message.urgent,
            "recipient": message.recipient,
            "actions": {action.name: action.url for action in message.actions},
        }
        body = json.dumps(told, ensure_ascii=False)
        try:
            arrived = self._deadline.keep(lambda: self._publish(address, body))
        except ChannelFailed as failure:
            raise ChannelFailed(f"the MQTT broker: {failure}") from None
        except (OSError, ValueError, RuntimeError) as error:
            self._forget()
            raise ChannelFailed(f"the MQTT broker: {error}") from None
        if not arrived:
            self._forget()
            raise ChannelFailed(
                "the MQTT broker did not confirm the message in time; does it know our user and password?"
            )

    def _publish(self, topic: str, body: str) -> bool:
        """Whether the broker confirmed it."""
        published = self._connected().publish(topic, body, qos=1)
        published.wait_for_publish(TIMEOUT_S / 2)
        arrived: bool = published.is_published()
        return arrived

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                if not self._url:
                    raise ChannelFailed("none is set: set DOSETTE_MQTT_URL, or remove the contact")
                self._client = connected(self._url, a_name("worker"))
            return self._client

    def _forget(self) -> None:
        """The next message connects anew. Nobody waits for the old connection's end."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.disconnect()


def a_name(part: str) -> str:
    """Of one connection: a broker ends the older one of two with the same name, and there may be several workers. Brokers need
    take 23 characters, no more."""
    return f"dosette-{part}-{uuid4().hex[:8]}"


def a_client(url: str, name: str) -> Any:
    """A client that is told where and who, and not connected. Raises ValueError on an address that is none."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("DOSETTE_MQTT_URL is written mqtt://user:password@host:1883, or mqtts://…")
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv311)
    if parts.username:
        client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme == "mqtts":
        client.tls_set_context(ssl.create_default_context())
    client.connect_timeout = TIMEOUT_S / 2
    return client


def where(url: str) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def connected(url: str, name: str) -> Any:
    """A connected client whose loop runs. Raises OSError and ValueError."""
    client = a_client(url, name)
    client.connect(*where(url), keepalive=30)
    client.loop_start()
    return client
