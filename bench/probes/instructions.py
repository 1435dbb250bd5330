"""Answers some requests of every kind in this process, without a socket, then more of one. Under cachegrind that counts instructions.

    DATABASE_URL=… valgrind --tool=cachegrind --cache-sim=no python instructions.py \
        '{"token": …, "kinds": ["bare", "GET /health"], "warm_up": 5, "counted": "GET /health", "times": 200}'

A path with `+` is two requests, one after the other.
"""

import gc
import io
import json
import sys
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from bare_flask import app as bare_flask

from dosette_api.serve import application

BARE = "bare"


def main() -> None:
    asked = json.loads(sys.argv[1])
    ours = application().wsgi_app
    for kind in asked["kinds"]:
        _answer(ours, kind, asked["warm_up"], asked["token"])
    gc.collect()
    gc.freeze()  # else a full collection, once in some hundred requests, would be counted with the few of one kind
    if asked["counted"]:
        _answer(ours, asked["counted"], asked["times"], asked["token"])


def _answer(ours: Callable[..., Iterable[bytes]], kind: str, times: int, token: str) -> None:
    app = bare_flask.wsgi_app if kind == BARE else ours
    requests = ["GET /"] if kind == BARE else kind.split("+")
    for _ in range(times):
        for request in requests:
            _ask(app, request, token)


def _ask(app: Callable[..., Iterable[bytes]], request: str, token: str) -> None:
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    body = b"{}" if method == "POST" else b""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "127.0.0.1",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "HTTP_IDEMPOTENCY_KEY": str(uuid.uuid4()),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    statuses: list[str] = []
    b"".join(app(environ, lambda status, headers, *rest: statuses.append(status)))
    if statuses != ["200 OK"]:
        sys.exit(f"{request}: {statuses}")


main()
