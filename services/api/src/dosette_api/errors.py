"""Errors as RFC 9457 problem+json: what, which, and what to do."""

import json
import logging
from http import HTTPStatus

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from dosette.domain import errors
from dosette.domain.errors import DosetteError

RETRY_AFTER_S = 2


class Malformed(errors.Invalid):
    """Not JSON at all, or a header or query that can't be read."""

    code = "malformed"
    title = "The request can't be read"


class Expired(DosetteError):
    """It was here, and its time is over."""

    code = "expired"
    title = "Too late"


class TooOften(DosetteError):
    """Somebody tries one thing after another."""

    code = "too-often"
    title = "Too many tries"


_STATUS: dict[type[DosetteError], HTTPStatus] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    errors.Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    Expired: HTTPStatus.GONE,
    TooOften: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Refused: HTTPStatus.CONFLICT,
    errors.OverLimit: HTTPStatus.CONFLICT,
    errors.Changed: HTTPStatus.CONFLICT,
    errors.KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    app.register_error_handler(DosetteError, told)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _bug)


def problem(status: int, code: str, title: str, detail: str, facts: dict[str, object] | None = None) -> Response:
    """A problem+json answer; `facts` are its further members."""
    body = {
        "type": f"urn:dosette:problem:{code}",
        "title": title,
        "status": int(status),
        "detail": detail,
        **(facts or {}),
    }
    return Response(json.dumps(body, ensure_ascii=False), status=status, mimetype="application/problem+json")


def told(error: DosetteError) -> Response:
    """One of our errors as a problem."""
    status = _STATUS[type(error)]
    answer = problem(status, error.code, error.title, error.message, error.facts)
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="dosette"'
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = str(RETRY_AFTER_S)
        log.warning("unavailable", extra={"error": str(error.__cause__ or error)})
    return answer


def _http(error: HTTPException) -> Response:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    answer = problem(status, error.name.lower().replace(" ", "-"), error.name, error.description or error.name)
    for name, value in error.get_headers():
        if name.lower() == "allow":
            answer.headers[name] = value
    return answer


def _bug(error: Exception) -> Response:
    log.exception("a request failed")
    return problem(500, "bug", "A fault of ours", "the server's log tells more; nothing was saved")
