"""The household and its members."""

from flask import Blueprint, Response

from dosette.actions import households as act
from dosette.domain.members import MEMBERS
from dosette.faults import fp
from dosette.storage import households as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import body, maybe_action, reader, writer
from dosette_api.replying import done, page
from dosette_api.shapes import HouseholdTold, Member, Members, NewMember

views = Blueprint("members", __name__)


@views.get("/household")
@described(HouseholdTold)
def get_household() -> Response:
    """Its name and its time zone."""
    return page(household().database.one(sql.GET, reader())[0])


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
    fp("A1")
    return done(act.add_member(household().database, entry, new.name, new.role, request, household().now()), status=201)
