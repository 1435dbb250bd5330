"""The file channel: one JSON line for each message, for tests, for scripts that follow a file, and for a first look."""

import json
import os
import re
from pathlib import Path

from dosette_scheduler.channels import ChannelFailed, Message

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class FileChannel:
    """Appends to `<folder>/<address>`; an address is a plain file name, so that none leads out of the folder."""

    slots = 100
    threads = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, address: str, message: Message) -> None:
        if not _PLAIN_NAME.fullmatch(address):
            raise ChannelFailed(f"{address!r} is not a plain file name (letters, digits, . _ -)")
        line = {
            "at": message.at.isoformat(),
            "key": message.key,
            "kind": message.kind,
            "text": message.text,
            "items": [{"reminder_id": each.reminder_id, "dose_id": each.dose_id} for each in message.items],
            "actions": {each.name: each.url for each in message.actions},
        }
        try:
            self._append(self._folder / address, json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise ChannelFailed(f"{address} can't be written: {error.strerror}") from None

    def _append(self, path: Path, line: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
