"""From when until when the certificate holds that phones see at DOSETTE_PUBLIC_URL; looked at once an hour, where that is https."""

import logging
import socket
import ssl
from datetime import timedelta
from threading import Event
from urllib.parse import urlsplit

from dosette.metrics import gauge

LOOK_EVERY = timedelta(hours=1)
TRY_AGAIN = timedelta(minutes=1)
ANSWERS_S = 5.0
_ANY_DATE = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME: one that ran out is to be read, too

log = logging.getLogger(__name__)
_from = gauge("dosette_certificate_start_timestamp_seconds", "From when the certificate of DOSETTE_PUBLIC_URL holds")
_until = gauge(
    "dosette_certificate_expiry_timestamp_seconds",
    "When the certificate of DOSETTE_PUBLIC_URL runs out; 0: it is not https, or nobody has seen it yet",
)


def validity(host: str, port: int) -> tuple[float, float]:
    """From when until when, in seconds since 1970. Whoever signed it is believed: here only its dates are asked for.

    Seen first, then trusted alone: so OpenSSL reads it, and no library has to be shipped for that. Raises OSError when nobody answers.
    """
    seen = ssl.get_server_certificate((host, port), timeout=ANSWERS_S)
    context = ssl.create_default_context(cadata=seen)
    context.check_hostname = False
    context.verify_flags = ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _ANY_DATE)
    with (
        socket.create_connection((host, port), ANSWERS_S) as link,
        context.wrap_socket(link, server_hostname=host) as told,
    ):
        known = told.getpeercert() or {}
    from_s, until_s = (ssl.cert_time_to_seconds(str(known[date])) for date in ("notBefore", "notAfter"))
    return from_s, until_s


def look(url: str, stopping: Event) -> None:
    """To be run on a thread of its own, with an https address."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    while not stopping.is_set():
        try:
            from_s, until_s = validity(host, port)
        except OSError as error:  # DNS, connection, handshake: what was seen last holds
            log.warning("the certificate could not be looked at", extra={"host": host, "error": str(error)})
            stopping.wait(TRY_AGAIN.total_seconds())
        else:
            _from.set(from_s)
            _until.set(until_s)
            stopping.wait(LOOK_EVERY.total_seconds())
