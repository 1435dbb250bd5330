"""The driver of the SSD1680 against a simulated one: what reaches the glass, in how many bytes, and what happens when the chip hangs."""

import functools
import random

import pytest
from PIL import Image, ImageDraw

from dosette_display.panels import PanelFault
from dosette_display.panels.simulated_ssd1680 import MEMORIES, SimulatedSsd1680
from dosette_display.panels.ssd1680 import ROW, Box, Ssd1680, changed

SIZE = Ssd1680.size
REGISTERS = 80
"""No refresh needs more bytes than this besides those of the picture."""


def a_picture(*boxes: tuple[int, int, int, int]) -> Image.Image:
    picture = Image.new("1", SIZE, 1)
    for box in boxes:
        ImageDraw.Draw(picture).rectangle(box, fill=0)
    return picture


def noise(seed: int) -> Image.Image:
    return Image.frombytes("1", SIZE, random.Random(seed).randbytes(32 * SIZE[1]))


@pytest.fixture(params=[True, False], ids=["V4", "V3"])
def chip(request) -> SimulatedSsd1680:
    return SimulatedSsd1680(has_partial_waveform=request.param)


@pytest.fixture
def panel(chip) -> Ssd1680:
    return Ssd1680(chip, chip.has_partial_waveform)


def test_a_partial_refresh_moves_only_what_changed_and_leaves_no_shadow(chip, panel):
    panel.show(noise(1), "full")
    panel.sleep()

    for seed in range(2, 5):
        panel.show(noise(seed), "partial")
        panel.sleep()

        assert chip.seen().tobytes() == noise(seed).tobytes()
    assert chip.refreshes == ["full", "partial", "partial", "partial"]


def test_both_memories_hold_the_picture_after_each_refresh(chip, panel):
    for mode, seed in (("full", 1), ("partial", 2), ("partial", 3)):
        panel.show(noise(seed), mode)

        new, shown = (chip.memories[memory] for memory in MEMORIES)
        assert new == shown


def test_a_partial_refresh_sends_the_rows_that_changed_and_no_others(chip, panel):
    panel.show(a_picture(), "full")
    before = chip.bytes
    box = (100, 40, 119, 63)  # 20 rows of the upright glass, and 4 of its 16 bytes at most

    panel.show(a_picture(box), "partial")

    table = 0 if chip.has_partial_waveform else 154
    assert 2 * 20 * 3 <= chip.bytes - before <= 2 * 20 * 4 + REGISTERS + table


def test_one_dot_costs_one_byte_in_each_memory(chip, panel):
    panel.show(a_picture(), "full")
    one, other = panel._shown, bytearray(panel._shown)
    other[5 * ROW + 3] ^= 1

    assert changed(one, bytes(other)) == [Box(3, 5, 3, 5)]


def test_two_changes_far_apart_do_not_send_what_lies_between(chip, panel):
    panel.show(a_picture(), "full")
    before = chip.bytes

    panel.show(a_picture((0, 0, 7, 121), (240, 0, 249, 121)), "partial")

    table = 0 if chip.has_partial_waveform else 154
    assert chip.bytes - before <= 2 * (8 + 10) * ROW + REGISTERS + table
    assert chip.seen().tobytes() == a_picture((0, 0, 7, 121), (240, 0, 249, 121)).tobytes()


@pytest.mark.parametrize("seed", range(20))
def test_the_boxes_hold_every_change_and_cost_no_more_than_one_around_all(seed):
    chance = random.Random(seed)
    before = chance.randbytes(ROW * 250)
    after = bytearray(before)
    for _ in range(chance.randrange(1, 12)):
        after[chance.randrange(len(after))] ^= 1 << chance.randrange(8)

    boxes = changed(before, bytes(after))

    told = bytearray(before)
    for box in boxes:
        for y in range(box.top, box.bottom + 1):
            told[y * ROW + box.left : y * ROW + box.right + 1] = after[y * ROW + box.left : y * ROW + box.right + 1]
    assert told == after
    assert sum(box.bytes for box in boxes) <= functools.reduce(Box.with_, boxes).bytes


def test_an_equal_picture_costs_nothing_by_a_partial_refresh(chip, panel):
    panel.show(noise(1), "full")
    before = chip.bytes, list(chip.refreshes)

    panel.show(noise(1), "partial")

    assert (chip.bytes, chip.refreshes) == before


def test_the_first_refresh_is_full_since_nobody_knows_what_stood_there(chip, panel):
    panel.show(noise(1), "partial")

    assert chip.refreshes == ["full"]
    assert chip.seen().tobytes() == noise(1).tobytes()


def test_a_chip_that_stays_busy_is_an_error_that_says_where_to_look(chip, panel):
    panel.show(noise(1), "full")
    chip.stuck = True

    with pytest.raises(PanelFault, match="still busy after 10 s: see that BUSY is on GPIO 24"):
        panel.show(noise(2), "partial")


def test_after_a_fault_the_next_refresh_is_full_and_whole(chip, panel):
    panel.show(noise(1), "full")
    chip.stuck = True
    with pytest.raises(PanelFault):
        panel.show(noise(2), "partial")
    chip.stuck = False

    panel.sleep()
    panel.show(noise(3), "partial")

    assert chip.refreshes[-1] == "full"
    assert chip.seen().tobytes() == noise(3).tobytes()


def test_the_driver_needs_no_gpio_library_to_be_there():
    import subprocess
    import sys

    code = "import sys, dosette_display.panels.ssd1680; sys.exit('lgpio' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
