"""The page of the panels, for whoever has its look-only link: what each shows now, and how it is. It looks again by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, render_template

from dosette.actions import devices as act
from dosette.actions.devices import NO_SUCH_DEVICE, SILENT_AFTER
from dosette.contracts.link import BadLink, ExpiredLink
from dosette.contracts.look import Look, read_look
from dosette.domain.errors import DosetteError, NotFound, Unavailable
from dosette.storage import devices as sql
from dosette.storage.access import looking_in
from dosette_api import errors
from dosette_api.devices import NO_FRAME, frame
from dosette_api.errors import Expired
from dosette_api.household import household
from dosette_api.links import HEADERS

LOOK_AGAIN_S = 15
_HEADERS = HEADERS | {"Content-Security-Policy": HEADERS["Content-Security-Policy"] + "; img-src 'self' data:"}

views = Blueprint("panels", __name__, template_folder="templates")


@views.get("/panels/<token>")
def look(token: str) -> Response:
    """Every panel of the household."""
    now = household().now()
    home = act.look(household().database, looking_in(_read(token).household_id), now)
    zone = ZoneInfo(home.zone)
    panels = [_Panel(device, zone, now).told() for device in home.devices]
    facts = {"home": home.household, "panels": panels, "now": _clock(now, now, zone), "again_s": LOOK_AGAIN_S}
    page = render_template("panels.html", token=token, **facts)
    return Response(page, mimetype="text/html", headers=_HEADERS)


@views.get("/panels/<token>/<uuid:device_id>.png")
def picture(token: str, device_id: UUID) -> Response:
    """What one panel shows now."""
    if not household().database.run(sql.GET, looking_in(_read(token).household_id), device=str(device_id)):
        raise NotFound(NO_SUCH_DEVICE)
    png = frame(str(device_id))
    if png is None:
        raise NotFound(NO_FRAME)
    return Response(png, mimetype="image/png", headers=_HEADERS)


@views.errorhandler(DosetteError)
def _failed(error: DosetteError) -> Response:
    response = errors.told(error)
    said = {"heading": error.title, "sentence": f"{error.message[:1].upper()}{error.message[1:]}."}
    response.set_data(render_template("link.html", items=[], button=None, **said))
    response.mimetype = "text/html"
    response.headers.update(_HEADERS)
    return response


def _read(token: str) -> Look:
    key = household().link_key
    if key is None:
        raise NotFound("links are off on this server; its setting is DOSETTE_LINK_KEY")
    try:
        return read_look(token, key, household().now())
    except BadLink:
        raise NotFound("this link is not whole; make a new one with: dosette device page") from None
    except ExpiredLink:
        raise Expired("this link's time is over; make a new one with: dosette device page") from None


@dataclass(frozen=True)
class _Panel:
    """What people read of one device."""

    device: Mapping[str, Any]
    zone: ZoneInfo
    now: datetime

    def told(self) -> dict[str, Any]:
        state = self._state()
        return {
            "id": self.device["id"],
            "name": self.device["name"],
            "state": state,
            "well": state == "well",
            "shown": self.device["state"] != "revoked" and self._shows(),
            "facts": [(what, said) for what, said in self._facts() if said],
        }

    def _shows(self) -> bool:
        try:
            return frame(self.device["id"]) is not None
        except Unavailable:
            return False

    def _state(self) -> str:
        seen_at = self._at("seen_at")
        if self.device["state"] == "revoked":
            return "no longer paired"
        if seen_at is None:
            return "not seen yet"
        if self.now - seen_at > SILENT_AFTER:
            return "silent"
        if self.device["clock"] == "wrong" or self.device["refused"]:
            return "not well"
        return "well"

    def _facts(self) -> list[tuple[str, str | None]]:
        revoked, seen, shown = self._at("revoked_at"), self._at("seen_at"), self._at("shown_at")
        if revoked:
            return [("revoked", self._clock(revoked)), ("last contact", self._clock(seen) if seen else "never")]
        return [
            ("last contact", f"{self._clock(seen)}, {_ago(self.now - seen)} ago" if seen else "never"),
            ("this picture since", f"{self._clock(shown)}, {_ago(self.now - shown)}" if shown else None),
            ("presses to be sent", None if self.device["waiting"] is None else str(self.device["waiting"])),
            ("clock", self.device["clock"]),
            ("plans refused", str(self.device["refused"]) if self.device["refused"] else None),
            ("new keys", self._keys() if self.device["state"] == "rotating" else None),
            ("program", self.device["version"] or None),
            ("paired", self._clock(datetime.fromisoformat(self.device["paired_at"]))),
        ]

    def _keys(self) -> str:
        until = self._clock(datetime.fromisoformat(self.device["old_keys_until"]))
        if self.device["uses_new_keys"]:
            return f"in use; the old ones count until {until}"
        return f"not fetched yet; the panel must be in touch before {until}, or be paired anew"

    def _at(self, name: str) -> datetime | None:
        return datetime.fromisoformat(self.device[name]) if self.device[name] else None

    def _clock(self, at: datetime) -> str:
        return _clock(at, self.now, self.zone)


def _clock(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%a %d %b %H:%M}"


def _ago(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
