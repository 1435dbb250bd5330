"""Medicines."""

from decimal import Decimal
from uuid import UUID

from flask import Blueprint, Response
from msgspec import UNSET, structs

from dosette.actions import medicines as act
from dosette.actions.medicines import NO_SUCH_MEDICINE, Ingredient, WantedMedicine
from dosette.domain.errors import Invalid
from dosette.domain.members import MEDICINES
from dosette.faults import fp
from dosette.storage import doses as dose_sql
from dosette.storage import medicines as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import body, maybe_action, query, reader, writer
from dosette_api.replying import done, page
from dosette_api.shapes import (
    Doses,
    Medicine,
    MedicineChange,
    MedicineQuery,
    Medicines,
    NewIngredient,
    NewMedicine,
    WholeMedicine,
)

views = Blueprint("medicines", __name__)


@views.get("/medicines")
@described(Medicines, query=MedicineQuery)
def list_medicines() -> Response:
    """Medicines in use (or archived), in the order they were added, or by name, or by the day they run out."""
    asked = query(MedicineQuery)
    row = household().database.one(
        sql.LIST,
        reader(),
        sort=asked.sort,
        archived=asked.archived,
        member=asked.member,
        form=asked.form,
        low=asked.low,
        search=asked.search,
        after=asked.cursor,
        limit=asked.limit,
        now=household().now(),
    )
    return page(row[0])


@views.get("/medicines/pending")
@described(Doses)
def list_pending() -> Response:
    """Doses that are due or late now."""
    return page(household().database.one(dose_sql.PENDING, reader(), now=household().now())[0])


@views.get("/medicines/low-stock")
@described(Medicines)
def list_low_stock() -> Response:
    """What is to be ordered: it lasts fewer days than its low_days, or today is the last day to order. Soonest first."""
    return page(household().database.one(sql.LOW_STOCK, reader(), now=household().now())[0])


@views.post("/medicines")
@described(Medicine, status=201, json=NewMedicine)
def add_medicine() -> Response:
    """Adds a medicine of a member; its schedule is put afterwards."""
    entry, new, request = writer(MEDICINES), body(NewMedicine), maybe_action()
    wanted = WantedMedicine(
        str(new.member_id),
        new.name,
        new.strength,
        new.form,
        new.unit,
        _ingredients(new.ingredients),
        new.note,
        new.low_days,
    )
    fp("A1")
    return done(
        act.add(household().database, entry, wanted, Decimal(new.on_hand), request, household().now()), status=201
    )


@views.get("/medicines/<uuid:medicine_id>")
@described(Medicine, refusals=(404,))
def get_medicine(medicine_id: UUID) -> Response:
    """One medicine, archived or not."""
    rows = household().database.run(sql.GET, reader(), medicine=str(medicine_id), now=household().now())
    return page(rows[0][0] if rows else None, NO_SUCH_MEDICINE)


@views.put("/medicines/<uuid:medicine_id>")
@described(Medicine, json=WholeMedicine, refusals=(404,))
def replace_medicine(medicine_id: UUID) -> Response:
    """Replaces what describes it; whose it is, its schedule and its stock stay."""
    return _change(medicine_id, WholeMedicine)


@views.patch("/medicines/<uuid:medicine_id>")
@described(Medicine, json=MedicineChange, refusals=(404,))
def change_medicine(medicine_id: UUID) -> Response:
    """Changes what is given."""
    return _change(medicine_id, MedicineChange)


@views.delete("/medicines/<uuid:medicine_id>")
@described(status=204, refusals=(404,))
def archive_medicine(medicine_id: UUID) -> Response:
    """Takes it out of use: nothing more is planned, its history stays."""
    act.archive(household().database, writer(MEDICINES), str(medicine_id), household().now())
    return Response(status=204)


def _change(medicine_id: UUID, shape: type[WholeMedicine] | type[MedicineChange]) -> Response:
    entry, given, request = writer(MEDICINES), body(shape), maybe_action()
    fields = {name: value for name, value in structs.asdict(given).items() if value is not UNSET}
    if "ingredients" in fields:
        fields["ingredients"] = _ingredients(fields["ingredients"])
    fp("A1")
    return done(act.change(household().database, entry, str(medicine_id), fields, request, household().now()))


def _ingredients(given: tuple[NewIngredient, ...]) -> tuple[Ingredient, ...]:
    names: set[str] = set()
    for number, each in enumerate(given):
        if each.name.strip().lower() in names:
            raise _wrong(number, "name", f"{each.name} stands twice; name each ingredient once")
        if (each.amount is None) != (each.unit is None):
            raise _wrong(number, "unit", "an amount and its unit belong together; send both or neither")
        names.add(each.name.strip().lower())
    return tuple(Ingredient(each.name, Decimal(each.amount) if each.amount else None, each.unit) for each in given)


def _wrong(number: int, name: str, why: str) -> Invalid:
    field = f"ingredients[{number}].{name}"
    return Invalid(f"{field}: {why}", {"field": field})
