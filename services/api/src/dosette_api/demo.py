"""The demo household: three people, thirteen medicines of every kind, and two weeks in which things went as they go."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random

from dosette.actions import doses, households, medicines, schedules, stock
from dosette.actions.doses import Taking
from dosette.actions.medicines import Ingredient, WantedMedicine
from dosette.actions.replies import Request
from dosette.actions.schedules import WantedSchedule
from dosette.actions.stock import Line
from dosette.domain.schedules import AS_NEEDED, ELAPSED, LAST_TAKEN, WEEKDAYS, Step
from dosette.storage import doses as dose_sql
from dosette.storage.access import at_console
from dosette.storage.connection import Database, Entry

NAME, ZONE = "Demo", "Europe/Berlin"
WEEKS = timedelta(weeks=2)
_PATIENCE_MS = 60_000
PEOPLE = (("Ana", "admin"), ("Bruno", "self"), ("Clara", "self"))
TOLD_NEXT = {"Bruno": ("Ana",), "Clara": ("Ana", "Bruno")}
"""Who is told of a dose that was not taken: the second person, and the third."""

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_ANONYMOUS = Request(None, b"")

_Steps = tuple[Step, ...]


def _at(*times: str, amount: str = "1", days: str = "") -> _Steps:
    """So much at each of the times, on the days named (all, when none is)."""
    weekdays = frozenset(map(WEEKDAYS.index, days.split() or WEEKDAYS))
    return tuple(Step(time.fromisoformat(at), Decimal(amount), weekdays) for at in times)


def _amount(amount: str) -> _Steps:
    return (Step(None, Decimal(amount)),)


@dataclass(frozen=True)
class _Medicine:
    """`contains`: ingredient, amount and unit of one unit of it. `steps` may be a function of the first day."""

    member: str
    name: str
    strength: str
    contains: str
    on_hand: str
    steps: _Steps | Callable[[date], _Steps]
    form: str = "tablet"
    unit: str = ""
    note: str = ""
    rule: Mapping[str, object] = field(default_factory=dict)

    @property
    def ingredient(self) -> Ingredient:
        name, amount, unit = self.contains.rsplit(" ", 2)
        return Ingredient(name, Decimal(amount), unit)


def _taper(first: date) -> _Steps:
    """Four tablets a day, one less each week, down to half of one."""
    amounts = ("4", "3", "2", "1", "0.5")
    weeks = [(first + 7 * week * _DAY, first + (7 * week + 6) * _DAY) for week in range(len(amounts))]
    return tuple(
        Step(time(7), Decimal(each), starts_on=since, ends_on=until)
        for each, (since, until) in zip(amounts, weeks, strict=True)
    )


_FEVER = {"kind": AS_NEEDED, "min_gap_minutes": 360, "most_per_24_h": Decimal(4)}

_CUPBOARD = (
    _Medicine("Ana", "Levothyroxine", "75 mcg", "levothyroxine 75 mcg", "62", _at("06:30"), note="before breakfast"),
    _Medicine("Ana", "Vitamin D", "20,000 IU", "colecalciferol 20000 IU", "9", _at("09:00", days="sun"), "capsule"),
    _Medicine(
        "Ana", "Ferrous sulfate", "100 mg", "iron 100 mg", "34", _at("12:00", days="mon wed fri"), note="not with milk"
    ),
    _Medicine("Bruno", "Metformin", "500 mg", "metformin 500 mg", "71", _at("08:00", "18:00"), note="with food"),
    _Medicine("Bruno", "Ramipril", "5 mg", "ramipril 5 mg", "18", _at("08:00")),
    _Medicine("Bruno", "Atorvastatin", "20 mg", "atorvastatin 20 mg", "45", _at("21:00")),
    _Medicine(
        "Bruno",
        "Insulin glargine",
        "100 units/ml",
        "insulin glargine 1 unit",
        "420",
        _at("22:00", amount="14"),
        "injection",
        "unit",
        rule={"critical": True},
    ),
    _Medicine("Bruno", "Prednisolone", "5 mg", "prednisolone 5 mg", "80", _taper, note="with breakfast"),
    _Medicine(
        "Clara",
        "Amoxicillin",
        "250 mg/5 ml",
        "amoxicillin 50 mg",
        "300",
        _amount("5"),
        "syrup",
        "ml",
        rule={"kind": ELAPSED, "every_minutes": 480, "counted_from": LAST_TAKEN},
    ),
    _Medicine(
        "Clara",
        "Salbutamol",
        "100 mcg",
        "salbutamol 100 mcg",
        "160",
        _at("07:30", "19:30", amount="2"),
        "inhaler",
        "puff",
        "with spacer",
    ),
    _Medicine(
        "Clara", "Melatonin", "1 mg", "melatonin 1 mg", "21", _at("20:00", amount="0.5", days="mon tue wed thu sun")
    ),
    _Medicine(
        "Clara",
        "Paracetamol",
        "120 mg/5 ml",
        "paracetamol 24 mg",
        "100",
        _amount("10"),
        "syrup",
        "ml",
        rule=_FEVER | {"most_per_24_h": Decimal(40)},
    ),
    _Medicine(
        "Clara",
        "Paracetamol supp.",
        "250 mg",
        "paracetamol 250 mg",
        "8",
        _amount("1"),
        "suppository",
        "piece",
        rule=_FEVER,
    ),
)


def fill(database: Database, now: datetime) -> bool:
    """Makes the demo household, all or nothing; False, and nothing done, when this server has a household already."""
    with database.patient(_PATIENCE_MS) as patient, patient.all_or_nothing():
        if households.only_founder(patient):
            _fill(patient, now)
            return True
    return False


def _fill(database: Database, now: datetime) -> None:
    began = now - WEEKS
    home = at_console(households.found(database, NAME, ZONE, began))
    people = {name: _person(database, home, name, role, began) for name, role in PEOPLE}
    _tell_each_other(database, home, people, began)
    ids = {each.name: _put_in_cupboard(database, home, people[each.member], each, began) for each in _CUPBOARD}
    _live_through(database, home, began, now)
    _buy_a_box(database, home, ids["Metformin"], now - 3 * _DAY)
    _calm_a_fever(database, home, ids["Paracetamol"], now - 30 * _HOUR)


def _person(database: Database, home: Entry, name: str, role: str, began: datetime) -> str:
    member_id: str = json.loads(households.add_member(database, home, name, role, _ANONYMOUS, began).body)["id"]
    households.add_contact(database, home, member_id, "file", f"{name.lower()}.jsonl", began)
    return member_id


def _tell_each_other(database: Database, home: Entry, people: Mapping[str, str], began: datetime) -> None:
    changes: dict[str, dict[str, object]] = {
        name: dict(zip(("second_id", "third_id"), map(people.__getitem__, others), strict=False))
        for name, others in TOLD_NEXT.items()
    }
    changes["Ana"] = {"names_medicines": True}
    changes["Clara"] |= {"quiet_from": "20:30", "quiet_until": "06:30"}
    for name, fields in changes.items():
        households.change_member(database, home, people[name], fields, _ANONYMOUS, began)


def _put_in_cupboard(database: Database, home: Entry, member_id: str, medicine: _Medicine, began: datetime) -> str:
    wanted = WantedMedicine(
        member_id,
        medicine.name,
        medicine.strength,
        medicine.form,
        medicine.unit or medicine.form,
        (medicine.ingredient,),
        medicine.note,
    )
    added = medicines.add(database, home, wanted, Decimal(medicine.on_hand), _ANONYMOUS, began)
    steps = medicine.steps(began.date()) if callable(medicine.steps) else medicine.steps
    schedule = WantedSchedule(steps, rule=medicine.rule)
    medicine_id: str = json.loads(added.body)["id"]
    schedules.change(database, home, home, medicine_id, schedule, _ANONYMOUS, began)
    return medicine_id


def _live_through(database: Database, home: Entry, began: datetime, now: datetime) -> None:
    """Day by day: most doses taken near their time, some late, a few skipped or forgotten, one mistake undone."""
    chance = Random("the same two weeks on every machine")
    day = began
    while day < now:
        day = min(day + _DAY, now)
        schedules.extend_plans(database, day, home)
        for dose_id in _due(database, home, day - _DAY, day):
            _happen(database, home, dose_id, chance, now)
        doses.close_missed(database, day, home)


def _due(database: Database, home: Entry, since: datetime, until: datetime) -> list[str]:
    everyone: dict[str, object] = {"member": None, "medicine": None, "state": None, "after": None}
    row = database.one(dose_sql.LIST, home, since=since, until=until, **everyone, limit=200, now=until)
    return [dose["id"] for dose in json.loads(row[0])["items"] if dose["status"] == "pending"]


def _happen(database: Database, home: Entry, dose_id: str, chance: Random, now: datetime) -> None:
    dose = json.loads(database.one(dose_sql.GET, home, dose=dose_id, now=now)[0])  # others may have moved it
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


def _buy_a_box(database: Database, home: Entry, medicine_id: str, at: datetime) -> None:
    box = Line(Decimal(28), "bought at the pharmacy", batch="H4471", expires_on=(at + 500 * _DAY).date())
    stock.refill(database, home, medicine_id, box, _ANONYMOUS, at)


def _calm_a_fever(database: Database, home: Entry, syrup: str, at: datetime) -> None:
    """Two doses of the syrup, seven hours apart."""
    for given_at in (at, at + 7 * _HOUR):
        doses.take(database, home, Taking(given_at, medicine_id=syrup), _ANONYMOUS, given_at)
