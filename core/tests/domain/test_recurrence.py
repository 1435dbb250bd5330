"""Which days and instants a schedule's rule means, held against cron, another calendar and a walk from day to day."""

from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import cycle, pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st
from whenever import Instant, PlainDateTime

from dosette.domain.schedules import AS_NEEDED, ELAPSED, Pause, Slot, Step, Version, difference, slots
from dosette.testing import NOON, a_step, a_version

BERLIN = "Europe/Berlin"
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)  # clock changes in Berlin; both are Sundays
DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
CHANGELESS = ("UTC", "Asia/Tokyo")
CHANGING = (
    BERLIN,
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Chatham",
    "America/Nuuk",
    "Europe/Dublin",
)
WEEKDAYS_ONLY, WEEKEND = frozenset(range(5)), frozenset({5, 6})

derandomised = settings(derandomize=True, deadline=None, max_examples=120)

minutes = st.sampled_from((120, 150, 180, 480, 1200)) | st.integers(0, 24 * 60 - 1)
amounts = st.sampled_from((Decimal(1), Decimal(2))) | st.decimals("0.25", 4, places=2)
weekdays = st.just(frozenset(range(7))) | st.frozensets(st.integers(0, 6), min_size=1)
days = (
    st.dates(date(2026, 3, 8), SPRING)
    | st.dates(date(2026, 9, 20), AUTUMN)
    | st.dates(date(2026, 1, 1), date(2028, 12, 31))
)
first_days = st.shared(days, key="first day")
"""The first day of each schedule of an example: what else it says is counted from there, so that it matters."""
moments = st.builds(
    lambda first, n: datetime.combine(first, time(), UTC) + timedelta(minutes=n), first_days, st.integers(-3000, 60_000)
)


def some_days_later(first: int, last: int) -> st.SearchStrategy[date]:
    return st.builds(lambda day, n: day + n * DAY, first_days, st.integers(first, last))


pauses = st.lists(
    st.builds(
        lambda first, length: Pause(first, None if length is None else first + length * DAY),
        some_days_later(-5, 90),
        st.sampled_from((0, 1, 6, 13, 30, None)),
    ),
    max_size=2,
).map(tuple)
rules: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"every_days": st.integers(1, 40)}),
    st.fixed_dictionaries({"every_weeks": st.integers(1, 8)}),
    st.fixed_dictionaries({"month_days": st.sets(st.integers(1, 31), min_size=1, max_size=4).map(tuple)}),
)
cycles: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"days_on": st.integers(1, 30), "days_off": st.integers(1, 30)}),
)


@st.composite
def fixed(draw: st.DrawFn, zones: Sequence[str] = CHANGELESS + CHANGING) -> Version:
    """Up to four lines at different times, on the days that a rule and a cycle leave."""
    times = draw(st.lists(minutes, min_size=1, max_size=4, unique=True))
    facts = draw(rules) | draw(cycles) | {"steps": tuple(_a_dated_step(draw, minute) for minute in times)}
    return a_version(zone=draw(st.sampled_from(zones)), **facts, **_from_to(draw))


@st.composite
def elapsed(draw: st.DrawFn, zones: Sequence[str] = CHANGELESS + CHANGING) -> Version:
    """Every so many minutes from an anchor, in up to three dated steps that do not meet."""
    borders = sorted(draw(st.sets(some_days_later(0, 60), max_size=2)))
    steps = _one_after_the_other(borders, [draw(amounts) for _ in range(len(borders) + 1)])
    facts = {"every_minutes": draw(st.integers(30, 3000)), "anchor_at": draw(moments), "steps": steps}
    return a_version(zone=draw(st.sampled_from(zones)), kind=ELAPSED, **facts, **_from_to(draw))


# -- fixed: against a walk through the calendar, and against cron


@settings(derandomised, max_examples=400)
@given(version=fixed(), after=moments, hours=st.integers(1, 24 * 100))
def test_a_fixed_schedule_is_due_when_a_walk_from_day_to_day_says(version: Version, after: datetime, hours: int):
    until = after + timedelta(hours=hours)

    found = [(slot.slot_on, slot.slot_time, slot.amount, slot.due_at) for slot in slots(version, after, until)]

    assert sorted(found) == sorted(each for each in _walked(version, until) if after < each[3] <= until)
    assert [due_at for *_, due_at in found] == sorted(due_at for *_, due_at in found)


@derandomised
@given(zone=st.sampled_from(CHANGELESS), minute=minutes, chosen=weekdays, after=moments)
def test_chosen_weekdays_are_those_of_cron(zone: str, minute: int, chosen: frozenset[int], after: datetime):
    version = a_version(zone=zone, starts_on=date(2025, 1, 1), steps=(a_step(_clock(minute), weekdays=chosen),))

    found = slots(version, after, after + 60 * DAY)

    assert _due(found) == _cron(f"* * {','.join(str(day + 1) for day in chosen)}", minute, zone, after, 60)


@derandomised
@given(zone=st.sampled_from(CHANGELESS), minute=minutes, chosen=st.sets(st.integers(1, 28), min_size=1), after=moments)
def test_days_of_the_month_are_those_of_cron(zone: str, minute: int, chosen: set[int], after: datetime):
    version = a_version(_clock(minute), zone=zone, starts_on=date(2025, 1, 1), month_days=tuple(chosen))

    found = slots(version, after, after + 120 * DAY)

    assert _due(found) == _cron(f"{','.join(map(str, chosen))} * *", minute, zone, after, 120)


@derandomised
@given(zone=st.sampled_from(CHANGELESS), minute=minutes, after=moments)
def test_the_31st_is_the_last_day_of_the_month_of_cron(zone: str, minute: int, after: datetime):
    version = a_version(_clock(minute), zone=zone, starts_on=date(2025, 1, 1), month_days=(31,))

    found = slots(version, after, after + 400 * DAY)

    assert _due(found) == _cron("L * *", minute, zone, after, 400)


@derandomised
@given(zone=st.sampled_from(CHANGING), minute=minutes, began=days)
def test_a_daily_dose_is_when_cron_runs_a_daily_job_across_clock_changes(zone: str, minute: int, began: date):
    version = a_version(_clock(minute), zone=zone, starts_on=date(2025, 1, 1))
    after = datetime.combine(began, time(12, 34, 56), ZoneInfo(zone)).astimezone(UTC)

    found = slots(version, after, after + 220 * DAY)

    assert _due(found) == _cron("* * *", minute, zone, after, 220)


@pytest.mark.parametrize("wanted", [29, 30, 31])
def test_a_day_that_a_month_lacks_is_its_last_one(wanted: int):
    version = a_version("08:00", zone="UTC", month_days=(wanted,))

    found = slots(version, datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 12, 31, 23, tzinfo=UTC))

    months = [(year, month) for year in (2026, 2027, 2028) for month in range(1, 13)]
    assert [slot.slot_on for slot in found] == [date(*month, min(wanted, monthrange(*month)[1])) for month in months]


def test_several_days_that_a_month_lacks_are_its_last_one_once():
    version = a_version("08:00", zone="UTC", month_days=(28, 29, 30, 31))

    found = slots(version, datetime(2027, 2, 1, tzinfo=UTC), datetime(2027, 4, 30, 12, tzinfo=UTC))

    assert [(slot.slot_on.month, slot.slot_on.day) for slot in found] == [
        *[(2, 28)],
        *[(3, 28), (3, 29), (3, 30), (3, 31)],
        *[(4, 28), (4, 29), (4, 30)],
    ]


def test_a_cycle_is_21_days_on_and_7_off_from_its_first_day():
    version = a_version(starts_on=date(2026, 3, 5), days_on=21, days_off=7)

    found = slots(version, NOON, NOON + 56 * DAY)

    assert [(slot.slot_on - date(2026, 3, 5)).days for slot in found] == [*range(21), *range(28, 49)]


def test_every_second_week_counts_calendar_weeks_from_that_of_the_start():
    wednesday = date(2026, 3, 4)
    steps = (a_step(weekdays=frozenset({0, 4})),)  # Mondays and Fridays

    found = slots(a_version(starts_on=wednesday, every_weeks=2, steps=steps), NOON, NOON + 30 * DAY)

    assert [f"{slot.slot_on:%a %d}" for slot in found] == ["Fri 06", "Mon 16", "Fri 20", "Mon 30", "Fri 03"]


def test_a_taper_gives_each_day_the_amount_of_its_step():
    steps = (
        a_step(amount="3", ends_on=date(2026, 3, 6)),
        a_step(amount="2", starts_on=date(2026, 3, 7), ends_on=date(2026, 3, 8)),
        a_step(amount="0.5", starts_on=date(2026, 3, 10)),
    )

    found = slots(a_version(steps=steps, ends_on=date(2026, 3, 11)), NOON, NOON + 14 * DAY)

    assert [(slot.slot_on.day, str(slot.amount)) for slot in found] == [
        *[(5, "3"), (6, "3")],
        *[(7, "2"), (8, "2")],
        *[(10, "0.5"), (11, "0.5")],
    ]


def test_weekends_may_have_other_times():
    version = a_version(steps=(a_step("07:00", weekdays=WEEKDAYS_ONLY), a_step("09:30", weekdays=WEEKEND)))

    found = slots(version, NOON, NOON + 5 * DAY)

    assert [f"{slot.slot_on:%a} {slot.slot_time:%H:%M}" for slot in found] == [
        *["Thu 07:00", "Fri 07:00"],
        *["Sat 09:30", "Sun 09:30"],
        "Mon 07:00",
    ]


def test_nothing_is_due_in_a_pause_and_the_count_of_days_goes_on_through_it():
    version = a_version(starts_on=date(2026, 3, 5), every_days=3, pauses=(Pause(date(2026, 3, 8), date(2026, 3, 12)),))

    found = slots(version, NOON, NOON + 14 * DAY)

    assert [slot.slot_on.day for slot in found] == [5, 14, 17]


def test_a_pause_without_an_end_lasts():
    version = a_version(pauses=(Pause(date(2026, 3, 6)),))

    found = slots(version, NOON, NOON + 400 * DAY)

    assert [slot.slot_on.day for slot in found] == [5]


def test_an_as_needed_medicine_is_never_due():
    version = a_version(kind=AS_NEEDED, steps=(Step(None, Decimal(1)),))

    assert slots(version, NOON, NOON + 30 * DAY) == []


# -- fixed: spring and autumn, by rule

Rule = Callable[[date], dict[str, Any]]
AT_HALF_PAST_TWO = (a_step("02:30"),)
RULES: dict[str, Rule] = {
    "daily": lambda day: {},
    "on chosen weekdays": lambda day: {"steps": (a_step("02:30", weekdays=frozenset({day.weekday()})),)},
    "every 3 days": lambda day: {"every_days": 3, "starts_on": day - 6 * DAY},
    "every 2 weeks": lambda day: {"every_weeks": 2, "starts_on": day - 17 * DAY},
    "on a day of the month": lambda day: {"month_days": (day.day,)},
    "the first day on of a cycle": lambda day: {"days_on": 21, "days_off": 7, "starts_on": day - 28 * DAY},
    "the last day on of a cycle": lambda day: {"days_on": 21, "days_off": 7, "starts_on": day - 20 * DAY},
    "the first day of a step": lambda day: {"steps": (a_step("02:30", starts_on=day),)},
    "the last day of a step": lambda day: {"steps": (a_step("02:30", ends_on=day),)},
    "the day after a pause": lambda day: {"pauses": (Pause(day - 9 * DAY, day - DAY),)},
    "the day before a pause": lambda day: {"pauses": (Pause(day + DAY, day + 9 * DAY),)},
    "the first day": lambda day: {"starts_on": day},
    "the last day": lambda day: {"ends_on": day},
    "at other times at weekends": lambda day: {
        "steps": (a_step("07:00", weekdays=WEEKDAYS_ONLY), a_step("02:30", weekdays=WEEKEND))
    },
}
by_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


@by_rule
def test_in_spring_a_dose_in_the_gap_is_due_once_at_its_end(rule: Rule):
    found = slots(_around(SPRING, rule), *_week_around(SPRING))

    assert _due_on(SPRING, found) == ["2026-03-29T03:00:00+02:00"]


@by_rule
def test_in_autumn_a_dose_in_the_overlap_is_due_once_at_the_first(rule: Rule):
    found = slots(_around(AUTUMN, rule), *_week_around(AUTUMN))

    assert _due_on(AUTUMN, found) == ["2026-10-25T02:30:00+02:00"]


@by_rule
@pytest.mark.parametrize("changes_on", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_on_all_other_days_a_dose_keeps_its_local_time(rule: Rule, changes_on: date):
    found = slots(_around(changes_on, rule), *_week_around(changes_on))

    others = [slot for slot in found if slot.slot_on != changes_on]
    assert [(slot.slot_on, slot.slot_time) for slot in others] == [
        (local.date(), local.time()) for local in (slot.due_at.astimezone(ZoneInfo(BERLIN)) for slot in others)
    ]


def test_in_spring_two_doses_of_the_gap_and_one_at_its_end_stay_three():
    found = slots(a_version("02:00", "02:30", "03:00"), *_week_around(SPRING))

    assert _due_on(SPRING, found) == ["2026-03-29T03:00:00+02:00"] * 3


def test_a_dose_at_a_midnight_that_does_not_exist_belongs_to_the_day_that_begins_later():
    version = a_version("00:00", zone="America/Santiago", starts_on=date(2026, 9, 6), ends_on=date(2026, 9, 6))

    found = slots(version, datetime(2026, 9, 4, tzinfo=UTC), datetime(2026, 9, 8, tzinfo=UTC))

    assert [(slot.slot_on, slot.due_at) for slot in found] == [
        (date(2026, 9, 6), datetime(2026, 9, 6, 4, tzinfo=UTC)),
    ]


def test_a_dose_in_a_gap_before_midnight_is_due_on_the_next_day_and_stays_the_dose_of_its_own():
    version = a_version("23:30", zone="America/Nuuk", starts_on=date(2026, 3, 28), ends_on=date(2026, 3, 28))

    found = slots(version, datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC))

    assert [(slot.slot_on, slot.due_at) for slot in found] == [
        (date(2026, 3, 28), datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ]


# -- elapsed


@derandomised
@given(version=elapsed(), after=moments, count=st.integers(1, 120), next_at=st.none() | moments)
def test_an_elapsed_schedule_is_due_when_a_walk_from_its_beginning_says(
    version: Version, after: datetime, count: int, next_at: datetime | None
):
    until = after + count * version.interval

    found = [(slot.slot_on, slot.amount, slot.due_at) for slot in slots(version, after, until, next_at)]

    assert found == list(_ticks(version, next_at or version.anchor_at or NOON, after, until))


@derandomised
@given(
    zone=st.sampled_from(CHANGING),
    every=st.integers(30, 3000),
    anchor_at=moments,
    next_at=st.none() | moments,
    passed=st.integers(0, 10_000),
)
def test_doses_of_an_elapsed_schedule_are_its_interval_of_real_time_apart(
    zone: str, every: int, anchor_at: datetime, next_at: datetime | None, passed: int
):
    start = next_at or anchor_at
    version = _every(every, zone=zone, starts_on=date(2020, 1, 1), anchor_at=anchor_at)

    due = _due(
        slots(version, start + timedelta(minutes=passed), start + timedelta(minutes=passed + 300 * every), next_at)
    )

    assert len(due) == 300
    assert {later - earlier for earlier, later in pairwise(due)} == {timedelta(minutes=every)}
    assert (due[0] - start) % timedelta(minutes=every) == timedelta()


@derandomised
@given(version=elapsed(), next_at=moments, early=st.integers(0, 5000))
def test_an_elapsed_dose_is_never_early(version: Version, next_at: datetime, early: int):
    found = slots(version, next_at - timedelta(minutes=early) - MICROSECOND, next_at + 5 * version.interval, next_at)

    assert all(slot.due_at >= next_at for slot in found)


@derandomised
@given(version=elapsed(), after=moments)
def test_no_elapsed_dose_is_due_outside_of_its_days_nor_in_a_pause(version: Version, after: datetime):
    local_days = {
        _local_day(slot.due_at, version.zone) for slot in slots(version, after, after + 50 * version.interval)
    }

    assert not any(day < version.starts_on or day > (version.ends_on or day) for day in local_days)
    assert not any(pause.starts_on <= day <= (pause.ends_on or day) for day in local_days for pause in version.pauses)


def test_in_spring_every_8_hours_moves_by_an_hour_on_the_wall():
    version = _every(8 * 60, anchor_at=datetime(2026, 3, 28, 5, tzinfo=UTC))

    found = slots(version, datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))

    assert _local(found) == ["Sat 14:00", "Sat 22:00", "Sun 07:00", "Sun 15:00", "Sun 23:00"]


def test_in_autumn_every_8_hours_moves_by_an_hour_on_the_wall():
    version = _every(8 * 60, anchor_at=datetime(2026, 10, 24, 4, tzinfo=UTC))

    found = slots(version, datetime(2026, 10, 24, 11, tzinfo=UTC), datetime(2026, 10, 25, 22, tzinfo=UTC))

    assert _local(found) == ["Sat 14:00", "Sat 22:00", "Sun 05:00", "Sun 13:00", "Sun 21:00"]


def test_in_autumn_an_elapsed_dose_is_due_in_both_of_the_repeated_hours():
    version = _every(60, anchor_at=datetime(2026, 10, 24, 22, 30, tzinfo=UTC))

    found = slots(version, datetime(2026, 10, 24, 23, tzinfo=UTC), datetime(2026, 10, 25, 2, tzinfo=UTC))

    assert _local(found) == ["Sun 01:30", "Sun 02:30", "Sun 02:30"]


@pytest.mark.parametrize("changes_on", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_hours_since_the_last_dose_taken_are_real_ones_when_the_clocks_change(changes_on: date):
    evening = datetime.combine(changes_on - DAY, time(20), UTC)
    version = _every(12 * 60, anchor_at=datetime(2026, 1, 1, tzinfo=UTC))

    found = slots(version, evening, evening + DAY, next_at=evening + timedelta(hours=12))

    assert _due(found) == [evening + timedelta(hours=12), evening + timedelta(hours=24)]


def test_hours_are_real_ones_also_when_the_anchor_is_told_in_local_time():
    local = datetime(2026, 3, 28, 22, tzinfo=ZoneInfo(BERLIN))
    version = _every(8 * 60, anchor_at=local)

    found = slots(version, local.astimezone(UTC), local.astimezone(UTC) + DAY)

    assert _local(found) == ["Sun 07:00", "Sun 15:00", "Sun 23:00"]


def test_without_an_anchor_an_elapsed_schedule_counts_from_the_beginning_of_its_first_day():
    version = _every(6 * 60, zone="America/Santiago", starts_on=date(2026, 9, 6))  # begins at 01:00

    found = slots(version, datetime(2026, 9, 5, tzinfo=UTC), datetime(2026, 9, 6, 12, tzinfo=UTC))

    assert _due(found) == [datetime(2026, 9, 6, 4, tzinfo=UTC), datetime(2026, 9, 6, 10, tzinfo=UTC)]


# -- planning in pieces


@derandomised
@given(version=fixed() | elapsed(), start=moments, hours=st.tuples(st.integers(0, 700), st.integers(0, 700)))
def test_planning_in_pieces_makes_the_same_slots_as_planning_at_once(
    version: Version, start: datetime, hours: tuple[int, int]
):
    middle = start + timedelta(hours=hours[0])
    end = middle + timedelta(hours=hours[1])

    whole = slots(version, start, end)

    assert slots(version, start, middle) + slots(version, middle, end) == whole


@derandomised
@given(version=fixed() | elapsed(), start=moments, number=st.integers(0, 30))
def test_planning_until_a_dose_leaves_none_out_and_plans_none_twice(version: Version, start: datetime, number: int):
    whole = slots(version, start, start + 20 * DAY)
    middle = whole[number % len(whole)].due_at if whole else start

    assert slots(version, start, middle) + slots(version, middle, start + 20 * DAY) == whole


@derandomised
@given(version=elapsed(), next_at=moments, pieces=st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_planning_on_from_the_next_dose_may_be_in_pieces_too(version: Version, next_at: datetime, pieces: list[int]):
    borders = [next_at - DAY]
    for piece in pieces:
        borders.append(borders[-1] + piece * DAY)

    whole = slots(version, borders[0], borders[-1], next_at)

    parts = [slots(version, after, until, next_at) for after, until in pairwise(borders)]
    assert [slot for part in parts for slot in part] == whole


# -- windows


@derandomised
@given(
    version=fixed() | elapsed(),
    after=moments,
    own=st.none() | st.integers(1, 720),
    critical=st.booleans(),
)
def test_a_window_opens_before_the_dose_is_due_and_closes_after_it_is_late(
    version: Version, after: datetime, own: int | None, critical: bool
):
    version = replace(version, window_minutes=own, critical=critical)

    windows = [slot.window for slot in slots(version, after, after + 30 * DAY)]

    assert all(each.opens_at < each.due_at < each.late_at < each.closes_at for each in windows)
    assert all(each.due_at - each.opens_at == each.closes_at - each.due_at for each in windows)


@derandomised
@given(version=elapsed(), after=moments, own=st.none() | st.integers(1, 720), critical=st.booleans())
def test_windows_of_an_elapsed_schedule_never_overlap(
    version: Version, after: datetime, own: int | None, critical: bool
):
    version = replace(version, window_minutes=own, critical=critical)

    windows = [slot.window for slot in slots(version, after, after + 30 * version.interval)]

    assert all(earlier.closes_at < later.opens_at for earlier, later in pairwise(windows))


# -- difference


@derandomised
@given(before=fixed(), after=fixed(), start=moments)
def test_a_difference_accounts_for_each_dose_exactly_once(before: Version, after: Version, start: datetime):
    old, new = slots(before, start, start + 28 * DAY), slots(after, start, start + 28 * DAY)

    told = difference(old, new)

    gone = [*told.vanish, *(was for was, _ in told.moves)]
    come = [*told.appear, *(becomes for _, becomes in told.moves)]
    assert (Counter(old) - Counter(gone)).total() == len(old) - len(gone) == told.stay
    assert (Counter(new) - Counter(come)).total() == len(new) - len(come) == told.stay
    assert _what(Counter(old) - Counter(gone)) == _what(Counter(new) - Counter(come))


@derandomised
@given(before=fixed(), after=fixed(), start=moments)
def test_what_moves_is_another_dose_of_the_same_day(before: Version, after: Version, start: datetime):
    told = difference(slots(before, start, start + 28 * DAY), slots(after, start, start + 28 * DAY))

    assert all(was.slot_on == becomes.slot_on for was, becomes in told.moves)
    assert all((was.due_at, was.amount) != (becomes.due_at, becomes.amount) for was, becomes in told.moves)
    assert not {slot.slot_on for slot in told.appear} & {slot.slot_on for slot in told.vanish}


@derandomised
@given(version=fixed() | elapsed(), start=moments)
def test_nothing_differs_from_itself(version: Version, start: datetime):
    found = slots(version, start, start + 28 * DAY)

    told = difference(found, found)

    assert (told.appear, told.moves, told.vanish, told.stay) == ((), (), (), len(found))


def test_a_later_time_moves_each_dose_and_a_further_one_appears():
    before, after = (
        _on_thursday(*map(a_step, ("08:00", "20:00"))),
        _on_thursday(*map(a_step, ("08:00", "12:00", "21:00"))),
    )

    told = difference(before, after)

    assert told.stay == 1
    assert [(was.slot_time.hour, becomes.slot_time.hour) for was, becomes in told.moves] == [(20, 12)]
    assert [slot.slot_time.hour for slot in told.appear] == [21]
    assert told.vanish == ()


def test_another_amount_at_the_same_time_moves_a_dose():
    before, after = _on_thursday(a_step()), _on_thursday(a_step(amount="2"))

    told = difference(before, after)

    assert told.moves == ((before[0], after[0]),)


def test_two_doses_that_spring_moves_to_the_same_instant_are_two_that_stay():
    found = slots(a_version("02:30", "03:00"), *_week_around(SPRING))

    told = difference(found, found)

    assert told.stay == len(found)


def test_one_of_two_doses_that_spring_moves_to_the_same_instant_can_vanish():
    before = [slot for slot in slots(a_version("02:30", "03:00"), *_week_around(SPRING)) if slot.slot_on == SPRING]
    after = [slot for slot in slots(a_version("03:00"), *_week_around(SPRING)) if slot.slot_on == SPRING]

    told = difference(before, after)

    assert (len(told.vanish), told.stay) == (1, 1)


# -- the other calendar


def _walked(version: Version, until: datetime) -> Iterator[tuple[date, time, Decimal, datetime]]:
    """Every dose from the schedule's first day on, by walking through its days."""
    last = min(version.ends_on or date.max, until.date() + 2 * DAY)
    for day in _rule_days(version, last):
        paused = any(pause.starts_on <= day <= (pause.ends_on or day) for pause in version.pauses)
        for step in () if paused else version.steps:
            begun, ended = day >= (step.starts_on or day), day > (step.ends_on or day)
            if step.time and begun and not ended and day.weekday() in step.weekdays:
                yield day, step.time, step.amount, _instant(datetime.combine(day, step.time), version.zone)


def _rule_days(version: Version, last: date) -> list[date]:
    """The days that the rule and the cycle leave, counted out one by one instead of divided."""
    every_day = list(takewhile(lambda day: day <= last, (version.starts_on + n * DAY for n in range(3000))))
    monday = version.starts_on - version.starts_on.weekday() * DAY
    allowed = set(every_day)
    if version.every_days:
        allowed &= set(every_day[:: version.every_days])
    if version.every_weeks:
        mondays = [monday + 7 * n * DAY for n in range(0, 500, version.every_weeks)]
        allowed &= {first + n * DAY for first in mondays for n in range(7)}
    if version.month_days:
        months = {(day.year, day.month) for day in every_day}
        allowed &= {date(*month, min(n, monthrange(*month)[1])) for month in months for n in version.month_days}
    if version.days_on and version.days_off:
        on_off = cycle([True] * version.days_on + [False] * version.days_off)
        allowed &= {day for day, on in zip(every_day, on_off, strict=False) if on}
    return sorted(allowed)


def _ticks(
    version: Version, start: datetime, after: datetime, until: datetime
) -> Iterator[tuple[date, Decimal, datetime]]:
    """Doses of an elapsed schedule, counted in seconds since 1970."""
    ticks = range(int(start.timestamp()), int(until.timestamp()) + 1, (version.every_minutes or 0) * 60)
    for tick in ticks:
        due_at = datetime.fromtimestamp(tick, UTC)
        if due_at <= after:
            continue
        day = _local_day(due_at, version.zone)
        paused = any(pause.starts_on <= day <= (pause.ends_on or day) for pause in version.pauses)
        if paused or day < version.starts_on or day > (version.ends_on or day):
            continue
        yield from (
            (day, step.amount, due_at)
            for step in version.steps
            if (step.starts_on or day) <= day <= (step.ends_on or day)
        )


def _cron(days: str, minute: int, zone: str, after: datetime, count: int) -> list[datetime]:
    """When cron runs in `count` days after `after`, in UTC; `days`: its fields for day, month and weekday."""
    jobs = CronSim(f"{minute % 60} {minute // 60} {days}", after.astimezone(ZoneInfo(zone)))
    return list(takewhile(lambda at: at <= after + count * DAY, (at.astimezone(UTC) for at in jobs)))


def _instant(local: datetime, zone: str) -> datetime:
    """The first instant at which the wall shows this time, or a later one."""
    plain = PlainDateTime(local)
    found = plain.assume_tz(zone, disambiguation="earlier")
    if found.to_plain() != plain:  # in a gap, it goes back by the gap's length; the next change is the gap
        found = found.next_transition() or found
    return found.to_instant().to_stdlib()


def _local_day(at: datetime, zone: str) -> date:
    return Instant(at).to_tz(zone).date().to_stdlib()


# -- what the tests name


def _from_to(draw: st.DrawFn) -> dict[str, Any]:
    ends_on = draw(st.none() | some_days_later(0, 120))
    return {"starts_on": draw(first_days), "ends_on": ends_on, "pauses": draw(pauses)}


def _a_dated_step(draw: st.DrawFn, minute: int) -> Step:
    starts_on, ends_on = draw(st.none() | some_days_later(-5, 40)), draw(st.none() | some_days_later(41, 90))
    return a_step(_clock(minute), str(draw(amounts)), weekdays=draw(weekdays), starts_on=starts_on, ends_on=ends_on)


def _one_after_the_other(borders: list[date], amounts: list[Decimal]) -> tuple[Step, ...]:
    begins, ends = [None, *borders], [*(day - DAY for day in borders), None]
    return tuple(
        Step(None, amount, starts_on=first, ends_on=last)
        for amount, first, last in zip(amounts, begins, ends, strict=True)
    )


def _every(every_minutes: int, **other: Any) -> Version:
    return a_version(kind=ELAPSED, every_minutes=every_minutes, steps=(Step(None, Decimal(1)),), **other)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _around(day: date, rule: Rule) -> Version:
    facts: dict[str, Any] = {"steps": AT_HALF_PAST_TWO}
    return a_version(**facts | rule(day))


def _week_around(day: date) -> tuple[datetime, datetime]:
    noon = datetime.combine(day, time(12), UTC)
    return noon - 4 * DAY, noon + 3 * DAY


def _on_thursday(*steps: Step) -> list[Slot]:
    return [slot for slot in slots(a_version(steps=steps), NOON, NOON + 3 * DAY) if slot.slot_on == date(2026, 3, 5)]


def _due(found: Sequence[Slot]) -> list[datetime]:
    return [slot.due_at for slot in found]


def _due_on(day: date, found: Sequence[Slot]) -> list[str]:
    return [slot.due_at.astimezone(ZoneInfo(BERLIN)).isoformat() for slot in found if slot.slot_on == day]


def _local(found: Sequence[Slot]) -> list[str]:
    return [f"{slot.due_at.astimezone(ZoneInfo(BERLIN)):%a %H:%M}" for slot in found]


def _what(found: Counter[Slot]) -> Counter[tuple[datetime, Decimal]]:
    return Counter((slot.due_at, slot.amount) for slot in found.elements())
