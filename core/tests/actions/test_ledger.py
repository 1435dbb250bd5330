"""Whatever a household does in whatever order, the count is the sum of its ledger, and every package's too."""

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

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
from dosette.actions import doses, history, schedules, stock
from dosette.actions.doses import Taking
from dosette.actions.replies import Answer, Request
from dosette.actions.stock import Line
from dosette.domain.errors import DosetteError, Refused
from dosette.domain.schedules import AS_NEEDED, Step
from dosette.storage import stock as stock_sql
from dosette.storage.connection import Database
from dosette.testing import NOON

AMOUNTS = st.decimals("0.25", "4", places=2).map(lambda amount: amount.normalize())
LOOSE = ""  # what is in no package that we know

Parts = dict[str, Decimal]
"""By package."""


class Cupboard:
    """What the count must be: the same rules, in the plainest form."""

    def __init__(self) -> None:
        self.left: Parts = defaultdict(Decimal)
        self.expires: dict[str, date | None] = {}
        self.used: dict[str, Parts] = {}

    def take(self, dose_id: str, amount: Decimal, today: date) -> None:
        usable = [each for each in self._soonest_first() if (self.expires[each] or date.max) >= today]
        self.used[dose_id] = self._remove(amount, usable)

    def undo(self, dose_id: str) -> None:
        for package, part in self.used.pop(dose_id).items():
            self.left[package] += part

    def lose(self, amount: Decimal) -> None:
        self._remove(amount, self._soonest_first())

    def recount(self, counted: Decimal) -> None:
        difference = counted - self.count
        if difference < 0:
            self.lose(-difference)
        else:
            self.left[LOOSE] += difference

    @property
    def count(self) -> Decimal:
        return sum(self.left.values(), Decimal())

    def _soonest_first(self) -> list[str]:
        with_stock = [each for each in self.expires if self.left[each] > 0]
        return sorted(with_stock, key=lambda each: (self.expires[each] or date.max, each))

    def _remove(self, amount: Decimal, packages: list[str]) -> Parts:
        parts: Parts = {}
        for package in [*packages, LOOSE]:
            parts[package] = amount if package == LOOSE else min(amount, self.left[package])
            self.left[package] -= parts[package]
            amount -= parts[package]
        return parts


class Household(RuleBasedStateMachine):
    """Two medicines, one taken twice a day and one as needed, and a clock that only goes forward."""

    server: Server
    api: Database
    scheduler: Database

    @initialize()
    def move_in(self) -> None:
        self.home: Home = found_home(self.server, self.api, f"Home {uuid4()}")
        self.now = NOON
        self.daily, self.needed = self.home.medicine("Daily", "20"), self.home.medicine("Needed", "5")
        self.home.schedule(self.daily, "12:30", "20:00")
        self.home.rule(self.needed, (Step(None, Decimal(1)),), kind=AS_NEEDED)
        self.cupboards = {self.daily: Cupboard(), self.needed: Cupboard()}
        self.cupboards[self.daily].left[LOOSE], self.cupboards[self.needed].left[LOOSE] = Decimal(20), Decimal(5)
        self.taken: dict[str, str] = {}
        self.planned: set[str] = set()
        self.last: Callable[[], Answer] | None = None

    @rule(amount=st.none() | AMOUNTS, earlier=st.integers(0, 30))
    def take_what_is_due(self, amount: Decimal | None, earlier: int) -> None:
        at = self.now - timedelta(minutes=earlier)
        self._take(Taking(at, medicine_id=self.daily, amount=amount))

    @rule(amount=st.none() | AMOUNTS)
    def take_as_needed(self, amount: Decimal | None) -> None:
        self._take(Taking(self.now, medicine_id=self.needed, amount=amount))

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), amount=AMOUNTS)
    def take_an_extra_one(self, data: st.DataObject, amount: Decimal) -> None:
        dose_id = data.draw(st.sampled_from(sorted(self.taken)))
        self._take(Taking(self.now, dose_id=dose_id, amount=amount, extra=True))

    @rule()
    def take_both_in_a_batch(self) -> None:
        takings = [Taking(self.now, medicine_id=each) for each in (self.daily, self.needed, self.daily)]
        request = self.home.request()
        told = doses.take_batch(self.api, self.home.writer(), takings, self.now, None, request, self.now)
        for result in json.loads(told.body)["results"]:
            if result["outcome"] == "done":
                self._was_taken(result["dose"], self.now)

    @rule()
    def skip_what_is_due(self) -> None:
        due = [dose for dose in self._doses() if dose["status"] == "pending"]
        if due:
            self._try(
                lambda: doses.skip(
                    self.api, self.home.writer(), due[0]["id"], None, self.home.request(), self.now, self.now
                )
            )

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        dose_id = data.draw(st.sampled_from(sorted(self.taken)))
        request = self.home.request()
        told = self._try(lambda: doses.undo(self.api, self.home.writer(), dose_id, request, self.now, self.now))
        assert told is not None
        self.cupboards[self.taken.pop(dose_id)].undo(dose_id)

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), minutes=st.integers(0, 60))
    def correct_the_time(self, data: st.DataObject, minutes: int) -> None:
        dose_id, at = data.draw(st.sampled_from(sorted(self.taken))), self.now - timedelta(minutes=minutes)
        request = self.home.request()
        self._try(lambda: doses.correct(self.api, self.home.writer(), dose_id, at, None, None, request, self.now))

    @rule(of=st.sampled_from(["daily", "needed"]), amount=AMOUNTS, days=st.none() | st.integers(-1, 3))
    def buy_a_box(self, of: str, amount: Decimal, days: int | None) -> None:
        expires_on = None if days is None else (self.now + timedelta(days=days)).date()
        told = self._stock(stock.refill, of, Line(amount, batch="A", expires_on=expires_on))
        cupboard, package = self.cupboards[getattr(self, of)], json.loads(told.body)["package_id"]
        cupboard.left[package], cupboard.expires[package] = amount, expires_on

    @rule(of=st.sampled_from(["daily", "needed"]), amount=AMOUNTS)
    def find_some_loose(self, of: str, amount: Decimal) -> None:
        self._stock(stock.refill, of, Line(amount))
        self.cupboards[getattr(self, of)].left[LOOSE] += amount

    @rule(of=st.sampled_from(["daily", "needed"]), amount=AMOUNTS)
    def lose_some(self, of: str, amount: Decimal) -> None:
        cupboard = self.cupboards[getattr(self, of)]
        if amount > cupboard.count:
            with pytest.raises(Refused, match="count what is left"):
                self._stock(stock.lose, of, Line(amount))
        else:
            self._stock(stock.lose, of, Line(amount))
            cupboard.lose(amount)

    @rule(of=st.sampled_from(["daily", "needed"]), counted=st.decimals(0, 9, places=2))
    def count_all(self, of: str, counted: Decimal) -> None:
        self._stock(stock.recount, of, Line(counted))
        self.cupboards[getattr(self, of)].recount(counted)

    @rule(of=st.sampled_from(["daily", "needed"]), counted=st.decimals(0, 9, places=2), data=st.data())
    def count_a_package(self, of: str, counted: Decimal, data: st.DataObject) -> None:
        cupboard = self.cupboards[getattr(self, of)]
        if cupboard.expires:
            package = data.draw(st.sampled_from(sorted(cupboard.expires)))
            self._stock(stock.recount, of, Line(counted, package_id=package))
            cupboard.left[package] = counted

    @precondition(lambda self: self.last)
    @rule()
    def say_the_last_thing_again(self) -> None:
        assert self.last is not None
        assert self.last().replayed

    @rule(hours=st.integers(1, 9))
    def let_time_pass(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        schedules.extend_plans(self.scheduler, self.now)
        doses.close_missed(self.scheduler, self.now)

    @invariant()
    def the_count_is_the_sum_of_the_ledger(self) -> None:
        for medicine_id, cupboard in self.cupboards.items():
            ledger = self._ledger(medicine_id)
            packages = {package["id"]: Decimal(package["amount_left"]) for package in ledger["packages"]}
            assert (
                sum(Decimal(line["amount"]) for line in ledger["items"]) == Decimal(ledger["on_hand"]) == cupboard.count
            )
            assert packages == {each: left for each, left in cupboard.left.items() if each != LOOSE and left}
            assert min(packages.values(), default=Decimal()) >= 0

    @invariant()
    def nothing_contradicts_the_events(self) -> None:
        assert history.verify(self.api, self.home.reader()).faults == ()

    def _take(self, taking: Taking) -> None:
        request = self.home.request()
        told = self._try(lambda: doses.take(self.api, self.home.writer(), taking, request, self.now))
        if told is not None:
            self._was_taken(json.loads(told.body), taking.at)

    def _was_taken(self, dose: dict[str, Any], at: datetime) -> None:
        medicine_id, amount = dose["medicine"]["id"], Decimal(dose["taken_amount"] or dose["amount"])
        self.cupboards[medicine_id].take(dose["id"], amount, at.date())
        self.taken[dose["id"]] = medicine_id

    def _try(self, act: Callable[[], Answer]) -> Answer | None:
        """What came of it; None when it was refused, which changes nothing."""
        try:
            told = act()
        except DosetteError:
            return None
        self.last = act if "request" in act.__code__.co_freevars else None
        return told

    def _stock(self, act: Callable[..., Answer], of: str, line: Line) -> Answer:
        request: Request = self.home.request()
        medicine_id = getattr(self, of)
        told = act(self.api, self.home.writer("stock:write"), medicine_id, line, request, self.now)
        self.last = lambda: act(self.api, self.home.writer("stock:write"), medicine_id, line, request, self.now)
        return told

    def _doses(self) -> list[dict[str, Any]]:
        return self.home.doses(self.now - timedelta(hours=1), self.now + timedelta(hours=1))

    def _ledger(self, medicine_id: str) -> dict[str, Any]:
        values = {"medicine": medicine_id, "before": None, "limit": 200, "now": self.now}
        ledger: dict[str, Any] = json.loads(self.api.one(stock_sql.LEDGER, self.home.reader(), **values)[0])
        return ledger


def test_the_count_is_the_sum_of_the_ledger_whatever_happens(server: Server, database_of: Callable[[str], Database]):
    class Here(Household):
        pass

    Here.server, Here.api, Here.scheduler = server, database_of("api"), database_of("scheduler")

    run_state_machine_as_test(
        Here,
        settings=settings(
            derandomize=True,
            deadline=None,
            max_examples=15,
            stateful_step_count=40,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
