"""How long the stock lasts, from the schedule as it is; and the day to order by."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate

from dosette.domain.schedules import AS_NEEDED, Version, use_by_day

DAYS_AHEAD, WEEKS_AHEAD = 92, 52
"""Use is projected day by day, then week by week; beyond, at the average of those weeks."""
REFRESH_BELOW = 60
"""A projection that reaches fewer days ahead is made anew."""

FURTHEST_DAYS = 1_000_000
"""Nobody's calendar goes further: a stock that lasts longer lasts so long."""
_DAY = timedelta(days=1)
_WEEK = 7 * _DAY


@dataclass(frozen=True)
class Use:
    """What a schedule will use up: `through_day[n]` units until the end of the n-th local day from `first` on,
    `through_week[n]` until the end of the n-th week after those days, then `daily` units a day."""

    first: date
    through_day: tuple[Decimal, ...]
    through_week: tuple[Decimal, ...]
    daily: Decimal

    @property
    def through(self) -> tuple[Decimal, ...]:
        return self.through_day + self.through_week

    def week(self, place: int) -> Decimal:
        """What is used in the week that ends at this place of `through`, which is no earlier than the last single day."""
        before = place - (7 if place < len(self.through_day) else 1)
        return self.through[place] - self.through[before]

    def day(self, place: int) -> date:
        """The day, or the first of the week, that stands at this place of `through`."""
        beyond = max(0, place - len(self.through_day))
        return self.first + (place - beyond) * _DAY + beyond * _WEEK


def projected_use(version: Version, first: date) -> Use | None:
    """None for an as-needed medicine, of which nobody knows what it will need."""
    if version.kind == AS_NEEDED:
        return None
    days = list(accumulate(use_by_day(version, first, DAYS_AHEAD + 7 * WEEKS_AHEAD)))
    last = first + (len(days) - 1) * _DAY
    daily = (days[-1] - days[DAYS_AHEAD - 1]) / (7 * WEEKS_AHEAD) if _goes_on(version, last) else Decimal()
    return Use(first, tuple(days[:DAYS_AHEAD]), tuple(days[DAYS_AHEAD + 6 :: 7]), daily)


def runs_out_on(use: Use, left_after_today: Decimal, today: date) -> date | None:
    """The first local day whose doses the stock does not cover; None when it lasts as long as the schedule. Beyond three months
    a week's use counts as spread evenly over its days, at its own rate or that of the week before, whichever is faster.

    `left_after_today` is what is on hand less the doses of today that are still to be taken. `today` is not before
    `use.first`. PostgreSQL's function of the same name says the same; a test holds them together.
    """
    if left_after_today < 0:
        return today
    covered = left_after_today + _through(use, today)
    place = sum(1 for used in use.through if used <= covered)
    if place < len(use.through_day):
        return use.day(place)
    if place < len(use.through):
        of_week = (covered - use.through[place - 1]) * 7 // max(use.week(place), use.week(place - 1))
        return use.day(place) + int(of_week) * _DAY
    if use.daily == 0:
        return None
    return use.day(place) + min(int((covered - use.through[-1]) // use.daily), FURTHEST_DAYS) * _DAY


def order_by_on(runs_out: date, lead_days: int, closed_weekdays: Collection[int], closed_on: Collection[date]) -> date:
    """The last day on which to order: so many days before the last open day on which it can still be fetched in time.

    Both days are ones on which the pharmacy is open; it is never looked back over more than 31 closed days.
    """

    def open_until(day: date) -> date:
        days = (day - n * _DAY for n in range(32))
        return next((each for each in days if each.weekday() not in closed_weekdays and each not in closed_on), day)

    return open_until(open_until(runs_out - _DAY) - lead_days * _DAY)


def cumulative(amounts: Sequence[Decimal]) -> list[int]:
    """As PostgreSQL stores it: whole ten-thousandths of a unit, rounded up so that no stock lasts too long on paper."""
    return [int((amount * 10_000).to_integral_value(rounding="ROUND_CEILING")) for amount in amounts]


def _goes_on(version: Version, last: date) -> bool:
    """Whether something is still to be taken after that day."""
    ended = version.ends_on is not None and version.ends_on <= last
    stopped = any(pause.ends_on is None and pause.starts_on <= last + _DAY for pause in version.pauses)
    return not (ended or stopped) and any(step.ends_on is None or step.ends_on > last for step in version.steps)


def _through(use: Use, day: date) -> Decimal:
    number = (day - use.first).days
    beyond = max(0, number - len(use.through_day) + 1)
    return use.through_day[min(number, len(use.through_day) - 1)] + beyond * use.daily
