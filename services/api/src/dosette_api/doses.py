"""Doses: the plan, and what becomes of it."""

from datetime import datetime, timedelta
from uuid import UUID

from flask import Blueprint, Response

from dosette.actions import doses as act
from dosette.domain.errors import Invalid
from dosette.domain.members import DOSES
from dosette.faults import fp
from dosette.storage import doses as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import action, optional_body, query, reader, writer
from dosette_api.replying import done, page
from dosette_api.shapes import Dose, DoseQuery, Doses, Skipping, Taking

views = Blueprint("doses", __name__)

_DAY = timedelta(days=1)


@views.get("/doses")
@described(Doses, query=DoseQuery)
def list_doses() -> Response:
    """Doses due in [since, until), by due time; without them, yesterday's to tomorrow's."""
    asked, now = query(DoseQuery), household().now()
    row = household().database.one(
        sql.LIST,
        reader(),
        since=asked.since or now - _DAY,
        until=asked.until or now + _DAY,
        member=asked.member,
        medicine=asked.medicine,
        after=asked.cursor,
        limit=asked.limit,
        now=now,
    )
    return page(row[0])


@views.post("/doses/<uuid:dose_id>/take")
@described(Dose, json=Taking, body_may_be_absent=True, key=True, refusals=(404, 409))
def take_dose(dose_id: UUID) -> Response:
    """Taken, now or at the stated time. Of two who take the same dose, one gets 409 with who was first and when."""
    entry, request, given = writer(DOSES), action(), optional_body(Taking)
    now = household().now()
    at = _past(given.at, now)
    fp("A1")
    return done(act.take(household().database, entry, str(dose_id), request, at, now))


@views.post("/medicines/<uuid:medicine_id>/take")
@described(Dose, json=Taking, body_may_be_absent=True, key=True, refusals=(404, 409))
def take_medicine(medicine_id: UUID) -> Response:
    """The dose of this medicine that is open was taken, now or at the stated time."""
    entry, request, given = writer(DOSES), action(), optional_body(Taking)
    now = household().now()
    at = _past(given.at, now)
    fp("A1")
    return done(act.take_of_medicine(household().database, entry, str(medicine_id), request, at, now))


@views.post("/doses/<uuid:dose_id>/skip")
@described(Dose, json=Skipping, body_may_be_absent=True, key=True, refusals=(404, 409))
def skip_dose(dose_id: UUID) -> Response:
    """Left out on purpose."""
    entry, request, given = writer(DOSES), action(), optional_body(Skipping)
    now = household().now()
    fp("A1")
    return done(act.skip(household().database, entry, str(dose_id), given.reason, request, now, now))


@views.post("/doses/<uuid:dose_id>/undo")
@described(Dose, key=True, refusals=(404, 409))
def undo_dose(dose_id: UUID) -> Response:
    """Takes a taking or a skipping back: the dose is open again, the stock is as before, history keeps both."""
    entry, request = writer(DOSES), action()
    now = household().now()
    fp("A1")
    return done(act.undo(household().database, entry, str(dose_id), request, now, now))


def _past(at: datetime | None, now: datetime) -> datetime:
    if at is not None and at > now:
        raise Invalid(
            f"at: {at.isoformat()} is in the future; a dose is taken now or was taken before", {"field": "at"}
        )
    return at or now
