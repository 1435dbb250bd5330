"""A press: one button push as the device journals it and the server takes it in. Its id is its idempotency key."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from dosette.contracts.plan import UnknownVersion

VERSION = 1
KINDS = ("take", "snooze", "skip", "undo")
SNOOZE = timedelta(minutes=15)
"""How long a snoozed dose is not told again, counted from the press."""
LONGEST_REASON = 200


@dataclass(frozen=True)
class Press:
    """`dose_ids` are the doses that stood on the screen when the button went down, whatever happened since.

    `at` is the device's wall clock (UTC); `boot_id` and `boottime_s` (CLOCK_BOOTTIME) let the server work out when it really
    was if that clock was wrong, which `clock_synced` tells. `number` counts the device's presses from 1. `reason` is why a
    dose is skipped, in the words that were chosen on the screen.
    """

    id: str
    number: int
    device_id: str
    kind: str
    dose_ids: tuple[str, ...]
    at: datetime
    boot_id: str
    boottime_s: float
    clock_synced: bool
    reason: str | None = None

    def to_json(self) -> bytes:
        """Without what is not set: a server that is one version older reads that, too."""
        raw = asdict(self) | {"v": VERSION, "at": self.at.isoformat()}
        if self.reason is None:
            del raw["reason"]
        return json.dumps(raw, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "Press":
        """Raises UnknownVersion, and ValueError naming a kind or a shape that is none."""
        raw = json.loads(body)
        if raw.pop("v", None) != VERSION:
            raise UnknownVersion(f"this program reads press version {VERSION}")
        if raw.get("kind") not in KINDS:
            raise ValueError(f"a press is one of {', '.join(KINDS)}, not {raw.get('kind')!r}")
        if len(raw.get("reason") or "") > LONGEST_REASON:
            raise ValueError(f"a reason has at most {LONGEST_REASON} letters")
        known = {name: value for name, value in raw.items() if name in cls.__dataclass_fields__}
        try:
            return cls(**known | {"at": datetime.fromisoformat(raw["at"]), "dose_ids": tuple(raw["dose_ids"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a press: {error}") from None
