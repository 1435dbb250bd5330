"""Answers requests in this process, without a socket, so that cachegrind can count what they take.

    DATABASE_URL=… valgrind --tool=cachegrind --cache-sim=no python instructions.py \
        '{"token": …, "warm_up": {"GET /health": 5}, "counted": ["bare", "GET /health"], "times": 200, "at_once": 2}'

Each kind that is counted is answered by two children, one of which does it so many times more: what they differ by is what that
takes, and Python's start, which costs a thousand requests, is counted once for all. Prints the children as JSON: process number,
request, times. `bare` is the least that Flask can do; a path with `+` is two requests in turn.
"""

import gc
import io
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from bare_flask import app as bare_flask

from dosette_api.serve import application

BARE = "bare"
WARM = 5


def main() -> None:
    asked = json.loads(sys.argv[1])
    app = application()
    for request, times in asked["warm_up"].items():
        _answer(app.wsgi_app, request, times, asked["token"])
    app.extensions["dosette"].database.close()  # a child makes a connection of its own
    gc.collect()
    gc.freeze()  # else a full collection, once in some hundred requests, would be counted with the few of one kind
    children: list[tuple[int, str, int]] = []
    for times in (0, asked["times"]):
        running = 0
        for request in asked["counted"]:
            if running == asked["at_once"]:
                _wait_for_one()
                running -= 1
            children.append((_child(app.wsgi_app, request, times, asked["token"]), request, times))
            running += 1
        for _ in range(running):
            _wait_for_one()
    print(json.dumps(children))


def _child(ours: Callable[..., Iterable[bytes]], request: str, times: int, token: str) -> int:
    if pid := os.fork():
        return pid
    status = 1
    try:
        _answer(ours, request, WARM + times, token)
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _wait_for_one() -> None:
    _, status = os.wait()
    if status:
        sys.exit("a request was not answered")


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
