"""What can become of a dose, and what is said when it can't."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dosette.domain.errors import DosetteError, Invalid, NotFound, OverLimit, Refused

TAKEN, SKIPPED, MISSED, PENDING, CANCELLED = "taken", "skipped", "missed", "pending", "cancelled"
UNKNOWN = "unknown"
"""The server was restored from a backup since the dose could be taken, and nobody has said what became of it."""
OLDEST_TOLD = timedelta(days=7)
"""A taking may be told so long after it happened."""

Told = Mapping[str, object]

_DONE = {"take": TAKEN, "skip": SKIPPED, "snooze": "snoozed", "correct": "corrected"}


def refusal(wanted: str, outcome: str, facts: Mapping[str, Told] | None, zone: str, now: datetime) -> DosetteError:
    """Why a dose could not be `wanted` (take, skip, undo, snooze, correct), told with who and when.

    `outcome` and `facts` are as the statement tells them: `facts` holds the dose's JSON, the limit's, or both.
    """
    facts = facts or {}
    if outcome == "over-limit":
        return OverLimit(_over(facts["limit"], zone), {name: fact for name, fact in facts.items() if fact})
    if outcome == "not-in-force":
        return Refused(
            f"{facts['medicine']['name']} is not to be taken on that day: its schedule has not begun, has ended or is paused"
        )
    if outcome == "no-amount":
        return Invalid("amount: this medicine has no schedule that says how much; send an amount", {"field": "amount"})
    if outcome == "no-medicine":
        return NotFound("there is no such medicine in use in this household; GET /api/v1/medicines lists them")
    if outcome == "no-dose":
        return NotFound("there is no such dose in this household, or none is planned; GET /api/v1/doses lists them")
    dose = facts["dose"]
    return Refused(f"{_which(dose, zone)} {_why(wanted, dose, zone, now)}", {"dose": dose})


@dataclass(frozen=True)
class When:
    """When something happened: at `until`, or, if nobody knows, at some time from `since` on."""

    until: datetime
    since: datetime | None = None
    """None: nobody knows from when on, unless it is `sure`."""
    sure: bool = True

    def within(self, opens_at: datetime, closes_at: datetime) -> datetime:
        """The one time that counts. Of an interval it is the latest within the dose's window, which no safe limit after it can miss."""
        latest = min(self.until, closes_at)
        overlaps = latest >= opens_at and (self.since is None or self.since <= closes_at)
        return latest if not self.sure and overlaps else self.until


def pressed_when(
    said_at: datetime, clock_synced: bool, age: timedelta | None, after: datetime | None, arrived_at: datetime
) -> When:
    """When a press happened, in the server's time: as the device says, unless its clock was wrong or runs ahead.

    `age` is by how long it preceded its arrival, None when the device was started anew in between: then it was some time `after` the
    plan that it names doses of.
    """
    if clock_synced:
        return When(min(said_at, arrived_at))
    if age is not None:
        return When(arrived_at - age)
    return When(arrived_at, after, sure=False)


def _why(wanted: str, dose: Told, zone: str, now: datetime) -> str:
    status = dose["status"]
    if wanted == "undo":
        return (
            "is still open, so there is nothing to undo" if status == PENDING else f"was {status} and can't be undone"
        )
    if status == UNKNOWN and wanted == "snooze":
        return "is unknown since the server was restored: say that it was taken, or release what is unknown"
    if wanted == "correct":
        return _why_not_corrected(dose, zone)
    if status in (TAKEN, SKIPPED):
        return f"was {status} at {_clock(dose['resolved_at'], zone)}{_by(dose)}; undo it first"
    if status == CANCELLED:
        return "was cancelled by a change of its schedule; look at GET /api/v1/doses for what is planned now"
    if now < _time(dose["opens_at"]):
        return f"can't be {_DONE[wanted]} before {_clock(dose['opens_at'], zone)}"
    if wanted == "snooze" and status == PENDING and now < _time(dose["closes_at"]):
        return f"can be snoozed until {_clock(dose['closes_at'], zone)} at the latest, when its window ends"
    ended = f"could be {_DONE[wanted]} until {_clock(dose['closes_at'], zone)}"
    if status == UNKNOWN:
        return f"{ended}; it is unknown since the server was restored: if it was taken, send when"
    return f"{ended} and counts as missed"


def _why_not_corrected(dose: Told, zone: str) -> str:
    if dose["status"] != TAKEN:
        return f"is {dose['status']}, so there is no time of taking to correct"
    return f"can only have been taken from {_clock(dose['opens_at'], zone)} to {_clock(dose['closes_at'], zone)}"


def _over(limit: Told, zone: str) -> str:
    override = "if a doctor said so, send an override_reason"
    free_at = limit["free_at"]
    when = f"the next may be taken from {_clock(free_at, zone)} on {_day(free_at, zone)}; " if free_at else ""
    if limit["rule"] == "min_gap":
        who = f" by {_name(limit['by'])}" if limit["by"] else ""
        told = "reported" if limit["reported"] else "taken"
        return (
            f"too soon: {limit['taken']} was {told} at {_clock(limit['taken_at'], zone)}{who}, "
            f"and {limit['product']} needs {_hours(limit['gap_minutes'])} between two; {when}{override}"
        )
    what = (
        f"{limit['measure']} of {limit['ingredient']}"
        if limit["ingredient"]
        else f"{limit['measure']} of {limit['product']}"
    )
    return (
        f"too much: {limit['taken']} of at most {limit['most']} {what} in 24 hours were taken, "
        f"and this is {limit['wanted']} more; {when}{override}"
    )


def _hours(minutes: object) -> str:
    hours, rest = divmod(int(str(minutes)), 60)
    return " ".join(filter(None, (f"{hours} h" if hours else "", f"{rest} min" if rest else "")))


def _which(dose: Told, zone: str) -> str:
    return f"the {_clock(dose['due_at'], zone)} dose of {_name(dose['medicine'])}"


def _by(dose: Told) -> str:
    if dose["resolved_by"]:
        return f" by {_name(dose['resolved_by'])}"
    return f" on the panel {_name(dose['resolved_on'])}" if dose["resolved_on"] else ""


def _name(named: object) -> str:
    return str(named["name"]) if isinstance(named, Mapping) else "this medicine"


def _clock(text: object, zone: str) -> str:
    return _time(text).astimezone(ZoneInfo(zone)).strftime("%H:%M")


def _day(text: object, zone: str) -> str:
    return _time(text).astimezone(ZoneInfo(zone)).date().isoformat()


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
