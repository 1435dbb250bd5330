"""When the buzzer sounds, how often and how loud; and that the disc on the pin does what was decided."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from threading import Event, Thread

import pytest
from gpiozero import PWMOutputDevice
from gpiozero.pins.mock import MockFactory, MockPWMPin

from dosette.testing import NOON, a_dose, a_plan, a_press
from dosette_display.buzzer import DUTY, GPIO, Bell, Buzzer, Sound, Volume, sound

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
DOSE = a_dose()
"""Due at noon, late at one."""
NIGHT = {"quiet_from": time(11), "quiet_until": time(13)}


def heard(*doses, at: datetime = NOON, volume: Volume = Volume.NORMAL) -> Sound | None:
    return sound(doses, "UTC", at - 10 * SECOND, at, volume)


def test_it_sounds_when_a_dose_falls_due_and_not_before():
    assert heard(DOSE, at=NOON - SECOND) is None
    assert heard(DOSE) == Sound(2, Volume.NORMAL)
    assert heard(DOSE, at=NOON + 11 * SECOND) is None


def test_it_sounds_again_each_five_minutes_for_half_an_hour():
    minutes = [minute for minute in range(60) if heard(DOSE, at=NOON + minute * MINUTE)]

    assert minutes == [0, 5, 10, 15, 20, 25]


def test_a_late_dose_sounds_three_times():
    assert heard(DOSE, at=DOSE.late_at) == Sound(3, Volume.NORMAL)


def test_several_doses_at_once_are_one_sound():
    assert heard(DOSE, a_dose(), a_dose(NOON - timedelta(hours=1))) == Sound(3, Volume.NORMAL)


@pytest.mark.parametrize("answer", [{"status": "taken"}, {"status": "skipped"}, {"claimed_by": "Bruno"}])
def test_a_dose_that_somebody_has_seen_to_is_silent(answer):
    assert heard(replace(DOSE, **answer)) is None


def test_a_snoozed_dose_is_silent_until_its_snooze_ends():
    snoozed = replace(DOSE, snoozed_until=NOON + 17 * MINUTE)

    assert [minute for minute in range(25) if heard(snoozed, at=NOON + minute * MINUTE)] == [17, 22]


def test_a_dose_whose_window_has_closed_is_silent():
    assert heard(replace(DOSE, closes_at=NOON + MINUTE), at=NOON + 5 * MINUTE) is None


def test_in_quiet_hours_only_what_is_critical_sounds_and_softly():
    assert heard(replace(DOSE, **NIGHT), volume=Volume.LOUD) is None
    assert heard(replace(DOSE, **NIGHT, critical=True), volume=Volume.LOUD) == Sound(2, Volume.QUIET)


def test_one_member_s_quiet_hours_silence_nobody_else_s_dose():
    assert heard(replace(DOSE, **NIGHT), a_dose(), volume=Volume.LOUD) == Sound(2, Volume.LOUD)


def test_quiet_hours_go_by_the_household_s_clock():
    asleep = replace(DOSE, quiet_from=time(12, 30), quiet_until=time(13, 30))

    assert sound([asleep], "UTC", NOON - SECOND, NOON, Volume.NORMAL)
    assert not sound([asleep], "Europe/Berlin", NOON - SECOND, NOON, Volume.NORMAL)


def test_turned_off_it_is_silent_also_for_what_is_critical():
    assert heard(replace(DOSE, critical=True), volume=Volume.OFF) is None


@pytest.fixture
def rung() -> list[Sound]:
    return []


def test_a_clock_that_jumps_rings_for_nothing_it_jumped_over(rung):
    bell, plan = (
        Bell(Volume.NORMAL, rung.append),
        a_plan(*(a_dose(NOON + hour * timedelta(hours=1)) for hour in range(20))),
    )

    bell.look(plan, (), NOON - timedelta(days=365))
    bell.look(plan, (), NOON + timedelta(hours=10, minutes=40))

    assert not rung


def test_a_bell_that_looks_at_its_leisure_rings_once_for_each_moment(rung):
    bell = Bell(Volume.NORMAL, rung.append)

    for second in range(-30, 60, 7):
        bell.look(a_plan(DOSE), (), NOON + second * SECOND)

    assert len(rung) == 1


def test_an_agent_that_starts_while_a_dose_falls_due_rings(rung):
    Bell(Volume.NORMAL, rung.append).look(a_plan(DOSE), (), NOON + 20 * SECOND)

    assert len(rung) == 1


def test_a_press_silences_a_dose_before_the_server_knows_of_it(rung):
    plan = a_plan(DOSE)

    Bell(Volume.NORMAL, rung.append).look(plan, (a_press(plan.device_id, DOSE.id),), NOON)
    assert not rung
    presses = [a_press(plan.device_id, DOSE.id), a_press(plan.device_id, DOSE.id, kind="undo", number=2)]
    Bell(Volume.NORMAL, rung.append).look(plan, presses, NOON)
    assert rung


def test_a_dose_snoozed_without_a_server_rings_when_its_snooze_ends(rung):
    bell, plan = Bell(Volume.NORMAL, rung.append), a_plan(DOSE)
    snooze = a_press(plan.device_id, DOSE.id, kind="snooze", at=NOON + MINUTE)
    bell.look(plan, (), NOON)

    rings = []
    for minute in range(1, 25):
        bell.look(plan, (snooze,), NOON + minute * MINUTE)
        rings += [minute] * (len(rung) - 1 - len(rings))

    assert rings == [16, 21]


def test_without_a_plan_it_is_silent(rung):
    Bell(Volume.NORMAL, rung.append).look(None, (), NOON)

    assert not rung


def test_the_disc_sounds_as_often_and_as_loud_as_was_decided_and_is_silent_afterwards():
    factory, stopping = MockFactory(pin_class=MockPWMPin), Event()
    disc = PWMOutputDevice(GPIO, frequency=2700, pin_factory=factory)
    buzzer = Buzzer(disc)
    thread = Thread(target=buzzer.run, args=(stopping,))
    thread.start()

    buzzer.ring(Sound(3, Volume.QUIET))
    states = factory.pin(GPIO).states
    while [state.state for state in states].count(DUTY[Volume.QUIET]) < 3 or states[-1].state:
        Event().wait(0.01)

    assert [state.state for state in states if state.state] == [DUTY[Volume.QUIET]] * 3
    stopping.set()
    buzzer.wake()
    thread.join(timeout=2)
    assert not thread.is_alive()
    buzzer.close()
