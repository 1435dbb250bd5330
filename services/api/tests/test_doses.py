"""Doses over HTTP."""

from datetime import timedelta
from typing import Any

from dosette.testing import NOON


def test_a_due_dose_is_pending_can_be_taken_and_tells_history(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])
    api.clock.now = NOON + timedelta(minutes=31)
    assert [item["id"] for item in api.get("/medicines/pending").get_json()["items"]] == [dose["id"]]

    told = api.post(f"/doses/{dose['id']}/take")

    assert (told.status_code, told.get_json()["state"]) == (200, "taken")
    event = api.get("/history").get_json()["items"][0]
    assert (event["kind"], event["by"]["name"], event["source"], event["at"]) == (
        "taken",
        "Ana",
        "api",
        "2026-03-04T12:31:00+00:00",
    )


def test_the_second_taker_gets_409_with_who_and_when(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])
    api.post(f"/doses/{dose['id']}/take")

    told = api.post(f"/doses/{dose['id']}/take")

    assert (told.status_code, told.content_type) == (409, "application/problem+json")
    assert told.get_json()["detail"] == "the 12:30 dose of Metformin was taken at 12:00 by Ana; undo it first"
    assert told.get_json()["dose"]["resolved_by"]["name"] == "Ana"


def test_a_medicine_is_taken_by_its_open_dose_and_not_twice(api: Any):
    medicine_id = api.add_medicine()["id"]
    dose = api.dose_of(medicine_id)

    taken, again = api.post(f"/medicines/{medicine_id}/take"), api.post(f"/medicines/{medicine_id}/take")

    assert (taken.status_code, taken.get_json()["id"]) == (200, dose["id"])
    assert again.get_json()["detail"] == "the 12:30 dose of Metformin was taken at 12:00 by Ana; undo it first"


def test_a_medicine_that_is_not_open_yet_says_from_when(api: Any):
    medicine_id = api.add_medicine()["id"]
    api.dose_of(medicine_id, "18:00")

    assert "can't be taken before 16:00" in api.post(f"/medicines/{medicine_id}/take").get_json()["detail"]


def test_a_medicine_without_doses_has_nothing_to_take(api: Any):
    assert api.post(f"/medicines/{api.add_medicine()['id']}/take").status_code == 404


def test_a_dose_may_be_taken_at_a_stated_time_that_has_passed(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])
    api.clock.now = NOON + timedelta(hours=5)

    told = api.post(f"/doses/{dose['id']}/take", {"at": "2026-03-04T13:45:00+01:00"})

    assert (told.status_code, told.get_json()["resolved_at"]) == (200, "2026-03-04T12:45:00+00:00")


def test_a_dose_can_not_be_taken_in_the_future(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])

    told = api.post(f"/doses/{dose['id']}/take", {"at": "2026-03-04T12:00:01+00:00"})

    assert (told.status_code, told.get_json()["field"]) == (422, "at")


def test_skip_and_undo(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])

    skipped = api.post(f"/doses/{dose['id']}/skip", {"reason": "felt unwell"})
    undone = api.post(f"/doses/{dose['id']}/undo")

    assert (skipped.get_json()["status"], undone.get_json()["status"]) == ("skipped", "pending")
    assert [event["reason"] for event in api.get("/history").get_json()["items"]] == [None, "felt unwell"]


def test_a_dose_action_needs_a_key_and_says_why(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])

    told = api.send("POST", f"/doses/{dose['id']}/take")

    assert told.status_code == 400
    assert "Idempotency-Key" in told.get_json()["detail"]


def test_the_same_key_is_answered_the_same_and_for_another_body_refused(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])
    first = api.post(f"/doses/{dose['id']}/take", key="mine")
    api.clock.now = NOON + timedelta(minutes=1)

    again = api.post(f"/doses/{dose['id']}/take", key="mine")
    other = api.post(f"/doses/{dose['id']}/undo", key="mine")

    assert (again.status_code, again.data, again.headers["Idempotency-Replayed"]) == (200, first.data, "true")
    assert (other.status_code, other.get_json()["type"]) == (422, "urn:dosette:problem:idempotency-key-reused")


def test_doses_are_listed_by_range_and_in_pages(api: Any):
    medicine_id = api.add_medicine()["id"]
    api.dose_of(medicine_id)
    week = {"since": NOON.isoformat(), "until": (NOON + timedelta(days=4)).isoformat(), "limit": 3}

    first = api.get("/doses", **week).get_json()
    second = api.get("/doses", **week, cursor=first["next_cursor"]).get_json()

    assert [dose["slot_on"][-2:] for dose in first["items"] + second["items"]] == ["04", "05", "06", "07"]
    assert second["next_cursor"] is None


def test_history_comes_in_pages_and_by_medicine(api: Any):
    medicines = [api.add_medicine(name=name)["id"] for name in ("A", "B")]
    for medicine_id in medicines:
        dose = api.dose_of(medicine_id)
        api.post(f"/doses/{dose['id']}/take")

    first = api.get("/history", limit=1).get_json()
    second = api.get("/history", limit=1, cursor=first["next_cursor"]).get_json()
    of_a = api.get("/history", medicine=medicines[0]).get_json()

    assert [page["items"][0]["medicine"]["name"] for page in (first, second, of_a)] == ["B", "A", "A"]
    assert (second["next_cursor"], len(of_a["items"])) == (None, 1)
