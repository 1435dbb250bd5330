"""Medicines over HTTP."""

from typing import Any

import pytest


def test_a_medicine_that_was_added_can_be_read(api: Any):
    added = api.add_medicine(ingredients=[{"name": "metformin", "amount": "500", "unit": "mg"}], note="with food")

    assert api.get(f"/medicines/{added['id']}").get_json() == added
    assert (added["name"], added["on_hand"], added["member"]["name"]) == ("Metformin", "30", "Bruno")


def test_the_list_comes_in_pages(api: Any):
    names = [api.add_medicine(name=f"Medicine {number}")["name"] for number in range(5)]

    first = api.get("/medicines", limit=3).get_json()
    second = api.get("/medicines", limit=3, cursor=first["next_cursor"]).get_json()

    assert [medicine["name"] for medicine in first["items"] + second["items"]] == names
    assert second["next_cursor"] is None


def test_a_patch_changes_what_it_names_and_a_put_everything(api: Any):
    medicine_id = api.add_medicine(note="with food")["id"]

    patched = api.patch(f"/medicines/{medicine_id}", {"strength": "850 mg"}).get_json()
    replaced = api.put(f"/medicines/{medicine_id}", {"name": "Glucophage", "strength": "1 g"}).get_json()

    assert (patched["strength"], patched["note"], patched["name"]) == ("850 mg", "with food", "Metformin")
    assert (replaced["name"], replaced["note"], replaced["on_hand"]) == ("Glucophage", "", "30")


def test_an_archived_medicine_leaves_the_list_and_keeps_its_page(api: Any):
    medicine_id = api.add_medicine()["id"]

    assert api.send("DELETE", f"/medicines/{medicine_id}").status_code == 204
    assert api.send("DELETE", f"/medicines/{medicine_id}").status_code == 204
    assert api.get("/medicines").get_json()["items"] == []
    assert api.get(f"/medicines/{medicine_id}").get_json()["archived_at"] is not None


def test_the_same_key_adds_a_medicine_once(api: Any):
    body = {"member_id": api.home.bruno, "name": "Metformin", "strength": "500 mg"}

    first, again = (api.post("/medicines", body, key="mine") for _ in range(2))

    assert first.get_json() == again.get_json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(api.get("/medicines").get_json()["items"]) == 1


def test_a_medicine_that_lasts_fewer_days_than_wished_runs_low(api: Any):
    plenty, scarce = api.add_medicine(on_hand="30")["id"], api.add_medicine(name="Ramipril", on_hand="5")["id"]
    for medicine_id in (plenty, scarce):
        api.dose_of(medicine_id)

    low = api.get("/medicines/low-stock").get_json()["items"]

    assert [(medicine["name"], medicine["days_left"]) for medicine in low] == [("Ramipril", 5)]


def test_a_medicine_of_nobody_here_is_refused_by_field(api: Any):
    told = api.post("/medicines", {"member_id": api.home.id, "name": "X", "strength": "1 mg"})

    assert (told.status_code, told.get_json()["field"]) == (422, "member_id")


def test_a_schedule_is_told_as_it_is_stored(api: Any):
    medicine_id = api.add_medicine()["id"]

    told = api.put(
        f"/medicines/{medicine_id}/schedule",
        {"steps": [{"time": "08:00", "amount": "0.50", "weekdays": ["fri", "mon"]}]},
    )

    assert told.get_json() == api.get(f"/medicines/{medicine_id}/schedule").get_json()
    assert told.get_json()["steps"] == [
        {"time": "08:00:00", "amount": "0.5", "weekdays": ["mon", "fri"], "starts_on": None, "ends_on": None}
    ]
    assert (told.get_json()["zone"], told.get_json()["starts_on"]) == ("UTC", "2026-03-04")


def test_a_medicine_without_a_schedule_says_so(api: Any):
    assert api.get(f"/medicines/{api.add_medicine()['id']}/schedule").status_code == 404


def test_the_ledger_explains_the_count(api: Any):
    medicine_id = api.add_medicine(on_hand="10")["id"]
    api.post(f"/medicines/{medicine_id}/stock/refill", {"amount": "28"})
    told = api.post(f"/medicines/{medicine_id}/stock/recount", {"counted": "37.5", "reason": "half a tablet broke"})

    ledger = api.get(f"/medicines/{medicine_id}/stock").get_json()

    assert (told.get_json()["amount"], told.get_json()["on_hand"], ledger["on_hand"]) == ("-0.5", "37.5", "37.5")
    assert [(line["kind"], line["amount"]) for line in ledger["items"]] == [
        ("recount", "-0.5"),
        ("refill", "28"),
        ("opening", "10"),
    ]
    assert ledger["items"][0]["reason"] == "half a tablet broke"


def test_medicines_are_found_by_a_part_of_their_name_or_of_an_ingredient_s(api: Any):
    api.add_medicine(name="Panadol 100%", ingredients=[{"name": "Paracetamol"}])
    api.add_medicine(name="Ramipril")

    found = {
        word: [each["name"] for each in api.get("/medicines", search=word).get_json()["items"]]
        for word in ("CETA", "100%", "x")
    }

    assert found == {"CETA": ["Panadol 100%"], "100%": ["Panadol 100%"], "x": []}


def test_medicines_are_filtered_by_member_form_supply_and_archive(api: Any):
    api.add_medicine(name="Syrup", form="syrup")
    ana_s = api.add_medicine(name="Hers", member_id=api.home.ana)["id"]
    scarce = api.add_medicine(name="Scarce", on_hand="1")["id"]
    gone = api.add_medicine(name="Gone")["id"]
    api.dose_of(scarce)
    api.send("DELETE", f"/medicines/{gone}")

    def names(**query: str) -> list[str]:
        return [each["name"] for each in api.get("/medicines", **query).get_json()["items"]]

    assert (names(form="syrup"), names(member=api.home.ana), names(low="true"), names(archived="true")) == (
        ["Syrup"],
        ["Hers"],
        ["Scarce"],
        ["Gone"],
    )
    assert (names(low="false", sort="name"), api.get(f"/medicines/{ana_s}").status_code) == (["Hers", "Syrup"], 200)


@pytest.mark.parametrize(("sort", "order"), [("added", "bAc"), ("name", "Abc"), ("runs_out", "cAb")])
def test_every_sort_comes_in_pages_without_a_gap_or_a_double(api: Any, sort: str, order: str):
    for name, on_hand in (("b", "30"), ("A", "20"), ("c", "10")):
        api.dose_of(api.add_medicine(name=name, on_hand=on_hand)["id"])

    found, cursor = [], {}
    while True:
        page = api.get("/medicines", sort=sort, limit=1, **cursor).get_json()
        found += [each["name"] for each in page["items"]]
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert "".join(found) == order


@pytest.mark.parametrize(
    ("ingredients", "field"),
    [
        ([{"name": "a", "amount": "1"}], "ingredients[0].unit"),
        ([{"name": "a", "unit": "mg"}], "ingredients[0].unit"),
        ([{"name": "a"}, {"name": " A"}], "ingredients[1].name"),
        ([{"name": "a", "amount": "1", "unit": "stone"}], "ingredients[0].unit"),
        (["a"], "ingredients[0]"),
    ],
)
def test_a_wrong_ingredient_is_refused_by_name(api: Any, ingredients: list[Any], field: str):
    told = api.post(
        "/medicines", {"member_id": api.home.bruno, "name": "X", "strength": "1 mg", "ingredients": ingredients}
    )

    assert (told.status_code, told.get_json()["field"]) == (422, field)
