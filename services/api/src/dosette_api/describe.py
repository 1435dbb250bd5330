"""What each view takes and answers, said where the view is; `openapi.py` makes a document of it when somebody asks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask
from flask import Response as FlaskResponse

PATH = "/api/v1/openapi.json"

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Described:
    """Shapes are msgspec's; `problems`: the statuses of all its refusals."""

    answer: Any
    status: int
    json: Any
    body_may_be_absent: bool
    query: Any
    key: bool
    media: str
    problems: tuple[int, ...]


DESCRIBED: dict[Callable[..., Any], Described] = {}


def described(
    answer: Any = None,
    *,
    status: int = 200,
    json: Any = None,
    body_may_be_absent: bool = False,
    query: Any = None,
    key: bool = False,
    media: str = "application/json",
    refusals: tuple[int, ...] = (),
) -> Callable[[View], View]:
    """Says of a view what it takes and what it answers; `refusals` are its own statuses beyond those that all have."""
    problems = tuple(sorted({400, 401, 403, 422, 503, *refusals}))

    def decorate(view: View) -> View:
        DESCRIBED[view] = Described(answer, status, json, body_may_be_absent, query, key, media, problems)
        return view

    return decorate


def publish(app: Flask) -> None:
    """Serves the description, open to everybody."""

    @app.get(PATH)
    def openapi() -> FlaskResponse:
        """This description."""
        # Imported on first need: SpecTree and the schemas of all shapes are half of the API's start.
        from dosette_api.openapi import document

        return FlaskResponse(document(app), mimetype="application/json")
