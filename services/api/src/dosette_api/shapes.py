"""The shapes of what comes in, checked strictly, and of what goes out, for the OpenAPI description only: bodies come from SQL."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from dosette.actions.contacts import CHANNELS
from dosette.domain.medicines import DECIMALS, FORMS, MEASURES
from dosette.domain.reminders import ALARMS, DOSE

FIRST_YEAR, LAST_YEAR = 1900, 2200

_END = r"$(?!\n)"  # Python's $ alone also matches before a last newline

_NO_LINE = r"\x00-\x1f\x7f"
_UNSEEN = r"\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff"
LINE = rf"^[^{_NO_LINE}]*[^{_NO_LINE}{_UNSEEN}][^{_NO_LINE}]*" + _END

Line = Annotated[
    str,
    Meta(min_length=1, max_length=100, pattern=LINE, description="One line of text of which something can be seen"),
]
AnyLine = Annotated[
    str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+" + _END, description="One line of text")
]
"""As an export may hold it, which was made when a name could be blank."""
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
QuietTime = Annotated[
    str,
    Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]" + _END, description="Local wall-clock time", examples=["22:00"]),
]
Channel = Literal[CHANNELS]  # type: ignore[valid-type]
Address = Annotated[
    str,
    Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+" + _END, examples=["ntfys://ntfy.example/a-topic"]),
]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Weekdays = Annotated[tuple[Weekday, ...], Meta(min_length=1, max_length=7)]
Form = Literal[FORMS]  # type: ignore[valid-type]
Measure = Literal[MEASURES]  # type: ignore[valid-type]
Limit = Annotated[int, Meta(ge=1, le=200, description="Most items of one page")]


class In(Struct, forbid_unknown_fields=True):
    """Something that comes in: an unknown field is an error, not ignored; times become UTC, of years that people live in."""

    def __post_init__(self) -> None:
        check_years(self)
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, datetime):
                setattr(self, name, value.astimezone(UTC))


def check_years(read: Struct) -> None:
    """Raises ValueError when a date or a time of it is of no year that people live in."""
    for name in read.__struct_fields__:
        value = getattr(read, name)
        if isinstance(value, date) and not FIRST_YEAR < value.year < LAST_YEAR:
            raise ValueError(f"Expected a year between {FIRST_YEAR} and {LAST_YEAR} in field `{name}`")


class NewMember(In):
    """`second_id`, and then `third_id`, are told of a dose that was not taken. From `quiet_from` to `quiet_until` nobody wakes the
    member unless it is critical. `names_medicines`: messages may name this member's medicines."""

    name: Line
    role: Literal["admin", "caregiver", "self", "viewer"] = "self"
    second_id: UUID | None = None
    third_id: UUID | None = None
    quiet_from: QuietTime | None = None
    quiet_until: QuietTime | None = None
    names_medicines: bool = False


class MemberChange(In):
    """PATCH: what is left out stays, null clears."""

    second_id: UUID | UnsetType | None = UNSET
    third_id: UUID | UnsetType | None = UNSET
    quiet_from: QuietTime | UnsetType | None = UNSET
    quiet_until: QuietTime | UnsetType | None = UNSET
    names_medicines: bool | UnsetType = UNSET


class NewDevice(In):
    """`code`: the one that an unpaired panel shows; without it there is a new one to type at the panel."""

    name: Line
    code: Line | None = None


class Claim(In):
    """Of a panel that wants its keys. `secret` is a word of its own; `code` was typed there, or the panel shows the secret's."""

    v: Literal[1]
    secret: Annotated[str, Meta(min_length=32, max_length=100)]
    code: Line | None = None


class NewContact(In):
    """`address` is, by channel: file: a plain file name, in the worker's folder; apprise: a service's address as Apprise has them;
    webhook: an http or https URL; mqtt: a topic."""

    member_id: UUID
    channel: Channel
    address: Address


class NewIngredient(In):
    """An active ingredient, and how much of it is in one unit of the medicine: limits count it over all products."""

    name: Line
    amount: Amount | None = None
    unit: Measure | None = None


Ingredients = Annotated[tuple[NewIngredient, ...], Meta(max_length=20)]


class NewMedicine(In):
    member_id: UUID
    name: Line
    strength: Line
    form: Form = "tablet"
    unit: Line = "tablet"
    ingredients: Ingredients = ()
    note: Note = ""
    low_days: Annotated[int, Meta(ge=0, le=365)] = 7
    on_hand: Count = "0"


class WholeMedicine(In):
    """PUT: what is left out goes back to its default."""

    name: Line
    strength: Line
    form: Form = "tablet"
    unit: Line = "tablet"
    ingredients: Ingredients = ()
    note: Note = ""
    low_days: Annotated[int, Meta(ge=0, le=365)] = 7


class MedicineChange(In):
    """PATCH: what is left out stays."""

    name: Line | UnsetType = UNSET
    strength: Line | UnsetType = UNSET
    form: Form | UnsetType = UNSET
    unit: Line | UnsetType = UNSET
    ingredients: Ingredients | UnsetType = UNSET
    note: Note | UnsetType = UNSET
    low_days: Annotated[int, Meta(ge=0, le=365)] | UnsetType = UNSET


class NewStep(In):
    """So much, at this local time (of a fixed schedule only), on these weekdays (all, when left out), from `starts_on` to
    `ends_on`: a taper or a titration is a list of dated steps."""

    time: LocalTime | None = None
    amount: Amount = "1"
    weekdays: Weekdays | None = None
    starts_on: date | None = None
    ends_on: date | None = None


class NewPause(In):
    """Nothing is due from `starts_on` to `ends_on`, both included; without an end until the schedule is changed."""

    starts_on: date
    ends_on: date | None = None


class NewSchedule(In):
    """fixed: at the steps' times, on all days or on those that `every_days`, `every_weeks` or `month_days` and the cycle of
    `days_on` and `days_off` leave. elapsed: every `every_minutes`, counted from the last dose taken or from `anchor_at`.
    as_needed: one step with the amount; not before `min_gap_minutes` after the last, at most `most_per_24_h` in 24 hours."""

    steps: Annotated[tuple[NewStep, ...], Meta(min_length=1, max_length=48, examples=[[{"time": "08:00"}]])]
    kind: Literal["fixed", "elapsed", "as_needed"] = "fixed"
    zone: Annotated[str, Meta(max_length=64, description="IANA zone; the household's when left out")] | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    critical: bool = False
    window_minutes: Annotated[int, Meta(ge=1, le=720)] | None = None
    nag_minutes: Annotated[int, Meta(ge=1, le=720)] | None = None
    every_days: Annotated[int, Meta(ge=1, le=366)] | None = None
    every_weeks: Annotated[int, Meta(ge=1, le=52)] | None = None
    month_days: Annotated[tuple[Annotated[int, Meta(ge=1, le=31)], ...], Meta(max_length=31)] = ()
    days_on: Annotated[int, Meta(ge=1, le=366)] | None = None
    days_off: Annotated[int, Meta(ge=1, le=366)] | None = None
    every_minutes: Annotated[int, Meta(ge=30, le=527040)] | None = None
    counted_from: Literal["last_taken", "anchor"] | None = None
    anchor_at: Instant | None = None
    min_gap_minutes: Annotated[int, Meta(ge=1, le=44640)] | None = None
    most_per_24_h: Amount | None = None
    pauses: Annotated[tuple[NewPause, ...], Meta(max_length=50)] = ()


class NewTrip(In):
    """From `since` (now, when left out) the wall clock shows `zone`, until `until` or for good; the doses keep home time or
    shift to the clock there."""

    zone: Annotated[str, Meta(max_length=64, description="IANA zone")]
    since: Instant | None = None
    until: Instant | None = None
    doses: Literal["keep", "shift"] = "shift"


class HouseholdChange(In):
    """PATCH: what is left out stays. With a new `zone`, schedules keep their own or `shift` to it. The rest tells when to
    order: days from ordering to fetching, and when the pharmacy is closed."""

    name: Line | UnsetType = UNSET
    lead_days: Annotated[int, Meta(ge=0, le=90)] | UnsetType = UNSET
    closed_weekdays: Annotated[tuple[Weekday, ...], Meta(max_length=6)] | UnsetType = UNSET
    closed_on: Annotated[tuple[date, ...], Meta(max_length=400)] | UnsetType = UNSET


class HouseholdMove(In):
    zone: Annotated[str, Meta(max_length=64, description="IANA zone")]
    doses: Literal["keep", "shift"] = "keep"


class Taking(In):
    """`extra`: on purpose, beside what is planned or was taken. `override_reason`: why a safe limit does not hold this time."""

    at: Annotated[Instant, Meta(description="When it was taken; now, when left out")] | None = None
    amount: Amount | None = None
    extra: bool = False
    override_reason: Line | None = None


class BatchItem(In):
    """A dose by its id, or the one that is open of a medicine."""

    dose_id: UUID | None = None
    medicine_id: UUID | None = None
    amount: Amount | None = None


class BatchTaking(In):
    items: Annotated[tuple[BatchItem, ...], Meta(min_length=1, max_length=100)]
    at: Annotated[Instant, Meta(description="When they were taken; now, when left out")] | None = None
    override_reason: Line | None = None


class Skipping(In):
    reason: Note | None = None


class Snoozing(In):
    minutes: Annotated[int, Meta(ge=1, le=720)] = 10


class Correcting(In):
    at: Annotated[Instant, Meta(description="When it was really taken")]
    reason: Note | None = None
    override_reason: Line | None = None


class Verdict(In):
    """taken: it was really taken, besides; not_taken: it told of the same taking, or of none."""

    verdict: Literal["taken", "not_taken"]
    reason: Note | None = None


class Refill(In):
    """`batch` or `expires_on` (the last day of use) make a package of it; `package_id` adds to one that is there."""

    amount: Amount
    reason: Note | None = None
    package_id: UUID | None = None
    batch: Line | None = None
    expires_on: date | None = None


class Recount(In):
    """Of one package, or of all that is there."""

    counted: Count
    reason: Note | None = None
    package_id: UUID | None = None


class Loss(In):
    amount: Amount
    reason: Note | None = None
    package_id: UUID | None = None


class ContactQuery(In):
    member: UUID | None = None


class MedicineQuery(In):
    """`search` finds a part of the name or of an ingredient's; `low`: only those that run low, or only the others."""

    member: UUID | None = None
    form: Form | None = None
    low: bool | None = None
    search: AnyLine | None = None
    archived: bool = False
    sort: Literal["added", "name", "runs_out"] = "added"
    cursor: UUID | None = None
    limit: Limit = 50


class DoseQuery(In):
    since: Instant | None = None
    until: Instant | None = None
    member: UUID | None = None
    medicine: UUID | None = None
    state: Literal["planned", "due", "late", "taken", "skipped", "missed", "unknown"] | None = None
    cursor: UUID | None = None
    limit: Limit = 50


class StockQuery(In):
    cursor: UUID | None = None
    limit: Limit = 50


class ConflictQuery(In):
    open: bool = True
    cursor: UUID | None = None
    limit: Limit = 50


class HistoryQuery(In):
    since: Instant | None = None
    until: Instant | None = None
    member: UUID | None = None
    medicine: UUID | None = None
    kind: Literal["taken", "skipped", "snoozed", "missed", "undone", "corrected", "conflict"] | None = None
    cursor: Annotated[str, Meta(pattern="^[0-9]{1,18}" + _END)] | None = None
    limit: Limit = 50


class AdherenceQuery(In):
    """Local days from `since_on` to `until_on`, both included: the last four weeks, when left out."""

    since_on: date | None = None
    until_on: date | None = None
    member: UUID | None = None
    medicine: UUID | None = None
    by: Literal["member", "medicine", "week", "day"] = "medicine"


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
    second_id: UUID | None
    third_id: UUID | None
    quiet_from: str | None
    quiet_until: str | None
    names_medicines: bool
    created_at: datetime


class DeliveryTold(Struct):
    """A message to one contact or panel. `at`: when its fate was known; dropped: it was no longer so; parked: given up."""

    id: UUID
    status: Literal["waiting", "delivered", "dropped", "parked"]
    error: str | None
    attempts: int
    made_at: datetime
    at: datetime | None


class Contact(Struct):
    """`address` is masked where it lets others in: of apprise and webhook, its beginning and its end. `latest` is the latest message
    that was sent there, or is about to be."""

    id: UUID
    member: Named
    channel: Channel
    address: str
    created_at: datetime
    latest: DeliveryTold | None


class ContactAdded(Contact):
    """`secret`: what a webhook's messages are signed with; it can't be seen again."""

    secret: str | None


class Ingredient(Struct):
    name: str
    amount: str | None
    unit: str | None


class Medicine(Struct):
    """`on_hand` counts all packages, `expired` of it those past their day (`expires_on` is the next of the others);
    `runs_out_on` is the first local day whose doses the rest does not cover; null: it lasts, or nobody knows the need."""

    id: UUID
    member: Named
    name: str
    strength: str
    form: str
    unit: str
    ingredients: list[Ingredient]
    note: str
    low_days: int
    on_hand: str
    expired: str
    expires_on: date | None
    runs_out_on: date | None
    days_left: int | None
    order_by_on: date | None
    running_low: bool
    created_at: datetime
    archived_at: datetime | None


class Step(Struct):
    time: str | None
    amount: str
    weekdays: list[Weekday]
    starts_on: date | None = None
    ends_on: date | None = None


class Pause(Struct):
    starts_on: date
    ends_on: date | None


class Schedule(Struct):
    version: int
    kind: Literal["fixed", "elapsed", "as_needed"]
    zone: str
    starts_on: date
    ends_on: date | None
    critical: bool
    window_minutes: int | None
    nag_minutes: int | None
    steps: list[Step]
    every_days: int | None
    every_weeks: int | None
    month_days: list[int]
    days_on: int | None
    days_off: int | None
    every_minutes: int | None
    counted_from: str | None
    anchor_at: datetime | None
    min_gap_minutes: int | None
    most_per_24_h: str | None
    pauses: list[Pause]
    created_at: datetime


class PlannedSlot(Struct):
    slot_on: date
    local_time: str
    due_at: datetime
    amount: str


class MovedSlot(Struct):
    was: PlannedSlot
    becomes: PlannedSlot


class Supply(Struct):
    days_left: int | None
    runs_out_on: date | None


class SupplyChange(Struct):
    was: Supply
    becomes: Supply


class ScheduleDifference(Struct):
    """What a change would do to the doses until `until`, and to the days that the stock lasts. Nothing was stored."""

    until: datetime
    appear: list[PlannedSlot]
    move: list[MovedSlot]
    vanish: list[PlannedSlot]
    stay: int
    supply: SupplyChange


class WallTime(Struct):
    due_at: datetime
    local_time: str


class WallMove(Struct):
    was: WallTime
    becomes: WallTime


class TripMedicine(Struct):
    """`vanish`: the clock there has passed their time when the zone changes. `too_close`: two doses would be nearer than half
    of the usual shortest time between them."""

    medicine: Named
    moves: list[WallMove]
    vanish: list[PlannedSlot]
    shortest_gap_minutes: int | None
    longest_gap_minutes: int | None
    too_close: bool


class TripEffect(Struct):
    zone: str
    since: datetime
    until: datetime | None
    doses: str
    medicines: list[TripMedicine]


class MovedIn(Struct):
    """How many rows of each list moved in."""

    members: int
    devices: int
    contacts: int
    medicines: int
    schedule_versions: int
    schedules: int
    doses: int
    dose_events: int
    conflicts: int
    packages: int
    stock_entries: int
    reminders: int
    deliveries: int


class HouseholdMoved(Struct):
    """`changed`: how many schedules got a new version."""

    id: UUID
    zone: str
    changed: int


class DoseMedicine(Struct):
    id: UUID
    name: str
    strength: str
    form: str
    unit: str
    note: str


class Dose(Struct):
    """`status` is stored; `state` is what it is now: planned, due, late, or the status. `taken_amount` tells where another
    amount was taken than planned."""

    id: UUID
    kind: Literal["planned", "elapsed", "as_needed", "extra"]
    medicine: DoseMedicine
    member: Named
    amount: str
    taken_amount: str | None
    slot_on: date
    opens_at: datetime
    due_at: datetime
    late_at: datetime
    closes_at: datetime
    snoozed_until: datetime | None
    status: Literal["pending", "taken", "skipped", "missed", "cancelled", "unknown"]
    state: Literal["planned", "due", "late", "taken", "skipped", "missed", "cancelled", "unknown"]
    resolved_at: datetime | None
    resolved_by: Named | None
    resolved_on: Named | None


class BatchResult(Struct):
    """`outcome`: done, or why not: refused, over-limit, not-in-force, no-dose, no-medicine, no-amount."""

    dose_id: UUID | None
    medicine_id: UUID | None
    outcome: str
    dose: Dose | None
    limit: dict[str, Any] | None


class BatchResults(Struct):
    results: list[BatchResult]


class Conflict(Struct):
    """A report that can't be true beside what was known: it counts for the limits until a person resolves it."""

    id: UUID
    report: Literal["take", "skip"]
    at: datetime
    recorded_at: datetime
    by: Named | None
    on: Named | None
    reason: str
    status: Literal["open", "taken", "not_taken"]
    resolved_at: datetime | None
    resolved_by: Named | None
    dose: Dose


class Conflicts(Struct):
    items: list[Conflict]
    next_cursor: UUID | None


class Package(Struct):
    id: UUID
    batch: str | None
    expires_on: date | None
    amount_left: str
    created_at: datetime


class StockEntry(Struct):
    id: UUID
    kind: Literal["opening", "refill", "taken", "loss", "recount", "undone"]
    amount: str
    package_id: UUID | None
    dose_id: UUID | None
    at: datetime
    by: Named | None
    on: Named | None
    source: str
    reason: str | None


class StockAdded(Struct):
    """`amount` is the sum of the lines that were added, one for each package that was touched; `id` is the first one's."""

    id: UUID
    medicine_id: UUID
    package_id: UUID | None
    kind: str
    amount: str
    at: datetime
    on_hand: str


class Event(Struct):
    """`by` is who, `on` which panel, `source` from where: api, panel, link, mqtt, console or server."""

    seq: int
    kind: Literal["taken", "skipped", "snoozed", "missed", "undone", "corrected", "conflict"]
    at: datetime
    recorded_at: datetime
    source: str
    by: Named | None
    on: Named | None
    reason: str | None
    detail: dict[str, Any] | None
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


class Reminder(Struct):
    """`kind` is dose, or an alarm's: then `about` is what it is about, where that has a name, and `detail` what is known of it.
    `next_at`: when it is told next; parked: it could not be told."""

    id: UUID
    kind: Literal[DOSE, *ALARMS]  # type: ignore[valid-type]
    status: Literal["waiting", "told", "dropped", "parked"]
    reason: str | None
    member: Named | None
    dose: Dose | None
    about: Named | None
    detail: dict[str, Any] | None
    tellings: int
    told_at: datetime | None
    next_at: datetime | None
    claimed_by: Named | None
    claimed_at: datetime | None


class DeliveryParked(DeliveryTold):
    """`recipient` is the member or the panel that was not told."""

    channel: str
    recipient: str | None
    contact_id: UUID | None
    device_id: UUID | None


class Device(Struct):
    """`waiting`: presses in its journal that were not taken in; `shown_at`: since when its panel shows what it shows; `refused`: plans
    that it did not believe since it was started. All by its last sign of life, at `seen_at`."""

    id: UUID
    name: str
    state: Literal["paired", "rotating", "revoked"]
    paired_at: datetime
    revoked_at: datetime | None
    keys_at: datetime
    old_keys_until: datetime | None
    uses_new_keys: bool
    seen_at: datetime | None
    last_press_at: datetime | None
    waiting: int | None
    clock: Literal["right", "unknown", "wrong"] | None
    version: str | None
    shown_at: datetime | None
    refused: int | None


class Offer(Struct):
    """A device is admitted under this name when it claims this code, until `ends_at`."""

    name: str
    code: str
    ends_at: datetime


class Rotated(Struct):
    old_keys_until: datetime


class HouseholdTold(Struct):
    id: UUID
    name: str
    zone: str
    lead_days: int
    closed_weekdays: list[Weekday]
    closed_on: list[date]
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
    expired: str
    runs_out_on: date | None
    days_left: int | None
    order_by_on: date | None
    packages: list[Package]
    items: list[StockEntry]
    next_cursor: UUID | None


class Versions(Struct):
    items: list[Schedule]
    next_cursor: None


class AdherenceGroup(Struct):
    """`due` doses had their window; `rate` of them were taken, on time or late. Doses as needed and extra ones stand beside."""

    member: Named | None
    medicine: Named | None
    since_on: date | None
    due: int
    on_time: int
    late: int
    skipped: int
    missed: int
    as_needed: int
    extra: int
    rate: str | None


class Adherence(Struct):
    since_on: date
    until_on: date
    by: str
    items: list[AdherenceGroup]


class History(Struct):
    items: list[Event]
    next_cursor: str | None


class Contacts(Struct):
    items: list[Contact]
    next_cursor: None


class Reminders(Struct):
    items: list[Reminder]
    next_cursor: None
    parked: list[DeliveryParked]


class Members(Struct):
    items: list[Member]
    next_cursor: None


class Devices(Struct):
    items: list[Device]
    next_cursor: None
