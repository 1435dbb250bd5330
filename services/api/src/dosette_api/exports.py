"""Out and in again: everything of the household in one file."""

from itertools import chain

from flask import Blueprint, Response, request

from dosette.actions import exports as act
from dosette.domain.members import MEMBERS
from dosette.faults import fp
from dosette.storage import households as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.moving import Export, checked
from dosette_api.reading import maybe_action, raw_json, reader, writer
from dosette_api.replying import done
from dosette_api.shapes import MovedIn

MOST_FILE_BYTES = 64 * 1024 * 1024

views = Blueprint("exports", __name__)


@views.get("/export")
@described(Export)
def export_household() -> Response:
    """Everything of the household, of one moment; the same state gives the same file. Contacts are in it, so it is for who may
    change members."""
    pieces = act.export(household().database, reader(MEMBERS))
    whole = chain([next(pieces)], pieces)  # what is refused is refused before the first byte
    headers = {"Content-Disposition": 'attachment; filename="dosette-export.json"', "Cache-Control": "no-store"}
    response = Response(whole, mimetype="application/json", headers=headers)
    response.call_on_close(pieces.close)
    return response


@views.post("/import")
@described(MovedIn, json=Export, refusals=(409,))
def import_household() -> Response:
    """An export becomes the whole of this household, which must be empty: ids, history and its chain stay as they are."""
    request.max_content_length = MOST_FILE_BYTES
    entry = writer(MEMBERS)
    household().database.run(sql.GET, reader(MEMBERS))  # who may not is told so before a large file is read
    raw = raw_json()
    file, asked = checked(raw), maybe_action()
    fp("A1")
    return done(act.move_in(household().database, entry, raw.decode(), file.household.zone, asked, household().now()))
