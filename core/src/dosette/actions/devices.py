"""Pairing, rotating and revoking a device; and the plan that is published to it."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg2 import Binary

from dosette.contracts.device_file import DeviceFile, purpose
from dosette.contracts.life import SignOfLife
from dosette.contracts.names import redis_user
from dosette.contracts.pairing import HANDLE, code_digest, code_of, is_made_by_panel, new_code, read_code
from dosette.contracts.signing import BadSignature, hidden, redis_password, seal, signing_key, unseal
from dosette.domain.errors import Invalid, NotFound, Refused
from dosette.storage import devices as sql
from dosette.storage.access import serving
from dosette.storage.connection import Database, Entry

PLAN_AHEAD = timedelta(days=7)
PLAN_BEHIND = timedelta(days=1)
STUCK_AFTER = timedelta(seconds=50)
"""What is due waits no longer than a lease or two. A plan comes every minute: two minutes after, the panel must say so."""
CODE_LIVES = timedelta(minutes=10)
MOST_GUESSES = 5
"""Of 25 bits: one chance in six million."""
KEYS_OVERLAP = timedelta(days=7)
KEYS_LIVE = timedelta(days=90)
SEEN_LATELY = timedelta(hours=1)
SILENT_AFTER = timedelta(minutes=5)
PAIRINGS_KEPT = timedelta(days=1)
"""Codes that are over are known a day longer, so that who types one learns why it does nothing."""
NO_SUCH_DEVICE = "there is no such device in this household; GET /api/v1/devices lists them"


@dataclass(frozen=True)
class Device:
    """A device that was paired. `generation` counts its keys, `uses` is the newest that it has been seen to use; until `old_until` the
    ones before the newest are believed, too."""

    id: str
    household_id: str
    generation: int
    pressed: int
    name: str
    paired_at: datetime
    uses: int
    old_until: datetime | None = None

    def believed(self, now: datetime) -> tuple[int, ...]:
        """The generations of keys that it may use. One newer than we know of is believed: only a device that has got it from this
        server can have it, which forgets that when it is restored from a backup."""
        old = self.old_until is not None and now < self.old_until
        return (self.generation, *((self.generation - 1,) if old else ()), self.generation + 1)


@dataclass(frozen=True)
class ServerKeys:
    """Derives every device's keys from the server's one secret."""

    secret: str

    def signing_key(self, device: Device, generation: int | None = None) -> str:
        """Of a generation; the one that the device uses when None."""
        return signing_key(self.secret, device.id, generation or device.uses)

    def redis_password(self, device: Device, generation: int | None = None) -> str:
        return redis_password(self.secret, device.id, generation or device.uses)

    def redis_passwords(self, device: Device, now: datetime) -> list[str]:
        return [self.redis_password(device, each) for each in device.believed(now)]

    def unsealed(self, device: Device, sealed: bytes, now: datetime) -> tuple[bytes, int]:
        """What the device says, and by keys of which generation. Raises BadSignature."""
        for generation in device.believed(now):
            try:
                return unseal(sealed, self.signing_key(device, generation)), generation
            except BadSignature:
                continue
        raise BadSignature

    def new_keys(self, device: Device) -> dict[str, object] | None:
        """Those that it is to use instead of its own, for nobody but who has these; None when it uses the newest."""
        if device.uses == device.generation:
            return None
        own, newest = self.signing_key(device), device.generation
        return {
            "generation": newest,
            "signing_key": hidden(self.signing_key(device, newest), own, purpose("sign", newest)),
            "redis_password": hidden(self.redis_password(device, newest), own, purpose("redis", newest)),
        }


@dataclass(frozen=True)
class Offer:
    """A code that pairs a device of this name, once, until `ends_at`."""

    name: str
    code: str
    ends_at: datetime


@dataclass(frozen=True)
class Places:
    """Where a device finds the server: `redis` is `host:port`, `server` the address of the pages."""

    redis: str
    server: str


def pair(
    database: Database, entry: Entry, name: str, keys: ServerKeys, redis: str, server: str, now: datetime
) -> DeviceFile:
    """Admits a device, or the one of that name anew: then its old keys are worthless. `redis` is `host:port`."""
    device_id, generation = database.one(sql.PAIR, entry, name=name, now=now)
    return _file(device_id, generation, keys, Places(redis, server))


def offer(
    database: Database, entry: Entry, name: str, shown_code: str | None, keys: ServerKeys, now: datetime
) -> Offer:
    """A new code to type at the panel; or `shown_code`, which an unpaired panel shows. Raises Invalid, Refused."""
    code = _shown(shown_code) if shown_code else new_code()
    handle = None if shown_code else code[:HANDLE]
    digest, ends_at = Binary(code_digest(code, keys.secret)), now + CODE_LIVES
    if not database.run(sql.OFFER, entry, digest=digest, name=name, handle=handle, now=now, until=ends_at):
        raise Refused(f"the code {code} was entered before; start the panel anew, then it shows another one")
    return Offer(name, code, ends_at)


def claim(
    database: Database, secret: str, typed: str | None, keys: ServerKeys, places: Places, now: datetime
) -> DeviceFile | None:
    """What a panel gets, once, for the code that was typed at it; or, when None was, for the one that it shows, which its `secret`
    stands behind. By the same secret it may ask again, if the answer was lost.

    None: nobody knows this code, or nobody has entered it yet. Raises Refused, saying why.
    """
    if typed and is_made_by_panel(typed):
        return None  # whoever has seen it on the panel
    handle = typed[:HANDLE] if typed else None
    outcome, device_id, generation, used_at = database.one(
        sql.CLAIM,
        digest=Binary(code_digest(typed or code_of(secret), keys.secret)),
        handle=handle,
        claimant=Binary(code_digest(secret, keys.secret)),
        most_guesses=MOST_GUESSES,
        now=now,
    )
    if outcome == "unknown":
        return None
    if outcome != "done":
        raise Refused(_WHY_NOT[outcome].format(f"{used_at:%H:%M} UTC" if used_at else ""), {"why": outcome})
    return _file(device_id, generation, keys, places)


_WHY_NOT = {
    "expired": "this code's time is over; make a new one with: dosette device pair NAME",
    "used": "this code was used at {}; make a new one with: dosette device pair NAME",
    "guessed": "this code is void, for somebody tried others like it; make a new one with: dosette device pair NAME",
}


@dataclass(frozen=True)
class Panels:
    """The devices of a household, each as the API tells it."""

    household: str
    zone: str
    devices: list[dict[str, Any]]


def look(database: Database, entry: Entry, now: datetime) -> Panels:
    """Raises NotFound."""
    rows = database.run(sql.LOOK, entry, now=now)
    if not rows:
        raise NotFound("this household is gone")
    return Panels(*rows[0])


def named(database: Database, entry: Entry, name: str) -> str:
    """A device's id. Raises NotFound."""
    rows = database.run(sql.NAMED, entry, name=name)
    if not rows:
        raise NotFound(f"there is no device named {name} in this household; see: dosette device list")
    device_id: str = rows[0][0]
    return device_id


def revoke(database: Database, entry: Entry, device_id: str, now: datetime) -> None:
    """It may do nothing any more. Again: nothing happens. Raises NotFound."""
    if not database.run(sql.REVOKE, entry, device=device_id, now=now):
        raise NotFound(NO_SUCH_DEVICE)


def rotate(database: Database, entry: Entry, device_id: str, now: datetime) -> datetime:
    """New keys; the old ones are believed until the time that is returned. Raises NotFound; Refused while the last ones are new."""
    until = now + KEYS_OVERLAP
    if database.run(sql.ROTATE, entry, device=device_id, now=now, until=until):
        return until
    if not database.run(sql.GET, entry, device=device_id):
        raise NotFound(NO_SUCH_DEVICE)
    raise Refused(
        "this device was revoked, or its keys before the newest are still believed; try again after seven days"
    )


def rotate_old(database: Database, now: datetime) -> int:
    """New keys for devices whose keys are older than KEYS_LIVE, of all households, if they are there to get them; how many."""
    limits = {"until": now + KEYS_OVERLAP, "before": now - KEYS_LIVE, "seen": now - SEEN_LATELY}
    return len(database.run(sql.ROTATE_OLD, now=now, **limits))


def forget_pairings(database: Database, now: datetime) -> None:
    database.run(sql.FORGET_PAIRINGS, before=now - PAIRINGS_KEPT)


def uses(database: Database, device: Device, generation: int) -> Device:
    """The device was seen to use keys of this generation."""
    database.run(sql.USES, device=device.id, generation=generation)
    return replace(device, uses=generation, generation=max(generation, device.generation))


def active(database: Database) -> list[Device]:
    """Every device that is not revoked, over all households that this role sees."""
    return [Device(*row) for row in database.run(sql.ACTIVE)]


def revoked(database: Database) -> list[Device]:
    """Those that may reach nothing any more."""
    return [Device(*row) for row in database.run(sql.REVOKED)]


@dataclass(frozen=True)
class Standing:
    """How the devices of all households are. Ages in seconds; None: none is known."""

    paired: int
    silent: int
    rotating: int
    revoked: int
    longest_silence_s: float | None
    oldest_frame_s: float | None
    waiting: float
    refused: float


def standing(database: Database, now: datetime) -> Standing:
    return Standing(*database.one(sql.STANDING, now=now, silent=now - SILENT_AFTER))


def seen(database: Database, device: Device, life: SignOfLife, clock: str, now: datetime) -> bool:
    """The device has given a sign of life; `clock` is right, unknown or wrong. Whether it has refused another plan since the last."""
    shown_at = now - timedelta(seconds=life.shown_s) if life.shown_s is not None else None
    said = {"waiting": life.waiting, "version": life.version, "refused": life.refused}
    rows = database.run(sql.SEEN, device=device.id, now=now, clock=clock, shown_at=shown_at, **said)
    return bool(rows and rows[0][0])


def next_plan(database: Database, device: Device, keys: ServerKeys, now: datetime) -> bytes | None:
    """The sealed plan of 7 days, with a number of its own; None when the device was revoked or got other keys meanwhile."""
    new_keys = keys.new_keys(device)
    rows = database.run(
        sql.NEXT_PLAN,
        serving(device.household_id),
        device=device.id,
        since=now - PLAN_BEHIND,
        until=now + PLAN_AHEAD,
        stuck=now - STUCK_AFTER,
        keys=json.dumps(new_keys) if new_keys else None,
        generation=device.generation,
        now=now,
    )
    return seal(rows[0][0].encode(), keys.signing_key(device)) if rows else None


def farewell(database: Database, device: Device, keys: ServerKeys, now: datetime) -> bytes | None:
    """The sealed last plan of a revoked device, which says so; None when it was paired again meanwhile."""
    rows = database.run(sql.FAREWELL, device=device.id, now=now)
    return seal(rows[0][0].encode(), keys.signing_key(device)) if rows else None


def _file(device_id: str, generation: int, keys: ServerKeys, places: Places) -> DeviceFile:
    password = redis_password(keys.secret, device_id, generation)
    key = signing_key(keys.secret, device_id, generation)
    return DeviceFile(device_id, places.server, places.redis, redis_user(device_id), password, key, generation)


def _shown(typed: str) -> str:
    """Raises Invalid."""
    try:
        code = read_code(typed)
    except ValueError as error:
        raise Invalid(f"code: {error}", {"field": "code"}) from None
    if not is_made_by_panel(code):
        raise Invalid(
            "code: this code is typed at the panel; a panel shows one of 12 letters and digits", {"field": "code"}
        )
    return code
