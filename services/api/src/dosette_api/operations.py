"""For the machines that watch: alive, ready, metrics."""

import socket
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify

from dosette import __version__
from dosette.metrics import exposition
from dosette_api.household import household

PROBE_S = 0.3

views = Blueprint("operations", __name__)


@views.get("/health")
def health() -> Response:
    """Alive: this process answers."""
    return jsonify(status="ok", version=__version__)


@views.get("/ready")
def ready() -> Response:
    """Ready: the database answers; 503 when it does not. Redis away is `degraded`: reminders come later, doses are safe."""
    household().database.ping()
    redis = _redis(household().redis_url)
    return jsonify(status="degraded" if redis == "away" else "ready", database="ok", redis=redis)


@views.get("/metrics")
def metrics() -> Response:
    """Prometheus's text format."""
    body, kind = exposition()
    return Response(body, content_type=kind)


def _redis(url: str | None) -> str:
    if url is None:
        return "none"
    return "ok" if _answers(url) else "away"


def _answers(url: str) -> bool:
    """Whether something speaks Redis there: a raw PING, for the client would cost 20 MB, and its retries seconds."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), PROBE_S) as link:
            link.settimeout(PROBE_S)
            link.sendall(b"PING\r\n")
            return link.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False
