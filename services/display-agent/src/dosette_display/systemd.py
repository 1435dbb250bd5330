"""What systemd is told: that the agent is up, that its loop makes progress, that it stops. Without systemd nothing is said.

The protocol is one datagram of `NAME=value` lines (sd_notify(3)); a library would be as long as this.
"""

import logging
import socket

log = logging.getLogger(__name__)


class Systemd:
    """`address` is what systemd gives in NOTIFY_SOCKET: a path, or an abstract name that begins with @. None: nobody listens."""

    def __init__(self, address: str | None) -> None:
        self._address = address.replace("@", "\0", 1) if address and address.startswith("@") else address

    def ready(self, status: str) -> None:
        """The agent is up; `status` is what `systemctl status` shows."""
        self._tell(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """To be said only while the main loop makes progress: systemd kills and restarts who is silent for WatchdogSec."""
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def _tell(self, words: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.connect(self._address)
                sender.sendall(words.encode())
        except OSError as error:  # systemd then restarts the agent, which is what it should do with one it can't hear
            log.warning("systemd did not hear", extra={"error": str(error)})
