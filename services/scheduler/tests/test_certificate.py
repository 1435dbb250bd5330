"""The certificate that phones see is read whoever signed it, and also when it has run out."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import Event, Thread

import pytest
import trustme
from prometheus_client import REGISTRY

from dosette_local.ports import free_port
from dosette_scheduler import certificate

METRIC = "dosette_certificate_expiry_timestamp_seconds"
NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2027, 5, 1, 12, tzinfo=UTC)


@contextmanager
def _served(not_after: datetime) -> Iterator[int]:
    """The port of a server with a certificate of an authority that nobody knows."""
    issued = trustme.CA().issue_cert("localhost", not_before=NOT_BEFORE, not_after=not_after)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=_shake_hands, args=(listener, context), daemon=True).start()
        yield listener.getsockname()[1]


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            link, _ = listener.accept()
        except OSError:
            return
        with suppress(OSError), context.wrap_socket(link, server_side=True) as told:
            told.recv(1)


@pytest.mark.parametrize("not_after", [NOT_AFTER, datetime(2021, 1, 1, tzinfo=UTC)], ids=["valid", "run out"])
def test_the_date_is_read_whoever_signed_it(not_after: datetime):
    with _served(not_after) as port:
        assert certificate.validity("localhost", port) == (NOT_BEFORE.timestamp(), not_after.timestamp())


def test_it_is_told_to_prometheus():
    stopping, deadline = Event(), time.monotonic() + 20
    with _served(NOT_AFTER) as port:
        looking = Thread(target=certificate.look, args=(f"https://localhost:{port}/", stopping), daemon=True)
        looking.start()
        while REGISTRY.get_sample_value(METRIC) != NOT_AFTER.timestamp() and time.monotonic() < deadline:
            time.sleep(0.02)
        stopping.set()
        looking.join()

    assert REGISTRY.get_sample_value(METRIC) == NOT_AFTER.timestamp()


def test_a_server_that_does_not_answer_is_an_error_that_names_it():
    with pytest.raises(OSError, match="refused"):
        certificate.validity("127.0.0.1", free_port())
