"""A stack of our own, and a tiny server that answers as a test wishes."""

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from dosette_bench import machine, results
from dosette_bench.stack import Stack, of_its_own

Answers = Callable[[str], "int | tuple[int, float]"]
"""A path's status, or its status and how many seconds it takes."""


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    """With the demo household."""
    with of_its_own() as running:
        yield running


@pytest.fixture
def result() -> dict[str, Any]:
    """The least that is a result in its published form."""
    return {
        "schema_version": results.VERSION,
        "run_id": "run",
        "timestamp": "2025-03-30T12:00:00+00:00",
        "finished_at": "2025-03-30T12:10:00+00:00",
        "interrupted": False,
        "version": "0.1.0",
        "commit": "0123456789ab",
        "box": None,
        "machine": machine.facts({}),
        "settings": {
            "suites": ["api"],
            "quick": True,
            "repeat": 1,
            "only": None,
            "medicines": 50,
            "history_days": 90,
            "server": "own",
        },
        "benchmarks": {},
        "judgement": {"holds": True, "gate": ["time"], "verdicts": [], "alerts": []},
    }


@pytest.fixture
def serving() -> Iterator[Callable[[Answers], Stack]]:
    """Starts a server that knows one medicine, which is due."""
    started: list[ThreadingHTTPServer] = []

    def serve(answers: Answers) -> Stack:
        http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answers))
        Thread(target=http.serve_forever, daemon=True).start()
        started.append(http)
        return Stack(f"http://127.0.0.1:{http.server_port}", "token")

    yield serve
    for http in started:
        http.shutdown()
        http.server_close()


def _handler(answers: Answers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            told = answers(self.path)
            status, takes_s = told if isinstance(told, tuple) else (told, 0.0)
            time.sleep(takes_s)
            if self.headers["If-None-Match"] and status == 200:
                status = 304
            body = b"" if status == 304 else json.dumps(ITEMS).encode()
            self.send_response(status)
            self.send_header("ETag", '"one"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    return Handler


ITEMS = {
    "items": [{"id": "one", "name": "Ibuprofen", "medicine": {"id": "one"}}],
    "next_cursor": None,
    "version": "9.9",
}
