"""The household, its clock and its pharmacy; and its members."""

from uuid import UUID

from flask import Blueprint, Response
from msgspec import UNSET, structs

from dosette.actions import households as act
from dosette.actions import schedules
from dosette.domain.errors import Invalid
from dosette.domain.members import MEMBERS
from dosette.domain.schedules import WEEKDAYS
from dosette.domain.trips import LONGEST, SHIFT, Trip
from dosette.faults import fp
from dosette.storage import households as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import body, maybe_action, reader, writer
from dosette_api.replying import done, page
from dosette_api.schedules import check_zone
from dosette_api.shapes import (
    HouseholdChange,
    HouseholdMove,
    HouseholdMoved,
    HouseholdTold,
    Member,
    MemberChange,
    Members,
    NewMember,
    NewTrip,
    TripEffect,
)

views = Blueprint("members", __name__)


@views.get("/household")
@described(HouseholdTold)
def get_household() -> Response:
    """Its name, its time zone, its pharmacy."""
    return page(household().database.one(sql.GET, reader())[0])


@views.patch("/household")
@described(HouseholdTold, json=HouseholdChange)
def change_household() -> Response:
    """Changes what is given: its name; when its pharmacy is closed, and how long an order takes."""
    entry, given, request = writer(MEMBERS), body(HouseholdChange), maybe_action()
    fields = {name: value for name, value in structs.asdict(given).items() if value is not UNSET}
    if "closed_weekdays" in fields:
        fields["closed_weekdays"] = sorted({WEEKDAYS.index(day) for day in fields["closed_weekdays"]})
    if "closed_on" in fields:
        fields["closed_on"] = sorted(set(fields["closed_on"]))
    fp("A1")
    return done(act.change(household().database, entry, fields, request, household().now()))


@views.put("/household/zone")
@described(HouseholdMoved, json=HouseholdMove, refusals=(409,))
def move_household() -> Response:
    """The household lives by another zone's clock; its doses keep the old one's times, or shift to the new one's."""
    reading, writing, given, request = reader(MEMBERS), writer(MEMBERS), body(HouseholdMove), maybe_action()
    check_zone(given.zone)
    shift, now = given.doses == SHIFT, household().now()
    fp("A1")
    return done(schedules.move_household(household().database, reading, writing, given.zone, shift, request, now))


@views.post("/household/zone/preview")
@described(TripEffect, json=NewTrip)
def preview_trip() -> Response:
    """What a trip or a move does: which doses move, by the clock at home and there, and how close they would fall."""
    entry, given, now = reader(), body(NewTrip), household().now()
    check_zone(given.zone)
    trip = Trip(given.zone, given.since or now, given.doses, given.until)
    if trip.until and trip.until <= trip.since:
        raise Invalid(
            f"until: {trip.until.isoformat()} is not after since, {trip.since.isoformat()}", {"field": "until"}
        )
    if trip.until and trip.until > trip.since + LONGEST:
        raise Invalid(
            f"until: a trip lasts {LONGEST.days} days at most; leave until out for a move that is for good",
            {"field": "until"},
        )
    return page(schedules.preview_trip(household().database, entry, trip, now))


@views.get("/members")
@described(Members)
def list_members() -> Response:
    """Everybody who takes medicine here, gives it, or both."""
    return page(household().database.one(sql.LIST_MEMBERS, reader())[0])


@views.post("/members")
@described(Member, status=201, json=NewMember, refusals=(409,))
def add_member() -> Response:
    """Adds a person; names are unique, for a panel can't tell two Anas apart."""
    entry, new, request = writer(MEMBERS), body(NewMember), maybe_action()
    fields = structs.asdict(new)
    name, role = fields.pop("name"), fields.pop("role")
    fp("A1")
    return done(act.add_member(household().database, entry, name, role, request, household().now(), fields), 201)


@views.get("/members/<uuid:member_id>")
@described(Member, refusals=(404,))
def get_member(member_id: UUID) -> Response:
    """One person."""
    rows = household().database.run(sql.GET_MEMBER, reader(), member=member_id)
    return page(rows[0][0] if rows else None, act.NO_SUCH_MEMBER)


@views.patch("/members/<uuid:member_id>")
@described(Member, json=MemberChange, refusals=(404,))
def change_member(member_id: UUID) -> Response:
    """Changes what is given; null clears: who is told after this person, when nobody wakes them, what messages may name."""
    entry, given, request = writer(MEMBERS), body(MemberChange), maybe_action()
    fields = {name: value for name, value in structs.asdict(given).items() if value is not UNSET}
    fp("A1")
    return done(act.change_member(household().database, entry, str(member_id), fields, request, household().now()))
