"""How long the stock lasts, from the schedule as it is; and the day to order by."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate

from dosette.domain.schedules import AS_NEEDED, Version, use_by_day

DAYS_AHEAD = 92
"""Use is projected day by day so far; beyond, at the average of the YEAR that follows."""
YEAR = 364
REFRESH_BELOW = 60
"""A projection that reaches fewer days ahead is made anew."""

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Use:
    """What a schedule will use up: `through_day[n]` units until the end of the n-th local day from `first` on, then
    `daily` units a day, `rest` in all; None: it goes on."""

    first: date
    through_day: tuple[Decimal, ...]
    daily: Decimal
    rest: Decimal | None = None


def projected_use(version: Version, first: date) -> Use | None:
    """None for an as-needed medicine, of which nobody knows what it will need."""
    if version.kind == AS_NEEDED:
        return None
    days = use_by_day(version, first, DAYS_AHEAD + YEAR)
    beyond = (version.ends_on - first).days + 1 - DAYS_AHEAD if version.ends_on else YEAR
    rest = sum(days[DAYS_AHEAD:], Decimal())
    daily = rest / max(1, min(beyond, YEAR))
    return Use(first, tuple(accumulate(days[:DAYS_AHEAD])), daily, rest if beyond < YEAR else None)


def runs_out_on(use: Use, left_after_today: Decimal, today: date) -> date | None:
    """The first local day whose doses the stock does not cover; None when it lasts as long as the schedule.

    `left_after_today` is what is on hand less the doses of today that are still to be taken. `today` is not before
    `use.first`. PostgreSQL's function of the same name says the same; a test holds them together.
    """
    if left_after_today < 0:
        return today
    covered = left_after_today + _through(use, today)
    day = sum(1 for used in use.through_day if used <= covered)
    if day < len(use.through_day):
        return use.first + day * _DAY
    if use.daily == 0 or (use.rest is not None and covered >= use.through_day[-1] + use.rest):
        return None
    return use.first + (day + int((covered - use.through_day[-1]) // use.daily)) * _DAY


def order_by_on(runs_out: date, lead_days: int, closed_weekdays: Collection[int], closed_on: Collection[date]) -> date:
    """The last day on which to order: so many days before the last open day on which it can still be fetched in time.

    Both days are ones on which the pharmacy is open; it is never looked back over more than 31 closed days.
    """

    def open_until(day: date) -> date:
        days = (day - n * _DAY for n in range(32))
        return next((each for each in days if each.weekday() not in closed_weekdays and each not in closed_on), day)

    return open_until(open_until(runs_out - _DAY) - lead_days * _DAY)


def _through(use: Use, day: date) -> Decimal:
    number = (day - use.first).days
    beyond = max(0, number - len(use.through_day) + 1)
    return use.through_day[min(number, len(use.through_day) - 1)] + beyond * use.daily


def cumulative(amounts: Sequence[Decimal]) -> list[int]:
    """As PostgreSQL stores it: whole ten-thousandths of a unit, rounded up so that no stock lasts too long on paper."""
    return [int((amount * 10_000).to_integral_value(rounding="ROUND_CEILING")) for amount in amounts]
