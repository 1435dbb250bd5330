"""How people are told: one file for each channel, all behind one interface."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dosette.domain.reminders import Item


class ChannelFailed(Exception):
    """The message may not have arrived; it is tried again, with more and more patience. Says what, which and what to do."""


class RemindsItself(ChannelFailed):
    """The same, where the other end reminds by itself meanwhile: given up at last, this message is missed by nobody."""


@dataclass(frozen=True)
class Action:
    """What the reader may answer by following a link: `name` is take, skip or claim; `label` is for people."""

    name: str
    label: str
    url: str


@dataclass(frozen=True)
class Message:
    """`key` is the same each time the same message is sent, so that the reader sees one; `kind` the most urgent of what it tells
    (due, late, missed, test, or an alarm's kind). `secret` is the contact's own, where its channel signs."""

    key: str
    kind: str
    text: str
    at: datetime
    title: str = "Dosette"
    urgent: bool = False
    recipient: str = ""
    items: tuple[Item, ...] = ()
    actions: tuple[Action, ...] = ()
    secret: str | None = None


class Channel(Protocol):
    """Raise ChannelFailed within `TIMEOUT_S` (below a delivery's lease), whatever the other end does."""

    @property
    def slots(self) -> int:
        """How many messages may be claimed and not recorded at once."""

    @property
    def threads(self) -> int:
        """How many are sent at once; others wait behind these, and none behind those of other channels."""

    def send(self, address: str, message: Message) -> None:
        """Tells `message` at `address`. Safe to call from several threads. Raises ChannelFailed."""


TIMEOUT_S = 7.0

Channels = Mapping[str, Channel]
