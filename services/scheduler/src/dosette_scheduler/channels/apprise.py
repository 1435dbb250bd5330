"""The Apprise channel: ntfy, mail, Telegram, Home Assistant and a hundred more, by one URL each (https://appriseit.com)."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import get_ident
from typing import Any
from urllib.parse import unquote

from dosette_scheduler.channels import TIMEOUT_S, ChannelFailed, Message
from dosette_scheduler.channels.deadline import Deadline

_KINDS = {"due": "info", "late": "warning", "missed": "failure", "test": "info"}
_SHORTEST_SECRET = 4


class AppriseChannel:
    """The library is imported with the first message, for it takes 19 MB. None waits in a queue: a mail has no key by which
    its reader would see one of two."""

    slots = 4
    threads = 4

    def __init__(self) -> None:
        self._deadline = Deadline()

    def send(self, address: str, message: Message) -> None:
        scheme = address.partition("://")[0] if "://" in address else "an address without scheme"
        try:
            self._deadline.keep(lambda: self._notify(address, message))
        except ChannelFailed as failure:
            raise ChannelFailed(f"{scheme}: {failure}") from None
        except Exception as error:  # a service's bug: what it says, and its traceback, may hold the address
            why = _why([f"{type(error).__name__}: {error}"], address)
            raise ChannelFailed(f"{scheme}: {why}") from None

    def _notify(self, address: str, message: Message) -> None:
        with _listening() as said:
            service = self._library.Apprise.instantiate(_hurried(address), suppress_exceptions=True)
            if service is None:
                raise ChannelFailed(f"Apprise does not take this address: {_why(said, address)}")
            sent = service.notify(
                body=_body(message),
                title=message.title,
                notify_type="warning" if message.urgent else _KINDS.get(message.kind, "warning"),
                body_format="text",
            )
        if not sent:
            raise ChannelFailed(_why(said, address))

    @cached_property
    def _library(self) -> Any:
        import apprise

        library: Any = apprise
        for each in library.AttachmentManager().plugins():  # an address may name a template: a file here, or a page
            each.location = library.ContentLocation.INACCESSIBLE
        logging.getLogger("apprise").propagate = False  # it names topics and receivers
        logging.getLogger("apprise").setLevel(logging.WARNING)
        logging.getLogger("urllib3").setLevel(logging.WARNING)  # it tells whole paths, and Telegram's hold the token
        return library


def _body(message: Message) -> str:
    return "\n".join([message.text, *(f"{action.label}: {action.url}" for action in message.actions)])


def _hurried(address: str) -> str:
    """With time-outs that end before a lease does (Apprise knows `cto` and `rto` for all of its services)."""
    given = address.partition("?")[2]
    limits = [f"{name}={TIMEOUT_S / 2:g}" for name in ("cto", "rto") if not re.search(rf"(^|&){name}=", given)]
    if not limits:
        return address
    return f"{address}{'&' if '?' in address else '?'}{'&'.join(limits)}"


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What Apprise logs in this thread while the block lasts: its only word on why something failed."""
    keeper = _Keeper()
    logger = logging.getLogger("apprise")
    logger.addHandler(keeper)
    try:
        yield keeper.said
    finally:
        logger.removeHandler(keeper)


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self._thread = get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.said.append(record.getMessage())


def _why(said: list[str], address: str) -> str:
    """Its reason, without what of the address is a secret."""
    reason = "; ".join(said) or "it says nothing about why"
    for secret in sorted(_secrets(address), key=len, reverse=True):
        reason = reason.replace(secret, "…")
    return reason[-300:]


def _secrets(address: str) -> set[str]:
    """Every part of an address may be one, in many services even the host; as it is written and as it is meant."""
    rest = address.partition("://")[2]
    login = re.split("[:@]", rest.rpartition("@")[0])
    parts = [*filter(None, login), *(each for each in re.split(r"[/?&=@:#,]", rest) if len(each) >= _SHORTEST_SECRET)]
    return {each for part in parts for each in (part, unquote(part))}
