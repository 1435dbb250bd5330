"""What the console says of panels."""

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import segno

from dosette.actions.devices import Offer
from dosette.contracts.pairing import PATH, is_this_machine

NO_ADDRESS = "SERVER is the address at which the panel reaches this server; DOSETTE_PUBLIC_URL says it once for all."
THIS_MACHINE = "That address is this machine's own: a panel elsewhere needs the one at which it reaches this server (docs/https.md)."
IN_THE_OPEN = "The panel's keys would travel in the open: use https (docs/https.md), or add --plain-http on a network that you trust."


def typed(offer: Offer, server: str) -> str:
    """A code, what to do with it, and its QR where the address is known."""
    if not server:
        return f"{_ways(offer, 'https://SERVER')}\n\n{NO_ADDRESS}"
    picture = io.StringIO()
    segno.make(f"{server.rstrip('/')}{PATH}/{offer.code}").terminal(picture, compact=True, border=2)
    said = [_ways(offer, server.rstrip("/")), picture.getvalue().rstrip(), _caution(server)]
    return "\n\n".join(filter(None, said))


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


def _caution(server: str) -> str:
    """What a panel would say to this address, before somebody has typed it there; empty if nothing."""
    address = urlsplit(server)
    if is_this_machine(address.hostname or ""):
        return THIS_MACHINE
    return IN_THE_OPEN if address.scheme == "http" else ""


def _clock(offer: Offer) -> str:
    return f"{offer.ends_at.astimezone():%H:%M}"
