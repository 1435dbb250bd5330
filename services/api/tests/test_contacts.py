"""Whom to tell, and how: contacts over HTTP."""

import re
from base64 import b64decode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from conftest import found_home
from dosette.actions import households, reminders
from dosette.actions.reminders import Sent
from dosette.domain.members import DOSES, READ
from dosette.storage.connection import Database
from dosette.testing import NOON

HOOK = "https://home.example:8443/hooks/a1b2c3d4e5f6g7"


def _add(api: Any, channel: str, address: str, **fields: Any) -> Any:
    return api.post("/contacts", {"member_id": api.home.bruno, "channel": channel, "address": address} | fields)


def test_a_new_contact_is_listed_by_member(api: Any):
    told = _add(api, "file", "bruno.jsonl")

    assert told.status_code == 201
    (listed,) = api.get("/contacts", member=api.home.bruno).get_json()["items"]
    assert listed == {name: value for name, value in told.get_json().items() if name != "secret"}
    assert (listed["member"]["name"], listed["address"], listed["latest"]) == ("Bruno", "bruno.jsonl", None)
    assert api.get("/contacts", member=api.home.ana).get_json()["items"] == []


def test_a_webhook_s_secret_is_shown_once(api: Any):
    told = _add(api, "webhook", HOOK).get_json()

    kind, _, secret = told["secret"].partition("_")
    assert (kind, len(b64decode(secret, validate=True))) == ("whsec", 24)
    seen = api.get("/contacts").text + api.get(f"/contacts/{told['id']}").text
    assert "secret" not in seen
    assert _add(api, "file", "bruno.jsonl").get_json()["secret"] is None


def test_the_same_key_shows_the_same_secret_to_who_did_not_hear_it(api: Any):
    body = {"member_id": api.home.bruno, "channel": "webhook", "address": HOOK}

    first, again = api.post("/contacts", body, key="k"), api.post("/contacts", body, key="k")

    assert (again.get_json(), again.headers["Idempotency-Replayed"]) == (first.get_json(), "true")
    assert len(api.get("/contacts").get_json()["items"]) == 1


@pytest.mark.parametrize(
    ("channel", "address", "shown"),
    [
        ("apprise", "tgram://123456789:AAHdqTcvCH1vGWJxfSeo/987654", "tgram://…7654"),
        ("apprise", "ntfys://topic", "ntfys://…"),
        ("webhook", HOOK, "https://home.example:8443…f6g7"),
        ("webhook", "http://ha.local/hook", "http://ha.local…"),
        ("webhook", "http://ha.local", "http://ha.local"),
        ("mqtt", "dosette/bruno", "dosette/bruno"),
    ],
)
def test_of_an_address_that_lets_others_in_only_its_ends_are_shown(api: Any, channel: str, address: str, shown: str):
    told = _add(api, channel, address)

    assert (told.status_code, told.get_json()["address"]) == (201, shown)
    assert api.get(f"/contacts/{told.get_json()['id']}").get_json()["address"] == shown


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("file", "../secrets"),
        ("file", "/etc/passwd"),
        ("file", ".hidden"),
        ("file", "a b"),
        ("apprise", "ntfy"),
        ("apprise", "ntfy://"),
        ("apprise", "ntfy:///topic"),
        ("apprise", "ntfy://a topic"),
        ("apprise", "javascript:alert(1)"),
        ("webhook", "ftp://example.org/"),
        ("webhook", "https://"),
        ("webhook", "https:///path"),
        ("webhook", "https://ana:pass@example.org/"),
        ("webhook", "https://example.org:port/"),
        ("webhook", "https://[::1/"),
        ("webhook", "https://example.org/#part"),
        ("webhook", "https://exämple.org/"),
        ("mqtt", "dosette/#"),
        ("mqtt", "dosette/+/bruno"),
        ("mqtt", "$SYS/broker"),
        ("mqtt", "dosette/"),
        ("mqtt", "/dosette"),
    ],
)
def test_an_address_that_its_channel_can_not_reach_is_refused(api: Any, channel: str, address: str):
    told = _add(api, channel, address)

    assert (told.status_code, told.get_json()["field"]) == (422, "address"), told.text


@pytest.mark.parametrize("channel", ["panel", "pigeon", ""])
def test_channels_are_a_closed_list(api: Any, channel: str):
    told = _add(api, channel, "x")

    assert (told.status_code, told.get_json()["field"]) == (422, "channel")


def test_nobody_is_told_twice_by_one_contact_added_twice(api: Any):
    first = _add(api, "file", "bruno.jsonl").get_json()

    again = _add(api, "file", "bruno.jsonl")

    assert (again.status_code, again.get_json()["field"]) == (409, "address")
    assert api.send("DELETE", f"/contacts/{first['id']}").status_code == 204
    assert _add(api, "file", "bruno.jsonl").status_code == 201


def test_a_contact_of_nobody_here_is_refused(api: Any):
    stranger = found_home(api.home.server, api.home.database, "Next door").ana

    told = _add(api, "file", "a.jsonl", member_id=stranger)

    assert (told.status_code, told.get_json()["field"]) == (422, "member_id")


def test_a_removed_contact_is_gone_and_gets_nothing(api: Any, database_of: Callable[[str], Database]):
    contact_id = _add(api, "file", "bruno.jsonl").get_json()["id"]
    api.post(f"/contacts/{contact_id}/test")

    removed, again = (api.send("DELETE", f"/contacts/{contact_id}") for _ in range(2))

    assert (removed.status_code, removed.data, again.status_code) == (204, b"", 204)
    assert api.get("/contacts").get_json()["items"] == []
    assert api.get(f"/contacts/{contact_id}").status_code == 404
    assert api.post(f"/contacts/{contact_id}/test").status_code == 404
    assert reminders.sweep(database_of("worker"), {"file": 9}, NOON) == []


def test_a_test_is_rung_and_a_person_sees_whether_it_arrived(api: Any, database_of: Callable[[str], Database]):
    contact_id = _add(api, "file", "bruno.jsonl").get_json()["id"]

    told = api.post(f"/contacts/{contact_id}/test")

    assert (told.status_code, told.get_json()["status"]) == (202, "waiting")
    (rung,) = reminders.ring_again(database_of("scheduler"), NOON)
    (claimed,) = reminders.claim(database_of("worker"), [rung.id], {"file": 9}, NOON)
    assert (rung.id, claimed.address, claimed.items) == (told.get_json()["id"], "bruno.jsonl", ())
    reminders.record(database_of("worker"), [Sent(claimed.id, claimed.lease, claimed.attempts, NOON)], NOON)
    latest = api.get(f"/contacts/{contact_id}").get_json()["latest"]
    assert (latest["id"], latest["status"], latest["error"]) == (rung.id, "delivered", None)


def test_a_test_that_fails_says_why(api: Any, database_of: Callable[[str], Database]):
    contact_id = _add(api, "file", "bruno.jsonl").get_json()["id"]
    api.post(f"/contacts/{contact_id}/test")

    (claimed,) = reminders.sweep(database_of("worker"), {"file": 9}, NOON)
    sent = Sent(
        claimed.id, claimed.lease, claimed.attempts, NOON, "bruno.jsonl can't be written: No space left on device"
    )
    reminders.record(database_of("worker"), [sent], NOON)

    latest = api.get(f"/contacts/{contact_id}").get_json()["latest"]
    assert (latest["status"], latest["attempts"]) == ("waiting", 1)
    assert "No space left" in latest["error"]


@pytest.mark.parametrize("then", ["test again", "remove"])
def test_a_test_that_was_given_up_is_seen_to_by_another_test_or_without_the_contact(
    api: Any, database_of: Callable[[str], Database], then: str
):
    contact_id = _add(api, "file", "bruno.jsonl").get_json()["id"]
    api.post(f"/contacts/{contact_id}/test")
    for hour in range(5):
        at = NOON + timedelta(hours=hour)
        (claimed,) = reminders.sweep(database_of("worker"), {"file": 9}, at)
        reminders.record(
            database_of("worker"), [Sent(claimed.id, claimed.lease, claimed.attempts, at, "the disk is full")], at
        )
    before = reminders.backlog(database_of("scheduler"), NOON).parked

    if then == "remove":
        api.send("DELETE", f"/contacts/{contact_id}")
    else:
        assert api.post(f"/contacts/{contact_id}/test").get_json()["status"] == "waiting"

    assert (before, reminders.backlog(database_of("scheduler"), NOON).parked) == (1, 0)


def test_one_test_at_a_time_is_enough(api: Any):
    contact_id = _add(api, "file", "bruno.jsonl").get_json()["id"]

    first, second = (api.post(f"/contacts/{contact_id}/test").get_json() for _ in range(2))

    assert first == second


def test_contacts_are_changed_by_who_may_change_members_and_read_by_all(api: Any):
    contact_id = _add(api, "file", "bruno.jsonl").get_json()["id"]
    token = households.add_token(api.home.database, api.home.console, "phone", "Bruno", [READ, DOSES], NOON)
    bearer = {"Authorization": f"Bearer {token}"}
    body = {"member_id": api.home.bruno, "channel": "file", "address": "other.jsonl"}

    changes = [
        api.send("POST", "/contacts", headers=bearer, json=body),
        api.send("DELETE", f"/contacts/{contact_id}", headers=bearer),
        api.send("POST", f"/contacts/{contact_id}/test", headers=bearer),
    ]

    assert [told.status_code for told in changes] == [403] * 3
    assert api.send("GET", "/contacts", headers=bearer).status_code == 200
    assert re.search("members:write", changes[0].text)
