"""Look-only links: whoever has one sees how the household's panels are, until it ends, and can change nothing.

A token is url-safe base64 of `version, household id, end, HMAC-SHA256 cut to 16 bytes`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from uuid import UUID

from dosette.contracts.link import BadLink, ExpiredLink, signed_body, signed_token

VERSION = 1

_BODY = Struct(">B16sI")
_PURPOSE = b"look"


@dataclass(frozen=True)
class Look:
    """`expires_at` in whole seconds."""

    household_id: str
    expires_at: datetime


def look_token(look: Look, key: str) -> str:
    body = _BODY.pack(VERSION, UUID(look.household_id).bytes, int(look.expires_at.timestamp()))
    return signed_token(body, _PURPOSE, key)


def read_look(token: str, key: str, now: datetime) -> Look:
    """Raises BadLink and ExpiredLink."""
    version, household, expires = _BODY.unpack(signed_body(token, _BODY.size, _PURPOSE, key))
    if version != VERSION:
        raise BadLink
    expires_at = datetime.fromtimestamp(expires, UTC)
    if now > expires_at:
        raise ExpiredLink
    return Look(str(UUID(bytes=household)), expires_at)
