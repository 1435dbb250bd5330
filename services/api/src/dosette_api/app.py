"""The app factory."""

import time

from flask import Flask, Response, g, request

from dosette.metrics import counter, histogram
from dosette_api import (
    contacts,
    devices,
    doses,
    errors,
    exports,
    history,
    household,
    links,
    medicines,
    members,
    operations,
    pairing,
    panels,
    reminders,
    schedules,
    stock,
    transfer,
)
from dosette_api.describe import publish
from dosette_api.household import Household

MOST_BODY_BYTES = 64 * 1024

_requests = counter("dosette_http_requests", "Requests answered", ("endpoint", "method", "status"))
_seconds = histogram("dosette_http_request_seconds", "Time to answer a request", ("endpoint",))


def create_app(outside: Household) -> Flask:
    """The API over `outside`; nothing is connected before the first request needs it."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY_BYTES
    app.extensions[household.NAME] = outside
    app.before_request(_start_watch)
    app.after_request(_stop_watch)
    transfer.register(app)
    errors.register(app)
    for noun in (medicines, schedules, stock, doses, history, members, contacts, reminders, devices, exports):
        app.register_blueprint(noun.views, url_prefix="/api/v1")
    for noun in (links, pairing, panels):
        app.register_blueprint(noun.views)
    app.register_blueprint(operations.views)
    publish(app)
    return app


def _start_watch() -> None:
    g.started = time.perf_counter()


def _stop_watch(response: Response) -> Response:
    endpoint = request.endpoint or "none"
    _requests.labels(endpoint, request.method if request.method in _METHODS else "other", response.status_code).inc()
    _seconds.labels(endpoint).observe(time.perf_counter() - g.started)
    return response


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
