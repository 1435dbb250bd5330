"""Packages, losses, days left, the day to order by: over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from dosette.testing import NOON


def _daily(api: Any, on_hand: str = "0", **fields: Any) -> str:
    """A medicine taken once a day at half past twelve."""
    medicine_id: str = api.add_medicine(on_hand=on_hand, **fields)["id"]
    assert api.put(f"/medicines/{medicine_id}/schedule", {"steps": [{"time": "12:30"}]}).status_code == 200
    return medicine_id


def _package(api: Any, medicine_id: str, amount: str, expires_on: str | None = None, batch: str | None = None) -> str:
    told = api.post(
        f"/medicines/{medicine_id}/stock/refill", {"amount": amount, "expires_on": expires_on, "batch": batch}
    )
    assert told.status_code == 201, told.text
    return str(told.get_json()["package_id"])


def _left(api: Any, medicine_id: str) -> dict[str, str]:
    packages = api.get(f"/medicines/{medicine_id}/stock").get_json()["packages"]
    return {package["batch"]: package["amount_left"] for package in packages}


def test_the_package_that_expires_first_is_used_first(api: Any):
    medicine_id = _daily(api)
    _package(api, medicine_id, "5", "2027-01-01", "late")
    _package(api, medicine_id, "0.5", "2026-06-01", "soon")

    api.post(f"/medicines/{medicine_id}/take")

    assert _left(api, medicine_id) == {"late": "4.5"}


def test_undo_gives_each_package_back_what_was_its_own(api: Any):
    medicine_id = _daily(api)
    _package(api, medicine_id, "5", "2027-01-01", "late")
    _package(api, medicine_id, "0.5", "2026-06-01", "soon")
    dose = api.post(f"/medicines/{medicine_id}/take").get_json()

    api.post(f"/doses/{dose['id']}/undo")

    assert _left(api, medicine_id) == {"soon": "0.5", "late": "5"}


def test_an_expired_package_is_counted_apart_and_not_used(api: Any):
    medicine_id = _daily(api)
    _package(api, medicine_id, "5", "2026-03-03", "old")
    _package(api, medicine_id, "3", "2026-03-04", "last day")

    api.post(f"/medicines/{medicine_id}/take")

    medicine = api.get(f"/medicines/{medicine_id}").get_json()
    assert (medicine["on_hand"], medicine["expired"], medicine["days_left"]) == ("7", "5", 3)
    assert _left(api, medicine_id) == {"old": "5", "last day": "2"}


def test_a_loss_falls_on_a_package_or_on_what_expires_first(api: Any):
    medicine_id = _daily(api)
    late = _package(api, medicine_id, "5", "2027-01-01", "late")
    _package(api, medicine_id, "2", "2026-06-01", "soon")

    api.post(f"/medicines/{medicine_id}/stock/loss", {"amount": "1", "package_id": late, "reason": "dropped"})
    api.post(f"/medicines/{medicine_id}/stock/loss", {"amount": "3"})

    assert _left(api, medicine_id) == {"late": "3"}


def test_more_than_is_there_can_not_be_lost(api: Any):
    medicine_id = _daily(api, "3")
    package = _package(api, medicine_id, "2", "2026-06-01", "soon")

    of_all = api.post(f"/medicines/{medicine_id}/stock/loss", {"amount": "5.5"})
    of_one = api.post(f"/medicines/{medicine_id}/stock/loss", {"amount": "3", "package_id": package})

    assert (of_all.status_code, of_one.status_code) == (409, 409)
    assert of_one.get_json()["detail"] == "less than 3 is there by the ledger; count what is left, and send a recount"
    assert _left(api, medicine_id) == {"soon": "2"}


def test_a_recount_of_one_package_leaves_the_others(api: Any):
    medicine_id = _daily(api)
    late = _package(api, medicine_id, "5", "2027-01-01", "late")
    _package(api, medicine_id, "2", "2026-06-01", "soon")

    told = api.post(f"/medicines/{medicine_id}/stock/recount", {"counted": "4", "package_id": late}).get_json()

    assert (told["amount"], told["on_hand"], _left(api, medicine_id)) == ("-1", "6", {"soon": "2", "late": "4"})


def test_a_package_of_another_medicine_is_not_found(api: Any):
    one, other = _daily(api), _daily(api, name="Ramipril")
    package = _package(api, one, "5", "2027-01-01")

    told = api.post(f"/medicines/{other}/stock/loss", {"amount": "1", "package_id": package})

    assert told.status_code == 404
    assert "no such package" in told.get_json()["detail"]


def test_days_left_follow_the_real_schedule(api: Any):
    medicine_id = api.add_medicine(on_hand="7")["id"]
    taper = [{"time": "13:00", "amount": "2", "ends_on": "2026-03-05"}, {"time": "13:00", "starts_on": "2026-03-06"}]
    api.put(f"/medicines/{medicine_id}/schedule", {"steps": taper})

    medicine = api.get(f"/medicines/{medicine_id}").get_json()

    assert (medicine["runs_out_on"], medicine["days_left"]) == ("2026-03-09", 5)


def test_taking_as_planned_does_not_move_the_day_it_runs_out(api: Any):
    medicine_id = _daily(api, "10")
    before = api.get(f"/medicines/{medicine_id}").get_json()["runs_out_on"]

    api.post(f"/medicines/{medicine_id}/take")

    assert (before, api.get(f"/medicines/{medicine_id}").get_json()["runs_out_on"]) == ("2026-03-14", before)


def test_what_ends_before_the_stock_never_runs_out(api: Any):
    medicine_id = api.add_medicine(on_hand="10")["id"]
    api.put(f"/medicines/{medicine_id}/schedule", {"steps": [{"time": "13:00"}], "ends_on": "2026-03-10"})

    assert api.get(f"/medicines/{medicine_id}").get_json()["runs_out_on"] is None


@pytest.mark.parametrize(
    ("pharmacy", "order_by"),
    [
        ({}, "2026-03-11"),
        ({"lead_days": 5}, "2026-03-08"),
        ({"closed_weekdays": ["fri", "sat", "sun"]}, "2026-03-10"),
        ({"closed_weekdays": ["sun"], "closed_on": ["2026-03-13", "2026-03-11", "2026-03-10"]}, "2026-03-09"),
    ],
)
def test_the_day_to_order_by_knows_lead_time_and_closing_days(api: Any, pharmacy: dict[str, Any], order_by: str):
    medicine_id = _daily(api, "10")  # runs out on Saturday the 14th

    assert api.patch("/household", pharmacy).status_code == 200

    assert api.get(f"/medicines/{medicine_id}").get_json()["order_by_on"] == order_by


def test_what_must_be_ordered_first_stands_first(api: Any):
    for name, on_hand in (("Plenty", "60"), ("Soon", "6"), ("Now", "1")):
        _daily(api, on_hand, name=name)

    low = api.get("/medicines/low-stock").get_json()["items"]

    assert [medicine["name"] for medicine in low] == ["Now", "Soon"]


def test_medicine_as_needed_runs_low_when_it_is_less_than_a_day_s_maximum(api: Any):
    medicine_id = api.add_medicine(on_hand="9")["id"]
    rule = {"kind": "as_needed", "steps": [{"amount": "2"}], "most_per_24_h": "8"}
    api.put(f"/medicines/{medicine_id}/schedule", rule)
    assert api.get("/medicines/low-stock").get_json()["items"] == []

    api.post(f"/medicines/{medicine_id}/take")

    assert [medicine["on_hand"] for medicine in api.get("/medicines/low-stock").get_json()["items"]] == ["7"]


def test_the_count_may_be_asked_at_midnight_of_the_household(api: Any):
    medicine_id = _daily(api, "10")
    api.put("/household/zone", {"zone": "Pacific/Auckland"})
    api.clock.now = NOON + timedelta(minutes=1)

    assert api.get(f"/medicines/{medicine_id}").get_json()["runs_out_on"] == "2026-03-14"
