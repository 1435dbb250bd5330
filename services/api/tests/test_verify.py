"""`dosette verify` finds and names whatever was altered behind Dosette's back."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg2
import pytest

from dosette.actions import history
from dosette.actions.history import Fault
from dosette.testing import NOON
from dosette_local.servers.postgres import Postgres

Tamper = Callable[[str], None]


@pytest.fixture
def lived(api: Any) -> Any:
    """Six doses taken, corrected, skipped, undone and extra; packages used."""
    medicines = [api.add_medicine(name=name)["id"] for name in "ABCD"]
    ids = [api.dose_of(medicine_id)["id"] for medicine_id in medicines]
    api.post(f"/medicines/{medicines[0]}/stock/refill", {"amount": "5", "batch": "A"})
    api.clock.now = NOON + timedelta(minutes=31)
    for dose_id in ids:
        api.post(f"/doses/{dose_id}/take", {"amount": "0.5"})
    api.post(f"/doses/{ids[1]}/correct", {"at": NOON.isoformat()})
    api.post(f"/doses/{ids[2]}/undo")
    api.post(f"/doses/{ids[2]}/skip", {"reason": "felt unwell"})
    api.post(f"/doses/{ids[3]}/take", {"extra": True})
    return api


@pytest.fixture
def tamper(lived: Any, postgres: Postgres) -> Iterator[Tamper]:
    """Somebody with the database's password."""
    connection = psycopg2.connect(
        f"{postgres.url.rsplit('/', 1)[0]}/{lived.home.server.name}", options="-c search_path=dosette"
    )
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE dose_events DISABLE TRIGGER ALL; ALTER TABLE stock_entries DISABLE TRIGGER ALL")
        yield cursor.execute
    connection.close()


def _faults(api: Any) -> list[Fault]:
    return list(history.verify(api.home.database, api.home.reader()).faults)


def test_a_life_that_nobody_tampered_with_has_no_fault(lived: Any):
    chain = history.verify(lived.home.database, lived.home.reader())

    assert (chain.household, chain.events, len(chain.head), chain.faults) == ("Home", 8, 64, ())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("dose_id", "(SELECT dose_id FROM dose_events WHERE seq = 1)"),
        ("kind", "'missed'"),
        ("at", "at + interval '1 second'"),
        ("recorded_at", "recorded_at - interval '1 second'"),
        ("by_member", "NULL"),
        ("source", "'panel'"),
        ("key", "'another'"),
        ("reason", "'a better one'"),
        ("detail", "'{}'"),
        ("salt", "''"),
        ("content_digest", "sha256('')"),
        ("hash", "sha256('')"),
    ],
)
def test_an_altered_event_is_named(lived: Any, tamper: Tamper, column: str, value: str):
    tamper(f"UPDATE dose_events SET {column} = {value} WHERE seq = 4")  # noqa: S608

    assert "event 4" in {fault.which for fault in _faults(lived) if fault.list == "dose_events"}


def test_a_missing_event_is_named_by_its_place(lived: Any, tamper: Tamper):
    tamper("DELETE FROM dose_events WHERE seq IN (3, 4)")

    assert Fault("dose_events", "event 5", "events 3 to 4 are missing before it") in _faults(lived)


def test_missing_newest_events_are_noticed(lived: Any, tamper: Tamper):
    tamper("DELETE FROM dose_events WHERE seq > 6")

    assert Fault("dose_events", "event 8", "the newest events are missing: the last one there is number 6") in _faults(
        lived
    )


def test_events_in_another_order_are_named(lived: Any, tamper: Tamper):
    tamper("UPDATE dose_events SET seq = seq + 100 WHERE seq IN (2, 3)")
    tamper("UPDATE dose_events SET seq = 105 - seq WHERE seq > 100")

    assert {"event 2", "event 3"} <= {fault.which for fault in _faults(lived)}


def test_a_forged_event_is_named(lived: Any, tamper: Tamper):
    tamper(
        "INSERT INTO dose_events SELECT household_id, 9, dose_id, 'undone', at, recorded_at, by_member, device_id, source, key, reason,"
        " salt, content_digest, hash FROM dose_events WHERE seq = 8"
    )

    assert "event 9" in {fault.which for fault in _faults(lived)}


def test_a_dose_that_is_not_what_its_last_event_says_is_named(lived: Any, tamper: Tamper):
    dose_id = lived.get("/doses", state="skipped").get_json()["items"][0]["id"]

    tamper(f"UPDATE doses SET status = 'missed' WHERE id = '{dose_id}'")  # noqa: S608

    assert _faults(lived) == [Fault("doses", dose_id, "it is missed, and its last event says skipped")]


def test_a_dose_at_another_time_than_its_last_event_says_is_named(lived: Any, tamper: Tamper):
    dose_id = lived.get("/doses", state="skipped").get_json()["items"][0]["id"]

    tamper(f"UPDATE doses SET resolved_at = resolved_at - interval '1 hour' WHERE id = '{dose_id}'")  # noqa: S608

    (fault,) = _faults(lived)
    assert (fault.which, fault.what.startswith("its time is 2026-03-04 11:31:00+00")) == (dose_id, True)


def test_a_count_that_is_not_the_sum_of_its_ledger_is_named(lived: Any, tamper: Tamper):
    tamper("UPDATE stock SET on_hand = on_hand + 1 WHERE medicine_id = (SELECT medicine_id FROM packages)")
    tamper("UPDATE packages SET amount_left = 99")

    assert {(fault.list, fault.what) for fault in _faults(lived)} == {
        ("stock", "the count is 35.5, and its entries sum to 34.5"),
        ("packages", "99 are left, and its entries sum to 4.5"),
    }


def test_a_taking_without_its_stock_entry_is_named(lived: Any, tamper: Tamper):
    tamper("DELETE FROM stock_entries WHERE amount = -1")

    assert "stock entries of 0, and 1 were taken" in {fault.what for fault in _faults(lived)}
