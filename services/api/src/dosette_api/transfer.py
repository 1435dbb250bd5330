"""What goes over the wire: an ETag and 304 where nothing changed, gzip where it pays.

The ETag is a hash of the body: many bodies change with the time of day alone (due, late, days left), which no row's version tells.
It is Python's own of 64 bits, keyed anew at each start: six times cheaper than one of hashlib's, and asked of this process only.
"""

import gzip
import sys

from flask import Flask, Response, request

SMALLEST_BYTES = 1024
"""Below, gzip costs more than it saves."""
_LEVEL = 1
_UNSIGNED = 2 * sys.maxsize + 1


def register(app: Flask) -> None:
    app.after_request(_lean)


def _lean(response: Response) -> Response:
    if response.is_streamed or response.mimetype not in ("application/json", "application/problem+json"):
        return response
    response.headers["Vary"] = ", ".join(filter(None, (response.headers.get("Vary"), "Authorization, Accept-Encoding")))
    if request.method in ("GET", "HEAD") and response.status_code == 200 and "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "private, no-cache"
        response.headers["ETag"] = f'W/"{hash(response.get_data()) & _UNSIGNED:x}"'
        if "If-None-Match" in request.headers:
            response.make_conditional(request)
    if response.status_code != 304 and _wants_gzip() and (response.content_length or 0) > SMALLEST_BYTES:
        response.set_data(gzip.compress(response.get_data(), _LEVEL, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response


def _wants_gzip() -> bool:
    said = request.headers.get("Accept-Encoding", "")
    return "gzip" in said and request.accept_encodings["gzip"] > 0
