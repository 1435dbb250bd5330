"""Stock: the ledger of a medicine and its packages."""

from decimal import Decimal
from uuid import UUID

from flask import Blueprint, Response

from dosette.actions import stock as act
from dosette.actions.medicines import NO_SUCH_MEDICINE
from dosette.actions.stock import Line
from dosette.domain.errors import Invalid
from dosette.domain.members import STOCK
from dosette.faults import fp
from dosette.storage import stock as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import action, body, query, reader, writer
from dosette_api.replying import done, page
from dosette_api.shapes import Loss, Recount, Refill, Stock, StockAdded, StockQuery

views = Blueprint("stock", __name__)


@views.get("/medicines/<uuid:medicine_id>/stock")
@described(Stock, query=StockQuery, refusals=(404,))
def get_stock(medicine_id: UUID) -> Response:
    """The count, its packages, and the ledger lines that it is the sum of, newest first."""
    asked, now = query(StockQuery), household().now()
    values = {"medicine": medicine_id, "before": asked.cursor, "limit": asked.limit, "now": now}
    rows = household().database.run(sql.LEDGER, reader(), **values)
    return page(rows[0][0] if rows else None, NO_SUCH_MEDICINE)


@views.post("/medicines/<uuid:medicine_id>/stock/refill")
@described(StockAdded, status=201, json=Refill, key=True, refusals=(404,))
def refill(medicine_id: UUID) -> Response:
    """So much more."""
    entry, request, given = writer(STOCK), action(), body(Refill)
    if given.package_id and (given.batch or given.expires_on):
        raise Invalid("package_id: it has its batch and expiry already; leave them out", {"field": "package_id"})
    line = Line(Decimal(given.amount), given.reason, _text(given.package_id), given.batch, given.expires_on)
    fp("A1")
    return done(act.refill(household().database, entry, str(medicine_id), line, request, household().now()), 201)


@views.post("/medicines/<uuid:medicine_id>/stock/recount")
@described(StockAdded, status=201, json=Recount, key=True, refusals=(404,))
def recount(medicine_id: UUID) -> Response:
    """Somebody counted: the ledger gets the difference."""
    entry, request, given = writer(STOCK), action(), body(Recount)
    line = Line(Decimal(given.counted), given.reason, _text(given.package_id))
    fp("A1")
    return done(act.recount(household().database, entry, str(medicine_id), line, request, household().now()), 201)


@views.post("/medicines/<uuid:medicine_id>/stock/loss")
@described(StockAdded, status=201, json=Loss, key=True, refusals=(404, 409))
def lose(medicine_id: UUID) -> Response:
    """So much is gone: dropped, expired, given away."""
    entry, request, given = writer(STOCK), action(), body(Loss)
    line = Line(Decimal(given.amount), given.reason, _text(given.package_id))
    fp("A1")
    return done(act.lose(household().database, entry, str(medicine_id), line, request, household().now()), 201)


def _text(package_id: UUID | None) -> str | None:
    return str(package_id) if package_id else None
