"""How a machine becomes a panel: over HTTP, from a server that is slow, wrong, or not one; and how its keys change."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dosette.contracts.device_file import DeviceFile, purpose
from dosette.contracts.pairing import code_of
from dosette.contracts.plan import NewKeys, Plan
from dosette.contracts.signing import hidden, signing_key
from dosette.settings import BadSetting, Environment
from dosette.testing import NOON, a_plan
from dosette_display.keyring import Keyring
from dosette_display.pairing import Applicant, NotPaired, Server
from dosette_display.plan_store import PlanStore
from dosette_display.unpaired import Unpaired

FILE = DeviceFile("device", "", ":6379", "user", "11" * 32, "22" * 32, 1)
CODE = "K7QM-9XD4"


@dataclass
class Standin:
    """Answers `POST /pair` with what it was given, and remembers what it was asked."""

    url: str = ""
    answers: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def standin() -> Iterator[Standin]:
    it = Standin()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            it.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = it.answers.pop(0)
            if status == 0:
                self.close_connection = True  # the answer is lost
                return
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    it.url = f"http://127.0.0.1:{server.server_port}"
    yield it
    server.shutdown()
    server.server_close()


def _told(file: DeviceFile) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(file.to_json())
    return told


def test_a_typed_code_brings_the_file_with_where_the_server_was_found(standin: Standin):
    standin.answers = [(200, _told(FILE))]

    file = Applicant(Server(standin.url)).with_code("k7qm 9xd4")

    assert file == replace(FILE, server=standin.url, redis="127.0.0.1:6379")
    assert standin.asked[0]["code"] == CODE


def test_an_answer_that_was_lost_is_asked_for_again_by_the_same_secret(standin: Standin):
    standin.answers = [(0, None), (200, _told(FILE))]

    Applicant(Server(standin.url)).with_code(CODE)

    first, again = standin.asked
    assert first == again


def test_a_shown_code_is_the_secrets_and_waits_until_it_is_entered(standin: Standin):
    standin.answers = [(202, {"waiting": True}), (200, _told(FILE))]
    applicant = Applicant(Server(standin.url))

    assert applicant.as_shown() is None
    assert applicant.as_shown() is not None
    assert code_of(standin.asked[0]["secret"]) == applicant.code
    assert "code" not in standin.asked[0]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, {"detail": "there is no such code; look at it again"}, "no such code"),
        (409, {"detail": "this code was used at 12:00 UTC"}, "was used at 12:00"),
        (409, {"detail": "this code's time is over"}, "time is over"),
        (429, {"detail": "too many wrong codes"}, "too many wrong codes"),
        (503, {"detail": "the database is out of reach"}, "out of reach"),
        (500, b"<html>", "answered 500: is it Dosette's address?"),
        (200, b"<html>It works!</html>", "is it Dosette's address?"),
        (200, {"v": 1, "device_id": "x"}, "not a whole device file"),
        (301, b"", "answered 301"),
    ],
)
def test_what_goes_wrong_is_one_sentence(standin: Standin, status: int, body: Any, said: str):
    standin.answers = [(status, body)] * 3

    with pytest.raises(NotPaired, match=said) as told:
        Applicant(Server(standin.url)).with_code(CODE)

    assert "\n" not in str(told.value)


def test_a_server_that_is_not_there_is_one_sentence():
    with pytest.raises(NotPaired, match="can't be reached"):
        Applicant(Server("http://127.0.0.1:1")).with_code(CODE)


ADDRESSES_OF_NONE = (
    "dosette.example",
    "ftp://dosette.example",
    "http://",
    "https://x/?y",
    "",
    "https://x:80800",
    "https://x:o",
    "https://[x",
)


@pytest.mark.parametrize("url", ADDRESSES_OF_NONE)
def test_an_address_that_is_none_is_one_sentence(url: str):
    with pytest.raises(NotPaired, match="no address of a server"):
        Server(url)


def test_an_address_that_is_none_stops_an_agent_with_the_setting_s_name():
    with pytest.raises(BadSetting, match=r"^DOSETTE_SERVER: .* is no address of a server"):
        Unpaired.of(Environment({"DOSETTE_SERVER": "https://dosette.example:80800"}))


@pytest.mark.parametrize("host", ["dosette.example", "192.168.1.5:8080", "10.0.0.1", "localhost.example"])
def test_keys_never_travel_over_plain_http_unless_somebody_said_so(host: str):
    with pytest.raises(NotPaired, match="is not https"):
        Server(f"http://{host}")
    assert Server(f"http://{host}", plain_http=True).url == f"http://{host}"


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080"])
def test_on_the_same_machine_plain_http_does(host: str):
    assert Server(f"http://{host}").url == f"http://{host}"


def test_a_code_that_was_mistyped_is_not_even_sent(standin: Standin):
    with pytest.raises(NotPaired, match="8 or 12 letters"):
        Applicant(Server(standin.url)).with_code("K7QM")
    assert standin.asked == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    FILE.write(tmp_path / "device.json")
    return tmp_path / "device.json"


def _with_new_keys(old: DeviceFile = FILE, generation: int = 2) -> Plan:
    key, word = signing_key("secret", "device", generation), "ab" * 32
    keys = NewKeys(
        generation,
        hidden(key, old.signing_key, purpose("sign", generation)),
        hidden(word, old.signing_key, purpose("redis", generation)),
    )
    return a_plan(keys=keys, old_keys_until=NOON)


def _keyring(path: Path, changed: Callable[[DeviceFile], None] = lambda file: None) -> Keyring:
    return Keyring(path, DeviceFile.read(path), changed)


def test_new_keys_are_on_the_card_before_they_are_used(path: Path):
    on_card: list[DeviceFile] = []
    keyring = _keyring(path, lambda file: on_card.append(DeviceFile.read(path)))

    keyring.adopt(_with_new_keys(), FILE.signing_key)

    assert on_card == [keyring.device]
    assert keyring.device.signing_key == signing_key("secret", "device", 2)
    assert (keyring.device.redis_password, keyring.device.old_key) == ("ab" * 32, FILE.signing_key)
    assert path.stat().st_mode & 0o777 == 0o600


def test_keys_that_are_about_to_be_used_are_nobody_else_s(path: Path, monkeypatch: pytest.MonkeyPatch):
    keyring, write, looks = _keyring(path), DeviceFile.write, []

    def looked_at(file: DeviceFile, to: Path) -> None:
        write(file, to)
        looks.append(keyring.was_replaced())

    monkeypatch.setattr(DeviceFile, "write", looked_at)
    keyring.adopt(_with_new_keys(), FILE.signing_key)
    monkeypatch.undo()
    replace(FILE, device_id="another").write(path)

    assert (looks, keyring.was_replaced()) == ([False], True)


def test_new_keys_can_be_read_from_the_plan_only_with_the_old_one():
    plan = _with_new_keys()

    assert plan.keys is not None
    assert signing_key("secret", "device", 2) not in (plan.keys.signing_key, plan.keys.redis_password)


def test_the_same_new_keys_again_change_nothing(path: Path):
    changes: list[DeviceFile] = []
    keyring = _keyring(path, changes.append)

    for _ in range(3):
        keyring.adopt(_with_new_keys(), FILE.signing_key)

    assert len(changes) == 1


def test_the_old_key_is_believed_until_the_server_says_that_its_time_is_over_in_a_plan_signed_with_the_new_one(
    path: Path,
):
    keyring = _keyring(path)
    keyring.adopt(_with_new_keys(), FILE.signing_key)
    new = keyring.device.signing_key

    keyring.adopt(a_plan(old_keys_until=NOON, issued_at=NOON), FILE.signing_key)
    assert keyring.device.old_key
    keyring.adopt(a_plan(old_keys_until=NOON.replace(hour=13), issued_at=NOON), new)
    assert keyring.device.old_key
    keyring.adopt(a_plan(old_keys_until=NOON, issued_at=NOON), new)

    assert keyring.device.keys == (new,)
    assert DeviceFile.read(path) == keyring.device


def test_a_card_that_cannot_be_written_keeps_the_old_keys_in_use_and_tries_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    keyring = _keyring(path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        keyring.adopt(_with_new_keys(), FILE.signing_key)
        keyring.adopt(_with_new_keys(), FILE.signing_key)
    assert keyring.device == DeviceFile.read(path) == FILE
    assert caplog.text.count("could not be stored") == 1
    keyring.adopt(_with_new_keys(), FILE.signing_key)

    assert keyring.device.generation == 2


def test_a_power_cut_at_any_byte_of_the_new_file_leaves_keys_that_open_the_stored_plan(path: Path, sealed: Any):
    """The server believes both: those before the cut and those after it."""
    plan = _with_new_keys()
    store = PlanStore(path.with_name("plan.json"), plan.device_id, *FILE.keys)
    store.accept(sealed(plan, FILE.signing_key))
    before = path.read_bytes()
    _keyring(path).adopt(plan, FILE.signing_key)
    after = path.read_bytes()

    for cut in range(len(after) + 1):
        path.write_bytes(before if cut < len(after) else after)
        path.with_suffix(".new").write_bytes(after[:cut])
        device = DeviceFile.read(path)
        assert device.keys in ((FILE.signing_key,), (signing_key("secret", "device", 2), FILE.signing_key))
        assert PlanStore(path.with_name("plan.json"), plan.device_id, *device.keys).plan == plan
        _keyring(path).adopt(plan, FILE.signing_key)
        assert DeviceFile.read(path).generation == 2


def test_a_file_that_somebody_else_wrote_is_noticed_and_our_own_is_not(path: Path):
    keyring = _keyring(path)
    keyring.adopt(_with_new_keys(), FILE.signing_key)
    assert not keyring.was_replaced()
    path.write_bytes(path.read_bytes()[:20])
    assert not keyring.was_replaced()

    replace(FILE, generation=7).write(path)

    assert keyring.was_replaced()


def test_a_file_that_an_older_program_wrote_is_read(path: Path):
    raw = json.loads(path.read_text())
    del raw["generation"], raw["old_key"]
    path.write_text(json.dumps(raw))

    assert DeviceFile.read(path).generation == 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"v": 2}', '{"v": 1}', '{"v": 1, "x": 1}', "null"])
def test_a_file_that_is_none_is_one_sentence(path: Path, content: str):
    path.write_text(content)

    with pytest.raises(ValueError, match="pair the device again"):
        DeviceFile.read(path)
