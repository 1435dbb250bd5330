"""The shapes of what comes in, checked strictly, and of what goes out, for the OpenAPI description only: bodies come from SQL."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from dosette.domain.medicines import DECIMALS, FORMS

FIRST_YEAR, LAST_YEAR = 1900, 2200

_END = r"$(?!\n)"  # Python's $ alone also matches before a last newline

Line = Annotated[
    str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+" + _END, description="One line of text")
]
Note = Annotated[
    str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*" + _END, description="One line of text, or nothing")
]
Amount = Annotated[
    str,
    Meta(
        pattern=rf"^(?!0+(\.0+)?$)[0-9]{{1,6}}(\.[0-9]{{1,{DECIMALS}}})?" + _END,
        description=f"A decimal above 0 as a string, up to {DECIMALS} places",
        examples=["1", "0.5"],
    ),
]
Count = Annotated[
    str,
    Meta(
        pattern=rf"^[0-9]{{1,6}}(\.[0-9]{{1,{DECIMALS}}})?" + _END,
        description=f"A decimal of at least 0 as a string, up to {DECIMALS} places",
        examples=["30"],
    ),
]
LocalTime = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?" + _END,
        description="Local wall-clock time",
        examples=["08:00", "21:30:15"],
    ),
]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Form = Literal[FORMS]  # type: ignore[valid-type]
Limit = Annotated[int, Meta(ge=1, le=200, description="Most items of one page")]


class In(Struct, forbid_unknown_fields=True):
    """Something that comes in: an unknown field is an error, not ignored; times become UTC, of years that people live in."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, datetime):
                setattr(self, name, _utc(name, value))


def _utc(name: str, at: datetime) -> datetime:
    if not FIRST_YEAR < at.year < LAST_YEAR:
        raise ValueError(f"Expected a time between {FIRST_YEAR} and {LAST_YEAR} in field `{name}`")
    return at.astimezone(UTC)


class NewMember(In):
    name: Line
    role: Literal["admin", "caregiver", "self", "viewer"] = "self"


class NewMedicine(In):
    member_id: UUID
    name: Line
    strength: Line
    form: Form = "tablet"
    unit: Line = "tablet"
    ingredients: Annotated[tuple[Line, ...], Meta(max_length=20)] = ()
    note: Note = ""
    low_days: Annotated[int, Meta(ge=0, le=365)] = 7
    on_hand: Count = "0"


class WholeMedicine(In):
    """PUT: what is left out goes back to its default."""

    name: Line
    strength: Line
    form: Form = "tablet"
    unit: Line = "tablet"
    ingredients: Annotated[tuple[Line, ...], Meta(max_length=20)] = ()
    note: Note = ""
    low_days: Annotated[int, Meta(ge=0, le=365)] = 7


class MedicineChange(In):
    """PATCH: what is left out stays."""

    name: Line | UnsetType = UNSET
    strength: Line | UnsetType = UNSET
    form: Form | UnsetType = UNSET
    unit: Line | UnsetType = UNSET
    ingredients: Annotated[tuple[Line, ...], Meta(max_length=20)] | UnsetType = UNSET
    note: Note | UnsetType = UNSET
    low_days: Annotated[int, Meta(ge=0, le=365)] | UnsetType = UNSET


class NewStep(In):
    """So much at this local time, on these weekdays (all, when left out)."""

    time: LocalTime
    amount: Amount = "1"
    weekdays: Annotated[tuple[Weekday, ...], Meta(min_length=1, max_length=7)] | None = None


class NewSchedule(In):
    steps: Annotated[tuple[NewStep, ...], Meta(min_length=1, max_length=48)]
    zone: Annotated[str, Meta(max_length=64, description="IANA zone; the household's when left out")] | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    critical: bool = False
    window_minutes: Annotated[int, Meta(ge=1, le=720)] | None = None


class Taking(In):
    at: Annotated[Instant, Meta(description="When it was taken; now, when left out")] | None = None


class Skipping(In):
    reason: Note | None = None


class Refill(In):
    amount: Amount
    reason: Note | None = None


class Recount(In):
    counted: Count
    reason: Note | None = None


class MedicineQuery(In):
    member: UUID | None = None
    cursor: UUID | None = None
    limit: Limit = 50


class DoseQuery(In):
    since: Instant | None = None
    until: Instant | None = None
    member: UUID | None = None
    medicine: UUID | None = None
    cursor: UUID | None = None
    limit: Limit = 50


class StockQuery(In):
    cursor: UUID | None = None
    limit: Limit = 50


class HistoryQuery(In):
    since: Instant | None = None
    until: Instant | None = None
    member: UUID | None = None
    medicine: UUID | None = None
    cursor: Annotated[str, Meta(pattern="^[0-9]{1,18}" + _END)] | None = None
    limit: Limit = 50


class IdempotencyKey(Struct):
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")] = field(
        name="Idempotency-Key"
    )


# What goes out


class Named(Struct):
    id: UUID
    name: str


class Problem(Struct):
    """RFC 9457; a refusal also carries `dose`, an invalid request `field`."""

    type: str
    title: str
    status: int
    detail: str


class Member(Struct):
    id: UUID
    name: str
    role: str
    created_at: datetime


class Medicine(Struct):
    id: UUID
    member: Named
    name: str
    strength: str
    form: str
    unit: str
    ingredients: list[str]
    note: str
    low_days: int
    on_hand: str
    days_left: int | None
    created_at: datetime
    archived_at: datetime | None


class Step(Struct):
    time: str
    amount: str
    weekdays: list[Weekday]


class Schedule(Struct):
    version: int
    zone: str
    starts_on: date
    ends_on: date | None
    critical: bool
    window_minutes: int | None
    steps: list[Step]
    created_at: datetime


class DoseMedicine(Struct):
    id: UUID
    name: str
    strength: str
    form: str
    unit: str
    note: str


class Dose(Struct):
    """`status` is stored; `state` is what it is now: planned, due, late, or the status."""

    id: UUID
    medicine: DoseMedicine
    member: Named
    amount: str
    slot_on: date
    opens_at: datetime
    due_at: datetime
    late_at: datetime
    closes_at: datetime
    status: Literal["pending", "taken", "skipped", "missed", "cancelled"]
    state: Literal["planned", "due", "late", "taken", "skipped", "missed", "cancelled"]
    resolved_at: datetime | None
    resolved_by: Named | None
    resolved_on: Named | None


class StockEntry(Struct):
    id: UUID
    kind: Literal["opening", "refill", "taken", "loss", "recount", "undone"]
    amount: str
    dose_id: UUID | None
    at: datetime
    by: Named | None
    on: Named | None
    source: str
    reason: str | None


class StockAdded(Struct):
    id: UUID
    medicine_id: UUID
    kind: str
    amount: str
    at: datetime
    on_hand: str


class Event(Struct):
    """`by` is who, `on` which panel, `source` from where: api, panel, console or server."""

    seq: int
    kind: Literal["taken", "skipped", "snoozed", "missed", "undone", "corrected", "conflict"]
    at: datetime
    recorded_at: datetime
    source: str
    by: Named | None
    on: Named | None
    reason: str | None
    dose: "EventDose"
    medicine: "EventMedicine"
    member: Named


class EventDose(Struct):
    id: UUID
    due_at: datetime
    slot_on: date
    amount: str


class EventMedicine(Struct):
    id: UUID
    name: str
    strength: str
    unit: str


class Device(Struct):
    id: UUID
    name: str
    paired_at: datetime
    revoked_at: datetime | None
    last_press_at: datetime | None


class HouseholdTold(Struct):
    id: UUID
    name: str
    zone: str
    created_at: datetime


class Medicines(Struct):
    items: list[Medicine]
    next_cursor: UUID | None


class Doses(Struct):
    items: list[Dose]
    next_cursor: UUID | None


class Stock(Struct):
    medicine_id: UUID
    unit: str
    on_hand: str
    items: list[StockEntry]
    next_cursor: UUID | None


class History(Struct):
    items: list[Event]
    next_cursor: str | None


class Members(Struct):
    items: list[Member]
    next_cursor: None


class Devices(Struct):
    items: list[Device]
    next_cursor: None
