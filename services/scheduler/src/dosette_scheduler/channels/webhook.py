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
import re
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from dosette.clock import real_clock
from dosette_scheduler.channels import TIMEOUT_S, ChannelFailed, Message
from dosette_scheduler.channels.deadline import Deadline
from dosette_scheduler.clocks import difference

SECRET_PREFIX = "whsec_"  # noqa: S105  a prefix
CHUNK = 4096
MOST_READ = 64 * 1024
_PLAIN = re.compile(r"[!-~]+")  # the library's own words on a blank in a path would tell the path


class WebhookChannel:
    """An address is an http or https URL. Anything but 2xx is a failure."""

    slots = 16  # none waits behind another: each is sent within its lease
    threads = 16

    def __init__(self, clock: Callable[[], datetime] = real_clock) -> None:
        self._clock = clock
        self._deadline = Deadline()

    def send(self, address: str, message: Message) -> None:
        url = _url(address)
        body = json.dumps(_told(message), ensure_ascii=False).encode()
        headers = self._headers(message, body)
        connection, target = _connection(url), (url.path or "/") + (f"?{url.query}" if url.query else "")
        until = time.monotonic() + TIMEOUT_S
        try:
            status, date = self._deadline.keep(
                lambda: _post(connection, target, body, headers, until), lambda: _shut(connection)
            )
        except (OSError, ValueError, http.client.HTTPException, ChannelFailed) as error:
            raise ChannelFailed(f"{url.hostname}: {str(error) or type(error).__name__}") from None
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


def _url(address: str) -> SplitResult:
    """Raises ChannelFailed when it is none."""
    try:
        url = urlsplit(address)
        if url.scheme in ("http", "https") and url.hostname and url.port != 0 and _PLAIN.fullmatch(address):
            return url
    except ValueError:  # a port that is no number, an IPv6 address without its end
        pass
    raise ChannelFailed("the address is no http or https URL: change the contact")


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


def _connection(url: SplitResult) -> http.client.HTTPConnection:
    host, timeout_s = url.hostname or "", TIMEOUT_S / 2
    if url.scheme == "https":
        return http.client.HTTPSConnection(host, url.port, timeout=timeout_s, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, url.port, timeout=timeout_s)


def _post(
    connection: http.client.HTTPConnection, target: str, body: bytes, headers: dict[str, str], until: float
) -> tuple[int, datetime | None]:
    """Status and Date of the answer, read to its end."""
    try:
        connection.connect()
        if time.monotonic() >= until:
            raise TimeoutError("connected too late")  # it was given up, and the dose may be taken by now
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        read = 0
        while read < MOST_READ and (chunk := answer.read(CHUNK)):
            read += len(chunk)
        return answer.status, _date(answer.headers["Date"])
    finally:
        connection.close()


def _shut(connection: http.client.HTTPConnection) -> None:
    """Ends whatever drips out of it."""
    with suppress(OSError, AttributeError):  # AttributeError: there is no socket yet, or none any more
        connection.sock.shutdown(socket.SHUT_RDWR)


def _date(text: str | None) -> datetime | None:
    """None when there is none, or none that makes sense; one without a zone is in UTC (RFC 9110, 5.6.7)."""
    try:
        date = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date and date.tzinfo is None else date
