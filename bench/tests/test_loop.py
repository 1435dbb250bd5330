"""The closed loop: what counts as a try, what a try costs, and in which order things are measured."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from dosette_bench.bench import Bench, Sizes, Unwatched
from dosette_bench.loop import Call, Failed, Operation, Side, again, measure
from dosette_bench.samples import Series
from dosette_bench.stack import Stack

SIZES = Sizes(rounds=4, tries=3, warm_up=2)


class _Meter:
    """Counts up by what the calls report to it."""

    def __init__(self) -> None:
        self.used: dict[str, float] = {"api": 0.0, "bare-flask": 0.0}
        self.sent: float | None = 0.0

    def cpu_ms(self) -> Mapping[str, float]:
        return dict(self.used)

    def counted(self) -> Mapping[str, float]:
        return {"sql_messages": self.sent} if self.sent is not None else {}


def _bench(only: str | None = None) -> Bench:
    return Bench(Stack("", ""), SIZES, Unwatched(), only)


def _measured(*operations: Operation, meter: Any = None, only: str | None = None, **how: Any) -> dict[str, Series]:
    bench = _bench(only)
    measure(Side(bench, operations, meter or _Meter(), **how))
    return {each.operation: each for each in bench.collected}


def _failing() -> int:
    raise Failed("status 503")


def test_each_operation_is_tried_so_often_in_so_many_rounds_after_a_warm_up_that_does_not_count():
    calls: list[int] = []

    found = _measured(Operation("read", again(lambda: calls.append(1) or 7)))

    assert [len(each) for each in found["read"].rounds] == [3, 3, 3, 3]
    assert len(calls) == 4 * 3 + 2
    assert found["read"].facts["bytes_per_response"] == 7


def test_a_failed_try_is_none_and_its_bytes_and_time_count_for_nothing():
    found = _measured(Operation("read", again(_failing)))

    assert found["read"].tries == [None] * 12
    assert found["read"].reasons == {"status 503": 12}
    assert "bytes_per_response" not in found["read"].facts


def test_what_could_not_be_made_ready_is_a_failed_try():
    def unready(count: int) -> Sequence[Call]:
        raise Failed("status 500")

    found = _measured(Operation("take", unready))

    assert found["take"].reasons == {"status 500, while it was made ready": 4}


def test_an_operation_that_gives_fewer_calls_at_once_is_asked_again_until_there_were_enough():
    tidied: list[int] = []

    found = _measured(Operation("batch", lambda count: [lambda: 0], lambda: tidied.append(1)))

    assert [len(each) for each in found["batch"].rounds] == [3, 3, 3, 3]
    assert len(tidied) == 14


def test_costs_are_those_of_the_calls_alone():
    meter = _Meter()

    def call() -> int:
        meter.used["api"] += 2.0
        meter.sent += 1
        return 0

    def prepare(count: int) -> Sequence[Call]:
        meter.used["api"] += 100.0
        meter.sent += 100
        return [call] * count

    found = _measured(
        Operation("read", prepare, prepare_back := lambda: meter.used.update(api=meter.used["api"] + 50)), meter=meter
    )

    assert prepare_back
    assert found["read"].facts["cpu_ms_per_request"] == {"api": 2.0, "bare-flask": 0.0, "total": 2.0}
    assert found["read"].facts["sql_messages_per_request"] == 1.0


def test_what_was_not_always_counted_is_not_told():
    meter, calls = _Meter(), [0]

    def call() -> int:
        calls[0] += 1
        meter.sent = None if calls[0] == 11 else float(calls[0])  # the third round's last
        return 0

    assert "sql_messages_per_request" not in _measured(Operation("read", again(call)), meter=meter)["read"].facts


def test_a_row_is_compared_with_the_reference_of_the_same_rounds():
    meter = _Meter()

    def ours() -> int:
        meter.used["api"] += 3.0
        return 0

    def reference() -> int:
        meter.used["bare-flask"] += 1.0
        return 0

    operations = Operation("read", again(ours)), Operation("bare", again(reference))
    found = _measured(*operations, meter=meter, reference="bare")

    assert found["read"].facts["cpu_ratio_to_reference"] == 3.0
    assert found["read"].facts["ratio_to_reference"] > 0
    assert "ratio_to_reference" not in found["bare"].facts


def test_operations_take_turns_and_no_one_always_follows_the_same_other():
    order: list[str] = []
    names = ["a", "b", "c", "d"]

    def named(name: str) -> Operation:
        return Operation(name, again(lambda: order.append(name) or 0))

    _measured(*map(named, names))
    rounds = [order[8:][start : start + 12 : 3] for start in range(0, 48, 12)]

    assert all(sorted(each) == names for each in rounds)
    assert len({follower for each in rounds for first, follower in pairwise(each) if first == "a"}) > 1


def test_two_sides_are_measured_in_turns_and_neither_always_goes_first():
    order: list[str] = []
    one, other = _bench(), _bench()

    def side(bench: Bench, name: str) -> Side:
        return Side(bench, [Operation("read", again(lambda: order.append(name) or 0))], _Meter())

    measure(side(one, "base"), side(other, "new"))

    blocks = [order[4:][start] for start in range(0, 24, 3)]
    pairs = [tuple(blocks[start : start + 2]) for start in range(0, 8, 2)]
    assert {frozenset(each) for each in pairs} == {frozenset({"base", "new"})}
    assert len(set(pairs)) == 2
    assert [len(each.rounds) for each in (*one.collected, *other.collected)] == [4, 4]


def test_only_what_is_wanted_is_measured():
    found = _measured(Operation("list_history", again(lambda: 0)), Operation("health", again(lambda: 0)), only="list")

    assert list(found) == ["list_history"]


def test_an_interrupted_loop_keeps_what_was_measured_and_what_it_cost():
    meter, calls = _Meter(), [0]

    def call() -> int:
        calls[0] += 1
        meter.used["api"] += 2.0
        if calls[0] > 2 + 4:
            raise KeyboardInterrupt
        return 5

    bench = _bench()
    with pytest.raises(KeyboardInterrupt):
        measure(Side(bench, [Operation("read", again(call))], meter))

    [series] = bench.collected
    assert len(series.values) == 4
    assert series.facts["bytes_per_response"] == 5
