"""The ladder: who is told of what, when again, and what is said."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dosette.domain import reminders as ladder
from dosette.domain.reminders import (
    BACKUP_OLD,
    COULD_NOT_REMIND,
    LOW_STOCK,
    MISSED,
    MOST_TELLINGS,
    NAG,
    NAG_CRITICAL,
    Contact,
    Home,
    Item,
    Person,
    Reminder,
    second_at,
    tell,
    third_at,
    wording,
)
from dosette.testing import NOON

HOUR = timedelta(hours=1)
LATE_AT, CLOSES_AT = NOON + HOUR, NOON + 2 * HOUR
ANA = Person("ana", (Contact("ana-phone", "file"),), admin=True)
BRUNO = Person("bruno", (Contact("bruno-phone", "file"),), second_id="ana", third_id="clara")
CLARA = Person("clara", (Contact("clara-phone", "file"), Contact("clara-mail", "apprise")))
HOME = Home("home", "UTC", (ANA, BRUNO, CLARA))
DOSE = Reminder("dose", member_id="bruno", due_at=NOON, late_at=LATE_AT, closes_at=CLOSES_AT)


def _told(reminder: Reminder, now=NOON, home: Home = HOME) -> set[str | None]:
    return {each.contact_id for each in tell(home, [reminder], now).deliveries}


def _next(reminder: Reminder, now=NOON, home: Home = HOME):
    (step,) = tell(home, [reminder], now).steps
    return step.next_at


def test_at_the_due_time_the_member_is_told_and_every_panel():
    told = tell(replace(HOME, panels=("kitchen",)), [DOSE], NOON)

    assert [(each.channel, each.contact_id, each.device_id) for each in told.deliveries] == [
        ("file", "bruno-phone", None),
        ("panel", None, "kitchen"),
    ]


def test_the_second_person_is_told_when_it_is_late_and_the_third_half_way_to_the_end():
    assert _told(DOSE, second_at(LATE_AT) - timedelta(seconds=1)) == {"bruno-phone"}
    assert _told(DOSE, second_at(LATE_AT)) == {"bruno-phone", "ana-phone"}
    assert _told(DOSE, third_at(LATE_AT, CLOSES_AT)) == {"bruno-phone", "ana-phone", "clara-phone", "clara-mail"}


def test_all_are_told_that_it_was_missed_and_then_nobody_any_more():
    missed = replace(DOSE, status=MISSED)

    assert _told(missed, CLOSES_AT + timedelta(seconds=1)) == {"bruno-phone", "ana-phone", "clara-phone", "clara-mail"}
    assert _next(missed, CLOSES_AT + timedelta(seconds=1)) is None


def test_who_has_claimed_it_is_told_alone_until_it_is_missed():
    claimed = replace(DOSE, claimed_by="clara")

    assert _told(claimed, second_at(LATE_AT)) == {"clara-phone", "clara-mail"}
    assert "ana-phone" in _told(replace(claimed, status=MISSED), CLOSES_AT + timedelta(seconds=1))


def test_it_nags_by_kind_or_as_the_schedule_says():
    assert _next(DOSE) == NOON + NAG
    assert _next(replace(DOSE, critical=True)) == NOON + NAG_CRITICAL
    assert _next(replace(DOSE, nag_minutes=7)) == NOON + timedelta(minutes=7)


def test_a_nag_falls_on_a_whole_minute_so_that_it_shares_the_message_of_what_falls_due_then():
    assert _next(DOSE, NOON + timedelta(milliseconds=20)) == NOON + NAG
    assert _next(DOSE, NOON + timedelta(seconds=31)) == NOON + NAG + timedelta(minutes=1)
    assert _next(replace(DOSE, nag_minutes=1), NOON + timedelta(seconds=29)) == NOON + timedelta(minutes=1)


def test_nagging_is_bounded_but_each_person_of_the_ladder_is_told():
    tired = replace(DOSE, tellings=MOST_TELLINGS)

    assert _next(tired) == second_at(LATE_AT)
    assert _next(tired, second_at(LATE_AT)) == third_at(LATE_AT, CLOSES_AT)
    assert _next(tired, third_at(LATE_AT, CLOSES_AT)) > CLOSES_AT


def test_a_dose_whose_window_just_ended_waits_until_it_is_closed_as_missed():
    told = tell(HOME, [DOSE], CLOSES_AT + timedelta(seconds=1))

    assert told.deliveries == ()
    assert told.steps[0].next_at is not None


def test_what_was_missed_long_ago_is_history_and_no_message():
    told = tell(HOME, [replace(DOSE, status=MISSED)], CLOSES_AT + timedelta(days=8))

    assert (told.deliveries, told.steps[0].reason) == ((), "missed long ago")


def test_in_quiet_hours_nobody_is_woken_but_by_what_is_critical():
    asleep = replace(BRUNO, quiet_from=time(11), quiet_until=time(12, 30))
    home = replace(HOME, people=(ANA, asleep, CLARA))

    assert _told(DOSE, home=home) == set()
    assert _next(DOSE, home=home) == NOON + NAG
    assert _told(replace(DOSE, critical=True), home=home) == {"bruno-phone"}
    (step,) = tell(home, [DOSE], NOON + timedelta(minutes=15)).steps
    assert (step.next_at, step.reason) == (NOON + timedelta(minutes=30), "quiet hours")


def test_quiet_hours_may_span_midnight_and_follow_the_household_s_clock():
    person = Person("ana", quiet_from=time(22), quiet_until=time(7))
    winter_night = NOON.replace(hour=22, minute=30)

    assert person.quiet_ends(winter_night, "Europe/Berlin") == winter_night.replace(hour=6, minute=0) + timedelta(
        days=1
    )
    assert person.quiet_ends(NOON, "Europe/Berlin") is None
    assert person.quiet_ends(NOON.replace(hour=21, minute=0), "Europe/Berlin") is not None
    assert person.quiet_ends(NOON.replace(hour=6, minute=0), "Europe/Berlin") is None


@pytest.mark.parametrize(
    ("now", "until", "ends"),
    [
        ("2026-03-29 00:59", time(2, 30), "2026-03-29 01:00"),  # 02:30 does not exist: the first instant after it
        ("2026-03-28 22:00", time(7), "2026-03-29 05:00"),
        ("2026-10-25 00:15", time(2, 30), "2026-10-25 00:30"),  # 02:30 comes twice: the first of the two
        ("2026-10-25 01:15", time(2, 30), None),
        ("2026-10-24 21:00", time(7), "2026-10-25 06:00"),
    ],
)
def test_quiet_hours_end_once_in_the_nights_when_the_clocks_change(now: str, until: time, ends: str | None):
    person = Person("ana", quiet_from=time(22), quiet_until=until)

    found = person.quiet_ends(datetime.fromisoformat(now).replace(tzinfo=UTC), "Europe/Berlin")

    assert found == (datetime.fromisoformat(ends).replace(tzinfo=UTC) if ends else None)


def test_a_member_without_a_contact_is_cared_for_by_the_second_person_at_once():
    child = replace(BRUNO, contacts=())

    assert _told(DOSE, home=replace(HOME, people=(ANA, child, CLARA))) == {"ana-phone"}


def test_with_nobody_to_tell_that_is_on_record():
    (step,) = tell(Home("home", "UTC", (Person("bruno"),)), [DOSE], NOON).steps

    assert (step.told, step.reason) == (False, "nobody to tell")


def test_each_contact_gets_one_message_about_all_of_it_the_critical_first():
    critical = replace(DOSE, id="critical", critical=True, due_at=NOON + timedelta(minutes=1))

    (message,) = tell(HOME, [DOSE, critical], NOON + timedelta(minutes=1)).deliveries

    assert (message.reminder_ids, message.urgent) == (("critical", "dose"), True)


def test_a_person_who_was_told_in_this_minute_is_told_in_the_next_unless_it_is_critical():
    home = replace(HOME, told_this_minute=frozenset({"bruno-phone"}))

    (step,) = tell(home, [DOSE], NOON + timedelta(seconds=20)).steps

    assert (step.told, step.next_at) == (False, NOON + timedelta(minutes=1))
    assert _told(replace(DOSE, critical=True), home=home) == {"bruno-phone"}


def test_what_concerns_two_waits_until_both_may_be_told_for_it_may_be_told_only_once():
    home = replace(HOME, told_this_minute=frozenset({"bruno-phone"}))
    missed, now = replace(DOSE, status=MISSED), CLOSES_AT + timedelta(seconds=1)

    (step,) = tell(home, [missed], now).steps

    assert (step.told, step.next_at) == (False, CLOSES_AT + timedelta(minutes=1))
    assert _told(missed, CLOSES_AT + timedelta(minutes=1)) == {"bruno-phone", "ana-phone", "clara-phone", "clara-mail"}


def test_a_dose_resolved_meanwhile_is_dropped_with_its_reason():
    (step,) = tell(HOME, [replace(DOSE, status="taken")], NOON).steps

    assert (step.told, step.next_at, step.reason) == (False, None, "taken")


def test_alarms_go_to_the_admins_and_low_stock_to_the_member():
    assert _told(Reminder("old", BACKUP_OLD)) == {"ana-phone"}
    assert _told(Reminder("low", LOW_STOCK, member_id="bruno")) == {"bruno-phone"}


def test_that_nobody_could_be_reminded_passes_quiet_hours():
    asleep = replace(ANA, quiet_from=time(0), quiet_until=time(23))

    assert _told(Reminder("failed", COULD_NOT_REMIND), home=replace(HOME, people=(asleep,))) == {"ana-phone"}
    assert _told(Reminder("old", BACKUP_OLD), home=replace(HOME, people=(asleep,))) == set()


times = st.one_of(
    st.none(), st.sampled_from([time(1, 30), time(2, 30)]), st.times().map(lambda at: at.replace(microsecond=0))
)


@given(
    noon=st.sampled_from([NOON, datetime(2026, 3, 8, 6, tzinfo=UTC), datetime(2026, 11, 1, 4, tzinfo=UTC)]),
    minutes=st.integers(-1, 200),
    tellings=st.integers(0, 20),
    critical=st.booleans(),
    nag=st.one_of(st.none(), st.integers(1, 720)),
    status=st.sampled_from(["pending", "taken", "missed"]),
    claimed_by=st.sampled_from([None, "ana", "bruno", "gone"]),
    quiet=st.tuples(times, times),
    panels=st.sampled_from([(), ("kitchen",)]),
)
def test_whatever_holds_every_reminder_gets_a_step_that_moves_on_and_no_stranger_is_told(
    noon, minutes, tellings, critical, nag, status, claimed_by, quiet, panels
):
    quiet_from, quiet_until = quiet if None not in quiet else (None, None)
    people = (ANA, replace(BRUNO, quiet_from=quiet_from, quiet_until=quiet_until), replace(CLARA, id="stranger"))
    home = Home("home", "America/New_York", people, panels)
    now, late_at, closes_at = (noon + timedelta(minutes=each) for each in (minutes, 60, 120))
    dose = Reminder("dose", ladder.DOSE, "bruno", noon, late_at, closes_at, status, critical, nag, tellings, claimed_by)

    told = tell(home, [dose], now)

    (step,) = told.steps
    assert step.next_at is None or step.next_at > now
    assert step.told or step.reason or step.next_at
    assert step.told == bool(told.deliveries) or tellings > 0
    assert not {each.contact_id for each in told.deliveries} & {"clara-phone", "clara-mail"}
    if status == "taken":
        assert told.deliveries == ()
    if critical and status == "pending" and now <= closes_at:
        assert told.deliveries != ()


# What is said

ITEM = Item("reminder", "dose", "Bruno", due_at=NOON, late_at=LATE_AT, closes_at=CLOSES_AT)
NAMED = replace(ITEM, medicine="Metformin", strength="500 mg", amount=Decimal("1.0"), unit="tablet")


def test_a_reminder_in_time_says_it_is_time_and_names_no_medicine():
    said = wording([ITEM], "Europe/Berlin", NOON)

    assert (said.kind, said.text) == ("due", "Bruno: time for the medicine of 13:00")


def test_a_reminder_after_the_grace_period_says_late():
    said = wording([ITEM], "UTC", LATE_AT + timedelta(seconds=1))

    assert (said.kind, said.text) == ("late", "Bruno: the medicine of 12:00 has not been taken yet")


def test_a_member_may_choose_that_medicines_are_named():
    assert wording([NAMED], "UTC", NOON).text == "Bruno: time for Metformin 500 mg, 1 tablet of 12:00"


def test_several_medicines_are_one_line_for_each_person():
    said = wording([ITEM, ITEM, replace(ITEM, member="Ana")], "UTC", NOON)

    assert said.text == "Ana: time for the medicine of 12:00\nBruno: time for the 2 medicines of 12:00"


def test_what_is_time_critical_and_may_still_be_taken_comes_first_and_says_so():
    later = NOON + timedelta(minutes=30)
    critical = replace(ITEM, critical=True, due_at=later, late_at=LATE_AT + HOUR)
    late = replace(critical, member="Ana", due_at=NOON, late_at=NOON)
    missed = replace(critical, due_at=NOON, status=MISSED)

    said = wording([ITEM, missed, critical, late], "UTC", later)

    assert (said.kind, said.text.splitlines()) == (
        "due",
        [
            "Bruno: time for the medicine of 12:30 (time-critical)",
            "Ana: the medicine of 12:00 has not been taken yet (time-critical)",
            "Bruno: time for the medicine of 12:00",
            "Bruno: the medicine of 12:00 was missed",
        ],
    )


def test_what_was_missed_is_never_called_due():
    said = wording([replace(ITEM, status=MISSED)], "UTC", CLOSES_AT + timedelta(hours=1))

    assert (said.kind, said.text) == (MISSED, "Bruno: the medicine of 12:00 was missed")


def test_another_day_is_named():
    said = wording([replace(ITEM, status=MISSED)], "UTC", NOON + timedelta(days=1))

    assert said.text == "Bruno: the medicine of Wed 12:00 was missed"


def test_while_the_clock_is_in_doubt_nothing_is_due_or_late():
    said = wording([ITEM], "UTC", LATE_AT + timedelta(seconds=1), clock_doubted=True)

    assert (said.kind, said.text) == ("planned", "Bruno: the medicine of 12:00, as planned; the clock is in doubt")


def test_low_stock_says_by_when_to_order():
    low = Item("low", LOW_STOCK, "Bruno", day="2026-03-06")

    assert wording([low], "UTC", NOON).text == "Bruno: a medicine is running low, order by 2026-03-06"
    assert wording([low, low], "UTC", NOON).text == "Bruno: 2 medicines are running low, order by 2026-03-06"


def test_every_alarm_has_words():
    for kind in ladder.ALARMS:
        said = wording([Item("alarm", kind, "Bruno", about="Kitchen")], "UTC", NOON)
        assert said.kind == kind
        assert " " in said.text
