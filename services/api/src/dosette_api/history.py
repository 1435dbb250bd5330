"""History: what was taken, skipped, missed and undone; by whom, when, from where."""

from flask import Blueprint, Response

from dosette.storage import history as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import query, reader
from dosette_api.replying import page
from dosette_api.shapes import History, HistoryQuery

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
        limit=asked.limit,
    )
    return page(row[0])
