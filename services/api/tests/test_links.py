"""Links in messages: whoever has one may answer, once, and a look changes nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from dosette.actions import history, households, reminders
from dosette.contracts.link import Link, link_token
from dosette.storage.connection import Database
from dosette.testing import NOON
from dosette_api.app import create_app
from dosette_api.household import Household

KEY = "a key of the links in messages"
HALF_PAST = NOON + timedelta(minutes=30)
ENDS = NOON + timedelta(hours=6)
JSON = {"Accept": "application/json"}


class Phone:
    """Whoever holds it needs no token."""

    def __init__(self, api: Any, delivery_id: str) -> None:
        self.api = api
        self.client = create_app(Household(api.home.database, api.clock, None, KEY)).test_client()
        self.delivery_id = delivery_id

    def path(self, action: str, key: str = KEY) -> str:
        return "/link/" + link_token(Link(self.delivery_id, action, ENDS), key)

    def look(self, action: str, **headers: str) -> TestResponse:
        return self.client.get(self.path(action), headers=headers or JSON)

    def press(self, action: str, **headers: str) -> TestResponse:
        return self.client.post(self.path(action), headers=headers or JSON)


@pytest.fixture
def phone(api: Any, database_of: Callable[[str], Database]) -> Phone:
    """Bruno's, with a message about two doses of 12:30."""
    contact = {"member_id": api.home.bruno, "channel": "file", "address": "bruno.jsonl"}
    assert api.post("/contacts", contact).status_code == 201
    for name in ("Metformin", "Ramipril"):
        api.dose_of(api.add_medicine(name=name)["id"])
    api.clock.now = HALF_PAST
    (rung,) = reminders.tell_due(database_of("scheduler"), HALF_PAST) or ()
    api.clock.now = HALF_PAST + timedelta(minutes=2)
    return Phone(api, rung.id)


def _statuses(api: Any) -> set[str]:
    return {dose["status"] for dose in api.get("/doses", until="2026-03-05T00:00:00Z").get_json()["items"]}


def _events(api: Any) -> list[Any]:
    items: list[Any] = api.get("/history").get_json()["items"]
    return items


def test_a_look_changes_nothing_and_shows_one_button(api: Any, phone: Phone):
    before = [_statuses(api), _events(api), api.get("/reminders").get_json()]

    pages = [phone.look("take", Accept="text/html") for _ in range(3)]

    assert [page.status_code for page in pages] == [200] * 3
    assert pages[0].text.count("<button") == 1
    assert "Bruno: medicine" in pages[0].text
    assert [_statuses(api), _events(api), api.get("/reminders").get_json()] == before


def test_the_page_needs_nothing_from_elsewhere_and_tells_nobody_its_address(phone: Phone):
    page = phone.look("take", Accept="text/html")

    assert not any(word in page.text for word in ("http:", "https:", "src=", "<script", "<link", "@import", "url("))
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert (page.headers["Referrer-Policy"], page.headers["Cache-Control"]) == ("no-referrer", "no-store")


@pytest.mark.parametrize(("names_them", "shown"), [(False, False), (True, True)])
def test_a_medicine_is_named_only_where_its_member_lets_messages_name_it(
    api: Any, phone: Phone, names_them: bool, shown: bool
):
    api.patch(f"/members/{api.home.bruno}", {"names_medicines": names_them})

    told = [phone.look("take", Accept="text/html"), phone.press("take"), phone.press("take", Accept="text/html")]

    assert ["Metformin 500 mg, 1 tablet" in told[0].text, "Metformin" in told[1].text, "Metformin" in told[2].text] == [
        shown
    ] * 3


def test_take_takes_all_that_the_message_told_of_as_who_was_told(api: Any, phone: Phone):
    told = phone.press("take")

    assert (told.status_code, told.get_json()["done_now"]) == (200, True)
    assert [item["status"] for item in told.get_json()["items"]] == ["taken", "taken"]
    assert [item["said"] for item in told.get_json()["items"]] == ["taken at 12:32 by Bruno"] * 2
    assert {(event["source"], event["by"]["name"]) for event in _events(api)} == {("link", "Bruno")}


def test_skip_skips_them(api: Any, phone: Phone):
    told = phone.press("skip")

    assert (told.status_code, _statuses(api)) == (200, {"skipped"})


def test_claim_silences_the_others(api: Any, phone: Phone):
    told = phone.press("claim")

    assert told.status_code == 200
    assert {item["claimed_by"]["name"] for item in api.get("/reminders").get_json()["items"]} == {"Bruno"}
    assert "Bruno takes care of it" in told.text


def test_a_second_press_says_when_it_was_done(api: Any, phone: Phone):
    phone.press("take")
    api.clock.now += timedelta(minutes=5)

    again, page, look = phone.press("take"), phone.press("take", Accept="text/html"), phone.look("take")

    assert (again.status_code, again.get_json()["done_now"]) == (200, False)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Done already at 12:32" in page.text
    assert "<button" not in page.text
    assert look.get_json()["done_at"] == "2026-03-04T12:32:00+00:00"
    assert len(_events(api)) == 2


def test_never_a_second_dose_even_after_an_undo(api: Any, phone: Phone):
    (first, _) = phone.press("take").get_json()["items"]
    api.post(f"/doses/{first['dose_id']}/undo")

    again = phone.press("take")

    assert (again.status_code, again.get_json()["done_now"]) == (200, False)
    assert {item["status"] for item in again.get_json()["items"]} == {"pending", "taken"}
    assert [event["kind"] for event in _events(api)] == ["undone", "taken", "taken"]


def test_ten_presses_at_once_take_each_dose_once(api: Any, phone: Phone):
    databases = [api.home.server.database("api") for _ in range(10)]
    # Made before the race: werkzeug compiles its routes by `ast`, which CPython 3.11 may fail at in several threads at once.
    clients = [create_app(Household(database, api.clock, None, KEY)).test_client() for database in databases]

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda client: client.post(phone.path("take"), headers=JSON), clients))
    for database in databases:
        database.close()

    assert [told.status_code for told in answers] == [200] * 10
    assert sum(told.get_json()["done_now"] for told in answers) == 1
    assert len(_events(api)) == 2
    assert history.verify(api.home.database, api.home.reader()).faults == ()


def test_what_somebody_else_did_is_told_and_left(api: Any, phone: Phone):
    for item in phone.look("take").get_json()["items"]:
        api.post(f"/doses/{item['dose_id']}/take")

    told, page = phone.press("skip"), phone.press("skip", Accept="text/html")

    assert (told.status_code, told.content_type) == (409, "application/problem+json")
    assert told.get_json()["items"][0]["said"] == "taken at 12:32 by Ana"
    assert (page.status_code, "Nothing was skipped" in page.text) == (409, True)
    assert _statuses(api) == {"taken"}


def test_a_safe_limit_holds_and_the_page_says_which_and_until_when(api: Any, phone: Phone):
    ramipril = [{"name": "ramipril", "amount": "5", "unit": "mg"}]
    medicines = {each["name"]: each["id"] for each in api.get("/medicines").get_json()["items"]}
    api.patch(f"/medicines/{medicines['Ramipril']}", {"ingredients": ramipril})
    drops = api.add_medicine(name="Ramipril drops", ingredients=ramipril)["id"]
    rule = {"kind": "as_needed", "steps": [{}], "min_gap_minutes": 60}
    assert api.put(f"/medicines/{drops}/schedule", rule).status_code == 200
    assert api.post(f"/medicines/{drops}/take").status_code == 200

    told = phone.press("take")
    page = phone.press("take", Accept="text/html")

    assert [item["status"] for item in told.get_json()["items"]] == ["taken", "pending"]
    assert "too soon after another one, may be taken from 13:32" in told.get_json()["items"][1]["said"]
    assert "Ramipril" not in told.text
    assert "Done already" in page.text


def test_a_link_that_could_do_nothing_for_a_limit_may_be_pressed_again(api: Any, phone: Phone):
    ingredient = [{"name": "x", "amount": "5", "unit": "mg"}]
    for each in api.get("/medicines").get_json()["items"]:
        api.patch(f"/medicines/{each['id']}", {"ingredients": ingredient})
    drops = api.add_medicine(name="Drops", ingredients=ingredient)["id"]
    api.put(f"/medicines/{drops}/schedule", {"kind": "as_needed", "steps": [{}], "most_per_24_h": "2"})
    taken = api.post(f"/medicines/{drops}/take", {"amount": "2"}).get_json()

    refused = phone.press("take")
    api.post(f"/doses/{taken['id']}/undo")
    again = phone.press("take")

    assert refused.status_code == 409
    assert "more than may be taken in 24 hours" in refused.get_json()["items"][0]["said"]
    assert (again.status_code, again.get_json()["done_now"]) == (200, True)


def test_after_the_window_nothing_is_taken(api: Any, phone: Phone):
    api.clock.now = HALF_PAST + timedelta(hours=2, seconds=1)

    told = phone.press("take")

    assert (told.status_code, _statuses(api)) == (409, {"pending"})
    assert told.get_json()["items"][0]["said"] == "its time ended at 14:30: it counts as missed"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_link_ends(api: Any, phone: Phone, method: str):
    api.clock.now = ENDS + timedelta(seconds=1)

    told = phone.client.open(phone.path("take"), method=method, headers=JSON)
    page = phone.client.open(phone.path("take"), method=method)

    assert (told.status_code, told.content_type) == (410, "application/problem+json")
    assert (page.status_code, page.mimetype, "<h1>Too late</h1>" in page.text) == (410, "text/html", True)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("token", ["x", "%00", "é", "a" * 5000, "....", "=", "AAAA", "-_-_"])
def test_nonsense_is_no_link(phone: Phone, method: str, token: str):
    told = phone.client.open(f"/link/{token}", method=method, headers=JSON)

    assert (told.status_code, told.content_type) == (404, "application/problem+json")


def test_a_link_that_was_changed_or_made_with_another_key_is_none(api: Any, phone: Phone):
    path = phone.path("take")
    changed = path[:20] + ("A" if path[20] != "A" else "B") + path[21:]

    answers = [phone.client.post(changed), phone.client.post(phone.path("take", "another key"))]

    assert [told.status_code for told in answers] == [404, 404]
    assert "is not whole" in answers[0].text
    assert _events(api) == []


def test_a_link_of_a_removed_contact_leads_nowhere(api: Any, phone: Phone):
    (contact,) = api.get("/contacts").get_json()["items"]
    api.send("DELETE", f"/contacts/{contact['id']}")

    told = phone.press("take")

    assert (told.status_code, _statuses(api)) == (404, {"pending"})
    assert "was removed" in told.get_json()["detail"]


def test_without_a_key_links_are_off(api: Any, phone: Phone):
    told = api.client.get(phone.path("take"), headers=JSON)

    assert (told.status_code, "links are off" in told.get_json()["detail"]) == (404, True)


def test_without_the_database_a_link_is_an_outage(api: Any, phone: Phone):
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none", "test")
    client = create_app(Household(nowhere, api.clock, None, KEY)).test_client()

    told = client.post(phone.path("take"))

    assert (told.status_code, told.headers["Retry-After"], told.mimetype) == (503, "2", "text/html")


def test_a_test_message_s_link_has_nothing_to_do(api: Any, phone: Phone):
    (contact,) = api.get("/contacts").get_json()["items"]
    phone.delivery_id = api.post(f"/contacts/{contact['id']}/test").get_json()["id"]

    look, press = phone.look("take", Accept="text/html"), phone.press("take")

    assert ("Nothing left to do" in look.text, "<button" in look.text, press.status_code) == (True, False, 409)


def test_a_link_is_one_message_and_its_address_is_in_no_metric(api: Any, phone: Phone, monkeypatch: pytest.MonkeyPatch):
    sent: list[object] = []
    run = Database._borrowed

    def counted(self: Database, use: Any, statement: str = "none") -> Any:
        sent.append(use)
        return run(self, use, statement)

    monkeypatch.setattr(Database, "_borrowed", counted)
    phone.look("take")
    phone.press("take")
    metrics = phone.client.get("/metrics").text

    assert len(sent) == 2
    assert phone.path("take").removeprefix("/link/") not in metrics
    assert 'endpoint="links.answer"' in metrics


def test_another_member_who_was_told_answers_in_their_name(api: Any, phone: Phone, database_of: Any):
    households.add_contact(api.home.database, api.home.console, api.home.ana, "file", "ana.jsonl", NOON)
    api.patch(f"/members/{api.home.bruno}", {"second_id": api.home.ana})
    api.clock.now = NOON + timedelta(minutes=91)
    late = reminders.tell_due(database_of("scheduler"), api.clock.now) or []
    mine = {
        each.id
        for each in reminders.sweep(database_of("worker"), {"file": 99}, api.clock.now)
        if each.address == "ana.jsonl"
    }

    phone.delivery_id = next(each.id for each in late if each.id in mine)
    told = phone.press("take")

    assert {item["resolved_by"] for item in told.get_json()["items"]} == {"Ana"}
