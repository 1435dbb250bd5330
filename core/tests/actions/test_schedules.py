"""Changing a schedule, and keeping every plan ahead."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import psycopg2
import pytest

from conftest import Home, found_home
from dosette.actions import doses, households, medicines, reminders, schedules
from dosette.actions.doses import Taking
from dosette.actions.schedules import WantedSchedule
from dosette.domain.errors import Changed, NotFound
from dosette.domain.schedules import ELAPSED, LAST_TAKEN, Pause, Step
from dosette.storage import medicines as medicine_sql
from dosette.storage import schedules as sql
from dosette.storage.connection import Database, Entry, Row, Statement
from dosette.testing import NOON

SOON = NOON + timedelta(minutes=30)


def _wanted(at: str) -> WantedSchedule:
    return WantedSchedule((Step(time.fromisoformat(at), Decimal(1)),), zone="UTC")


def _due(home: Home) -> list[str]:
    return [str(dose["due_at"])[:16] for dose in home.doses()]


def test_a_new_schedule_is_planned_at_once_for_more_than_a_week(home: Home):
    home.schedule(home.medicine(), "12:30")

    assert (_due(home)[0], _due(home)[-1], len(_due(home))) == ("2026-03-04T12:30", "2026-03-11T12:30", 8)


def test_a_change_moves_the_future_and_leaves_the_past(home: Home):
    medicine_id = home.medicine()
    home.schedule(medicine_id, "12:30")
    tomorrow = NOON + timedelta(days=1)

    home.schedule(medicine_id, "18:00", now=tomorrow)

    assert _due(home)[:3] == ["2026-03-04T12:30", "2026-03-05T18:00", "2026-03-06T18:00"]


def test_a_dose_taken_early_is_not_planned_again_by_a_change(home: Home):
    medicine_id = home.medicine()
    home.schedule(medicine_id, "12:30")
    doses.take(home.database, home.writer(), Taking(NOON, str(home.doses()[0]["id"])), home.request(), NOON)

    home.schedule(medicine_id, "12:30")

    assert [(dose["slot_on"], dose["status"]) for dose in home.doses()[:2]] == [
        ("2026-03-04", "taken"),
        ("2026-03-05", "pending"),
    ]


def test_the_same_key_changes_a_schedule_once(home: Home):
    medicine_id = home.medicine()
    entry = home.writer("medicines:write")
    for _ in range(2):
        told = schedules.change(
            home.database, home.reader(), entry, medicine_id, _wanted("08:00"), home.request("k"), NOON
        )

    assert (told.replayed, json.loads(told.body)["version"]) == (True, 1)


def test_changes_at_the_same_time_become_versions_one_after_the_other(home: Home):
    medicine_id = home.medicine()

    def change(hour: int) -> int:
        database = home.server.database("api")
        wanted = _wanted(f"{hour:02}:00")
        try:
            told = schedules.change(
                database, home.reader(), home.writer("medicines:write"), medicine_id, wanted, home.request(), NOON
            )
        finally:
            database.close()
        version: int = json.loads(told.body)["version"]
        return version

    with ThreadPoolExecutor(3) as pool:
        versions = sorted(pool.map(change, range(13, 16)))

    assert versions == [1, 2, 3]
    assert len(home.doses()) == 8


def test_an_archived_medicine_has_no_schedule_to_change(home: Home):
    medicine_id = home.medicine()
    medicines.archive(home.database, home.writer("medicines:write"), medicine_id, NOON)

    with pytest.raises(NotFound):
        home.schedule(medicine_id, "08:00")


def test_archiving_cancels_what_was_planned(home: Home):
    medicine_id = home.medicine()
    home.schedule(medicine_id, "12:30")

    medicines.archive(home.database, home.writer("medicines:write"), medicine_id, NOON)

    assert home.doses() == []


def test_nobody_is_told_of_an_archived_medicine_though_a_dose_of_it_was_due(
    home: Home, database_of: Callable[[str], Database]
):
    medicine_id, scheduler = home.medicine(), database_of("scheduler")
    home.schedule(medicine_id, "12:30")
    reminders.tell_due(scheduler, SOON)

    medicines.archive(home.database, home.writer("medicines:write"), medicine_id, SOON + timedelta(minutes=1))

    assert home.doses() == []
    assert reminders.tell_due(scheduler, SOON + timedelta(minutes=30)) is None


def test_plans_are_extended_day_by_day_without_a_gap_or_a_double(home: Home, database_of: Callable[[str], Database]):
    scheduler, medicine_id = database_of("scheduler"), home.medicine()
    home.schedule(medicine_id, "12:30", "20:00")

    for day in range(1, 13):
        while schedules.extend_plans(scheduler, NOON + timedelta(days=day)):
            pass

    found = _due(home)
    assert len(found) == len(set(found)) == 2 * 20


def test_two_schedulers_that_plan_at_once_plan_once(home: Home, database_of: Callable[[str], Database]):
    for name in ("A", "B", "C"):
        home.schedule(home.medicine(name), "12:30")

    def extend(_: int) -> int:
        scheduler = home.server.database("scheduler")
        planned = schedules.extend_plans(scheduler, NOON + timedelta(days=2))
        scheduler.close()
        return planned

    with ThreadPoolExecutor(4) as pool:
        planned = sum(pool.map(extend, range(4)))

    assert planned == 3 * 2


def test_nothing_to_plan_costs_one_statement(home: Home, database_of: Callable[[str], Database]):
    home.schedule(home.medicine(), "12:30")

    assert database_of("scheduler").run(sql.TO_PLAN, before=NOON + timedelta(days=7), limit=9) == []


def test_a_schedule_that_others_keep_changing_is_given_up_with_a_word(home: Home, monkeypatch: pytest.MonkeyPatch):
    medicine_id = home.medicine()
    home.schedule(medicine_id, "12:30")
    standing = schedules.Standing(medicine_id, {}, "UTC", 0, None, Decimal(), None, None, None)
    monkeypatch.setattr(schedules, "_standing", lambda *_: standing)

    with pytest.raises(Changed, match="read it again"):
        home.schedule(medicine_id, "13:30")


def _elapsed(home: Home, hours: int, **rule: object) -> str:
    """A medicine every so many hours after the last one taken, from NOON on."""
    medicine_id = home.medicine(on_hand="500")
    home.rule(
        medicine_id, (Step(None, Decimal(1)),), kind=ELAPSED, every_minutes=hours * 60, counted_from=LAST_TAKEN, **rule
    )
    return medicine_id


def _take(home: Home, medicine_id: str, at: datetime) -> None:
    doses.take(home.database, home.writer(), Taking(at, medicine_id=medicine_id), home.request(), at)


def test_elapsed_doses_are_planned_on_from_the_last_one_taken(home: Home, database_of: Callable[[str], Database]):
    medicine_id, scheduler = _elapsed(home, 8), database_of("scheduler")
    _take(home, medicine_id, NOON + timedelta(minutes=17))

    while schedules.extend_plans(scheduler, NOON + timedelta(days=2)):
        pass

    due = [datetime.fromisoformat(str(dose["due_at"])) for dose in home.doses()]
    assert (due[1], due[-1]) == (NOON + timedelta(hours=8, minutes=17), NOON + timedelta(days=9, hours=16, minutes=17))
    assert {later - earlier for earlier, later in pairwise(due[1:])} == {timedelta(hours=8)}


def test_an_interval_beyond_the_horizon_is_planned_when_it_comes_near(
    home: Home, database_of: Callable[[str], Database]
):
    medicine_id, scheduler = _elapsed(home, 28 * 24), database_of("scheduler")
    _take(home, medicine_id, NOON + timedelta(hours=1))

    for day in range(1, 25):
        schedules.extend_plans(scheduler, NOON + timedelta(days=day))

    assert _due(home) == ["2026-03-04T12:00", "2026-04-01T13:00"]


def test_what_begins_at_an_anchor_beyond_the_horizon_is_not_planned_before(
    home: Home, database_of: Callable[[str], Database]
):
    medicine_id, scheduler = _elapsed(home, 8), database_of("scheduler")
    _take(home, medicine_id, NOON)
    anchor = NOON + timedelta(days=21)
    home.rule(
        medicine_id,
        (Step(None, Decimal(1)),),
        kind=ELAPSED,
        every_minutes=480,
        counted_from=LAST_TAKEN,
        anchor_at=anchor,
    )

    for day in range(1, 16):
        while schedules.extend_plans(scheduler, NOON + timedelta(days=day)):
            pass

    assert _due(home)[:3] == ["2026-03-04T12:00", "2026-03-25T12:00", "2026-03-25T20:00"]


def test_the_planner_counts_on_from_the_last_one_taken_under_the_old_rule_and_not_from_one_missed(
    home: Home, database_of: Callable[[str], Database]
):
    medicine_id, scheduler, now = home.medicine(), database_of("scheduler"), NOON + timedelta(days=4, hours=-3)
    home.schedule(medicine_id, "12:30")
    _take(home, medicine_id, NOON)
    doses.close_missed(scheduler, now)

    home.rule(
        medicine_id,
        (Step(None, Decimal(1)),),
        now=now,
        kind=ELAPSED,
        every_minutes=28 * 24 * 60,
        counted_from=LAST_TAKEN,
    )
    for day in range(5, 25):
        while schedules.extend_plans(scheduler, NOON + timedelta(days=day)):
            pass

    assert _due(home)[-2:] == ["2026-03-07T12:30", "2026-04-01T12:00"]


def test_a_dose_taken_while_the_planner_thinks_does_not_leave_stale_ones(
    home: Home, database_of: Callable[[str], Database]
):
    medicine_id, scheduler = _elapsed(home, 8), database_of("scheduler")
    read = scheduler.run

    def take_after_the_read(statement: Statement, *entry: Entry, **values: object) -> list[Row]:
        rows = read(statement, *entry, **values)
        if statement is sql.TO_PLAN and rows:
            _take(home, medicine_id, NOON + timedelta(minutes=30))
        return rows

    scheduler.run = take_after_the_read  # type: ignore[method-assign]
    schedules.extend_plans(scheduler, NOON + timedelta(days=2))
    scheduler.run = read  # type: ignore[method-assign]
    while schedules.extend_plans(scheduler, NOON + timedelta(days=2)):
        pass

    due = [datetime.fromisoformat(str(dose["due_at"])) for dose in home.doses()][1:]
    assert {later - earlier for earlier, later in pairwise(due)} == {timedelta(hours=8)}
    assert due[0] == NOON + timedelta(hours=8, minutes=30)


def test_a_new_rule_of_elapsed_time_counts_from_what_was_taken_under_the_old_one(home: Home):
    medicine_id = _elapsed(home, 8)
    _take(home, medicine_id, NOON + timedelta(minutes=30))

    home.rule(
        medicine_id,
        (Step(None, Decimal(1)),),
        now=NOON + timedelta(hours=1),
        kind=ELAPSED,
        every_minutes=360,
        counted_from=LAST_TAKEN,
    )

    assert _due(home)[:3] == ["2026-03-04T12:00", "2026-03-04T18:30", "2026-03-05T00:30"]


def test_a_pause_leaves_its_days_out_of_elapsed_time(home: Home):
    _elapsed(home, 12, pauses=(Pause(date(2026, 3, 5), date(2026, 3, 6)),))

    assert _due(home)[:2] == ["2026-03-04T12:00", "2026-03-07T00:00"]


def test_reminders_move_with_the_doses_that_follow(home: Home, database_of: Callable[[str], Database]):
    medicine_id = _elapsed(home, 8)
    _take(home, medicine_id, NOON + timedelta(minutes=20))

    next_one = reminders.backlog(database_of("scheduler"), NOON + timedelta(hours=1)).next_due_at

    assert next_one == NOON + timedelta(hours=8, minutes=20)


def test_days_left_are_projected_anew_as_time_goes_by(home: Home, database_of: Callable[[str], Database]):
    medicine_id = home.medicine(on_hand="200")
    home.schedule(medicine_id, "12:30")
    scheduler = database_of("scheduler")
    for day in range(1, 120):
        schedules.extend_plans(scheduler, NOON + timedelta(days=day))
        doses.close_missed(scheduler, NOON + timedelta(days=day))

    told = home.database.one(medicine_sql.GET, home.reader(), medicine=medicine_id, now=NOON + timedelta(days=119))

    assert json.loads(told[0])["days_left"] == 200


def test_new_zone_rules_reach_every_household_once(home: Home, database_of: Callable[[str], Database]):
    scheduler = database_of("scheduler")
    found_home(home.server, home.database, "Next door")
    with psycopg2.connect(home.server.url("scheduler"), options="-c search_path=dosette") as connection:
        connection.cursor().execute("UPDATE households SET offset_since = '{}', utc_offset = '{}'")
    connection.close()

    assert (households.refresh_offsets(scheduler), households.refresh_offsets(scheduler)) == (2, 0)
