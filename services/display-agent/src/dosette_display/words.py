"""How the panel says times, amounts and lists; English, whatever the machine's locale is."""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from dosette.contracts.plan import PlannedDose

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
    "clock_wrong": "Clocks disagree: see the pages.",
    "foreign_job": "A stranger is in the queue.",
    "redis_away": "The server is slow to hear.",
    "backup_failed": "The backup failed.",
    "backup_old": "The backup is too old.",
}
"""What a person at the panel must know of the server, the most urgent first."""
GRAVE = {"restored": "restored: see pages", "could_not_remind": "could not remind", "disk_full": "server disk full"}
"""Of these, what the title says."""


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


def stamp(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """As `day_and_clock`, but `30 Nov` alone: two stamps must fit side by side."""
    far = _days_apart(at, now, zone) >= len(WEEKDAYS)
    return _date(at.astimezone(zone)) if far else day_and_clock(at, now, zone)


def amount(dose: PlannedDose) -> str:
    """`1 tablet`, `0.5 tablet`, `2 puffs`, `5 ml`."""
    number = _plain(dose.amount)
    unit = f"{dose.unit}s" if dose.amount > 1 and dose.unit in COUNTED_UNITS else dose.unit
    return f"{number} {unit}".strip()


def safe_unit(text: str) -> str:
    """A micro sign is too easily read as an m (ISMP's list of error-prone abbreviations): write mcg."""
    return text.replace("\N{MICRO SIGN}g", "mcg").replace("\N{GREEK SMALL LETTER MU}g", "mcg")


def doses(count: int) -> str:
    return "1 dose" if count == 1 else f"{count} doses"


def _days_apart(at: datetime, now: datetime, zone: ZoneInfo) -> int:
    return abs((at.astimezone(zone).date() - now.astimezone(zone).date()).days)


def _date(local: datetime) -> str:
    return f"{local.day} {MONTHS[local.month - 1]}"


def _plain(number: Decimal) -> str:
    """Never `1E+2`, never a trailing zero (1.0 was read as 10)."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
