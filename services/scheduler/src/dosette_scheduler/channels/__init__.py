"""How people are told: one file for each channel, all behind one interface."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class ChannelFailed(Exception):
    """The message may not have arrived; it is tried again when the lease ends."""


@dataclass(frozen=True)
class Message:
    """`collapse_key` is the same each time the same reminder is told, so that the reader sees one."""

    collapse_key: str
    kind: str
    text: str
    at: datetime


class Channel(Protocol):
    def send(self, address: str, message: Message) -> None:
        """Tells `message` at `address`. Raises ChannelFailed."""


Channels = Mapping[str, Channel]
