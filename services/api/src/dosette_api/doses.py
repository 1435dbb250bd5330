"""Doses: the plan, and what becomes of it; conflicting reports."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from flask import Blueprint, Response

from dosette.actions import doses as act
from dosette.domain.doses import OLDEST_TOLD
from dosette.domain.errors import Invalid
from dosette.domain.members import DOSES
from dosette.faults import fp
from dosette.storage import doses as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import action, body, optional_body, query, reader, writer
from dosette_api.replying import done, page
from dosette_api.shapes import (
    BatchItem,
    BatchResults,
    BatchTaking,
    Conflict,
    ConflictQuery,
    Conflicts,
    Correcting,
    Dose,
    DoseQuery,
    Doses,
    Skipping,
    Snoozing,
    Taking,
    Verdict,
)

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
        state=asked.state,
        after=asked.cursor,
        limit=asked.limit,
        now=now,
    )
    return page(row[0])


@views.get("/doses/<uuid:dose_id>")
@described(Dose, refusals=(404,))
def get_dose(dose_id: UUID) -> Response:
    """One dose."""
    rows = household().database.run(sql.GET, reader(), dose=dose_id, now=household().now())
    return page(rows[0][0] if rows else None, "there is no such dose in this household; GET /api/v1/doses lists them")


@views.post("/doses/<uuid:dose_id>/take")
@described(Dose, json=Taking, body_may_be_absent=True, key=True, refusals=(404, 409))
def take_dose(dose_id: UUID) -> Response:
    """Taken, now or at the stated time. Of two who take the same dose, one gets 409 with who was first and when."""
    return _take(dose_id=str(dose_id))


@views.post("/medicines/<uuid:medicine_id>/take")
@described(Dose, json=Taking, body_may_be_absent=True, key=True, refusals=(404, 409))
def take_medicine(medicine_id: UUID) -> Response:
    """The dose of this medicine that is open was taken, or one as needed, within its safe limits."""
    return _take(medicine_id=str(medicine_id))


@views.post("/medicines/batch-take")
@described(BatchResults, json=BatchTaking, key=True)
def take_batch() -> Response:
    """Several in one transaction, each taken or not, with a result for each."""
    entry, request, given, now = writer(DOSES), action(), body(BatchTaking), household().now()
    at = _told_in_time(given.at, now)
    takings = [_batch_item(number, item, at) for number, item in enumerate(given.items)]
    fp("A1")
    return done(act.take_batch(household().database, entry, takings, at, given.override_reason, request, now))


@views.post("/doses/<uuid:dose_id>/skip")
@described(Dose, json=Skipping, body_may_be_absent=True, key=True, refusals=(404, 409))
def skip_dose(dose_id: UUID) -> Response:
    """Left out on purpose."""
    entry, request, given, now = writer(DOSES), action(), optional_body(Skipping), household().now()
    fp("A1")
    return done(act.skip(household().database, entry, str(dose_id), given.reason, request, now, now))


@views.post("/doses/<uuid:dose_id>/snooze")
@described(Dose, json=Snoozing, body_may_be_absent=True, key=True, refusals=(404, 409))
def snooze_dose(dose_id: UUID) -> Response:
    """Told again in so many minutes; never past the end of its window."""
    entry, request, given, now = writer(DOSES), action(), optional_body(Snoozing), household().now()
    until = now + timedelta(minutes=given.minutes)
    fp("A1")
    return done(act.snooze(household().database, entry, str(dose_id), until, request, now))


@views.post("/doses/<uuid:dose_id>/undo")
@described(Dose, key=True, refusals=(404, 409))
def undo_dose(dose_id: UUID) -> Response:
    """Takes a taking or a skipping back: the dose is open again, the stock is as before, history keeps both."""
    entry, request, now = writer(DOSES), action(), household().now()
    fp("A1")
    return done(act.undo(household().database, entry, str(dose_id), request, now, now))


@views.post("/doses/<uuid:dose_id>/correct")
@described(Dose, json=Correcting, key=True, refusals=(404, 409))
def correct_dose(dose_id: UUID) -> Response:
    """It was really taken at another time; history keeps what was said first."""
    entry, request, given, now = writer(DOSES), action(), body(Correcting), household().now()
    at = _told_in_time(given.at, now)
    fp("A1")
    return done(
        act.correct(household().database, entry, str(dose_id), at, given.reason, given.override_reason, request, now)
    )


@views.get("/conflicts")
@described(Conflicts, query=ConflictQuery)
def list_conflicts() -> Response:
    """Reports that a person must resolve, newest first; or those that were."""
    asked = query(ConflictQuery)
    row = household().database.one(
        sql.CONFLICTS, reader(), open=asked.open, before=asked.cursor, limit=asked.limit, now=household().now()
    )
    return page(row[0])


@views.post("/conflicts/<uuid:conflict_id>/resolve")
@described(Conflict, json=Verdict, key=True, refusals=(404, 409))
def resolve_conflict(conflict_id: UUID) -> Response:
    """Says what the report was: another dose really taken, or the same one told twice."""
    entry, request, given, now = writer(DOSES), action(), body(Verdict), household().now()
    fp("A1")
    return done(
        act.resolve_conflict(household().database, entry, str(conflict_id), given.verdict, given.reason, request, now)
    )


def _take(dose_id: str | None = None, medicine_id: str | None = None) -> Response:
    entry, request, given, now = writer(DOSES), action(), optional_body(Taking), household().now()
    at, amount = _told_in_time(given.at, now), _amount(given.amount)
    taking = act.Taking(at, dose_id, medicine_id, amount, given.extra, given.override_reason)
    fp("A1")
    return done(act.take(household().database, entry, taking, request, now))


def _batch_item(number: int, item: BatchItem, at: datetime) -> act.Taking:
    if (item.dose_id is None) == (item.medicine_id is None):
        field = f"items[{number}]"
        raise Invalid(f"{field}: name a dose_id or a medicine_id, one of the two", {"field": field})
    dose_id, medicine_id = (str(each) if each else None for each in (item.dose_id, item.medicine_id))
    return act.Taking(at, dose_id, medicine_id, _amount(item.amount))


def _amount(given: str | None) -> Decimal | None:
    return Decimal(given) if given else None


def _told_in_time(at: datetime | None, now: datetime) -> datetime:
    if at is not None and at > now:
        raise Invalid(
            f"at: {at.isoformat()} is in the future; a dose is taken now or was taken before", {"field": "at"}
        )
    if at is not None and at < now - OLDEST_TOLD:
        raise Invalid(f"at: {at.isoformat()} is more than {OLDEST_TOLD.days} days ago", {"field": "at"})
    return at or now
