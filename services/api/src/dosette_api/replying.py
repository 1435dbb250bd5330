"""Replying: JSON that PostgreSQL made, passed on as it is."""

from flask import Response

from dosette.actions.replies import Answer
from dosette.domain.errors import NotFound
from dosette.faults import fp


def page(body: str | None, missing: str = "not found") -> Response:
    """A body from SQL. Raises NotFound when there is none."""
    if body is None:
        raise NotFound(missing)
    return Response(body, mimetype="application/json")


def done(answer: Answer, status: int = 200) -> Response:
    """The answer of a change; a replayed one says so in a header."""
    fp("A4")
    response = Response(answer.body, status=status, mimetype="application/json")
    if answer.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response
