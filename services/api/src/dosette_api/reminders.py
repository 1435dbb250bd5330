"""Reminders as people see them: what is open, who takes care of it, what was seen to."""

from uuid import UUID

from flask import Blueprint, Response

from dosette.actions import notices as act
from dosette.domain.members import DOSES
from dosette.faults import fp
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import maybe_action, reader, writer
from dosette_api.replying import done, page
from dosette_api.shapes import Reminder, Reminders

views = Blueprint("reminders", __name__)


@views.get("/reminders")
@described(Reminders)
def list_reminders() -> Response:
    """What people are reminded of right now, alarms too, oldest first; what was given up; messages given up in the last 24 hours."""
    return page(act.show(household().database, reader(), household().now()))


@views.post("/reminders/<uuid:reminder_id>/claim")
@described(Reminder, refusals=(404, 409))
def claim_reminder(reminder_id: UUID) -> Response:
    """ "I've got it": the token's member takes care of this dose, and nobody else is told of it any more."""
    entry, request = writer(DOSES), maybe_action()
    fp("A1")
    return done(act.claim(household().database, entry, str(reminder_id), request, household().now()))


@views.post("/reminders/<uuid:reminder_id>/dismiss")
@described(Reminder, refusals=(404, 409))
def dismiss_reminder(reminder_id: UUID) -> Response:
    """Somebody has seen to an alarm, or to what could not be told. If its cause goes on, an alarm comes again after three days."""
    entry, request = writer(DOSES), maybe_action()
    fp("A1")
    return done(act.dismiss(household().database, entry, str(reminder_id), request, household().now()))
