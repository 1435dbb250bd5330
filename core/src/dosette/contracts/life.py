"""A sign of life: what a device says of itself once a minute, over its stream of presses."""

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from dosette.contracts.plan import UnknownVersion

VERSION = 1


@dataclass(frozen=True)
class SignOfLife:
    """`at` is the device's wall clock (UTC), `waiting` how many presses its journal holds that the server has not taken in.

    `shown_s` is for how long the panel has shown its picture, `refused` how many plans the device did not believe since it was
    started, `version` its program's.
    """

    device_id: str
    at: datetime
    clock_synced: bool
    waiting: int
    shown_s: float | None = None
    refused: int = 0
    version: str = ""

    def to_json(self) -> bytes:
        raw = asdict(self) | {"v": VERSION, "at": self.at.isoformat()}
        return json.dumps(raw, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "SignOfLife":
        """What a newer program says beside is passed over. Raises UnknownVersion, and ValueError on a shape that is none."""
        raw = json.loads(body)
        if not isinstance(raw, dict) or raw.pop("v", None) != VERSION:
            raise UnknownVersion(f"this program reads signs of life of version {VERSION}")
        known = {each.name: raw[each.name] for each in fields(cls) if each.name in raw}
        try:
            return cls(**known | {"at": datetime.fromisoformat(raw["at"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a sign of life: {error}") from None
