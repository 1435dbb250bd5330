"""When a medicine is due: from local times and an IANA zone to instants, and the window around each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON = timedelta(days=8)
"""How far ahead doses become rows; REPLAN leaves a day in which the scheduler may be away."""
REPLAN = timedelta(days=7)

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Step:
    """One line of a schedule: so much at this local time, on these weekdays (0 is Monday)."""

    time: time
    amount: Decimal
    weekdays: frozenset[int] = frozenset(range(7))


@dataclass(frozen=True)
class Version:
    """One dated state of a schedule, in wall-clock time of `zone`; `ends_on` is the last day, None for no end."""

    zone: str
    starts_on: date
    steps: tuple[Step, ...]
    ends_on: date | None = None
    critical: bool = False
    window_minutes: int | None = None


@dataclass(frozen=True)
class Window:
    """A dose may be taken from `opens_at` to `closes_at`, is due from `due_at`, late after `late_at`, missed after it closes."""

    opens_at: datetime
    due_at: datetime
    late_at: datetime
    closes_at: datetime


@dataclass(frozen=True)
class Slot:
    """One planned taking: it belongs to its local day and time, whatever the clocks do."""

    slot_on: date
    slot_time: time
    amount: Decimal
    window: Window


def slots(version: Version, after: datetime, until: datetime) -> list[Slot]:
    """Every slot that falls due in (after, until], by due time. `after` and `until` are aware."""
    width = window_width(version)
    found = [
        Slot(day, step.time, step.amount, _window(due_at, width))
        for day in _days(version, after, until)
        for step in version.steps
        if day.weekday() in step.weekdays and after < (due_at := instant(day, step.time, version.zone)) <= until
    ]
    return sorted(found, key=lambda slot: slot.window.due_at)


def instant(day: date, at: time, zone: str) -> datetime:
    """When this local time is, in UTC. A time in the spring gap: the first valid instant after it; in the autumn
    overlap: the first of the two."""
    first = datetime.combine(day, at, ZoneInfo(zone))
    second = first.replace(fold=1)
    if first.utcoffset() == second.utcoffset() or _exists(first):
        return first.astimezone(UTC)
    return _transition(second.astimezone(UTC), first.astimezone(UTC), ZoneInfo(zone))


def window_width(version: Version) -> timedelta:
    """Half the window around each due time: as the schedule says, else by kind and frequency.

    The defaults follow hospital practice for timely administration (CMS, ISMP): time-critical 30 minutes, daily or rarer
    2 hours, several a day 1 hour, more often than every 4 hours a quarter of the interval.
    """
    if version.window_minutes is not None:
        return timedelta(minutes=version.window_minutes)
    if version.critical:
        return timedelta(minutes=30)
    shortest = _shortest_interval(version.steps)
    if shortest >= _DAY:
        return timedelta(hours=2)
    return timedelta(hours=1) if shortest >= timedelta(hours=4) else shortest / 4


def daily_use(version: Version) -> Decimal:
    """Units per day while the schedule runs, averaged over a week."""
    return sum((step.amount * len(step.weekdays) for step in version.steps), Decimal()) / 7


def today(now: datetime, zone: str) -> date:
    """The local day of `now`."""
    return now.astimezone(ZoneInfo(zone)).date()


def _days(version: Version, after: datetime, until: datetime) -> Iterator[date]:
    """Local days on which something may fall due; one more on each side, for a slot that a clock change moved."""
    day = max(version.starts_on, today(after, version.zone) - _DAY)
    last = min(version.ends_on or date.max, today(until, version.zone) + _DAY)
    while day <= last:
        yield day
        day += _DAY


def _window(due_at: datetime, width: timedelta) -> Window:
    return Window(due_at - width, due_at, due_at + width / 2, due_at + width)


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


def _shortest_interval(steps: Sequence[Step]) -> timedelta:
    """The shortest time between two doses of any week, by the wall clock."""
    minutes = sorted(_of_week(day, step.time) for step in steps for day in step.weekdays)
    if len(minutes) < 2:
        return timedelta(days=7)
    gaps = [later - earlier for earlier, later in pairwise(minutes)]
    return min([*gaps, minutes[0] + timedelta(days=7) - minutes[-1]])


def _of_week(weekday: int, at: time) -> timedelta:
    return timedelta(days=weekday, hours=at.hour, minutes=at.minute, seconds=at.second)
