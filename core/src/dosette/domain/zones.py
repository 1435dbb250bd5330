"""Local time and instants: the one place where an IANA zone's rules are applied."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

FIRST_OFFSET = datetime(2000, 1, 1, tzinfo=UTC)
LAST_OFFSET = datetime(2038, 1, 1, tzinfo=UTC)

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


def instant(day: date, at: time, zone: str) -> datetime:
    """When this local time is, in UTC. A time in the spring gap: the first valid instant after it; in the autumn
    overlap: the first of the two."""
    first = datetime.combine(day, at, ZoneInfo(zone))
    second = first.replace(fold=1)
    if first.utcoffset() == second.utcoffset() or _exists(first):
        return first.astimezone(UTC)
    return _transition(second.astimezone(UTC), first.astimezone(UTC), ZoneInfo(zone))


def local_day(at: datetime, zone: str) -> date:
    """The calendar day of `at` in `zone`."""
    return at.astimezone(ZoneInfo(zone)).date()


def local_time(at: datetime, zone: str) -> time:
    """What the wall clock says at `at` in `zone`."""
    return at.astimezone(ZoneInfo(zone)).time()


@cache
def offsets(zone: str) -> tuple[tuple[datetime, timedelta], ...]:
    """Every offset from UTC that the zone has between FIRST_OFFSET and LAST_OFFSET, each with the instant it begins.

    What PostgreSQL needs to name the local day of an instant without a zone's rules of its own.
    """
    rules = ZoneInfo(zone)
    found = [(FIRST_OFFSET, _offset(FIRST_OFFSET, rules))]
    at = FIRST_OFFSET
    while at < LAST_OFFSET:
        later = at + _DAY
        if _offset(later, rules) != _offset(at, rules):
            changed = _transition(at, later, rules)
            found.append((changed, _offset(changed, rules)))
        at = later
    return tuple(found)


def _offset(at: datetime, rules: ZoneInfo) -> timedelta:
    return at.astimezone(rules).utcoffset() or timedelta()


def _exists(local: datetime) -> bool:
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None)


def _transition(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first instant (to the second) in (before, after] at which the zone has its new offset."""
    old = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0) if middle.replace(microsecond=0) > before else middle
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
    return after.replace(microsecond=0)
