"""The simulated chip catches what a driver may not do. Bytes as the data sheet has them, not the driver's names for them."""

import pytest

from dosette_display.panels.simulated_ssd1680 import ProtocolFault, SimulatedSsd1680


class Wire:
    """A chip, spoken to by bytes."""

    def __init__(self, **facts) -> None:
        self.chip = SimulatedSsd1680(**facts)

    def reset(self, low_s: float = 0.01) -> "Wire":
        self.chip.reset(False)
        self.chip.pause(low_s)
        self.chip.reset(True)
        self.chip.pause(0.02)
        return self

    def send(self, command: int, *data: int) -> "Wire":
        self.chip.data(False)
        self.chip.write(bytes([command]))
        if data:
            self.chip.data(True)
            self.chip.write(bytes(data))
        return self

    def speak(self, sent: list[tuple[int, ...]]) -> None:
        """Command by command; an empty one waits."""
        for words in sent:
            self.send(*words) if words else self.wait()

    def wait(self) -> "Wire":
        while self.chip.is_busy():
            self.chip.pause(0.01)
        return self

    def ready(self) -> "Wire":
        """Set up as the glass needs it."""
        self.reset().send(0x12).wait()
        return self.send(0x01, 0xF9, 0, 0).send(0x11, 3).send(0x21, 0, 0x80).send(0x18, 0x80)


@pytest.fixture
def wire() -> Wire:
    return Wire().ready()


def test_what_the_data_sheet_allows_is_allowed(wire):
    wire.send(0x44, 0, 15).send(0x45, 0, 0, 249, 0).send(0x4E, 0).send(0x4F, 0, 0)
    wire.send(0x24, *([0xFF] * 4000)).send(0x22, 0xF7).send(0x20)

    assert wire.chip.is_busy()
    assert set(wire.wait().chip.seen().tobytes()[:31]) == {0xFF}


@pytest.mark.parametrize(
    ("why", "sent"),
    [
        ("there is no command", [(0xEE,)]),
        ("too much data", [(0x18, 0x80, 0x80)]),
        ("too little data", [(0x01, 0xF9), (0x11, 3)]),
        ("outside the glass", [(0x44, 0, 16)]),
        ("outside the glass", [(0x44, 5, 4)]),
        ("outside the 250 gates", [(0x45, 0, 0, 250, 0)]),
        ("the chip has 296", [(0x01, 0x28, 1, 0)]),
        ("outside the window", [(0x44, 2, 3), (0x4E, 1), (0x24, 0)]),
        ("not at the window's beginning", [(0x44, 2, 3), (0x4E, 3), (0x24, 0)]),
        ("more than the 4 bytes", [(0x44, 2, 3), (0x45, 0, 0, 1, 0), (0x4E, 2), (0x24, 1, 2, 3, 4, 5)]),
        ("left after 3 of 4 bytes", [(0x44, 2, 3), (0x45, 0, 0, 1, 0), (0x4E, 2), (0x24, 1, 2, 3), (0x22, 0xF7)]),
        ("is not simulated", [(0x11, 0), (0x24, 0)]),
        ("without an update sequence", [(0x20,)]),
        ("without the clock or the analog part", [(0x22, 0xB5), (0x20,)]),
        ("the analog part needs the clock", [(0x22, 0x77), (0x20,)]),
        ("a display without a waveform", [(0x22, 0xC7), (0x20,)]),
        ("a temperature, which was not loaded", [(0x22, 0xD7), (0x20,)]),
        ("needs the clock, and a sensor", [(0x12,), (), (0x22, 0xF7), (0x20,)]),
        ("are not set as the glass hangs", [(0x01, 0x27, 1, 0), (0x22, 0xF7), (0x20,)]),
        ("another mode's", [(0x22, 0xB1), (0x20,), (), (0x22, 0xCF), (0x20,)]),
        ("while busy", [(0x22, 0xF7), (0x20,), (0x24, 0)]),
        ("while busy", [(0x12,), (0x01, 0xF9, 0, 0)]),
        ("in deep sleep", [(0x10, 1), (0x22, 0xF7)]),
        ("under voltage", [(0x22, 0xC0), (0x20,), (), (0x10, 1)]),
        ("no deep sleep 2", [(0x10, 2)]),
        ("must be shown as they are", [(0x21, 0x40, 0x80)]),
    ],
)
def test_a_fault_of_the_protocol_is_caught(wire, why, sent):
    with pytest.raises(ProtocolFault, match=why):
        wire.speak(sent)


def test_a_chip_is_not_written_to_before_its_resets():
    with pytest.raises(ProtocolFault, match="before the first reset"):
        Wire().send(0x12)
    with pytest.raises(ProtocolFault, match="before the soft reset"):
        Wire().reset().send(0x01, 0xF9, 0, 0)
    with pytest.raises(ProtocolFault, match="too short"):
        Wire().reset(low_s=0.00001)


def test_data_without_a_command_is_caught():
    wire = Wire().reset()
    wire.chip.data(True)

    with pytest.raises(ProtocolFault, match="data without a command"):
        wire.chip.write(b"\x00")


def test_a_chip_is_not_written_to_while_it_is_reset(wire):
    wire.chip.reset(False)

    with pytest.raises(ProtocolFault, match="reset line is low"):
        wire.send(0x12)


def test_a_glass_without_a_waveform_for_partial_refreshes_has_none():
    with pytest.raises(ProtocolFault, match="no waveform of its own"):
        Wire(has_partial_waveform=False).ready().send(0x22, 0xFF).send(0x20)


def test_a_sleeping_chip_stays_busy_and_a_reset_wakes_it(wire):
    wire.send(0x10, 1)

    assert wire.chip.is_busy()
    assert not wire.reset().chip.is_busy()


def test_memories_live_through_the_light_sleep_and_not_through_the_deep_one(wire):
    wire.send(0x44, 0, 0).send(0x45, 0, 0, 0, 0).send(0x24, 0x77)

    assert wire.send(0x10, 1).ready().chip.memories[0x24][0] == 0x77
    assert wire.send(0x10, 3).ready().chip.memories[0x24][0] != 0x77


def test_a_driver_that_forgets_the_second_memory_sees_a_shadow(wire):
    white, black = [0xFF] * 4000, [0x00] * 4000

    def show(rows: list[int], sequence: int, *memories: int) -> bytes:
        for memory in memories:
            wire.send(0x44, 0, 15).send(0x45, 0, 0, 249, 0).send(0x4E, 0).send(0x4F, 0, 0).send(memory, *rows)
        wire.send(0x22, sequence).send(0x20).wait()
        return wire.chip.glass.tobytes()

    all_white = show(white, 0xF7, 0x24, 0x26)
    show(black, 0xFF, 0x24)
    shadow = show(white, 0xFF, 0x24)

    assert shadow != all_white
