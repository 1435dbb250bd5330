"""Schedules of every kind over HTTP, and what a change of one would do."""

from datetime import timedelta
from typing import Any

import pytest

from dosette.testing import NOON

WEEK = (NOON + timedelta(days=9)).isoformat()


def _put(api: Any, medicine_id: str, **schedule: Any) -> dict[str, Any]:
    told = api.put(f"/medicines/{medicine_id}/schedule", schedule)
    assert told.status_code == 200, told.text
    return told.get_json()


def _due(api: Any, medicine_id: str) -> list[str]:
    doses = api.get("/doses", medicine=medicine_id, until=WEEK, limit=200).get_json()["items"]
    return [dose["due_at"][5:16] for dose in doses]


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        ({"every_days": 3}, ["03-04", "03-07", "03-10"]),
        ({"every_weeks": 2, "steps": [{"time": "18:00", "weekdays": ["thu", "sun"]}]}, ["03-05", "03-08"]),
        ({"month_days": [5, 31]}, ["03-05"]),
        ({"days_on": 2, "days_off": 3}, ["03-04", "03-05", "03-09", "03-10"]),
        ({"pauses": [{"starts_on": "2026-03-05", "ends_on": "2026-03-10"}]}, ["03-04", "03-11"]),
        ({"starts_on": "2026-03-09", "ends_on": "2026-03-10"}, ["03-09", "03-10"]),
    ],
)
def test_a_fixed_schedule_falls_on_the_days_of_its_rule(api: Any, schedule: dict[str, Any], days: list[str]):
    medicine_id = api.add_medicine()["id"]

    _put(api, medicine_id, **{"steps": [{"time": "18:00"}], **schedule})

    assert [due[:5] for due in _due(api, medicine_id)] == days


def test_a_taper_is_a_list_of_dated_steps(api: Any):
    medicine_id = api.add_medicine()["id"]
    steps = [
        {"time": "18:00", "amount": "2", "ends_on": "2026-03-05"},
        {"time": "18:00", "amount": "1", "starts_on": "2026-03-06", "ends_on": "2026-03-07"},
        {"time": "18:00", "amount": "0.5", "starts_on": "2026-03-08"},
    ]

    _put(api, medicine_id, steps=steps)

    doses = api.get("/doses", medicine=medicine_id, until=WEEK).get_json()["items"]
    assert [dose["amount"] for dose in doses] == ["2", "2", "1", "1", "0.5", "0.5", "0.5", "0.5"]


def test_weekends_may_have_their_own_times(api: Any):
    medicine_id = api.add_medicine()["id"]
    workdays = {"time": "17:00", "weekdays": ["mon", "tue", "wed", "thu", "fri"]}

    _put(api, medicine_id, steps=[workdays, {"time": "19:30", "weekdays": ["sat", "sun"]}])

    assert _due(api, medicine_id)[2:5] == ["03-06T17:00", "03-07T19:30", "03-08T19:30"]


def test_every_eight_hours_counts_from_the_last_dose_taken(api: Any):
    medicine_id = api.add_medicine()["id"]
    _put(api, medicine_id, kind="elapsed", steps=[{"amount": "1"}], every_minutes=480)
    assert _due(api, medicine_id)[:3] == ["03-04T12:00", "03-04T20:00", "03-05T04:00"]
    api.clock.now = NOON + timedelta(minutes=25)

    taken = api.post(f"/medicines/{medicine_id}/take").get_json()

    assert _due(api, medicine_id)[:3] == ["03-04T12:00", "03-04T20:25", "03-05T04:25"]
    api.post(f"/doses/{taken['id']}/correct", {"at": (NOON + timedelta(minutes=5)).isoformat()})
    assert _due(api, medicine_id)[:3] == ["03-04T12:00", "03-04T20:05", "03-05T04:05"]
    api.post(f"/doses/{taken['id']}/undo")
    assert _due(api, medicine_id)[:3] == ["03-04T12:00", "03-04T20:00", "03-05T04:00"]


def test_every_eight_hours_may_count_from_an_anchor_whatever_is_taken(api: Any):
    medicine_id = api.add_medicine()["id"]
    anchor = (NOON + timedelta(hours=1)).isoformat()
    _put(api, medicine_id, kind="elapsed", steps=[{}], every_minutes=480, counted_from="anchor", anchor_at=anchor)
    api.clock.now = NOON + timedelta(minutes=75)

    api.post(f"/medicines/{medicine_id}/take")

    assert _due(api, medicine_id)[:3] == ["03-04T13:00", "03-04T21:00", "03-05T05:00"]


def test_a_preview_tells_what_moves_appears_and_vanishes_and_stores_nothing(api: Any):
    medicine_id = api.add_medicine(on_hand="20")["id"]
    before = _put(api, medicine_id, steps=[{"time": "13:00"}])

    told = api.post(f"/medicines/{medicine_id}/schedule/preview", {"steps": [{"time": "14:00"}, {"time": "20:00"}]})

    difference = told.get_json()
    assert told.status_code == 200, told.text
    assert (len(difference["move"]), len(difference["appear"]), difference["vanish"], difference["stay"]) == (
        28,
        28,
        [],
        0,
    )
    first = difference["move"][0]
    assert (first["was"]["due_at"][:16], first["becomes"]["due_at"][:16]) == ("2026-03-04T13:00", "2026-03-04T14:00")
    assert (difference["supply"]["was"]["days_left"], difference["supply"]["becomes"]["days_left"]) == (20, 10)
    assert api.get(f"/medicines/{medicine_id}/schedule").get_json() == before


def test_a_preview_of_a_stock_that_lasts_for_ever_is_answered(api: Any):
    medicine = api.add_medicine(on_hand="999999")["id"]

    told = api.post(
        f"/medicines/{medicine}/schedule/preview", {"every_days": 7, "steps": [{"time": "08:00", "amount": "0.5"}]}
    )

    assert told.status_code == 200, told.text


def test_a_preview_of_the_same_schedule_changes_nothing(api: Any):
    medicine_id = api.add_medicine()["id"]
    _put(api, medicine_id, steps=[{"time": "13:00"}])

    difference = api.post(f"/medicines/{medicine_id}/schedule/preview", {"steps": [{"time": "13:00"}]}).get_json()

    assert (difference["stay"], difference["move"], difference["appear"], difference["vanish"]) == (28, [], [], [])


def test_a_first_schedule_s_preview_says_that_all_its_doses_appear(api: Any):
    medicine_id = api.add_medicine()["id"]

    difference = api.post(f"/medicines/{medicine_id}/schedule/preview", {"steps": [{"time": "13:00"}]}).get_json()

    assert (len(difference["appear"]), difference["supply"]["was"]["days_left"]) == (28, None)


def test_every_version_is_kept_and_the_past_stays_with_its_own(api: Any):
    medicine_id = api.add_medicine()["id"]
    _put(api, medicine_id, steps=[{"time": "12:00", "amount": "1"}])
    _put(api, medicine_id, steps=[{"time": "12:30", "amount": "1"}])
    api.clock.now = NOON + timedelta(hours=1)
    api.post(f"/medicines/{medicine_id}/take")

    _put(api, medicine_id, steps=[{"time": "20:00", "amount": "3"}])

    versions = api.get(f"/medicines/{medicine_id}/schedule/versions").get_json()["items"]
    assert [(version["version"], version["steps"][0]["time"]) for version in versions] == [
        (3, "20:00:00"),
        (2, "12:30:00"),
        (1, "12:00:00"),
    ]
    doses = api.get("/doses", medicine=medicine_id, until=WEEK).get_json()["items"]
    assert [(dose["due_at"][5:16], dose["amount"]) for dose in doses[:2]] == [
        ("03-04T12:30", "1"),
        ("03-04T20:00", "3"),
    ]


def test_what_is_needed_only_now_and_then_is_never_planned(api: Any):
    medicine_id = api.add_medicine()["id"]

    told = _put(api, medicine_id, kind="as_needed", steps=[{"amount": "2"}], min_gap_minutes=240, most_per_24_h="8")

    assert (told["min_gap_minutes"], told["most_per_24_h"], _due(api, medicine_id)) == (240, "8", [])
    taken = api.post(f"/medicines/{medicine_id}/take").get_json()
    assert (taken["kind"], taken["amount"], taken["status"]) == ("as_needed", "2", "taken")


def test_a_paused_or_ended_medicine_as_needed_is_not_taken(api: Any):
    medicine_id = api.add_medicine()["id"]
    _put(api, medicine_id, kind="as_needed", steps=[{}], pauses=[{"starts_on": "2026-03-04"}])

    told = api.post(f"/medicines/{medicine_id}/take")

    assert told.status_code == 409
    assert "has not begun, has ended or is paused" in told.get_json()["detail"]
