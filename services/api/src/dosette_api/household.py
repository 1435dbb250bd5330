"""What every view works with: the database, the clock, and Redis where it is needed."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, cast

from flask import current_app

from dosette.actions.devices import ServerKeys
from dosette.clock import Clock
from dosette.storage.connection import Database

if TYPE_CHECKING:
    from dosette.bus import Bus

NAME = "dosette"
REDIS_ANSWERS_S = 1.0
"""Who looks at panels through a Redis that hangs must not hold up those who take a dose: there are few threads."""


@dataclass
class Household:
    """Everything outside the process that the API reaches. `link_key`: of the links in messages; None: there are none. `device_keys`
    and `redis_for_devices` (`host:port`): what a panel is given when it is paired; without either none can be."""

    database: Database
    clock: Clock
    redis_url: str | None
    link_key: str | None = None
    device_keys: ServerKeys | None = None
    redis_for_devices: str | None = None

    def now(self) -> datetime:
        return self.clock()

    @cached_property
    def bus(self) -> "Bus | None":
        """Connected on first need: most households' API processes never import the client (20 MB)."""
        if self.redis_url is None:
            return None
        from dosette.bus import Bus, connect

        return Bus(connect(self.redis_url, answer_s=REDIS_ANSWERS_S))


def household() -> Household:
    """The current app's."""
    return cast("Household", current_app.extensions[NAME])
