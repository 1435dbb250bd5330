"""A fault at each step of a request: the client asks again with the same key, and it was done once."""

from collections.abc import Iterator
from typing import Any

import pytest

from dosette.faults import arm


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm(None)


@pytest.mark.parametrize(("point", "done_already"), [("A1", False), ("A2", False), ("A3", True), ("A4", True)])
def test_after_a_fault_the_same_key_gets_the_answer_and_it_was_done_once(api: Any, point: str, done_already: bool):
    dose = api.dose_of(api.add_medicine(on_hand="10")["id"])

    arm(f"{point}:raise")
    failed = api.post(f"/doses/{dose['id']}/take", key="mine")
    arm(None)
    again = api.post(f"/doses/{dose['id']}/take", key="mine")

    assert (failed.status_code, again.status_code) == (500, 200)
    assert ("Idempotency-Replayed" in again.headers) == done_already
    assert api.get(f"/medicines/{dose['medicine']['id']}").get_json()["on_hand"] == "9"
    assert len(api.get("/history").get_json()["items"]) == 1
