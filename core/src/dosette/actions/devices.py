"""Pairing a device, and the plan that is published to it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dosette.contracts.device_file import DeviceFile
from dosette.contracts.names import redis_user
from dosette.contracts.signing import redis_password, seal, signing_key
from dosette.storage import devices as sql
from dosette.storage.access import serving
from dosette.storage.connection import Database, Entry

PLAN_AHEAD = timedelta(days=7)
PLAN_BEHIND = timedelta(days=1)
STUCK_AFTER = timedelta(seconds=50)
"""What is due waits no longer than a lease or two. A plan comes every minute: two minutes after, the panel must say so."""


@dataclass(frozen=True)
class Device:
    """A paired device; `generation` is a part of its keys."""

    id: str
    household_id: str
    generation: int
    pressed: int
    name: str
    paired_at: datetime


@dataclass(frozen=True)
class ServerKeys:
    """Derives every device's keys from the server's one secret."""

    secret: str

    def signing_key(self, device: Device) -> str:
        return signing_key(self.secret, device.id, device.generation)

    def redis_password(self, device: Device) -> str:
        return redis_password(self.secret, device.id, device.generation)


def pair(
    database: Database, entry: Entry, name: str, keys: ServerKeys, redis: str, server: str, now: datetime
) -> DeviceFile:
    """Admits a device, or the one of that name anew: then its old keys are worthless. `redis` is `host:port`."""
    device_id, generation, _ = database.one(sql.PAIR, entry, name=name, now=now)
    device = Device(device_id, "", generation, 0, name, now)
    return DeviceFile(
        device_id, server, redis, redis_user(device_id), keys.redis_password(device), keys.signing_key(device)
    )


def active(database: Database) -> list[Device]:
    """Every device that is not revoked, over all households that this role sees."""
    return [Device(*row) for row in database.run(sql.ACTIVE)]


def revoked(database: Database) -> list[str]:
    """Ids of the devices that may reach nothing any more."""
    return [row[0] for row in database.run(sql.REVOKED)]


def seen(database: Database, device: Device, now: datetime) -> None:
    """The device has given a sign of life."""
    database.run(sql.SEEN, device=device.id, now=now)


def next_plan(database: Database, device: Device, keys: ServerKeys, now: datetime) -> bytes | None:
    """The sealed plan of 7 days, with a number of its own; None when the device was revoked meanwhile."""
    rows = database.run(
        sql.NEXT_PLAN,
        serving(device.household_id),
        device=device.id,
        since=now - PLAN_BEHIND,
        until=now + PLAN_AHEAD,
        stuck=now - STUCK_AFTER,
        now=now,
    )
    return seal(rows[0][0].encode(), keys.signing_key(device)) if rows else None
