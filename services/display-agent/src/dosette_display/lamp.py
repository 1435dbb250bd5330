"""The lamp by the buttons: saved, sending, error."""

from enum import StrEnum

from gpiozero import LED, Factory

GPIO = 16


class Light(StrEnum):
    DARK = "dark"
    SAVED = "saved"
    SENDING = "sending"
    ERROR = "error"


_BLINK_S = {Light.SENDING: (0.2, 1.8), Light.ERROR: (0.25, 0.25)}
"""Seconds on and off."""


class Lamp:
    """Steady: saved on the card. A short flash every two seconds: on its way to the server. Fast: not saved."""

    def __init__(self, factory: Factory | None = None) -> None:
        self._led = LED(GPIO, pin_factory=factory)
        self.light = Light.DARK

    def show(self, light: Light) -> None:
        if light == self.light:
            return
        self.light = light
        if light in _BLINK_S:
            self._led.blink(*_BLINK_S[light])
        elif light == Light.SAVED:
            self._led.on()
        else:
            self._led.off()

    def close(self) -> None:
        self._led.close()
