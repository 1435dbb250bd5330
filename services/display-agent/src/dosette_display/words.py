"""How the panel says times, amounts and lists; English, whatever the machine's locale is."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from dosette.contracts.plan import LowStock, PlannedDose
from dosette.contracts.press import SNOOZE

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
COUNTED_UNITS = frozenset(
    {"tablet", "capsule", "drop", "puff", "unit", "spray", "piece", "sachet", "lozenge", "ampoule"}
)
"""A household writes its own units; only of these the plural is known."""

ALARMS = {
    "restored": "Restored: open doses unknown.",
    "could_not_remind": "Could not remind: see the pages.",
    "disk_full": "The server's disk is full.",
    "not_believed": "Unsigned message refused.",
    "clock_wrong": "Clocks disagree: see the pages.",
    "foreign_job": "A stranger is in the queue.",
    "redis_away": "The server is slow to hear.",
    "backup_failed": "The backup failed.",
    "backup_old": "The backup is too old.",
}
"""What a person at the panel must know of the server, the most urgent first."""
GRAVE = {"restored": "restored: see pages", "could_not_remind": "could not remind", "disk_full": "server disk full"}
"""Of these, what the title says."""

DONE = {"take": "taken", "skip": "skipped"}
"""What a press has made of a dose."""
REASONS = ("Felt unwell", "Side effects", "None left", "Told to by a doctor", "Not needed now", "No reason")
"""Why a dose is skipped, as the menu offers it and history keeps it."""
SNOOZED = f"Snooze {SNOOZE // timedelta(minutes=1)} min"

CANT_SHOW = ("CAN'T SHOW IT", "This page can't be drawn.", "See the pages for what is due.")
"""Title and sentences instead of a page that nobody foresaw."""
CARD_FULL = ("CARD FULL?", "The last press was not saved.", "Ask `dosette-display doctor`.")
"""While the card takes nothing."""
PLAN_REFUSED = ("PLAN REFUSED", "The last plan is not believed.", "If this stays, pair it anew.")
"""While the plan that came last is not signed as it should be, or can't be read; the one before is gone by."""
NOT_ADMITTED = ("NOT ADMITTED", "The server does not let it in.", "Was it taken out? Pair it anew.")
"""While Redis refuses its keys: it was revoked, perhaps, while it was off. Nobody has signed that, so it goes on reminding."""


def clock(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%H:%M")


def day_and_clock(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """`08:00` today, `Tue 08:00` within six days, `30 Nov 08:00` else."""
    local = at.astimezone(zone)
    days = _days_apart(at, now, zone)
    if days == 0:
        return clock(at, zone)
    day = WEEKDAYS[local.weekday()] if days < len(WEEKDAYS) else _date(local)
    return f"{day} {clock(at, zone)}"


def weekday(at: datetime, zone: ZoneInfo) -> str:
    """`Tue 08:00`, whatever day it is now."""
    local = at.astimezone(zone)
    return f"{WEEKDAYS[local.weekday()]} {clock(at, zone)}"


def stamp(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """As `day_and_clock`, but `30 Nov` alone: two stamps must fit side by side."""
    far = _days_apart(at, now, zone) >= len(WEEKDAYS)
    return _date(at.astimezone(zone)) if far else day_and_clock(at, now, zone)


def amount(dose: PlannedDose) -> str:
    """`1 tablet`, `0.5 tablet`, `2 puffs`, `5 ml`."""
    return _counted(dose.amount, dose.unit)


def left(low: LowStock) -> str:
    """`3 days left`, or `2 puffs left` where nobody knows how long they last."""
    if low.days_left is None:
        return f"{_counted(low.left, low.unit)} left"
    return (
        "runs out today" if low.days_left <= 0 else "1 day left" if low.days_left == 1 else f"{low.days_left} days left"
    )


def supply(low: LowStock, today: date) -> str:
    """How long it lasts, and by when to order more."""
    if low.order_by_on is None:
        return left(low)
    on, soon = low.order_by_on, (low.order_by_on - today).days
    day = WEEKDAYS[on.weekday()] if soon < len(WEEKDAYS) else f"{on.day} {MONTHS[on.month - 1]}"
    when = "order now" if soon <= 0 else f"order by {day}"
    return f"{left(low)}, {when}"


def safe_unit(text: str) -> str:
    """A micro sign is too easily read as an m (ISMP's list of error-prone abbreviations): write mcg."""
    return text.replace("\N{MICRO SIGN}g", "mcg").replace("\N{GREEK SMALL LETTER MU}g", "mcg")


def name(text: str) -> str:
    """As it is, or `?` where nothing of it could be seen: a row without a name is nobody's, or of nothing."""
    return text if any(each.isprintable() and not each.isspace() for each in text) else "?"


def doses(count: int) -> str:
    return "1 dose" if count == 1 else f"{count} doses"


def undoing(count: int) -> str:
    return "Undo the last dose" if count == 1 else f"Undo the last {count} doses"


def _counted(number: Decimal, unit: str) -> str:
    plural = f"{unit}s" if number > 1 and unit in COUNTED_UNITS else unit
    return f"{_plain(number)} {plural}".strip()


def _days_apart(at: datetime, now: datetime, zone: ZoneInfo) -> int:
    return abs((at.astimezone(zone).date() - now.astimezone(zone).date()).days)


def _date(local: datetime) -> str:
    return f"{local.day} {MONTHS[local.month - 1]}"


def _plain(number: Decimal) -> str:
    """Never `1E+2`, never a trailing zero (1.0 was read as 10)."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
