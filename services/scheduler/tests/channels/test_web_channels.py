"""Webhook and Apprise against real peers: an HTTP server that behaves, and some that don't; a mail server."""

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from dosette.actions.reminders import LEASE
from dosette.domain.reminders import Item
from dosette.testing import NOON
from dosette_local.ports import free_port
from dosette_scheduler.channels import TIMEOUT_S, Action, ChannelFailed, Message
from dosette_scheduler.channels.apprise import AppriseChannel
from dosette_scheduler.channels.deadline import MOST_LEFT_BEHIND, Deadline
from dosette_scheduler.channels.webhook import WebhookChannel, signature

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # what Apprise imports

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ITEM = Item("r", dose_id="d", member="Bruno", due_at=NOON, closes_at=NOON + timedelta(hours=1), amount=Decimal("0.5"))
MESSAGE = Message(
    "key-1",
    "due",
    "Bruno: time for the medicine of 12:00",
    NOON,
    recipient="Ana",
    items=(ITEM,),
    actions=(Action("take", "Taken", "https://dosette.example/link/abc"),),
    secret=SECRET,
)


@dataclass
class Sink:
    """What an HTTP server was sent; it answers as the test says."""

    url: str = ""
    status: int = 200
    answer: Callable[[BaseHTTPRequestHandler], None] | None = None
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.requests.append((self.path, dict(self.headers), body))
            if found.answer:
                found.answer(self)
                return
            self.send_response(found.status)
            if found.status in (301, 302, 307):
                self.send_header("Location", f"{found.url}/elsewhere")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def test_a_webhook_carries_the_message_and_a_signature_that_holds(sink: Sink):
    WebhookChannel().send(f"{sink.url}/hook?a=1", MESSAGE)

    ((path, headers, body),) = sink.requests
    told = json.loads(body)
    assert path == "/hook?a=1"
    assert (told["key"], told["kind"], told["text"]) == ("key-1", "due", MESSAGE.text)
    assert (told["items"][0]["amount"], told["items"][0]["due_at"]) == ("0.5", NOON.isoformat())
    assert told["actions"] == {"take": "https://dosette.example/link/abc"}
    lower = {name.lower(): value for name, value in headers.items()}
    assert lower["webhook-id"] == "key-1"
    assert lower["webhook-signature"] == signature(SECRET, "key-1", lower["webhook-timestamp"], body)


def test_the_signature_is_that_of_the_standard():
    """The example of the specification (standard-webhooks, tests of its reference libraries)."""
    body = b'{"test": 2432232314}'

    assert signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize("status", [199 + 101, 301, 302, 307, 400, 401, 404, 410, 429, 500, 503])
def test_anything_but_success_is_a_failure_with_its_status_and_no_redirect_is_followed(sink: Sink, status: int):
    sink.status = status

    with pytest.raises(ChannelFailed, match=f"127.0.0.1 answered {status}"):
        WebhookChannel().send(sink.url, MESSAGE)
    assert len(sink.requests) == 1


@pytest.mark.parametrize("date", ["Tue, 24 Nov 2026 00:00:00 -0000", "Tue, 24 Nov 2026 00:00:00", "yesterday", ""])
def test_whatever_an_answer_says_of_its_date_the_message_has_arrived(sink: Sink, date: str):
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(f"HTTP/1.1 204 No Content\r\nDate: {date}\r\n\r\n".encode())

    sink.answer = answer

    WebhookChannel().send(sink.url, MESSAGE)

    assert len(sink.requests) == 1


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ftp://host/x",
        "http://",
        "no url",
        "file:///etc/passwd",
        "https://[::1/x",
        "http://host:abc/",
        "http://h:0",
        "http://host/a secret",
        "http://host/é",
    ],
)
def test_an_address_that_is_no_web_address_is_a_failure(address: str):
    with pytest.raises(ChannelFailed, match="no http or https URL"):
        WebhookChannel().send(address, MESSAGE)


def test_a_damaged_secret_says_what_to_do(sink: Sink):
    with pytest.raises(ChannelFailed, match="add it again"):
        WebhookChannel().send(sink.url, Message("k", "due", "t", NOON, secret="whsec_???"))


def test_nobody_there_is_a_failure():
    with pytest.raises(ChannelFailed, match=r"127\.0\.0\.1: .*refused"):
        WebhookChannel().send(f"http://127.0.0.1:{free_port()}", MESSAGE)


def _hang(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(TIMEOUT_S + 3)


def _drip(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(int(TIMEOUT_S + 3) * 5):
        try:
            handler.wfile.write(b"x")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.2)


@pytest.mark.parametrize("answer", [_hang, _drip])
def test_a_peer_that_hangs_or_drips_is_given_up_before_the_lease_ends(
    sink: Sink, answer: Callable[[BaseHTTPRequestHandler], None]
):
    sink.answer = answer
    began = time.monotonic()

    with pytest.raises(ChannelFailed):
        WebhookChannel().send(sink.url, MESSAGE)

    assert time.monotonic() - began < LEASE.total_seconds()


def test_ntfy_is_told_through_apprise_with_the_answers_as_links(sink: Sink):
    host = sink.url.removeprefix("http://")

    AppriseChannel().send(f"ntfy://{host}/pills", MESSAGE)

    ((_, _, body),) = sink.requests
    assert MESSAGE.text in body.decode()
    assert "Taken: https://dosette.example/link/abc" in body.decode().replace("\\n", "\n")


@pytest.mark.parametrize("answer", [_hang, _drip])
def test_a_service_that_hangs_or_drips_is_given_up_before_the_lease_ends(
    sink: Sink, answer: Callable[[BaseHTTPRequestHandler], None]
):
    sink.answer = answer
    began = time.monotonic()

    with pytest.raises(ChannelFailed, match="ntfy: "):
        AppriseChannel().send(f"ntfy://{sink.url.removeprefix('http://')}/pills", MESSAGE)

    assert time.monotonic() - began < LEASE.total_seconds()


def test_a_service_that_lets_everybody_wait_is_not_asked_by_ever_more_threads():
    deadline, let_go = Deadline(0.01), threading.Event()
    for _ in range(MOST_LEFT_BEHIND):
        with pytest.raises(ChannelFailed, match="no whole answer"):
            deadline.keep(let_go.wait)

    with pytest.raises(ChannelFailed, match="too many"):
        deadline.keep(let_go.wait)
    let_go.set()

    assert any(_kept(deadline) or time.sleep(0.05) for _ in range(200))


def _kept(deadline: Deadline) -> bool:
    """Whether there is room again, and time enough on this machine."""
    try:
        return deadline.keep(lambda: True)
    except ChannelFailed:
        return False


def test_nothing_of_an_address_is_logged_or_told(sink: Sink, log: io.StringIO):
    sink.status = 500
    host = sink.url.removeprefix("http://")

    with pytest.raises(ChannelFailed) as failed:
        AppriseChannel().send(f"ntfy://anna:ge%40heim@{host}/very-secret-topic", MESSAGE)

    said = log.getvalue() + str(failed.value)
    assert [word for word in ("ge@heim", "ge%40heim", "secret-topic", "Bruno") if word in said] == []


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a process would write that logs everything (pytest's own also hears loggers that tell nobody)."""
    written, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(written), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


def test_a_service_that_refuses_is_a_failure_that_says_why_and_no_secret(sink: Sink):
    sink.status = 401
    host = sink.url.removeprefix("http://")

    with pytest.raises(ChannelFailed) as failed:
        AppriseChannel().send(f"ntfy://anna:geheim-passwort@{host}/very-secret-topic", MESSAGE)

    assert str(failed.value).startswith("ntfy: ")
    assert "geheim-passwort" not in str(failed.value)


@pytest.mark.parametrize("address", ["", "nonsense", "nosuch://host/path", "mailto://"])
def test_an_address_that_apprise_does_not_know_is_a_failure(address: str):
    with pytest.raises(ChannelFailed, match="does not take this address"):
        AppriseChannel().send(address, MESSAGE)


@pytest.mark.parametrize("where", ["{file}", "file://{file}", "{url}/inside"])
def test_no_address_makes_the_worker_read_a_file_or_a_page_and_tell_it(
    sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
):
    """Some services fill a template that their address names."""
    monkeypatch.setattr("apprise.plugins.discord.NotifyDiscord.notify_url", sink.url)
    (tmp_path / "device.json").write_text('{"content": "the password"}')
    template = where.format(file=tmp_path / "device.json", url=sink.url)

    with pytest.raises(ChannelFailed, match="discord: Could not access"):
        AppriseChannel().send(f"discord://{'1' * 18}/{'a' * 64}?template={template}", MESSAGE)

    assert sink.requests == []


def test_a_service_that_breaks_is_a_failure_without_the_address(monkeypatch: pytest.MonkeyPatch):
    def break_down(service: Any, *_: object, **__: object) -> bool:
        raise RuntimeError(f"can't write to {service.url()}")

    monkeypatch.setattr("apprise.plugins.ntfy.NotifyNtfy.send", break_down)

    with pytest.raises(ChannelFailed, match="ntfy: RuntimeError: can't write to") as failed:
        AppriseChannel().send("ntfy://anna:geheim-passwort@127.0.0.1/very-secret-topic", MESSAGE)

    assert [word for word in ("geheim-passwort", "secret-topic") if word in str(failed.value)] == []


class _Mailbox:
    """What an SMTP server took."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        self.mails.append(envelope)
        return "250 OK"


def test_a_mail_arrives():
    mailbox, port = _Mailbox(), free_port()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        AppriseChannel().send(
            f"mailto://127.0.0.1:{port}?from=dosette@example.org&to=ana@example.org&mode=insecure", MESSAGE
        )
    finally:
        server.stop()

    (mail,) = mailbox.mails
    assert mail.rcpt_tos == ["ana@example.org"]
    assert b"Dosette" in mail.content
