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
    dose is skipped, in the words that were chosen on the screen. `after` is when the server made the plan that was on the screen: it
    was not pressed before.
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
    after: datetime | None = None

    def to_json(self) -> bytes:
        return _dumped(self._raw())

    def _raw(self) -> dict[str, object]:
        """Without what is not set: a server that is one version older reads that, too."""
        after = self.after.isoformat() if self.after else None
        raw = asdict(self) | {"v": VERSION, "at": self.at.isoformat(), "after": after}
        return {name: value for name, value in raw.items() if value is not None}

    @classmethod
    def from_json(cls, body: bytes) -> "Press":
        """What a newer program says beside is passed over. Raises UnknownVersion, and ValueError naming a kind or a shape that is
        none."""
        raw = json.loads(body)
        if not isinstance(raw, dict) or raw.get("v") != VERSION:
            raise UnknownVersion(f"this program reads press version {VERSION}")
        if raw.get("kind") not in KINDS:
            raise ValueError(f"a press is one of {', '.join(KINDS)}, not {raw.get('kind')!r}")
        if len(raw.get("reason") or "") > LONGEST_REASON:
            raise ValueError(f"a reason has at most {LONGEST_REASON} letters")
        known = {name: value for name, value in raw.items() if name in cls.__dataclass_fields__}
        try:
            after = datetime.fromisoformat(raw["after"]) if raw.get("after") else None
            at, dose_ids = datetime.fromisoformat(raw["at"]), tuple(raw["dose_ids"])
            return cls(**known | {"at": at, "dose_ids": dose_ids, "after": after})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a press: {error}") from None


@dataclass(frozen=True)
class SentPress:
    """A press on its way: with what the device's boot and its CLOCK_BOOTTIME were when it was sent."""

    press: Press
    boot_id: str
    boottime_s: float

    def to_json(self) -> bytes:
        return _dumped(self.press._raw() | {"sent_boot_id": self.boot_id, "sent_boottime_s": self.boottime_s})

    @classmethod
    def from_json(cls, body: bytes) -> "SentPress":
        """Raises as a press does. One that does not say so was sent in no known boot."""
        press, raw = Press.from_json(body), json.loads(body)
        return cls(press, str(raw.get("sent_boot_id", "")), float(raw.get("sent_boottime_s", 0.0)))

    @property
    def age_s(self) -> float | None:
        """How long before it was sent the button went down; None when the device was started anew in between."""
        if not self.boot_id or self.boot_id != self.press.boot_id:
            return None
        return max(0.0, self.boottime_s - self.press.boottime_s)


def _dumped(raw: dict[str, object]) -> bytes:
    return json.dumps(raw, separators=(",", ":")).encode()
