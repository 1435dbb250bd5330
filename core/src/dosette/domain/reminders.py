"""What a reminder says: by what is true when it is sent, not when it was planned."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Wording:
    """`kind` is due or late, and must match the dose's window at the moment of telling."""

    kind: str
    text: str


def wording(member: str, due_at: datetime, late_at: datetime, zone: str, now: datetime) -> Wording:
    """No medicine is named: a message may be read by others on a locked phone."""
    at = due_at.astimezone(ZoneInfo(zone)).strftime("%H:%M")
    if now > late_at:
        return Wording("late", f"{member}: the medicine of {at} has not been taken yet")
    return Wording("due", f"{member}: time for the medicine of {at}")
