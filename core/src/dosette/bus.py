"""The doorbell: Redis behind the few things we ask of it. It may lose everything at any moment; PostgreSQL may not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.exceptions import RedisError
from redis.retry import Retry

from dosette.contracts.names import frame_key, hint_key, plan_key, press_key, redis_user

HINTS_KEPT = 100
CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 10.0

__all__ = ["Bus", "BusDown", "Entry", "connect"]

BusDown = RedisError
"""What every call here raises when Redis is away, full or refuses: nothing was lost, try again later."""


def connect(
    url: str,
    block_s: float = 0.0,
    answer_s: float = ANSWER_TIMEOUT_S,
    connected: Callable[[], None] | None = None,
) -> Redis:
    """A client that fails within seconds and never retries by itself (a retried ping took 4.7 s). `answer_s` is how long an answer
    may take, `block_s` how much longer one that is waited for. `connected` is called at each new connection, which the client makes
    unseen when the last one ended: Redis may have begun anew, and know nothing any more."""

    def greet(connection: Connection) -> None:
        connection.on_connect()  # type: ignore[no-untyped-call]
        if connected:
            connected()

    return Redis.from_url(
        url,
        socket_connect_timeout=min(CONNECT_TIMEOUT_S, answer_s),
        socket_timeout=answer_s + block_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        redis_connect_func=greet,
    )


@dataclass(frozen=True)
class Entry:
    """One entry of a device's stream: a sealed press, or a sealed sign of life. `age` is for how long it has lain there."""

    device_id: str
    id: str
    sealed: bytes
    alive: bool
    age: timedelta = timedelta(0)


class Bus:
    """The server's end; `device_bus` is a device's. Each method is one round trip; all raise BusDown."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def publish_plan(self, device_id: str, sealed: bytes) -> None:
        """Puts the plan and rings: a hint that is lost costs seconds, the plan stays."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.set(plan_key(device_id), sealed)
        pipeline.xadd(hint_key(device_id), {"look": "plan"}, maxlen=HINTS_KEPT, approximate=True)
        pipeline.execute()

    def presses(self, device_ids: list[str], wait_s: float) -> Iterator[Entry]:
        """Everything that waits, presses and signs of life; blocks up to `wait_s` when nothing does."""
        streams = {press_key(each): "0" for each in device_ids}
        device_of = {press_key(each).encode(): each for each in device_ids}
        answer = self._redis.xread(cast("Any", streams), count=100, block=int(wait_s * 1000))
        now_s = self._time_s() if answer else 0.0
        for stream, entries in cast("list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]", answer):
            for entry_id, fields in entries:
                alive = b"life" in fields
                sealed = fields.get(b"life" if alive else b"press", b"")
                yield Entry(device_of[stream], entry_id.decode(), sealed, alive, _age(entry_id, now_s))

    def forget_press(self, device_id: str, entry_id: str) -> None:
        self._redis.xdel(press_key(device_id), entry_id)

    def shows_a_frame(self, device_id: str) -> bool:
        """Whether the device has shown itself within FRAME_LIVES_S."""
        return bool(self._redis.exists(frame_key(device_id)))

    def frame(self, device_id: str) -> bytes | None:
        return cast("bytes | None", self._redis.get(frame_key(device_id)))

    def admit_devices(self, passwords: Mapping[str, Sequence[str]]) -> None:
        """Gives each device (id → passwords) a Redis user that reaches its own four keys, read or write each."""
        for device_id, words in passwords.items():
            self._command("ACL", "SETUSER", redis_user(device_id), *_rights(device_id, words))

    def expel_device(self, device_id: str) -> None:
        """Ends a revoked device's connections and access, and leaves nothing of it."""
        self._command("ACL", "DELUSER", redis_user(device_id))
        self._redis.delete(plan_key(device_id), hint_key(device_id), press_key(device_id), frame_key(device_id))

    def _time_s(self) -> float:
        seconds, microseconds = self._redis.time()
        return seconds + microseconds / 1e6

    def _command(self, *words: str) -> None:
        self._redis.execute_command(*words)  # type: ignore[no-untyped-call]


def _age(entry_id: bytes, now_s: float) -> timedelta:
    """Both by Redis's clock, whatever ours says."""
    return timedelta(seconds=max(0.0, now_s - int(entry_id.partition(b"-")[0]) / 1000))


def _rights(device_id: str, passwords: Sequence[str]) -> list[str]:
    return [
        "reset",
        "on",
        *(f">{password}" for password in passwords),
        "-@all",
        *("+get", "+set", "+xread", "+xadd", "+multi", "+exec", "+ping"),
        f"%R~{plan_key(device_id)}",
        f"%R~{hint_key(device_id)}",
        f"%W~{press_key(device_id)}",
        f"%W~{frame_key(device_id)}",
    ]
