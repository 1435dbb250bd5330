"""A fault at each step of a request: the client asks again with the same key, and it was done once."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
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


FULL = """
    CREATE FUNCTION dosette.no_room() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
    GRANT EXECUTE ON FUNCTION dosette.no_room() TO PUBLIC;
    CREATE TRIGGER no_room BEFORE INSERT ON dosette.dose_events FOR EACH ROW EXECUTE FUNCTION dosette.no_room()
"""


def test_with_the_disk_full_a_dose_is_said_not_to_be_saved_and_can_be_taken_when_there_is_room_again(
    api: Any, postgres_url: Callable[[str], str]
):
    dose = api.dose_of(api.add_medicine(on_hand="10")["id"])
    superuser = postgres_url(api.home.server.name)
    _execute(superuser, FULL)

    told = api.post(f"/doses/{dose['id']}/take", key="mine")
    _execute(superuser, "DROP TRIGGER no_room ON dosette.dose_events")
    again = api.post(f"/doses/{dose['id']}/take", key="mine")

    assert (told.status_code, told.headers["Retry-After"]) == (503, "2")
    assert "nothing was saved" in told.get_json()["detail"]
    assert (again.status_code, again.headers.get("Idempotency-Replayed")) == (200, None)


def _execute(url: str, query: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(query)
