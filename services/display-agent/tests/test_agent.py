"""The agent without a network: what a press names, when the panel is refreshed, what it does with a full card."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread

import pytest
from PIL import Image

from dosette.clock import boot_id
from dosette.contracts.plan import LowStock, NewKeys, PlannedConflict
from dosette.testing import NOON, a_dose, a_plan
from dosette_display import words
from dosette_display.agent import VIEW_S, Agent
from dosette_display.answers import Answer
from dosette_display.journal import Journal
from dosette_display.keys import Gesture, Screen, Wiring
from dosette_display.known_clock import KnownClock
from dosette_display.lamp import Light
from dosette_display.panels import PanelFault
from dosette_display.plan_store import PlanStore

MINUTE = timedelta(minutes=1)


def a_low_stock() -> LowStock:
    return LowStock("Ana", "Metformin", "500 mg", Decimal(4), "tablet", 4, NOON.date())


@dataclass
class GlassPanel:
    size: tuple[int, int] = (250, 122)
    supports_partial: bool = True
    modes: list[str] = field(default_factory=list)
    fault: str = ""

    def show(self, image: Image.Image, mode: str) -> None:
        if self.fault:
            raise PanelFault(self.fault)
        self.modes.append(mode)

    def sleep(self) -> None:
        pass


@dataclass
class Desk:
    """An agent whose loop is stepped by hand, on a clock that is set by hand."""

    folder: Path
    key: str
    sealed: object
    now: datetime = NOON
    synced: bool = True
    stepped: timedelta = timedelta(0)
    """Of the wall clock alone."""
    number: int = 0
    panel: GlassPanel = field(default_factory=GlassPanel)
    lights: list[Light] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        plan = a_plan()
        self.journal = Journal(self.folder / "journal", plan.device_id)
        self.agent = Agent(
            device_id=plan.device_id,
            clock=lambda: self.now + self.stepped,
            clock_synced=lambda: self.synced,
            panel=self.panel,
            lamp=self,
            plans=PlanStore(self.folder / "plan.json", plan.device_id, self.key),
            journal=self.journal,
            answered=self.answers.append,
            elapsed_s=lambda: (self.now - NOON).total_seconds(),
            known_clock=KnownClock(self.folder / "clock-known"),
        )

    def show(self, light: Light) -> None:
        self.lights.append(light)

    def hear(self, *doses, **facts) -> None:
        self.number += 1
        plan = replace(a_plan(*doses, issued_at=self.now), number=self.number, **facts)
        self.agent.heard(self.sealed(plan))

    def redraw(self) -> None:
        self.agent._refresh(self.now + self.stepped)

    def press(self, kind: str = "take") -> Answer:
        self.agent.press(Gesture("hold" if kind == "undo" else kind), self.agent.look())
        self.redraw()
        return self.answers[-1]

    def choose(self, text: str) -> None:
        """Opens the menu and goes to this entry."""
        self.press("hold")
        while (page := self.agent.look().page).choices[page.chosen].text != text:
            self.press("snooze")
        self.press("take")

    @property
    def title(self) -> str:
        return self.agent.look().page.title


@pytest.fixture
def desk(tmp_path: Path, key: str, sealed) -> Desk:
    return Desk(tmp_path, key, sealed)


def test_a_press_names_what_was_shown_though_the_plan_changed_in_between(desk):
    shown, other = a_dose(medicine="Metformin"), a_dose(medicine="Ramipril")
    desk.hear(shown)
    desk.redraw()

    scene = desk.agent.look()
    desk.hear(other)
    desk.redraw()
    desk.agent.press(Gesture.TAKE, scene)

    assert [press.dose_ids for press in desk.journal.waiting()] == [(shown.id,)]


def test_a_press_is_saved_before_the_lamp_says_so(desk):
    desk.hear(a_dose())
    desk.redraw()

    answer = desk.press()

    assert answer.said == "saved: take, 1 dose"
    assert desk.lights == [Light.DARK, Light.SAVED]
    assert b'"number":1' in (desk.folder / "journal").read_bytes()
    assert desk.title == "Taken · saving"


def test_nothing_on_the_screen_can_be_taken_so_nothing_is(desk):
    desk.hear(a_dose(NOON + timedelta(hours=5)))
    desk.redraw()

    answer = desk.press()

    assert not answer.saved
    assert desk.title == "Nothing is due now"
    assert not desk.journal.waiting()


def test_a_second_press_on_the_same_picture_takes_nothing_twice(desk):
    desk.hear(a_dose())
    desk.redraw()

    desk.agent.press(Gesture.TAKE, desk.agent.look())
    desk.agent.press(Gesture.TAKE, desk.agent.look())

    assert len(desk.journal.waiting()) == 1
    assert desk.answers[-1].on_screen == "Already taken 12:00"


def test_a_dose_that_was_just_snoozed_can_be_taken_before_the_picture_has_changed(desk):
    desk.hear(a_dose())
    desk.redraw()
    scene = desk.agent.look()

    desk.agent.press(Gesture.SNOOZE, scene)
    desk.agent.press(Gesture.TAKE, scene)

    assert [press.kind for press in desk.journal.waiting()] == ["snooze", "take"]


def test_a_press_on_a_taken_dose_says_when_it_was_taken(desk):
    desk.hear(a_dose(status="taken", resolved_at=NOON - MINUTE))
    desk.redraw()

    answer = desk.press()

    assert answer.said == "nothing to take: already taken at 11:59"


def test_a_held_button_undoes_the_last_press_once(desk):
    desk.hear(dose := a_dose())
    desk.redraw()
    desk.press()

    assert desk.press("undo").said == "saved: undo, 1 dose"
    assert not desk.press("undo").saved
    assert [(press.kind, press.dose_ids) for press in desk.journal.waiting()] == [
        ("take", (dose.id,)),
        ("undo", (dose.id,)),
    ]


def test_a_dose_undone_on_a_phone_can_be_taken_again_at_once(desk):
    desk.hear(dose := a_dose())
    desk.redraw()
    desk.press()
    desk.hear(replace(dose, status="taken", resolved_at=NOON), pressed=1)
    desk.hear(dose, pressed=1)
    desk.redraw()

    assert desk.press().saved


def test_only_the_doses_that_fit_on_the_panel_are_taken(desk):
    desk.hear(*(a_dose() for _ in range(5)))
    desk.redraw()

    assert desk.press().said == "saved: take, 3 doses"
    assert desk.title == "Taken · saving"
    assert len(desk.agent.look().page.due) == 2


def test_a_hasty_second_push_takes_nothing_that_was_not_read(desk):
    desk.hear(*(a_dose() for _ in range(5)))
    desk.redraw()

    desk.press()
    hasty = desk.press()

    assert (hasty.saved, hasty.said) == (False, "no dose changed: 2 doses due")
    assert desk.title == "2 due"
    assert desk.press().said == "saved: take, 2 doses"
    assert len(desk.journal.waiting()) == 2


def test_what_else_is_due_comes_back_by_itself(desk):
    desk.hear(a_dose(), *(a_dose(member="Bruno") for _ in range(4)))
    desk.redraw()
    desk.press()

    desk.now += timedelta(seconds=20)
    desk.redraw()

    assert desk.title == "3 due"


def test_a_dose_is_skipped_for_the_reason_that_was_chosen(desk):
    desk.hear(dose := a_dose())
    desk.redraw()

    desk.press("skip")
    desk.press("snooze")
    answer = desk.press("take")

    (press,) = desk.journal.waiting()
    assert (answer.said, press.kind, press.dose_ids, press.reason) == (
        "saved: skip, 1 dose",
        "skip",
        (dose.id,),
        words.REASONS[1],
    )
    assert desk.title == "Skipped · saving"


def test_leaving_the_question_why_skips_nothing(desk):
    desk.hear(a_dose())
    desk.redraw()

    desk.press("skip")
    desk.press("skip")

    assert desk.title == "Due now"
    assert not desk.journal.waiting()


def test_a_snoozed_dose_stays_on_the_screen_and_can_be_taken(desk):
    desk.hear(dose := a_dose())
    desk.redraw()

    assert desk.press("snooze").said == "saved: snooze, 1 dose"
    assert desk.title == "Snoozed until 12:15 · saving"
    desk.now += timedelta(seconds=30)
    desk.redraw()
    page = desk.agent.look().page
    assert (page.title, page.takes) == ("Snoozed until 12:15", (dose.id,))
    assert desk.press().said == "saved: take, 1 dose"


def test_a_snoozed_dose_is_due_again_when_its_time_is_over(desk):
    desk.hear(dose := a_dose())
    desk.redraw()
    desk.press("snooze")

    desk.now += timedelta(minutes=15)
    desk.hear(dose)
    desk.redraw()

    assert desk.title == "Due now"


def test_a_dose_whose_window_ends_before_a_snooze_would_is_not_snoozed(desk):
    desk.hear(a_dose(width=timedelta(minutes=15)))
    desk.redraw()

    answer = desk.press("snooze")

    assert (answer.saved, desk.title) == (False, "Too late to snooze")


def test_somebody_who_goes_away_from_a_menu_leaves_what_is_due(desk):
    desk.hear(a_dose())
    desk.redraw()
    desk.press("hold")
    assert desk.title == "What else?"

    view, until = desk.agent._view
    desk.agent._view = view, until - VIEW_S
    desk.redraw()

    assert desk.title == "Due now"


def test_a_dose_that_falls_due_ends_whatever_was_looked_at(desk):
    desk.hear(a_dose(NOON + timedelta(minutes=1)))
    desk.redraw()
    desk.press("snooze")
    assert desk.title == "Today"

    desk.now += timedelta(minutes=1)
    desk.redraw()

    assert desk.title == "Due now"


def test_a_menu_names_the_doses_that_it_was_opened_on_and_not_those_that_came(desk):
    desk.hear(dose := a_dose())
    desk.redraw()
    desk.press("skip")
    asked = desk.agent.look()

    desk.hear(dose, a_dose(member="Bruno"))
    desk.redraw()
    desk.agent.press(Gesture.TAKE, asked)

    assert [press.dose_ids for press in desk.journal.waiting()] == [(dose.id,)]


def test_a_dose_taken_by_phone_closes_the_menu_about_it(desk):
    desk.hear(dose := a_dose())
    desk.redraw()
    desk.press("skip")

    desk.hear(replace(dose, status="taken", resolved_at=desk.now))
    desk.redraw()

    assert desk.title == "Taken"


def test_with_one_button_a_dose_is_taken_by_a_push_and_undone_by_holding(desk):
    desk.agent.wiring = Wiring.ONE
    desk.hear(a_dose())
    desk.redraw()

    assert desk.press("button").said == "saved: take, 1 dose"
    assert desk.press("hold").said == "saved: undo, 1 dose"
    assert desk.title == "Due now"


def test_with_one_button_a_dose_is_skipped_through_the_menu(desk):
    desk.agent.wiring = Wiring.ONE
    desk.hear(dose := a_dose())
    desk.redraw()

    desk.press("hold")
    while desk.agent.look().page.choices[desk.agent.look().page.chosen].text != "Skip …":
        desk.press("button")
    desk.press("hold")
    desk.press("hold")

    (press,) = desk.journal.waiting()
    assert (press.kind, press.dose_ids, press.reason) == ("skip", (dose.id,), words.REASONS[0])


def test_with_one_button_an_idle_panel_goes_round_and_comes_back(desk):
    desk.agent.wiring = Wiring.ONE
    desk.hear(*(a_dose(NOON + timedelta(hours=count)) for count in (3, 4, 5)), low=(a_low_stock(),))
    desk.redraw()

    seen = [desk.agent.look().page.screen]
    for _ in range(6):
        desk.press("button")
        seen.append(desk.agent.look().page.screen)

    assert list(dict.fromkeys(seen)) == [Screen.NEXT, Screen.TODAY, Screen.LOW]
    assert seen.count(Screen.NEXT) >= 2
    assert not desk.journal.waiting()


def test_doses_are_stepped_through_one_by_one(desk):
    doses = [a_dose(medicine=name) for name in ("Apixaban", "Bisoprolol", "Metformin")]
    desk.hear(*doses)
    desk.redraw()
    desk.choose("One by one")

    taken = []
    for _ in doses:
        page = desk.agent.look().page
        assert len(page.rows) == 1
        desk.press()
        taken.append(page.rows[0].dose_id)
        desk.press()

    assert taken == [dose.id for dose in doses]
    assert [press.dose_ids for press in desk.journal.waiting()] == [(dose.id,) for dose in doses]


def test_one_person_s_doses_can_be_taken_alone(desk):
    desk.hear(hers := a_dose(), a_dose(member="Bruno"))
    desk.redraw()

    desk.choose("Only Ana")
    desk.press()

    assert [press.dose_ids for press in desk.journal.waiting()] == [(hers.id,)]


def test_a_card_that_takes_nothing_is_said_until_a_press_is_saved_again(desk, monkeypatch):
    desk.hear(dose := a_dose())
    desk.redraw()
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", _full)
        desk.press()
    desk.agent._notice = None
    desk.redraw()
    assert (desk.title, desk.agent.look().page.takes) == ("CARD FULL?", (dose.id,))

    desk.press()

    assert desk.title == "Taken · saving"


def test_a_page_that_cannot_be_made_is_an_error_on_the_panel_and_the_next_page_is_tried(desk):
    odd = PlannedConflict("c", "Ana", "Metformin", "500 mg", "a word of a newer server", NOON, "taken", None)
    desk.hear(conflicts=(odd,))
    desk.redraw()
    page = desk.agent.look().page
    assert (page.title, page.alarm, page.screen, page.takes) == ("CAN'T SHOW IT", True, Screen.ERROR, ())

    desk.hear(a_dose())
    desk.redraw()

    assert desk.title == "Due now"


def test_a_page_that_cannot_be_made_is_left_for_what_matters_most(desk):
    odd = PlannedConflict("c", "Ana", "Metformin", "500 mg", "a word of a newer server", NOON, "taken", None)
    desk.hear(a_dose(), conflicts=(odd,))
    desk.redraw()
    desk.choose("Double dose?")

    desk.redraw()

    assert desk.agent.look().page.screen is Screen.DUE


def test_a_press_that_is_sent_again_hides_from_nobody_that_another_was_not_saved(desk, monkeypatch):
    desk.hear(a_dose(), a_dose(member="Bruno"))
    desk.redraw()
    monkeypatch.setattr(os, "fsync", _full)
    desk.press()

    desk.agent.sending()
    assert desk.lights[-1] is Light.ERROR
    desk.now += MINUTE
    desk.agent._tend_lamp()

    assert desk.lights[-1] is Light.DARK


def test_a_panel_in_trouble_still_shows_what_is_planned(desk, monkeypatch):
    desk.hear(dose := a_dose())
    desk.redraw()
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", _full)
        desk.press()
    desk.agent._notice = None
    desk.hear(replace(dose, status="taken", resolved_at=NOON))
    desk.redraw()
    assert desk.agent.look().page.screen is Screen.ERROR

    desk.press("snooze")

    assert desk.agent.look().page.screen is Screen.TODAY


def _full(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_card_is_said_after_a_menu_too(desk, monkeypatch):
    desk.hear(a_dose())
    desk.redraw()
    desk.press("skip")

    monkeypatch.setattr(os, "fsync", _full)
    desk.press("take")

    assert (desk.title, len(desk.agent.look().page.rows)) == ("NOT SAVED, press again", 1)


def test_an_acknowledged_press_leaves_the_journal(desk):
    desk.hear(dose := a_dose())
    desk.redraw()
    desk.press()

    desk.hear(replace(dose, status="taken", resolved_at=NOON), pressed=1)
    desk.redraw()

    assert not desk.journal.waiting()
    assert desk.title == "Taken"


def test_the_screen_says_when_the_server_knows_of_an_earlier_taking(desk):
    desk.hear(dose := a_dose())
    desk.redraw()
    desk.press()

    desk.hear(replace(dose, status="taken", resolved_at=NOON - 7 * MINUTE), pressed=1)
    desk.redraw()

    assert desk.title == "Already taken 11:53"


def test_the_screen_says_when_the_server_did_not_count_a_press(desk):
    desk.hear(dose := a_dose())
    desk.redraw()
    desk.press()

    desk.hear(dose, pressed=1)
    desk.redraw()

    assert desk.title == "NOT COUNTED, see the pages"


def test_a_take_and_its_undo_taken_in_together_agree_with_the_plan(desk):
    desk.hear(dose := a_dose())
    desk.redraw()
    desk.press()
    desk.press("undo")

    desk.hear(dose, pressed=2)
    desk.redraw()

    assert desk.title == "Due now"


def test_a_full_card_refuses_the_press_visibly(desk, monkeypatch):
    desk.hear(a_dose())
    desk.redraw()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    answer = desk.press()

    assert not answer.saved
    assert desk.title == "NOT SAVED, press again"
    assert desk.lights[-1] == Light.ERROR
    assert not desk.journal.waiting()


def test_a_press_after_a_restart_still_stands_on_the_screen(desk, key, sealed):
    desk.hear(a_dose())
    desk.redraw()
    desk.press()

    again = Desk(desk.folder, key, sealed)
    again.redraw()

    assert again.title == "Taken · saving"


def test_the_panel_is_left_in_peace_when_only_the_stamps_would_change(desk):
    desk.hear(dose := a_dose(NOON + timedelta(hours=8)))
    desk.redraw()

    desk.now += MINUTE
    desk.hear(dose)
    desk.redraw()

    assert desk.panel.modes == ["full"]


def test_the_stamps_are_renewed_after_a_quarter_of_an_hour(desk):
    desk.hear(dose := a_dose(NOON + timedelta(hours=8)))
    desk.redraw()

    desk.now += 16 * MINUTE
    desk.hear(dose)
    desk.redraw()

    assert len(desk.panel.modes) == 2


def test_a_dose_falling_due_refreshes_at_once_and_every_sixth_refresh_is_full(desk):
    desk.hear(*(a_dose(NOON + count * MINUTE) for count in range(9)))
    for _ in range(9):
        desk.redraw()
        desk.now += MINUTE

    assert desk.panel.modes == ["full", *["partial"] * 5, "full", "partial", "partial"][: len(desk.panel.modes)]
    assert len(desk.panel.modes) >= 3


def test_a_stored_plan_reminds_on_time_without_any_server(desk, key, sealed):
    desk.hear(a_dose(NOON + timedelta(days=2)))

    alone = Desk(desk.folder, key, sealed, now=NOON + timedelta(days=2))
    alone.redraw()

    assert alone.agent.look().page.takes


def test_a_panel_that_fails_is_said_by_the_lamp_and_tried_again_and_no_press_names_what_it_may_not_show(desk):
    desk.hear(a_dose())
    desk.redraw()
    desk.panel.fault = "the panel is busy"
    desk.hear(a_dose(medicine="Ramipril"))
    desk.redraw()
    assert desk.lights[-1] == Light.ERROR
    assert not desk.press().saved

    desk.panel.fault = ""
    desk.now += MINUTE
    desk.redraw()

    assert desk.title == "Due now"
    assert desk.panel.modes == ["full", "full"]


@dataclass
class Wire:
    lost_s: float | None = None
    admitted: bool = True

    def show(self, frame: bytes) -> None:
        pass

    def pressed(self) -> None:
        pass


def test_a_lost_link_is_said_after_half_a_minute_with_the_time_of_the_plan(desk):
    desk.hear(a_dose())
    desk.agent.wire = Wire(lost_s=29)

    desk.redraw()
    assert desk.title == "Due now"
    desk.agent.wire.lost_s = 30
    desk.redraw()
    assert desk.title == "offline since 12:00"


def test_a_panel_that_was_revoked_while_it_was_off_says_that_it_is_not_let_in(desk):
    desk.hear(a_dose())
    desk.agent.wire = Wire(lost_s=29, admitted=False)

    desk.redraw()
    assert desk.title == "Due now"
    desk.agent.wire.lost_s = 30
    desk.redraw()
    assert desk.title == "NOT ADMITTED"
    desk.agent.wire.admitted = True
    desk.now += 4 * MINUTE
    desk.redraw()
    assert desk.title == "offline since 12:00"


def test_a_server_that_is_silent_behind_a_living_link_is_offline_too(desk):
    desk.hear(a_dose())
    desk.agent.wire = Wire()

    desk.now += timedelta(seconds=94)
    desk.redraw()
    assert desk.title == "Due now"
    desk.now += timedelta(seconds=1)
    desk.redraw()
    assert desk.title == "offline since 12:00"


STEPS = [
    sign * step for sign in (1, -1) for step in (MINUTE, timedelta(hours=1), timedelta(hours=26), timedelta(days=365))
]


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_is_stepped_tells_of_no_time_without_a_server(desk, step):
    desk.hear(a_dose())
    desk.agent.wire = Wire(lost_s=10)
    desk.redraw()

    desk.stepped = step
    desk.redraw()

    assert "offline" not in desk.title


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_is_stepped_hides_no_time_without_a_server(desk, step):
    desk.hear(a_dose(NOON + timedelta(days=3)))
    desk.stepped = step
    desk.agent.wire = Wire(lost_s=40)

    desk.now += timedelta(seconds=40)
    desk.redraw()

    assert desk.title.startswith("offline since") or desk.agent.look().page.alarm


@pytest.mark.parametrize("step", [step for step in STEPS if step > timedelta(hours=2)])
def test_what_fell_into_a_jump_of_the_clock_is_missed_and_never_due(desk, step):
    desk.hear(a_dose(NOON + timedelta(hours=5)), a_dose(NOON + timedelta(days=6)))
    desk.redraw()

    desk.stepped = step
    desk.redraw()

    assert desk.agent.look().page.takes == ()
    assert "Due" not in desk.title


def test_a_clock_that_was_stepped_and_is_set_right_reminds_as_before(desk):
    desk.hear(a_dose())
    desk.stepped = timedelta(hours=26)
    desk.redraw()

    desk.stepped = timedelta(0)
    desk.now += MINUTE
    desk.redraw()

    assert desk.title == "Due now"


def test_a_press_says_in_which_boot_it_was_and_after_which_plan(desk):
    desk.hear(a_dose())
    desk.redraw()

    desk.press()

    (press,) = desk.journal.waiting()
    assert (press.after, press.boot_id) == (NOON, boot_id())


def test_a_revoked_panel_says_so_shows_no_doses_and_takes_no_press_also_after_a_restart(desk, key, sealed):
    desk.hear(a_dose())
    desk.redraw()
    before = desk.agent.look()
    desk.hear(revoked=True)
    desk.redraw()

    again = Desk(desk.folder, key, sealed)
    again.redraw()

    for each in (desk, again):
        page = each.agent.look().page
        assert (page.title, page.rows, page.takes, page.undoes) == ("NOT PAIRED", (), (), ())
        assert not each.press().saved
    desk.agent.press(Gesture.TAKE, before)
    assert desk.journal.waiting() == ()
    assert "no longer paired" in desk.answers[-1].said


def test_a_forged_plan_is_said_on_the_screen_until_a_good_one_comes_and_what_is_due_can_be_taken(desk):
    desk.hear(dose := a_dose())
    desk.redraw()

    desk.agent.heard(desk.sealed(a_plan(a_dose(medicine="Poison"), issued_at=NOON), key="00" * 32))
    desk.redraw()
    page = desk.agent.look().page
    assert (page.title, page.alarm, page.takes) == ("PLAN REFUSED", True, (dose.id,))
    desk.now += 4 * MINUTE
    desk.hear(dose)
    desk.redraw()

    assert desk.title == "Due now"


def test_the_plan_before_a_pairing_is_no_trouble_while_the_next_is_awaited(desk):
    desk.agent.heard(desk.sealed(a_plan(), key="00" * 32))

    desk.redraw()
    assert desk.title == "No plan yet"
    desk.now += timedelta(seconds=10)
    desk.redraw()
    assert desk.title == "PLAN REFUSED"


def test_new_keys_in_a_plan_are_taken_over_with_the_key_that_it_was_signed_with(desk):
    adopted: list[tuple[int, str]] = []
    desk.agent.adopt = lambda plan, key: adopted.append((plan.keys.generation, key)) if plan.keys else None

    desk.hear(a_dose(), keys=NewKeys(2, "ab" * 32, "cd" * 32))

    assert adopted == [(2, desk.key)]


@pytest.fixture
def running(desk: Desk) -> Iterator[Desk]:
    stopping = Event()
    thread = Thread(target=desk.agent.run, args=(stopping,))
    thread.start()
    yield desk
    stopping.set()
    desk.agent.wake()
    thread.join(timeout=1)
    assert not thread.is_alive()


def test_the_loop_wakes_for_a_plan_and_stops_within_a_second(running):
    running.hear(a_dose())

    for _ in range(100):
        if running.title == "Due now":
            break
        Event().wait(0.02)

    assert running.title == "Due now"
    assert running.agent.is_alive()


def test_a_clock_that_nobody_has_set_since_the_boot_claims_nothing_about_now(tmp_path, key, sealed):
    Desk(tmp_path, key, sealed, synced=False).hear(a_dose())
    booted = Desk(tmp_path, key, sealed, synced=False, now=NOON + 10 * MINUTE)

    booted.redraw()

    page = booted.agent.look().page
    assert (page.title, page.takes, page.as_of) == ("CLOCK NOT SET", (), "Wed 12:00")


def test_a_clock_that_was_synced_once_is_known_until_the_next_boot(tmp_path, key, sealed):
    before = Desk(tmp_path, key, sealed)
    before.hear(a_dose())
    before.redraw()
    before.synced = False
    before.redraw()
    again = Desk(tmp_path, key, sealed, synced=False)
    again.redraw()
    assert (before.title, again.title) == ("Due now", "Due now")

    (tmp_path / "clock-known").write_text("another boot")
    booted = Desk(tmp_path, key, sealed, synced=False)
    booted.redraw()

    assert booted.title == "CLOCK NOT SET"


def test_a_clock_is_known_that_agrees_with_a_plan_made_while_we_listened(tmp_path, key, sealed):
    desk = Desk(tmp_path, key, sealed, synced=False)
    desk.hear(dose := a_dose())  # it may have lain there for hours
    desk.redraw()
    assert desk.title == "CLOCK NOT SET"

    desk.now += MINUTE
    desk.hear(dose)
    desk.redraw()

    assert desk.title == "Due now"


def test_a_clock_that_is_hours_off_is_not_known_by_any_plan(tmp_path, key, sealed):
    desk = Desk(tmp_path, key, sealed, synced=False)
    for _ in range(3):
        desk.now += MINUTE
        desk.stepped = timedelta(hours=6)
        desk.hear(a_dose())
    desk.redraw()

    assert desk.title == "CLOCK NOT SET"


def test_that_the_clock_is_known_ends_no_agent_that_cannot_note_it(tmp_path, key, sealed):
    (tmp_path / "clock-known").mkdir()
    desk = Desk(tmp_path, key, sealed)
    desk.hear(a_dose())

    desk.redraw()

    assert desk.title == "Due now"
