"""The demo household: three people, ten medicines of different kinds, and two weeks in which things went as they go."""

import json
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from dosette.actions import doses, households, medicines, schedules, stock
from dosette.actions.doses import Taking
from dosette.actions.medicines import Ingredient, WantedMedicine
from dosette.actions.replies import Request
from dosette.actions.schedules import WantedSchedule
from dosette.actions.stock import Line
from dosette.domain.schedules import WEEKDAYS, Step
from dosette.storage import doses as dose_sql
from dosette.storage.access import at_console
from dosette.storage.connection import Database, Entry

NAME, ZONE = "Demo", "Europe/Berlin"
WEEKS = timedelta(weeks=2)
PEOPLE = (("Ana", "admin"), ("Bruno", "self"), ("Clara", "self"))

_DAY = timedelta(days=1)
_ANONYMOUS = Request(None, b"")

_Steps = tuple[tuple[str, str, str], ...]
"""(time, amount, weekdays); all days when none are given."""


def _twice(morning: str, evening: str, amount: str = "1") -> _Steps:
    return (morning, amount, ""), (evening, amount, "")


_LONG_ACTING: _Steps = (("22:00", "14", ""),)
_EVERY_EIGHT_HOURS: _Steps = (("07:00", "5", ""), ("15:00", "5", ""), ("23:00", "5", ""))


@dataclass(frozen=True)
class _Medicine:
    member: str
    name: str
    strength: str
    form: str
    unit: str
    ingredient: str
    on_hand: str
    steps: _Steps
    note: str = ""
    critical: bool = False


_CUPBOARD = (
    _Medicine(
        "Ana",
        "Levothyroxine",
        "75 mcg",
        "tablet",
        "tablet",
        "levothyroxine",
        "62",
        (("06:30", "1", ""),),
        "before breakfast",
    ),
    _Medicine(
        "Ana",
        "Vitamin D",
        "20,000 IU",
        "capsule",
        "capsule",
        "colecalciferol",
        "9",
        (("09:00", "1", "sun"),),
        "with food",
    ),
    _Medicine(
        "Ana",
        "Ferrous sulfate",
        "100 mg",
        "tablet",
        "tablet",
        "iron",
        "34",
        (("12:00", "1", "mon wed fri"),),
        "not with milk",
    ),
    _Medicine(
        "Bruno", "Metformin", "500 mg", "tablet", "tablet", "metformin", "71", _twice("08:00", "18:00"), "with food"
    ),
    _Medicine("Bruno", "Ramipril", "5 mg", "tablet", "tablet", "ramipril", "18", (("08:00", "1", ""),)),
    _Medicine("Bruno", "Atorvastatin", "20 mg", "tablet", "tablet", "atorvastatin", "45", (("21:00", "1", ""),)),
    _Medicine(
        "Bruno",
        "Insulin glargine",
        "100 units/ml",
        "injection",
        "unit",
        "insulin glargine",
        "420",
        _LONG_ACTING,
        critical=True,
    ),
    _Medicine("Clara", "Amoxicillin", "250 mg/5 ml", "syrup", "ml", "amoxicillin", "300", _EVERY_EIGHT_HOURS),
    _Medicine(
        "Clara",
        "Salbutamol",
        "100 mcg",
        "inhaler",
        "puff",
        "salbutamol",
        "160",
        _twice("07:30", "19:30", "2"),
        "with spacer",
    ),
    _Medicine(
        "Clara", "Melatonin", "1 mg", "tablet", "tablet", "melatonin", "21", (("20:00", "0.5", "mon tue wed thu sun"),)
    ),
)


def fill(database: Database, now: datetime) -> bool:
    """Makes the demo household, all or nothing; False, and nothing done, when this server has a household already."""
    with database.all_or_nothing():
        if households.only_founder(database):
            _fill(database, now)
            return True
    return False


def _fill(database: Database, now: datetime) -> None:
    began = now - WEEKS
    home = at_console(households.found(database, NAME, ZONE, began))
    people = {name: _person(database, home, name, role, began) for name, role in PEOPLE}
    for medicine in _CUPBOARD:
        _put_in_cupboard(database, home, people[medicine.member], medicine, began)
    _live_through(database, home, began, now)


def _person(database: Database, home: Entry, name: str, role: str, began: datetime) -> str:
    member_id: str = json.loads(households.add_member(database, home, name, role, _ANONYMOUS, began).body)["id"]
    households.add_contact(database, home, member_id, "file", f"{name.lower()}.jsonl", began)
    return member_id


def _put_in_cupboard(database: Database, home: Entry, member_id: str, medicine: _Medicine, began: datetime) -> None:
    wanted = WantedMedicine(
        member_id,
        medicine.name,
        medicine.strength,
        medicine.form,
        medicine.unit,
        (Ingredient(medicine.ingredient),),
        medicine.note,
    )
    added = medicines.add(database, home, wanted, Decimal(medicine.on_hand), _ANONYMOUS, began)
    steps = tuple(Step(time.fromisoformat(at), Decimal(amount), _weekdays(days)) for at, amount, days in medicine.steps)
    schedule = WantedSchedule(steps, rule={"critical": medicine.critical})
    schedules.change(database, home, home, json.loads(added.body)["id"], schedule, _ANONYMOUS, began)


def _live_through(database: Database, home: Entry, began: datetime, now: datetime) -> None:
    """Day by day: most doses taken near their time, some late, a few skipped or forgotten, one mistake undone, one box bought."""
    chance = Random("the same two weeks on every machine")
    day = began
    while day < now:
        day = min(day + _DAY, now)
        schedules.extend_plans(database, day, home)
        for dose in _due(database, home, day - _DAY, day):
            _happen(database, home, dose, chance, now)
        doses.close_missed(database, day, home)
    _buy_a_box(database, home, now - 3 * _DAY)


def _due(database: Database, home: Entry, since: datetime, until: datetime) -> list[dict[str, Any]]:
    return [dose for dose in _doses(database, home, since, until) if dose["status"] == "pending"]


def _doses(database: Database, home: Entry, since: datetime, until: datetime) -> list[dict[str, Any]]:
    everyone: dict[str, object] = {"member": None, "medicine": None, "state": None, "after": None}
    row = database.one(dose_sql.LIST, home, since=since, until=until, **everyone, limit=200, now=until)
    items: list[dict[str, Any]] = json.loads(row[0])["items"]
    return items


def _happen(database: Database, home: Entry, dose: dict[str, Any], chance: Random, now: datetime) -> None:
    due_at, closes_at = datetime.fromisoformat(dose["due_at"]), datetime.fromisoformat(dose["closes_at"])
    fate, delay = chance.random(), (closes_at - due_at) * abs(chance.gauss(0.05, 0.2))
    at = due_at + min(delay, (closes_at - due_at) * 0.95)
    if at > now or fate > 0.97:
        return
    if fate > 0.94:
        doses.skip(database, home, dose["id"], "felt unwell", _ANONYMOUS, at, at)
        return
    doses.take(database, home, Taking(at, dose["id"]), _ANONYMOUS, at)
    if fate < 0.01:
        doses.undo(database, home, dose["id"], _ANONYMOUS, at + timedelta(seconds=40), at + timedelta(seconds=40))
        doses.take(database, home, Taking(at, dose["id"]), _ANONYMOUS, at + timedelta(seconds=90))


def _buy_a_box(database: Database, home: Entry, at: datetime) -> None:
    medicine_id = _doses(database, home, at - _DAY, at)[0]["medicine"]["id"]
    stock.refill(database, home, medicine_id, Line(Decimal(28), "bought at the pharmacy"), _ANONYMOUS, at)


def _weekdays(days: str) -> frozenset[int]:
    return frozenset(map(WEEKDAYS.index, days.split() or WEEKDAYS))
