"""An SSD1680 with a glass, as seen from its wires: what the data sheet says it does, and a fault for what it does not allow.

It turns the bytes back into a picture, shadows of the old one included, and counts them. Made for trying the driver without a panel.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from dosette_display.panels.ssd1680 import (
    ANALOG_OFF,
    ANALOG_ON,
    CLOCK_OFF,
    CLOCK_ON,
    DIFFERENCES,
    DISPLAY,
    GATES,
    GROUPS,
    INNER_SOURCES,
    ROW,
    SOURCES,
    TEMPERATURE,
    TO_BLACK,
    TO_WHITE,
    WAVEFORM,
    Command,
)

CHIP_GATES, CHIP_ROW = 296, 22
RESET_LOW_S = 0.0002
"""The shortest pulse that counts as a reset."""
AFTER_RESET_S, FULL_S, PARTIAL_S, OTHER_S = 0.01, 2.0, 0.3, 0.05
LENGTHS: dict[int, int] = {
    Command.DRIVER_OUTPUT: 3,
    Command.DEEP_SLEEP: 1,
    Command.DATA_ENTRY: 1,
    Command.SOFT_RESET: 0,
    Command.TEMPERATURE_SENSOR: 1,
    Command.ACTIVATE: 0,
    Command.UPDATE_CONTROL: 2,
    Command.UPDATE_SEQUENCE: 1,
    Command.WRITE_WAVEFORM: 153,
    Command.BORDER: 1,
    Command.WINDOW_X: 2,
    Command.WINDOW_Y: 4,
    Command.COUNTER_X: 1,
    Command.COUNTER_Y: 2,
}
"""How many bytes of data each command takes; those that write a memory take what the window holds."""
MEMORIES = (Command.WRITE_NEW, Command.WRITE_SHOWN)


class ProtocolFault(AssertionError):
    """Whoever drives the chip did what the data sheet does not allow."""


@dataclass
class _Registers:
    """What a reset brings back to its beginning."""

    gates: int = CHIP_GATES
    entry: int = 0x03
    sources: int = 0
    sensor: int | None = None
    sequence: int | None = None
    left: int = 0
    right: int = CHIP_ROW - 1
    top: int = 0
    bottom: int = CHIP_GATES - 1
    x: int = 0
    y: int = 0
    clock: bool = False
    analog: bool = False
    temperature: bool = False
    waveform: str | bytes | None = None
    """Which one is loaded: "full" or "partial" from the glass's own memory, or a table that was written."""


class SimulatedSsd1680:
    """One panel. Its time passes in `pause` alone. `stuck` holds BUSY high for ever; `glass` is what a person sees, True is white."""

    def __init__(self, has_partial_waveform: bool = True) -> None:
        self.has_partial_waveform = has_partial_waveform
        self.memories = {memory: bytearray(b"\x5a" * (CHIP_ROW * CHIP_GATES)) for memory in MEMORIES}
        self.glass = Image.effect_noise((SOURCES, GATES), 99).point(lambda dot: 255 if dot > 128 else 0, "1")
        self.stuck = False
        self.now_s = 0.0
        self.bytes = 0
        self.refreshes: list[str] = []
        self._registers = _Registers()
        self._busy_until_s = 0.0
        self._dc = self._asleep = False
        self._reset_at_s: float | None = None
        self._ready = False
        self._softly_reset = False
        self._command: Command | None = None
        self._data = bytearray()

    def seen(self) -> Image.Image:
        """The glass as it hangs on the wall: 250 dots wide."""
        return self.glass.transpose(Image.Transpose.ROTATE_270)

    # the wires

    def reset(self, high: bool) -> None:
        if not high:
            self._reset_at_s = self.now_s
        elif self._reset_at_s is not None:
            if self.now_s - self._reset_at_s < RESET_LOW_S:
                raise ProtocolFault("the reset pulse was too short")
            self._reset_at_s = None
            self._begin_anew()

    def data(self, high: bool) -> None:
        self._dc = high

    def write(self, sent: bytes) -> None:
        if self._reset_at_s is not None:
            raise ProtocolFault("written to while the reset line is low")
        if not self._ready:
            raise ProtocolFault("written to before the first reset")
        if self._asleep:
            raise ProtocolFault("written to in deep sleep: only a reset wakes it")
        if self.is_busy():
            raise ProtocolFault("written to while busy")
        self.bytes += len(sent)
        for byte in sent:
            self._take_data(byte) if self._dc else self._take_command(byte)

    def is_busy(self) -> bool:
        """In deep sleep the line stays high, too."""
        return self.stuck or self._asleep or self.now_s < self._busy_until_s

    def pause(self, for_s: float) -> None:
        self.now_s += for_s

    # the chip

    def _begin_anew(self) -> None:
        self._ready, self._asleep, self._softly_reset = True, False, False
        self._registers, self._command = _Registers(), None
        self._busy_until_s = self.now_s + AFTER_RESET_S

    def _take_command(self, command: int) -> None:
        self._finish()
        if command not in LENGTHS and command not in MEMORIES:
            raise ProtocolFault(f"there is no command 0x{command:02X}, or none that a driver of ours may use")
        if command != Command.SOFT_RESET and not self._softly_reset:
            raise ProtocolFault("used before the soft reset that must follow a reset")
        self._command, self._data = Command(command), bytearray()
        if LENGTHS.get(command) == 0:
            self._obey(self._command)

    def _take_data(self, byte: int) -> None:
        if self._command is None:
            raise ProtocolFault("data without a command")
        if self._command in MEMORIES:
            self._store(self._command, byte)
            return
        self._data.append(byte)
        if len(self._data) > LENGTHS[self._command]:
            raise ProtocolFault(f"too much data for command 0x{self._command:02X}")
        if len(self._data) == LENGTHS[self._command]:
            self._obey(self._command)

    def _finish(self) -> None:
        """What must hold of the command before when another begins."""
        if self._command in MEMORIES and len(self._data) % self._window_bytes():
            raise ProtocolFault(f"the window was left after {len(self._data)} of {self._window_bytes()} bytes")
        if self._command in LENGTHS and len(self._data) < LENGTHS[self._command]:
            raise ProtocolFault(f"too little data for command 0x{self._command:02X}")

    def _obey(self, command: Command) -> None:
        _OBEYED[command](self, self._registers, bytes(self._data))

    def _window_bytes(self) -> int:
        registers = self._registers
        return (registers.right - registers.left + 1) * (registers.bottom - registers.top + 1)

    def _store(self, memory: Command, byte: int) -> None:
        """At the counters, which then move right, and down at the window's edge: the one data entry mode that is known here."""
        registers = self._registers
        if registers.entry != 0x03:
            raise ProtocolFault(f"data entry mode {registers.entry:#04x} is not simulated")
        if not (registers.left <= registers.x <= registers.right and registers.top <= registers.y <= registers.bottom):
            raise ProtocolFault(f"the counters ({registers.x}, {registers.y}) are outside the window")
        if len(self._data) >= self._window_bytes():
            raise ProtocolFault(f"more than the {self._window_bytes()} bytes that the window holds")
        if not self._data and (registers.x, registers.y) != (registers.left, registers.top):
            raise ProtocolFault("the counters are not at the window's beginning")
        self.memories[memory][registers.y * CHIP_ROW + registers.x] = byte
        self._data.append(byte)
        self._step(registers)

    def _step(self, registers: _Registers) -> None:
        registers.x += 1
        if registers.x > registers.right:
            registers.x = registers.left
            registers.y = registers.top if registers.y == registers.bottom else registers.y + 1

    def _soft_reset(self, registers: _Registers, data: bytes) -> None:
        self._registers, self._softly_reset = _Registers(), True
        self._busy_until_s = self.now_s + AFTER_RESET_S

    def _output(self, registers: _Registers, data: bytes) -> None:
        registers.gates = int.from_bytes(data[:2], "little") + 1
        if registers.gates > CHIP_GATES:
            raise ProtocolFault(f"{registers.gates} gates: the chip has {CHIP_GATES}")

    def _sleep(self, registers: _Registers, data: bytes) -> None:
        if data[0] not in (0, 1, 3):
            raise ProtocolFault(f"there is no deep sleep {data[0]}")
        if registers.analog:
            raise ProtocolFault("put to sleep with the analog part on: the glass is left under voltage")
        self._asleep = data[0] != 0
        if data[0] == 3:
            for memory in self.memories.values():
                memory[:] = b"\xa5" * len(memory)

    def _entry(self, registers: _Registers, data: bytes) -> None:
        registers.entry = data[0]

    def _control(self, registers: _Registers, data: bytes) -> None:
        registers.sources = data[1]
        if data[0]:
            raise ProtocolFault("the memories must be shown as they are")

    def _sensor(self, registers: _Registers, data: bytes) -> None:
        registers.sensor = data[0]

    def _sequence(self, registers: _Registers, data: bytes) -> None:
        registers.sequence = data[0]

    def _table(self, registers: _Registers, data: bytes) -> None:
        registers.waveform = data

    def _border(self, registers: _Registers, data: bytes) -> None:
        """Nobody looks at it."""

    def _window_x(self, registers: _Registers, data: bytes) -> None:
        registers.left, registers.right = data
        if not registers.left <= registers.right < ROW:
            raise ProtocolFault(f"bytes {registers.left} to {registers.right} are outside the glass, which has {ROW}")

    def _window_y(self, registers: _Registers, data: bytes) -> None:
        registers.top, registers.bottom = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:], "little")
        if not registers.top <= registers.bottom < registers.gates:
            raise ProtocolFault(f"rows {registers.top} to {registers.bottom} are outside the {registers.gates} gates")

    def _counter_x(self, registers: _Registers, data: bytes) -> None:
        registers.x = data[0]

    def _counter_y(self, registers: _Registers, data: bytes) -> None:
        registers.y = int.from_bytes(data, "little")

    def _activate(self, registers: _Registers, data: bytes) -> None:
        """Runs the sequence step by step, in the data sheet's order."""
        if registers.sequence is None:
            raise ProtocolFault("activated without an update sequence")
        took_s = 0.0
        for step in (1 << bit for bit in range(7, -1, -1)):
            if registers.sequence & step and step in _STEPS:
                took_s += _STEPS[step](self, registers)
        self._busy_until_s = self.now_s + max(took_s, OTHER_S)

    def _clock_on(self, registers: _Registers) -> float:
        registers.clock = True
        return 0.0

    def _clock_off(self, registers: _Registers) -> float:
        registers.clock = False
        return 0.0

    def _analog_on(self, registers: _Registers) -> float:
        if not registers.clock:
            raise ProtocolFault("the analog part needs the clock")
        registers.analog = True
        return 0.0

    def _analog_off(self, registers: _Registers) -> float:
        registers.analog = False
        return 0.0

    def _load_temperature(self, registers: _Registers) -> float:
        if registers.sensor is None or not registers.clock:
            raise ProtocolFault("the temperature needs the clock, and a sensor that was chosen")
        registers.temperature = True
        return 0.0

    def _load_waveform(self, registers: _Registers) -> float:
        if not registers.temperature or not registers.clock:
            raise ProtocolFault("a waveform is chosen by a temperature, which was not loaded")
        partial = bool(registers.sequence and registers.sequence & DIFFERENCES)
        if partial and not self.has_partial_waveform:
            raise ProtocolFault("this glass has no waveform of its own for partial refreshes")
        registers.waveform = "partial" if partial else "full"
        return 0.0

    def _display(self, registers: _Registers) -> float:
        if not (registers.clock and registers.analog):
            raise ProtocolFault("a display without the clock or the analog part")
        if registers.waveform is None:
            raise ProtocolFault("a display without a waveform")
        if registers.gates != GATES or registers.sources != INNER_SOURCES:
            raise ProtocolFault("gates or sources are not set as the glass hangs on them")
        differs = bool(registers.sequence and registers.sequence & DIFFERENCES)
        if differs == (registers.waveform == "full"):
            raise ProtocolFault("the waveform is another mode's")
        self.refreshes.append("partial" if differs else "full")
        self._drive(_driven(registers.waveform))
        return PARTIAL_S if differs else FULL_S

    def _drive(self, driven: Sequence[int]) -> None:
        """`driven` has where a dot goes, by what stood there and what shall: black to black, black to white, and so on."""
        new, shown = (self.memories[memory] for memory in MEMORIES)
        for y in range(GATES):
            for x in range(SOURCES):
                place, bit = y * CHIP_ROW + x // 8, 7 - x % 8
                drive = driven[(shown[place] >> bit & 1) * 2 + (new[place] >> bit & 1)]
                if drive:
                    self.glass.putpixel((x, y), 255 if drive == TO_WHITE else 0)


def _driven(waveform: str | bytes) -> Sequence[int]:
    if waveform == "full":
        return TO_BLACK, TO_WHITE, TO_BLACK, TO_WHITE
    if isinstance(waveform, str):
        return 0, TO_WHITE, TO_BLACK, 0
    return [_by_table(waveform, row) for row in range(4)]


def _by_table(table: bytes, row: int) -> int:
    """The last voltage that a row applies for any time at all."""
    last = 0
    for group in range(GROUPS):
        voltages, times = table[row * GROUPS + group], table[5 * GROUPS + group * 7 :][:7]
        for phase, frames in enumerate((times[0], times[1], times[3], times[4])):
            voltage = voltages >> (6 - 2 * phase) & 3
            last = voltage if frames and voltage else last
    return last


_OBEYED: dict[Command, Callable[[SimulatedSsd1680, _Registers, bytes], None]] = {
    Command.SOFT_RESET: SimulatedSsd1680._soft_reset,
    Command.DRIVER_OUTPUT: SimulatedSsd1680._output,
    Command.DEEP_SLEEP: SimulatedSsd1680._sleep,
    Command.DATA_ENTRY: SimulatedSsd1680._entry,
    Command.TEMPERATURE_SENSOR: SimulatedSsd1680._sensor,
    Command.UPDATE_CONTROL: SimulatedSsd1680._control,
    Command.UPDATE_SEQUENCE: SimulatedSsd1680._sequence,
    Command.WRITE_WAVEFORM: SimulatedSsd1680._table,
    Command.BORDER: SimulatedSsd1680._border,
    Command.WINDOW_X: SimulatedSsd1680._window_x,
    Command.WINDOW_Y: SimulatedSsd1680._window_y,
    Command.COUNTER_X: SimulatedSsd1680._counter_x,
    Command.COUNTER_Y: SimulatedSsd1680._counter_y,
    Command.ACTIVATE: SimulatedSsd1680._activate,
}
_STEPS: dict[int, Callable[[SimulatedSsd1680, _Registers], float]] = {
    CLOCK_ON: SimulatedSsd1680._clock_on,
    ANALOG_ON: SimulatedSsd1680._analog_on,
    TEMPERATURE: SimulatedSsd1680._load_temperature,
    WAVEFORM: SimulatedSsd1680._load_waveform,
    DISPLAY: SimulatedSsd1680._display,
    ANALOG_OFF: SimulatedSsd1680._analog_off,
    CLOCK_OFF: SimulatedSsd1680._clock_off,
}
