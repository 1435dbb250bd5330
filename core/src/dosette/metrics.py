"""Prometheus metrics of every process: how they are made and how they are served.

Names are `dosette_<noun>_<unit>[_total]`; labels come from closed sets; no person, medicine or id is ever a label.
"""

import json
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dosette.clock import moved_s
from dosette.memory import ROLLUP, proportional_bytes

disable_created_metrics()  # type: ignore[no-untyped-call]  # a third of the bytes of a scrape, and nobody asks when a counter was born

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""With 0.2 among them, so that whether 95 of 100 were answered within it is a count and no guess."""


def counter(name: str, what: str, labels: Iterable[str] = ()) -> Counter:
    """A count that only grows; the library appends `_total`."""
    return Counter(name, what, tuple(labels))


def gauge(name: str, what: str, labels: Iterable[str] = ()) -> Gauge:
    """A value that goes up and down."""
    return Gauge(name, what, tuple(labels))


def histogram(
    name: str, what: str, labels: Iterable[str] = (), buckets: tuple[float, ...] = LATENCY_BUCKETS_S
) -> Histogram:
    """A distribution in nine buckets, in seconds unless `buckets` says otherwise."""
    return Histogram(name, what, tuple(labels), buckets=buckets)


class ProportionalMemory(Collector):
    """What is missing beside the library's `process_resident_memory_bytes`: there, pages that processes share count for each of them."""

    def __init__(self, told_by: Path = ROLLUP) -> None:
        self._told_by = told_by

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Nothing where the kernel does not tell."""
        if (share := proportional_bytes(self._told_by)) is not None:
            yield GaugeMetricFamily(
                "process_proportional_memory_bytes",
                "Resident memory, with pages that several processes use shared out among them (PSS)",
                value=share,
            )


REGISTRY.register(ProportionalMemory())
gauge(
    "dosette_clock_offset_seconds", "How far DOSETTE_CLOCK_FILE moves this process's clock; 0 in real life"
).set_function(moved_s)


def exposition() -> tuple[bytes, str]:
    """All metrics of this process in Prometheus's text format, and its content type."""
    return generate_latest(), CONTENT_TYPE_LATEST


def serve_metrics(bind: str | None, healthy: Callable[[], bool] = lambda: True) -> ThreadingHTTPServer | None:
    """Serves `/metrics` and `/health` (503 when `healthy` says no) on `host:port` from a daemon thread; None: nowhere."""
    if not bind:
        return None
    host, _, port = bind.rpartition(":")
    server = _Server((host, int(port)), _handler(healthy))
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    """Sleeps until somebody asks; the library's own loop wakes twice a second."""

    daemon_threads = True
    stopped = False

    def serve_forever(self, poll_interval: float = 0.0) -> None:
        while not self.stopped:
            self.handle_request()

    def shutdown(self) -> None:
        self.stopped = True
        with suppress(OSError), socket.create_connection(self.server_address[:2], 1):  # type: ignore[arg-type]
            return


def _handler(healthy: Callable[[], bool]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(HTTPStatus.OK, *exposition())
            elif self.path == "/health":
                alive = healthy()
                status = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, json.dumps({"status": "ok" if alive else "stuck"}).encode(), "application/json")
            else:
                self._answer(HTTPStatus.NOT_FOUND, b"only /metrics and /health are here\n", "text/plain")

        def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape every 15 seconds is no event."""

    return Handler
