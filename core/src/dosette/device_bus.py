"""A device's end of the doorbell: the few things that it says and hears, each one round trip.

It speaks to Redis by itself, in the protocol's second version (RESP2, unchanged since 2009), of which it needs an error, a number,
a string and a list. redis-py does all of this as well, but holds 8 MB of modules for clusters, asyncio and search: a fourth of what
the agent on a Pi Zero 2 W takes. `dosette.bus` is the server's end.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from io import BufferedReader

from dosette.contracts.names import FRAME_LIVES_S, frame_key, hint_key, plan_key, press_key

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 10.0
LONGEST_ANSWER = 16_000_000
"""Nothing that a device reads is nearly as long: who says so is no Redis."""

Reply = bytes | int | list["Reply"] | None


class BusDown(Exception):
    """Redis is away, full, or refuses: nothing was lost, try again later."""


class NotAdmitted(BusDown):
    """Redis is there, and knows no such user with such a password."""


class DeviceBus:
    """Connects at the first word, and again after a failure; never retries by itself. For one thread; all calls raise BusDown."""

    def __init__(self, address: str, user: str, password: str, block_s: float = 0.0) -> None:
        """`address` is `host:port`; `block_s` is how much longer an answer may take that is waited for."""
        host, _, port = address.rpartition(":")
        self._address = (host.strip("[]"), int(port))
        self._credentials = (user, password)
        self._answer_s = ANSWER_TIMEOUT_S + block_s
        self._line: _Line | None = None

    def ping(self) -> None:
        self._ask(("PING",))

    def plan(self, device_id: str) -> bytes | None:
        (sealed,) = self._ask(("GET", plan_key(device_id)))
        return sealed if isinstance(sealed, bytes) else None

    def wait_for_hint(self, device_id: str, after: str, wait_s: float) -> str:
        """The id of the newest hint after `after`, or `after` itself when none came in time."""
        block_ms = max(1, int(wait_s * 1000))  # 0 would be for ever
        (streams,) = self._ask(("XREAD", "BLOCK", block_ms, "STREAMS", hint_key(device_id), after))
        match streams:
            case [[_, [*_, [bytes(newest), _]]]]:
                return newest.decode()
        return after

    def send_presses(self, device_id: str, sealed: Sequence[bytes]) -> None:
        """All or none, in this order: the server acknowledges a number only with all before it, also if Redis is wiped meanwhile."""
        entries = [("XADD", press_key(device_id), "*", "press", press) for press in sealed]
        if self._ask(("MULTI",), *entries, ("EXEC",))[-1] is None:
            raise BusDown("the presses were not taken")

    def send_life(self, device_id: str, sealed: bytes) -> None:
        """Once a minute, in the same stream as presses."""
        self._ask(("XADD", press_key(device_id), "*", "life", sealed))

    def show_frame(self, device_id: str, png: bytes) -> None:
        """What the panel shows; it fades when the device no longer says so."""
        self._ask(("SET", frame_key(device_id), png, "EX", FRAME_LIVES_S))

    def close(self) -> None:
        if self._line:
            self._line.close()
            self._line = None

    def _ask(self, *commands: Sequence[str | bytes | int]) -> list[Reply]:
        """Sends them in one go, and returns an answer for each. After a failure nobody knows whose answer comes next, so the
        connection is given up."""
        try:
            self._line = self._line or self._connected()
            return self._line.ask(*commands)
        except BusDown:
            self.close()
            raise
        except (OSError, ValueError) as error:
            self.close()
            raise BusDown(str(error)) from error

    def _connected(self) -> "_Line":
        line = _Line(socket.create_connection(self._address, CONNECT_TIMEOUT_S), self._answer_s)
        try:
            line.ask(("AUTH", *self._credentials))
        except BaseException:
            line.close()
            raise
        return line


class _Line:
    """One connection: commands there, replies back. Raises OSError and ValueError for a line that is cut or garbled."""

    def __init__(self, connection: socket.socket, answer_s: float) -> None:
        self._socket = connection
        self._socket.settimeout(answer_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._replies: BufferedReader = self._socket.makefile("rb")

    def ask(self, *commands: Sequence[str | bytes | int]) -> list[Reply]:
        """All replies are read, whatever the first of them says; then the first refusal is raised."""
        self._socket.sendall(b"".join(map(_packed, commands)))
        replies = [self._reply() for _ in commands]
        for reply in replies:
            for each in reply if isinstance(reply, list) else (reply,):
                if isinstance(each, _Refusal):
                    kind = NotAdmitted if each.startswith(b"WRONGPASS") else BusDown
                    raise kind(str(each, "utf-8", "replace"))
        return replies

    def close(self) -> None:
        with suppress(OSError):
            self._replies.close()
        self._socket.close()

    def _reply(self) -> Reply:
        line = self._replies.readline(LONGEST_ANSWER)
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was closed")
        kind, said = line[:1], line[1:-2]
        match kind:
            case b"+":
                return said
            case b"-":
                return _Refusal(said)
            case b":":
                return int(said)
            case b"$":
                return self._string(int(said))
            case b"*":
                return None if said == b"-1" else [self._reply() for _ in range(_bounded(int(said)))]
        raise ValueError(f"this is no Redis: it says {line[:40]!r}")

    def _string(self, length: int) -> bytes | None:
        if length < 0:
            return None
        body = self._replies.read(_bounded(length) + 2)
        if len(body) != length + 2:
            raise ConnectionError("the connection was closed")
        return body[:-2]


class _Refusal(bytes):
    """What Redis said instead of an answer."""


def _bounded(length: int) -> int:
    if length > LONGEST_ANSWER:
        raise ValueError(f"this is no Redis: it announces {length} bytes")
    return length


def _packed(command: Sequence[str | bytes | int]) -> bytes:
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
