"""Devices, and what their panels show right now."""

from uuid import UUID

from flask import Blueprint, Response

from dosette.domain.errors import NotFound, Unavailable
from dosette.storage import devices as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import reader
from dosette_api.replying import page
from dosette_api.shapes import Devices

views = Blueprint("devices", __name__)


@views.get("/devices")
@described(Devices)
def list_devices() -> Response:
    """Every device that was ever paired."""
    return page(household().database.one(sql.LIST, reader())[0])


@views.get("/devices/<uuid:device_id>/frame.png")
@described(media="image/png", refusals=(404,))
def get_frame(device_id: UUID) -> Response:
    """The panel's picture as it is now, a PNG."""
    if not household().database.run(sql.GET, reader(), device=str(device_id)):
        raise NotFound("there is no such device in this household; GET /api/v1/devices lists them")
    png = _frame(str(device_id))
    if png is None:
        raise NotFound("the panel has shown nothing for five minutes: look whether its agent is running")
    return Response(png, mimetype="image/png", headers={"Cache-Control": "no-store"})


def _frame(device_id: str) -> bytes | None:
    bus = household().bus
    if bus is None:
        raise Unavailable("this server runs without REDIS_URL, so it can't see panels")
    from dosette.bus import BusDown

    try:
        return bus.frame(device_id)
    except BusDown as error:
        raise Unavailable("Redis is out of reach, so the panel can't be seen; doses are safe") from error
