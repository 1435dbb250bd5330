"""The suites, in the order in which they run: what each asks, and whether it must see the stack from inside."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from dosette_bench.bench import Bench


@dataclass(frozen=True)
class Suite:
    """`inside`: needs a stack of our own. `takes_s` with full and with quick sizes is a first guess for the time left."""

    name: str
    asks: str
    inside: bool
    takes_s: tuple[float, float]

    @property
    def measure(self) -> Callable[[Bench], None]:
        """Imported on need: each suite brings libraries of its own."""
        found: Callable[[Bench], None] = import_module(f"dosette_bench.suites.{self.name}").measure
        return found


SUITES = {
    suite.name: suite
    for suite in (
        Suite("database", "What does each of the ten operations cost PostgreSQL, over one connection?", True, (40, 10)),
        Suite("api", "How long does a member wait for each answer, over a real socket?", False, (60, 15)),
        Suite("load", "How many users at once, and what do they wait?", False, (180, 40)),
        Suite("memory", "How much memory does each part take, and does it grow?", True, (90, 30)),
        Suite("display", "What does a picture on the panel cost?", True, (15, 8)),
        Suite("scheduler", "How long from falling due to being told, for one and for a herd?", True, (135, 26)),
        Suite("recovery", "After a kill, how long until the work goes on, and is anything lost?", True, (90, 15)),
    )
}
