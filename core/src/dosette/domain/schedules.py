"""When a medicine is due: from a schedule's rule to instants, and the window around each."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise, zip_longest

from dosette.domain.zones import instant, local_day, local_time

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FIXED, ELAPSED, AS_NEEDED = "fixed", "elapsed", "as_needed"
LAST_TAKEN, ANCHOR = "last_taken", "anchor"
HORIZON = timedelta(days=8)
"""How far ahead doses become rows; REPLAN leaves a day in which the scheduler may be away."""
REPLAN = timedelta(days=7)

_DAY = timedelta(days=1)
_MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True)
class Step:
    """One line of a schedule: so much, at this local time (None where the rule is not one of local times), on these
    weekdays (0 is Monday), from `starts_on` to `ends_on`: a taper or a titration is a list of dated steps."""

    time: time | None
    amount: Decimal
    weekdays: frozenset[int] = frozenset(range(7))
    starts_on: date | None = None
    ends_on: date | None = None

    def holds_on(self, day: date) -> bool:
        return day.weekday() in self.weekdays and _within(day, self.starts_on, self.ends_on)


@dataclass(frozen=True)
class Pause:
    """Nothing is due from `starts_on` to `ends_on`, both included; None: until the schedule is changed."""

    starts_on: date
    ends_on: date | None = None


@dataclass(frozen=True)
class Version:
    """One dated state of a schedule.

    fixed: at the steps' local times of `zone`; on every day, or on those that at most one of `every_days`, `every_weeks`
    (both counted from `starts_on`) and `month_days` leaves (a day that a month lacks is its last one), and that the cycle
    `days_on`, `days_off` leaves.
    elapsed: every `every_minutes` of real time, counted from `anchor_at`, or from the last dose taken (`counted_from`).
    as_needed: not before `min_gap_minutes` after the last one, and at most `most_per_24_h` units in any 24 hours.
    """

    zone: str
    starts_on: date
    steps: tuple[Step, ...]
    ends_on: date | None = None
    kind: str = FIXED
    critical: bool = False
    window_minutes: int | None = None
    nag_minutes: int | None = None
    every_days: int | None = None
    every_weeks: int | None = None
    month_days: tuple[int, ...] = ()
    days_on: int | None = None
    days_off: int | None = None
    every_minutes: int | None = None
    counted_from: str | None = None
    anchor_at: datetime | None = None
    min_gap_minutes: int | None = None
    most_per_24_h: Decimal | None = None
    pauses: tuple[Pause, ...] = ()

    @property
    def interval(self) -> timedelta:
        """Between two doses of an elapsed schedule."""
        return timedelta(minutes=self.every_minutes or 0)

    def runs_on(self, day: date) -> bool:
        """Whether the schedule is in force on this local day: started, not ended, not paused."""
        paused = any(_within(day, pause.starts_on, pause.ends_on) for pause in self.pauses)
        return _within(day, self.starts_on, self.ends_on) and not paused


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

    @property
    def due_at(self) -> datetime:
        return self.window.due_at


@dataclass(frozen=True)
class Difference:
    """What a change does to the doses to come: `moves` pairs each dose with what it becomes, in time or amount."""

    appear: tuple[Slot, ...]
    moves: tuple[tuple[Slot, Slot], ...]
    vanish: tuple[Slot, ...]
    stay: int


def slots(version: Version, after: datetime, until: datetime, next_at: datetime | None = None) -> list[Slot]:
    """Every slot that falls due in (after, until], by due time. `after` and `until` are aware.

    An elapsed schedule counts on from `next_at`, the next dose after the last one known; without it, from its anchor.
    """
    if version.kind == AS_NEEDED:
        return []
    width = window_width(version)
    found = _elapsed(version, after, until, next_at) if version.kind == ELAPSED else _fixed(version, after, until)
    return sorted(
        (_slot(step, day, due_at, version, width) for step, day, due_at in found), key=lambda slot: slot.due_at
    )


def difference(before: Sequence[Slot], after: Sequence[Slot]) -> Difference:
    """Pairs the doses of each local day in their order: what differs moved, what has no partner appears or vanishes."""
    equal = Counter(map(_what, before)) & Counter(map(_what, after))
    old, new = _by_day(before, equal), _by_day(after, equal)
    pairs = [pair for day in sorted({*old, *new}) for pair in zip_longest(old[day], new[day])]
    return Difference(
        appear=tuple(becomes for was, becomes in pairs if was is None),
        moves=tuple((was, becomes) for was, becomes in pairs if was and becomes),
        vanish=tuple(was for was, becomes in pairs if becomes is None),
        stay=equal.total(),
    )


def window_width(version: Version) -> timedelta:
    """Half the window around each due time: as the schedule says, else by kind and frequency.

    The defaults follow hospital practice for timely administration (CMS, ISMP): time-critical 30 minutes, daily or rarer
    2 hours, several a day 1 hour, more often than every 4 hours a quarter of the interval. Windows of an elapsed schedule
    never reach the next dose's.
    """
    shortest = version.interval if version.kind == ELAPSED else _shortest_interval(version.steps)
    if version.window_minutes is not None:
        width = timedelta(minutes=version.window_minutes)
    elif version.critical:
        width = timedelta(minutes=30)
    elif shortest >= _DAY:
        width = timedelta(hours=2)
    else:
        width = timedelta(hours=1) if shortest >= timedelta(hours=4) else shortest / 4
    return min(width, shortest / 3) if version.kind == ELAPSED else width


def use_by_day(version: Version, first: date, days: int) -> list[Decimal]:
    """Units that fall due on each of `days` local days from `first` on; those of an elapsed schedule are averages."""
    return [_use_on(version, first + n * _DAY) for n in range(days)]


def as_needed_amount(version: Version) -> Decimal | None:
    """What one dose of an as-needed schedule is, unless its giver says otherwise; None for the other kinds."""
    return version.steps[0].amount if version.kind == AS_NEEDED else None


def _use_on(version: Version, day: date) -> Decimal:
    if version.kind == AS_NEEDED or not version.runs_on(day):
        return Decimal()
    if version.kind == FIXED:
        return sum((step.amount for step in _steps_on(version, day)), Decimal())
    step = next((step for step in version.steps if step.holds_on(day)), None)
    return step.amount * _MINUTES_A_DAY / (version.every_minutes or _MINUTES_A_DAY) if step else Decimal()


def _fixed(version: Version, after: datetime, until: datetime) -> Iterator[tuple[Step, date, datetime]]:
    for day in _days(version, after, until):
        for step in _steps_on(version, day):
            due_at = instant(day, step.time or time(), version.zone)
            if after < due_at <= until:
                yield step, day, due_at


def _elapsed(
    version: Version, after: datetime, until: datetime, next_at: datetime | None
) -> Iterator[tuple[Step, date, datetime]]:
    start = (next_at or version.anchor_at or instant(version.starts_on, time(), version.zone)).astimezone(UTC)
    passed = max(0, (after - start) // version.interval + 1) if after >= start else 0
    due_at = start + passed * version.interval
    while due_at <= until:
        day = local_day(due_at, version.zone)
        step = next((step for step in version.steps if step.holds_on(day)), None)
        if step and version.runs_on(day):
            yield step, day, due_at
        due_at += version.interval


def _steps_on(version: Version, day: date) -> list[Step]:
    if not (version.runs_on(day) and _is_a_day_of(version, day)):
        return []
    return [step for step in version.steps if step.holds_on(day)]


def _is_a_day_of(version: Version, day: date) -> bool:
    since = (day - version.starts_on).days
    if version.every_days and since % version.every_days:
        return False
    if version.every_weeks and (_monday(day) - _monday(version.starts_on)).days // 7 % version.every_weeks:
        return False
    if version.month_days and not _is_month_day(day, version.month_days):
        return False
    return not (
        version.days_on and version.days_off and since % (version.days_on + version.days_off) >= version.days_on
    )


def _is_month_day(day: date, month_days: Sequence[int]) -> bool:
    last_of_month = (day + _DAY).day == 1
    return day.day in month_days or (last_of_month and max(month_days) > day.day)


def _monday(day: date) -> date:
    return day - day.weekday() * _DAY


def _days(version: Version, after: datetime, until: datetime) -> Iterator[date]:
    """Local days on which something may fall due; one more on each side, for a slot that a clock change moved."""
    day = max(version.starts_on, local_day(after, version.zone) - _DAY)
    last = min(version.ends_on or date.max, local_day(until, version.zone) + _DAY)
    while day <= last:
        yield day
        day += _DAY


def _slot(step: Step, day: date, due_at: datetime, version: Version, width: timedelta) -> Slot:
    at = step.time or local_time(due_at, version.zone)
    return Slot(day, at, step.amount, _window(due_at, width))


def _window(due_at: datetime, width: timedelta) -> Window:
    return Window(due_at - width, due_at, due_at + width / 2, due_at + width)


def _within(day: date, first: date | None, last: date | None) -> bool:
    return (first is None or day >= first) and (last is None or day <= last)


def _what(slot: Slot) -> tuple[datetime, Decimal]:
    return slot.due_at, slot.amount


def _by_day(slots: Iterable[Slot], but: Counter[tuple[datetime, Decimal]]) -> dict[date, list[Slot]]:
    """Those that are left when `but` are taken away, of which two may be equal: spring may move two to one instant."""
    days: dict[date, list[Slot]] = defaultdict(list)
    away = but.copy()
    for slot in slots:
        if away[_what(slot)] > 0:
            away[_what(slot)] -= 1
        else:
            days[slot.slot_on].append(slot)
    return days


def _shortest_interval(steps: Sequence[Step]) -> timedelta:
    """The shortest time between two doses of any week, by the wall clock, among steps that hold at the same time."""
    begins = {step.starts_on or date.min for step in steps}
    return min(
        _shortest_of_week([step for step in steps if _within(day, step.starts_on, step.ends_on)]) for day in begins
    )


def _shortest_of_week(steps: Sequence[Step]) -> timedelta:
    minutes = sorted(_of_week(day, step.time or time()) for step in steps for day in step.weekdays)
    if len(minutes) < 2:
        return timedelta(days=7)
    gaps = [later - earlier for earlier, later in pairwise(minutes)]
    return min([*gaps, minutes[0] + timedelta(days=7) - minutes[-1]])


def _of_week(weekday: int, at: time) -> timedelta:
    return timedelta(days=weekday, hours=at.hour, minutes=at.minute, seconds=at.second)
