"""`dosette-display press`: a Unix socket that exists only with the virtual panel, and pushes the mock buttons.

One line of JSON each way: `{"button": "take", "hold_s": 0.1}`, `{"saved": true, "said": "saved: take, 1 dose"}`.
"""

import json
import logging
import os
import queue
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from gpiozero.pins.mock import MockFactory

from dosette_display.answers import IGNORED, Answer

NAME = "press.sock"
ANY = "any"
"""Whichever button is there: one that is held means the same on each."""
LONGEST_HOLD_S = 30.0
ANSWER_TIMEOUT_S = 10.0
LONGEST_LINE = 1000

log = logging.getLogger(__name__)


class NoAgent(Exception):
    """Nobody listens on this folder's socket."""


class PressSocket:
    """The server's side; one press at a time, as with one finger."""

    def __init__(self, folder: Path, factory: MockFactory, pins: Mapping[str, int]) -> None:
        """`pins` has the GPIO of each button."""
        self._factory = factory
        self._pins = pins
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._socket = _listening(folder)

    def answered(self, answer: Answer) -> None:
        self._answers.put(answer)

    def ignored(self) -> None:
        self._answers.put(IGNORED)

    def run(self, stopping: Event) -> None:
        while not stopping.is_set():
            try:
                caller, _ = self._socket.accept()
            except OSError:
                if not stopping.is_set():  # else `close` ended the waiting
                    raise
                return
            with caller, suppress(OSError):  # a caller who went away has lost only the answer
                caller.settimeout(ANSWER_TIMEOUT_S)
                caller.sendall(_line(self._served(caller)))

    def close(self) -> None:
        with suppress(OSError):  # it may not be listening
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _served(self, caller: socket.socket) -> dict[str, object]:
        try:
            wanted = json.loads(_read_line(caller))
            button, hold_s = str(wanted["button"]), float(wanted["hold_s"])
        except (ValueError, KeyError, TypeError):
            return {"saved": False, "said": "not a press"}
        if button not in (ANY, *self._pins):
            return {"saved": False, "said": f"there is no button '{button}' here, only {', '.join(self._pins)}"}
        if not 0 <= hold_s <= LONGEST_HOLD_S:
            return {"saved": False, "said": f"a button can be held for 0 to {LONGEST_HOLD_S:g} seconds"}
        answer = self._push(self._pins.get(button, next(iter(self._pins.values()))), hold_s)
        return {"saved": answer.saved, "said": answer.said}

    def _push(self, gpio: int, hold_s: float) -> Answer:
        """Pulls the pin low as a finger does, and lets go."""
        while not self._answers.empty():
            self._answers.get()
        pin = self._factory.pin(gpio)
        pin.drive_low()
        time.sleep(hold_s)
        pin.drive_high()
        try:
            return self._answers.get(timeout=ANSWER_TIMEOUT_S)
        except queue.Empty:
            return Answer(False, "the agent did not answer", "")


def push(folder: Path, button: str, hold_s: float) -> tuple[bool, str]:
    """Presses a button of the agent that runs on this folder: whether it was saved, and what the agent said. Raises NoAgent."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(hold_s + 2 * ANSWER_TIMEOUT_S)
        try:
            with _short_path(folder) as path:
                caller.connect(path)
            caller.sendall(_line({"button": button, "hold_s": hold_s}))
            answer = json.loads(_read_line(caller))
        except (OSError, ValueError) as error:
            raise NoAgent(
                f"no display agent with a virtual panel answers in {folder}: start `dosette-display run`"
            ) from error
    return bool(answer["saved"]), str(answer["said"])


def _listening(folder: Path) -> socket.socket:
    """Only this user may press: the file is made with 0600."""
    listener = socket.socket(socket.AF_UNIX)
    with _short_path(folder) as path:
        with suppress(FileNotFoundError):
            os.unlink(path)
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
    listener.listen(8)
    return listener


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """A socket's address holds 108 bytes; a folder's own descriptor gives it a short name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)


def _line(message: dict[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _read_line(caller: socket.socket) -> bytes:
    with caller.makefile("rb") as stream:
        return stream.readline(LONGEST_LINE)
