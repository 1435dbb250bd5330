"""Links in messages: a page with one button, for whoever was told; automations post to the same address.

A link is a right by itself: no token, no cookie. Looking changes nothing, for messengers look at links by themselves.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, render_template, request

from dosette.actions import notices as act
from dosette.actions.notices import LinkState
from dosette.contracts.link import BadLink, ExpiredLink, Link, read_link
from dosette.domain.doses import CANCELLED, MISSED, SKIPPED, TAKEN
from dosette.domain.errors import DosetteError, NotFound
from dosette.faults import fp
from dosette_api import errors
from dosette_api.errors import Expired
from dosette_api.household import household

views = Blueprint("links", __name__, template_folder="templates")

JSON, PROBLEM, HTML = "application/json", "application/problem+json", "text/html"


@dataclass(frozen=True)
class _Words:
    asked: str
    button: str
    done: str
    nothing: str


_WORDS = {
    "take": _Words("Taken?", "Taken", "Taken", "Nothing was taken"),
    "skip": _Words("Skip?", "Skip", "Skipped", "Nothing was skipped"),
    "claim": _Words("Have you got it?", "I've got it", "You have got it", "Nothing was claimed"),
}
_OFF = (
    "links are off on this server; answer in Dosette itself or on the panel (the server's setting is DOSETTE_LINK_KEY)"
)
_BAD = "this link is not whole; open it from the message once more, or answer in Dosette itself or on the panel"
_EXPIRED = "the time of what this link was about is over; what was taken in time can still be told in Dosette itself"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


@views.get("/link/<token>")
def look(token: str) -> Response:
    """What the link would do."""
    now = household().now()
    link = _read(token, now)
    state = act.look_at_link(household().database, link.delivery_id, link.action, now)
    return _told(link, state, now)


@views.post("/link/<token>")
def answer(token: str) -> Response:
    """Does it, once; again, it says when it was done."""
    now = household().now()
    link = _read(token, now)
    fp("A1")
    state = act.answer_link(household().database, link.delivery_id, link.action, now)
    fp("A4")
    return _told(link, state, now, posted=True)


@views.errorhandler(DosetteError)
def _failed(error: DosetteError) -> Response:
    response = errors.told(error)
    if not _wants_json():
        said = {"heading": error.title, "sentence": f"{error.message[:1].upper()}{error.message[1:]}."}
        response.set_data(render_template("link.html", items=[], button=None, **said))
        response.mimetype = HTML
    response.headers.update(HEADERS)
    return response


def _read(token: str, now: datetime) -> Link:
    key = household().link_key
    if key is None:
        raise NotFound(_OFF)
    try:
        return read_link(token, key, now)
    except BadLink:
        raise NotFound(_BAD) from None
    except ExpiredLink:
        raise Expired(_EXPIRED) from None


def _told(link: Link, state: LinkState, now: datetime, posted: bool = False) -> Response:
    said = _Story(link.action, state, now, posted).told()
    facts = _facts(link, state, said["items"])
    refused = posted and state.done_at is None
    if not _wants_json():
        response = Response(render_template("link.html", **said), status=409 if refused else 200, mimetype=HTML)
    elif refused:
        response = errors.problem(409, "refused", said["heading"], said["heading"], facts)
    else:
        response = Response(json.dumps(facts, ensure_ascii=False), mimetype=JSON)
    if posted and state.done_at and not state.done_now:
        response.headers["Idempotency-Replayed"] = "true"
    response.headers.update(HEADERS)
    return response


def _facts(link: Link, state: LinkState, items: list[dict[str, Any]]) -> dict[str, Any]:
    """For programs: each item with the sentence that people read of it."""
    said = [{**item, "said": told["state"]} for item, told in zip(state.told["items"], items, strict=True)]
    return {
        "action": link.action,
        "expires_at": link.expires_at.isoformat(),
        "recipient": state.told["recipient"],
        "done_at": state.done_at.isoformat() if state.done_at else None,
        "done_now": state.done_now,
        "items": said,
    }


@dataclass(frozen=True)
class _Story:
    """What people read."""

    action: str
    state: LinkState
    now: datetime
    posted: bool

    def told(self) -> dict[str, Any]:
        """`button` is None when there is nothing left to press."""
        words = _WORDS[self.action]
        asks = self.state.done_at is None and not self.posted and any(map(self._is_open, self.state.told["items"]))
        heading, sentence = self._heading(words, asks)
        items = [self._item(item) for item in self.state.told["items"]]
        return {"heading": heading, "sentence": sentence, "items": items, "button": words.button if asks else None}

    def _heading(self, words: "_Words", asks: bool) -> tuple[str, str]:
        if self.state.done_now:
            rest = ", but not all of it:" if self.state.refusals else "."
            return words.done, f"Done at {self._clock(self.now)}{rest}"
        if self.state.done_at:
            return (
                words.done,
                f"Done already at {self._clock(self.state.done_at)}: a link works once. Now it stands so:",
            )
        if asks:
            return words.asked, f"To {self.state.told['recipient']}:"
        return words.nothing if self.posted else "Nothing left to do", "Now it stands so:"

    def _is_open(self, item: Mapping[str, Any]) -> bool:
        claimed = self.action == "claim" and item["claimed_by"] == self.state.told["recipient"]
        return bool(item["open"]) and not claimed

    def _item(self, item: Mapping[str, Any]) -> dict[str, str]:
        what = (
            f"{item['medicine']} {item['strength']}, {item['amount']} {item['unit']}"
            if item["medicine"]
            else "medicine"
        )
        return {
            "when": self._clock(_time(item["due_at"])),
            "what": f"{item['member']}: {what}",
            "state": self._stands(item),
        }

    def _stands(self, item: Mapping[str, Any]) -> str:
        status, by = item["status"], f" by {item['resolved_by']}" if item["resolved_by"] else ""
        if status in (TAKEN, SKIPPED):
            return f"{status} at {self._clock(_time(item['resolved_at']))}{by}"
        if status == CANCELLED:
            return "not planned any more"
        if status == MISSED or self.now > _time(item["closes_at"]):
            return f"its time ended at {self._clock(_time(item['closes_at']))}: it counts as missed"
        if self.now < _time(item["opens_at"]):
            return f"not before {self._clock(_time(item['opens_at']))}"
        if refused := (self.state.refusals or {}).get(item["dose_id"]):
            return self._limit(refused)
        claimed = f"; {item['claimed_by']} takes care of it" if item["claimed_by"] else ""
        return f"open until {self._clock(_time(item['closes_at']))}{claimed}"

    def _limit(self, refused: Mapping[str, Any]) -> str:
        why = "too soon after another one" if refused["rule"] == "min_gap" else "more than may be taken in 24 hours"
        again = f", may be taken from {self._clock(_time(refused['free_at']))}" if refused["free_at"] else ""
        return f"not taken: {why}{again}; over a safe limit it can be taken only in Dosette itself, with a reason"

    def _clock(self, at: datetime) -> str:
        zone = ZoneInfo(self.state.told["zone"])
        local = at.astimezone(zone)
        return f"{local:%H:%M}" if local.date() == self.now.astimezone(zone).date() else f"{local:%a %H:%M}"


def _wants_json() -> bool:
    """A browser, and whoever does not say, gets the page."""
    return request.accept_mimetypes.best_match([HTML, JSON, PROBLEM], default=HTML) != HTML


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
