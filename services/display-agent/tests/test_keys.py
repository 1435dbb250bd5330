"""What a gesture means: something on every screen, and never a taking where none is shown."""

import pytest

from dosette_display.keys import Act, Gesture, Screen, Wiring, meaning

PRESSES = {Act.TAKE, Act.SNOOZE, Act.SKIP, Act.UNDO}


@pytest.mark.parametrize("gesture", Gesture)
@pytest.mark.parametrize("screen", Screen)
def test_every_gesture_has_a_meaning_on_every_screen(screen, gesture):
    assert meaning(screen, gesture) in Act


@pytest.mark.parametrize("gesture", Gesture)
def test_a_push_takes_doses_only_where_doses_are_offered(gesture):
    taking = {screen for screen in Screen if meaning(screen, gesture) is Act.TAKE}

    assert taking <= {Screen.DUE, Screen.STEP, Screen.NEXT}


def test_the_only_button_takes_what_is_due_and_nothing_early():
    assert meaning(Screen.DUE, Gesture.BUTTON) is Act.TAKE
    assert meaning(Screen.NEXT, Gesture.BUTTON) not in PRESSES


def test_a_dose_is_skipped_only_after_it_was_asked_why():
    assert not [screen for screen in Screen if Act.SKIP in {meaning(screen, gesture) for gesture in Gesture}]


def test_what_was_done_is_undone_by_holding_any_button():
    assert meaning(Screen.DONE, Gesture.HOLD) is Act.UNDO


@pytest.mark.parametrize("wiring", Wiring)
def test_each_button_of_a_wiring_has_a_push_and_a_hold(wiring):
    gestures = [Gesture.of(button, held) for button in wiring.buttons for held in (False, True)]

    assert gestures.count(Gesture.HOLD) == len(wiring.buttons)
    assert len(set(gestures)) == len(wiring.buttons) + 1
