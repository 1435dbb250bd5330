"""The outbox: rung when due, told by one, dropped when it no longer holds."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

from conftest import Home
from dosette.actions import doses, households, reminders
from dosette.actions.doses import Taking
from dosette.actions.reminders import LEASE, MOST_ATTEMPTS, RING_AGAIN, Delivery
from dosette.storage.connection import Database, connect
from dosette.testing import NOON

DUE = NOON + timedelta(minutes=30)


def _due_dose(home: Home) -> str:
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    return home.dose(DUE)


def test_nothing_is_rung_before_it_is_due(home: Home, database_of: Callable[[str], Database]):
    _due_dose(home)

    assert reminders.ring(database_of("scheduler"), DUE - timedelta(seconds=1)) == []


def test_what_is_due_is_rung_and_rung_again_when_nobody_came(home: Home, database_of: Callable[[str], Database]):
    scheduler = database_of("scheduler")
    _due_dose(home)

    first = reminders.ring(scheduler, DUE)
    too_soon = reminders.ring(scheduler, DUE + RING_AGAIN / 2)
    again = reminders.ring(scheduler, DUE + RING_AGAIN)

    assert (len(first), too_soon, again) == (1, [], first)


def test_a_claim_holds_until_its_lease_ends(home: Home, database_of: Callable[[str], Database]):
    worker = database_of("worker")
    _due_dose(home)
    ids = reminders.ring(database_of("scheduler"), DUE)

    (claimed,) = reminders.claim(worker, ids, DUE)

    assert (claimed.member, claimed.contacts[0].address) == ("Bruno", "bruno.jsonl")
    assert reminders.claim(worker, ids, DUE + LEASE / 2) == []
    assert len(reminders.claim(worker, ids, DUE + LEASE)) == 1


def test_who_lost_the_lease_records_nothing(home: Home, database_of: Callable[[str], Database]):
    worker = database_of("worker")
    _due_dose(home)
    ids = reminders.ring(database_of("scheduler"), DUE)
    (slow,) = reminders.claim(worker, ids, DUE)
    (quick,) = reminders.claim(worker, ids, DUE + LEASE)
    told = [Delivery(quick.contacts[0].id, None)]

    assert not reminders.record(worker, slow, told, DUE + LEASE)
    assert reminders.record(worker, quick, told, DUE + LEASE)
    assert reminders.ring(database_of("scheduler"), DUE + 2 * LEASE) == []


def test_a_dose_taken_before_the_telling_is_not_told(home: Home, database_of: Callable[[str], Database]):
    dose_id = _due_dose(home)
    ids = reminders.ring(database_of("scheduler"), DUE)
    doses.take(home.database, home.writer(), Taking(DUE, dose_id), home.request(), DUE)

    assert reminders.claim(database_of("worker"), ids, DUE) == []


def test_a_telling_that_crosses_a_taking_is_on_record_and_the_taking_stands(
    home: Home, database_of: Callable[[str], Database]
):
    worker, dose_id = database_of("worker"), _due_dose(home)
    (claimed,) = reminders.claim(worker, reminders.ring(database_of("scheduler"), DUE), DUE)
    doses.take(home.database, home.writer(), Taking(DUE, dose_id), home.request(), DUE)

    assert reminders.record(worker, claimed, [Delivery(claimed.contacts[0].id, None)], DUE)

    with closing(connect(home.server.url("scheduler"), "test")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT status, reason, told_at FROM reminders WHERE dose_id = %s", (dose_id,))
        assert cursor.fetchone() == ("dropped", "taken", DUE)


def test_an_undone_dose_that_was_not_told_is_told_after_all(home: Home, database_of: Callable[[str], Database]):
    dose_id = _due_dose(home)
    doses.take(home.database, home.writer(), Taking(NOON, dose_id), home.request(), NOON)
    doses.undo(home.database, home.writer(), dose_id, home.request(), NOON, NOON)

    assert len(reminders.ring(database_of("scheduler"), DUE)) == 1


def test_a_failed_telling_waits_for_its_lease_and_is_tried_again(home: Home, database_of: Callable[[str], Database]):
    scheduler, worker = database_of("scheduler"), database_of("worker")
    _due_dose(home)
    (claimed,) = reminders.claim(worker, reminders.ring(scheduler, DUE), DUE)

    reminders.record(worker, claimed, [Delivery(claimed.contacts[0].id, "no route")], DUE)

    assert reminders.ring(scheduler, DUE + LEASE / 2) == []
    assert reminders.ring(scheduler, DUE + LEASE) == [claimed.id]


def test_a_reminder_that_can_not_be_told_is_parked_and_lets_others_pass(
    home: Home, database_of: Callable[[str], Database]
):
    scheduler, worker = database_of("scheduler"), database_of("worker")
    _due_dose(home)
    ids, now = reminders.ring(scheduler, DUE), DUE

    for _ in range(MOST_ATTEMPTS):
        assert len(reminders.claim(worker, ids, now)) == 1
        now += LEASE

    assert reminders.claim(worker, ids, now) == []
    assert reminders.ring(scheduler, now + LEASE) == []


def test_a_person_without_a_contact_is_nobody_to_tell(home: Home, database_of: Callable[[str], Database]):
    worker = database_of("worker")
    home.dose(DUE)
    (claimed,) = reminders.claim(worker, reminders.ring(database_of("scheduler"), DUE), DUE)

    assert reminders.record(worker, claimed, [], DUE)
    assert reminders.backlog(database_of("scheduler"), DUE).waiting == 0


def test_the_backlog_tells_how_late_we_are_and_what_comes_next(home: Home, database_of: Callable[[str], Database]):
    home.dose(DUE)

    backlog = reminders.backlog(database_of("scheduler"), DUE)

    assert (backlog.waiting, backlog.oldest_due_at, backlog.next_due_at) == (1, DUE, DUE + timedelta(days=1))
