"""Schedules."""

from collections.abc import Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from functools import cache
from itertools import combinations
from uuid import UUID
from zoneinfo import available_timezones

from flask import Blueprint, Response
from msgspec import structs

from dosette.actions import schedules as act
from dosette.actions.medicines import NO_SUCH_MEDICINE
from dosette.actions.schedules import WantedSchedule
from dosette.domain.errors import Invalid
from dosette.domain.members import MEDICINES
from dosette.domain.schedules import AS_NEEDED, ELAPSED, FIXED, LAST_TAKEN, WEEKDAYS, Pause, Step
from dosette.faults import fp
from dosette.storage import schedules as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import body, maybe_action, reader, writer
from dosette_api.replying import done, page
from dosette_api.shapes import NewSchedule, NewStep, Schedule, ScheduleDifference, Versions

views = Blueprint("schedules", __name__)

_OF_KIND = {
    FIXED: ("every_days", "every_weeks", "month_days", "days_on", "days_off", "window_minutes", "nag_minutes"),
    ELAPSED: ("every_minutes", "counted_from", "anchor_at", "window_minutes", "nag_minutes"),
    AS_NEEDED: ("min_gap_minutes", "most_per_24_h"),
}
_KIND_FIELDS = sorted({name for names in _OF_KIND.values() for name in names})


@views.get("/medicines/<uuid:medicine_id>/schedule")
@described(Schedule, refusals=(404,))
def get_schedule(medicine_id: UUID) -> Response:
    """The version in force."""
    rows = household().database.run(sql.GET, reader(), medicine=str(medicine_id))
    return page(rows[0][0] if rows else None, f"{NO_SUCH_MEDICINE}, or it has no schedule yet")


@views.get("/medicines/<uuid:medicine_id>/schedule/versions")
@described(Versions, refusals=(404,))
def list_versions(medicine_id: UUID) -> Response:
    """Every version there was, newest first."""
    rows = household().database.run(sql.VERSIONS, reader(), medicine=str(medicine_id))
    return page(rows[0][0] if rows else None, NO_SUCH_MEDICINE)


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


@views.post("/medicines/<uuid:medicine_id>/schedule/preview")
@described(ScheduleDifference, json=NewSchedule, refusals=(404,))
def preview_schedule(medicine_id: UUID) -> Response:
    """What that version would do: which doses of the next 28 days appear, move and vanish, and until when the stock lasts."""
    entry, wanted = reader(), _wanted(body(NewSchedule))
    return page(act.preview(household().database, entry, str(medicine_id), wanted, household().now()))


def check_zone(zone: str | None) -> None:
    """Raises Invalid when it is not an IANA zone."""
    if zone is not None and zone not in _zones():
        raise Invalid(f"zone: {zone!r} is not an IANA time zone; Europe/Berlin is one", {"field": "zone"})


def check(new: NewSchedule) -> None:
    """Raises Invalid, naming the field, when one does not go with the others, which JSON Schema can't say."""
    check_zone(new.zone)
    for field, why in _faults(new):
        raise Invalid(f"{field}: {why}", {"field": field})


def _wanted(new: NewSchedule) -> WantedSchedule:
    check(new)
    given = structs.asdict(new)
    rule = {name: given[name] for name in ("kind", "ends_on", "critical", *_KIND_FIELDS)}
    if new.kind == ELAPSED:
        rule["counted_from"] = new.counted_from or LAST_TAKEN
    rule["most_per_24_h"] = Decimal(new.most_per_24_h) if new.most_per_24_h else None
    rule["pauses"] = tuple(Pause(pause.starts_on, pause.ends_on) for pause in new.pauses)
    return WantedSchedule(tuple(map(_step, new.steps)), new.zone, new.starts_on, rule)


def _faults(new: NewSchedule) -> Iterator[tuple[str, str]]:
    """What JSON can't say: each field that does not go with the others, and why."""
    given = structs.asdict(new)
    yield from _order("", given)
    for name in _KIND_FIELDS:
        if given[name] not in (None, ()) and name not in _OF_KIND[new.kind]:
            yield name, f"does not go with kind {new.kind}, which knows {', '.join(_OF_KIND[new.kind])}"
    yield from {FIXED: _fixed_faults, ELAPSED: _elapsed_faults, AS_NEEDED: _as_needed_faults}[new.kind](new)
    for number, pause in enumerate(new.pauses):
        yield from _order(f"pauses[{number}].", structs.asdict(pause))
    for number, step in enumerate(new.steps):
        yield from _order(f"steps[{number}].", structs.asdict(step))
    yield from _doubles(new.steps)


def _fixed_faults(new: NewSchedule) -> Iterator[tuple[str, str]]:
    days = [name for name in ("every_days", "every_weeks", "month_days") if getattr(new, name)]
    if len(days) > 1:
        yield days[1], f"does not go with {days[0]}; choose one of them"
    if (new.days_on is None) != (new.days_off is None):
        yield "days_off", "days_on and days_off belong together; send both or neither"
    for number, step in enumerate(new.steps):
        if step.time is None:
            yield f"steps[{number}].time", "a fixed schedule needs a local time, such as 08:00"
        if step.weekdays and days and days[0] != "every_weeks":
            yield f"steps[{number}].weekdays", f"does not go with {days[0]}; leave it out"


def _elapsed_faults(new: NewSchedule) -> Iterator[tuple[str, str]]:
    if new.every_minutes is None:
        yield "every_minutes", "an elapsed schedule needs it: 480 is every 8 hours"
    yield from _timeless(new)


def _as_needed_faults(new: NewSchedule) -> Iterator[tuple[str, str]]:
    if len(new.steps) > 1:
        yield "steps[1]", "as needed, one step says how much a dose is"
    yield from _timeless(new)
    if new.most_per_24_h and Decimal(new.most_per_24_h) < Decimal(new.steps[0].amount):
        yield "most_per_24_h", f"is less than one dose, {new.steps[0].amount}"


def _timeless(new: NewSchedule) -> Iterator[tuple[str, str]]:
    for number, step in enumerate(new.steps):
        for name in ("time", "weekdays"):
            if getattr(step, name) is not None:
                yield f"steps[{number}].{name}", f"does not go with kind {new.kind}; leave it out"


def _order(where: str, given: Mapping[str, date | None]) -> Iterator[tuple[str, str]]:
    first, last = given["starts_on"], given["ends_on"]
    if first and last and last < first:
        yield f"{where}ends_on", f"{last} is before starts_on, {first}"


def _doubles(steps: tuple[NewStep, ...]) -> Iterator[tuple[str, str]]:
    for (_, one), (number, other) in combinations(enumerate(map(_step, steps)), 2):
        meet = (one.starts_on or date.min) <= (other.ends_on or date.max) and (other.starts_on or date.min) <= (
            one.ends_on or date.max
        )
        if meet and one.time == other.time and one.weekdays & other.weekdays:
            at = f"{one.time} stands twice on the same weekday" if one.time else "two steps hold on the same day"
            yield f"steps[{number}].time", f"{at}; give one step the whole amount, or dates that don't meet"


def _step(new: NewStep) -> Step:
    weekdays = frozenset(map(WEEKDAYS.index, new.weekdays or WEEKDAYS))
    at = time.fromisoformat(new.time) if new.time else None
    return Step(at, Decimal(new.amount), weekdays, new.starts_on, new.ends_on)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
