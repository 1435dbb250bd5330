"""Builders for tests, shipped: each makes something plain, of which a test names only what matters to it."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from dosette.contracts.plan import Plan, PlannedDose
from dosette.contracts.press import Press
from dosette.domain.schedules import Step, Version

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
"""A Wednesday without a clock change near it."""


def a_step(at: str = "08:00", amount: str = "1", **other: Any) -> Step:
    return Step(time.fromisoformat(at), Decimal(amount), **other)


def a_version(*times: str, zone: str = "Europe/Berlin", **other: Any) -> Version:
    """A schedule of one unit at each of `times` (08:00), every day, from the start of 2026 on."""
    steps = tuple(a_step(at) for at in times or ("08:00",))
    facts: dict[str, Any] = {"zone": zone, "starts_on": NOON.date().replace(month=1, day=1), "steps": steps}
    return Version(**facts | other)


def a_dose(due_at: datetime = NOON, width: timedelta = timedelta(hours=2), **other: Any) -> PlannedDose:
    """A pending dose of a plan, due at `due_at`, its window `width` to each side."""
    facts: dict[str, Any] = {
        "id": str(uuid4()),
        "member": "Ana",
        "medicine": "Metformin",
        "strength": "500 mg",
        "form": "tablet",
        "unit": "tablet",
        "amount": Decimal(1),
        "note": "",
        "opens_at": due_at - width,
        "due_at": due_at,
        "late_at": due_at + width / 2,
        "closes_at": due_at + width,
        "status": "pending",
        "resolved_at": None,
    }
    return PlannedDose(**facts | other)


def a_plan(*doses: PlannedDose, issued_at: datetime = NOON, **other: Any) -> Plan:
    facts: dict[str, Any] = {
        "device_id": "01980000-0000-7000-8000-000000000001",
        "device": "Kitchen",
        "zone": "UTC",
        "epoch": "01980000-0000-7000-8000-000000000002",
        "number": 1,
        "pressed": 0,
        "issued_at": issued_at,
        "valid_until": issued_at + timedelta(days=7),
        "doses": doses,
    }
    return Plan(**facts | other)


def a_press(device_id: str, *dose_ids: str, kind: str = "take", number: int = 1, at: datetime = NOON) -> Press:
    return Press(str(uuid4()), number, device_id, kind, dose_ids, at, "boot", 1000.0, True)
