"""What the console says of panels."""

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import segno

from dosette.actions.devices import Offer
from dosette.contracts.pairing import PATH


def typed(offer: Offer, server: str) -> str:
    """A code, what to do with it, and its QR where the address is known."""
    if not server:
        return _ways(offer, "http://SERVER:8080")
    picture = io.StringIO()
    segno.make(f"{server.rstrip('/')}{PATH}/{offer.code}").terminal(picture, compact=True, border=2)
    return f"{_ways(offer, server.rstrip('/'))}\n\n{picture.getvalue().rstrip()}"


def shown(offer: Offer) -> str:
    return f"the panel that shows {offer.code} is {offer.name} from now on; it notices within seconds, until {_clock(offer)}"


def line(device: Mapping[str, Any], now: datetime) -> str:
    """One device, for a terminal."""
    seen = datetime.fromisoformat(device["seen_at"]) if device["seen_at"] else None
    ago = f"seen {int((now - seen).total_seconds())} s ago" if seen else "not seen yet"
    said = [device["name"], device["state"], ago]
    if device["waiting"] is not None:
        said.append(f"{device['waiting']} presses to be sent")
    if device["clock"]:
        said.append(f"clock {device['clock']}")
    return ", ".join([*said, *([f"version {device['version']}"] if device["version"] else [])])


def _ways(offer: Offer, server: str) -> str:
    return (
        f"{offer.name} can be paired once, until {_clock(offer)}, with the code {offer.code}\n"
        f"On the panel's machine, type:\n\n    dosette-display pair {server} {offer.code}"
    )


def _clock(offer: Offer) -> str:
    return f"{offer.ends_at.astimezone():%H:%M}"
