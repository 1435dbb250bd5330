"""What the panel says, and what its buttons would do, decided from a plan, a moment and what the agent knows."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from dosette import testing
from dosette.contracts.plan import LowStock, Plan
from dosette.testing import NOON, a_dose, a_press
from dosette_display import agent, words
from dosette_display.keys import Act, Screen
from dosette_display.page import Mark, Notice, State, View
from dosette_display.telling import changes_at, page_of

DEVICE = "device"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NOTHING = State()


def a_plan(*doses, **facts) -> Plan:
    """Made the evening before."""
    return testing.a_plan(*doses, **{"issued_at": NOON - 15 * HOUR} | facts)


def a_low_stock() -> LowStock:
    return LowStock("Ana", "Metformin", "500 mg", Decimal(4), "tablet", 4, NOON.date())


def marks(page) -> list[Mark]:
    return [row.mark for row in page.rows]


def test_without_a_plan_it_says_so_and_offers_nothing():
    page = page_of(None, NOON, NOTHING)

    assert page.title == "No plan yet"
    assert not page.takes


def test_a_dose_is_due_from_its_minute_until_the_grace_period_has_passed():
    plan = a_plan(dose := a_dose())

    assert marks(page_of(plan, dose.due_at, NOTHING)) == [Mark.DUE]
    assert marks(page_of(plan, dose.late_at, NOTHING)) == [Mark.DUE]


def test_a_dose_is_late_only_after_the_grace_period_and_until_its_window_closes():
    plan = a_plan(dose := a_dose())

    page = page_of(plan, dose.late_at + SECOND, NOTHING)
    assert (page.title, marks(page), page.takes) == ("LATE", [Mark.LATE], (dose.id,))
    assert marks(page_of(plan, dose.closes_at, NOTHING)) == [Mark.LATE]


def test_after_its_window_a_dose_is_missed_and_no_button_takes_it():
    plan = a_plan(dose := a_dose())

    page = page_of(plan, dose.closes_at + SECOND, NOTHING)

    assert page.title == "1 missed"
    assert page.alarm
    assert not page.takes
    assert any("Metformin" in line for line in page.lines)


@pytest.mark.parametrize("status", ["pending", "missed"])
def test_a_dose_whose_window_closed_after_midnight_is_called_missed_on_the_day_after(status):
    late = a_dose(NOON + 11 * HOUR, status=status)
    plan = a_plan(late, a_dose(NOON + 20 * HOUR, member="Bruno"))

    page = page_of(plan, late.closes_at + HOUR, NOTHING)
    day_after = page_of(plan, NOON + 40 * HOUR, NOTHING)

    assert (page.title, page.alarm, page.lines[0]) == ("1 missed · next", True, "missed Wed 23:00: Metformin, Ana")
    assert not any("23:00" in line for line in day_after.lines)


def test_the_next_dose_stands_there_before_it_can_be_taken():
    plan = a_plan(dose := a_dose())

    page = page_of(plan, dose.opens_at - SECOND, NOTHING)

    assert marks(page) == [Mark.NEXT]
    assert not page.takes


def test_the_next_dose_may_be_taken_early_within_its_window():
    plan = a_plan(dose := a_dose())

    assert page_of(plan, dose.opens_at, NOTHING).takes == (dose.id,)


def test_what_is_due_hides_what_comes_next():
    due, later = a_dose(), a_dose(NOON + HOUR)

    page = page_of(a_plan(due, later), NOON, NOTHING)

    assert page.takes == (due.id,)


def test_several_due_at_once_are_rows_and_are_taken_together():
    doses = [a_dose(), a_dose(NOON - 90 * MINUTE), a_dose()]

    page = page_of(a_plan(*doses), NOON, NOTHING)

    assert marks(page) == [Mark.LATE, Mark.DUE, Mark.DUE]
    assert page.title == "3 due, 1 late"
    assert set(page.takes) == {dose.id for dose in doses}


def test_a_pressed_dose_is_taken_on_the_screen_before_the_server_knows():
    plan = a_plan(dose := a_dose())
    press = a_press(DEVICE, dose.id, at=NOON + 3 * MINUTE)

    page = page_of(plan, NOON + 3 * MINUTE, State(waiting=(press,), last=press))

    assert (page.title, marks(page), page.rows[0].time) == ("Taken · saving", [Mark.TAKEN], "12:03")
    assert not page.takes
    assert page.undoes == (dose.id,)


def test_an_undone_press_makes_the_dose_due_again():
    plan = a_plan(dose := a_dose())
    presses = a_press(DEVICE, dose.id), a_press(DEVICE, dose.id, kind="undo", number=2)

    page = page_of(plan, NOON, State(waiting=presses, last=presses[-1]))

    assert marks(page) == [Mark.DUE]
    assert not page.undoes


def test_a_dose_taken_on_a_phone_is_shown_taken_and_cannot_be_undone_here():
    plan = a_plan(a_dose(status="taken", resolved_at=NOON))

    page = page_of(plan, NOON + SECOND, NOTHING)

    assert (page.title, page.undoes) == ("Taken", ())


def test_a_press_can_be_undone_for_two_minutes():
    plan = a_plan(dose := a_dose(status="taken", resolved_at=NOON))
    state = State(last=a_press(DEVICE, dose.id, at=NOON))

    assert page_of(plan, NOON + 119 * SECOND, state).undoes == (dose.id,)
    assert page_of(plan, NOON + 120 * SECOND, state).undoes == ()


def test_a_press_can_be_undone_while_another_dose_is_due():
    taken, due = a_dose(status="taken", resolved_at=NOON), a_dose()

    plan, state = a_plan(taken, due), State(last=a_press(DEVICE, taken.id))

    answer, later = page_of(plan, NOON, state), page_of(plan, NOON + 20 * SECOND, state)
    menu = page_of(
        plan, NOON, State(last=state.last, confirmed=state.last.id, view=View(Screen.MENU, over=later, due=later.due))
    )

    assert (answer.title, answer.takes, answer.undoes, answer.lines) == ("Taken", (), (taken.id,), ("1 more is due.",))
    assert (later.title, later.takes, later.undoes) == ("Due now", (due.id,), (taken.id,))
    assert (menu.choices[0].text, menu.choices[0].act) == ("Undo the last dose", Act.UNDO)


def test_a_skipped_dose_is_marked_skipped():
    page = page_of(a_plan(a_dose(status="skipped", resolved_at=NOON)), NOON, NOTHING)

    assert (page.title, marks(page)) == ("Skipped", [Mark.SKIPPED])


@pytest.mark.parametrize("status", ["unknown", "a word of a newer server"])
def test_a_dose_of_which_nobody_knows_is_listed_as_that_and_never_offered_as_due(status: str):
    plan = a_plan(dose := a_dose(NOON - MINUTE, status=status), alarms=("restored",))

    today, home = page_of(plan, NOON, State(view=View(Screen.TODAY))), page_of(plan, NOON, NOTHING)

    assert (marks(today), today.rows[0].note) == ([Mark.UNKNOWN], status)
    assert dose.id not in (*home.takes, *home.snoozes, *home.undoes)
    assert home.alarm


def test_all_taken_is_said_with_what_comes_next():
    taken, tomorrow = a_dose(status="taken", resolved_at=NOON), a_dose(NOON + timedelta(days=1))

    page = page_of(a_plan(taken, tomorrow), NOON + HOUR, NOTHING)

    assert page.title == "All taken · next"
    assert page.rows[0].time == "Thu 12:00"


def test_every_page_says_as_of_when_and_until_when_it_holds():
    plan = a_plan(a_dose(NOON + HOUR, width=30 * MINUTE), issued_at=NOON - 5 * MINUTE)

    page = page_of(plan, NOON, NOTHING)

    assert (page.as_of, page.valid_until) == ("11:55", "12:30")


def test_times_are_of_the_household_and_not_of_the_machine():
    plan = a_plan(a_dose(), zone="Asia/Kathmandu")

    assert page_of(plan, NOON, NOTHING).rows[0].time == "17:45"


def test_the_page_changes_at_no_other_time_than_it_said():
    plan = a_plan(a_dose(), a_dose(NOON + 3 * HOUR, width=30 * MINUTE))
    now, changes = NOON - 5 * HOUR, 0

    while now < NOON + 5 * HOUR:
        change = changes_at(plan, now, NOTHING)
        before = change - timedelta(microseconds=1)
        assert page_of(plan, before, NOTHING) == page_of(plan, now, NOTHING)
        now, changes = change, changes + 1

    assert changes == 11  # opens, due, late, too late to snooze, and closes of two doses, and midnight


def test_an_offline_panel_says_since_when_and_goes_on_reminding():
    plan = a_plan(dose := a_dose(), issued_at=NOON - 20 * MINUTE)

    page = page_of(plan, NOON, State(offline_since=plan.issued_at))

    assert (page.title, page.alarm, page.takes) == ("offline since 11:40", True, (dose.id,))


def test_a_panel_that_is_offline_for_long_is_not_up_to_date():
    plan = a_plan(a_dose(), issued_at=NOON - 2 * HOUR)

    assert page_of(plan, NOON, State(offline_since=plan.issued_at)).title == "NOT UP TO DATE"


@pytest.mark.parametrize("trouble", [words.CARD_FULL, words.PLAN_REFUSED])
def test_what_is_wrong_with_the_panel_itself_goes_before_that_it_is_offline(trouble):
    plan = a_plan(a_dose(), issued_at=NOON - 20 * MINUTE)

    page = page_of(plan, NOON, State(offline_since=plan.issued_at, trouble=trouble))

    assert (page.title, page.lines[0]) == (trouble[0], "May lack doses taken by phone.")


def test_a_panel_that_is_not_let_in_says_so_and_goes_on_reminding():
    plan = a_plan(dose := a_dose(), issued_at=NOON - 2 * HOUR)

    page = page_of(plan, NOON, State(offline_since=plan.issued_at, admitted=False))

    assert (page.title, page.alarm, page.takes) == ("NOT ADMITTED", True, (dose.id,))
    assert page.lines[:2] == ("The server does not let it in.", "Was it taken out? Pair it anew.")


@pytest.mark.parametrize("plan", [None, a_plan(a_dose(), issued_at=NOON - timedelta(days=8))])
def test_a_panel_that_is_not_let_in_says_so_though_it_has_no_plan_to_go_by(plan):
    page = page_of(plan, NOON, State(admitted=False))

    assert (page.title, page.alarm, page.takes) == ("NOT ADMITTED", True, ())
    assert "Was it taken out? Pair it anew." in page.lines


def test_after_the_end_of_the_plan_nothing_is_claimed_and_nothing_can_be_taken():
    plan = a_plan(a_dose(NOON), issued_at=NOON - timedelta(days=8))

    page = page_of(plan, NOON, NOTHING)

    assert (page.title, page.alarm, page.rows, page.takes) == ("NOT UP TO DATE", True, (), ())


BOOTED = datetime.fromisoformat("1970-01-01T00:10:00+00:00")


def test_a_clock_far_behind_the_plan_is_not_believed_and_what_is_planned_is_shown_without_a_word_about_now():
    page = page_of(a_plan(a_dose(), issued_at=NOON - HOUR), BOOTED, NOTHING)

    assert (page.title, marks(page), page.rows[0].time, page.takes) == ("CLOCK NOT SET", [Mark.LISTED], "Wed 12:00", ())
    assert (page.as_of, page.valid_until) == ("Wed 11:00", "11 Mar")


def test_without_a_clock_one_dose_can_be_shown_by_itself_and_recorded():
    plan = a_plan(dose := a_dose(), a_dose(NOON + HOUR), issued_at=NOON - HOUR)

    page = page_of(plan, BOOTED, State(view=View(Screen.STEP, dose_id=dose.id)))

    assert (page.title, len(page.rows), page.takes, page.snoozes) == ("CLOCK NOT SET", 1, (dose.id,), ())


def test_without_a_clock_the_only_planned_dose_can_be_recorded():
    plan = a_plan(dose := a_dose(), issued_at=NOON - HOUR)
    page = page_of(plan, BOOTED, NOTHING)

    menu = page_of(plan, BOOTED, State(view=View(Screen.MENU, over=page)))
    step = page_of(plan, BOOTED, State(view=menu.choices[0].view))

    assert (menu.choices[0].text, step.takes) == ("One by one", (dose.id,))


def test_a_menu_without_a_clock_outlives_a_dose_that_is_planned_no_more():
    plan = a_plan(dose := a_dose(), a_dose(NOON + HOUR), issued_at=NOON - HOUR, low=(a_low_stock(),))
    over = page_of(plan, BOOTED, State(view=View(Screen.STEP, dose_id=dose.id)))

    for at in range(8):
        menu = page_of(replace(plan, doses=(dose,)), BOOTED, State(view=View(Screen.MENU, at=at, over=over)))
        assert menu.choices[menu.chosen]


def test_a_dose_recorded_without_a_clock_is_no_longer_offered():
    plan = a_plan(dose := a_dose(), later := a_dose(NOON + HOUR), issued_at=NOON - HOUR)
    press = a_press(DEVICE, dose.id, at=BOOTED)

    page = page_of(plan, BOOTED, State(waiting=(press,), last=press))

    assert [row.dose_id for row in page.rows] == [later.id]


def test_a_notice_goes_when_what_it_is_about_does():
    plan = a_plan(dose := a_dose())
    state = State(notice=Notice("Nothing is due now", ((dose.id, Mark.NEXT),)))

    assert page_of(plan, NOON - HOUR, state).title == "Nothing is due now"
    assert page_of(plan, NOON, state).title == "Due now"


def test_amounts_and_units_are_written_so_that_nobody_misreads_them():
    dose = replace(a_dose(), amount=Decimal("2.50"), unit="puff", strength="75 \N{MICRO SIGN}g")

    row = page_of(a_plan(dose), NOON, NOTHING).rows[0]

    assert (row.amount, row.strength) == ("2.5 puffs", "75 mcg")


@pytest.mark.parametrize(
    ("claimed_by", "title"),
    [
        (("Ana",), "Ana has it"),
        (("Ana", "Ana"), "Ana has it"),
        (("Ana", "Clara"), "Ana and Clara have it"),
        (("Ana", None, None), "3 due, Ana has 1"),
        (("Ana", "Clara", None), "3 due, Ana and Clara have 2"),
    ],
)
def test_who_has_claimed_what_is_due_is_the_title_and_no_alarm(claimed_by, title):
    page = page_of(a_plan(*(a_dose(claimed_by=each) for each in claimed_by)), NOON, NOTHING)

    assert (page.title, page.alarm, len(page.takes)) == (title, False, len(claimed_by))


def test_a_claim_is_a_line_where_the_title_says_what_is_wrong():
    plan = a_plan(a_dose(claimed_by="Ana"), alarms=("could_not_remind",))

    page = page_of(plan, NOON, NOTHING)
    offline = page_of(plan, NOON, State(offline_since=NOON))

    assert (page.title, page.lines[0]) == ("could not remind", "Ana has it.")
    assert offline.lines[:2] == ("May lack doses taken by phone.", "Ana has it.")


def test_a_claim_of_what_is_not_due_yet_says_nothing():
    plan = a_plan(dose := a_dose(claimed_by="Ana"), issued_at=NOON - 3 * HOUR)

    assert "Ana" not in page_of(plan, dose.due_at - HOUR, NOTHING).title


def test_what_a_person_must_know_of_the_server_stands_on_every_page():
    alarms = ("backup_old", "could_not_remind", "unheard of")
    plan = a_plan(dose := a_dose(), issued_at=NOON - 6 * HOUR, alarms=alarms)

    for now in (dose.due_at, dose.due_at - 5 * HOUR):
        page = page_of(plan, now, NOTHING)
        assert page.title == "could not remind"
        assert page.lines[-2:] == ("Could not remind: see the pages.", "The backup is too old.")
        assert page.alarm


def test_a_backup_that_is_old_is_no_reason_to_shout():
    plan = a_plan(dose := a_dose(), alarms=("backup_old",))

    page = page_of(plan, dose.due_at, NOTHING)

    assert (page.title, page.alarm) == ("Due now", False)


def test_messages_that_are_stuck_are_told_with_since_when():
    plan = a_plan(dose := a_dose(), stuck_since=NOON)

    page = page_of(plan, dose.due_at, NOTHING)

    assert (page.title, page.lines, page.alarm) == ("stuck since 12:00", ("Messages stuck since 12:00.",), True)


def test_whoever_has_just_pressed_is_told_of_that_first():
    taken = a_dose(status="taken", resolved_at=NOON)
    plan, press = a_plan(taken, alarms=("could_not_remind",)), a_press("panel", taken.id)

    page = page_of(plan, NOON, State(last=press))

    assert (page.title, page.undoes, page.alarm) == ("Taken", (taken.id,), True)
    assert page.lines == ("Could not remind: see the pages.",)


def test_a_server_that_fell_silent_is_on_the_panel_within_two_minutes():
    assert agent.SILENT_AFTER_S + agent.SILENT_FOR_S + agent.LONGEST_WAIT_S <= 120
    assert agent.SILENT_AFTER_S > 60, "a plan comes every minute"
