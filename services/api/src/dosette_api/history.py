"""History: what was taken, skipped, missed and undone, by whom, when, from where; and how well that matched the plan."""

from flask import Blueprint, Response

from dosette.domain.errors import Invalid
from dosette.storage import history as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import query, reader
from dosette_api.replying import page
from dosette_api.shapes import Adherence, AdherenceQuery, History, HistoryQuery

views = Blueprint("history", __name__)


@views.get("/history")
@described(History, query=HistoryQuery)
def list_history() -> Response:
    """Dose events, newest first; `since` and `until` bound when they happened."""
    asked = query(HistoryQuery)
    row = household().database.one(
        sql.LIST,
        reader(),
        before=asked.cursor,
        since=asked.since,
        until=asked.until,
        member=asked.member,
        medicine=asked.medicine,
        kind=asked.kind,
        limit=asked.limit,
    )
    return page(row[0])


@views.get("/adherence")
@described(Adherence, query=AdherenceQuery)
def adherence() -> Response:
    """How many doses were taken on time, late, skipped or missed: by member, medicine, week or day, over local days."""
    asked = query(AdherenceQuery)
    if asked.since_on and asked.until_on and asked.until_on < asked.since_on:
        why = f"until_on: {asked.until_on} is before since_on, {asked.since_on}"
        raise Invalid(why, {"field": "until_on"})
    row = household().database.one(
        sql.ADHERENCE,
        reader(),
        since_on=asked.since_on,
        until_on=asked.until_on,
        member=asked.member,
        medicine=asked.medicine,
        by=asked.by,
        now=household().now(),
    )
    return page(row[0])
