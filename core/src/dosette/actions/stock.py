"""Refilling and recounting; a dose's own stock entry is made where the dose is taken."""

from datetime import datetime
from decimal import Decimal

from dosette.actions.medicines import NO_SUCH_MEDICINE
from dosette.actions.replies import Answer, Request, answer
from dosette.domain.errors import NotFound
from dosette.storage import stock as sql
from dosette.storage.connection import Database, Entry


def refill(
    database: Database,
    entry: Entry,
    medicine_id: str,
    amount: Decimal,
    reason: str | None,
    request: Request,
    now: datetime,
) -> Answer:
    """`amount` units more. Raises NotFound."""
    return _add(database, entry, medicine_id, "refill", amount, reason, request, now)


def recount(
    database: Database,
    entry: Entry,
    medicine_id: str,
    counted: Decimal,
    reason: str | None,
    request: Request,
    now: datetime,
) -> Answer:
    """Somebody counted: the ledger gets the difference, so that its sum is `counted`. Raises NotFound."""
    return _add(database, entry, medicine_id, "recount", counted, reason, request, now)


def _add(
    database: Database,
    entry: Entry,
    medicine_id: str,
    kind: str,
    amount: Decimal,
    reason: str | None,
    request: Request,
    now: datetime,
) -> Answer:
    row = database.one(
        sql.ADD, entry, medicine=medicine_id, kind=kind, amount=amount, reason=reason, now=now, **request.values
    )
    told = answer(row[0], row[1], request.key)
    if told is None:
        raise NotFound(NO_SUCH_MEDICINE)
    return told
