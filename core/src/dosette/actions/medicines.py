"""Adding, changing and archiving a medicine."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from dosette.actions.replies import Answer, Request, answer
from dosette.domain.errors import Invalid, NotFound
from dosette.storage import medicines as sql
from dosette.storage.connection import Database, Entry

NO_SUCH_MEDICINE = "there is no such medicine in use in this household; GET /api/v1/medicines lists them"


@dataclass(frozen=True)
class Ingredient:
    """An active ingredient; `amount` of it, in `unit`, is in one unit of the medicine, None where nobody said."""

    name: str
    amount: Decimal | None = None
    unit: str | None = None


@dataclass(frozen=True)
class WantedMedicine:
    member_id: str
    name: str
    strength: str
    form: str
    unit: str
    ingredients: tuple[Ingredient, ...] = ()
    note: str = ""
    low_days: int = 7


def add(
    database: Database, entry: Entry, wanted: WantedMedicine, on_hand: Decimal, request: Request, now: datetime
) -> Answer:
    """A new medicine of a member, with its opening count. Raises Invalid when there is no such member."""
    row = database.one(
        sql.ADD,
        entry,
        member=wanted.member_id,
        name=wanted.name,
        strength=wanted.strength,
        form=wanted.form,
        unit=wanted.unit,
        ingredients=_ingredients_json(wanted.ingredients),
        note=wanted.note,
        low_days=wanted.low_days,
        on_hand=on_hand,
        now=now,
        **request.values,
    )
    told = answer(row[0], row[1], request.key)
    if told is None:
        raise Invalid(
            "member_id: there is no such member in this household; GET /api/v1/members lists them",
            {"field": "member_id"},
        )
    return told


def change(
    database: Database, entry: Entry, medicine_id: str, fields: Mapping[str, Any], request: Request, now: datetime
) -> Answer:
    """Changes what `fields` names (name, strength, form, unit, ingredients, note, low_days). Raises NotFound."""
    columns = {name: fields.get(name) for name in ("name", "strength", "form", "unit", "note", "low_days")}
    columns["ingredients"] = _ingredients_json(fields["ingredients"]) if "ingredients" in fields else None
    row = database.one(sql.CHANGE, entry, medicine=medicine_id, now=now, **columns, **request.values)
    told = answer(row[0], row[1], request.key)
    if told is None:
        raise NotFound(NO_SUCH_MEDICINE)
    return told


def archive(database: Database, entry: Entry, medicine_id: str, now: datetime) -> None:
    """Takes it out of use: nothing more is planned, history stays. Again: nothing happens. Raises NotFound."""
    there = database.one(sql.ARCHIVE, entry, medicine=medicine_id, now=now)[0]
    if not there:
        raise NotFound(NO_SUCH_MEDICINE)


def _ingredients_json(ingredients: Iterable[Ingredient]) -> str:
    return json.dumps(
        [
            {
                "name": each.name,
                "amount": format(each.amount.normalize(), "f") if each.amount else None,
                "unit": each.unit,
            }
            for each in ingredients
        ]
    )
