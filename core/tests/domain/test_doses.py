"""What is said when a dose can't be taken, skipped or undone."""

from datetime import timedelta

from dosette.domain.doses import pressed_at, refusal
from dosette.domain.errors import NotFound
from dosette.testing import NOON

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
    assert pressed_at(NOON, True, _LATER) == NOON


def test_a_press_from_a_clock_that_runs_ahead_counts_now():
    assert pressed_at(_LATER, True, NOON) == NOON


def test_a_press_from_a_clock_that_was_never_set_counts_now():
    assert pressed_at(NOON - timedelta(days=9999), False, NOON) == NOON
