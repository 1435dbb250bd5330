"""The device's keys while it runs: what device.json says, and what the server changes in it."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dosette.contracts.device_file import DeviceFile
from dosette.contracts.plan import Plan

log = logging.getLogger(__name__)


class Keyring:
    """Holds the file that is in force. The link's listener alone calls `adopt`."""

    def __init__(self, path: Path, device: DeviceFile, changed: Callable[[DeviceFile], None]) -> None:
        """`changed` is told of each new file, when it is on the card."""
        self._path = path
        self._changed = changed
        self._complained_of = 0
        self._coming = device
        self.device = device

    def adopt(self, plan: Plan, key: str) -> None:
        """Takes over what a plan that was signed with `key` says of the keys: on the card first, then in use, so that a power cut at
        any moment leaves keys that the server believes. A card that can't be written keeps the old ones, which it believes for seven
        days."""
        new = self.device.after(plan, key)
        if new is self.device:
            return
        self._coming = new
        try:
            new.write(self._path)
        except OSError as error:
            if self._complained_of != new.generation:
                log.error("new keys could not be stored; the old ones are used on", extra={"error": str(error)})
            self._complained_of = new.generation
            return
        log.info("the keys were changed", extra={"generation": new.generation, "old_one_too": bool(new.old_key)})
        self.device = new
        self._changed(new)

    def was_replaced(self) -> bool:
        """Whether somebody else has written another file: the device was paired anew."""
        with suppress(OSError, ValueError):
            return DeviceFile.read(self._path) not in (self.device, self._coming)
        return False
