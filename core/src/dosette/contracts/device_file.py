"""`device.json`: the one 0600 file that pairing gives an agent."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

VERSION = 1


@dataclass(frozen=True)
class DeviceFile:
    """`redis` is `host:port`; `signing_key` is hex; `server` is the address of the pages, or ""."""

    device_id: str
    server: str
    redis: str
    redis_user: str
    redis_password: str
    signing_key: str

    def write(self, path: Path) -> None:
        """Whole or not at all, readable by its owner only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"v": VERSION} | asdict(self), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    @classmethod
    def read(cls, path: Path) -> "DeviceFile":
        """Raises FileNotFoundError; ValueError when it is not a device file of this version."""
        raw = json.loads(path.read_text())
        if not isinstance(raw, dict) or raw.pop("v", None) != VERSION:
            raise ValueError(f"{path} is not a device file of version {VERSION}; pair the device again")
        try:
            return cls(**raw)
        except TypeError as error:
            raise ValueError(f"{path}: {error}; pair the device again") from None
