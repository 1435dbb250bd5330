"""What is wrong is refused by name, and nothing changes."""

from typing import Any

import pytest

NOT_A_SCHEDULE = [
    ({}, "steps"),
    ({"steps": []}, "steps"),
    ({"steps": [{"time": "25:00"}]}, "steps[0].time"),
    ({"steps": [{"time": "08:00\n"}]}, "steps[0].time"),
    ({"steps": [{"time": 800}]}, "steps[0].time"),
    ({"steps": [{"time": "08:00", "amount": 1}]}, "steps[0].amount"),
    ({"steps": [{"time": "08:00", "amount": "0.0"}]}, "steps[0].amount"),
    ({"steps": [{"time": "08:00", "amount": "NaN"}]}, "steps[0].amount"),
    ({"steps": [{"time": "08:00", "amount": "1e9"}]}, "steps[0].amount"),
    ({"steps": [{"time": "08:00", "weekdays": []}]}, "steps[0].weekdays"),
    ({"steps": [{"time": "08:00", "weekdays": ["monday"]}]}, "steps[0].weekdays[0]"),
    ({"steps": [{"time": "08:00"}], "zone": "Mars/Olympus"}, "zone"),
    ({"steps": [{"time": "08:00"}], "zone": "../../etc/passwd"}, "zone"),
    ({"steps": [{"time": "08:00"}], "starts_on": "2026-03-09", "ends_on": "2026-03-08"}, "ends_on"),
    ({"steps": [{"time": "08:00"}, {"time": "08:00:00"}]}, "steps[1].time"),
    ({"steps": [{"time": "08:00"}], "colour": "red"}, "colour"),
    ({"steps": [{"time": "08:00"}], "window_minutes": 0}, "window_minutes"),
    ({"steps": [{}]}, "steps[0].time"),
    ({"steps": [{"time": "08:00", "starts_on": "2026-03-09", "ends_on": "2026-03-08"}]}, "steps[0].ends_on"),
    ({"steps": [{"time": "08:00", "starts_on": "9999-12-31"}]}, "steps[0].starts_on"),
    (
        {"steps": [{"time": "08:00", "ends_on": "2026-03-09"}, {"time": "08:00", "starts_on": "2026-03-09"}]},
        "steps[1].time",
    ),
    ({"steps": [{"time": "08:00"}], "every_days": 2, "month_days": [1]}, "month_days"),
    ({"steps": [{"time": "08:00", "weekdays": ["mon"]}], "every_days": 2}, "steps[0].weekdays"),
    ({"steps": [{"time": "08:00"}], "every_days": 0}, "every_days"),
    ({"steps": [{"time": "08:00"}], "month_days": [32]}, "month_days[0]"),
    ({"steps": [{"time": "08:00"}], "days_on": 21}, "days_off"),
    ({"steps": [{"time": "08:00"}], "every_minutes": 480}, "every_minutes"),
    ({"steps": [{"time": "08:00"}], "min_gap_minutes": 240}, "min_gap_minutes"),
    (
        {"steps": [{"time": "08:00"}], "pauses": [{"starts_on": "2026-03-09", "ends_on": "2026-03-08"}]},
        "pauses[0].ends_on",
    ),
    ({"steps": [{"time": "08:00"}], "pauses": [{}]}, "pauses[0].starts_on"),
    ({"kind": "elapsed", "steps": [{}]}, "every_minutes"),
    ({"kind": "elapsed", "steps": [{"time": "08:00"}], "every_minutes": 480}, "steps[0].time"),
    ({"kind": "elapsed", "steps": [{}, {}], "every_minutes": 480}, "steps[1].time"),
    ({"kind": "elapsed", "steps": [{}], "every_minutes": 1}, "every_minutes"),
    ({"kind": "elapsed", "steps": [{}], "every_minutes": 480, "anchor_at": "2026-03-04T12:00:00"}, "anchor_at"),
    ({"kind": "elapsed", "steps": [{}], "every_minutes": 480, "days_on": 1, "days_off": 1}, "days_off"),
    ({"kind": "as_needed", "steps": [{}, {}]}, "steps[1]"),
    ({"kind": "as_needed", "steps": [{"amount": "2"}], "most_per_24_h": "1"}, "most_per_24_h"),
    ({"kind": "as_needed", "steps": [{}], "window_minutes": 5}, "window_minutes"),
    ({"kind": "sometimes", "steps": [{}]}, "kind"),
]


@pytest.mark.parametrize(("body", "field"), NOT_A_SCHEDULE)
def test_a_wrong_schedule_is_refused_by_field_and_changes_nothing(api: Any, body: dict[str, Any], field: str):
    medicine_id = api.add_medicine()["id"]

    told = api.put(f"/medicines/{medicine_id}/schedule", body)

    assert (told.status_code, told.get_json()["field"]) == (422, field), told.text
    assert api.get(f"/medicines/{medicine_id}/schedule").status_code == 404


@pytest.mark.parametrize("text", ["a\x00b", "line\nbreak", "", "x" * 101])
def test_a_name_that_is_not_one_line_of_text_is_refused(api: Any, text: str):
    told = api.post("/medicines", {"member_id": api.home.bruno, "name": text, "strength": "1 mg"})

    assert (told.status_code, told.get_json()["field"]) == (422, "name")


@pytest.mark.parametrize("text", [" ", "\N{NO-BREAK SPACE}", "\N{EM SPACE} ", "\N{ZERO WIDTH SPACE}"])
def test_a_name_of_which_nothing_can_be_seen_is_refused_in_a_sentence(api: Any, text: str):
    told = api.post("/medicines", {"member_id": api.home.bruno, "name": text, "strength": "1 mg"})

    assert told.status_code == 422
    assert told.get_json()["detail"] == "name: Expected a line of text of which something can be seen"


@pytest.mark.parametrize("text", ["Ñ", " α ", "药", "5\N{NO-BREAK SPACE}mg"])
def test_a_name_of_which_something_can_be_seen_is_one(api: Any, text: str):
    told = api.post("/medicines", {"member_id": api.home.bruno, "name": text, "strength": "1 mg"})

    assert told.status_code == 201


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"name": "\\ud800"}', b"[" * 100_000, b"[1, 2"])
def test_a_body_that_is_not_json_is_refused(api: Any, raw: bytes):
    told = api.send("POST", "/medicines", data=raw[:60_000], content_type="application/json")

    assert told.status_code in (400, 422)
    assert told.content_type == "application/problem+json"


def test_a_body_of_another_type_is_refused(api: Any):
    told = api.send("POST", "/medicines", data="name=X", content_type="application/x-www-form-urlencoded")

    assert (told.status_code, told.get_json()["type"]) == (400, "urn:dosette:problem:malformed")


def test_a_body_of_a_megabyte_is_refused(api: Any):
    told = api.send("POST", "/medicines", data=b" " * 1_000_000, content_type="application/json")

    assert (told.status_code, told.content_type) == (413, "application/problem+json")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"since": "2026-03-04T12:00:00"}, "since"),
        ({"since": "1700000000"}, "since"),
        ({"since": "0031-10-24T08:00:09+17:36"}, "since"),
        ({"until": "9999-12-31T23:59:59-12:00"}, "until"),
        ({"member": "Ana"}, "member"),
        ({"cursor": "x"}, "cursor"),
        ({"page": "2"}, "page"),
        ({"limit": ["1", "2"]}, "limit"),
    ],
)
@pytest.mark.parametrize("path", ["/history", "/doses"])
def test_a_wrong_parameter_is_refused_by_name(api: Any, path: str, query: dict[str, Any], field: str):
    told = api.get(path, **query)

    assert (told.status_code, told.get_json()["field"]) == (422, field), told.text


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer ", "Basic abc", "Bearer dosette_guess", "Bearer \xff"])
def test_without_a_valid_token_nothing_is_told(api: Any, header: str | None):
    headers = {} if header is None else {"Authorization": header}

    told = api.client.get("/api/v1/medicines", headers=headers)

    assert (told.status_code, told.headers["WWW-Authenticate"]) == (401, 'Bearer realm="dosette"')


@pytest.mark.parametrize("path", ["/medicines/1", "/nothing", "/doses/01980000-0000-7000-8000-000000000001/eat"])
def test_what_is_not_there_is_a_problem_too(api: Any, path: str):
    told = api.get(path)

    assert (told.status_code, told.content_type) == (404, "application/problem+json")


def test_a_wrong_method_says_which_are_right(api: Any):
    told = api.send("DELETE", "/history")

    assert told.status_code == 405
    assert "GET" in told.headers["Allow"]


@pytest.mark.parametrize("key", ["", "with space", "ü", "x" * 201])
def test_a_key_that_is_none_is_refused(api: Any, key: str):
    told = api.send("POST", f"/doses/{api.home.id}/take", headers={"Idempotency-Key": key})

    assert told.status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/doses/{id}/take", {"amount": "0"}, "amount"),
        ("/doses/{id}/take", {"amount": 1}, "amount"),
        ("/doses/{id}/take", {"at": "2026-03-04T12:00:00"}, "at"),
        ("/doses/{id}/take", {"at": 1772625600}, "at"),
        ("/doses/{id}/take", {"override_reason": ""}, "override_reason"),
        ("/doses/{id}/snooze", {"minutes": 0}, "minutes"),
        ("/doses/{id}/snooze", {"minutes": "10"}, "minutes"),
        ("/doses/{id}/correct", {}, "at"),
        ("/doses/{id}/skip", {"reason": "a\x00b"}, "reason"),
        ("/medicines/batch-take", {"items": []}, "items"),
        ("/medicines/batch-take", {"items": [{"dose_id": "1"}]}, "items[0].dose_id"),
        ("/medicines/{id}/stock/refill", {"amount": "1", "expires_on": "tomorrow"}, "expires_on"),
        ("/medicines/{id}/stock/refill", {"amount": "1", "package_id": "{id}", "batch": "A"}, "package_id"),
        ("/medicines/{id}/stock/loss", {"amount": "-1"}, "amount"),
        ("/medicines/{id}/stock/recount", {"counted": "1.00001"}, "counted"),
        ("/conflicts/{id}/resolve", {"verdict": "maybe"}, "verdict"),
        ("/household/zone/preview", {"zone": "Mars/Olympus"}, "zone"),
        ("/household/zone/preview", {"zone": "UTC", "until": "2026-03-04T11:00:00Z"}, "until"),
    ],
)
def test_a_wrong_action_is_refused_by_field_and_leaves_no_trace(api: Any, path: str, body: dict[str, Any], field: str):
    dose = api.dose_of(api.add_medicine()["id"])
    named = {
        name: value.replace("{id}", dose["id"]) if isinstance(value, str) else value for name, value in body.items()
    }

    told = api.post(path.replace("{id}", dose["id"]), named)

    assert (told.status_code, told.get_json()["field"]) == (422, field), told.text
    assert api.get("/history").get_json()["items"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [({"sort": "price"}, "sort"), ({"low": "1"}, "low"), ({"search": ""}, "search"), ({"form": "x"}, "form")],
)
def test_a_wrong_filter_of_medicines_is_refused_by_name(api: Any, query: dict[str, str], field: str):
    told = api.get("/medicines", **query)

    assert (told.status_code, told.get_json()["field"]) == (422, field)
