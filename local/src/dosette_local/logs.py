"""The log of one child process: appended to, kept from growing without end, and asked why the child ended."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

KEPT_BYTES = 5_000_000
LOOKED_AT_BYTES = 8000
COMPLAINT = re.compile(r"(error|fatal|panic)\b", re.IGNORECASE)


@dataclass
class Log:
    """One file, and where the present run of the child begins in it."""

    path: Path
    _begins: int = field(default=0, init=False)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """For a run that begins now; readable by its owner only."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._rotate()
        with open(self.path, "ab", opener=_private) as file:
            self._begins = file.tell()
            yield file

    def note(self, line: str) -> None:
        """Adds a line of the launcher's."""
        with open(self.path, "ab", opener=_private) as file:
            file.write(f"{line}\n".encode())

    def complaint(self) -> str:
        """The present run's first line about an error, else its last line; as text, even when it is a JSON line.

        Indented lines are a traceback's code, or say more about the line before them.
        """
        lines = [_text(line) for line in self.this_run().splitlines() if line.strip() and not line[0].isspace()]
        return next(filter(COMPLAINT.search, lines), lines[-1].strip() if lines else "it said nothing")

    def this_run(self) -> str:
        """The end of what the present run wrote."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._begins, size - LOOKED_AT_BYTES))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _rotate(self) -> None:
        """Keeps one old file beside it."""
        if self.path.exists() and self.path.stat().st_size > KEPT_BYTES:
            self.path.replace(self.path.with_name(self.path.name + ".1"))


def _text(line: str) -> str:
    """Of a JSON line what happened, with its level, and the last line of a traceback."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or "event" not in entry:
        return line
    reason = str(entry.get("traceback", "")).strip().splitlines()[-1:]
    level = f"{entry['level']}: " if entry.get("level") in ("error", "critical") else ""
    return level + ": ".join([str(entry["event"]), *reason])


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
