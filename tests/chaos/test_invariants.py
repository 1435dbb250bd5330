"""The checker is checked: a sound history passes, and each kind of damage is caught by the invariant that it breaks."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from dosette.testing import NOON
from tests.chaos.history import Acknowledged, Delivery, Dose, Event, Gap, History, Line, Reminder
from tests.chaos.invariants import seen_twice, violations

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
DOSE = Dose("dose", "home", "medicine", "bruno", NOON, NOON + HOUR, NOON + 2 * HOUR, status="taken")
OPEN = Dose("open", "home", "other medicine", "bruno", NOON, NOON + HOUR, NOON + 2 * HOUR)
TAKEN = Event("dose", "taken", NOON + 60 * SECOND, NOON + 60 * SECOND, 1, key="key")
SOUND = History(
    doses=(DOSE, OPEN),
    events=(TAKEN,),
    reminders=(Reminder("r1", "dose"), Reminder("r2", "open")),
    deliveries=(Delivery("d1", "contact", ("r1", "r2"), NOON),),
    lines=(Line("bruno.jsonl", "d1", "due", NOON + SECOND, ("dose", "open")),),
    acknowledged=(Acknowledged("dose", "taken", "key"),),
    gaps=(Gap("medicine", 6 * HOUR),),
    owners={"bruno.jsonl": "bruno", "ana.jsonl": "ana", "carl.jsonl": "carl"},
    allowed={"bruno": frozenset({"bruno", "ana"})},
    planned=(("medicine", NOON),),
    until=NOON + HOUR / 2,
)


def _told(**other: object) -> History:
    return replace(SOUND, lines=(replace(SOUND.lines[0], **other),))


def _told_again(**other: object) -> History:
    return replace(SOUND, lines=(*SOUND.lines, replace(SOUND.lines[0], key="d2", **other)))


def test_a_sound_history_breaks_nothing():
    assert violations(SOUND) == {}


@pytest.mark.parametrize(
    ("invariant", "damage", "says"),
    [
        ("I1", lambda: replace(SOUND, planned=(*SOUND.planned, ("medicine", NOON + HOUR))), "has no dose at"),
        (
            "I1",
            lambda: replace(_told(dose_ids=("dose", "open", "again")), doses=(*SOUND.doses, replace(OPEN, id="again"))),
            "has 2 doses at",
        ),
        (
            "I2",
            lambda: replace(SOUND, lines=(replace(SOUND.lines[0], dose_ids=("dose",)),)),
            "dose open, .* never told",
        ),
        ("I2", lambda: _told(at=NOON + 50 * SECOND, dose_ids=("open", "dose")), "told 0:00:50 after it was due"),
        ("I3", lambda: _told_again(at=NOON + 63 * SECOND, dose_ids=("dose",)), "dose dose was taken"),
        (
            "I4",
            lambda: replace(SOUND, events=(TAKEN, replace(TAKEN, seq=2, key="other", override=True))),
            "completed again by event 2",
        ),
        ("I5", lambda: replace(SOUND, acknowledged=(Acknowledged("open", "taken", "k"),)), "acknowledged as taken"),
        ("I5", lambda: replace(SOUND, saved_presses=1), "the panel saved presses on 1 doses, and 0"),
        (
            "I6",
            lambda: replace(
                SOUND,
                doses=(*SOUND.doses, replace(DOSE, id="extra", kind="as_needed")),
                events=(TAKEN, replace(TAKEN, dose_id="extra", at=NOON + HOUR, seq=2)),
            ),
            "needs 6:00:00 between",
        ),
        ("I7", lambda: replace(SOUND, broken_links=("event 7: altered",)), "event 7"),
        ("I7", lambda: replace(SOUND, doses=(DOSE, replace(OPEN, status="taken"))), "its events make it pending"),
        ("I8", lambda: _told(at=NOON - SECOND), "was told early"),
        ("I8", lambda: _told(kind="late"), "says late, and none of its doses is"),
        (
            "I8",
            lambda: _told_again(at=NOON + HOUR + 2 * SECOND, dose_ids=("open",)),
            "says due, and none of its doses is",
        ),
        ("I8", lambda: _told(kind="missed"), "says missed"),
        ("I9", lambda: _told(address="carl.jsonl"), "carl.jsonl .of carl. was told of dose"),
        ("I11", lambda: replace(SOUND, events=(TAKEN, replace(TAKEN, kind="snoozed", seq=2))), "snoozed after taken"),
        (
            "once",
            lambda: replace(SOUND, deliveries=(*SOUND.deliveries, Delivery("d2", "contact", ("r2",), NOON + SECOND))),
            "reminder r2 was told to contact by d1 and by d2",
        ),
    ],
)
def test_damage_is_caught_by_the_invariant_that_it_breaks_and_by_no_other(
    invariant: str, damage: Callable[[], History], says: str
):
    found = violations(damage())

    assert list(found) == [invariant], found
    assert any(re.search(says, sentence) for sentence in found[invariant])


@pytest.mark.parametrize(
    "harmless",
    [
        lambda: _told(address="ana.jsonl"),
        lambda: _told(kind="missed", at=NOON + 3 * HOUR, dose_ids=("open",)),
        lambda: replace(SOUND, lines=(), reminders=(Reminder("r2", "open", reason="quiet hours"),)),
        lambda: replace(SOUND, events=(TAKEN, replace(TAKEN, kind="conflict", seq=2))),
        lambda: replace(
            SOUND, deliveries=(*SOUND.deliveries, Delivery("d2", "contact", ("r2",), NOON + 5 * SECOND, "dropped"))
        ),
        lambda: replace(SOUND, deliveries=(*SOUND.deliveries, Delivery("d2", "contact", ("r2",), NOON + HOUR / 4))),
    ],
)
def test_what_may_happen_is_not_taken_for_damage(harmless: Callable[[], History]):
    found = violations(harmless())

    assert {name: said for name, said in found.items() if name != "I2"} == {}


def test_one_message_that_arrives_twice_under_its_key_is_counted_and_breaks_nothing():
    twice = replace(SOUND, lines=SOUND.lines * 2)

    assert (violations(twice), seen_twice(twice)) == ({}, 1)
