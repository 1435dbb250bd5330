"""Small black-and-white e-papers with an SSD1680, such as Waveshare's 2.13" HATs V3 and V4: by the chip's data sheet (rev. 0.14).

The chip has two memories, one for the new picture and one for what stands on the glass. A partial refresh moves only the dots in
which they differ, so both must be right: a driver that forgets the second leaves shadows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from struct import pack

from PIL import Image

from dosette_display.panels import Mode, PanelFault, check_size
from dosette_display.panels.lines import BUSY, Lines

SOURCES, GATES = 122, 250
"""The glass stands upright: rows of 122 dots, 16 bytes each."""
ROW = (SOURCES + 7) // 8
WINDOW = 14
"""Bytes of the commands that set a window, put the counters to its beginning and name a memory."""
RESET_S = 0.01
POLL_S = 0.01
BUSY_AT_MOST_S = 10.0
"""A full refresh takes 2 s at room temperature, and more in the cold."""


class Command(IntEnum):
    DRIVER_OUTPUT = 0x01
    DEEP_SLEEP = 0x10
    DATA_ENTRY = 0x11
    SOFT_RESET = 0x12
    TEMPERATURE_SENSOR = 0x18
    ACTIVATE = 0x20
    UPDATE_CONTROL = 0x21
    UPDATE_SEQUENCE = 0x22
    WRITE_NEW = 0x24
    WRITE_SHOWN = 0x26
    WRITE_WAVEFORM = 0x32
    BORDER = 0x3C
    WINDOW_X = 0x44
    WINDOW_Y = 0x45
    COUNTER_X = 0x4E
    COUNTER_Y = 0x4F


RIGHT_AND_DOWN = 0x03
INNER_SOURCES = 0x80
"""The glass hangs on sources 8 to 167."""
INTERNAL_SENSOR = 0x80
BORDER_FOLLOWS, BORDER_STAYS = 0x05, 0x80
KEEP_MEMORIES = 0x01
"""Deep sleep in which both memories live on."""

# Steps of an update, as the data sheet numbers them
CLOCK_ON, ANALOG_ON, TEMPERATURE, WAVEFORM, DIFFERENCES, DISPLAY, ANALOG_OFF, CLOCK_OFF = (
    1 << bit for bit in range(7, -1, -1)
)
_ON, _OFF = CLOCK_ON | ANALOG_ON, ANALOG_OFF | CLOCK_OFF
FULL = _ON | TEMPERATURE | WAVEFORM | DISPLAY | _OFF
PARTIAL = FULL | DIFFERENCES
LOAD = CLOCK_ON | TEMPERATURE | WAVEFORM | CLOCK_OFF
PARTIAL_BY_TABLE = _ON | DIFFERENCES | DISPLAY | _OFF

GROUPS = 12
TO_BLACK, TO_WHITE = 0b01, 0b10


def waveform(frames: int = 20) -> bytes:
    """A table for a partial refresh: dots that differ are driven for so many frames, the others rest. Five rows of voltages
    (black stays, to white, to black, white stays, the common electrode), then times and repeats by group, then frame rates."""
    rows = [0, TO_WHITE << 6, TO_BLACK << 6, 0, 0]
    voltages = b"".join(bytes([first]) + bytes(GROUPS - 1) for first in rows)
    return voltages + bytes([frames]) + bytes(GROUPS * 7 - 1) + bytes([0x22] * 6) + bytes(3)


@dataclass(frozen=True)
class Box:
    """Part of the glass: bytes `left` to `right` of the rows `top` to `bottom`, both ends included."""

    left: int = 0
    top: int = 0
    right: int = ROW - 1
    bottom: int = GATES - 1

    def cut(self, rows: bytes) -> bytes:
        return b"".join(rows[y * ROW + self.left : y * ROW + self.right + 1] for y in range(self.top, self.bottom + 1))

    @property
    def bytes(self) -> int:
        """How many one memory takes, with the commands that set the window."""
        return (self.right - self.left + 1) * (self.bottom - self.top + 1) + WINDOW

    def with_(self, other: "Box") -> "Box":
        """The smallest box around both."""
        left, right = min(self.left, other.left), max(self.right, other.right)
        return Box(left, min(self.top, other.top), right, max(self.bottom, other.bottom))


def changed(before: bytes, after: bytes) -> list[Box]:
    """The boxes in which two pictures differ, from the top down: rows together, unless two boxes take fewer bytes than one."""
    boxes: list[Box] = []
    for y in range(GATES):
        old, new = before[y * ROW : (y + 1) * ROW], after[y * ROW : (y + 1) * ROW]
        if old == new:
            continue
        columns = [x for x in range(ROW) if old[x] != new[x]]
        row = Box(columns[0], y, columns[-1], y)
        together = boxes[-1].with_(row) if boxes else row
        if boxes and together.bytes <= boxes[-1].bytes + row.bytes:
            boxes[-1] = together
        else:
            boxes.append(row)
    return boxes


class Ssd1680:
    """`has_partial_waveform`: the glass's own memory knows a partial refresh (V4); else the driver brings a table of its own (V3)."""

    size = (GATES, SOURCES)
    supports_partial = True

    def __init__(self, lines: Lines, has_partial_waveform: bool = True) -> None:
        self._lines = lines
        self._has_partial_waveform = has_partial_waveform
        self._shown: bytes | None = None
        self._awake = False

    def show(self, image: Image.Image, mode: Mode) -> None:
        check_size(image, self.size)
        rows, shown = image.transpose(Image.Transpose.ROTATE_90).tobytes(), self._shown
        self._shown = None  # until it is certain again
        if mode == "full" or shown is None:
            self._show_all(rows)
        elif boxes := changed(shown, rows):
            self._show_changes(rows, boxes)
        self._shown = rows

    def sleep(self) -> None:
        if self._awake:
            self._send(Command.DEEP_SLEEP, KEEP_MEMORIES)
            self._awake = False

    def _show_all(self, rows: bytes) -> None:
        self._wake(BORDER_FOLLOWS)
        self._write(Command.WRITE_NEW, Box(), rows)
        self._write(Command.WRITE_SHOWN, Box(), rows)
        self._update(FULL)

    def _show_changes(self, rows: bytes, boxes: Sequence[Box]) -> None:
        self._wake(BORDER_STAYS)
        for box in boxes:
            self._write(Command.WRITE_NEW, box, box.cut(rows))
        if self._has_partial_waveform:
            self._update(PARTIAL)
        else:
            self._update(LOAD)
            self._send(Command.WRITE_WAVEFORM, *waveform())
            self._update(PARTIAL_BY_TABLE)
        for box in boxes:
            self._write(Command.WRITE_SHOWN, box, box.cut(rows))

    def _wake(self, border: int) -> None:
        """By the reset pin, which is all that a sleeping chip hears; its registers forget, its memories don't."""
        self._awake = False
        for high in (True, False, True):
            self._lines.reset(high)
            self._lines.pause(RESET_S)
        self._until_idle()
        self._send(Command.SOFT_RESET)
        self._until_idle()
        self._awake = True
        self._send(Command.DRIVER_OUTPUT, *pack("<HB", GATES - 1, 0))
        self._send(Command.DATA_ENTRY, RIGHT_AND_DOWN)
        self._send(Command.UPDATE_CONTROL, 0, INNER_SOURCES)
        self._send(Command.TEMPERATURE_SENSOR, INTERNAL_SENSOR)
        self._send(Command.BORDER, border)

    def _write(self, memory: Command, box: Box, cut: bytes) -> None:
        self._send(Command.WINDOW_X, box.left, box.right)
        self._send(Command.WINDOW_Y, *pack("<HH", box.top, box.bottom))
        self._send(Command.COUNTER_X, box.left)
        self._send(Command.COUNTER_Y, *pack("<H", box.top))
        self._send(memory, *cut)

    def _update(self, sequence: int) -> None:
        self._send(Command.UPDATE_SEQUENCE, sequence)
        self._send(Command.ACTIVATE)
        self._until_idle()

    def _send(self, command: Command, *data: int) -> None:
        self._lines.data(False)
        self._lines.write(bytes([command]))
        if data:
            self._lines.data(True)
            self._lines.write(bytes(data))

    def _until_idle(self) -> None:
        for _ in self._looks():
            if not self._lines.is_busy():
                return
        raise PanelFault(
            f"the panel is still busy after {BUSY_AT_MOST_S:g} s: see that BUSY is on GPIO {BUSY} and the flat cable sits straight"
        )

    def _looks(self) -> Iterator[None]:
        yield
        for _ in range(round(BUSY_AT_MOST_S / POLL_S)):
            self._lines.pause(POLL_S)
            yield
