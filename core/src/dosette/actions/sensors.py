"""What home automation shows of a household, and its buttons."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dosette.actions import doses
from dosette.actions.doses import Taking
from dosette.actions.replies import Request
from dosette.contracts.press import SNOOZE
from dosette.domain.errors import OverLimit, Refused
from dosette.storage import sensors as sql
from dosette.storage.access import at_home_assistant, serving
from dosette.storage.connection import Database

BUTTONS = ("take", "snooze", "skip")


@dataclass(frozen=True)
class Sensors:
    """Of one member. `due` are ids of doses that may be taken now. `next_named` (what is due next, as people read it) and `medicines`
    are empty unless the member lets medicines be named."""

    member_id: str
    member: str
    next_at: datetime | None
    next_doses: int
    next_named: tuple[str, ...]
    due: tuple[str, ...]
    medicines: tuple[Mapping[str, object], ...]


def read(database: Database, household_id: str, now: datetime) -> list[Sensors]:
    """Of every member of the household."""
    rows = database.run(sql.READ, serving(household_id), now=now)
    return [
        Sensors(each, name, at, doses_then, tuple(named), tuple(due), tuple(medicines))
        for each, name, at, doses_then, named, due, medicines in rows
    ]


def press(database: Database, household_id: str, member_id: str, button: str, at: datetime, now: datetime) -> list[str]:
    """What became of each dose of the member that was due when it was pressed, at `at`: done, or why not. A press that comes twice
    finds nothing due again."""
    due = next((each.due for each in read(database, household_id, at) if each.member_id == member_id), ())
    return [_pressed(database, household_id, member_id, button, dose_id, at, now) for dose_id in due]


def _pressed(
    database: Database, household_id: str, member_id: str, button: str, dose_id: str, at: datetime, now: datetime
) -> str:
    entry, request = at_home_assistant(household_id, member_id), Request(None, b"")
    try:
        if button == "take":
            doses.take(database, entry, Taking(at, dose_id), request, now)
        elif button == "skip":
            doses.skip(database, entry, dose_id, None, request, at, now)
        else:
            doses.snooze(database, entry, dose_id, at + SNOOZE, request, now)
    except (Refused, OverLimit) as refused:
        return refused.code
    return "done"
