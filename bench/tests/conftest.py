"""A tiny server that answers as a test wishes."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from dosette_bench.server import Server


@pytest.fixture
def serving() -> Iterator[Callable[[Callable[[str], int]], Server]]:
    """Starts a server whose statuses a function of the path decides; it knows one medicine."""
    started: list[ThreadingHTTPServer] = []

    def serve(status_of: Callable[[str], int]) -> Server:
        http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(status_of))
        Thread(target=http.serve_forever, daemon=True).start()
        started.append(http)
        return Server(f"http://127.0.0.1:{http.server_port}", "token")

    yield serve
    for http in started:
        http.shutdown()
        http.server_close()


def _handler(status_of: Callable[[str], int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.dumps({"items": [{"id": "one"}]}).encode()
            self.send_response(status_of(self.path))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    return Handler
