"""What goes over the wire: ETags, 304, gzip."""

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest

from dosette.testing import NOON

READS = ("/medicines", "/medicines/pending", "/medicines/low-stock", "/doses", "/history", "/adherence", "/household")


@pytest.mark.parametrize("path", READS)
def test_a_read_of_what_has_not_changed_is_304_without_a_body(api: Any, path: str):
    api.dose_of(api.add_medicine()["id"])
    first = api.get(path)

    again = api.send("GET", path, headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


def test_a_change_of_the_household_or_of_the_hour_is_a_new_etag(api: Any):
    dose = api.dose_of(api.add_medicine()["id"])
    planned = api.get("/doses").headers["ETag"]

    api.clock.now = NOON + timedelta(minutes=31)
    due = api.send("GET", "/doses", headers={"If-None-Match": planned})
    api.post(f"/doses/{dose['id']}/take")
    taken = api.send("GET", "/doses", headers={"If-None-Match": due.headers["ETag"]})

    assert (due.status_code, taken.status_code) == (200, 200)


def test_one_household_s_etag_is_not_anothers_secret(api: Any):
    told = api.get("/medicines")

    assert "Authorization" in told.headers["Vary"]
    assert told.headers["Cache-Control"] == "private, no-cache"


def test_a_large_body_is_gzipped_for_who_can_read_it(api: Any):
    for number in range(10):
        api.add_medicine(name=f"Medicine {number}")
    plain = api.get("/medicines")

    packed = api.send("GET", "/medicines", headers={"Accept-Encoding": "gzip"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.data)) == plain.get_json()
    assert len(packed.data) < len(plain.data) / 4
    assert packed.headers["ETag"] == plain.headers["ETag"]


@pytest.mark.parametrize("accepts", ["", "identity", "gzip;q=0", "br"])
def test_who_does_not_ask_for_gzip_gets_none(api: Any, accepts: str):
    for number in range(10):
        api.add_medicine(name=f"Medicine {number}")

    told = api.send("GET", "/medicines", headers={"Accept-Encoding": accepts})

    assert "Content-Encoding" not in told.headers


def test_a_small_body_is_not_worth_gzip(api: Any):
    told = api.send("GET", "/household", headers={"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in told.headers


def test_a_large_change_s_answer_is_gzipped_too_and_has_no_etag(api: Any):
    items = [{"dose_id": api.home.id}] * 100

    told = api.send(
        "POST",
        "/medicines/batch-take",
        json={"items": items},
        headers={"Accept-Encoding": "gzip", "Idempotency-Key": "k"},
    )

    assert (told.headers["Content-Encoding"], "ETag" in told.headers) == ("gzip", False)
