"""What is said when a dose can't be taken, skipped or undone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dosette.contracts.press import SentPress
from dosette.domain.doses import When, pressed_when, refusal
from dosette.domain.errors import NotFound
from dosette.testing import NOON, a_press

_LATER = NOON + timedelta(hours=1)


def _dose(**facts: object) -> dict[str, object]:
    plain = {
        "status": "pending",
        "resolved_at": None,
        "resolved_by": None,
        "resolved_on": None,
        "medicine": {"name": "Metformin"},
    }
    window = {
        "opens_at": (NOON - timedelta(hours=1)).isoformat(),
        "due_at": NOON.isoformat(),
        "closes_at": (NOON + timedelta(hours=1)).isoformat(),
    }
    return plain | window | facts


def test_the_second_taker_is_told_who_took_it_and_when():
    dose = _dose(status="taken", resolved_at=(NOON + timedelta(minutes=3)).isoformat(), resolved_by={"name": "Ana"})

    assert refusal("take", "refused", {"dose": dose}, "Europe/Berlin", _LATER).message == (
        "the 13:00 dose of Metformin was taken at 13:03 by Ana; undo it first"
    )


def test_a_dose_taken_at_a_panel_names_the_panel():
    dose = _dose(status="taken", resolved_at=NOON.isoformat(), resolved_on={"name": "Kitchen"})

    assert (
        "was taken at 12:00 on the panel Kitchen" in refusal("skip", "refused", {"dose": dose}, "UTC", _LATER).message
    )


def test_too_early_says_from_when():
    assert (
        "can't be taken before 11:00"
        in refusal("take", "refused", {"dose": _dose()}, "UTC", NOON - timedelta(hours=5)).message
    )


def test_too_late_says_until_when():
    assert (
        "could be skipped until 13:00"
        in refusal("skip", "refused", {"dose": _dose()}, "UTC", NOON + timedelta(hours=5)).message
    )


def test_an_open_dose_has_nothing_to_undo():
    assert "nothing to undo" in refusal("undo", "refused", {"dose": _dose()}, "UTC", NOON).message


def test_a_dose_that_is_not_there_is_not_found():
    assert isinstance(refusal("take", "no-dose", None, "UTC", NOON), NotFound)


def test_a_press_counts_at_its_own_time():
    assert pressed_when(NOON, True, None, None, _LATER) == When(NOON)


def test_a_press_from_a_clock_that_runs_ahead_counts_now():
    assert pressed_when(_LATER, True, None, None, NOON) == When(NOON)


@given(st.floats(0, 90 * 86400), st.floats(0, 5 * 86400), st.datetimes(timezones=st.just(UTC)))
def test_a_press_of_the_same_boot_counts_by_what_passed_since_whatever_its_clock_said(uptime_s, since_s, said_at):
    pressed_at = NOON - timedelta(seconds=since_s)
    press = replace(a_press("device", "dose", at=said_at), clock_synced=False, boottime_s=uptime_s)
    sent = SentPress(press, press.boot_id, uptime_s + since_s)

    when = pressed_when(said_at, False, timedelta(seconds=sent.age_s), None, NOON)

    assert when.sure
    assert abs(when.until - pressed_at) < timedelta(milliseconds=1)


def test_a_press_of_another_boot_was_some_time_after_its_plan():
    when = pressed_when(datetime(1970, 1, 1, tzinfo=UTC), False, None, NOON, _LATER)

    assert when == When(_LATER, NOON, sure=False)


@pytest.mark.parametrize(
    ("when", "counts"),
    [
        (When(_LATER, NOON, sure=False), _LATER),
        (When(NOON + timedelta(hours=9), NOON, sure=False), NOON + timedelta(hours=2)),  # the window's end
        (When(NOON + timedelta(hours=9), None, sure=False), NOON + timedelta(hours=2)),
        (
            When(NOON + timedelta(hours=9), NOON + timedelta(hours=8), sure=False),
            NOON + timedelta(hours=9),
        ),  # after it: refused
        (When(NOON - timedelta(hours=9), None, sure=False), NOON - timedelta(hours=9)),  # before it: refused
        (When(NOON + timedelta(hours=9)), NOON + timedelta(hours=9)),
    ],
)
def test_of_an_unsure_time_the_latest_within_the_window_counts(when, counts):
    assert when.within(NOON - timedelta(hours=2), NOON + timedelta(hours=2)) == counts
