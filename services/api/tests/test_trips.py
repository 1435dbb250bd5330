"""A household that travels or moves: what its doses do."""

from datetime import timedelta
from typing import Any

from dosette.testing import NOON


def _medicine(api: Any, *times: str) -> str:
    medicine_id: str = api.add_medicine()["id"]
    steps = [{"time": at} for at in times]
    assert api.put(f"/medicines/{medicine_id}/schedule", {"steps": steps}).status_code == 200
    return medicine_id


def _effect(api: Any, **trip: Any) -> dict[str, Any]:
    told = api.post("/household/zone/preview", trip)
    assert told.status_code == 200, told.text
    return told.get_json()["medicines"][0]


def test_a_trip_s_preview_shows_each_dose_by_the_clock_at_home_and_there(api: Any):
    _medicine(api, "20:00")

    effect = _effect(api, zone="America/New_York", doses="shift")

    assert effect["moves"][0]["was"] == {"due_at": "2026-03-04T20:00:00+00:00", "local_time": "20:00"}
    assert effect["moves"][0]["becomes"] == {"due_at": "2026-03-05T01:00:00+00:00", "local_time": "20:00"}


def test_home_time_kept_moves_no_dose_and_says_what_the_clock_there_shows(api: Any):
    _medicine(api, "20:00")

    effect = _effect(api, zone="America/New_York", doses="keep")

    assert {move["was"]["due_at"] == move["becomes"]["due_at"] for move in effect["moves"]} == {True}
    assert effect["moves"][0]["becomes"]["local_time"] == "15:00"


def test_a_dose_whose_time_has_passed_at_the_destination_is_said_to_vanish(api: Any):
    _medicine(api, "20:00")

    effect = _effect(api, zone="Asia/Tokyo", doses="shift")

    assert [slot["due_at"] for slot in effect["vanish"]] == ["2026-03-04T20:00:00+00:00"]


def test_a_trip_that_brings_two_doses_close_together_warns(api: Any):
    _medicine(api, "06:00", "18:00")
    half_past_six = (NOON + timedelta(hours=6, minutes=30)).isoformat()

    effect = _effect(api, zone="Asia/Tokyo", doses="shift", since=half_past_six)

    assert (effect["too_close"], effect["shortest_gap_minutes"]) == (True, 180)


def test_a_trip_of_more_than_a_year_is_a_move(api: Any):
    _medicine(api, "06:00")
    ends = [(NOON + timedelta(days=days)).isoformat() for days in (366, 367)]

    told = [api.post("/household/zone/preview", {"zone": "Asia/Tokyo", "until": until}) for until in ends]

    assert [each.status_code for each in told] == [200, 422]
    assert "leave until out" in told[1].get_json()["detail"]


def test_a_slot_that_was_taken_at_home_is_not_due_again_to_the_west(api: Any):
    _medicine(api, "06:00", "18:00")
    seven = (NOON + timedelta(hours=7)).isoformat()

    effect = _effect(api, zone="Pacific/Midway", doses="shift", since=seven)

    assert (effect["too_close"], effect["longest_gap_minutes"]) == (False, 23 * 60)


def test_after_the_trip_the_doses_are_where_they_were(api: Any):
    _medicine(api, "20:00")
    back = (NOON + timedelta(days=2)).isoformat()

    effect = _effect(api, zone="America/New_York", doses="shift", until=back)

    assert {move["was"]["due_at"][:10] for move in effect["moves"]} == {"2026-03-04", "2026-03-05"}


def test_a_household_that_moves_keeps_its_times_or_shifts_them(api: Any):
    medicine_id = _medicine(api, "20:00")

    kept = api.put("/household/zone", {"zone": "America/New_York", "doses": "keep"}).get_json()
    shifted = api.put("/household/zone", {"zone": "Asia/Tokyo", "doses": "shift"}).get_json()

    assert (kept["changed"], shifted["changed"], shifted["zone"]) == (0, 1, "Asia/Tokyo")
    assert api.get(f"/medicines/{medicine_id}/schedule").get_json()["zone"] == "Asia/Tokyo"
    dose = api.get("/doses", medicine=medicine_id).get_json()["items"][0]
    assert (dose["due_at"][:16], dose["slot_on"]) == ("2026-03-05T11:00", "2026-03-05")


def test_a_dose_that_was_taken_before_the_move_does_not_come_again(api: Any):
    medicine_id = _medicine(api, "12:30")
    api.post(f"/medicines/{medicine_id}/take")

    api.put("/household/zone", {"zone": "America/New_York", "doses": "shift"})

    doses = api.get("/doses", medicine=medicine_id, until=(NOON + timedelta(days=2)).isoformat()).get_json()["items"]
    assert [(dose["slot_on"], dose["status"]) for dose in doses] == [("2026-03-04", "taken"), ("2026-03-05", "pending")]


def test_a_move_with_the_same_key_happens_once(api: Any):
    _medicine(api, "20:00")
    body = {"zone": "Asia/Tokyo", "doses": "shift"}

    first, again = (api.send("PUT", "/household/zone", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert (again.data, again.headers["Idempotency-Replayed"]) == (first.data, "true")
