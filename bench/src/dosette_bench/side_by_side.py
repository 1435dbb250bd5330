"""An A/B run: two checkouts, each with a stack of its own, measured in turns, so that the machine's moods hit both alike."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from dosette_bench import k6, machine, results, targets
from dosette_bench.bench import Bench, Sizes
from dosette_bench.errors import CannotMeasure
from dosette_bench.progress import Shown
from dosette_bench.results import Document
from dosette_bench.run import INTERRUPTED, STACK, STACK_S, Found, Plan, Run, document, get_ready
from dosette_bench.stack import HERE, of_its_own
from dosette_bench.suites import SUITES, api

SUITE = "api"


def run(other: Path, out: Path, sizes: Sizes, only: str | None, console: Console) -> tuple[Document, Document]:
    """The other checkout's result and this one's; both are also written below `out`. Raises CannotMeasure.

    Ctrl-C ends it early: the rounds that were done by then are kept, and `interrupted` is true.
    """
    commands = other / ".venv" / "bin"
    if not commands.is_dir():
        raise CannotMeasure(f"{other} is no checkout that was ever started: run `make up` there once")
    runs = [
        _run(Path(__file__).parent if place == HERE else other, out / "ab" / name, sizes, only)
        for name, place in (("base", commands), ("new", HERE))
    ]
    expected = {STACK: 2 * STACK_S, SUITE: 2 * SUITES[SUITE].takes_s[sizes.quick]}
    with Shown(console, expected) as watcher, ExitStack() as kept:
        watcher.suite(STACK)
        benches = []
        for doing, place in zip(runs, (commands, HERE), strict=True):
            watcher.doing("starting")
            stack = kept.enter_context(of_its_own(commands=place))
            get_ready(doing, stack, watcher)
            benches.append(Bench(stack, sizes, watcher, only))
        watcher.suite(SUITE)
        reason = _measured(benches)
        for doing, bench in zip(runs, benches, strict=True):
            doing.found[SUITE] = Found(bench.collected, reason=reason)
        watcher.doing("stopping what was started")
    return _written(*runs)


def _measured(benches: Sequence[Bench]) -> str | None:
    """Why it ended early, if it did."""
    try:
        api.measure(*benches)
    except KeyboardInterrupt:
        return INTERRUPTED
    return None


def _run(checkout: Path, out: Path, sizes: Sizes, only: str | None) -> Run:
    made = Run(Plan([SUITE], out, targets.read(), sizes=sizes, only=only), machine.commit(checkout))
    made.facts = machine.facts({"k6": k6.version()})
    return made


def _written(base: Run, new: Run) -> tuple[Document, Document]:
    def told(one: Run, other: Run) -> Document:
        found = document(one, interrupted=one.found[SUITE].reason is not None) | {"interleaved_with": other.id}
        results.write(one.plan.out, results.COMPLETE, found)
        return found

    return told(base, new), told(new, base)
