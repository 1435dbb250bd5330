"""The OpenAPI document, by SpecTree from the shapes that the views name. SpecTree describes; it never serves a request."""

from functools import cache
from json import dumps
from typing import Any

from flask import Flask
from spectree import Response, SecurityScheme, SpecTree
from spectree.model_adapter import get_msgspec_model_adapter
from spectree.models import SecureType, SecuritySchemeData

from dosette import __version__
from dosette_api.describe import DESCRIBED, Described
from dosette_api.shapes import IdempotencyKey, Problem


@cache
def document(app: Flask) -> str:
    """As JSON text; made once."""
    tree = _tree()
    tree.app = _on_paper(app, tree)
    with tree.app.app_context():
        return dumps(_finished(tree.spec))


def _tree() -> SpecTree:
    return SpecTree(
        "flask",
        title="Dosette",
        version=__version__,
        path="openapi",  # views under this path are left out
        page_templates={},
        annotations=False,
        mode="strict",
        validation_error_status=422,
        validation_error_model=Problem,
        naming_strategy=lambda model: model.__name__,
        nested_naming_strategy=lambda _parent, child: child,
        model_adapter=get_msgspec_model_adapter(),
        security_schemes=[
            SecurityScheme(name="bearer", data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer"))
        ],
        security={"bearer": []},
    )


def _on_paper(app: Flask, tree: SpecTree) -> Flask:
    """An app with the same paths, made of what SpecTree can read: its wrapper of a view would read every answer."""
    paper = Flask(__name__, static_folder=None)
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if told := DESCRIBED.get(view):
            paper.add_url_rule(rule.rule, rule.endpoint, _wrapped(tree, view, told), methods=rule.methods)
    return paper


def _wrapped(tree: SpecTree, view: Any, told: Described) -> Any:
    answers = {f"HTTP_{told.status}": told.answer} if told.answer is not None else {}
    bare = [f"HTTP_{told.status}"] if told.answer is None else []
    return tree.validate(
        query=told.query,
        json=told.json,
        headers=IdempotencyKey if told.key else None,
        resp=Response(*bare, **answers, **{f"HTTP_{each}": Problem for each in told.problems}),
        operation_id=view.__name__,
        skip_validation=True,
    )(view)


def _finished(spec: dict[str, Any]) -> dict[str, Any]:
    """What SpecTree can't be told: problems have their own media type, and some bodies may be left out."""
    told = {view.__name__: each for view, each in DESCRIBED.items()}
    for operation in (operation for path in spec["paths"].values() for operation in path.values()):
        view = told[operation["operationId"]]
        for status, answer in operation["responses"].items():
            if status >= "400":
                answer["content"] = {"application/problem+json": answer["content"].pop("application/json")}
        if view.media != "application/json":
            operation["responses"]["200"]["content"] = {view.media: {}}
        if view.body_may_be_absent:
            operation["requestBody"]["required"] = False
    return spec
