"""The Apprise channel: ntfy, mail, Telegram, Home Assistant and a hundred more, by one URL each (https://appriseit.com)."""

import logging
import re
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from dosette_scheduler.channels import TIMEOUT_S, ChannelFailed, Message

_KINDS = {"due": "info", "late": "warning", "missed": "failure", "test": "info"}


class AppriseChannel:
    """The library is imported with the first message, for it takes 19 MB."""

    slots = 4  # none waits behind another: each is sent within its lease
    threads = 4

    def send(self, address: str, message: Message) -> None:
        scheme = urlsplit(address).scheme or "an address without scheme"
        said: list[str] = []
        with _listening(said):
            service = self._library.Apprise.instantiate(_hurried(address), suppress_exceptions=True)
            if service is None:
                raise ChannelFailed(f"{scheme}: Apprise does not take this address: {_why(said, address)}")
            sent = service.notify(
                body=_body(message),
                title=message.title,
                notify_type="warning" if message.urgent else _KINDS.get(message.kind, "warning"),
                body_format="text",
            )
        if not sent:
            raise ChannelFailed(f"{scheme}: {_why(said, address)}")

    @cached_property
    def _library(self) -> Any:
        import apprise

        return apprise


def _body(message: Message) -> str:
    return "\n".join([message.text, *(f"{action.label}: {action.url}" for action in message.actions)])


def _hurried(address: str) -> str:
    """With time-outs that end before a lease does (Apprise knows `cto` and `rto` for all of its services)."""
    given = urlsplit(address).query
    limits = [f"{name}={TIMEOUT_S / 2:g}" for name in ("cto", "rto") if not re.search(rf"(^|&){name}=", given)]
    if not limits:
        return address
    return f"{address}{'&' if '?' in address else '?'}{'&'.join(limits)}"


class _listening:
    """What Apprise logs in this thread while the block lasts: its only word on why something failed."""

    def __init__(self, said: list[str]) -> None:
        self._handler = _Keeper(said)

    def __enter__(self) -> None:
        logging.getLogger("apprise").addHandler(self._handler)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self._handler)


class _Keeper(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._said = said
        self._thread = logging.LogRecord("", 0, "", 0, "", (), None).thread

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._said.append(record.getMessage())


def _why(said: list[str], address: str) -> str:
    """Its reason, without what of the address is a secret."""
    reason = "; ".join(said)[-300:] or "it says nothing about why"
    parts = urlsplit(address)
    secrets = {parts.password, parts.username, *filter(lambda part: len(part) > 7, re.split(r"[/?&=@:]", address))}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        reason = reason.replace(secret, "…")
    return reason
