"""`device.json`: the one 0600 file that pairing gives an agent."""

import json
import os
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path

from dosette.contracts.plan import NewKeys, Plan
from dosette.contracts.signing import hidden

VERSION = 1


@dataclass(frozen=True)
class DeviceFile:
    """`redis` is `host:port`; `signing_key` is hex; `server` is the address of the pages, or "". `generation` counts the keys from 1;
    0: an older program wrote the file. `old_key` is the signing key before, or "": plans that were signed with it are believed, too."""

    device_id: str
    server: str
    redis: str
    redis_user: str
    redis_password: str
    signing_key: str
    generation: int = 0
    old_key: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Those that a plan may be signed with."""
        return (self.signing_key, self.old_key) if self.old_key else (self.signing_key,)

    def after(self, plan: Plan, key: str) -> "DeviceFile":
        """The file that a plan calls for which was signed with `key`, one of these: with the new keys in it, without an old one whose
        time is over; or this one."""
        if plan.keys is not None and plan.keys.generation > self.generation:
            return self._with(plan.keys, key)
        if self.old_key and key == self.signing_key and _is_over(plan.old_keys_until, plan.issued_at):
            return replace(self, old_key="")
        return self

    def _with(self, new: NewKeys, key: str) -> "DeviceFile":
        return replace(
            self,
            redis_password=hidden(new.redis_password, key, purpose("redis", new.generation)),
            signing_key=hidden(new.signing_key, key, purpose("sign", new.generation)),
            generation=new.generation,
            old_key=key,
        )

    def to_json(self) -> str:
        return json.dumps({"v": VERSION} | asdict(self), indent=2)

    def write(self, path: Path) -> None:
        """Whole or not at all, on the card when this returns, readable by its owner only. Raises OSError, the old file is kept."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.to_json())
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync(path.parent)

    @classmethod
    def read(cls, path: Path) -> "DeviceFile":
        """Raises FileNotFoundError; ValueError when it is not a device file of this version."""
        try:
            return cls.from_json(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path} {error}; pair the device again") from None

    @classmethod
    def from_json(cls, body: bytes) -> "DeviceFile":
        """What a newer program says beside is passed over. Raises ValueError."""
        try:
            raw = json.loads(body)
            if not isinstance(raw, dict) or raw.pop("v", None) != VERSION:
                raise ValueError(f"is not a device file of version {VERSION}")
            return cls(**{each.name: raw[each.name] for each in fields(cls) if each.name in raw})
        except TypeError as error:
            raise ValueError(f"is not a whole device file: {error}") from None


def purpose(kind: str, generation: int) -> str:
    """What a new key is hidden for; never twice under one key."""
    return f"{kind}|{generation}"


def _is_over(until: datetime | None, now: datetime) -> bool:
    return until is None or now >= until


def _sync(folder: Path) -> None:
    """A new name is on the card only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
