"""Reminders as people see and answer them, over HTTP."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg2
import pytest

from conftest import found_home
from dosette.actions import alarms, households, reminders
from dosette.actions.notices import DISMISSED_FOR
from dosette.domain.members import READ, SCOPES
from dosette.storage.connection import Database
from dosette.testing import NOON
from dosette_local.servers.postgres import Postgres

HALF_PAST = NOON + timedelta(minutes=30)


@pytest.fixture
def told(api: Any, database_of: Callable[[str], Database]) -> dict[str, Any]:
    """The reminder of Bruno's dose of 12:30, told at half past."""
    households.add_contact(api.home.database, api.home.console, api.home.bruno, "file", "bruno.jsonl", NOON)
    api.dose_of(api.add_medicine()["id"])
    api.clock.now = HALF_PAST
    reminders.tell_due(database_of("scheduler"), HALF_PAST)
    (reminder,) = api.get("/reminders").get_json()["items"]
    return dict(reminder)


def test_what_is_told_is_listed_with_its_dose_and_when_it_is_told_next(api: Any, told: dict[str, Any]):
    assert (told["kind"], told["status"], told["tellings"]) == ("dose", "waiting", 1)
    assert (told["member"]["name"], told["dose"]["medicine"]["name"]) == ("Bruno", "Metformin")
    assert (told["told_at"], told["next_at"]) == ("2026-03-04T12:30:00+00:00", "2026-03-04T12:45:00+00:00")


def test_what_is_not_due_yet_and_what_is_done_is_not_listed(api: Any, told: dict[str, Any]):
    api.dose_of(api.add_medicine(name="Later")["id"], "20:00")
    api.post(f"/doses/{told['dose']['id']}/take")

    assert api.get("/reminders").get_json() == {"items": [], "next_cursor": None, "parked": []}


def test_who_has_got_it_is_told_and_the_others_are_not(api: Any, told: dict[str, Any], database_of: Any):
    claimed = api.post(f"/reminders/{told['id']}/claim")

    assert (claimed.status_code, claimed.get_json()["claimed_by"]["name"]) == (200, "Ana")
    assert api.get("/reminders").get_json()["items"][0]["claimed_at"] == "2026-03-04T12:30:00+00:00"
    assert reminders.sweep(database_of("worker"), {"file": 9}, HALF_PAST) == []


def test_claiming_twice_is_claiming_once(api: Any, told: dict[str, Any]):
    first = api.post(f"/reminders/{told['id']}/claim").get_json()
    api.clock.now += timedelta(minutes=5)

    again = api.post(f"/reminders/{told['id']}/claim")

    assert (again.status_code, again.get_json()["claimed_at"]) == (200, first["claimed_at"])


def test_a_token_of_nobody_takes_care_of_nothing(api: Any, told: dict[str, Any]):
    token = households.add_token(api.home.database, api.home.console, "shelf", None, SCOPES, NOON)

    refused = api.send("POST", f"/reminders/{told['id']}/claim", headers={"Authorization": f"Bearer {token}"})

    assert refused.status_code == 409
    assert "dosette token create --member NAME" in refused.get_json()["detail"]


def test_what_is_done_is_not_claimed_any_more(api: Any, told: dict[str, Any]):
    api.post(f"/doses/{told['dose']['id']}/take")

    refused = api.post(f"/reminders/{told['id']}/claim")

    assert (refused.status_code, refused.get_json()["reminder"]["dose"]["status"]) == (409, "taken")
    assert refused.get_json()["detail"] == "this reminder is not open any more, it is dropped: taken"


def test_a_dose_s_reminder_is_not_dismissed(api: Any, told: dict[str, Any]):
    refused = api.post(f"/reminders/{told['id']}/dismiss")

    assert (refused.status_code, "take it or skip it" in refused.get_json()["detail"]) == (409, True)
    assert api.get("/reminders").get_json()["items"] == [told]


def _raise(api: Any, database: Database, kind: str = "panel_silent", about: str | None = None) -> bool:
    return alarms.raise_one(database, api.home.id, kind, about, {"about": "Kitchen"}, api.clock.now)


def test_an_alarm_is_dismissed_by_name_and_not_claimed(api: Any, database_of: Callable[[str], Database]):
    _raise(api, database_of("scheduler"))
    (alarm,) = api.get("/reminders").get_json()["items"]

    claimed, dismissed = (api.post(f"/reminders/{alarm['id']}/{what}") for what in ("claim", "dismiss"))

    assert (claimed.status_code, dismissed.status_code) == (409, 200)
    assert (dismissed.get_json()["status"], dismissed.get_json()["reason"]) == ("dropped", "dismissed by Ana")
    assert api.get("/reminders").get_json()["items"] == []
    assert api.post(f"/reminders/{alarm['id']}/dismiss").status_code == 409


def test_a_dismissed_alarm_whose_cause_goes_on_comes_again_after_days(api: Any, database_of: Callable[[str], Database]):
    scheduler = database_of("scheduler")
    _raise(api, scheduler)
    api.post(f"/reminders/{api.get('/reminders').get_json()['items'][0]['id']}/dismiss")

    at_once = _raise(api, scheduler)
    another = _raise(api, scheduler, "backup_old")
    api.clock.now += DISMISSED_FOR
    later = _raise(api, scheduler)

    assert (at_once, another, later) == (False, True, True)


def test_an_alarm_that_ended_by_itself_is_raised_again_at_once(api: Any, database_of: Callable[[str], Database]):
    scheduler = database_of("scheduler")
    _raise(api, scheduler)
    reminders_told = reminders.tell_due(scheduler, NOON)
    alarms.end(scheduler, api.home.id, "panel_silent", None, "it is back")

    assert reminders_told is not None
    assert _raise(api, scheduler)


def test_what_could_not_be_told_is_listed_until_somebody_has_seen_to_it(
    api: Any, told: dict[str, Any], postgres: Postgres, database_of: Callable[[str], Database]
):
    _set(
        postgres,
        api,
        "UPDATE dosette.reminders SET status = 'parked', reason = 'could not be told' WHERE id = %s",
        told["id"],
    )
    _raise(api, database_of("scheduler"), "could_not_remind", told["id"])
    listed = {each["status"]: each for each in api.get("/reminders").get_json()["items"]}

    dismissed = api.post(f"/reminders/{listed['parked']['id']}/dismiss")

    assert listed["waiting"]["kind"] == "could_not_remind"
    assert (dismissed.status_code, dismissed.get_json()["dose"]["status"]) == (200, "pending")
    assert api.get("/reminders").get_json()["items"] == []  # the alarm about it went along


@pytest.mark.parametrize("about", ["message", "reminder"])
def test_dismissing_what_could_not_be_told_drops_the_messages_that_were_given_up(
    api: Any, told: dict[str, Any], postgres: Postgres, database_of: Callable[[str], Database], about: str
):
    scheduler = database_of("scheduler")
    _give_up(postgres, api)
    message = next(each["id"] for each in api.get("/reminders").get_json()["parked"])
    if about == "reminder":
        _set(postgres, api, "UPDATE dosette.reminders SET status = 'parked' WHERE id = %s", told["id"])
    _raise(api, scheduler, "could_not_remind", message if about == "message" else told["id"])
    alarm = next(each for each in api.get("/reminders").get_json()["items"] if each["kind"] == "could_not_remind")
    before = reminders.backlog(scheduler, HALF_PAST).parked

    dismissed = api.post(f"/reminders/{alarm['id']}/dismiss")

    assert (before, dismissed.status_code, reminders.backlog(scheduler, HALF_PAST).parked) == (1, 200, 0)
    assert api.get("/reminders").get_json()["parked"] == []


def test_dismissing_another_alarm_leaves_the_messages_that_were_given_up(
    api: Any, told: dict[str, Any], postgres: Postgres, database_of: Callable[[str], Database]
):
    scheduler = database_of("scheduler")
    _give_up(postgres, api)
    _raise(api, scheduler)
    alarm = next(each for each in api.get("/reminders").get_json()["items"] if each["kind"] == "panel_silent")

    api.post(f"/reminders/{alarm['id']}/dismiss")

    assert reminders.backlog(scheduler, HALF_PAST).parked == 1


def test_messages_given_up_in_the_last_day_are_listed_with_why(api: Any, told: dict[str, Any], postgres: Postgres):
    _give_up(postgres, api)

    (parked,) = api.get("/reminders").get_json()["parked"]
    api.clock.now += timedelta(days=1)

    assert (parked["channel"], parked["recipient"], parked["error"]) == ("file", "Bruno", "ntfy answered 500")
    assert api.get("/reminders").get_json()["parked"] == []


@pytest.mark.parametrize("what", ["claim", "dismiss"])
def test_next_door_s_reminder_is_not_there(api: Any, told: dict[str, Any], what: str):
    stranger = found_home(api.home.server, api.home.database, "Next door")

    refused = api.send("POST", f"/reminders/{told['id']}/{what}", headers={"Authorization": f"Bearer {stranger.token}"})

    assert (refused.status_code, "GET /api/v1/reminders" in refused.get_json()["detail"]) == (404, True)


def test_who_only_reads_answers_nothing(api: Any, told: dict[str, Any]):
    token = households.add_token(api.home.database, api.home.console, "reads", "Bruno", [READ], NOON)
    bearer = {"Authorization": f"Bearer {token}"}

    assert api.send("GET", "/reminders", headers=bearer).status_code == 200
    for what in ("claim", "dismiss"):
        assert api.send("POST", f"/reminders/{told['id']}/{what}", headers=bearer).status_code == 403


def _give_up(postgres: Postgres, api: Any) -> None:
    _set(
        postgres,
        api,
        "UPDATE dosette.deliveries SET status = 'parked', error = 'ntfy answered 500', at = %s WHERE contact_id IS NOT NULL",
        HALF_PAST,
    )


def _set(postgres: Postgres, api: Any, statement: str, *values: object) -> None:
    """Only what a test can do: no service may write this."""
    connection = psycopg2.connect(f"{postgres.url.rsplit('/', 1)[0]}/{api.home.server.name}")
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
    connection.close()
