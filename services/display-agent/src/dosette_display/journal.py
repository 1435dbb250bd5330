"""The journal of presses: what the lamp says is saved is on the card, and stays there until the server has taken it in, and seven
days more: a server that is restored from a backup has forgotten what it took in since.

One record a line, `<CRC-32 in 8 hex digits> <JSON>`. The first record is a header with the highest number used so far, so that
numbers go on when the file is emptied, and the epoch of the server that took presses in; each other record is a press.
"""

import json
import logging
import os
import zlib
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from dosette.contracts.plan import UnknownVersion
from dosette.contracts.press import Press
from dosette.faults import fp
from dosette_display.files import write_whole
from dosette_display.metrics import Gauge

VERSION = 1
KEPT = timedelta(days=7)
MOST_KEPT = 1000

log = logging.getLogger(__name__)
_length = Gauge("dosette_panel_journal_presses", "Presses that the server has not taken in yet")


class NotSaved(Exception):
    """The press is not on the card, and will not be sent."""


@dataclass(frozen=True)
class _TakenIn:
    press: Press
    at: datetime


class Journal:
    """The presses of one device. Any thread may ask; one presses."""

    def __init__(self, path: Path, device_id: str) -> None:
        """Reads what is there: a torn end is dropped, a damaged record reported, kept aside and skipped."""
        self._path = path
        self._device_id = device_id
        self._lock = Lock()
        self._descriptor: int | None = None
        self._last_number = 0
        self._epoch = ""
        self._waiting: list[Press] = []
        self._kept: list[_TakenIn] = []
        self._read()

    def waiting(self) -> tuple[Press, ...]:
        """The presses that are not acknowledged, oldest first."""
        with self._lock:
            return tuple(self._waiting)

    def next_number(self, taken_in: int) -> int:
        """One more than any number used; `taken_in` is the server's highest, in case this file was lost."""
        with self._lock:
            return max(self._last_number, taken_in) + 1

    def append(self, press: Press) -> None:
        """Returns when the press is on the card. Raises NotSaved, and then the file is as before."""
        with self._lock:
            try:
                self._write(_line(_press_record(press)))
            except OSError as error:
                raise NotSaved(error.strerror or str(error)) from error
            self._waiting.append(press)
            self._last_number = press.number
            _length.set(len(self._waiting))

    def acknowledge(self, pressed: int, epoch: str, at: datetime) -> tuple[Press, ...]:
        """The server of this epoch has taken presses in up to this number, as it said `at` that time; which they were.

        A server of another epoch knows nothing of what was taken in beyond that: those presses wait again.
        """
        with self._lock:
            forgotten = self._forgotten(pressed) if epoch != self._epoch and self._epoch else []
            taken_in = tuple(press for press in self._waiting if press.number <= pressed)
            if taken_in or forgotten or epoch != self._epoch:
                if taken_in:
                    fp("P5")
                self._last_number = max(self._last_number, pressed)
                waiting = [*forgotten, *self._waiting[len(taken_in) :]]
                self._waiting = sorted(waiting, key=lambda press: press.number)
                self._keep(taken_in, {press.id for press in forgotten}, at)
                self._epoch = epoch
                _length.set(len(self._waiting))
                self._tidy()
            return taken_in

    def _forgotten(self, pressed: int) -> list[Press]:
        forgotten = [each.press for each in self._kept if each.press.number > pressed]
        if forgotten:
            log.warning("the server was restored: presses are sent again", extra={"presses": len(forgotten)})
        return forgotten

    def _keep(self, taken_in: Sequence[Press], forgotten: Set[str], at: datetime) -> None:
        kept = [each for each in self._kept if each.press.id not in forgotten and at - each.at < KEPT]
        self._kept = [*kept, *(_TakenIn(press, at) for press in taken_in)][-MOST_KEPT:]

    def close(self) -> None:
        with self._lock:
            self._let_go()

    def _write(self, line: bytes) -> None:
        descriptor = self._rewrite() if self._descriptor is None else self._descriptor
        before = os.fstat(descriptor).st_size
        try:
            _write_all(descriptor, line)
            fp("P2")
            os.fsync(descriptor)
            fp("P2")
        except OSError:
            self._take_back(before)
            raise

    def _take_back(self, size: int) -> None:
        """After a failed write or fsync nobody knows what is on the card: cut it off now, write the file anew at the next press."""
        if self._descriptor is not None:
            with suppress(OSError):  # the file is written anew anyway, or can't be written at all
                os.ftruncate(self._descriptor, size)
        self._let_go()

    def _tidy(self) -> None:
        try:
            self._rewrite()
        except OSError as error:  # what is acknowledged may stay in the file: the plan says so again
            log.error("the journal could not be written anew", extra={"error": str(error)})

    def _rewrite(self) -> int:
        """The header, what is kept and what waits, in one step; the open file, for the next press."""
        self._let_go()
        header: dict[str, object] = {"v": VERSION, "last": self._last_number, "epoch": self._epoch}
        kept = [_press_record(each.press) | {"taken_in": each.at.isoformat()} for each in self._kept]
        records = [header, *kept, *map(_press_record, self._waiting)]
        write_whole(self._path, b"".join(map(_line, records)))
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        return self._descriptor

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self) -> None:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            log.error("the journal can't be read", extra={"error": str(error)})
            return
        *lines, torn = content.split(b"\n")
        damaged = [number for number, line in enumerate(lines, 1) if not self._believe(line)]
        if torn and not self._believe(torn):
            log.warning("the last record of the journal was torn and is dropped", extra={"bytes": len(torn)})
        if damaged:
            log.error("records of the journal are damaged and skipped", extra={"lines": damaged})
            self._put_aside(content, "damaged")
        self._check_device(content)
        _length.set(len(self._waiting))

    def _believe(self, line: bytes) -> bool:
        """Takes one record in; False when it is damaged."""
        record = _record(line)
        try:
            if record and "press" in record:
                self._take(record)
            elif record:
                self._last_number = max(self._last_number, int(str(record["last"])))
                self._epoch = str(record.get("epoch", ""))
        except (ValueError, KeyError, UnknownVersion):
            return False
        return record is not None

    def _take(self, record: dict[str, object]) -> None:
        press = Press.from_json(json.dumps(record["press"]).encode())
        if "taken_in" in record:
            self._kept.append(_TakenIn(press, datetime.fromisoformat(str(record["taken_in"]))))
        else:
            self._waiting.append(press)
        self._last_number = max(self._last_number, press.number)

    def _check_device(self, content: bytes) -> None:
        """Another device's presses can't be sent with this one's key: they are put aside for a person."""
        self._kept = [each for each in self._kept if each.press.device_id == self._device_id]
        foreign = {press.device_id for press in self._waiting} - {self._device_id}
        if not foreign:
            return
        log.error("the journal holds presses of another device", extra={"device_ids": sorted(foreign)})
        self._put_aside(content, "of-another-device")
        self._waiting = [press for press in self._waiting if press.device_id == self._device_id]

    def _put_aside(self, content: bytes, why: str) -> None:
        try:
            write_whole(self._path.with_name(f"{self._path.name}.{why}"), content)
        except OSError as error:
            log.error("a copy of the journal could not be made", extra={"error": str(error)})


def _press_record(press: Press) -> dict[str, object]:
    return {"press": json.loads(press.to_json())}


def _line(record: dict[str, object]) -> bytes:
    body = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _record(line: bytes) -> dict[str, object] | None:
    checksum, _, body = line.partition(b" ")
    if not body or checksum != b"%08x" % zlib.crc32(body):
        return None
    record = json.loads(body)
    return record if isinstance(record, dict) else None


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
