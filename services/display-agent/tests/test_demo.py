"""`dosette-display demo`: every screen on the panel, or side by side in a file."""

import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest
from PIL import Image

from dosette_display import cli, demo
from dosette_display.keys import Screen, Wiring


class Glass:
    size = demo.SIZES[0]
    supports_partial = True

    def __init__(self) -> None:
        self.shown: list[bytes] = []
        self.sleeps = False

    def show(self, image: Image.Image, mode: str) -> None:
        self.shown.append(image.tobytes())

    def sleep(self) -> None:
        self.sleeps = True


def test_every_screen_there_is_is_in_the_demo():
    seen = {page.screen for wiring in Wiring for _, page in demo.pages(demo.SIZES[0], wiring)}

    assert seen == set(Screen)


def test_each_is_shown_on_the_panel_and_then_the_panel_sleeps():
    glass, told = Glass(), []

    demo.play(glass, Wiring.ONE, Event(), told.append, each_for_s=0)

    assert len(glass.shown) == len(told) == len(list(demo.pages(glass.size, Wiring.ONE)))
    assert glass.sleeps


def test_it_stops_when_told():
    glass, stopping = Glass(), Event()
    stopping.set()

    demo.play(glass, Wiring.THREE, stopping, lambda name: None)

    assert (len(glass.shown), glass.sleeps) == (1, True)


def test_a_contact_sheet_needs_no_panel_and_is_of_the_size_and_the_buttons_that_are_set(tmp_path: Path):
    file, environ = tmp_path / "sheet.png", {"DOSETTE_PANEL_SIZE": "264x176", "DOSETTE_BUTTONS": "one"}
    command = [sys.executable, "-m", "dosette_display.cli", "demo", "--sheet", str(file)]

    subprocess.run(command, env=environ, check=True)

    expected = demo.contact_sheet((264, 176), Wiring.ONE)
    assert Image.open(file).convert("1").tobytes() == expected.tobytes()


def test_a_file_that_cannot_be_written_is_said_in_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert cli.demo(tmp_path / "nowhere" / "sheet.png") == 1
    assert capsys.readouterr().err.count("\n") == 1
