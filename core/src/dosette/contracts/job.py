"""The payload of an RQ job: a version and row ids, nothing else, so that a job from yesterday's release still makes sense."""

from collections.abc import Sequence
from dataclasses import dataclass

VERSION = 1
DELIVER = "dosette_scheduler.jobs.deliver"


@dataclass(frozen=True)
class ReminderJob:
    """The reminders that have fallen due together."""

    reminder_ids: tuple[str, ...]

    def payload(self) -> dict[str, object]:
        return {"v": VERSION, "reminder_ids": list(self.reminder_ids)}

    @classmethod
    def of(cls, payload: dict[str, object]) -> "ReminderJob":
        """Raises ValueError: a job of another version, or none of ours."""
        ids = payload.get("reminder_ids")
        if payload.get("v") != VERSION or not isinstance(ids, Sequence) or isinstance(ids, str):
            raise ValueError(f"not a reminder job of version {VERSION}: {payload}")
        return cls(tuple(str(each) for each in ids))
