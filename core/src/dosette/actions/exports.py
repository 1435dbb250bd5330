"""Out and in again: a household as one JSON file, and a household from one."""

from collections.abc import Generator, Mapping
from datetime import datetime

from dosette.actions.replies import Answer, Request, answer
from dosette.actions.schedules import offset_columns
from dosette.domain.errors import Refused
from dosette.storage import exports as sql
from dosette.storage.connection import Database, Entry

FORMAT, VERSION = "dosette-household", 1
TIMEOUT_MS = 600_000

_PAGE = 500


def export(database: Database, entry: Entry) -> Generator[str]:
    """The file, piece by piece, of one moment: a line for each row. The same state gives the same file.

    Raises Unauthorized or Forbidden before the first piece.
    """
    with database.at_one_moment(entry) as moment:
        (((household,),),) = moment.pages(sql.HOUSEHOLD, 1)
        yield f'{{"format": "{FORMAT}", "version": {VERSION},\n"household": {household}'
        for name, query in sql.LISTS.items():
            yield f',\n"{name}": ['
            between = "\n"
            for page in moment.pages(query, _PAGE):
                yield between + ",\n".join(row[0] for row in page)
                between = ",\n"
            yield "]"
        yield "}\n"


def move_in(database: Database, entry: Entry, file: str, zone: str, request: Request, now: datetime) -> Answer:
    """A checked file becomes the whole of the empty household that enters; all of it or nothing. The body counts the rows.

    `file` is the JSON, each value and reference of which the caller has checked; `zone` is its household's. Raises Refused: the
    household is lived in, an id is here already, or the chain of events is not whole.
    """
    with database.patient(TIMEOUT_MS) as patient:
        outcome, body, facts = patient.one(
            sql.MOVE_IN, entry, file=file, now=now, **offset_columns(zone), **request.values
        )
    told = answer(outcome, body, request.key)
    if told is None:
        raise Refused(_why(outcome, facts), facts)
    return told


def _why(outcome: str, facts: Mapping[str, object]) -> str:
    if outcome == "not-empty":
        there = ", ".join(f"{count} {what}" for what, count in facts.items())
        return f"this household is not empty ({there}); make an empty one with: dosette found NAME --zone ZONE"
    return (
        f"{facts['list']}: {facts['id']} is on this server already, so this file was imported before or comes from here"
    )
