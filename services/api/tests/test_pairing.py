"""A panel is paired by a code, once, within minutes, and nobody guesses one."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from conftest import Home, found_home
from dosette.actions import devices, households
from dosette.actions.devices import CODE_LIVES, MOST_GUESSES, ServerKeys
from dosette.contracts.device_file import DeviceFile
from dosette.contracts.pairing import code_of
from dosette.contracts.signing import signing_key
from dosette.testing import NOON
from dosette_api import pairing
from dosette_api.app import create_app
from dosette_api.household import Household

SECRET = "5" * 64
OTHER = "6" * 64


@pytest.fixture(autouse=True)
def _nobody_has_guessed_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "_wrong", pairing.WrongCodes())


def _claim(api: Any, code: str | None = None, secret: str = SECRET, address: str = "10.0.0.1") -> TestResponse:
    said = {"v": 1, "secret": secret} | ({"code": code} if code else {})
    return api.client.post("/pair", json=said, environ_base={"REMOTE_ADDR": address})


def _code(api: Any, name: str = "Kitchen") -> str:
    told = api.post("/devices", {"name": name})
    assert told.status_code == 201, told.text
    return told.get_json()["code"]


def _names(api: Any) -> list[tuple[str, str]]:
    return [(each["name"], each["state"]) for each in api.get("/devices").get_json()["items"]]


def test_a_typed_code_gives_the_panel_its_keys(api: Any):
    code = _code(api)
    assert _names(api) == []

    told = _claim(api, code)

    file = DeviceFile.from_json(told.data)
    assert file.signing_key == signing_key("secret", file.device_id, 1)
    assert _names(api) == [("Kitchen", "paired")]


@pytest.mark.parametrize("typed", [str.lower, lambda code: code.replace("-", " "), lambda code: code.replace("-", "")])
def test_a_code_may_be_typed_as_people_type(api: Any, typed: Any):
    assert _claim(api, typed(_code(api))).status_code == 200


def test_a_lost_answer_is_told_again_to_the_same_panel_and_to_no_other(api: Any):
    code = _code(api)
    first = _claim(api, code)

    again, other = _claim(api, code), _claim(api, code, OTHER)

    assert again.data == first.data
    assert (other.status_code, other.get_json()["why"]) == (409, "used")
    assert "was used at 12:00 UTC" in other.get_json()["detail"]


def test_a_code_is_over_after_ten_minutes(api: Any):
    code = _code(api)
    api.clock.now += CODE_LIVES + timedelta(seconds=1)

    told = _claim(api, code)

    assert (told.status_code, told.get_json()["why"]) == (409, "expired")
    assert _names(api) == []


def test_a_wrong_code_is_one_sentence(api: Any):
    told = _claim(api, "0000-0000")

    assert told.status_code == 404
    assert told.get_json()["detail"].startswith("there is no such code")


def test_guesses_at_a_code_make_it_void(api: Any):
    code = _code(api)
    guesses = [f"{code[:3]}{digit}-{digit * 4}" for digit in "ZYXWV"]
    assert len(guesses) == MOST_GUESSES

    for number, guess in enumerate(guesses):
        assert _claim(api, guess, OTHER, f"10.0.1.{number}").status_code == 404

    told = _claim(api, code)
    assert (told.status_code, told.get_json()["why"]) == (409, "guessed")


def test_who_tries_one_code_after_another_must_wait_and_others_need_not(api: Any):
    code = _code(api)
    for _ in range(pairing.MOST_WRONG):
        assert _claim(api, "0000-0000").status_code == 404

    assert _claim(api, code).status_code == 429
    assert _claim(api, code, address="10.0.0.2").status_code == 200


def test_a_panel_that_shows_its_code_waits_until_somebody_enters_it(api: Any):
    before = _claim(api)
    told = api.post("/devices", {"name": "Kitchen", "code": code_of(SECRET)})

    after = _claim(api)

    assert (before.status_code, told.status_code, after.status_code) == (202, 201, 200)
    assert DeviceFile.from_json(after.data).generation == 1
    assert _claim(api).data == after.data


def test_who_only_sees_a_panels_code_gets_nothing(api: Any):
    api.post("/devices", {"name": "Kitchen", "code": code_of(SECRET)})

    assert _claim(api, code_of(SECRET), OTHER).status_code == 404
    assert _claim(api, secret=OTHER).status_code == 202
    assert _claim(api).status_code == 200


def test_pairing_under_a_name_that_is_there_replaces_that_panel_only_when_the_code_is_used(api: Any):
    old = DeviceFile.from_json(_claim(api, _code(api)).data)
    code = _code(api)
    api.clock.now += timedelta(minutes=1)

    new = DeviceFile.from_json(_claim(api, code, OTHER).data)

    assert (new.device_id, new.generation) == (old.device_id, 2)
    assert new.signing_key != old.signing_key


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "Kitchen", "code": "K7QM-9XD4"}, "a panel shows one of 12"),
        ({"name": "Kitchen", "code": "hello"}, "8 or 12 letters"),
        ({"name": ""}, "name"),
        ({}, "name"),
    ],
)
def test_an_offer_that_is_none_is_one_sentence(api: Any, body: dict[str, str], said: str):
    told = api.post("/devices", body)

    assert told.status_code == 422
    assert said in told.get_json()["detail"]


@pytest.mark.parametrize(
    "body",
    [{}, {"v": 2, "secret": SECRET}, {"v": 1, "secret": "short"}, {"v": 1, "secret": SECRET, "code": "?"}, [], None],
)
def test_nonsense_claims_are_refused(api: Any, body: object):
    told = api.client.post("/pair", json=body)

    assert told.status_code in (400, 422)
    assert told.mimetype == "application/problem+json"


def test_a_server_without_keys_says_which_settings_it_lacks(api: Any):
    bare = create_app(Household(api.home.database, api.clock, None)).test_client()

    told = bare.post("/pair", json={"v": 1, "secret": SECRET, "code": "K7QM-9XD4"})

    assert told.status_code == 503
    assert "DOSETTE_SECRET and DOSETTE_REDIS_FOR_DEVICES" in told.get_json()["detail"]


def test_a_token_without_the_scope_pairs_rotates_and_revokes_nothing(api: Any):
    file = DeviceFile.from_json(_claim(api, _code(api)).data)
    api.token = _token(api.home, "read")

    calls = [
        ("POST", "/devices"),
        ("POST", f"/devices/{file.device_id}/rotate"),
        ("DELETE", f"/devices/{file.device_id}"),
    ]

    assert {api.send(method, path, json={"name": "X"}).status_code for method, path in calls} == {403}


def test_a_revoked_device_is_told_so_and_stays_revoked(api: Any):
    file = DeviceFile.from_json(_claim(api, _code(api)).data)

    first = api.send("DELETE", f"/devices/{file.device_id}")
    again = api.send("DELETE", f"/devices/{file.device_id}")

    assert (first.status_code, again.status_code, _names(api)) == (204, 204, [("Kitchen", "revoked")])
    assert api.send("DELETE", f"/devices/{uuid4()}").status_code == 404


def test_a_device_gets_new_keys_and_not_again_while_the_old_ones_are_believed(api: Any):
    file = DeviceFile.from_json(_claim(api, _code(api)).data)
    path = f"/devices/{file.device_id}/rotate"

    told, again = api.post(path), api.post(path)
    api.clock.now += timedelta(days=7)
    later = api.post(path)

    assert (told.status_code, again.status_code, later.status_code) == (200, 409, 200)
    assert told.get_json() == {"old_keys_until": "2026-03-11T12:00:00Z"}
    assert api.post(f"/devices/{uuid4()}/rotate").status_code == 404


def test_another_households_device_is_not_there(api: Any, database_of: Any):
    other = found_home(api.home.server, database_of("api"), "Next door")
    theirs = devices.pair(other.database, other.console, "Hall", ServerKeys("secret"), "r:1", "", api.clock.now)

    assert api.send("DELETE", f"/devices/{theirs.device_id}").status_code == 404
    assert api.post(f"/devices/{theirs.device_id}/rotate").status_code == 404


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("K7QM-9XD4", "dosette-display pair http://localhost K7QM-9XD4"),
        (code_of(SECRET), "dosette device pair Kitchen --code"),
    ],
)
def test_the_address_in_a_qr_says_what_to_type(api: Any, code: str, said: str):
    told = api.client.get(f"/pair/{code}")

    assert told.status_code == 200
    assert said in told.text
    assert "default-src 'none'" in told.headers["Content-Security-Policy"]


def test_an_address_without_a_code_is_not_there(api: Any):
    assert api.client.get("/pair/%3Cscript%3E").status_code == 404


def _token(home: Home, *scopes: str) -> str:
    return households.add_token(home.database, home.console, "less", "Ana", scopes, NOON)
