"""The webhook channel: one signed POST for each message, as https://www.standardwebhooks.com says.

Its own client of the standard library: a time-out over all of an answer (a peer that drips bytes keeps most clients for ever),
and no redirects.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from dosette.clock import difference, real_clock
from dosette_scheduler.channels import TIMEOUT_S, ChannelFailed, Message

SECRET_PREFIX = "whsec_"  # noqa: S105  a prefix
CHUNK = 4096
MOST_READ = 64 * 1024


class WebhookChannel:
    """An address is an http or https URL. Anything but 2xx is a failure."""

    slots = 16  # none waits behind another: each is sent within its lease
    threads = 16

    def __init__(self, clock: Callable[[], datetime] = real_clock) -> None:
        self._clock = clock

    def send(self, address: str, message: Message) -> None:
        url = urlsplit(address)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ChannelFailed("the address is no http or https URL: change the contact")
        body = json.dumps(_told(message), ensure_ascii=False).encode()
        try:
            status, date = _post(url, body, self._headers(message, body))
        except (OSError, http.client.HTTPException) as error:
            raise ChannelFailed(f"{url.hostname}: {error or type(error).__name__}") from None
        if date:
            difference.labels("webhook").set(abs((date - self._clock()).total_seconds()))
        if not 200 <= status < 300:
            raise ChannelFailed(f"{url.hostname} answered {status}")

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        sent_at = str(int(self._clock().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Dosette",
            "webhook-id": message.key,
            "webhook-timestamp": sent_at,
        }
        if message.secret:
            headers["webhook-signature"] = signature(message.secret, message.key, sent_at, body)
        return headers


def signature(secret: str, message_id: str, sent_at: str, body: bytes) -> str:
    """`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`. Raises ChannelFailed when the secret is none."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ChannelFailed("the contact's secret is damaged: remove the contact and add it again") from None
    signed = f"{message_id}.{sent_at}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _told(message: Message) -> dict[str, object]:
    return {
        "type": "dosette.reminder",
        "key": message.key,
        "kind": message.kind,
        "title": message.title,
        "text": message.text,
        "at": message.at.isoformat(),
        "urgent": message.urgent,
        "recipient": message.recipient,
        "items": [{name: _plain(value) for name, value in asdict(item).items()} for item in message.items],
        "actions": {action.name: action.url for action in message.actions},
    }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value if value is None or isinstance(value, bool | str) else str(value)


def _post(url: SplitResult, body: bytes, headers: dict[str, str]) -> tuple[int, datetime | None]:
    until = time.monotonic() + TIMEOUT_S
    secure = url.scheme == "https"
    connection = (
        http.client.HTTPSConnection(
            url.hostname or "", url.port, timeout=TIMEOUT_S / 2, context=ssl.create_default_context()
        )
        if secure
        else http.client.HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT_S / 2)
    )
    try:
        connection.connect()
        with _Deadline(connection.sock, until):
            connection.request("POST", (url.path or "/") + (f"?{url.query}" if url.query else ""), body, headers)
            answer = connection.getresponse()
            read = 0
            while read < MOST_READ and (chunk := answer.read(CHUNK)):
                read += len(chunk)
        return answer.status, _date(answer.headers["Date"])
    finally:
        connection.close()


class _Deadline:
    """Shuts a socket at a moment, whatever drips out of it meanwhile."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        from threading import Timer

        self._timer = Timer(max(0.0, until - time.monotonic()), self._shut, (sock,))
        self._timer.daemon = True
        self._over = False

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._over:
            raise TimeoutError(f"no whole answer within {TIMEOUT_S:g} s")

    def _shut(self, sock: socket.socket) -> None:
        self._over = True
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
