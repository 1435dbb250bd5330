"""What every panel must do, whatever it is made of: the virtual one, the driver on a simulated chip, the libraries' stand-ins."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from dosette_display.panels import SIZES, Panel, PanelFault, panel_named, size_of
from dosette_display.panels.inky import InkyPanel
from dosette_display.panels.simulated_ssd1680 import SimulatedSsd1680
from dosette_display.panels.ssd1680 import Ssd1680
from dosette_display.panels.stand_ins import StandInInky, StandInWaveshare
from dosette_display.panels.virtual import VirtualPanel
from dosette_display.panels.waveshare import WavesharePanel


@dataclass
class Hung:
    """A panel on the wall: `seen` is what a person sees there."""

    panel: Panel
    seen: Callable[[], Image.Image]


def virtual(folder: Path, size: tuple[int, int]) -> Hung:
    return Hung(VirtualPanel(folder / "panel.png", size), lambda: Image.open(folder / "panel.png"))


def ssd1680(has_partial_waveform: bool) -> Hung:
    chip = SimulatedSsd1680(has_partial_waveform)
    return Hung(Ssd1680(chip, has_partial_waveform), chip.seen)


def inky(size: tuple[int, int]) -> Hung:
    display = StandInInky(size)
    return Hung(InkyPanel(display), display.seen)


def waveshare() -> Hung:
    library = StandInWaveshare()
    return Hung(WavesharePanel("epd2in7_V2", library), library.seen)


MAKERS: dict[str, Callable[[Path], Hung]] = {
    "virtual": lambda folder: virtual(folder, (250, 122)),
    "virtual, large": lambda folder: virtual(folder, (800, 480)),
    "ssd1680": lambda folder: ssd1680(True),
    "ssd1680-v3": lambda folder: ssd1680(False),
    "inky phat": lambda folder: inky((250, 122)),
    "inky what": lambda folder: inky((400, 300)),
    "waveshare": lambda folder: waveshare(),
}


@pytest.fixture(params=MAKERS)
def hung(request, tmp_path: Path) -> Hung:
    return MAKERS[request.param](tmp_path)


def noise(panel: Panel, seed: int) -> Image.Image:
    width, height = panel.size
    return Image.frombytes("1", panel.size, random.Random(seed).randbytes((width + 7) // 8 * height))


def test_a_picture_that_was_shown_is_seen(hung):
    hung.panel.show(noise(hung.panel, 1), "full")

    assert hung.seen().tobytes() == noise(hung.panel, 1).tobytes()


@pytest.mark.parametrize("modes", [("partial", "partial"), ("full", "partial", "partial", "full", "partial")])
def test_pictures_follow_each_other_in_any_mode_awake_or_asleep(hung, modes):
    for seed, mode in enumerate(modes):
        hung.panel.show(noise(hung.panel, seed), mode)
        assert hung.seen().tobytes() == noise(hung.panel, seed).tobytes()
        if seed % 2:
            hung.panel.sleep()
            hung.panel.sleep()


def test_the_picture_stays_when_the_panel_sleeps(hung):
    hung.panel.sleep()
    hung.panel.show(noise(hung.panel, 1), "full")

    hung.panel.sleep()

    assert hung.seen().tobytes() == noise(hung.panel, 1).tobytes()


def test_a_picture_of_another_size_is_refused(hung):
    with pytest.raises(ValueError, match="does not fit"):
        hung.panel.show(Image.new("1", (100, 100)), "full")


def test_each_panel_has_a_size_that_there_is_a_layout_for(hung):
    assert hung.panel.size in SIZES


def test_a_panel_that_is_not_there_or_not_named_rightly_is_one_sentence(tmp_path):
    for kind in ("hologram", "waveshare", "virtual:x"):
        with pytest.raises(ValueError, match=r"only virtual, ssd1680, ssd1680-v3, inky, waveshare:MODEL"):
            panel_named(kind, tmp_path)
    for kind, said in (
        ("inky", "install dosette-display"),
        ("waveshare:epd7in5_V2", "install dosette-display"),
        ("ssd1680", ":"),
    ):
        with pytest.raises(PanelFault, match=said):
            panel_named(kind, tmp_path)


def test_a_panel_is_opened_once_though_several_ask_for_it(tmp_path):
    assert panel_named("virtual", tmp_path) is panel_named("virtual", tmp_path)


def test_a_size_without_a_layout_is_one_sentence():
    assert size_of("400x300") == (400, 300)
    with pytest.raises(ValueError, match="there is no size '1x1', only 250x122, 264x176"):
        size_of("1x1")


def test_a_broken_inky_says_where_to_look():
    display = StandInInky()
    display.broken = True

    with pytest.raises(PanelFault, match="sits straight"):
        InkyPanel(display).show(Image.new("1", (250, 122)), "full")


def test_a_broken_waveshare_says_where_to_look_and_an_unknown_model_is_named():
    library = StandInWaveshare()
    library.epd.broken = True

    with pytest.raises(PanelFault, match="turn on SPI"):
        WavesharePanel("epd2in7_V2", library).show(Image.new("1", (264, 176)), "full")
    with pytest.raises(PanelFault, match="has no epd9"):
        WavesharePanel("epd9", library)


def test_a_waveshare_that_cannot_be_put_to_sleep_is_a_fault_and_is_put_to_sleep_the_next_time(monkeypatch):
    library, faults = StandInWaveshare(), [OSError(5, "Input/output error")]
    panel, sleep = WavesharePanel("epd2in7_V2", library), library.epd.sleep
    monkeypatch.setattr(library.epd, "sleep", lambda: _raised(faults.pop()) if faults else sleep())
    panel.show(Image.new("1", (264, 176)), "full")

    with pytest.raises(PanelFault, match="did not go to sleep"):
        panel.sleep()
    panel.sleep()

    with pytest.raises(RuntimeError, match="asleep"):
        library.epd.display(b"")


def _raised(error: OSError) -> None:
    raise error
