"""Elapsed time: whatever a household does in whatever order, the next dose is one interval after the last one taken."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from conftest import Home, Server, found_home
from dosette.actions import devices, doses, history, schedules
from dosette.actions.devices import ServerKeys
from dosette.actions.doses import Taking
from dosette.actions.replies import Answer
from dosette.domain.doses import When
from dosette.domain.errors import Refused
from dosette.domain.schedules import ELAPSED, LAST_TAKEN, Pause, Step
from dosette.storage import doses as dose_sql
from dosette.storage import medicines as medicine_sql
from dosette.storage.connection import Database
from dosette.testing import NOON, a_press
from dosette_local.servers.postgres import Postgres

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
DAY, WEEK = 24 * HOUR, 7 * 24 * HOUR
ON_HAND = 1000


@dataclass(frozen=True)
class Row:
    """A dose as it is stored, with when it will be told."""

    id: str
    kind: str
    status: str
    opens_at: datetime
    due_at: datetime
    late_at: datetime
    closes_at: datetime
    slot_on: date
    resolved_at: datetime | None
    amount: Decimal
    told_at: datetime | None


@contextmanager
def _stored(postgres: Postgres, server: Server) -> Iterator[Callable[[str], list[Row]]]:
    """The doses of a medicine as PostgreSQL has them, the cancelled left out, by due time."""
    connection = psycopg2.connect(
        f"{postgres.url.rsplit('/', 1)[0]}/{server.name}", options="-c search_path=dosette -c timezone=UTC"
    )
    connection.autocommit = True

    def rows(medicine_id: str) -> list[Row]:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT d.id::text, d.kind, d.status, d.opens_at, d.due_at, d.late_at, d.closes_at, d.slot_on, d.resolved_at,
                       coalesce(d.taken_amount, d.amount), r.due_at
                  FROM doses AS d LEFT JOIN reminders AS r ON r.dose_id = d.id AND r.status = 'waiting'
                 WHERE d.medicine_id = %s AND d.status <> 'cancelled' ORDER BY d.due_at
                """,
                (medicine_id,),
            )
            return [Row(*row) for row in cursor.fetchall()]

    yield rows
    connection.close()


class Household(RuleBasedStateMachine):
    """One medicine every eight hours and one every week, a phone, a panel, a scheduler, and a clock that goes forward."""

    server: Server
    api: Database
    scheduler: Database
    stored: Callable[[str], list[Row]]

    @initialize()
    def move_in(self) -> None:
        self.home: Home = found_home(self.server, self.api, f"Home {uuid4()}")
        keys = ServerKeys("secret")
        self.panel = devices.pair(self.api, self.home.console, "Kitchen", keys, "redis:6379", "", NOON).device_id
        self.now = NOON
        self.every = {self._medicine(name, every): every for name, every in (("Often", 8 * HOUR), ("Weekly", WEEK))}
        self.names = dict(zip(("often", "weekly"), self.every, strict=True))
        self.presses = 0
        self.last: Callable[[], Answer] | None = None

    def _medicine(self, name: str, every: timedelta) -> str:
        medicine_id = self.home.medicine(name, str(ON_HAND))
        _follows(self.home, medicine_id, every)
        return medicine_id

    which = st.sampled_from(["often", "weekly"])

    @rule(which=which, earlier=st.integers(0, 59), amount=st.sampled_from([None, "0.5", "2"]))
    def take(self, which: str, earlier: int, amount: str | None) -> None:
        at, medicine_id = self.now - earlier * MINUTE, self.names[which]
        taking = Taking(at, medicine_id=medicine_id, amount=Decimal(amount) if amount else None)
        request = self.home.request()
        self._try(lambda: doses.take(self.api, self.home.writer(), taking, request, self.now))

    @rule(minutes=st.integers(-60, 60))
    def take_when_it_is_due(self, minutes: int) -> None:
        medicine_id, due_at = min(((each, self._next(each).due_at) for each in self.every), key=lambda pair: pair[1])
        self._go_on_until(max(self.now, due_at + minutes * MINUTE))
        taking, request = Taking(self.now, medicine_id=medicine_id), self.home.request()
        self._try(lambda: doses.take(self.api, self.home.writer(), taking, request, self.now))

    @rule(which=which)
    def skip(self, which: str) -> None:
        dose_id, request = self._next(self.names[which]).id, self.home.request()
        now = self.now
        self._try(lambda: doses.skip(self.api, self.home.writer(), dose_id, None, request, now, now))

    @rule(which=which)
    def undo_the_newest(self, which: str) -> None:
        newest, request = self._newest(self.names[which]), self.home.request()
        if newest:
            self._try(lambda: doses.undo(self.api, self.home.writer(), newest.id, request, self.now, self.now))

    @rule(which=which, minutes=st.integers(-90, 90))
    def correct_the_newest(self, which: str, minutes: int) -> None:
        newest, request = self._newest(self.names[which]), self.home.request()
        if newest and newest.resolved_at:
            at = min(self.now, newest.resolved_at + minutes * MINUTE)
            entry = self.home.writer()
            self._try(lambda: doses.correct(self.api, entry, newest.id, at, None, None, request, self.now))

    @rule(which=which, kind=st.sampled_from(["take", "skip", "undo"]), earlier=st.integers(0, 90), data=st.data())
    def press_on_the_panel(self, which: str, kind: str, earlier: int, data: st.DataObject) -> None:
        near = [row for row in self._planned(self.names[which]) if abs(row.due_at - self.now) < 9 * HOUR]
        undone = self._newest(self.names[which]) if kind == "undo" else None
        near = near if kind != "undo" else [undone] if undone else []
        if near:
            self.presses += 1
            dose, at = data.draw(st.sampled_from(near)), self.now - earlier * MINUTE
            press = a_press(self.panel, dose.id, kind=kind, number=self.presses, at=at)
            assert doses.take_in(self.scheduler, press, When(at), self.now)[0] in ("done", "refused", "conflict")
            assert doses.take_in(self.scheduler, press, When(at), self.now)[0] != "done"

    @precondition(lambda self: self._conflicts())
    @rule(verdict=st.sampled_from(["taken", "not_taken"]))
    def resolve_a_conflict(self, verdict: str) -> None:
        conflict, request = self._conflicts()[0], self.home.request()
        taken_before = self._taken_count()
        doses.resolve_conflict(self.api, self.home.writer(), conflict["id"], verdict, None, request, self.now)
        more = verdict == "taken" and conflict["report"] == "take"
        assert self._taken_count() == taken_before + more

    @precondition(lambda self: self.last)
    @rule()
    def say_the_last_thing_again(self) -> None:
        assert self.last is not None
        assert self.last().replayed

    @rule(length=st.sampled_from([MINUTE, HOUR, 3 * HOUR, 9 * HOUR, 2 * DAY]))
    def let_time_pass(self, length: timedelta) -> None:
        self._go_on_until(self.now + length)

    @invariant()
    def the_next_is_one_interval_after_the_last_one_taken(self) -> None:
        for medicine_id, every in self.every.items():
            planned = self._planned(medicine_id)
            newest = self._newest(medicine_id)
            if newest and newest.status == "taken" and newest.resolved_at:
                following = [row.due_at for row in planned if row.status == "pending" and row.due_at > newest.due_at]
                expected = newest.resolved_at + every
                assert following[:1] == [expected] if expected <= self.now + WEEK else following[:1] in ([], [expected])

    @invariant()
    def windows_never_overlap_and_keep_their_shape(self) -> None:
        for medicine_id, every in self.every.items():
            width = 2 * HOUR if every == WEEK else HOUR
            planned = self._planned(medicine_id)
            for row in planned:
                window = (row.opens_at, row.late_at, row.closes_at)
                assert window == (row.due_at - width, row.due_at + width / 2, row.due_at + width)
                assert row.slot_on == row.due_at.date()
            assert all(row.closes_at <= later.opens_at for row, later in pairwise(planned) if later.status == "pending")

    @invariant()
    def what_is_to_come_is_told_when_it_is_due(self) -> None:
        for medicine_id in self.every:
            coming = [row for row in self._planned(medicine_id) if row.status == "pending" and row.due_at > self.now]
            assert [row.told_at for row in coming] == [row.due_at for row in coming]

    @invariant()
    def the_stock_is_what_was_there_less_what_was_taken(self) -> None:
        for medicine_id in self.every:
            taken = sum(row.amount for row in self.stored(medicine_id) if row.status == "taken")
            assert self._on_hand(medicine_id) == ON_HAND - taken

    @invariant()
    def nothing_contradicts_the_events(self) -> None:
        assert history.verify(self.api, self.home.reader()).faults == ()

    def _go_on_until(self, end: datetime) -> None:
        """As the scheduler does: again and again."""
        while self.now < end:
            self.now = min(end, self.now + 3 * HOUR)
            while schedules.extend_plans(self.scheduler, self.now):
                pass
            doses.close_missed(self.scheduler, self.now)

    def _try(self, act: Callable[[], Answer]) -> None:
        """What is refused changes nothing."""
        try:
            act()
        except Refused:
            return
        self.last = act

    def _planned(self, medicine_id: str) -> list[Row]:
        return [row for row in self.stored(medicine_id) if row.kind == "elapsed"]

    def _next(self, medicine_id: str) -> Row:
        return next(row for row in self._planned(medicine_id) if row.status == "pending")

    def _newest(self, medicine_id: str) -> Row | None:
        """The last one that is no longer open."""
        return next((row for row in reversed(self._planned(medicine_id)) if row.status != "pending"), None)

    def _taken_count(self) -> int:
        return sum(row.status == "taken" for medicine_id in self.every for row in self.stored(medicine_id))

    def _on_hand(self, medicine_id: str) -> Decimal:
        told = self.api.one(medicine_sql.GET, self.home.reader(), medicine=medicine_id, now=self.now)
        return Decimal(json.loads(told[0])["on_hand"])

    def _conflicts(self) -> list[dict[str, Any]]:
        values = {"open": True, "before": None, "limit": 50, "now": self.now}
        items: list[dict[str, Any]] = json.loads(self.api.one(dose_sql.CONFLICTS, self.home.reader(), **values)[0])[
            "items"
        ]
        return items


def _follows(home: Home, medicine_id: str, every: timedelta, now: datetime = NOON, **other: Any) -> None:
    """So long after the last one taken, from `now` on."""
    minutes = int(every / MINUTE)
    facts: dict[str, Any] = {"kind": ELAPSED, "every_minutes": minutes, "counted_from": LAST_TAKEN}
    home.rule(medicine_id, (Step(None, Decimal(1)),), now=now, **facts | other)


def _take(home: Home, medicine_id: str, at: datetime) -> str:
    told = doses.take(home.database, home.writer(), Taking(at, medicine_id=medicine_id), home.request(), at)
    dose_id: str = json.loads(told.body)["id"]
    return dose_id


def _undo(home: Home, dose_id: str, now: datetime) -> None:
    doses.undo(home.database, home.writer(), dose_id, home.request(), now, now)


def _correct(home: Home, dose_id: str, at: datetime, now: datetime) -> None:
    doses.correct(home.database, home.writer(), dose_id, at, None, None, home.request(), now)


def _pending(home: Home) -> list[datetime]:
    return [datetime.fromisoformat(str(dose["due_at"])) for dose in home.doses() if dose["status"] == "pending"]


def test_whatever_happens_the_next_one_follows_the_last_one_taken(
    postgres: Postgres, server: Server, database_of: Callable[[str], Database]
):
    class Here(Household):
        pass

    Here.server, Here.api, Here.scheduler = server, database_of("api"), database_of("scheduler")
    with _stored(postgres, server) as stored:
        Here.stored = staticmethod(stored)

        run_state_machine_as_test(
            Here,
            settings=settings(
                derandomize=True,
                deadline=None,
                max_examples=25,
                stateful_step_count=30,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
            ),
        )


def test_a_weekly_one_taken_early_is_followed_in_a_week_wherever_the_plan_ends(
    home: Home, database_of: Callable[[str], Database]
):
    medicine_id, scheduler, planned_at = home.medicine(), database_of("scheduler"), NOON - HOUR
    _follows(home, medicine_id, WEEK, now=planned_at, anchor_at=NOON)
    _take(home, medicine_id, NOON)
    for day in range(1, 7):
        schedules.extend_plans(scheduler, planned_at + day * (DAY + SECOND))  # the plan ends an hour before the third

    early = NOON + WEEK - 90 * MINUTE
    _take(home, medicine_id, early)
    for day in range(7, 14):
        schedules.extend_plans(scheduler, planned_at + day * (DAY + SECOND))

    assert _pending(home)[0] == early + WEEK


def test_a_late_one_before_a_pause_is_followed_after_the_pause(home: Home):
    medicine_id, thursday, friday = home.medicine(), date(2026, 3, 5), date(2026, 3, 6)
    _follows(home, medicine_id, 12 * HOUR, pauses=(Pause(thursday, friday),))

    _take(home, medicine_id, NOON + 10 * MINUTE)

    assert _pending(home)[0] == NOON + 10 * MINUTE + 60 * HOUR


def test_a_late_one_is_not_followed_beyond_the_end(home: Home):
    medicine_id, last = home.medicine(), date(2026, 3, 5)
    _follows(home, medicine_id, 12 * HOUR, now=NOON - HOUR, ends_on=last, window_minutes=240)
    _take(home, medicine_id, NOON + 3 * HOUR)

    assert max(due_at.date() for due_at in _pending(home)) == last


def test_the_following_ones_move_on_by_a_whole_interval(home: Home):
    medicine_id = home.medicine()
    _follows(home, medicine_id, 8 * HOUR, window_minutes=160)
    dose_id = _take(home, medicine_id, NOON)
    _follows(home, medicine_id, 2 * HOUR, now=NOON + MINUTE)

    _correct(home, dose_id, NOON + 2 * HOUR, now=NOON + 2 * HOUR)

    assert _pending(home)[:2] == [NOON + 4 * HOUR, NOON + 6 * HOUR]


def test_an_undone_one_is_due_after_the_right_time_of_the_one_before(home: Home):
    medicine_id = home.medicine()
    _follows(home, medicine_id, 8 * HOUR)
    first = _take(home, medicine_id, NOON)
    second, now = _take(home, medicine_id, NOON + 8 * HOUR), NOON + 8 * HOUR
    _correct(home, first, NOON + 40 * MINUTE, now)

    _undo(home, second, now)

    assert _pending(home)[0] == NOON + 8 * HOUR + 40 * MINUTE


@pytest.mark.parametrize("minutes", [-59, 0, 59])
def test_undoing_gives_the_following_ones_their_times_back(home: Home, minutes: int):
    medicine_id = home.medicine()
    _follows(home, medicine_id, 8 * HOUR, now=NOON - HOUR, anchor_at=NOON)
    planned = _pending(home)

    _undo(home, _take(home, medicine_id, NOON + minutes * MINUTE), NOON + HOUR)

    assert _pending(home) == planned


def test_undoing_the_first_one_of_a_new_rule_leaves_it_where_it_was(home: Home):
    medicine_id, changed_at = home.medicine(), NOON + 6 * HOUR
    _follows(home, medicine_id, 8 * HOUR)
    _take(home, medicine_id, NOON)
    _follows(home, medicine_id, 2 * HOUR, now=changed_at)
    planned = _pending(home)

    _undo(home, _take(home, medicine_id, changed_at), changed_at)

    assert planned[0] == changed_at
    assert _pending(home) == planned


def test_a_new_course_has_nothing_to_do_with_when_the_old_one_ended(home: Home, database_of: Callable[[str], Database]):
    medicine_id, second_course = home.medicine(), NOON + 20 * DAY + 3 * HOUR
    _follows(home, medicine_id, 8 * HOUR, ends_on=NOON.date())
    _take(home, medicine_id, NOON)
    doses.close_missed(database_of("scheduler"), second_course)
    _follows(home, medicine_id, 8 * HOUR, now=second_course)
    planned = _pending(home)

    _undo(home, _take(home, medicine_id, second_course), second_course)

    assert _pending(home) == planned


def test_a_correction_of_an_old_rule_s_dose_makes_nothing_due_before_the_new_rule(home: Home):
    medicine_id, changed_at = home.medicine(), NOON + 6 * HOUR
    _follows(home, medicine_id, 8 * HOUR)
    first = _take(home, medicine_id, NOON)
    _follows(home, medicine_id, 2 * HOUR, now=changed_at)

    _correct(home, first, NOON + 10 * MINUTE, changed_at)

    assert _pending(home)[0] >= changed_at


def test_a_correction_does_not_bring_forward_what_begins_at_an_anchor(home: Home):
    medicine_id, anchor_at = home.medicine(), NOON + DAY
    _follows(home, medicine_id, 8 * HOUR)
    first = _take(home, medicine_id, NOON)
    _follows(home, medicine_id, 8 * HOUR, now=NOON + HOUR, anchor_at=anchor_at)

    _correct(home, first, NOON + 10 * MINUTE, NOON + HOUR)

    assert _pending(home)[0] == anchor_at


def test_a_change_while_one_is_due_makes_no_other_one_due_beside_it(home: Home):
    medicine_id = home.medicine()
    _follows(home, medicine_id, 8 * HOUR)

    _follows(home, medicine_id, 8 * HOUR, now=NOON + 30 * MINUTE, critical=True)

    due = _pending(home)
    assert [later - earlier for earlier, later in pairwise(due)][:1] == [8 * HOUR]


def test_undoing_after_one_that_was_skipped_under_the_old_rule_leaves_it_where_it_was(home: Home):
    medicine_id, changed_at = home.medicine(), NOON + HOUR
    _follows(home, medicine_id, WEEK)
    skipped = str(home.doses()[0]["id"])
    doses.skip(home.database, home.writer(), skipped, None, home.request(), NOON, NOON)
    _follows(home, medicine_id, 6 * DAY, now=changed_at)
    planned = _pending(home)

    _undo(home, _take(home, medicine_id, planned[0]), planned[0])

    assert _pending(home) == planned


def test_an_undone_one_whose_window_moves_is_told_again(home: Home, postgres: Postgres):
    medicine_id, now = home.medicine(), NOON + 9 * HOUR + 10 * MINUTE
    _follows(home, medicine_id, 8 * HOUR)
    first, second = _take(home, medicine_id, NOON), _take(home, medicine_id, NOON + 8 * HOUR)
    _correct(home, first, NOON + 50 * MINUTE, now)

    _undo(home, second, now)

    with _stored(postgres, home.server) as stored:
        dose = next(row for row in stored(medicine_id) if row.id == second)
    assert (dose.status, dose.closes_at > now) == ("pending", True)
    assert dose.told_at == dose.due_at
