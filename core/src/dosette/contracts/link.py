"""Links in messages: whoever was told may answer by one tap. A link names a message and one answer, ends, and is signed.

A token is url-safe base64 of `version, delivery id, answer, end, HMAC-SHA256 cut to 16 bytes`; what it does, it does once (the
api stores its answer under a key made of it).
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct, pack
from uuid import UUID

VERSION = 1
ACTIONS = ("take", "skip", "claim")

_BODY = Struct(">B16sBI")
_SIGNATURE = 16
_PURPOSE = b"link"


class BadLink(Exception):
    """Not made with this key, or changed on its way."""


class ExpiredLink(Exception):
    """Its doses can't be answered any more."""


@dataclass(frozen=True)
class Link:
    """`action` is one of ACTIONS, about every dose that the message `delivery_id` told of; `expires_at` in whole seconds."""

    delivery_id: str
    action: str
    expires_at: datetime


def link_token(link: Link, key: str) -> str:
    body = _BODY.pack(
        VERSION, UUID(link.delivery_id).bytes, ACTIONS.index(link.action), int(link.expires_at.timestamp())
    )
    return signed_token(body, _PURPOSE, key)


def read_link(token: str, key: str, now: datetime) -> Link:
    """Raises BadLink and ExpiredLink."""
    version, delivery, action, expires = _BODY.unpack(signed_body(token, _BODY.size, _PURPOSE, key))
    if version != VERSION or action >= len(ACTIONS):
        raise BadLink
    expires_at = datetime.fromtimestamp(expires, UTC)
    if now > expires_at:
        raise ExpiredLink
    return Link(str(UUID(bytes=delivery)), ACTIONS[action], expires_at)


def signed_token(body: bytes, purpose: bytes, key: str) -> str:
    """What a link of some purpose says, for a URL."""
    return urlsafe_b64encode(body + _signature(body, purpose, key)).rstrip(b"=").decode()


def signed_body(token: str, size: int, purpose: bytes, key: str) -> bytes:
    """Raises BadLink."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (BadBase64, UnicodeEncodeError, ValueError):
        raise BadLink from None
    body, signature = raw[:size], raw[size:]
    if len(body) != size or not hmac.compare_digest(signature, _signature(body, purpose, key)):
        raise BadLink
    return body


def _signature(body: bytes, purpose: bytes, key: str) -> bytes:
    return hmac.new(key.encode(), pack(">B", VERSION) + purpose + body, hashlib.sha256).digest()[:_SIGNATURE]
