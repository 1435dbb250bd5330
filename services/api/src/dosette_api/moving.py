"""What an export may hold: every value and every reference is checked before a household moves in.

PostgreSQL's own foreign keys are not enough: they look past row-level security, and would let a file point into another household.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from dosette.actions.exports import FORMAT, VERSION
from dosette.domain.errors import Invalid
from dosette.domain.schedules import WEEKDAYS
from dosette_api.contacts import check_address
from dosette_api.errors import Malformed
from dosette_api.reading import invalid
from dosette_api.schedules import check, check_zone
from dosette_api.shapes import Address, AnyLine, Channel, Form, NewSchedule, Note, check_years

Sum = Annotated[str, Meta(pattern=r"^-?[0-9]{1,12}(\.[0-9]{1,12})?$(?!\n)")]
Amount = Annotated[str, Meta(pattern=r"^(?!0+(\.0+)?$)[0-9]{1,12}(\.[0-9]{1,12})?$(?!\n)")]
Use = Annotated[str, Meta(pattern=r"^[0-9]{1,12}(\.[0-9]{1,12})?$(?!\n)")]
Bytes = Annotated[str, Meta(pattern=r"^\\x([0-9a-f]{2})*$(?!\n)")]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
At = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00]*$(?!\n)")]
Width = Annotated[str, Meta(pattern=r"^[0-9]{2,5}:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?$(?!\n)")]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Total = Annotated[int, Meta(ge=0, le=2**53)]
"""In ten-thousandths of a unit, summed up; what JSON readers keep exactly."""
Seq = Annotated[int, Meta(ge=1, le=2**53)]


class _Row(Struct, forbid_unknown_fields=True, gc=False):
    """One row of a list."""

    def __post_init__(self) -> None:
        check_years(self)


class HouseholdRow(_Row):
    id: UUID
    name: AnyLine
    zone: str
    lead_days: Annotated[int, Meta(ge=0, le=90)]
    closed_weekdays: Annotated[list[Annotated[int, Meta(ge=0, le=6)]], Meta(max_length=6)]
    closed_on: list[date]
    created_at: At
    events: Annotated[int, Meta(ge=0, le=2**53)]
    head: Hash


class MemberRow(_Row):
    id: UUID
    name: AnyLine
    role: Literal["admin", "caregiver", "self", "viewer"]
    created_at: At
    second_id: UUID | None
    third_id: UUID | None
    quiet_from: time | None
    quiet_until: time | None
    names_medicines: bool


class DeviceRow(_Row):
    id: UUID
    name: AnyLine
    generation: Count
    pressed: Annotated[int, Meta(ge=0, le=2**53)]
    last_press_at: At | None
    paired_at: At
    revoked_at: At | None
    seen_at: At | None


class ContactRow(_Row):
    id: UUID
    member_id: UUID
    channel: Channel
    address: Address
    created_at: At
    secret: Annotated[str, Meta(pattern=r"^whsec_[A-Za-z0-9+/]{32,88}={0,2}$(?!\n)")] | None
    removed_at: At | None


class IngredientRow(_Row):
    name: AnyLine
    amount: Amount | None
    unit: str | None


class MedicineRow(_Row):
    id: UUID
    member_id: UUID
    name: AnyLine
    strength: AnyLine
    form: Form
    unit: AnyLine
    ingredients: list[IngredientRow]
    note: Note
    low_days: Annotated[int, Meta(ge=0, le=365)]
    created_at: At
    archived_at: At | None


class StepRow(_Row):
    time: str | None
    amount: Amount
    weekdays: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
    starts_on: date | None = None
    ends_on: date | None = None


class PauseRow(_Row):
    starts_on: date
    ends_on: date | None


class VersionRow(_Row):
    medicine_id: UUID
    number: Count
    zone: str
    starts_on: date
    ends_on: date | None
    critical: bool
    window_minutes: Count | None
    nag_minutes: Count | None
    steps: list[StepRow]
    created_at: At
    created_by: UUID | None
    kind: Literal["fixed", "elapsed", "as_needed"]
    every_days: Count | None
    every_weeks: Count | None
    month_days: list[Count]
    days_on: Count | None
    days_off: Count | None
    every_minutes: Count | None
    counted_from: Literal["last_taken", "anchor"] | None
    anchor_at: At | None
    min_gap_minutes: Count | None
    most_per_24_h: Amount | None
    pauses: list[PauseRow]


class ScheduleRow(_Row):
    medicine_id: UUID
    version: Count
    planned_until: At | None
    daily_use: Use | None
    kind: Literal["fixed", "elapsed", "as_needed"]
    amount: Amount | None
    min_gap_minutes: Count | None
    most_per_24_h: Amount | None
    follows_minutes: Count | None
    follows_window: Width | None
    use_from: date | None
    use_through: list[Total] | None


class DoseRow(_Row):
    id: UUID
    medicine_id: UUID
    member_id: UUID
    version: Count | None
    slot_on: date
    slot_time: time
    amount: Amount
    opens_at: At
    due_at: At
    late_at: At
    closes_at: At
    status: Literal["pending", "taken", "skipped", "missed", "cancelled", "unknown"]
    resolved_at: At | None
    resolved_by: UUID | None
    resolved_on: UUID | None
    kind: Literal["planned", "elapsed", "as_needed", "extra"]
    snoozed_until: At | None
    taken_amount: Amount | None


class EventRow(_Row):
    seq: Seq
    dose_id: UUID
    kind: Literal["taken", "skipped", "snoozed", "missed", "undone", "corrected", "conflict"]
    at: At
    recorded_at: At
    by_member: UUID | None
    device_id: UUID | None
    source: AnyLine
    key: Text | None
    reason: Text | None
    salt: Bytes
    content_digest: Bytes
    hash: Bytes
    detail: dict[str, Any] | None


class ConflictRow(_Row):
    id: UUID
    dose_id: UUID
    report: Literal["take", "skip"]
    at: At
    recorded_at: At
    by_member: UUID | None
    device_id: UUID | None
    reason: Text
    status: Literal["open", "not_taken", "taken"]
    resolved_at: At | None
    resolved_by: UUID | None


class PackageRow(_Row):
    id: UUID
    medicine_id: UUID
    batch: AnyLine | None
    expires_on: date | None
    created_at: At


class StockEntryRow(_Row):
    id: UUID
    medicine_id: UUID
    kind: Literal["opening", "refill", "taken", "loss", "recount", "undone"]
    amount: Sum
    dose_id: UUID | None
    at: At
    by_member: UUID | None
    device_id: UUID | None
    source: AnyLine
    reason: Text | None
    package_id: UUID | None


class ReminderRow(_Row):
    id: UUID
    dose_id: UUID
    kind: Literal["dose"]
    due_at: At
    status: Literal["waiting", "told", "dropped", "parked"]
    reason: Text | None
    attempts: Count
    told_at: At | None
    tellings: Count
    claimed_by: UUID | None
    claimed_at: At | None


class DeliveryRow(_Row):
    id: UUID
    contact_id: UUID | None
    device_id: UUID | None
    channel: Literal["panel"] | Channel
    reminder_ids: Annotated[list[UUID], Meta(min_length=1)]
    urgent: bool
    status: Literal["waiting", "delivered", "dropped", "parked"]
    attempts: Count
    error: Text | None
    made_at: At
    due_at: At
    at: At | None


class Export(Struct, forbid_unknown_fields=True):
    """A whole household, as `GET /export` writes it."""

    format: str
    version: int
    household: HouseholdRow
    members: list[MemberRow]
    devices: list[DeviceRow]
    contacts: list[ContactRow]
    medicines: list[MedicineRow]
    schedule_versions: list[VersionRow]
    schedules: list[ScheduleRow]
    doses: list[DoseRow]
    dose_events: list[EventRow]
    conflicts: list[ConflictRow]
    packages: list[PackageRow]
    stock_entries: list[StockEntryRow]
    reminders: list[ReminderRow]
    deliveries: list[DeliveryRow]


_REFERS = {
    "member_id": "members",
    "by_member": "members",
    "created_by": "members",
    "resolved_by": "members",
    "device_id": "devices",
    "resolved_on": "devices",
    "contact_id": "contacts",
    "medicine_id": "medicines",
    "dose_id": "doses",
    "package_id": "packages",
    "reminder_ids": "reminders",
    "second_id": "members",
    "third_id": "members",
    "claimed_by": "members",
}
_ONCE: dict[str, tuple[tuple[str, ...], ...]] = {
    "members": (("name",),),
    "devices": (("name",),),
    "schedule_versions": (("medicine_id", "number"),),
    "schedules": (("medicine_id",),),
    "dose_events": (("seq",),),
    "reminders": (("dose_id", "kind"),),
}
_LISTS = {name: get_args(hint)[0] for name, hint in get_type_hints(Export).items() if get_origin(hint) is list}
"""The lists of an export, each with the shape of its rows."""


class _Head(Struct):
    format: str
    version: int


def checked(raw: bytes) -> Export:
    """The file. Raises Malformed when it is not JSON; Invalid, naming the field, when it is not an export, not of a version that
    this program knows, or when a value or a reference in it is wrong."""
    try:
        head = msgspec.json.decode(raw, type=_Head)
        if (head.format, head.version) != (FORMAT, VERSION):
            said = f"{head.format} version {head.version}"
            raise Invalid(f"format: this is {said}; this program reads {FORMAT} version {VERSION}", {"field": "format"})
        file = msgspec.json.decode(raw, type=Export, strict=True)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    check_zone(file.household.zone)
    for number, version in enumerate(file.schedule_versions):
        _check_version(f"schedule_versions[{number}]", version)
    for number, contact in enumerate(file.contacts):
        check_address(contact.channel, contact.address, f"contacts[{number}].address")
    for field, why in _faults(file):
        raise Invalid(f"{field}: {why}", {"field": field})
    return file


def _faults(file: Export) -> Iterator[tuple[str, str]]:
    ids = {
        name: {each.id for each in getattr(file, name)} for name, row in _LISTS.items() if "id" in row.__struct_fields__
    }
    versions = {(version.medicine_id, version.number) for version in file.schedule_versions}
    for name, shape in _LISTS.items():
        rows = getattr(file, name)
        for columns in (*_ONCE.get(name, ()), *((("id",),) if name in ids else ())):
            yield from _doubles(name, rows, columns)
        for column, list_ in _REFERS.items():
            if column in shape.__struct_fields__:
                yield from _strangers(name, rows, column, list_, ids[list_])
    yield from _doses(file)
    yield from _people(file)
    for name in ("schedules", "doses"):
        for number, row in enumerate(getattr(file, name)):
            if row.version is not None and (row.medicine_id, row.version) not in versions:
                yield f"{name}[{number}].version", f"its medicine has no version {row.version} in this file"


def _check_version(where: str, version: VersionRow) -> None:
    """A version is what the API would have taken, and nothing else: the planner must be able to read it."""
    said = msgspec.structs.asdict(version)
    steps = [msgspec.structs.asdict(step) for step in version.steps]
    whole_week = [
        step | {"weekdays": None if len(set(step["weekdays"])) == len(WEEKDAYS) else step["weekdays"]} for step in steps
    ]
    pauses = [msgspec.structs.asdict(pause) for pause in version.pauses]
    fields = {name: said[name] for name in NewSchedule.__struct_fields__} | {"steps": whole_week, "pauses": pauses}
    if version.ends_on and version.ends_on < version.starts_on:  # ended as of a day before: nothing was ever due by it
        fields["starts_on"] = None
    try:
        check(msgspec.convert(fields, NewSchedule, strict=True))
    except msgspec.ValidationError as error:
        fault = invalid(str(error))
        raise Invalid(f"{where}.{fault.message}", {"field": f"{where}.{fault.facts['field']}"}) from None
    except Invalid as fault:
        raise Invalid(f"{where}.{fault.message}", {"field": f"{where}.{fault.facts['field']}"}) from None


def _doses(file: Export) -> Iterator[tuple[str, str]]:
    seen: set[tuple[object, ...]] = set()
    for number, dose in enumerate(file.doses):
        if (dose.resolved_at is None) != (dose.status in ("pending", "cancelled", "unknown")):
            yield (
                f"doses[{number}].resolved_at",
                f"a dose that is {dose.status} has {'none' if dose.resolved_at else 'one'}",
            )
        slot = {"planned": (dose.slot_on, dose.slot_time), "elapsed": (dose.due_at,)}.get(dose.kind)
        if slot and dose.status != "cancelled":
            if (dose.medicine_id, *slot) in seen:
                yield f"doses[{number}].slot_time", "another dose of its medicine has the same slot"
            seen.add((dose.medicine_id, *slot))
    packages = {package.id: package.medicine_id for package in file.packages}
    for number, entry in enumerate(file.stock_entries):
        if entry.package_id is not None and packages.get(entry.package_id, entry.medicine_id) != entry.medicine_id:
            yield f"stock_entries[{number}].package_id", "its package is of another medicine"


def _people(file: Export) -> Iterator[tuple[str, str]]:
    for number, member in enumerate(file.members):
        if (member.quiet_from is None) != (member.quiet_until is None):
            yield f"members[{number}].quiet_until", "quiet hours have a beginning and an end, or neither"
        told = [each for each in (member.id, member.second_id, member.third_id) if each]
        if len(set(told)) < len(told):
            yield f"members[{number}].second_id", "the member, the second and the third person are three people"
    channels: dict[UUID | None, str] = {contact.id: contact.channel for contact in file.contacts}
    for number, delivery in enumerate(file.deliveries):
        if (delivery.contact_id is None) == (delivery.device_id is None):
            yield f"deliveries[{number}].contact_id", "a message goes to a contact or to a panel"
        elif delivery.channel != channels.get(delivery.contact_id, "panel"):
            yield f"deliveries[{number}].channel", "it is not the one of its contact or panel"


def _doubles(name: str, rows: Sequence[Struct], columns: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    seen: set[tuple[object, ...]] = set()
    for number, row in enumerate(rows):
        value = tuple(getattr(row, column) for column in columns)
        if value in seen:
            yield f"{name}[{number}].{columns[-1]}", f"{value[-1]} stands twice in this list"
        seen.add(value)


def _strangers(name: str, rows: Sequence[Struct], column: str, list_: str, ids: set[UUID]) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(rows):
        value = getattr(row, column)
        for each in value if isinstance(value, list) else (value,):
            if each is not None and each not in ids:
                yield f"{name}[{number}].{column}", f"{each} is not in this file's {list_}"
