"""Plans and presses carry an HMAC-SHA256 of their exact bytes, so that neither side believes a stranger.

A sealed message is `<64 hex digits of the HMAC> <body>`: the body is signed as sent, and needs no canonical JSON.
"""

import hashlib
import hmac

_DIGITS = 64


class BadSignature(Exception):
    """The message was not sealed with this key, or was changed on its way."""


def signing_key(server_secret: str, device_id: str, generation: int) -> str:
    """The key of one device (hex); a new generation of the device makes the old key worthless."""
    return _derived(server_secret, "sign", device_id, generation)


def redis_password(server_secret: str, device_id: str, generation: int) -> str:
    """The password of the device's Redis user, derived so that the scheduler can set it again after Redis lost it."""
    return _derived(server_secret, "redis", device_id, generation)


def seal(body: bytes, key: str) -> bytes:
    return _digest(body, key).encode() + b" " + body


def unseal(message: bytes, key: str) -> bytes:
    """The body. Raises BadSignature."""
    given, body = message[:_DIGITS], message[_DIGITS + 1 :]
    if not hmac.compare_digest(given, _digest(body, key).encode()):
        raise BadSignature
    return body


def hidden(secret: str, key: str, purpose: str) -> str:
    """A key of 32 bytes (hex) for nobody but who has `key`; the same again makes it plain.

    A one-time pad of HMAC-SHA256, as long as itself: sound while one purpose under one key hides one secret. It says nothing of who
    hid it, so it travels in what is sealed.
    """
    pad = hmac.new(bytes.fromhex(key), f"dosette|hidden|{purpose}".encode(), hashlib.sha256).digest()
    return bytes(ours ^ theirs for ours, theirs in zip(bytes.fromhex(secret), pad, strict=True)).hex()


def _digest(body: bytes, key: str) -> str:
    return hmac.new(bytes.fromhex(key), body, hashlib.sha256).hexdigest()


def _derived(server_secret: str, purpose: str, device_id: str, generation: int) -> str:
    message = f"dosette|{purpose}|{device_id}|{generation}"
    return hmac.new(server_secret.encode(), message.encode(), hashlib.sha256).hexdigest()
