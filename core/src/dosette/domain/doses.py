"""What can become of a dose, and what is said when it can't."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from dosette.domain.errors import NotFound, Refused

TAKEN, SKIPPED, MISSED, PENDING, CANCELLED = "taken", "skipped", "missed", "pending", "cancelled"


def refusal(wanted: str, dose: Mapping[str, object] | None, zone: str, now: datetime) -> Refused | NotFound:
    """Why a dose could not be `wanted` (take, skip, undo), told with who and when.

    `dose` is its JSON form as the statement saw it, None when there is no such dose in this household.
    """
    if dose is None:
        return NotFound("there is no such dose in this household, or none is planned; GET /api/v1/doses lists them")
    return Refused(f"{_which(dose, zone)} {_why(wanted, dose, zone, now)}", {"dose": dose})


def pressed_at(said_at: datetime, clock_synced: bool, now: datetime) -> datetime:
    """When a press happened, in the server's time: as the device says, unless its clock was wrong or runs ahead."""
    return min(said_at, now) if clock_synced else now


def _why(wanted: str, dose: Mapping[str, object], zone: str, now: datetime) -> str:
    status = dose["status"]
    if wanted == "undo":
        return (
            "is still open, so there is nothing to undo" if status == PENDING else f"was {status} and can't be undone"
        )
    if status in (TAKEN, SKIPPED):
        return f"was {status} at {_clock(dose['resolved_at'], zone)}{_by(dose)}; undo it first"
    if status == CANCELLED:
        return "was cancelled by a change of its schedule; look at GET /api/v1/doses for what is planned now"
    if now < _time(dose["opens_at"]):
        return f"can't be {_done(wanted)} before {_clock(dose['opens_at'], zone)}"
    return f"could be {_done(wanted)} until {_clock(dose['closes_at'], zone)} and counts as missed"


def _which(dose: Mapping[str, object], zone: str) -> str:
    medicine = dose["medicine"]
    name = medicine["name"] if isinstance(medicine, Mapping) else "this medicine"
    return f"the {_clock(dose['due_at'], zone)} dose of {name}"


def _by(dose: Mapping[str, object]) -> str:
    member, device = dose["resolved_by"], dose["resolved_on"]
    if isinstance(member, Mapping):
        return f" by {member['name']}"
    return f" on the panel {device['name']}" if isinstance(device, Mapping) else ""


def _done(wanted: str) -> str:
    return {"take": TAKEN, "skip": SKIPPED}[wanted]


def _clock(text: object, zone: str) -> str:
    return _time(text).astimezone(ZoneInfo(zone)).strftime("%H:%M")


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
