"""Where an unpaired panel claims its keys, by a code; and the page that the code's QR leads to.

The code is the right, so there is no token. Wrong codes are bounded twice: by the code that they resemble (in PostgreSQL), and by the
address that they come from (in this process).
"""

import time
from collections import defaultdict, deque

from flask import Blueprint, Response, render_template, request

from dosette.actions import devices as act
from dosette.actions.devices import Places
from dosette.contracts.device_file import DeviceFile
from dosette.contracts.pairing import PATH, is_made_by_panel, read_code
from dosette.domain.errors import Invalid, NotFound
from dosette_api.devices import pairing_keys
from dosette_api.errors import TooOften
from dosette_api.household import household
from dosette_api.links import HEADERS
from dosette_api.reading import body
from dosette_api.shapes import Claim

MOST_WRONG = 10
WITHIN_S = 60.0
MOST_ADDRESSES = 1000

views = Blueprint("pairing", __name__, template_folder="templates")


class WrongCodes:
    """Counts them by address. What it forgets when too many addresses try, the guesses that PostgreSQL counts still bound."""

    def __init__(self) -> None:
        self._at: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MOST_WRONG))

    def check(self, address: str, now_s: float) -> None:
        """Raises TooOften."""
        at = self._at.get(address)
        if at and len(at) == MOST_WRONG and now_s - at[0] < WITHIN_S:
            raise TooOften("too many wrong codes came from this address; wait a minute, then type the code once more")

    def add(self, address: str, now_s: float) -> None:
        if len(self._at) >= MOST_ADDRESSES:
            self._at.clear()
        self._at[address].append(now_s)


_wrong = WrongCodes()


@views.post(PATH)
def claim() -> Response:
    """A device.json, once. 202: nobody has entered the code yet that the panel shows."""
    claimed = body(Claim)
    file = _typed(claimed.secret, claimed.code) if claimed.code else _claimed(claimed.secret, None)
    if file is None:
        return Response(b'{"waiting": true}', status=202, mimetype="application/json")
    return Response(file.to_json(), mimetype="application/json", headers={"Cache-Control": "no-store"})


@views.get(f"{PATH}/<code>")
def explain(code: str) -> Response:
    """What to do with a code; it does not tell whether there is such a code."""
    try:
        code = read_code(code)
    except ValueError as error:
        raise NotFound(str(error)) from None
    facts = {"code": code, "server": request.host_url.rstrip("/"), "shown": is_made_by_panel(code)}
    return Response(render_template("pair.html", **facts), mimetype="text/html", headers=HEADERS)


def _typed(secret: str, typed: str) -> DeviceFile:
    address, now_s = request.remote_addr or "", time.monotonic()
    _wrong.check(address, now_s)
    try:
        code = read_code(typed)
    except ValueError as error:
        raise Invalid(f"code: {error}", {"field": "code"}) from None
    if (file := _claimed(secret, code)) is None:
        _wrong.add(address, now_s)
        raise NotFound("there is no such code; look at it again, or make a new one with: dosette device pair NAME")
    return file


def _claimed(secret: str, code: str | None) -> DeviceFile | None:
    places = Places(household().redis_for_devices or "", "")
    return act.claim(household().database, secret, code, pairing_keys(), places, household().now())
