"""What a server does after it was restored: it reminds of nothing that it can't know, and asks."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from conftest import Home
from dosette.actions import devices, doses, history, households, medicines, notices, reminders, restores
from dosette.actions.devices import ServerKeys
from dosette.actions.doses import Taking
from dosette.contracts.plan import Plan
from dosette.contracts.press import Press
from dosette.contracts.signing import unseal
from dosette.domain.doses import When
from dosette.domain.errors import Refused
from dosette.domain.schedules import ELAPSED, HORIZON, LAST_TAKEN, Step
from dosette.storage.access import looking_in
from dosette.storage.connection import Database, Statement
from dosette.testing import NOON, a_press

LATER = NOON + timedelta(hours=4)
OPEN_THEN = NOON + timedelta(hours=3, minutes=30)


@pytest.fixture
def superuser(home: Home, postgres_url: Callable[[str], str]) -> Database:
    """Who restores."""
    return Database(postgres_url(home.server.name), "dosette-test")


def _states(home: Home) -> dict[str, object]:
    return {str(dose["id"]): dose["status"] for dose in home.doses(NOON, LATER)}


def _ask(superuser: Database, statement: str) -> list[tuple[object, ...]]:
    return superuser.run(Statement(f"q{uuid4().hex}", statement))


def test_what_could_have_been_taken_since_the_dump_is_unknown_and_nothing_else(home: Home, superuser: Database):
    past, still_open, coming = (
        home.dose(NOON + timedelta(minutes=30)),
        home.dose(OPEN_THEN),
        home.dose(LATER + timedelta(hours=7)),
    )
    taken = home.dose(NOON + timedelta(minutes=20))
    doses.take(home.database, home.writer(), Taking(NOON, taken), home.request(), NOON)

    told = restores.begin_epoch(superuser, LATER)

    states = {str(dose["id"]): dose["status"] for dose in home.doses()}
    assert [states[each] for each in (past, still_open, coming, taken)] == ["unknown", "unknown", "pending", "taken"]
    assert told == {"Home": 2}


def test_nothing_unknown_is_told_as_due_or_closed_as_missed(
    home: Home, superuser: Database, database_of: Callable[[str], Database]
):
    scheduler = database_of("scheduler")
    home.dose(NOON + timedelta(minutes=30)), home.dose(OPEN_THEN)
    restores.begin_epoch(superuser, LATER)

    reminders.tell_due(scheduler, LATER)
    doses.close_missed(scheduler, LATER)

    assert _ask(superuser, "SELECT count(*) FROM reminders WHERE dose_id IS NOT NULL AND tellings > 0") == [(0,)]
    assert set(_states(home).values()) == {"unknown"}


def test_messages_that_were_not_sent_before_the_dump_are_not_sent_after_the_restore(
    home: Home, superuser: Database, database_of: Callable[[str], Database]
):
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    home.dose(NOON + timedelta(minutes=30))
    due = NOON + timedelta(minutes=31)
    assert reminders.tell_due(database_of("scheduler"), due)

    restores.begin_epoch(superuser, LATER)

    assert reminders.sweep(database_of("worker"), {"file": 9}, LATER) == []
    assert _ask(superuser, "SELECT status, error FROM deliveries") == [("dropped", "restored")]


def test_a_dose_that_was_never_planned_because_the_dump_is_old_is_unknown_too(home: Home, superuser: Database):
    home.dose(NOON + timedelta(minutes=30))
    weeks_later = NOON + HORIZON + timedelta(days=6)

    restores.begin_epoch(superuser, weeks_later)

    days = _ask(superuser, "SELECT count(*) FROM doses WHERE status = 'unknown'")
    assert days == [(HORIZON.days + 6 + 1,)]  # today's may be taken early


def test_a_press_in_a_journal_settles_an_unknown_dose_at_the_time_of_the_press(
    home: Home, superuser: Database, database_of: Callable[[str], Database]
):
    dose_id, scheduler = home.dose(NOON + timedelta(minutes=30)), database_of("scheduler")
    device = devices.pair(home.database, home.console, "Kitchen", ServerKeys("s"), "redis:6379", "", NOON)
    pressed_at = NOON + timedelta(minutes=33)
    press = Press(str(uuid4()), 1, device.device_id, "take", (dose_id,), pressed_at, "boot", 1.0, True)
    restores.begin_epoch(superuser, LATER)

    first, again = (
        doses.take_in(scheduler, press, When(pressed_at), LATER),
        doses.take_in(scheduler, press, When(pressed_at), LATER),
    )

    dose = next(dose for dose in home.doses() if dose["id"] == dose_id)
    assert (first, again) == (["done"], ["replayed"])
    assert (dose["status"], datetime.fromisoformat(str(dose["resolved_at"]))) == ("taken", pressed_at)


@pytest.mark.parametrize("late", [0, 5])
def test_a_press_in_a_journal_leaves_the_unknown_ones_that_follow_it_where_they_are(
    home: Home, superuser: Database, database_of: Callable[[str], Database], late: int
):
    medicine_id, scheduler = home.medicine(), database_of("scheduler")
    home.rule(medicine_id, (Step(None, Decimal(1)),), kind=ELAPSED, every_minutes=8 * 60, counted_from=LAST_TAKEN)
    device = devices.pair(home.database, home.console, "Kitchen", ServerKeys("s"), "redis:6379", "", NOON)
    now, pressed_at = NOON + timedelta(hours=50), NOON + timedelta(minutes=late)
    restores.begin_epoch(superuser, now)
    first, *others = home.doses()
    press = a_press(device.device_id, str(first["id"]), at=pressed_at)

    assert doses.take_in(scheduler, press, When(pressed_at), now) == ["done"]

    assert home.doses()[0]["status"] == "taken"
    assert home.doses()[1:] == others
    assert doses.close_missed(scheduler, now) == 0


def test_a_person_says_that_an_unknown_dose_was_taken_then(home: Home, superuser: Database):
    dose_id, then = home.dose(NOON + timedelta(minutes=30)), NOON + timedelta(minutes=40)
    restores.begin_epoch(superuser, LATER)

    doses.take(home.database, home.writer(), Taking(then, dose_id), home.request(), LATER)

    assert _states(home)[dose_id] == "taken"


def test_an_unknown_dose_whose_window_is_over_is_not_taken_now(home: Home, superuser: Database):
    dose_id = home.dose(NOON + timedelta(minutes=30))
    restores.begin_epoch(superuser, LATER)

    with pytest.raises(Refused, match="unknown since the server was restored: if it was taken, send when"):
        doses.take(home.database, home.writer(), Taking(LATER, dose_id), home.request(), LATER)


def test_after_the_release_what_is_open_is_told_and_what_is_over_was_missed(
    home: Home, superuser: Database, database_of: Callable[[str], Database]
):
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    scheduler = database_of("scheduler")
    past, still_open = home.dose(NOON + timedelta(minutes=30)), home.dose(OPEN_THEN)
    restores.begin_epoch(superuser, LATER)

    released = restores.release(home.database, home.console, LATER)
    doses.close_missed(scheduler, LATER)
    reminders.tell_due(scheduler, LATER)

    told = _ask(superuser, "SELECT dose_id::text FROM reminders WHERE dose_id IS NOT NULL AND tellings > 0 ORDER BY 1")
    assert released == 2
    assert [_states(home)[each] for each in (past, still_open)] == ["missed", "pending"]
    assert sorted(row[0] for row in told) == sorted([past, still_open])
    assert restores.release(home.database, home.console, LATER) == 0


def test_a_change_after_a_restore_leaves_one_dose_of_a_day(home: Home, superuser: Database):
    medicine_id = home.medicine()
    home.schedule(medicine_id, "12:30")
    restores.begin_epoch(superuser, NOON)

    home.schedule(medicine_id, "13:30")
    restores.release(home.database, home.console, NOON)

    today = [dose for dose in home.doses() if dose["slot_on"] == "2026-03-04"]
    assert [(str(dose["due_at"])[11:16], dose["status"]) for dose in today] == [("13:30", "pending")]


def test_archiving_after_a_restore_leaves_nothing_to_take(home: Home, superuser: Database):
    medicine_id = home.medicine()
    home.schedule(medicine_id, "12:30")
    restores.begin_epoch(superuser, NOON)

    medicines.archive(home.database, home.writer("medicines:write"), medicine_id, NOON)
    restores.release(home.database, home.console, NOON)

    assert home.doses() == []


def test_the_household_is_asked_at_once_and_dismissing_the_alarm_releases(home: Home, superuser: Database):
    dose_id = home.dose(OPEN_THEN)
    restores.begin_epoch(superuser, LATER)

    alarm = _ask(superuser, "SELECT id::text FROM reminders WHERE kind = 'restored' AND status = 'waiting'")
    notices.dismiss(home.database, home.writer(), str(alarm[0][0]), home.request(), LATER)

    assert _states(home)[dose_id] == "pending"
    assert _ask(superuser, "SELECT released_by::text, doses_unknown FROM restores") == [(home.ana, 1)]
    assert _ask(superuser, "SELECT count(*) FROM reminders WHERE kind = 'restored' AND status = 'waiting'") == [(0,)]


def test_a_second_restore_asks_again_though_the_first_was_dismissed(home: Home, superuser: Database):
    restores.begin_epoch(superuser, LATER)
    alarm = _ask(superuser, "SELECT id::text FROM reminders WHERE kind = 'restored' AND status = 'waiting'")
    notices.dismiss(home.database, home.writer(), str(alarm[0][0]), home.request(), LATER)

    restores.begin_epoch(superuser, LATER)

    assert _ask(superuser, "SELECT count(*) FROM reminders WHERE kind = 'restored' AND status = 'waiting'") == [(1,)]


def test_devices_see_another_epoch_and_a_higher_number(
    home: Home, superuser: Database, database_of: Callable[[str], Database]
):
    scheduler, keys = database_of("scheduler"), ServerKeys("s")
    devices.pair(home.database, home.console, "Kitchen", keys, "redis:6379", "", NOON)
    (device,) = devices.active(scheduler)
    dose_id = home.dose(OPEN_THEN)
    before = _plan(scheduler, device, keys)

    restores.begin_epoch(superuser, LATER)

    after = _plan(scheduler, device, keys)
    assert UUID(after.epoch) != UUID(before.epoch)
    assert after.number > before.number
    assert after.alarms == ("restored",)
    assert [dose.status for dose in after.doses if dose.id == dose_id] == ["unknown"]


def _plan(scheduler: Database, device: devices.Device, keys: ServerKeys) -> Plan:
    sealed = devices.next_plan(scheduler, device, keys, LATER)
    assert sealed is not None
    return Plan.from_json(unseal(sealed, keys.signing_key(device)))


def test_what_is_unknown_breaks_no_chain_and_counts_as_nothing(home: Home, superuser: Database):
    home.dose(NOON + timedelta(minutes=30))
    restores.begin_epoch(superuser, LATER)

    assert history.verify(home.database, looking_in(home.id)).faults == ()
