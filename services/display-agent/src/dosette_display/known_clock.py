"""Whether this machine's clock was right once since it booted. A Raspberry Pi has none of its own: it boots with the time it last saved."""

import logging
from pathlib import Path
from threading import Lock

from dosette.clock import boot_id
from dosette_display.files import write_whole

log = logging.getLogger(__name__)


class KnownClock:
    """Known once, it is known until the machine boots again: it goes on by itself, though the kernel calls it unsynced some hours after
    the network went away. Any thread may ask and tell."""

    def __init__(self, path: Path | None = None) -> None:
        """The file holds the boot in which the clock was known, for an agent that is started again; None keeps it in memory."""
        self._path = path
        self._lock = Lock()
        self._known = self._was_known()

    def __bool__(self) -> bool:
        return self._known

    def is_right(self) -> None:
        """From now on it is known."""
        with self._lock:
            if not self._known:
                self._known = True
                self._store()

    def _was_known(self) -> bool:
        try:
            return bool(self._path and self._path.read_bytes() == boot_id().encode())
        except FileNotFoundError:
            return False
        except OSError as error:
            log.error("whether the clock was known can't be read", extra={"error": str(error)})
            return False

    def _store(self) -> None:
        """A power cut may take it: it says nothing of the next boot."""
        try:
            if self._path:
                write_whole(self._path, boot_id().encode(), durable=False)
        except OSError as error:
            log.error("that the clock is known is lost with this process", extra={"error": str(error)})
