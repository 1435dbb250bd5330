"""Refilling, recounting and losing; a dose's own stock entry is made where the dose is taken."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from dosette.actions.medicines import NO_SUCH_MEDICINE
from dosette.actions.replies import Answer, Request, answer
from dosette.domain.errors import NotFound, Refused
from dosette.storage import stock as sql
from dosette.storage.connection import Database, Entry


@dataclass(frozen=True)
class Line:
    """What a person says about the stock: so much, why, and of which package, where they know.

    `batch` or `expires_on` of a refill make a package of it.
    """

    amount: Decimal
    reason: str | None = None
    package_id: str | None = None
    batch: str | None = None
    expires_on: date | None = None


def refill(database: Database, entry: Entry, medicine_id: str, line: Line, request: Request, now: datetime) -> Answer:
    """`line.amount` units more. Raises NotFound."""
    return _add(database, entry, medicine_id, "refill", line, request, now)


def recount(database: Database, entry: Entry, medicine_id: str, line: Line, request: Request, now: datetime) -> Answer:
    """Somebody counted, the package or all of it: the ledger gets the difference, so that its sum is what was counted.

    What lacks is missed in the packages that expire first. Raises NotFound.
    """
    return _add(database, entry, medicine_id, "recount", line, request, now)


def lose(database: Database, entry: Entry, medicine_id: str, line: Line, request: Request, now: datetime) -> Answer:
    """So much is gone: dropped, expired, given away. Raises NotFound; Refused when less was there, so that a recount is due."""
    return _add(database, entry, medicine_id, "loss", line, request, now)


def _add(
    database: Database, entry: Entry, medicine_id: str, kind: str, line: Line, request: Request, now: datetime
) -> Answer:
    outcome, body = database.one(
        sql.ADD,
        entry,
        medicine=medicine_id,
        kind=kind,
        amount=line.amount,
        package=line.package_id,
        batch=line.batch,
        expires_on=line.expires_on,
        reason=line.reason,
        now=now,
        **request.values,
    )
    told = answer(outcome, body, request.key)
    if told is None and outcome == "no-package":
        raise NotFound("there is no such package of this medicine; GET /api/v1/medicines/{id}/stock lists them")
    if told is None and outcome == "not-there":
        raise Refused(f"less than {line.amount} is there by the ledger; count what is left, and send a recount")
    if told is None:
        raise NotFound(NO_SUCH_MEDICINE)
    return told
