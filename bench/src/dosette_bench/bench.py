"""What a suite works with: the stack, how much of everything, where samples go, and somebody who watches."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol, TypeVar

from dosette_bench.errors import CannotMeasure
from dosette_bench.samples import Better, Load, Series
from dosette_bench.stack import Stack

_T = TypeVar("_T")


@dataclass(frozen=True)
class Sizes:
    """How much is measured: rounds of every operation in turn, tries in a round, and how long loads last."""

    rounds: int = 10
    tries: int = 20
    warm_up: int = 20
    load_s: float = 6.0
    soak_s: float = 30.0
    requests: int = 2000
    herd: int = 500
    great_herd: int = 50_000
    kills: int = 2

    @property
    def quick(self) -> bool:
        return self.rounds < FULL.rounds


FULL = Sizes()
QUICK = Sizes(rounds=5, tries=6, warm_up=16, load_s=2.0, soak_s=5.0, requests=200, herd=100, great_herd=1000, kills=1)
ONCE = Sizes(rounds=1, tries=1, warm_up=1, load_s=1.0, soak_s=1.0, requests=10, herd=5, great_herd=20, kills=1)
"""The least that is still everything: for the suite's own tests."""


class Watcher(Protocol):
    """Who watches a run; see `progress`."""

    def doing(self, what: str, of: int = 0) -> None:
        """A step begins; `of` steps of its own, when they can be counted."""

    def advance(self, by: int = 1) -> None: ...


@dataclass
class Unwatched:
    """Where nobody looks. `at_a_step` is called with the words of each step: a test's way to do something in the middle of a run."""

    at_a_step: Callable[[str], None] = lambda what: None

    def doing(self, what: str, of: int = 0) -> None:
        self.at_a_step(what)

    def advance(self, by: int = 1) -> None:
        """Nobody looks."""


@dataclass
class Bench:
    """One suite's run. What was added to a series stays, whatever happens after."""

    stack: Stack
    sizes: Sizes
    watcher: Watcher
    only: str | None = None
    collected: list[Series] = field(default_factory=list)

    def wants(self, operation: str) -> bool:
        """Whether `--only` lets it through: a part of its name, or a pattern."""
        return self.only is None or self.only in operation or fnmatchcase(operation, self.only)

    def series(
        self, operation: str, *, unit: str = "ms", better: Better = "lower", load: Load | None = None, **facts: Any
    ) -> Series:
        """A new row of the results; call `wants` first."""
        made = Series(operation, unit, better, load, facts)
        self.collected.append(made)
        return made

    def value(self, operation: str, value: float, unit: str, **facts: Any) -> None:
        """A row of one sample, if it is wanted."""
        if self.wants(operation):
            better: Better = facts.pop("better", "lower")
            self.series(operation, unit=unit, better=better, **facts).add(value)

    def each(self, what: str, items: Sequence[_T]) -> Iterator[_T]:
        """The items, one step of progress each."""
        self.watcher.doing(what, len(items))
        for item in items:
            yield item
            self.watcher.advance()

    @contextmanager
    def may_fail(self, *operations: str) -> Iterator[None]:
        """What goes wrong inside is why those operations, as far as they are wanted and have no samples, were not measured."""
        try:
            yield
        except CannotMeasure as error:
            known = {series.operation: series for series in self.collected}
            for operation in filter(self.wants, operations):
                series = known.get(operation) or self.series(operation)
                series.not_measured = str(error)
