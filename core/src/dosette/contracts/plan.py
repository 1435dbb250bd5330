"""The plan: what one device needs to know to remind alone for 7 days. The scheduler writes it, SQL makes its JSON."""

import json
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from sys import intern
from typing import Any

VERSION = 1


class UnknownVersion(Exception):
    """The other side speaks a version that this one does not."""


@dataclass(frozen=True, slots=True)
class PlannedDose:
    """One dose as the panel shows it. `status` is stored state: pending, taken, skipped, missed, cancelled or unknown."""

    id: str
    member: str
    medicine: str
    strength: str
    form: str
    unit: str
    amount: Decimal
    note: str
    opens_at: datetime
    due_at: datetime
    late_at: datetime
    closes_at: datetime
    status: str
    resolved_at: datetime | None
    claimed_by: str | None = None
    """Who has said "I've got it": a name."""
    snoozed_until: datetime | None = None
    critical: bool = False
    quiet_from: time | None = None
    quiet_until: time | None = None
    """The member's quiet hours, local times: between them only what is critical may be heard."""

    @classmethod
    def of(cls, raw: dict[str, str]) -> "PlannedDose":
        """A week holds hundreds, of a few medicines: what is said again is held once."""
        return cls(
            id=raw["id"],
            member=intern(raw["member"]),
            medicine=intern(raw["medicine"]),
            strength=intern(raw["strength"]),
            form=intern(raw["form"]),
            unit=intern(raw["unit"]),
            amount=Decimal(raw["amount"]),
            note=intern(raw["note"]),
            opens_at=_time(raw["opens_at"]),
            due_at=_time(raw["due_at"]),
            late_at=_time(raw["late_at"]),
            closes_at=_time(raw["closes_at"]),
            status=intern(raw["status"]),
            resolved_at=_time(raw["resolved_at"]) if raw["resolved_at"] else None,
            claimed_by=raw.get("claimed_by"),
            snoozed_until=_time(raw["snoozed_until"]) if raw.get("snoozed_until") else None,
            critical=bool(raw.get("critical")),
            quiet_from=time.fromisoformat(raw["quiet_from"]) if raw.get("quiet_from") else None,
            quiet_until=time.fromisoformat(raw["quiet_until"]) if raw.get("quiet_until") else None,
        )


@dataclass(frozen=True)
class LowStock:
    """A medicine that runs low. `days_left` and `order_by_on` are None where nobody knows how much is used a day."""

    member: str
    medicine: str
    strength: str
    left: Decimal
    unit: str
    days_left: int | None
    order_by_on: date | None

    @classmethod
    def of(cls, raw: dict[str, Any]) -> "LowStock":
        order_by_on = raw["order_by_on"]
        return cls(
            member=raw["member"],
            medicine=raw["medicine"],
            strength=raw["strength"],
            left=Decimal(raw["left"]),
            unit=raw["unit"],
            days_left=raw["days_left"],
            order_by_on=date.fromisoformat(order_by_on) if order_by_on else None,
        )


@dataclass(frozen=True)
class PlannedConflict:
    """A report that a person has yet to resolve. `report` (take or skip) came `at` that time, while the dose was `status`, since
    `resolved_at`; a dose that is pending was reported beyond a safe limit."""

    id: str
    member: str
    medicine: str
    strength: str
    report: str
    at: datetime
    status: str
    resolved_at: datetime | None

    @classmethod
    def of(cls, raw: dict[str, Any]) -> "PlannedConflict":
        times = {"at": _time(raw["at"]), "resolved_at": _time(raw["resolved_at"]) if raw["resolved_at"] else None}
        return cls(**{name: raw[name] for name in cls.__dataclass_fields__} | times)


@dataclass(frozen=True)
class NewKeys:
    """The keys that the device is to use from now on, hidden under its signing key: see `signing.hidden`."""

    generation: int
    signing_key: str
    redis_password: str

    @classmethod
    def of(cls, raw: dict[str, Any]) -> "NewKeys":
        return cls(raw["generation"], raw["signing_key"], raw["redis_password"])


@dataclass(frozen=True)
class Plan:
    """`number` grows with each plan of a device, so that one that comes late is known; `pressed` is the highest number of a
    press that the server has taken in: the device may forget it. `alarms` are kinds of what stands in the household, in no order: the
    panel says those that concern who stands before it. `stuck_since` is set when something due has waited to be told for 50 s.
    `keys` are there until the device uses them; so long the ones before are believed, and until `old_keys_until`. `revoked`: the
    device is no longer one of the household's, and this is its last plan.

    What a field with a default says is left out by a server that is one version older."""

    device_id: str
    device: str
    zone: str
    epoch: str
    number: int
    pressed: int
    issued_at: datetime
    valid_until: datetime
    doses: tuple[PlannedDose, ...]
    alarms: tuple[str, ...] = ()
    stuck_since: datetime | None = None
    low: tuple[LowStock, ...] = ()
    conflicts: tuple[PlannedConflict, ...] = ()
    keys: NewKeys | None = None
    old_keys_until: datetime | None = None
    revoked: bool = False

    @classmethod
    def from_json(cls, body: bytes) -> "Plan":
        """Raises UnknownVersion."""
        raw = json.loads(body)
        if raw.get("v") != VERSION:
            raise UnknownVersion(f"plan version {raw.get('v')}; this program reads {VERSION}")
        return cls(
            device_id=raw["device_id"],
            device=raw["device"],
            zone=raw["zone"],
            epoch=raw["epoch"],
            number=raw["number"],
            pressed=raw["pressed"],
            issued_at=_time(raw["issued_at"]),
            valid_until=_time(raw["valid_until"]),
            doses=tuple(PlannedDose.of(dose) for dose in raw["doses"]),
            alarms=tuple(raw.get("alarms") or ()),
            stuck_since=_time(raw["stuck_since"]) if raw.get("stuck_since") else None,
            low=tuple(LowStock.of(each) for each in raw.get("low") or ()),
            conflicts=tuple(PlannedConflict.of(each) for each in raw.get("conflicts") or ()),
            keys=NewKeys.of(raw["keys"]) if raw.get("keys") else None,
            old_keys_until=_time(raw["old_keys_until"]) if raw.get("old_keys_until") else None,
            revoked=bool(raw.get("revoked")),
        )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
