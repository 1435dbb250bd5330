"""Recovery is reckoned from the blow, and only what we hold ourselves is left out."""

from datetime import datetime, timedelta

from dosette.testing import NOON
from tests.chaos.recovery import Blow, recoveries


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def recovered(*struck: Blow, due_at: float, told_at: float) -> list[float]:
    found = recoveries({"dose": at(told_at)}, {"dose": at(due_at)}, [(each, at(each.at_s)) for each in struck])
    return [round(seconds, 6) for _, seconds in found]


def test_it_lasts_from_the_blow_until_a_dose_that_fell_due_after_it_is_told():
    assert recovered(Blow(1, "worker", "kill"), due_at=3, told_at=8) == [7]


def test_a_dose_that_was_due_before_says_nothing():
    assert recovered(Blow(4, "worker", "kill"), due_at=3, told_at=8) == []


def test_a_stop_counts_from_its_end():
    assert recovered(Blow(1, "worker", "stop", 5), due_at=6, told_at=8) == [2]


def test_two_kills_one_after_another_are_no_excuse():
    struck = Blow(1, "worker", "kill"), Blow(3, "scheduler", "kill")

    assert recovered(*struck, due_at=3, told_at=8) == [7, 5]


def test_what_is_held_meanwhile_is_left_out_once():
    struck = Blow(1, "worker", "kill"), Blow(2, "scheduler", "stop", 4), Blow(3, "postgresql", "stop", 2)

    assert recovered(*struck, due_at=6, told_at=8)[0] == 3


def test_a_stop_of_what_does_not_tell_is_no_excuse():
    struck = Blow(1, "worker", "kill"), Blow(2, "api", "stop", 4), Blow(2, "display-agent", "stop", 4)

    assert recovered(*struck, due_at=6, told_at=8)[0] == 7
