"""The closed loop of one user: each operation in turn, round after round, timed, with what it cost the stack beside it."""

import math
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from dosette_bench.bench import Bench, Sizes
from dosette_bench.samples import ONE_USER, Series

SERVING = ("api", "postgresql", "bare-flask")

COUNTED = {"sql_messages": 3, "blocks": 1, "wal_bytes": 0}
"""What a row says of each request, and with how many decimals."""

Call = Callable[[], int]
"""Does it once; returns the bytes that came back. Raises Failed."""


class Failed(Exception):
    """A try that did not succeed, in a few words that are the same for every such try."""


class Meter(Protocol):
    """What the stack has used so far."""

    def cpu_ms(self) -> Mapping[str, float]:
        """CPU time of each part; empty when it can't be seen."""

    def counted(self) -> Mapping[str, float]:
        """What else was used, such as SQL messages sent, by its name in COUNTED; what nobody counts is left out."""


@dataclass(frozen=True)
class Operation:
    """`prepare(n)` sets the scene, which is not measured, and gives up to n calls; `tidy` puts everything back.

    `settle_s` is how long the stack is still busy with what was changed, when the caller has had the answer.
    """

    name: str
    prepare: Callable[[int], Sequence[Call]]
    tidy: Callable[[], None] = lambda: None
    what: str = ""
    settle_s: float = 0.0


@dataclass(frozen=True)
class Side:
    """What is measured of one stack; `reference` names the operation that the others are compared with."""

    bench: Bench
    operations: Sequence[Operation]
    meter: Meter
    reference: str | None = None


@dataclass
class _Cost:
    calls: int = 0
    bytes: int = 0
    counted: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # not a number: not always counted
    cpu_ms: dict[str, float] = field(default_factory=lambda: defaultdict(float))


@dataclass
class _Subject:
    """One operation of one side, and what is known of it so far."""

    operation: Operation
    series: Series
    meter: Meter
    sizes: Sizes
    cost: _Cost = field(default_factory=_Cost)


def again(call: Call) -> Callable[[int], Sequence[Call]]:
    """For an operation that can be repeated as it is."""
    return lambda count: [call] * count


def measure(*sides: Side) -> None:
    """Rows for each operation that is wanted; of several sides, each operation of one right beside the same of the other.

    Interrupted, the rows keep what was measured by then, their costs included.
    """
    subjects = [_subjects(side) for side in sides]
    first = sides[0].bench
    for subject in first.each("warming up", [each for of_side in subjects for each in of_side]):
        _block(_Subject(subject.operation, Series(""), subject.meter, subject.sizes), subject.sizes.warm_up)
    try:
        for subject in first.each("measuring", _interleaved(subjects, first.sizes.rounds)):
            subject.series.next_round()
            _block(subject, subject.sizes.tries)
    finally:
        for side, of_side in zip(sides, subjects, strict=True):
            reference = next((each for each in of_side if each.operation.name == side.reference), None)
            for subject in of_side:
                _note(subject, reference)


def _subjects(side: Side) -> list[_Subject]:
    bench = side.bench
    wanted = [each for each in side.operations if bench.wants(each.name)]
    return [_Subject(each, bench.series(each.name, load=ONE_USER), side.meter, bench.sizes) for each in wanted]


def _interleaved(sides: Sequence[Sequence[_Subject]], rounds: int) -> list[_Subject]:
    """Every operation once a round, in another order each time, as the sides are: no one always follows the same other."""
    chance = random.Random(0)
    together = list(zip(*sides, strict=True))
    return [
        subject
        for _ in range(rounds)
        for of_sides in chance.sample(together, len(together))
        for subject in chance.sample(of_sides, len(of_sides))
    ]


def _block(subject: _Subject, tries: int) -> None:
    operation, left = subject.operation, tries
    while left > 0:
        try:
            calls = operation.prepare(left)[:left]
            with _metered(subject.cost, subject.meter):
                for call in calls:
                    _timed(call, subject)
        except Failed as error:
            subject.series.fail(f"{error}, while it was made ready")
            return
        finally:
            with suppress(Failed):
                operation.tidy()
        left -= max(1, len(calls))
    time.sleep(operation.settle_s)


def _timed(call: Call, subject: _Subject) -> None:
    subject.cost.calls += 1
    began = time.perf_counter_ns()
    try:
        received = call()
    except Failed as error:
        subject.series.fail(str(error))
        return
    subject.series.add((time.perf_counter_ns() - began) / 1e6)
    subject.cost.bytes += received


@contextmanager
def _metered(cost: _Cost, meter: Meter) -> Iterator[None]:
    """Asks for what is counted outside and for CPU time inside: asking costs the stack something, too."""
    counted, cpu = meter.counted(), meter.cpu_ms()
    yield
    for part, used in meter.cpu_ms().items():
        cost.cpu_ms[part] += used - cpu.get(part, 0.0)
    after = meter.counted()
    for name in {*cost.counted, *counted, *after}:
        cost.counted[name] += after.get(name, math.nan) - counted.get(name, math.nan)


def _note(subject: _Subject, reference: _Subject | None) -> None:
    series, cost = subject.series, subject.cost
    if subject.operation.what:
        series.note(what=subject.operation.what)
    if not series.values:
        return
    used = {part: round(ms / cost.calls, 4) for part, ms in cost.cpu_ms.items()}
    if used:
        series.note(cpu_ms_per_request=used | {"total": round(sum(used.values()), 4)})
    for name, in_all in cost.counted.items():
        if not math.isnan(in_all):
            series.note(**{f"{name}_per_request": round(in_all / cost.calls, COUNTED[name])})
    series.note(bytes_per_response=round(cost.bytes / len(series.values)))
    if reference is not None and reference is not subject and reference.series.values:
        _compare(subject, reference)


def _compare(subject: _Subject, reference: _Subject) -> None:
    ratio = statistics.median(subject.series.values) / statistics.median(reference.series.values)
    subject.series.note(ratio_to_reference=round(ratio, 3))
    ours, theirs = _serving_ms(subject.cost), _serving_ms(reference.cost)
    if ours and theirs:
        subject.series.note(cpu_ratio_to_reference=round(ours / theirs, 3))


def _serving_ms(cost: _Cost) -> float:
    """CPU time of what answers, without what goes on beside it."""
    return sum(cost.cpu_ms[part] for part in SERVING) / max(cost.calls, 1)
