"""Telling: what is due becomes one message for each person; each is sent by one, and dropped when it no longer holds."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg2
import pytest

from conftest import Home, found_home
from dosette.actions import alarms, doses, households, reminders
from dosette.actions.doses import Taking
from dosette.actions.reminders import DECIDING_LEASE, LEAD, LEASE, MOST_ATTEMPTS, ClaimedDelivery, Sent
from dosette.domain import reminders as ladder
from dosette.domain.errors import Unavailable
from dosette.domain.reminders import BACKUP_OLD, COULD_NOT_REMIND, NAG, second_at
from dosette.storage.connection import Database, connect
from dosette.testing import NOON, a_step

DUE = NOON + timedelta(minutes=30)
SLOTS = {"file": 100, "panel": 100}


@dataclass(frozen=True)
class Outbox:
    """The scheduler's and the worker's side, by hand."""

    home: Home
    scheduler: Database
    worker: Database

    def rung(self, now: datetime = DUE) -> list[str]:
        return [each.id for each in reminders.tell_due(self.scheduler, now) or ()]

    def claim(self, ids: list[str], now: datetime = DUE) -> list[ClaimedDelivery]:
        return reminders.claim(self.worker, ids, SLOTS, now)

    def record(
        self, claimed: ClaimedDelivery, now: datetime = DUE, error: str | None = None, missed: bool = True
    ) -> dict[str, str]:
        sent = Sent(claimed.id, claimed.lease, claimed.attempts, now, error, missed)
        return reminders.record(self.worker, [sent], now)

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(connect(self.home.server.url("scheduler"), "test")) as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def outbox(home: Home, database_of: Callable[[str], Database]) -> Outbox:
    """Bruno has a contact."""
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    return Outbox(home, database_of("scheduler"), database_of("worker"))


def _take(home: Home, dose_id: str, at: datetime = DUE) -> None:
    doses.take(home.database, home.writer(), Taking(at, dose_id), home.request(), at)


def test_nothing_is_told_before_it_is_due(home: Home, outbox: Outbox):
    home.dose(DUE)

    assert reminders.tell_due(outbox.scheduler, DUE - timedelta(seconds=1)) is None


def test_a_person_gets_one_message_about_all_that_is_due(home: Home, outbox: Outbox):
    for _ in range(3):
        home.dose(DUE)

    (delivery_id,) = outbox.rung()
    (claimed,) = outbox.claim([delivery_id])

    assert (claimed.recipient, claimed.address, len(claimed.items)) == ("Bruno", "bruno.jsonl", 3)


def test_two_schedulers_at_once_make_one_message(home: Home, outbox: Outbox):
    home.dose(DUE)

    assert (len(outbox.rung()), outbox.rung()) == (1, [])


def test_a_scheduler_that_died_while_telling_is_followed_by_one_that_tells(home: Home, outbox: Outbox):
    home.dose(DUE)
    outbox.ask("UPDATE reminders SET lease = gen_random_uuid(), leased_until = %s", DUE + DECIDING_LEASE)

    assert outbox.rung(DUE + DECIDING_LEASE / 2) == []
    assert len(outbox.rung(DUE + DECIDING_LEASE)) == 1


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "beside a healthy one"])
def test_a_dose_that_ends_every_scheduler_is_given_up_with_an_alarm(home: Home, outbox: Outbox, others: int):
    home.dose(DUE)
    outbox.ask("UPDATE reminders SET attempts = %s", MOST_ATTEMPTS)
    for _ in range(others):
        home.dose(DUE)

    assert len(outbox.rung()) == others

    assert outbox.ask("SELECT kind, status FROM reminders WHERE dose_id IS NULL") == [(COULD_NOT_REMIND, "waiting")]


def test_a_household_of_which_nothing_can_be_decided_holds_up_no_other(
    home: Home, outbox: Outbox, database_of: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
):
    other = found_home(home.server, database_of("api"), "Other")
    households.add_contact(other.database, other.console, other.bruno, "file", "other.jsonl", NOON)
    home.dose(DUE)
    other.dose(DUE)
    decide = ladder.tell

    def breaks_at_home(of: ladder.Home, *due: Any) -> ladder.Telling:
        return decide(of, *due) if of.id == other.id else 1 / 0  # type: ignore[return-value]

    monkeypatch.setattr(ladder, "tell", breaks_at_home)

    told = [outbox.rung(DUE + DECIDING_LEASE * tried) for tried in range(MOST_ATTEMPTS + 1)]

    assert [len(each) for each in told] == [1, *[0] * MOST_ATTEMPTS]
    assert outbox.ask(
        "SELECT household_id::text, kind FROM reminders WHERE dose_id IS NULL OR status = 'parked' ORDER BY kind"
    ) == [(home.id, COULD_NOT_REMIND), (home.id, "dose")]


def test_a_household_that_somebody_locks_for_long_waits_alone_and_is_told_after(
    home: Home, outbox: Outbox, database_of: Callable[[str], Database], postgres_url: Callable[[str], str]
):
    other = found_home(home.server, database_of("api"), "Other")
    households.add_contact(other.database, other.console, other.bruno, "file", "other.jsonl", NOON)
    home.dose(DUE)
    other.dose(DUE)
    tries = [DUE + DECIDING_LEASE * tried for tried in range(MOST_ATTEMPTS + 2)]
    with closing(psycopg2.connect(postgres_url(home.server.name))) as lock, lock.cursor() as cursor:
        cursor.execute("SELECT 1 FROM dosette.households WHERE id = %s FOR UPDATE", (home.id,))
        meanwhile = [len(outbox.rung(now)) for now in tries[:-1]]

    assert meanwhile == [1, *[0] * MOST_ATTEMPTS]
    assert len(outbox.rung(tries[-1])) == 1


def test_a_disk_that_is_full_for_long_is_no_fault_of_what_is_due(
    home: Home, outbox: Outbox, postgres_url: Callable[[str], str]
):
    home.dose(DUE)
    tries = [DUE + DECIDING_LEASE * tried for tried in range(MOST_ATTEMPTS + 2)]
    with closing(psycopg2.connect(postgres_url(home.server.name))) as owner, owner.cursor() as cursor:
        owner.autocommit = True
        cursor.execute(_FULL_DISK)
        for now in tries[:-1]:
            with pytest.raises(Unavailable, match="disk is full"):
                outbox.rung(now)
        cursor.execute("DROP TRIGGER disk ON dosette.deliveries")

    assert len(outbox.rung(tries[-1])) == 1


_FULL_DISK = """
    CREATE FUNCTION dosette.is_full() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER disk BEFORE INSERT ON dosette.deliveries FOR EACH ROW EXECUTE FUNCTION dosette.is_full()
"""
"""An UPDATE finds room where the row was; an INSERT needs a new page."""


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(hours=26)])
def test_a_clock_that_is_set_back_silences_nobody(
    home: Home, outbox: Outbox, postgres_url: Callable[[str], str], ahead: timedelta
):
    home.dose(DUE - timedelta(minutes=5))
    assert outbox.rung(DUE - timedelta(minutes=5))
    with closing(psycopg2.connect(postgres_url(home.server.name))) as owner, owner.cursor() as cursor:
        cursor.execute("UPDATE dosette.deliveries SET made_at = %s", (DUE + ahead,))
        owner.commit()
    home.dose(DUE)

    assert len(outbox.rung()) == 1


def test_what_is_told_late_is_late_since_it_was_to_be_told_and_not_since_its_message_was_made(
    home: Home, outbox: Outbox
):
    home.dose(DUE)
    late = DUE + timedelta(minutes=10)

    (claimed,) = outbox.claim(outbox.rung(late), late)

    assert claimed.since == DUE


def test_a_claim_holds_until_its_lease_ends_and_then_it_is_under_suspicion(home: Home, outbox: Outbox):
    home.dose(DUE)
    ids = outbox.rung()

    outbox.claim(ids)

    assert outbox.claim(ids, DUE + LEASE / 2) == []
    assert outbox.claim(ids, DUE + LEASE) == []
    (again,) = reminders.claim_suspect(outbox.worker, SLOTS, DUE + LEASE)
    assert (again.id, again.attempts) == (ids[0], 2)


def test_who_lost_the_lease_records_nothing(home: Home, outbox: Outbox):
    home.dose(DUE)
    (slow,) = outbox.claim(outbox.rung())
    (quick,) = reminders.claim_suspect(outbox.worker, SLOTS, DUE + LEASE)

    assert outbox.record(slow, DUE + LEASE) == {}
    assert outbox.record(quick, DUE + LEASE) == {quick.id: "delivered"}


def test_a_dose_taken_before_the_telling_is_not_told(home: Home, outbox: Outbox):
    dose_id = home.dose(DUE)
    ids = outbox.rung()

    _take(home, dose_id)

    assert outbox.claim(ids) == []
    assert outbox.ask("SELECT status, error FROM deliveries") == [("dropped", "no longer so")]


def test_of_several_doses_only_those_still_open_are_told(home: Home, outbox: Outbox):
    taken, still_open = home.dose(DUE), home.dose(DUE)
    ids = outbox.rung()

    _take(home, taken)

    (claimed,) = outbox.claim(ids)
    assert [item.dose_id for item in claimed.items] == [still_open]


def test_a_dose_that_nobody_takes_is_told_again_until_it_is_missed_and_that_is_told_once(home: Home, outbox: Outbox):
    home.dose(DUE)
    outbox.rung()

    assert outbox.rung(DUE + NAG - timedelta(seconds=1)) == []
    assert len(outbox.rung(DUE + NAG)) == 1
    missed_at = DUE + timedelta(hours=2, seconds=2)
    doses.close_missed(outbox.scheduler, missed_at)
    (last,) = outbox.claim(outbox.rung(missed_at), missed_at)
    assert [item.status for item in last.items] == ["missed"]
    assert reminders.tell_due(outbox.scheduler, missed_at + timedelta(days=1)) is not None  # tomorrow's dose
    assert outbox.ask("SELECT status FROM reminders WHERE due_at <= %s", missed_at) == [("told",)]


def test_a_message_from_before_a_long_outage_is_not_sent_as_if_the_dose_were_still_due(home: Home, outbox: Outbox):
    home.dose(DUE)
    ids = outbox.rung()

    assert outbox.claim(ids, DUE + timedelta(hours=3)) == []


def test_after_an_outage_each_person_gets_one_digest(home: Home, outbox: Outbox):
    for hour in (1, 3, 5):
        home.dose(NOON + timedelta(hours=hour))
    back_at = NOON + timedelta(hours=6)

    doses.close_missed(outbox.scheduler, back_at)
    (digest,) = outbox.claim(outbox.rung(back_at), back_at)

    assert sorted(item.status for item in digest.items) == ["missed", "missed", "pending"]


def test_a_message_says_which_of_its_doses_are_time_critical(home: Home, outbox: Outbox):
    home.dose(DUE)
    home.rule(home.medicine("Insulin"), (a_step("12:30"),), critical=True)

    (claimed,) = outbox.claim(outbox.rung())

    assert (claimed.urgent, sorted(item.critical for item in claimed.items)) == (True, [False, True])


def test_a_claimed_reminder_is_told_to_nobody_else(home: Home, outbox: Outbox):
    home.dose(DUE)
    ids = outbox.rung()

    outbox.ask("UPDATE reminders SET claimed_by = %s", home.ana)

    assert outbox.claim(ids) == []


def test_the_second_person_is_told_when_the_dose_is_late(home: Home, outbox: Outbox):
    households.add_contact(home.database, home.console, home.ana, "file", "ana.jsonl", NOON)
    with closing(connect(home.server.url("api"), "test")) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT enter_console(%s); UPDATE members SET second_id = %s WHERE id = %s", (home.id, home.ana, home.bruno)
        )
    home.dose(DUE)
    outbox.rung()
    late_at = second_at(DUE + timedelta(hours=1))

    told = outbox.claim(outbox.rung(late_at), late_at)

    assert {each.recipient for each in told} == {"Ana", "Bruno"}


def test_a_telling_that_crosses_a_taking_is_on_record_and_the_taking_stands(home: Home, outbox: Outbox):
    dose_id = home.dose(DUE)
    (claimed,) = outbox.claim(outbox.rung())

    _take(home, dose_id)

    assert outbox.record(claimed) == {claimed.id: "delivered"}
    assert outbox.ask("SELECT status, reason, told_at FROM reminders WHERE dose_id = %s", dose_id) == [
        ("dropped", "taken", DUE)
    ]


def test_an_undone_dose_that_was_not_told_is_told_after_all(home: Home, outbox: Outbox):
    dose_id = home.dose(DUE)
    _take(home, dose_id, NOON)

    doses.undo(home.database, home.writer(), dose_id, home.request(), NOON, NOON)

    assert len(outbox.rung()) == 1


def test_a_snoozed_dose_is_told_again_when_the_snooze_ends(home: Home, outbox: Outbox):
    dose_id = home.dose(DUE)
    outbox.rung()
    until = DUE + timedelta(minutes=40)

    doses.snooze(home.database, home.writer(), dose_id, until, home.request(), DUE)

    assert outbox.rung(until - timedelta(seconds=1)) == []
    assert len(outbox.rung(until)) == 1


def test_a_failed_telling_is_tried_again_with_more_and_more_patience(home: Home, outbox: Outbox):
    home.dose(DUE)
    ids, now, waits = outbox.rung(), DUE, []

    for _ in range(3):
        (claimed,) = outbox.claim(ids, now)
        assert outbox.record(claimed, now, "no route") == {claimed.id: "waiting"}
        again_at = outbox.ask("SELECT due_at FROM deliveries WHERE id = %s", ids[0])[0][0]
        waits.append((again_at - now).total_seconds())
        assert [each.id for each in reminders.ring_again(outbox.scheduler, again_at)] == ids
        now = again_at

    assert waits == [5, 15, 45]


def test_what_nobody_rang_for_is_swept(home: Home, outbox: Outbox):
    home.dose(DUE)
    ids = outbox.rung()

    assert [each.id for each in reminders.sweep(outbox.worker, SLOTS, DUE)] == ids


def test_no_more_is_claimed_than_a_channel_has_room_for(home: Home, outbox: Outbox):
    households.add_contact(home.database, home.console, home.bruno, "file", "second.jsonl", NOON)
    home.dose(DUE)
    ids = outbox.rung()

    assert len(reminders.claim(outbox.worker, ids, {"file": 1, "panel": 5}, DUE)) == 1
    assert reminders.claim(outbox.worker, ids, {"panel": 5}, DUE) == []


def _given_up(outbox: Outbox) -> datetime:
    """A message ends every worker that touches it; when that was over."""
    outbox.claim(outbox.rung())
    now = DUE
    for _ in range(MOST_ATTEMPTS):
        now += LEASE
        (suspect,) = reminders.claim_suspect(outbox.worker, SLOTS, now)
    assert suspect.parked
    return now


def test_a_message_that_ends_every_worker_is_parked_and_raises_an_alarm_that_stays(home: Home, outbox: Outbox):
    home.dose(DUE)

    now = _given_up(outbox)

    assert reminders.claim_suspect(outbox.worker, SLOTS, now + LEASE) == []
    assert outbox.ask("SELECT kind, status FROM reminders WHERE dose_id IS NULL") == [(COULD_NOT_REMIND, "waiting")]
    assert reminders.backlog(outbox.scheduler, now).parked == 1


def test_a_channel_that_never_works_is_given_up_with_an_alarm(home: Home, outbox: Outbox):
    home.dose(DUE)
    ids, now = outbox.rung(), DUE

    for _ in range(MOST_ATTEMPTS):
        (claimed,) = outbox.claim(ids, now)
        became = outbox.record(claimed, now, "no route")
        now += timedelta(minutes=10)

    assert became == {ids[0]: "parked"}
    assert outbox.ask("SELECT kind FROM reminders WHERE dose_id IS NULL") == [(COULD_NOT_REMIND,)]


def test_what_nobody_misses_is_given_up_without_an_alarm_and_why_stays_on_record(home: Home, outbox: Outbox):
    home.dose(DUE)
    ids, now = outbox.rung(), DUE

    for _ in range(MOST_ATTEMPTS):
        (claimed,) = outbox.claim(ids, now)
        became = outbox.record(claimed, now, "it reminds itself", missed=False)
        now += timedelta(minutes=10)

    assert became == {ids[0]: "dropped"}
    assert outbox.ask("SELECT error FROM deliveries") == [("it reminds itself",)]
    assert outbox.ask("SELECT kind FROM reminders WHERE dose_id IS NULL") == []
    assert reminders.backlog(outbox.scheduler, now).parked == 0


def test_one_channel_of_two_that_never_works_is_no_alarm(home: Home, outbox: Outbox):
    households.add_contact(home.database, home.console, home.bruno, "file", "broken.jsonl", NOON)
    home.dose(DUE)
    ids, now = outbox.rung(), DUE

    for _ in range(MOST_ATTEMPTS):
        for claimed in outbox.claim(ids, now):
            outbox.record(claimed, now, "no route" if claimed.address == "broken.jsonl" else None)
        now += timedelta(minutes=10)

    assert outbox.ask("SELECT kind FROM reminders WHERE dose_id IS NULL") == []


def test_a_person_without_a_contact_is_on_record_as_nobody_to_tell(home: Home, database_of: Callable[[str], Database]):
    home.dose(DUE)
    outbox = Outbox(home, database_of("scheduler"), database_of("worker"))

    assert outbox.rung() == []
    assert outbox.ask("SELECT reason, tellings FROM reminders WHERE due_at < %s", NOON + timedelta(hours=12)) == [
        ("nobody to tell", 0)
    ]


def test_the_backlog_tells_how_late_we_are_and_what_comes_next(home: Home, outbox: Outbox):
    home.dose(DUE)

    before = reminders.backlog(outbox.scheduler, DUE)
    outbox.rung()
    after = reminders.backlog(outbox.scheduler, DUE)

    assert (before.waiting, before.oldest_due_at, before.next_due_at) == (1, DUE, DUE + timedelta(days=1))
    assert (after.waiting, after.oldest_due_at, after.next_due_at) == (1, DUE, DUE + NAG)


def test_one_scheduler_leads_until_its_lease_ends_or_it_is_gone(outbox: Outbox, database_of: Callable[[str], Database]):
    one, other = "01980000-0000-7000-8000-000000000001", "01980000-0000-7000-8000-000000000002"
    second = database_of("scheduler")

    assert reminders.lead(outbox.scheduler, one, NOON) == 1
    assert reminders.lead(second, other, NOON) is None
    assert reminders.lead(outbox.scheduler, one, NOON + LEAD / 2) == 1
    assert reminders.lead(second, other, NOON + 2 * LEAD) == 2
    assert reminders.lead(outbox.scheduler, one, NOON + 2 * LEAD) is None


def test_nobody_waits_for_a_dead_leader(outbox: Outbox, database_of: Callable[[str], Database]):
    one, other = "01980000-0000-7000-8000-000000000001", "01980000-0000-7000-8000-000000000002"
    dead = database_of("scheduler")
    reminders.lead(dead, one, NOON)
    dead.close()

    assert any(reminders.lead(outbox.scheduler, other, NOON) for _ in _patiently())


def _patiently() -> Iterator[int]:
    """PostgreSQL notices the end of a connection within moments."""
    for number in range(100):
        yield number
        time.sleep(0.02)


def test_an_alarm_is_raised_once_told_to_admins_and_ended_when_it_is_over(home: Home, outbox: Outbox):
    households.add_contact(home.database, home.console, home.ana, "file", "ana.jsonl", NOON)

    for _ in range(2):
        alarms.raise_everywhere(outbox.scheduler, BACKUP_OLD, NOON)
    (claimed,) = outbox.claim(outbox.rung(NOON), NOON)
    alarms.end_everywhere(outbox.scheduler, BACKUP_OLD, "a backup was made")

    assert (claimed.recipient, [item.kind for item in claimed.items]) == ("Ana", [BACKUP_OLD])
    assert reminders.tell_due(outbox.scheduler, NOON + timedelta(days=3)) is None


def test_a_medicine_that_runs_low_is_told_until_it_is_refilled(home: Home, outbox: Outbox):
    medicine_id = home.medicine(on_hand="3")
    home.schedule(medicine_id, "08:00")

    raised = alarms.remind_of_low_stock(outbox.scheduler, home.id, NOON)
    again = alarms.remind_of_low_stock(outbox.scheduler, home.id, NOON)
    (claimed,) = outbox.claim(outbox.rung(NOON), NOON)
    outbox.ask(
        "INSERT INTO stock_entries (household_id, medicine_id, kind, amount, at, source) VALUES (%s, %s, 'refill', 90, %s, 'test')",
        home.id,
        medicine_id,
        NOON,
    )
    alarms.remind_of_low_stock(outbox.scheduler, home.id, NOON)

    assert (raised, again, [item.kind for item in claimed.items]) == (1, 0, ["low_stock"])
    assert outbox.ask("SELECT status, reason FROM reminders WHERE kind = 'low_stock'") == [("dropped", "refilled")]


def test_nobody_is_told_that_a_backup_is_old_who_has_never_made_one(outbox: Outbox, home: Home):
    never = alarms.backup_is_old(outbox.scheduler, NOON)
    with closing(connect(home.server.url("backup"), "test")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT backup_made(%s)", (NOON,))

    assert not never
    assert not alarms.backup_is_old(outbox.scheduler, NOON + timedelta(hours=26))
    assert alarms.backup_is_old(outbox.scheduler, NOON + timedelta(hours=27))


def test_a_backup_of_a_time_to_come_is_as_good_as_old(outbox: Outbox, home: Home):
    with closing(connect(home.server.url("backup"), "test")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT backup_made(%s)", (NOON,))

    assert not alarms.backup_is_old(outbox.scheduler, NOON - timedelta(hours=1))
    assert alarms.backup_is_old(outbox.scheduler, NOON - timedelta(minutes=61))


def test_no_message_crosses_households(home: Home, outbox: Outbox):
    other = found_home(home.server, home.database, "Next door")
    households.add_contact(home.database, other.console, other.bruno, "file", "next-door.jsonl", NOON)
    here, there = home.dose(DUE), other.dose(DUE)

    told = {each.address: [item.dose_id for item in each.items] for each in outbox.claim(outbox.rung())}

    assert told == {"bruno.jsonl": [here], "next-door.jsonl": [there]}
