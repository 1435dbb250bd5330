"""Devices: pairing, rotating and revoking them; what their panels show right now."""

from uuid import UUID

import msgspec
from flask import Blueprint, Response

from dosette.actions import devices as act
from dosette.actions.devices import Offer, ServerKeys
from dosette.domain.errors import NotFound, Unavailable
from dosette.domain.members import DEVICES
from dosette.storage import devices as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import body, reader, writer
from dosette_api.replying import page
from dosette_api.shapes import Devices, NewDevice, Rotated
from dosette_api.shapes import Offer as OfferTold

NO_FRAME = "the panel has shown nothing for five minutes: look whether its agent is running"

views = Blueprint("devices", __name__)


@views.get("/devices")
@described(Devices)
def list_devices() -> Response:
    """Every device that was ever paired, and how it is."""
    return page(household().database.one(sql.LIST, reader(), now=household().now())[0])


@views.post("/devices")
@described(OfferTold, status=201, json=NewDevice, refusals=(409,))
def pair_device() -> Response:
    """A code for a panel, which gets its keys by it once, within ten minutes. A device of this name is then replaced by it."""
    entry, new = writer(DEVICES), body(NewDevice)
    offer: Offer = act.offer(household().database, entry, new.name, new.code, pairing_keys(), household().now())
    return Response(msgspec.json.encode(offer), status=201, mimetype="application/json")


@views.delete("/devices/<uuid:device_id>")
@described(status=204, refusals=(404,))
def revoke_device(device_id: UUID) -> Response:
    """Within ten seconds its panel says that it is no longer paired, and nothing that it says is believed."""
    act.revoke(household().database, writer(DEVICES), str(device_id), household().now())
    return Response(status=204)


@views.post("/devices/<uuid:device_id>/rotate")
@described(Rotated, refusals=(404, 409))
def rotate_device(device_id: UUID) -> Response:
    """New keys, which the device gets by itself; the old ones are believed for seven days more."""
    until = act.rotate(household().database, writer(DEVICES), str(device_id), household().now())
    return Response(msgspec.json.encode({"old_keys_until": until}), mimetype="application/json")


@views.get("/devices/<uuid:device_id>/frame.png")
@described(media="image/png", refusals=(404,))
def get_frame(device_id: UUID) -> Response:
    """The panel's picture as it is now, a PNG."""
    if not household().database.run(sql.GET, reader(), device=str(device_id)):
        raise NotFound(act.NO_SUCH_DEVICE)
    png = frame(str(device_id))
    if png is None:
        raise NotFound(NO_FRAME)
    return Response(png, mimetype="image/png", headers={"Cache-Control": "no-store"})


def pairing_keys() -> ServerKeys:
    """Raises Unavailable where panels can't be paired."""
    keys = household().device_keys
    if keys is None or household().redis_for_devices is None:
        raise Unavailable(
            "panels can't be paired over the network: set DOSETTE_SECRET and DOSETTE_REDIS_FOR_DEVICES (HOST:PORT of Redis as "
            "panels reach it) for the api"
        )
    return keys


def frame(device_id: str) -> bytes | None:
    """What the panel shows, or None when it is silent. Raises Unavailable."""
    bus = household().bus
    if bus is None:
        raise Unavailable("this server runs without REDIS_URL, so it can't see panels")
    from dosette.bus import BusDown

    try:
        return bus.frame(device_id)
    except BusDown as error:
        raise Unavailable("Redis is out of reach, so the panel can't be seen; doses are safe") from error
