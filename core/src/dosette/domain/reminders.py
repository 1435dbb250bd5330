"""The ladder: who is told of what is due, when again, and what the message says, by what is true when it is sent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

from dosette.domain.zones import instant

DOSE, LOW_STOCK, COULD_NOT_REMIND = "dose", "low_stock", "could_not_remind"
BACKUP_OLD, PANEL_SILENT, CLOCK_WRONG, REDIS_AWAY = "backup_old", "panel_silent", "clock_wrong", "redis_away"
DISK_FILLING, DISK_FULL = "disk_filling", "disk_full"
BACKUP_FAILED, RESTORED = "backup_failed", "restored"
FOREIGN_JOB = "foreign_job"
SCHEDULER_AWAY = "scheduler_away"
NOT_BELIEVED, TIME_UNSURE = "not_believed", "time_unsure"
ALARMS = (
    LOW_STOCK,
    COULD_NOT_REMIND,
    RESTORED,
    DISK_FULL,
    BACKUP_OLD,
    BACKUP_FAILED,
    PANEL_SILENT,
    CLOCK_WRONG,
    REDIS_AWAY,
    SCHEDULER_AWAY,
    DISK_FILLING,
    FOREIGN_JOB,
    NOT_BELIEVED,
    TIME_UNSURE,
)

NAG = timedelta(minutes=15)
NAG_CRITICAL = timedelta(minutes=5)
MOST_TELLINGS = 12
"""Of one dose while its window is open: the levels of the ladder are told all the same."""
TOLD_WHEN_MISSED = timedelta(days=7)
"""After a longer outage a missed dose is in history only."""
ALARM_AGAIN = {LOW_STOCK: timedelta(days=3), COULD_NOT_REMIND: timedelta(hours=6), RESTORED: timedelta(hours=1)}
ALARM_AGAIN_ELSE = timedelta(days=1)
PENDING, MISSED = "pending", "missed"

_URGENT = frozenset({COULD_NOT_REMIND, DISK_FULL, RESTORED})
_ITEMS_SHOWN = 12


@dataclass(frozen=True)
class Contact:
    """One way to tell one person."""

    id: str
    channel: str


def is_quiet(quiet_from: time | None, quiet_until: time | None, now: datetime, zone: str) -> bool:
    """Whether `now` lies in these quiet hours; None: there are none. They may span midnight."""
    if quiet_from is None or quiet_until is None:
        return False
    at = now.astimezone(ZoneInfo(zone)).time()
    if quiet_from > quiet_until:
        return at >= quiet_from or at < quiet_until
    return quiet_from <= at < quiet_until


@dataclass(frozen=True)
class Person:
    """Somebody who may be told. `quiet_from` to `quiet_until` are local times between which nobody wakes them."""

    id: str
    contacts: tuple[Contact, ...] = ()
    admin: bool = False
    second_id: str | None = None
    third_id: str | None = None
    quiet_from: time | None = None
    quiet_until: time | None = None

    def quiet_ends(self, now: datetime, zone: str) -> datetime | None:
        """When the quiet hours end in which `now` lies; None when it lies in none. In the night in which an hour comes twice they
        end once, the first time."""
        if self.quiet_until is None or not is_quiet(self.quiet_from, self.quiet_until, now, zone):
            return None
        local = now.astimezone(ZoneInfo(zone))
        day = local.date() + timedelta(days=1 if local.time() >= self.quiet_until else 0)
        ends = instant(day, self.quiet_until, zone)
        return ends if ends > now else None


@dataclass(frozen=True)
class Reminder:
    """Something due to be told. A dose has a window; an alarm has none. `member_id` None: it concerns the household."""

    id: str
    kind: str = DOSE
    member_id: str | None = None
    due_at: datetime | None = None
    late_at: datetime | None = None
    closes_at: datetime | None = None
    status: str = PENDING
    critical: bool = False
    nag_minutes: int | None = None
    tellings: int = 0
    claimed_by: str | None = None

    @property
    def urgent(self) -> bool:
        """Passes quiet hours, and goes first."""
        return self.critical or self.kind in _URGENT

    @property
    def nag(self) -> timedelta:
        if self.nag_minutes is not None:
            return timedelta(minutes=self.nag_minutes)
        return NAG_CRITICAL if self.critical else NAG


@dataclass(frozen=True)
class Home:
    """A household as the ladder sees it. `told_this_minute` holds the contacts that were sent something in this minute."""

    id: str
    zone: str
    people: tuple[Person, ...]
    panels: tuple[str, ...] = ()
    told_this_minute: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Delivery:
    """One message to be sent to one contact or panel."""

    channel: str
    reminder_ids: tuple[str, ...]
    urgent: bool
    contact_id: str | None = None
    device_id: str | None = None


@dataclass(frozen=True)
class Step:
    """What becomes of a reminder after this telling: when it is told again (None: never), and why it was not told now."""

    reminder_id: str
    told: bool
    next_at: datetime | None
    reason: str | None = None


@dataclass(frozen=True)
class Telling:
    """What is to be done about all that is due in one household."""

    deliveries: tuple[Delivery, ...]
    steps: tuple[Step, ...]


def tell(home: Home, due: Sequence[Reminder], now: datetime) -> Telling:
    """Decides for all reminders of a household that are due: each person gets one message with all that concerns them."""
    by_contact: dict[Contact, list[Reminder]] = {}
    steps = []
    for reminder in sorted(due, key=_order):
        step = _climb(home, reminder, by_contact, now)
        steps.append(step)
    told = {step.reminder_id for step in steps if step.told}
    messages = [
        Delivery(contact.channel, tuple(each.id for each in about), any(each.urgent for each in about), contact.id)
        for contact, about in by_contact.items()
    ]
    first = [each for each in sorted(due, key=_order) if each.id in told and each.kind == DOSE and each.tellings == 0]
    open_ones = tuple(each.id for each in first if each.status == PENDING)
    shown = [
        Delivery("panel", open_ones, any(each.urgent for each in first), device_id=panel)
        for panel in home.panels
        if open_ones
    ]
    return Telling((*messages, *shown), tuple(steps))


def second_at(late_at: datetime) -> datetime:
    """When the second person is told."""
    return late_at


def third_at(late_at: datetime, closes_at: datetime) -> datetime:
    """When the third person is told: half of the time that is left when it is late."""
    return late_at + (closes_at - late_at) / 2


def _order(reminder: Reminder) -> tuple[bool, datetime | None, str]:
    """Time-critical first, then by due time."""
    return not reminder.urgent, reminder.due_at or _NEVER, reminder.id


def _climb(home: Home, reminder: Reminder, by_contact: dict[Contact, list[Reminder]], now: datetime) -> Step:
    if reminder.kind == DOSE and reminder.status not in (PENDING, MISSED):
        return Step(reminder.id, False, None, reminder.status)
    if reminder.closes_at and reminder.status == PENDING and now > reminder.closes_at:
        return Step(reminder.id, False, now + timedelta(seconds=1))  # about to be closed as missed, which is then told
    if reminder.closes_at and now > reminder.closes_at + TOLD_WHEN_MISSED:
        return Step(reminder.id, False, None, "missed long ago")
    people = _concerned(home, reminder, now)
    waking = {person.id: person.quiet_ends(now, home.zone) for person in people if not reminder.urgent}
    awake = [person for person in people if not waking.get(person.id)]
    contacts = [contact for person in awake for contact in person.contacts]
    shown = bool(home.panels) and reminder.kind == DOSE and reminder.status == PENDING
    if not reminder.urgent and any(contact.id in home.told_this_minute for contact in contacts):
        return Step(reminder.id, False, now.replace(second=0, microsecond=0) + timedelta(minutes=1))
    for contact in contacts:
        by_contact.setdefault(contact, []).append(reminder)
    wakes_at = min((at for person in people if person.contacts and (at := waking.get(person.id))), default=None)
    if contacts or shown:
        return Step(reminder.id, True, _next(reminder, now, wakes_at))
    if wakes_at is not None:
        return Step(reminder.id, False, _next(reminder, now, wakes_at), "quiet hours")
    return Step(reminder.id, False, _next(reminder, now, None), "nobody to tell")


def _concerned(home: Home, reminder: Reminder, now: datetime) -> list[Person]:
    """Who is told now: the member, later the second and third person; who has claimed it, alone; of alarms the admins."""
    people = {person.id: person for person in home.people}
    admins = [person for person in home.people if person.admin]
    member = people.get(reminder.member_id or "")
    if member is None:
        return admins
    others = [people[each] for each in (member.second_id, member.third_id) if each in people]
    if reminder.kind != DOSE:
        return [member] if member.contacts else [each for each in others if each.contacts][:1] or admins
    if reminder.status == PENDING and reminder.claimed_by in people:
        return [people[reminder.claimed_by]]
    level = _level(reminder, now)
    if not member.contacts and level == 1 and others:
        level = 2  # a child without a phone
    return [member, *others[: level - 1]]


def _level(reminder: Reminder, now: datetime) -> int:
    if reminder.status == MISSED:
        return 3
    if reminder.late_at is None or reminder.closes_at is None or now < second_at(reminder.late_at):
        return 1
    return 3 if now >= third_at(reminder.late_at, reminder.closes_at) else 2


def _next(reminder: Reminder, now: datetime, wakes_at: datetime | None) -> datetime | None:
    """When this reminder is to be told again: the next nag, the next person, the end of quiet hours; when the window has ended,
    that it was missed."""
    if reminder.kind != DOSE:
        again = now + ALARM_AGAIN.get(reminder.kind, ALARM_AGAIN_ELSE)
        return min(again, wakes_at) if wakes_at else again
    if reminder.status == MISSED or reminder.late_at is None or reminder.closes_at is None:
        return wakes_at
    moments = [second_at(reminder.late_at), third_at(reminder.late_at, reminder.closes_at)]
    if reminder.tellings + 1 < MOST_TELLINGS:
        moments.append(_whole_minute(now + reminder.nag))
    if wakes_at:
        moments.append(wakes_at)
    coming = [moment for moment in moments if now < moment < reminder.closes_at]
    return min(coming, default=reminder.closes_at + timedelta(seconds=1))


def _whole_minute(at: datetime) -> datetime:
    """The nearest: doses fall due on whole minutes, and a nag then shares their message."""
    return (at + timedelta(seconds=30)).replace(second=0, microsecond=0)


# What a message says


@dataclass(frozen=True)
class Item:
    """One thing that a message tells. `medicine`, `strength`, `amount` are None unless its member lets messages name them."""

    reminder_id: str
    kind: str = DOSE
    member: str | None = None
    status: str = PENDING
    dose_id: str | None = None
    due_at: datetime | None = None
    late_at: datetime | None = None
    closes_at: datetime | None = None
    medicine: str | None = None
    strength: str | None = None
    amount: Decimal | None = None
    unit: str | None = None
    about: str | None = None
    day: str | None = None
    critical: bool = False

    def wording(self, now: datetime) -> str:
        """due, late or missed, by the dose's window at this moment; an alarm's kind."""
        if self.kind != DOSE:
            return self.kind
        if self.status == MISSED:
            return MISSED
        return "late" if self.late_at and now > self.late_at else "due"

    @property
    def cannot_wait(self) -> bool:
        """Time-critical, and not too late for it."""
        return self.critical and self.status == PENDING


@dataclass(frozen=True)
class Wording:
    """`kind` is the most urgent of what is told."""

    kind: str
    text: str


def wording(items: Sequence[Item], zone: str, now: datetime, clock_doubted: bool = False) -> Wording:
    """All of a message, what is time-critical first. No medicine is named unless its member chose so: others may read a locked phone.

    While the clock is doubted, nothing is called due or late.
    """
    rows = sorted(items, key=lambda item: (*_place(item, now), item.due_at or _NEVER))
    lines = [
        _line(list(group), zone, now, clock_doubted) for _, group in groupby(rows, key=lambda item: _place(item, now))
    ]
    kind = rows[0].wording(now)
    return Wording("planned" if clock_doubted and kind in ("due", "late") else kind, "\n".join(lines))


def _place(item: Item, now: datetime) -> tuple[bool, int, str, str]:
    """Where it stands in a message; what has one place shares a line."""
    kind = item.wording(now)
    return not item.cannot_wait, _RANK.get(kind, len(_RANK)), kind, item.member or ""


_NEVER = datetime.max.replace(tzinfo=ZoneInfo("UTC"))
_RANK = {
    "due": 0,
    "late": 1,
    RESTORED: 2,
    COULD_NOT_REMIND: 3,
    DISK_FULL: 4,
    MISSED: 5,
    TIME_UNSURE: 6,
    NOT_BELIEVED: 7,
    CLOCK_WRONG: 8,
    PANEL_SILENT: 9,
    FOREIGN_JOB: 10,
    SCHEDULER_AWAY: 11,
    REDIS_AWAY: 12,
    BACKUP_FAILED: 13,
    BACKUP_OLD: 14,
}
_ALARM_TEXTS = {
    COULD_NOT_REMIND: "Dosette could not remind of a dose: look at the reminders in the pages",
    BACKUP_OLD: "the last backup is older than 26 hours: look why none was made since",
    BACKUP_FAILED: "the last backup could not be made, or could not be restored for trial: look at the log of the service backup",
    RESTORED: "Dosette was restored from a backup and does not know what was taken since: say it for the doses that are unknown, "
    "also what was taken as needed, then release the rest by dismissing this",
    CLOCK_WRONG: "the clocks of the server and of a panel disagree by more than a minute: look which one is wrong",
    DISK_FILLING: "the server's disk is more than 85 % full: make room before doses can't be saved any more",
    DISK_FULL: "the server's disk is more than 95 % full: make room now, or doses can't be saved",
    FOREIGN_JOB: "somebody put a job into the server's queue that is none of Dosette's; it was refused: look who reaches Redis",
    SCHEDULER_AWAY: "the scheduler does nothing: reminders go on for a week at most, panels don't hear of changes: look at its log",
    REDIS_AWAY: "Redis is out of reach: reminders go on more slowly, panels don't hear of changes",
}
_PANEL_TEXTS = {
    PANEL_SILENT: "no sign of life from {} for more than five minutes: is it powered, is its network up?",
    NOT_BELIEVED: "what came from or for {} was not signed as it should be and was refused: if this goes on, pair it anew",
    TIME_UNSURE: "a button was pressed at {} while its clock was not set: look in history at which time it counts, and correct it",
}


def _line(items: list[Item], zone: str, now: datetime, doubted: bool) -> str:
    kind, member = items[0].wording(now), items[0].member
    if kind in ("due", "late", MISSED):
        mark = " (time-critical)" if items[0].cannot_wait else ""
        return _dose_line(kind, member or "", items, zone, now, doubted) + mark
    if kind == LOW_STOCK:
        return f"{member}: {_low(items)}"
    if kind in _PANEL_TEXTS:
        return _PANEL_TEXTS[kind].format(_joined(item.about or "" for item in items))
    return _ALARM_TEXTS.get(kind, kind)


def _dose_line(kind: str, member: str, items: list[Item], zone: str, now: datetime, doubted: bool) -> str:
    times = _joined(dict.fromkeys(_when(item.due_at, zone, now) for item in items if item.due_at))
    named = _joined(_named(item) for item in items if item.medicine)
    unnamed = sum(item.medicine is None for item in items)
    what = f"{named} and {_medicines(unnamed)}" if named and unnamed else named or f"the {_medicines(unnamed)}"
    if kind == MISSED:
        return f"{member}: {what} of {times} {_was(items)} missed"
    if doubted:
        return f"{member}: {what} of {times}, as planned; the clock is in doubt"
    if kind == "late":
        return f"{member}: {what} of {times} {_has(items)} not been taken yet"
    return f"{member}: time for {what} of {times}"


def _low(items: list[Item]) -> str:
    named = _joined(item.medicine for item in items if item.medicine)
    days = sorted(item.day for item in items if item.day)
    by = f", order by {days[0]}" if days else ""
    return f"{named or _medicines(len(items), 'a ')} {'is' if len(items) == 1 else 'are'} running low{by}"


def _named(item: Item) -> str:
    amount = f", {format(item.amount.normalize(), 'f')} {item.unit}" if item.amount is not None else ""
    return f"{item.medicine} {item.strength}{amount}".strip()


def _medicines(count: int, one: str = "") -> str:
    return f"{one}medicine" if count == 1 else f"{count} medicines"


def _was(items: list[Item]) -> str:
    return "was" if len(items) == 1 else "were"


def _has(items: list[Item]) -> str:
    return "has" if len(items) == 1 else "have"


def _when(at: datetime, zone: str, now: datetime) -> str:
    local, today = at.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone)).date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%a %H:%M}"


def _joined(words: Iterable[str]) -> str:
    found = list(words)
    if len(found) > _ITEMS_SHOWN:
        found = [*found[:_ITEMS_SHOWN], f"{len(found) - _ITEMS_SHOWN} more"]
    return " and ".join(filter(None, (", ".join(found[:-1]), found[-1]))) if found else ""
