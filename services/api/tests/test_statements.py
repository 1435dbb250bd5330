"""What each call costs the database: the messages that it sends, so that an N+1 can't come back.

A message is one round trip, one transaction, one commit: the entry and one prepared statement.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from dosette.actions import alarms, devices, doses
from dosette.actions.devices import ServerKeys
from dosette.domain.doses import When
from dosette.storage.connection import Database
from dosette.testing import NOON, a_press

STEPS = {"steps": [{"time": "13:00"}]}


@dataclass(frozen=True)
class Call:
    """One call of an operation; `messages` is what it may cost. Names in braces are ids of the household below."""

    method: str
    path: str
    body: Any = None
    messages: int = 1
    status: int = 200


OPERATIONS = {  # as the benchmark names them
    "get_all_medicines": Call("GET", "/medicines?limit=200"),
    "get_medicine_by_id": Call("GET", "/medicines/{medicine}"),
    "get_pending_medicines": Call("GET", "/medicines/pending"),
    "get_low_stock_medicines": Call("GET", "/medicines/low-stock"),
    "mark_medicine_taken": Call("POST", "/doses/{dose}/take"),
    "update_medicine": Call("PATCH", "/medicines/{medicine}", {"note": "with food"}),
    "get_tracking_history": Call("GET", "/history?medicine={medicine}&limit=200"),
    "get_tracking_history_by_date_range": Call(
        "GET", "/history?since=2026-02-01T00:00:00Z&until=2026-03-31T00:00:00Z&limit=200"
    ),
    "batch_mark_taken": Call(
        "POST", "/medicines/batch-take", {"items": [{"dose_id": "{dose}"}, {"medicine_id": "{other}"}] * 20}
    ),
}
CALLS = {
    "list_medicines": OPERATIONS["get_all_medicines"],
    "get_medicine": OPERATIONS["get_medicine_by_id"],
    "list_pending": OPERATIONS["get_pending_medicines"],
    "list_low_stock": OPERATIONS["get_low_stock_medicines"],
    "take_dose": OPERATIONS["mark_medicine_taken"],
    "change_medicine": OPERATIONS["update_medicine"],
    "list_history": OPERATIONS["get_tracking_history"],
    "take_batch": OPERATIONS["batch_mark_taken"],
    "adherence": Call("GET", "/adherence?since_on=2026-02-01&until_on=2026-03-31&by=day"),
    "add_medicine": Call(
        "POST", "/medicines", {"member_id": "{bruno}", "name": "X", "strength": "1 g", "on_hand": "5"}, status=201
    ),
    "replace_medicine": Call("PUT", "/medicines/{medicine}", {"name": "X", "strength": "1 g"}),
    "archive_medicine": Call("DELETE", "/medicines/{medicine}", status=204),
    "take_medicine": Call("POST", "/medicines/{medicine}/take"),
    "skip_dose": Call("POST", "/doses/{dose}/skip"),
    "snooze_dose": Call("POST", "/doses/{dose}/snooze"),
    "undo_dose": Call("POST", "/doses/{taken}/undo"),
    "correct_dose": Call("POST", "/doses/{taken}/correct", {"at": NOON.isoformat()}),
    "get_dose": Call("GET", "/doses/{dose}"),
    "list_doses": Call("GET", "/doses?limit=200"),
    "list_conflicts": Call("GET", "/conflicts"),
    "resolve_conflict": Call("POST", "/conflicts/{conflict}/resolve", {"verdict": "taken"}),
    "get_stock": Call("GET", "/medicines/{medicine}/stock"),
    "refill": Call("POST", "/medicines/{medicine}/stock/refill", {"amount": "1", "batch": "A"}, status=201),
    "recount": Call("POST", "/medicines/{medicine}/stock/recount", {"counted": "1"}, status=201),
    "lose": Call("POST", "/medicines/{medicine}/stock/loss", {"amount": "1"}, status=201),
    "get_schedule": Call("GET", "/medicines/{medicine}/schedule"),
    "list_versions": Call("GET", "/medicines/{medicine}/schedule/versions"),
    "put_schedule": Call("PUT", "/medicines/{medicine}/schedule", STEPS, messages=2),
    "preview_schedule": Call("POST", "/medicines/{medicine}/schedule/preview", STEPS),
    "export_household": Call("GET", "/export", messages=0),  # page by page over a connection of its own
    "import_household": Call("POST", "/import", {}, messages=1, status=422),  # test_exports.py counts a whole one
    "get_household": Call("GET", "/household"),
    "change_household": Call("PATCH", "/household", {"lead_days": 3}),
    "move_household": Call("PUT", "/household/zone", {"zone": "Asia/Tokyo", "doses": "shift"}, messages=2),
    "preview_trip": Call("POST", "/household/zone/preview", {"zone": "Asia/Tokyo"}),
    "list_members": Call("GET", "/members"),
    "add_member": Call("POST", "/members", {"name": "Clara"}, status=201),
    "get_member": Call("GET", "/members/{bruno}"),
    "change_member": Call("PATCH", "/members/{bruno}", {"second_id": "{ana}", "names_medicines": True}),
    "list_contacts": Call("GET", "/contacts"),
    "add_contact": Call(
        "POST", "/contacts", {"member_id": "{bruno}", "channel": "mqtt", "address": "dosette/bruno"}, status=201
    ),
    "get_contact": Call("GET", "/contacts/{contact}"),
    "remove_contact": Call("DELETE", "/contacts/{contact}", status=204),
    "test_contact": Call("POST", "/contacts/{contact}/test", status=202),
    "list_reminders": Call("GET", "/reminders"),
    "claim_reminder": Call("POST", "/reminders/{reminder}/claim"),
    "dismiss_reminder": Call("POST", "/reminders/{alarm}/dismiss"),
    "list_devices": Call("GET", "/devices"),
    "pair_device": Call("POST", "/devices", {"name": "Cellar"}, status=201),
    "rotate_device": Call("POST", "/devices/{device}/rotate"),
    "revoke_device": Call("DELETE", "/devices/{device}", status=204),
    "get_frame": Call("GET", "/devices/{device}/frame.png", status=404),
}


@pytest.fixture
def full(api: Any, database_of: Any) -> dict[str, str]:
    """Ids in a household with thirty medicines, doses to take and taken, and a conflict; the clock says half past twelve."""
    medicines = [api.add_medicine(name=f"Medicine {number}")["id"] for number in range(30)]
    ids = [api.dose_of(medicine_id)["id"] for medicine_id in medicines]
    panel = devices.pair(api.home.database, api.home.console, "Kitchen", ServerKeys("secret"), "redis:6379", "", NOON)
    api.post("/medicines/batch-take", {"items": [{"dose_id": dose_id} for dose_id in ids[10:]]})
    doses.take_in(database_of("scheduler"), a_press(panel.device_id, ids[11]), When(NOON), NOON)
    conflict = api.get("/conflicts").get_json()["items"][0]["id"]
    api.clock.now = NOON + timedelta(minutes=30)
    alarms.raise_one(database_of("scheduler"), api.home.id, "low_stock", medicines[0], None, NOON)
    contact = {"member_id": api.home.bruno, "channel": "file", "address": "bruno.jsonl"}
    names = {"medicine": medicines[0], "other": medicines[1], "dose": ids[0], "taken": ids[12], "bruno": api.home.bruno}
    reminders = {each["kind"]: each["id"] for each in api.get("/reminders").get_json()["items"]}
    names |= {"reminder": reminders["dose"], "alarm": reminders["low_stock"], "ana": api.home.ana}
    names |= {"contact": api.post("/contacts", contact).get_json()["id"]}
    return names | {"conflict": conflict, "device": panel.device_id}


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every message that any database sends from now on."""
    sent: list[object] = []
    run = Database._borrowed

    def counted(self: Database, use: Any, statement: str = "none") -> Any:
        sent.append(use)
        return run(self, use, statement)

    monkeypatch.setattr(Database, "_borrowed", counted)
    return sent


def test_every_operation_that_is_described_is_counted(api: Any):
    described = api.get("/openapi.json").get_json()["paths"].values()

    assert {operation["operationId"] for path in described for operation in path.values()} == set(CALLS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_of_the_benchmark_is_one_message(name: str):
    assert OPERATIONS[name].messages == 1


@pytest.mark.parametrize("name", CALLS | OPERATIONS)
def test_a_call_costs_as_many_messages_as_is_said(api: Any, full: dict[str, str], messages: list[object], name: str):
    call = (CALLS | OPERATIONS)[name]
    del messages[:]

    told = api.send(
        call.method, _named(call.path, full), json=_named(call.body, full), headers={"Idempotency-Key": "key"}
    )

    assert told.status_code == call.status, told.text
    assert len(messages) == call.messages


def _named(said: Any, ids: dict[str, str]) -> Any:
    """`said` with the names in braces replaced."""
    if isinstance(said, dict):
        return {name: _named(value, ids) for name, value in said.items()}
    if isinstance(said, list):
        return [_named(value, ids) for value in said]
    return said.format(**ids) if isinstance(said, str) else said
