"""Which parts a machine has, by its settings; a wrong one is a sentence with the variable's name."""

import gc
import re
from pathlib import Path
from threading import Event, Thread

import pytest
from gpiozero.pins.mock import MockFactory

from dosette.settings import BadSetting, Environment
from dosette_display import buzzer, hardware, lamp, touch
from dosette_display.buzzer import Volume
from dosette_display.hardware import PINS, Hardware
from dosette_display.keys import Wiring
from dosette_display.panels import KINDS, lines
from dosette_display.simulated_gt1151 import SimulatedGt1151


def fitted(**settings: str) -> Hardware:
    return Hardware.of(Environment(settings))


def test_without_settings_there_is_a_small_virtual_panel_with_three_buttons_and_no_sound():
    hardware = fitted()

    assert (hardware.panel, hardware.size, hardware.volume) == ("virtual", (250, 122), Volume.OFF)
    assert hardware.buttons == PINS[Wiring.THREE]
    assert hardware.is_virtual


def test_the_one_button_is_on_the_pin_of_the_first_machines():
    assert fitted(DOSETTE_BUTTONS="one").buttons == {"button": 3}


def test_the_glass_itself_may_be_the_one_button():
    hardware = fitted(DOSETTE_PANEL="ssd1680", DOSETTE_BUTTONS="touch")

    assert hardware.touch
    assert tuple(hardware.buttons) == Wiring.ONE.buttons


def test_buttons_may_be_on_other_pins():
    assert fitted(DOSETTE_BUTTONS="skip=20, take=21,snooze=26").buttons == {"take": 21, "snooze": 26, "skip": 20}
    assert fitted(DOSETTE_BUTTONS="button=26").buttons == {"button": 26}


@pytest.mark.parametrize("panel", sorted(KINDS))
@pytest.mark.parametrize("wiring", Wiring)
def test_the_usual_pins_are_free_on_each_panel_but_for_one_button_on_an_inky(panel, wiring):
    kind = "waveshare:epd4in2_V2" if panel == "waveshare" else panel

    if (panel, wiring) == ("inky", Wiring.ONE):
        with pytest.raises(BadSetting, match="GPIO 3 of button is used by something else: choose another"):
            fitted(DOSETTE_PANEL=kind, DOSETTE_BUTTONS=wiring)
    else:
        assert fitted(DOSETTE_PANEL=kind, DOSETTE_BUTTONS=wiring).buttons == PINS[wiring]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("DOSETTE_PANEL", "hologram", "there is no such panel, only virtual, ssd1680"),
        ("DOSETTE_PANEL_SIZE", "10x10", "there is no size '10x10', only 250x122"),
        ("DOSETTE_BUTTONS", "two", "say one, three, touch, button=PIN, or take=PIN,snooze=PIN,skip=PIN"),
        ("DOSETTE_BUTTONS", "touch", "the panel virtual has no touch layer"),
        ("DOSETTE_BUTTONS", "take=5", "say one, three"),
        ("DOSETTE_BUTTONS", "take=5,snooze=x,skip=6", "say one, three"),
        ("DOSETTE_BUTTONS", "button=28", "there is no GPIO 28, only 0 to 27"),
        ("DOSETTE_BUTTONS", "button=16", "GPIO 16 of button is used by something else"),
        ("DOSETTE_BUTTONS", "take=5,snooze=5,skip=6", "GPIO 5 of take is used by something else"),
        ("DOSETTE_BUZZER", "11", "say off, quiet, normal, loud"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_say_instead(name, value, why):
    with pytest.raises(BadSetting) as refused:
        fitted(**{name: value})

    assert str(refused.value).startswith(f"{name}={value}: ")
    assert why in str(refused.value)


def test_a_machine_without_the_panel_s_parts_says_what_to_install(tmp_path):
    for panel in ("ssd1680", "inky", "waveshare:epd4in2_V2"):
        with pytest.raises(BadSetting, match=f"DOSETTE_PANEL={panel}: "):
            fitted(DOSETTE_PANEL=panel).open_panel(tmp_path)


def test_a_machine_without_gpio_sends_to_the_doctor():
    with pytest.raises(BadSetting, match="run `dosette-display doctor`"):
        fitted(DOSETTE_PANEL="ssd1680").pins()


def test_the_pulses_of_a_touch_layer_are_heard_as_long_as_its_glass_is_there(monkeypatch):
    chip, factory, heard, stopping = SimulatedGt1151(), MockFactory(), Event(), Event()
    monkeypatch.setattr(hardware, "imported_lgpio", lambda: None)
    monkeypatch.setattr(hardware, "I2cWires", lambda lgpio: chip)
    touchable = fitted(DOSETTE_PANEL="ssd1680", DOSETTE_BUTTONS="touch")
    glass = touchable.open_touch(factory, heard.set, lambda: None)
    glass.look()
    gc.collect()
    thread = Thread(target=glass.run, args=(stopping,))
    thread.start()

    chip.touch()
    factory.pin(touch.INT).drive_low()
    was_heard = heard.wait(5)
    stopping.set()
    glass.wake()
    thread.join(timeout=5)

    assert was_heard


GUIDE = (Path(__file__).parents[3] / "docs" / "panel-on-a-pi.md").read_text()


def test_the_guide_wires_each_part_to_the_pin_that_the_agent_uses():
    rows = re.findall(r"^\| ([^|]+) \| ([\d, ]+) \|", GUIDE, re.MULTILINE)
    pins = {part.strip(): [int(pin) for pin in gpios.split(",")] for part, gpios in rows}

    assert {name: pins[name.upper()] for name in Wiring.THREE.buttons} == {
        name: [pin] for name, pin in PINS[Wiring.THREE].items()
    }
    assert pins["the one button, instead of the three"] == [PINS[Wiring.ONE]["button"]]
    assert (pins["lamp"], pins["buzzer"]) == ([lamp.GPIO], [buzzer.GPIO])
    assert pins["panel: RST, DC, CS, BUSY"] == [lines.RST, lines.DC, 8, lines.BUSY]


def test_the_guide_names_every_panel_and_no_other():
    named = set(re.findall(r"^\| `([a-z0-9-]+)(?::MODEL)?` \|", GUIDE, re.MULTILINE))

    assert named == set(KINDS)
