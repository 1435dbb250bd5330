"""The payload of an RQ job: a version and row ids, nothing else, so that a job from yesterday's release still makes sense."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

VERSION = 2
DELIVER = "dosette_scheduler.jobs.deliver"


@dataclass(frozen=True)
class DeliveryJob:
    """Deliveries that wait to be sent."""

    delivery_ids: tuple[str, ...]

    def payload(self) -> dict[str, object]:
        return {"v": VERSION, "delivery_ids": list(self.delivery_ids)}

    @classmethod
    def of(cls, payload: dict[str, object]) -> "DeliveryJob":
        """Raises ValueError: a job of another version, or none of ours. What it rang for is found without it."""
        ids = payload.get("delivery_ids") if isinstance(payload, dict) else None
        if not isinstance(ids, Sequence) or isinstance(ids, str) or payload.get("v") != VERSION:
            raise ValueError(f"not a delivery job of version {VERSION}: {payload}")
        return cls(tuple(str(UUID(str(each))) for each in ids))
