"""The lamp tells saved, sending and error apart."""

import time

import pytest
from gpiozero.pins.mock import MockFactory

from dosette_display.lamp import GPIO, Lamp, Light


@pytest.mark.parametrize(
    ("light", "seen"),
    [(Light.DARK, {False}), (Light.SAVED, {True}), (Light.SENDING, {True, False}), (Light.ERROR, {True, False})],
)
def test_each_light_is_seen_on_the_pin(light, seen):
    factory = MockFactory()
    lamp = Lamp(factory)

    lamp.show(light)

    states = set()
    for _ in range(40):
        states.add(bool(factory.pin(GPIO).state))
        time.sleep(0.02)
    lamp.close()
    assert states == seen
