"""The OpenAPI description, from the shapes that the views name. SpecTree describes; it does nothing at run time."""

from collections.abc import Callable
from functools import cache
from json import dumps as json_text
from typing import Any, TypeVar

from flask import Flask
from flask import Response as FlaskResponse
from spectree import Response, SecurityScheme, SpecTree
from spectree.model_adapter import get_msgspec_model_adapter
from spectree.models import SecureType, SecuritySchemeData

from dosette import __version__
from dosette_api.shapes import IdempotencyKey, Problem

PATH = "/api/v1/openapi.json"

_BODY_MAY_BE_ABSENT: set[str] = set()
_MEDIA: dict[str, str] = {}
_TOLD: dict[Callable[..., Any], Callable[..., Any]] = {}
"""Each view that is described, as SpecTree wraps it: the wrapper would read every answer, so it never serves one."""

View = TypeVar("View", bound=Callable[..., Any])

description = SpecTree(
    "flask",
    title="Dosette",
    version=__version__,
    path="openapi",  # views under this path are left out; publish() serves the description itself
    page_templates={},
    annotations=False,
    mode="strict",
    validation_error_status=422,
    validation_error_model=Problem,
    naming_strategy=lambda model: model.__name__,
    nested_naming_strategy=lambda _parent, child: child,
    model_adapter=get_msgspec_model_adapter(),
    security_schemes=[SecurityScheme(name="bearer", data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer"))],
    security={"bearer": []},
)


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
    problems = {f"HTTP_{each}": Problem for each in sorted({400, 401, 403, 422, 503, *refusals})}
    answers = {f"HTTP_{status}": answer} if answer is not None else {}
    bare = [f"HTTP_{status}"] if answer is None else []

    def decorate(view: View) -> View:
        _MEDIA[view.__name__] = media
        if body_may_be_absent:
            _BODY_MAY_BE_ABSENT.add(view.__name__)
        told = description.validate(
            query=query,
            json=json,
            headers=IdempotencyKey if key else None,
            resp=Response(*bare, **answers, **problems),
            operation_id=view.__name__,
            skip_validation=True,
        )(view)
        _TOLD[view] = told
        return view

    return decorate


def publish(app: Flask) -> None:
    """Serves the description, open to everybody, made once."""
    description.app = _on_paper(app)

    @app.get(PATH)
    def openapi() -> FlaskResponse:
        """This description."""
        return FlaskResponse(_body(), mimetype="application/json")


def _on_paper(app: Flask) -> Flask:
    """An app with the same paths, made of what SpecTree can read."""
    paper = Flask(__name__, static_folder=None)
    for rule in app.url_map.iter_rules():
        told = _TOLD.get(app.view_functions[rule.endpoint])
        if told is not None:
            paper.add_url_rule(rule.rule, rule.endpoint, told, methods=rule.methods)
    return paper


@cache
def _body() -> str:
    with description.app.app_context():
        return json_text(_finished(description.spec))


def _finished(spec: dict[str, Any]) -> dict[str, Any]:
    """What SpecTree can't be told: problems have their own media type, and some bodies may be left out."""
    for operation in (operation for path in spec["paths"].values() for operation in path.values()):
        for status, answer in operation["responses"].items():
            if status >= "400":
                answer["content"] = {"application/problem+json": answer["content"].pop("application/json")}
        if (media := _MEDIA[operation["operationId"]]) != "application/json":
            operation["responses"]["200"]["content"] = {media: {}}
        if operation["operationId"] in _BODY_MAY_BE_ABSENT:
            operation["requestBody"]["required"] = False
    return spec
