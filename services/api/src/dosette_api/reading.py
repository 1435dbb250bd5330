"""Reading a request: who asks, under which key, with what; strictly, and with errors that name the field."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from flask import request

from dosette.actions.replies import Request
from dosette.domain.errors import Invalid, Unauthorized
from dosette.storage.access import with_token
from dosette.storage.connection import Entry
from dosette_api.errors import Malformed
from dosette_api.shapes import LINE

T = TypeVar("T")

_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_AT = re.compile(r"(?P<what>.*?)( - at `\$\.?(?P<path>[^`]*)`)?", re.DOTALL)
_NAMED = re.compile(r"(unknown|required|in) field `(?P<name>[^`]*)`")


def reader(scope: str = "read") -> Entry:
    """The bearer, to read. Raises Unauthorized."""
    return with_token(_bearer(), scope)


def writer(scope: str) -> Entry:
    """The bearer, to change something: locks the household. Raises Unauthorized."""
    return with_token(_bearer(), scope, writes=True)


def body(shape: type[T]) -> T:
    """The JSON body as `shape`. Raises Malformed when it is not JSON, Invalid when a field is wrong."""
    raw = raw_json()
    try:
        read = msgspec.json.decode(raw, type=shape, strict=True)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    json.loads(raw, object_pairs_hook=_named_once)
    return read


def raw_json() -> bytes:
    """The body as it came. Raises Malformed when it does not say that it is JSON."""
    if request.mimetype != "application/json":
        raise Malformed(f"send the body as Content-Type: application/json, not {request.mimetype or 'without a type'}")
    return request.get_data(cache=True)


def optional_body(shape: type[T]) -> T:
    """The same, but an absent body means all defaults."""
    return body(shape) if request.get_data(cache=True) else shape()


def query(shape: type[T]) -> T:
    """The query string as `shape`. Raises Invalid, naming the parameter."""
    given: Mapping[str, Any] = request.args.to_dict()
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        raise Invalid(f"{repeated[0]}: given more than once", {"field": repeated[0]})
    try:
        return msgspec.convert({name: _typed(name, value) for name, value in given.items()}, shape, strict=True)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None


def action() -> Request:
    """The request of a dose or stock action, which needs an Idempotency-Key. Raises Malformed."""
    asked = maybe_action()
    if asked.key is None:
        raise Malformed("send an Idempotency-Key header (a UUID, say): the same key again never does it twice")
    return asked


def maybe_action() -> Request:
    """The request of any other change, where a key is welcome."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise Malformed("Idempotency-Key: 1 to 200 visible ASCII characters, such as a UUID")
    said = f"{request.method} {request.full_path}\n".encode() + request.get_data(cache=True)
    return Request(key, hashlib.sha256(said).digest())


def _named_once(pairs: list[tuple[str, object]]) -> None:
    """Of a field that stands twice, msgspec takes the last, and nobody knows which was meant."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Invalid(f"{twice}: stands twice in the same object; send it once", {"field": twice})


def _bearer() -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Unauthorized("send Authorization: Bearer <token>; make a token with: dosette token create")
    return token


def _typed(name: str, value: str) -> object:
    if name in ("low", "archived", "open") and value in ("true", "false"):
        return value == "true"
    return int(value) if name == "limit" and re.fullmatch(r"-?[0-9]{1,9}", value) else value


def invalid(told: str) -> Invalid:
    """msgspec's sentence, with the field first: "steps[0].time: Expected `str`, got `int`"."""
    found = _AT.fullmatch(told)
    what, path = (found["what"], found["path"] or "") if found else (told, "")
    if repr(LINE) in what:
        what = "Expected a line of text of which something can be seen"
    named = _NAMED.search(what)
    field = ".".join(filter(None, (path, named["name"] if named else ""))) or "body"
    return Invalid(f"{field}: {what}", {"field": field})
