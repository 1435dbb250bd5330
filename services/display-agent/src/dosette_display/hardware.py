"""What is fitted to this machine by its settings: panel, buttons, lamp and buzzer, and on which pins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gpiozero import DigitalInputDevice, Factory
from gpiozero.exc import GPIOZeroError
from gpiozero.pins.mock import MockFactory, MockPWMPin

from dosette.settings import BadSetting, Environment
from dosette_display import lamp, touch
from dosette_display.buzzer import GPIO as BUZZER
from dosette_display.buzzer import Volume
from dosette_display.keys import Wiring
from dosette_display.panels import KINDS, SIZES, Panel, PanelFault, panel_named, size_of
from dosette_display.panels.lines import imported_lgpio
from dosette_display.touch import I2cWires, TouchGlass

PINS: Mapping[Wiring, Mapping[str, int]] = {
    Wiring.ONE: {"button": 3},
    Wiring.THREE: {"take": 5, "snooze": 13, "skip": 6},
}
"""Free on the small HATs of Waveshare and Pimoroni; the one button is where the first of these machines had it."""
LAST_PIN = 27
TOUCH = "touch"
TIME_ERROR = 5
LARGER_THAN_TIMEX = 512
_TAKEN_BY_PANEL: Mapping[str, frozenset[int]] = {
    "virtual": frozenset(),
    "ssd1680": frozenset({8, 9, 10, 11, 17, 24, 25}),
    "ssd1680-v3": frozenset({8, 9, 10, 11, 17, 24, 25}),
    "inky": frozenset({2, 3, 8, 9, 10, 11, 17, 22, 27}),
    "waveshare": frozenset({8, 9, 10, 11, 17, 18, 24, 25}),
}


@dataclass(frozen=True)
class Hardware:
    """`panel` is one of `panels.KINDS`, with a model if it has one; `buttons` has the pin of each of a wiring's buttons."""

    panel: str
    size: tuple[int, int]
    buttons: Mapping[str, int]
    volume: Volume
    touch: bool = False
    """Whether the one button is the glass itself; its pin is then that of the touch layer's pulses."""

    @classmethod
    def of(cls, env: Environment) -> "Hardware":
        """Raises BadSetting."""
        panel = env.text("DOSETTE_PANEL", "virtual")
        if panel.partition(":")[0] not in KINDS:
            raise BadSetting(f"DOSETTE_PANEL={panel}: there is no such panel, only {', '.join(KINDS)}:MODEL")
        text = env.text("DOSETTE_BUTTONS", "three")
        buttons = _touch(panel) if text == TOUCH else _buttons(text, panel)
        return cls(panel, _size(env), buttons, _volume(env), touch=text == TOUCH)

    @property
    def is_virtual(self) -> bool:
        """Whether buttons, lamp and buzzer are simulated as well."""
        return self.panel == "virtual"

    def clock_is_synced(self) -> bool:
        """Whether the time of a press can be believed; that of a virtual panel is its host's own care."""
        return self.is_virtual or clock_is_synced()

    def open_panel(self, folder: Path) -> Panel:
        """Raises BadSetting, as the process can't do its work without."""
        try:
            return panel_named(self.panel, folder, self.size)
        except (ValueError, PanelFault) as error:
            raise BadSetting(f"DOSETTE_PANEL={self.panel}: {error}") from None

    def open_touch(self, factory: Factory, down: Callable[[], None], up: Callable[[], None]) -> TouchGlass | None:
        """None where there is no touch layer. Raises BadSetting."""
        if not self.touch:
            return None
        try:
            glass = TouchGlass(I2cWires(imported_lgpio()), down, up)
        except PanelFault as error:
            raise BadSetting(f"DOSETTE_BUTTONS={TOUCH}: {error}") from None
        glass.heed(DigitalInputDevice(touch.INT, pull_up=True, pin_factory=factory))
        return glass

    def pins(self) -> Factory:
        """gpiozero's way to the pins. lgpio by name, so that a machine without it says so instead of trying another."""
        if self.is_virtual:
            return MockFactory(pin_class=MockPWMPin)
        try:
            imported_lgpio()
            from gpiozero.pins.lgpio import LGPIOFactory

            return LGPIOFactory()
        except (ImportError, OSError, GPIOZeroError) as error:
            raise BadSetting(f"DOSETTE_PANEL={self.panel}: no GPIO ({error}): run `dosette-display doctor`") from None


def clock_is_synced() -> bool:
    """Whether the kernel says that its clock follows others, by whatever program, and in a container, too: adjtimex(2)."""
    import ctypes  # here, since most agents never ask

    asked = ctypes.create_string_buffer(LARGER_THAN_TIMEX)
    return ctypes.CDLL(None).adjtimex(asked) not in (TIME_ERROR, -1)


def _touch(panel: str) -> Mapping[str, int]:
    if not panel.startswith("ssd1680"):
        _refuse(
            TOUCH, f"the panel {panel} has no touch layer that is known here: only ssd1680 and ssd1680-v3 may have one"
        )
    return {"button": touch.INT}


def _size(env: Environment) -> tuple[int, int]:
    text = env.text("DOSETTE_PANEL_SIZE", "{}x{}".format(*SIZES[0]))
    try:
        return size_of(text)
    except ValueError as error:
        raise BadSetting(f"DOSETTE_PANEL_SIZE={text}: {error}") from None


def _volume(env: Environment) -> Volume:
    text = env.text("DOSETTE_BUZZER", Volume.OFF)
    if text not in list(Volume):
        raise BadSetting(f"DOSETTE_BUZZER={text}: say {', '.join(Volume)}")
    return Volume(text)


def _buttons(text: str, panel: str) -> Mapping[str, int]:
    """Of `one`, `three`, or names with pins, as in `take=5,snooze=13,skip=6`."""
    pins = dict(PINS[Wiring(text)]) if text in list(Wiring) else _pins(text)
    wirings = {frozenset(wiring.buttons): wiring for wiring in Wiring}
    if frozenset(pins) not in wirings:
        _refuse(text, "say one, three, touch, button=PIN, or take=PIN,snooze=PIN,skip=PIN")
    taken = _TAKEN_BY_PANEL[panel.partition(":")[0]] | {lamp.GPIO, BUZZER}
    for name, pin in pins.items():
        if pin > LAST_PIN:
            _refuse(text, f"there is no GPIO {pin}, only 0 to {LAST_PIN}")
        if pin in taken or list(pins.values()).count(pin) > 1:
            _refuse(text, f"GPIO {pin} of {name} is used by something else: choose another of 5, 6, 13, 26")
    return {name: pins[name] for name in wirings[frozenset(pins)].buttons}


def _pins(text: str) -> dict[str, int]:
    pairs = [part.strip().partition("=") for part in text.split(",")]
    return {name.strip(): int(pin) for name, _, pin in pairs if pin.strip().isdecimal()}


def _refuse(text: str, why: str) -> None:
    raise BadSetting(f"DOSETTE_BUTTONS={text}: {why}")
