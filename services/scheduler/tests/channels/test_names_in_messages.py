"""Whatever a channel could tell of a message, no medicine's name is in it unless its member chose so: others may read a locked phone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event

import pytest

from conftest import Home
from dosette.actions import alarms, doses, households, reminders
from dosette.storage.access import at_console
from dosette.storage.connection import Database, Statement
from dosette.testing import NOON
from dosette_scheduler.channels import Message
from dosette_scheduler.desk import Desk
from dosette_scheduler.links import Links

CHANNELS = ("apprise", "webhook", "mqtt", "file")
TOLD_OF = ("Metformin", "500 mg", "tablet")
CHOOSE = Statement(
    "choose_names",
    "UPDATE members SET names_medicines = %(chosen)s WHERE id = %(id)s RETURNING id",
    chosen="boolean",
    id="uuid",
)


@dataclass
class Keeper:
    """A channel that keeps the whole of what it is given to tell."""

    slots: int = 100
    threads: int = 1
    messages: list[Message] = field(default_factory=list)

    def send(self, address: str, message: Message) -> None:
        self.messages.append(message)


@pytest.mark.parametrize("chosen", [False, True])
def test_a_message_names_a_medicine_only_where_its_member_chose_so(
    home: Home, database_of: Callable[[str], Database], chosen: bool
):
    keeper = Keeper()
    home.database.run(CHOOSE, at_console(home.id), chosen=chosen, id=home.bruno)
    for channel in CHANNELS:
        households.add_contact(home.database, home.console, home.bruno, channel, "https://a.example", NOON)
    home.schedule(home.medicine(on_hand="0.5"), "12:30")

    alarms.remind_of_low_stock(database_of("scheduler"), home.id, NOON)
    for minutes in (0, 30, 100, 160, 400):
        _tell(database_of, keeper, minutes)

    kinds = {message.kind for message in keeper.messages}
    assert kinds >= {"low_stock", "due", "late", "missed"}
    for kind in kinds:
        told = "".join(repr(message) for message in keeper.messages if message.kind == kind)
        named = [word for word in TOLD_OF if word in told]
        assert bool(named) is chosen, (kind, named)


def _tell(database_of: Callable[[str], Database], keeper: Keeper, minutes: int) -> None:
    """What scheduler and worker do, so many minutes after noon."""
    now = NOON + timedelta(minutes=minutes)
    doses.close_missed(database_of("scheduler"), now)
    while reminders.tell_due(database_of("scheduler"), now):
        pass
    desk = Desk(database_of("worker"), dict.fromkeys(CHANNELS, keeper), lambda: now, Links("key", "https://d.example"))
    stopping = Event()
    for _ in range(3):
        desk.turn(stopping)
        desk._listen(0.2)
