"""The OpenAPI description, from the shapes that the views name. SpecTree describes; it checks nothing at run time."""

from collections.abc import Callable
from typing import Any, TypeVar

from spectree import Response, SecurityScheme, SpecTree
from spectree.model_adapter import get_msgspec_model_adapter
from spectree.models import SecureType, SecuritySchemeData

from dosette import __version__
from dosette_api.shapes import IdempotencyKey, Problem

View = TypeVar("View", bound=Callable[..., Any])

description = SpecTree(
    "flask",
    title="Dosette",
    version=__version__,
    path="api/v1",
    filename="openapi.json",
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
    query: Any = None,
    key: bool = False,
    refusals: tuple[int, ...] = (),
) -> Callable[[View], View]:
    """Says of a view what it takes and what it answers; `refusals` are its own statuses beyond those that all have."""
    problems = {f"HTTP_{each}": Problem for each in sorted({400, 401, 403, 422, 503, *refusals})}
    answers = {f"HTTP_{status}": answer} if answer is not None else {}
    bare = [f"HTTP_{status}"] if answer is None else []
    return description.validate(
        query=query,
        json=json,
        headers=IdempotencyKey if key else None,
        resp=Response(*bare, **answers, **problems),
        skip_validation=True,
    )
