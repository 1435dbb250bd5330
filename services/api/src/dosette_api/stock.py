"""Stock: the ledger of a medicine."""

from decimal import Decimal
from uuid import UUID

from flask import Blueprint, Response

from dosette.actions import stock as act
from dosette.actions.medicines import NO_SUCH_MEDICINE
from dosette.domain.members import STOCK
from dosette.faults import fp
from dosette.storage import stock as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import action, body, query, reader, writer
from dosette_api.replying import done, page
from dosette_api.shapes import Recount, Refill, Stock, StockAdded, StockQuery

views = Blueprint("stock", __name__)


@views.get("/medicines/<uuid:medicine_id>/stock")
@described(Stock, query=StockQuery, refusals=(404,))
def get_stock(medicine_id: UUID) -> Response:
    """The count, and the ledger lines that it is the sum of, newest first."""
    asked = query(StockQuery)
    rows = household().database.run(sql.LEDGER, reader(), medicine=medicine_id, before=asked.cursor, limit=asked.limit)
    return page(rows[0][0] if rows else None, NO_SUCH_MEDICINE)


@views.post("/medicines/<uuid:medicine_id>/stock/refill")
@described(StockAdded, status=201, json=Refill, key=True, refusals=(404,))
def refill(medicine_id: UUID) -> Response:
    """So much more."""
    entry, request, given = writer(STOCK), action(), body(Refill)
    fp("A1")
    amount, now = Decimal(given.amount), household().now()
    return done(
        act.refill(household().database, entry, str(medicine_id), amount, given.reason, request, now), status=201
    )


@views.post("/medicines/<uuid:medicine_id>/stock/recount")
@described(StockAdded, status=201, json=Recount, key=True, refusals=(404,))
def recount(medicine_id: UUID) -> Response:
    """Somebody counted: the ledger gets the difference."""
    entry, request, given = writer(STOCK), action(), body(Recount)
    fp("A1")
    counted, now = Decimal(given.counted), household().now()
    return done(
        act.recount(household().database, entry, str(medicine_id), counted, given.reason, request, now), status=201
    )
