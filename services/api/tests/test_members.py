"""The household and its members over HTTP."""

from typing import Any


def test_a_new_member_is_listed(api: Any):
    added = api.post("/members", {"name": "Clara", "role": "viewer"})

    assert added.status_code == 201
    assert [member["name"] for member in api.get("/members").get_json()["items"]] == ["Ana", "Bruno", "Clara"]


def test_two_members_can_not_have_one_name(api: Any):
    told = api.post("/members", {"name": "Ana"})

    assert (told.status_code, told.get_json()["field"]) == (409, "name")


def test_the_household_tells_its_zone(api: Any):
    assert api.get("/household").get_json()["zone"] == "UTC"
