"""Schedules."""

from datetime import time
from decimal import Decimal
from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from flask import Blueprint, Response

from dosette.actions import schedules as act
from dosette.actions.medicines import NO_SUCH_MEDICINE
from dosette.actions.schedules import WantedSchedule
from dosette.domain.errors import Invalid
from dosette.domain.members import MEDICINES
from dosette.domain.schedules import WEEKDAYS, Step
from dosette.faults import fp
from dosette.storage import schedules as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import body, maybe_action, reader, writer
from dosette_api.replying import done, page
from dosette_api.shapes import NewSchedule, NewStep, Schedule

views = Blueprint("schedules", __name__)


@views.get("/medicines/<uuid:medicine_id>/schedule")
@described(Schedule, refusals=(404,))
def get_schedule(medicine_id: UUID) -> Response:
    """The version in force."""
    rows = household().database.run(sql.GET, reader(), medicine=str(medicine_id))
    return page(rows[0][0] if rows else None, f"{NO_SUCH_MEDICINE}, or it has no schedule yet")


@views.put("/medicines/<uuid:medicine_id>/schedule")
@described(Schedule, json=NewSchedule, refusals=(404, 409))
def put_schedule(medicine_id: UUID) -> Response:
    """Makes a new version: doses planned after now are planned anew, past ones stay as they were."""
    reading, writing = reader(MEDICINES), writer(MEDICINES)
    wanted, request = _wanted(body(NewSchedule)), maybe_action()
    fp("A1")
    return done(
        act.change(household().database, reading, writing, str(medicine_id), wanted, request, household().now())
    )


def _wanted(new: NewSchedule) -> WantedSchedule:
    _check(new)
    steps = tuple(map(_step, new.steps))
    return WantedSchedule(steps, new.zone, new.starts_on, new.ends_on, new.critical, new.window_minutes)


def _check(new: NewSchedule) -> None:
    if new.zone is not None and new.zone not in _zones():
        raise Invalid(f"zone: {new.zone!r} is not an IANA time zone; Europe/Berlin is one", {"field": "zone"})
    if new.starts_on and new.ends_on and new.ends_on < new.starts_on:
        raise Invalid(f"ends_on: {new.ends_on} is before starts_on, {new.starts_on}", {"field": "ends_on"})
    seen: set[tuple[time, int]] = set()
    for number, step in enumerate(map(_step, new.steps)):
        lines = {(step.time, day) for day in step.weekdays}
        if lines & seen:
            field = f"steps[{number}].time"
            raise Invalid(
                f"{field}: {step.time} stands twice on the same weekday; give one step the whole amount",
                {"field": field},
            )
        seen |= lines


def _step(new: NewStep) -> Step:
    weekdays = frozenset(map(WEEKDAYS.index, new.weekdays or WEEKDAYS))
    return Step(time.fromisoformat(new.time), Decimal(new.amount), weekdays)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
