"""The household and its members over HTTP."""

from typing import Any

import pytest

from conftest import found_home


def test_a_new_member_is_listed(api: Any):
    added = api.post("/members", {"name": "Clara", "role": "viewer"})

    assert added.status_code == 201
    assert [member["name"] for member in api.get("/members").get_json()["items"]] == ["Ana", "Bruno", "Clara"]


def test_two_members_can_not_have_one_name(api: Any):
    told = api.post("/members", {"name": "Ana"})

    assert (told.status_code, told.get_json()["field"]) == (409, "name")


def test_the_household_tells_its_zone(api: Any):
    assert api.get("/household").get_json()["zone"] == "UTC"


def test_a_member_says_who_is_told_next_and_when_nobody_wakes_them(api: Any):
    change = {"second_id": api.home.ana, "quiet_from": "22:00", "quiet_until": "06:30", "names_medicines": True}

    told = api.patch(f"/members/{api.home.bruno}", change)

    assert told.status_code == 200, told.text
    assert told.get_json().items() >= (change | {"third_id": None}).items()
    assert api.get(f"/members/{api.home.bruno}").get_json() == told.get_json()
    assert api.get("/members").get_json()["items"][1] == told.get_json()


def test_null_clears_and_what_is_left_out_stays(api: Any):
    path = f"/members/{api.home.bruno}"
    api.patch(path, {"second_id": api.home.ana, "quiet_from": "22:00", "quiet_until": "06:30"})

    told = api.patch(path, {"quiet_from": None, "quiet_until": None}).get_json()

    assert (told["second_id"], told["quiet_from"], told["quiet_until"]) == (api.home.ana, None, None)
    assert api.patch(path, {}).get_json() == told


def test_a_new_member_may_bring_it_all(api: Any):
    clara = {"name": "Clara", "second_id": api.home.ana, "third_id": api.home.bruno, "quiet_from": "19:00"}

    told = api.post("/members", clara | {"quiet_until": "07:00", "names_medicines": True})

    assert (told.status_code, told.get_json()["third_id"]) == (201, api.home.bruno)
    assert api.post("/members", clara | {"name": "Dora"}).get_json()["field"] == "quiet_until"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"second_id": "{bruno}"}, "second_id"),
        ({"third_id": "{bruno}"}, "third_id"),
        ({"second_id": "{ana}", "third_id": "{ana}"}, "third_id"),
        ({"second_id": "{stranger}"}, "second_id"),
        ({"third_id": "{stranger}"}, "third_id"),
        ({"quiet_from": "22:00"}, "quiet_until"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "quiet_until"),
        ({"quiet_from": "24:00", "quiet_until": "06:00"}, "quiet_from"),
        ({"names_medicines": None}, "names_medicines"),
    ],
)
def test_what_can_not_be_is_refused_by_name(api: Any, change: dict[str, Any], field: str):
    stranger = found_home(api.home.server, api.home.database, "Next door").ana
    ids = {"{ana}": api.home.ana, "{bruno}": api.home.bruno, "{stranger}": stranger}
    before = api.get("/members").get_json()

    told = api.patch(f"/members/{api.home.bruno}", {name: ids.get(str(value), value) for name, value in change.items()})

    assert (told.status_code, told.get_json()["field"]) == (422, field)
    assert api.get("/members").get_json() == before


def test_a_member_next_door_is_not_there(api: Any):
    stranger = found_home(api.home.server, api.home.database, "Next door").ana

    answers = [api.get(f"/members/{stranger}"), api.patch(f"/members/{stranger}", {"names_medicines": True})]

    assert [(told.status_code, "lists them" in told.get_json()["detail"]) for told in answers] == [(404, True)] * 2
