"""Doses over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dosette.actions import devices, doses
from dosette.actions.devices import ServerKeys
from dosette.domain.doses import When
from dosette.storage.connection import Database
from dosette.testing import NOON, a_press


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


def test_a_snoozed_dose_is_told_again_then_and_never_past_its_window(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])
    api.clock.now = NOON + timedelta(minutes=40)

    snoozed = api.post(f"/doses/{dose['id']}/snooze", {"minutes": 15})
    too_late = api.post(f"/doses/{dose['id']}/snooze", {"minutes": 120})

    assert (snoozed.get_json()["snoozed_until"], snoozed.get_json()["state"]) == ("2026-03-04T12:55:00+00:00", "due")
    assert too_late.status_code == 409
    assert "can be snoozed until 14:30 at the latest" in too_late.get_json()["detail"]
    event = api.get("/history").get_json()["items"][0]
    assert (event["kind"], event["detail"]) == ("snoozed", {"until": "2026-03-04T12:55:00+00:00"})


def test_a_dose_is_not_snoozed_to_before_it_is_due(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])

    assert api.post(f"/doses/{dose['id']}/snooze").get_json()["snoozed_until"] == dose["due_at"]


def test_the_time_of_a_taking_is_corrected_and_history_keeps_what_was_said(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])
    api.clock.now = NOON + timedelta(hours=1)
    api.post(f"/doses/{dose['id']}/take")

    told = api.post(f"/doses/{dose['id']}/correct", {"at": "2026-03-04T12:20:00Z", "reason": "forgot to press"})

    assert told.get_json()["resolved_at"] == "2026-03-04T12:20:00+00:00"
    event = api.get("/history").get_json()["items"][0]
    assert (event["kind"], event["at"], event["reason"]) == (
        "corrected",
        "2026-03-04T12:20:00+00:00",
        "forgot to press",
    )
    assert event["detail"] == {"was_at": "2026-03-04T13:00:00+00:00"}


@pytest.mark.parametrize(
    ("at", "status", "said"),
    [
        ("2026-03-04T14:31:00Z", 422, "in the future"),
        ("2026-03-04T10:29:00Z", 409, "can only have been taken from 10:30 to 14:30"),
        ("2026-02-20T12:30:00Z", 422, "more than 7 days ago"),
    ],
)
def test_a_correction_stays_within_the_window(api: Any, at: str, status: int, said: str):
    dose = api.dose_of(api.add_medicine()["id"])
    api.post(f"/doses/{dose['id']}/take")

    told = api.post(f"/doses/{dose['id']}/correct", {"at": at})

    assert (told.status_code, said in told.get_json()["detail"]) == (status, True), told.text


def test_what_was_not_taken_has_no_time_to_correct(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])

    told = api.post(f"/doses/{dose['id']}/correct", {"at": NOON.isoformat()})

    assert "is pending, so there is no time of taking to correct" in told.get_json()["detail"]


def test_a_batch_has_a_result_for_each_in_its_order(api: Any):
    one, other, late = (api.add_medicine(name=name)["id"] for name in ("A", "B", "C"))
    dose, _, evening = api.dose_of(one), api.dose_of(other), api.dose_of(late, "20:00")
    items = [{"medicine_id": other}, {"dose_id": dose["id"]}, {"dose_id": evening["id"]}, {"dose_id": api.home.id}]

    told = api.post("/medicines/batch-take", {"items": [*items, {"dose_id": dose["id"]}]}, key="batch")

    results = told.get_json()["results"]
    assert [result["outcome"] for result in results] == ["done", "done", "refused", "no-dose", "refused"]
    assert (results[0]["medicine_id"], results[1]["dose"]["state"], results[2]["dose"]["state"]) == (
        other,
        "taken",
        "planned",
    )
    again = api.post("/medicines/batch-take", {"items": [*items, {"dose_id": dose["id"]}]}, key="batch")
    assert (again.data, again.headers["Idempotency-Replayed"]) == (told.data, "true")


def test_a_batch_of_one_ingredient_stays_within_its_limit(api: Any):
    ingredient = [{"name": "paracetamol", "amount": "500", "unit": "mg"}]
    medicines = [api.add_medicine(name=name, ingredients=ingredient)["id"] for name in ("A", "B")]
    for medicine_id in medicines:
        rule = {"kind": "as_needed", "steps": [{}], "most_per_24_h": "1"}
        api.put(f"/medicines/{medicine_id}/schedule", rule)

    told = api.post("/medicines/batch-take", {"items": [{"medicine_id": each} for each in medicines]})

    first, second = told.get_json()["results"]
    assert (first["outcome"], second["outcome"]) == ("done", "over-limit")
    assert (second["limit"]["ingredient"], second["limit"]["taken"], second["limit"]["most"]) == (
        "paracetamol",
        "500",
        "500",
    )


def test_an_item_of_a_batch_names_one_thing(api: Any):
    told = api.post("/medicines/batch-take", {"items": [{}]})

    assert (told.status_code, told.get_json()["field"]) == (422, "items[0]")


def test_a_second_dose_on_purpose_is_an_extra_one(api: Any):
    medicine_id = api.add_medicine(on_hand="10")["id"]
    dose = api.dose_of(medicine_id)
    api.post(f"/doses/{dose['id']}/take")

    extra = api.post(f"/doses/{dose['id']}/take", {"extra": True, "amount": "0.5"}).get_json()

    assert (extra["kind"], extra["amount"], extra["id"] == dose["id"]) == ("extra", "0.5", False)
    assert api.get(f"/medicines/{medicine_id}").get_json()["on_hand"] == "8.5"
    api.post(f"/doses/{extra['id']}/undo")
    assert api.get(f"/medicines/{medicine_id}").get_json()["on_hand"] == "9"
    assert [item["id"] for item in api.get("/doses", state="taken").get_json()["items"]] == [dose["id"]]


def test_half_a_dose_keeps_what_was_planned_beside_it(api: Any):
    medicine_id = api.add_medicine(on_hand="10")["id"]
    dose = api.dose_of(medicine_id)

    taken = api.post(f"/doses/{dose['id']}/take", {"amount": "0.5"}).get_json()
    undone = api.post(f"/doses/{dose['id']}/undo").get_json()

    assert ((taken["amount"], taken["taken_amount"]), (undone["amount"], undone["taken_amount"])) == (
        ("1", "0.5"),
        ("1", None),
    )
    assert api.get(f"/medicines/{medicine_id}").get_json()["on_hand"] == "10"


def test_too_soon_says_what_was_taken_by_whom_and_from_when(api: Any):
    syrup = {"name": "Syrup", "unit": "ml", "ingredients": [{"name": "Paracetamol", "amount": "24", "unit": "mg"}]}
    tablet = {"name": "Tablet", "ingredients": [{"name": "paracetamol", "amount": "0.5", "unit": "g"}]}
    first, second = (api.add_medicine(**fields)["id"] for fields in (syrup, tablet))
    rule = {"kind": "as_needed", "steps": [{}], "min_gap_minutes": 270}
    api.put(f"/medicines/{first}/schedule", rule)
    api.put(f"/medicines/{second}/schedule", rule)
    api.post(f"/medicines/{first}/take")

    refused = api.post(f"/medicines/{second}/take")
    allowed = api.post(f"/medicines/{second}/take", {"override_reason": "the doctor on the phone"})

    assert (refused.status_code, refused.get_json()["type"]) == (409, "urn:dosette:problem:over-limit")
    assert refused.get_json()["detail"] == (
        "too soon: Syrup was taken at 12:00 by Ana, and Syrup needs 4 h 30 min between two; the next may be taken from "
        "16:30 on 2026-03-04; if a doctor said so, send an override_reason"
    )
    assert allowed.status_code == 200
    event = api.get("/history").get_json()["items"][0]
    assert (event["reason"], event["detail"]["override"]["rule"]) == ("the doctor on the phone", "min_gap")


def test_a_late_dose_after_midnight_is_taken_for_its_own_slot(api: Any):
    medicine_id = api.add_medicine()["id"]
    api.put(f"/medicines/{medicine_id}/schedule", {"steps": [{"time": "23:00"}]})
    api.clock.now = NOON + timedelta(hours=12, minutes=20)

    taken = api.post(f"/medicines/{medicine_id}/take").get_json()

    assert (taken["slot_on"], taken["state"]) == ("2026-03-04", "taken")
    api.clock.now = NOON + timedelta(hours=34, minutes=50)
    assert api.post(f"/medicines/{medicine_id}/take").get_json()["slot_on"] == "2026-03-05"


def test_doses_are_listed_by_state(api: Any):
    medicine_id = api.add_medicine()["id"]
    api.dose_of(medicine_id)
    week = {"since": NOON.isoformat(), "until": (NOON + timedelta(days=3)).isoformat()}
    api.post(f"/medicines/{medicine_id}/take")

    states = {
        state: len(api.get("/doses", state=state, **week).get_json()["items"]) for state in ("taken", "planned", "due")
    }

    assert states == {"taken": 1, "planned": 2, "due": 0}


def test_adherence_counts_on_time_late_skipped_and_missed(api: Any, database_of: Callable[[str], Database]):
    medicine_id = api.add_medicine()["id"]
    api.dose_of(medicine_id)
    for day, minutes in enumerate((0, 110)):
        api.clock.now = NOON + timedelta(days=day, minutes=30 + minutes)
        api.post(f"/medicines/{medicine_id}/take")
    api.clock.now = NOON + timedelta(days=2)
    api.post(f"/doses/{api.get('/doses', medicine=medicine_id, state='planned').get_json()['items'][0]['id']}/skip")
    api.clock.now = NOON + timedelta(days=3, hours=5)
    doses.close_missed(database_of("scheduler"), api.clock.now)

    (by_medicine,) = api.get("/adherence").get_json()["items"]
    weeks = api.get("/adherence", by="week", since_on="2026-03-01", until_on="2026-03-31").get_json()["items"]

    counts = {name: by_medicine[name] for name in ("due", "on_time", "late", "skipped", "missed", "rate")}
    assert counts == {"due": 4, "on_time": 1, "late": 1, "skipped": 1, "missed": 1, "rate": "0.5000"}
    assert [(week["since_on"], week["due"]) for week in weeks] == [("2026-03-02", 4)]


def test_adherence_runs_on_over_a_change_of_schedule_and_of_the_clocks(
    api: Any, database_of: Callable[[str], Database]
):
    medicine_id = api.add_medicine()["id"]
    steps = {"steps": [{"time": "23:30"}], "zone": "Europe/Berlin"}
    api.clock.now = datetime(2026, 3, 27, 12, tzinfo=UTC)
    api.put("/household/zone", {"zone": "Europe/Berlin"})
    api.put(f"/medicines/{medicine_id}/schedule", steps)
    for day in range(27, 32):  # the clocks change in the night to the 29th
        api.clock.now = datetime(2026, 3, day, 22, tzinfo=UTC)
        assert api.post(f"/medicines/{medicine_id}/take").status_code == 200
        api.put(f"/medicines/{medicine_id}/schedule", steps | {"window_minutes": 60 + day})

    days = api.get("/adherence", by="day", since_on="2026-03-27", until_on="2026-03-31").get_json()["items"]

    assert [(day["since_on"][-2:], day["due"], day["rate"]) for day in days] == [
        (str(day), 1, "1.0000") for day in range(27, 32)
    ]


def test_a_conflict_is_listed_and_resolved_by_a_person(api: Any, database_of: Callable[[str], Database]):
    medicine_id = api.add_medicine(on_hand="10")["id"]
    dose = api.dose_of(medicine_id)
    paired = devices.pair(api.home.database, api.home.console, "Kitchen", ServerKeys("secret"), "redis:6379", "", NOON)
    api.post(f"/doses/{dose['id']}/take")
    for number, minutes in ((1, 10), (2, 20)):
        api.clock.now = NOON + timedelta(minutes=minutes)
        press = a_press(paired.device_id, dose["id"], number=number, at=api.clock.now)
        assert doses.take_in(database_of("scheduler"), press, When(api.clock.now), api.clock.now) == ["conflict"]
    second, first = api.get("/conflicts").get_json()["items"]
    assert (first["on"]["name"], first["report"], first["dose"]["id"]) == ("Kitchen", "take", dose["id"])

    same = api.post(f"/conflicts/{first['id']}/resolve", {"verdict": "not_taken", "reason": "pressed to be sure"})
    other = api.post(f"/conflicts/{second['id']}/resolve", {"verdict": "taken"})
    again = api.post(f"/conflicts/{first['id']}/resolve", {"verdict": "taken"})

    assert (same.get_json()["status"], other.get_json()["status"], again.status_code) == ("not_taken", "taken", 409)
    assert api.get("/conflicts").get_json()["items"] == []
    assert len(api.get("/conflicts", open="false").get_json()["items"]) == 2
    assert api.get(f"/medicines/{medicine_id}").get_json()["on_hand"] == "8"
    assert {item["kind"] for item in api.get("/doses", state="taken").get_json()["items"]} == {"planned", "extra"}
