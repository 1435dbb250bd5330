"""A household as one file, and a household from one: on a second, empty database as on another server."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from prometheus_client import REGISTRY

from conftest import Server
from dosette.actions import alarms, devices, doses, exports, households, reminders, restores, schedules
from dosette.actions.devices import ServerKeys
from dosette.actions.reminders import Sent
from dosette.domain.doses import When
from dosette.domain.members import MEMBERS, READ, SCOPES
from dosette.storage import exports as export_sql
from dosette.storage.access import at_console
from dosette.storage.connection import Database
from dosette.testing import NOON, a_press
from dosette_api.app import create_app
from dosette_api.household import Household
from dosette_local.servers.postgres import Postgres

LISTS = tuple(export_sql.LISTS)


@pytest.fixture
def elsewhere(other_server: Server) -> Iterator[Any]:
    """A client of another server, of whose only household nothing is known but its token."""
    database = other_server.database("api")
    household_id = households.found(database, "Empty", "UTC", NOON)
    token = households.add_token(database, at_console(household_id), "move", None, SCOPES, NOON)
    client = create_app(Household(database, lambda: NOON + timedelta(hours=1), None)).test_client()

    def send(method: str, path: str, headers: dict[str, str] | None = None, **said: Any) -> Any:
        bearer = {"Authorization": f"Bearer {token}"}
        return client.open(f"/api/v1{path}", method=method, headers=bearer | (headers or {}), **said)

    send.database = database  # type: ignore[attr-defined]
    yield send
    database.close()


@pytest.fixture
def full(api: Any, database_of: Callable[[str], Database]) -> Any:
    """A household with a row of every kind in every list."""
    scheduler, worker = database_of("scheduler"), database_of("worker")
    fixed, elapsed, needed, gone = (
        api.add_medicine(name=name, ingredients=[{"name": name, "amount": "0.5", "unit": "g"}])["id"] for name in "ABCD"
    )
    dose = api.dose_of(fixed)
    api.put(f"/medicines/{elapsed}/schedule", {"kind": "elapsed", "every_minutes": 480, "steps": [{"amount": "1.50"}]})
    rule = {"kind": "as_needed", "steps": [{}], "most_per_24_h": "4.0", "pauses": [{"starts_on": "2026-05-01"}]}
    api.put(f"/medicines/{needed}/schedule", rule)
    households.add_contact(api.home.database, api.home.console, api.home.bruno, "file", "bruno.jsonl", NOON)
    api.post("/contacts", {"member_id": api.home.ana, "channel": "webhook", "address": "https://example.org/hook"})
    api.patch(f"/members/{api.home.bruno}", {"second_id": api.home.ana, "quiet_from": "22:30", "quiet_until": "06:30"})
    panel = devices.pair(
        api.home.database, api.home.console, "Kitchen", ServerKeys("secret"), "redis:6379", "", NOON
    ).device_id
    api.post(f"/medicines/{fixed}/stock/refill", {"amount": "10.5", "batch": "A", "expires_on": "2027-01-01"})
    api.post(f"/medicines/{elapsed}/take", {"amount": "1"})
    api.post(f"/medicines/{needed}/take", {"override_reason": "why not"})
    api.post(f"/doses/{dose['id']}/snooze")
    api.clock.now = NOON + timedelta(minutes=31)
    alarms.raise_one(scheduler, api.home.id, "low_stock", fixed, {"day": "2026-03-09"}, api.clock.now)
    rung = [each.id for each in reminders.tell_due(scheduler, api.clock.now) or ()]
    for claimed in reminders.claim(worker, rung, {"file": 9}, api.clock.now):
        sent = Sent(claimed.id, claimed.lease, claimed.attempts, api.clock.now)
        reminders.record(worker, [sent], api.clock.now)
    reminder = next(each for each in api.get("/reminders").get_json()["items"] if each["dose"])
    api.post(f"/reminders/{reminder['id']}/claim")
    api.post(f"/doses/{dose['id']}/take")
    api.post(f"/doses/{dose['id']}/correct", {"at": NOON.isoformat()})
    doses.take_in(scheduler, a_press(panel, dose["id"], at=NOON), When(api.clock.now), api.clock.now)
    extra = api.post(f"/doses/{dose['id']}/take", {"extra": True}).get_json()["id"]
    api.post(f"/doses/{extra}/undo")
    api.post(f"/medicines/{fixed}/stock/loss", {"amount": "0.25", "reason": 'é 😀 \\ "'})
    api.send("DELETE", f"/medicines/{gone}")
    api.patch("/household", {"closed_weekdays": ["sun"], "closed_on": ["2026-12-25"], "lead_days": 4})
    return api


def test_a_household_moves_to_another_server_and_is_the_same_again(full: Any, elsewhere: Any):
    file = full.get("/export")
    assert all(file.get_json()[name] for name in LISTS), "put a row into every list"

    told = elsewhere("POST", "/import", data=file.data, content_type="application/json")

    assert told.status_code == 200, told.text
    assert told.get_json() == {name: len(file.get_json()[name]) for name in LISTS}
    assert elsewhere("GET", "/export").data == file.data


def test_doses_of_which_a_restored_server_does_not_know_move_too(
    api: Any, elsewhere: Any, postgres_url: Callable[[str], str]
):
    api.dose_of(api.add_medicine()["id"])
    superuser = Database(postgres_url(api.home.server.name), "test")
    restores.begin_epoch(superuser, NOON + timedelta(hours=1))
    superuser.close()
    file = api.get("/export")
    assert "unknown" in {each["status"] for each in file.get_json()["doses"]}

    _moves_in(file, elsewhere)


def test_a_medicine_of_which_much_is_used_moves_too(api: Any, elsewhere: Any):
    medicine = api.add_medicine(form="syrup", unit="ml", on_hand="9000")["id"]
    api.put(
        f"/medicines/{medicine}/schedule", {"steps": [{"time": f"{hour}:00", "amount": "250"} for hour in (13, 19)]}
    )

    _moves_in(api.get("/export"), elsewhere)


def test_a_schedule_that_was_ended_as_of_yesterday_moves_too(api: Any, elsewhere: Any):
    medicine = api.add_medicine()["id"]
    api.put(f"/medicines/{medicine}/schedule", {"steps": [{"time": "12:30"}]})
    api.put(f"/medicines/{medicine}/schedule", {"steps": [{"time": "12:30"}], "ends_on": "2026-03-03"})

    _moves_in(api.get("/export"), elsewhere)


def _moves_in(file: Any, elsewhere: Any) -> None:
    told = elsewhere("POST", "/import", data=file.data, content_type="application/json")
    assert told.status_code == 200, told.text
    assert elsewhere("GET", "/export").data == file.data


def test_alarms_stay_and_messages_tell_of_doses_alone(full: Any):
    file = full.get("/export").get_json()

    kept = {reminder["id"] for reminder in file["reminders"]}
    told = [each for each in full.get("/reminders").get_json()["items"] if each["kind"] == "low_stock"]
    assert told
    assert not kept & {alarm["id"] for alarm in told}
    assert file["deliveries"]
    assert {each for delivery in file["deliveries"] for each in delivery["reminder_ids"]} <= kept


def test_who_is_told_next_moves_too(full: Any, elsewhere: Any):
    elsewhere("POST", "/import", data=full.get("/export").data, content_type="application/json")

    bruno = elsewhere("GET", f"/members/{full.home.bruno}").get_json()

    assert bruno == full.get(f"/members/{full.home.bruno}").get_json()
    assert (bruno["second_id"], bruno["quiet_from"]) == (full.home.ana, "22:30")


def test_the_same_state_gives_the_same_file_for_its_owner_alone(full: Any):
    first, second = full.get("/export"), full.get("/export")

    assert first.data == second.data
    assert first.headers["Content-Disposition"] == 'attachment; filename="dosette-export.json"'
    assert (first.get_json()["format"], first.get_json()["version"]) == ("dosette-household", 1)
    reads = households.add_token(full.home.database, full.home.console, "reads", None, [READ], NOON)
    assert full.send("GET", "/export", headers={"Authorization": f"Bearer {reads}"}).status_code == 403


def test_no_amount_is_a_json_number_and_no_secret_is_in_it(full: Any):
    text = full.get("/export").text

    def no_float(number: str) -> float:
        raise AssertionError(number)

    json.loads(text, parse_float=no_float)
    assert not any(word in text for word in ("token", "lease", 'digest": null', "password"))


def test_life_goes_on_where_a_household_moved_in(full: Any, elsewhere: Any):
    elsewhere("POST", "/import", data=full.get("/export").data, content_type="application/json")
    (due,) = [
        item
        for item in elsewhere("GET", "/doses?state=planned&limit=200").get_json()["items"]
        if item["kind"] == "elapsed"
    ][:1]
    medicine_id = due["medicine"]["id"]
    here = full.get(f"/medicines/{medicine_id}").get_json()

    there = elsewhere("GET", f"/medicines/{medicine_id}").get_json()
    taken = elsewhere("POST", f"/medicines/{medicine_id}/take", json={"extra": True}, headers={"Idempotency-Key": "k"})

    assert there == here
    assert taken.status_code == 200, taken.text
    events = elsewhere("GET", "/history").get_json()["items"]
    assert events[0]["seq"] == events[1]["seq"] + 1


def test_a_household_that_is_lived_in_takes_no_other(full: Any):
    told = full.send("POST", "/import", data=full.get("/export").data, content_type="application/json")

    assert (told.status_code, told.get_json()["members"]) == (409, 2)
    assert "this household is not empty (" in told.get_json()["detail"]


def test_ids_that_are_on_the_server_already_are_refused_by_name(full: Any):
    household_id = households.found(full.home.database, "Twin", "UTC", NOON)
    token = households.add_token(full.home.database, at_console(household_id), "move", None, SCOPES, NOON)
    raw = full.get("/export").data

    told = full.send(
        "POST", "/import", data=raw, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
    )

    first = min(json.loads(raw)["members"], key=lambda member: member["id"])["id"]
    assert (told.status_code, told.get_json()["list"], told.get_json()["id"]) == (409, "members", first)
    assert f"members: {first} is on this server already" in told.get_json()["detail"]


def _change(file: dict[str, Any], path: str, value: Any) -> None:
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    at: Any = file
    for step in way:
        at = at[step]
    at[last] = value


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("format", "something", "format"),
        ("version", 2, "format"),
        ("household.zone", "Mars/Olympus", "zone"),
        ("household.created_at", "2026-03-04T12:00:00", "household.created_at"),
        ("members.0.role", "king", "members[0].role"),
        ("members.1.name", "Ana", "members[1].name"),
        ("medicines.0.member_id", "01980000-0000-7000-8000-000000000001", "medicines[0].member_id"),
        ("doses.3.amount", 1, "doses[3].amount"),
        ("doses.3.amount", "NaN", "doses[3].amount"),
        ("doses.0.version", 9, "doses[0].version"),
        ("doses.0.colour", "red", "doses[0].colour"),
        ("dose_events.0.device_id", "01980000-0000-7000-8000-000000000001", "dose_events[0].device_id"),
        ("dose_events.1.seq", 1, "dose_events[1].seq"),
        ("stock_entries.0.reason", "a\x00b", "stock_entries[0].reason"),
        ("deliveries", {}, "deliveries"),
        ("deliveries.0.reminder_ids", ["01980000-0000-7000-8000-000000000001"], "deliveries[0].reminder_ids"),
        ("members.0.second_id", "01980000-0000-7000-8000-000000000001", "members[0].second_id"),
        ("members.0.quiet_from", "22:00:00", "members[0].quiet_until"),
        ("members.1.third_id", "01980000-0000-7000-8000-000000000001", "members[1].third_id"),
        ("contacts.0.channel", "pigeon", "contacts[0].channel"),
        ("contacts.0.address", "../etc/passwd", "contacts[0].address"),
        ("contacts.1.secret", "guess", "contacts[1].secret"),
        ("reminders.0.kind", "low_stock", "reminders[0].kind"),
        ("reminders.0.claimed_by", "01980000-0000-7000-8000-000000000001", "reminders[0].claimed_by"),
        ("deliveries.0.reminder_ids", [], "deliveries[0].reminder_ids"),
        ("deliveries.0.channel", "mqtt", "deliveries[0].channel"),
        ("deliveries.0.device_id", "01980000-0000-7000-8000-000000000001", "deliveries[0].device_id"),
        ("deliveries.0.made_at", None, "deliveries[0].made_at"),
        ("household.lead_days", 2_000_000_000, "household.lead_days"),
        ("household.closed_weekdays", [0, 1, 2, 3, 4, 5, 6], "household.closed_weekdays"),
        ("medicines.0.low_days", 10**12, "medicines[0].low_days"),
        (
            "medicines.0.ingredients",
            [{"name": "x", "amount": "-1", "unit": "mg"}],
            "medicines[0].ingredients[0].amount",
        ),
        ("schedule_versions.0.zone", "Mars/Olympus", "schedule_versions[0].zone"),
        ("schedule_versions.0.steps", [], "schedule_versions[0].steps"),
        ("schedule_versions.0.steps.0.time", "noon", "schedule_versions[0].steps[0].time"),
        ("schedule_versions.0.steps.0.weekdays", [], "schedule_versions[0].steps[0].weekdays"),
        ("schedule_versions.0.every_days", 0, "schedule_versions[0].every_days"),
        ("schedule_versions.1.every_minutes", None, "schedule_versions[1].every_minutes"),
        ("schedules.0.planned_until", "0001-01-01T00:00:00Z", "schedules[0].planned_until"),
        ("doses.0.amount", "0", "doses[0].amount"),
        ("doses.0.slot_time", "noon", "doses[0].slot_time"),
        ("doses.0.resolved_at", None, "doses[0].resolved_at"),
        ("stock_entries.0.at", "2026-03-04", "stock_entries[0].at"),
    ],
)
def test_a_wrong_value_or_reference_is_refused_by_name(full: Any, elsewhere: Any, path: str, value: Any, field: str):
    file = full.get("/export").get_json()
    _change(file, path, value)

    told = elsewhere("POST", "/import", json=file)

    assert (told.status_code, told.get_json()["field"]) == (422, field), told.text
    assert elsewhere("GET", "/members").get_json()["items"] == []


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (lambda file: _change(file, "dose_events.2.at", "2026-03-04T11:00:00+00:00"), "event 3: its dose, kind, time"),
        (lambda file: _change(file, "dose_events.2.reason", "another"), "event 3: who, where from, key, reason"),
        (lambda file: file["dose_events"].pop(1), "event 3: events 2 to 2 are missing before it"),
        (lambda file: file["dose_events"].pop(), "the newest events are missing"),
        (lambda file: _change(file, "household.id", str(uuid4())), "event 1: its dose, kind, time"),
    ],
)
def test_a_chain_that_is_not_whole_does_not_move_in(
    full: Any, elsewhere: Any, tamper: Callable[[Any], object], said: str
):
    file = full.get("/export").get_json()
    tamper(file)

    told = elsewhere("POST", "/import", json=file)

    assert (told.status_code, said in told.get_json()["detail"]) == (409, True), told.text
    assert elsewhere("GET", "/members").get_json()["items"] == []


def test_the_same_key_imports_once(full: Any, elsewhere: Any):
    said = {"data": full.get("/export").data, "content_type": "application/json", "headers": {"Idempotency-Key": "k"}}

    first, again = elsewhere("POST", "/import", **dict(said)), elsewhere("POST", "/import", **dict(said))

    assert (again.status_code, again.get_json(), again.headers["Idempotency-Replayed"]) == (
        200,
        first.get_json(),
        "true",
    )


@pytest.mark.parametrize(
    ("raw", "status"), [(b"{", 400), (b"[]", 422), (b"\xff", 400), (b" " * (64 * 1024 * 1024 + 1), 413)]
)
def test_what_is_no_export_is_refused(elsewhere: Any, raw: bytes, status: int):
    told = elsewhere("POST", "/import", data=raw, content_type="application/json")

    assert (told.status_code, told.content_type) == (status, "application/problem+json")


def test_the_planner_goes_on_in_a_household_that_moved_in(full: Any, elsewhere: Any):
    elsewhere("POST", "/import", data=full.get("/export").data, content_type="application/json")
    before = len(elsewhere("GET", "/doses?until=2026-04-01T00:00:00Z&limit=200").get_json()["items"])
    household = elsewhere.database.run(households.access.HOUSEHOLDS)[0][0]

    planned = schedules.extend_plans(elsewhere.database, NOON + timedelta(days=3), at_console(household))

    after = elsewhere("GET", "/doses?until=2026-04-01T00:00:00Z&limit=200").get_json()["items"]
    assert (planned, len(after)) == (
        len(after) - before,
        len({(dose["medicine"]["id"], dose["due_at"]) for dose in after}),
    )
    assert planned > 0


def test_moving_in_is_two_messages(full: Any, elsewhere: Any):
    raw = full.get("/export").data

    before = _messages()
    elsewhere("POST", "/import", data=raw, content_type="application/json")

    assert _messages() - before == 2


def test_an_export_is_read_page_by_page_and_leaves_nothing_behind(full: Any, postgres: Postgres):
    pages = list(exports.export(full.home.database, full.home.reader()))
    given_up = exports.export(full.home.database, full.home.reader())
    next(given_up)
    given_up.close()

    assert "".join(pages) == full.get("/export").text
    assert _idle_in_transaction(postgres, full) == 0


@pytest.mark.parametrize("method_path", [("GET", "/export"), ("POST", "/import")])
def test_who_may_not_change_members_is_told_so_before_the_file_is_read(api: Any, method_path: tuple[str, str]):
    scopes = [scope for scope in SCOPES if scope != MEMBERS]
    token = households.add_token(api.home.database, api.home.console, "all but", None, scopes, NOON)

    allowed = api.send(*method_path, headers={"Authorization": f"Bearer {token}"}, data=b"{", content_type="text/plain")
    unknown = api.send(*method_path, headers={"Authorization": "Bearer guess"}, data=b"{", content_type="text/plain")

    assert (allowed.status_code, unknown.status_code) == (403, 401)


def test_a_reader_that_goes_away_leaves_no_transaction_behind(full: Any, postgres: Postgres):
    response = full.send("GET", "/export", buffered=False)
    next(response.iter_encoded())
    response.close()

    assert _idle_in_transaction(postgres, full) == 0


def _idle_in_transaction(postgres: Postgres, api: Any) -> int:
    connection = psycopg2.connect(f"{postgres.url.rsplit('/', 1)[0]}/{api.home.server.name}")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        )
        (count,) = cursor.fetchone()
    connection.close()
    return int(count)


def _messages() -> float:
    """To PostgreSQL, by this process."""
    return REGISTRY.get_sample_value("dosette_sql_messages_total") or 0.0
