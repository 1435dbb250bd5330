"""How long the stock lasts, held against taking each planned dose from it, day by day."""

from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dosette.domain.schedules import AS_NEEDED, ELAPSED, Pause, Step, Version, slots
from dosette.domain.stock import DAYS_AHEAD, WEEKS_AHEAD, cumulative, order_by_on, projected_use, runs_out_on
from dosette.testing import NOON, a_step, a_version

DAY = timedelta(days=1)
TODAY = NOON.date()
LAST_PROJECTED = TODAY + (DAYS_AHEAD - 1) * DAY

derandomised = settings(derandomize=True, deadline=None, max_examples=150)

amounts = st.sampled_from((Decimal("0.5"), Decimal(1), Decimal(2))) | st.decimals("0.01", 5, places=2)
stocks = st.integers(0, 60).map(Decimal) | st.decimals(0, 300, places=2)
zones = st.sampled_from(("UTC", "Europe/Berlin", "America/Santiago", "America/Nuuk", "Pacific/Chatham"))
near_days = st.integers(-30, 80).map(lambda n: TODAY + n * DAY)


def a_taper(amounts: list[Decimal], days_each: int) -> tuple[Step, ...]:
    """From today on, each amount for so many days."""
    begins = [TODAY + n * days_each * DAY for n in range(len(amounts))]
    return tuple(
        a_step(amount=str(amount), starts_on=begin, ends_on=begin + (days_each - 1) * DAY)
        for amount, begin in zip(amounts, begins, strict=True)
    )


daily = st.builds(
    lambda minutes, amount: tuple(a_step(f"{n // 60:02}:{n % 60:02}", str(amount)) for n in minutes),
    st.lists(st.integers(0, 24 * 60 - 1), min_size=1, max_size=3, unique=True),
    amounts,
)
weekly = st.builds(
    lambda amount, weekdays: (a_step(amount=str(amount), weekdays=weekdays),),
    amounts,
    st.frozensets(st.integers(0, 6), min_size=1),
)
tapers = st.builds(a_taper, st.lists(amounts, min_size=1, max_size=6), st.integers(1, 20))
rules: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"days_on": st.integers(1, 28), "days_off": st.integers(1, 28)}),
    st.fixed_dictionaries({"every_days": st.integers(1, 20)}),
    st.fixed_dictionaries({"every_weeks": st.integers(1, 4)}),
    st.fixed_dictionaries({"month_days": st.sets(st.integers(1, 31), min_size=1, max_size=3).map(tuple)}),
)


@st.composite
def versions(draw: st.DrawFn) -> Version:
    """Fixed times, tapers and cycles; past, running and to come; ending before the days projected do, or never."""
    starts_on = draw(near_days)
    ends_on = draw(st.none() | st.dates(starts_on, LAST_PROJECTED))
    pauses = draw(
        st.just(()) | st.builds(lambda first, n: (Pause(first, first + n * DAY),), near_days, st.integers(0, 20))
    )
    facts = draw(rules) | {"steps": draw(daily | weekly | tapers), "zone": draw(zones)}
    return a_version(starts_on=starts_on, ends_on=ends_on, pauses=pauses, **facts)


@derandomised
@given(version=versions())
def test_the_projection_adds_up_the_doses_of_each_local_day(version: Version):
    used = _used_by_day(version, TODAY, DAYS_AHEAD)

    use = projected_use(version, TODAY)

    assert use is not None
    assert use.through_day == tuple(accumulate(used))


@derandomised
@given(version=versions())
def test_beyond_it_the_projection_adds_up_the_doses_of_each_week(version: Version):
    used = list(accumulate(_used_by_day(version, TODAY, DAYS_AHEAD + 7 * WEEKS_AHEAD)))

    use = projected_use(version, TODAY)

    assert use is not None
    assert use.through_week == tuple(used[DAYS_AHEAD + 6 :: 7])
    assert use.daily in (0, (used[-1] - used[DAYS_AHEAD - 1]) / (7 * WEEKS_AHEAD))


@derandomised
@given(version=versions(), left=stocks)
def test_it_runs_out_on_the_first_day_whose_doses_can_not_all_be_taken(version: Version, left: Decimal):
    expected = _first_day_not_covered(version, left, TODAY, LAST_PROJECTED)

    found = _runs_out(version, left)

    assert _within_projection(found) == expected


@derandomised
@given(version=versions(), left=stocks, passed=st.integers(0, 60))
def test_an_earlier_projection_says_the_same_on_a_later_day(version: Version, left: Decimal, passed: int):
    use = projected_use(version, TODAY)
    later = TODAY + passed * DAY
    expected = _first_day_not_covered(version, left, later, LAST_PROJECTED)

    assert use is not None
    assert _within_projection(runs_out_on(use, left, later)) == expected


@derandomised
@given(version=versions(), left=stocks)
def test_with_more_it_never_runs_out_earlier(version: Version, left: Decimal):
    less, more = _runs_out(version, left), _runs_out(version, left + Decimal("0.01"))

    assert (less or date.max) <= (more or date.max)


@derandomised
@given(steps=daily, zone=zones, days=st.integers(0, 2000), rest=st.integers(0, 99))
def test_more_stock_than_the_projection_of_a_daily_dose_is_counted_to_the_day(
    steps: tuple[Step, ...], zone: str, days: int, rest: int
):
    a_day = sum((step.amount for step in steps), Decimal())

    found = _runs_out(a_version(steps=steps, zone=zone), a_day * days + a_day * rest / 100)

    assert found == TODAY + (days + 1) * DAY


@derandomised
@given(steps=weekly, left=st.decimals(0, 1500, places=2))
def test_more_stock_than_the_projection_of_a_weekly_dose_is_right_to_the_week(steps: tuple[Step, ...], left: Decimal):
    version = a_version(steps=steps)
    expected = _first_day_not_covered(version, min(left, 100 * steps[0].amount), TODAY, TODAY + 1100 * DAY)

    found = _runs_out(version, min(left, 100 * steps[0].amount))

    assert found is not None
    assert expected is not None
    assert abs(found - expected) <= 7 * DAY


@derandomised
@given(steps=daily, ends_in=st.integers(0, DAYS_AHEAD - 1), spare=stocks)
def test_stock_that_outlasts_the_schedule_never_runs_out(steps: tuple[Step, ...], ends_in: int, spare: Decimal):
    version = a_version(steps=steps, ends_on=TODAY + ends_in * DAY)
    needed = sum(_used_by_day(version, TODAY + DAY, DAYS_AHEAD))

    assert _runs_out(version, needed + spare) is None


@pytest.mark.parametrize("ends_in", [DAYS_AHEAD, 120, 300])
def test_stock_that_outlasts_a_schedule_that_ends_within_the_year_after_never_runs_out(ends_in: int):
    version = a_version(ends_on=TODAY + ends_in * DAY)

    assert _runs_out(version, Decimal(ends_in)) is None


@pytest.mark.parametrize(("ends_in", "left"), [(DAYS_AHEAD, DAYS_AHEAD - 1), (120, 110), (300, 299)])
def test_stock_that_lacks_some_of_a_schedule_that_ends_within_the_year_after_runs_out_on_its_day(
    ends_in: int, left: int
):
    version = a_version(ends_on=TODAY + ends_in * DAY)

    assert _runs_out(version, Decimal(left)) == TODAY + (left + 1) * DAY


def _until_day(last: int) -> tuple[Step, ...]:
    return (a_step(ends_on=TODAY + last * DAY),)


@pytest.mark.parametrize(
    ("facts", "left", "expected"),
    [
        ({"steps": _until_day(120)}, 150, None),
        ({"steps": _until_day(120)}, 110, 111),
        ({"pauses": (Pause(TODAY + 120 * DAY),)}, 150, None),
        ({"starts_on": TODAY + 200 * DAY}, 0, 200),
        ({"ends_on": TODAY + 455 * DAY}, 455, None),
        ({"ends_on": TODAY + 455 * DAY}, 454, 455),
    ],
    ids=[
        "taper ended",
        "taper runs out",
        "paused for good",
        "starts late",
        "ends with the projection",
        "lacks the last",
    ],
)
def test_far_ahead_a_course_is_what_its_dates_say(facts: dict[str, Any], left: int, expected: int | None):
    day = None if expected is None else TODAY + expected * DAY
    found = _runs_out(a_version(**facts), Decimal(left))

    assert found is day is None or (
        found is not None and day is not None and abs(found - day) < 7 * DAY and found <= day
    )


@derandomised
@given(steps=daily, ends_in=st.integers(1, DAYS_AHEAD - 1))
def test_stock_that_lacks_the_least_bit_runs_out_on_the_last_day(steps: tuple[Step, ...], ends_in: int):
    version = a_version(steps=steps, ends_on=TODAY + ends_in * DAY)
    needed = sum(_used_by_day(version, TODAY + DAY, DAYS_AHEAD))

    assert _runs_out(version, needed - Decimal("0.01")) == version.ends_on


def test_a_schedule_to_come_uses_nothing_until_it_starts():
    version = a_version(starts_on=TODAY + 20 * DAY)

    assert _runs_out(version, Decimal(0)) == TODAY + 20 * DAY
    assert _runs_out(version, Decimal(5)) == TODAY + 25 * DAY


def test_a_schedule_that_has_ended_uses_nothing():
    version = a_version(ends_on=TODAY - DAY)

    assert _runs_out(version, Decimal(0)) is None


def test_with_nothing_left_after_today_it_runs_out_on_the_next_day_with_a_dose():
    sundays = a_version(steps=(a_step(weekdays=frozenset({6})),))

    assert _runs_out(a_version(), Decimal(0)) == TODAY + DAY
    assert _runs_out(sundays, Decimal(0)) == date(2026, 3, 8)


@derandomised
@given(version=versions(), lacking=st.decimals("0.01", 100, places=2), passed=st.integers(0, 60))
def test_what_does_not_cover_today_runs_out_today(version: Version, lacking: Decimal, passed: int):
    use = projected_use(version, TODAY)
    later = TODAY + passed * DAY

    assert use is not None
    assert runs_out_on(use, -lacking, later) == later


def test_a_dose_partly_covered_is_not_covered():
    version = a_version(steps=(a_step(amount="2"),))

    assert _runs_out(version, Decimal("3.99")) == TODAY + 2 * DAY
    assert _runs_out(version, Decimal(4)) == TODAY + 3 * DAY


@pytest.mark.parametrize("changes_on", [date(2026, 3, 29), date(2026, 10, 25)], ids=["spring", "autumn"])
def test_the_day_on_which_the_clocks_change_uses_as_much_as_any_other(changes_on: date):
    version = a_version("00:00", "02:30", "23:30")

    use = projected_use(version, changes_on - DAY)

    assert use is not None
    assert [int(used) for used in use.through_day[:3]] == [3, 6, 9]


def test_nobody_knows_what_an_as_needed_medicine_will_need():
    assert projected_use(a_version(kind=AS_NEEDED, steps=(Step(None, Decimal(1)),)), TODAY) is None


@derandomised
@given(every_minutes=st.integers(30, 3000), amount=amounts, anchor=st.integers(0, 3000))
def test_an_elapsed_schedule_is_projected_at_its_average_to_within_one_dose(
    every_minutes: int, amount: Decimal, anchor: int
):
    first = datetime.combine(TODAY, time(), UTC)
    facts = {"kind": ELAPSED, "every_minutes": every_minutes, "anchor_at": first - timedelta(minutes=anchor)}
    version = a_version(zone="UTC", steps=(Step(None, amount),), **facts)
    used = accumulate(_used_by_day(version, TODAY, DAYS_AHEAD))

    use = projected_use(version, TODAY)

    assert use is not None
    assert all(abs(each - one) <= amount for each, one in zip(use.through_day, used, strict=True))
    assert abs(use.daily - amount * 24 * 60 / every_minutes) < Decimal("1e-20")


@derandomised
@given(through=st.lists(st.decimals(0, 5, places=6), min_size=1, max_size=30))
def test_use_is_stored_rounded_up_and_by_less_than_a_ten_thousandth(through: list[Decimal]):
    stored = [Decimal(each) / 10_000 for each in cumulative(through)]

    assert all(0 <= rounded - each < Decimal("0.0001") for rounded, each in zip(stored, through, strict=True))


# -- ordering


@derandomised
@given(
    runs_out=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    lead_days=st.integers(0, 40),
    closed_weekdays=st.frozensets(st.integers(0, 6), max_size=6),
    closures=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 2)), max_size=2),
)
def test_order_by_the_last_open_day_from_which_it_can_be_fetched_before_it_runs_out(
    runs_out: date, lead_days: int, closed_weekdays: frozenset[int], closures: list[tuple[int, int]]
):
    closed_on = {runs_out - (first + n) * DAY for first, length in closures for n in range(length + 1)}

    found = order_by_on(runs_out, lead_days, closed_weekdays, closed_on)

    assert found == _last_that_works(runs_out, lead_days, closed_weekdays, closed_on)


def test_without_lead_or_closed_days_order_on_the_day_before():
    assert order_by_on(date(2026, 3, 10), 0, (), ()) == date(2026, 3, 9)


def test_order_before_holidays_on_both_ends_of_the_lead():
    closed = {date(2026, 4, 3), date(2026, 4, 6)}  # Good Friday and Easter Monday

    found = order_by_on(date(2026, 4, 7), 2, {5, 6}, closed)

    assert found == date(2026, 3, 31)  # fetched on Thursday 2 April


def test_a_pharmacy_that_never_opens_is_not_looked_for_in_vain():
    assert order_by_on(date(2026, 3, 10), 3, range(7), ()) == date(2026, 3, 6)


# -- the stock, day by day


def _runs_out(version: Version, left: Decimal) -> date | None:
    use = projected_use(version, TODAY)
    assert use is not None
    return runs_out_on(use, left, TODAY)


def _within_projection(day: date | None) -> date | None:
    """None for the days beyond, of which only the average is known."""
    return day if day and day <= LAST_PROJECTED else None


def _first_day_not_covered(version: Version, left: Decimal, today: date, last: date) -> date | None:
    """The day after `today`, until `last`, on which the doses of the day need more than is left."""
    days = (last - today).days
    for number, needed in enumerate(_used_by_day(version, today + DAY, days)):
        if needed > left:
            return today + (number + 1) * DAY
        left -= needed
    return None


def _used_by_day(version: Version, first: date, days: int) -> list[Decimal]:
    """What the doses of each local day need, from the doses that would be planned."""
    start = datetime.combine(first, time(), UTC)
    used: dict[date, Decimal] = defaultdict(Decimal)
    for slot in slots(version, start - 2 * DAY, start + (days + 2) * DAY):
        used[slot.slot_on] += slot.amount
    return [used[first + number * DAY] for number in range(days)]


def _last_that_works(
    runs_out: date, lead_days: int, closed_weekdays: Collection[int], closed_on: Collection[date]
) -> date:
    open_days = [
        day
        for day in (runs_out - n * DAY for n in range(1, 200))
        if day.weekday() not in closed_weekdays and day not in closed_on
    ]
    return max(order for order in open_days if any(fetch - order >= lead_days * DAY for fetch in open_days))
