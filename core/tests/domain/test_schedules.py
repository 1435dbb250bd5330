"""When doses are due: local time, zones, clock changes, windows."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dosette.domain.schedules import slots, use_by_day, window_width
from dosette.domain.zones import instant
from dosette.testing import NOON, a_step, a_version

BERLIN = "Europe/Berlin"
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)  # clock changes in Berlin
CHANGING_ZONES = (
    BERLIN,
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Santiago",
    "Europe/Dublin",
)


def test_a_daily_dose_is_due_at_its_local_time_before_and_after_the_clocks_change():
    version = a_version("08:00")

    found = slots(version, datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 3, 30, 12, tzinfo=UTC))

    assert [slot.window.due_at.isoformat() for slot in found] == [
        "2026-03-28T07:00:00+00:00",
        "2026-03-29T06:00:00+00:00",
        "2026-03-30T06:00:00+00:00",
    ]


def test_a_time_in_the_spring_gap_moves_to_the_first_valid_instant_after_it():
    due_at = instant(SPRING, time(2, 30), BERLIN)

    assert due_at.astimezone(ZoneInfo(BERLIN)).isoformat() == "2026-03-29T03:00:00+02:00"


def test_a_time_in_the_autumn_overlap_is_the_first_of_the_two():
    due_at = instant(AUTUMN, time(2, 30), BERLIN)

    assert due_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_midnight_that_does_not_exist_moves_to_the_first_instant_of_its_own_day():
    due_at = instant(date(2026, 9, 6), time(0, 0), "America/Santiago")

    assert due_at.astimezone(ZoneInfo("America/Santiago")).isoformat() == "2026-09-06T01:00:00-03:00"


@given(
    zone=st.sampled_from(CHANGING_ZONES),
    at=st.times().map(lambda at: at.replace(microsecond=0)),
    began=st.integers(0, 17 * 365).map(lambda days: datetime(2020, 1, 1, 12, tzinfo=UTC) + timedelta(days=days)),
)
def test_a_daily_dose_happens_exactly_once_on_every_local_day(zone: str, at: time, began: datetime):
    version = a_version(at.isoformat(), zone=zone, starts_on=date(2019, 1, 1))

    first = slots(version, began, began + timedelta(days=40))
    second = slots(version, began + timedelta(days=40), began + timedelta(days=80))

    days = [slot.slot_on for slot in first + second]
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))]
    assert 79 <= len(days) <= 81


def test_planning_in_two_parts_makes_the_same_slots_as_planning_once():
    version, middle = a_version("08:00", "20:00"), datetime(2026, 3, 29, 6, 0, tzinfo=UTC)
    start, end = middle - timedelta(days=3), middle + timedelta(days=3)

    whole = slots(version, start, end)

    assert slots(version, start, middle) + slots(version, middle, end) == whole


def test_a_schedule_of_chosen_weekdays_is_due_on_those_only():
    version = a_version(steps=(a_step(weekdays=frozenset({0, 4})),))

    found = slots(version, NOON, NOON + timedelta(days=14))

    assert [slot.slot_on.strftime("%a") for slot in found] == ["Fri", "Mon", "Fri", "Mon"]


def test_nothing_is_due_before_the_start_nor_after_the_last_day():
    version = a_version(starts_on=date(2026, 3, 6), ends_on=date(2026, 3, 8))

    found = slots(version, NOON, NOON + timedelta(days=14))

    assert [slot.slot_on.day for slot in found] == [6, 7, 8]


@pytest.mark.parametrize(
    ("times", "minutes"),
    [
        (("08:00",), 120),
        (("08:00", "20:00"), 60),
        (("08:00", "12:00", "16:00", "20:00"), 60),
        (("08:00", "11:00"), 45),
        (("08:00", "08:00:40"), 1 / 6),
    ],
)
def test_the_window_follows_the_frequency(times: tuple[str, ...], minutes: float):
    assert window_width(a_version(*times)) == timedelta(minutes=minutes)


def test_a_time_critical_medicine_has_half_an_hour():
    assert window_width(a_version("22:00", critical=True)) == timedelta(minutes=30)


def test_a_schedule_may_say_its_own_window():
    assert window_width(a_version("08:00", window_minutes=15)) == timedelta(minutes=15)


def test_late_begins_half_way_to_the_end_of_the_window():
    window = slots(a_version("08:00"), NOON, NOON + timedelta(days=1))[0].window

    assert (window.due_at - window.opens_at, window.late_at - window.due_at, window.closes_at - window.due_at) == (
        timedelta(hours=2),
        timedelta(hours=1),
        timedelta(hours=2),
    )


def test_use_is_what_falls_due_on_each_day():
    version = a_version(steps=(a_step(amount="0.5"), a_step("20:00", "3.5", weekdays=frozenset({6}))))

    assert use_by_day(version, date(2026, 3, 7), 3) == [Decimal("0.5"), Decimal(4), Decimal("0.5")]
