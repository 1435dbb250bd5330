"""What a reminder says."""

from datetime import timedelta

from dosette.domain.reminders import wording
from dosette.testing import NOON

LATE_AT = NOON + timedelta(hours=1)


def test_a_reminder_in_time_says_it_is_time():
    said = wording("Ana", NOON, LATE_AT, "Europe/Berlin", NOON)

    assert (said.kind, said.text) == ("due", "Ana: time for the medicine of 13:00")


def test_a_reminder_after_the_grace_period_says_late():
    assert wording("Ana", NOON, LATE_AT, "UTC", LATE_AT + timedelta(seconds=1)).kind == "late"
