"""How much memory each part takes: at its start, with data, under requests; whether it grows; and which line lets it."""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from itertools import combinations, cycle
from pathlib import Path
from threading import Thread

from dosette_bench import leaks, processes, seeding
from dosette_bench.bench import Bench
from dosette_bench.errors import CannotMeasure
from dosette_bench.http import Client, new_key
from dosette_bench.loop import Failed
from dosette_bench.processes import MB, Memory
from dosette_bench.samples import Series
from dosette_bench.stack import Stack, of_its_own
from dosette_bench.suites import display

API = "/api/v1"
READS = ("/medicines?limit=50", "/medicines/pending", "/medicines/low-stock", "/history?limit=50", "/doses?limit=50")
STARTED = ("api_startup", "stack_at_start")
BUSY = ("stack_under_requests", "stack_concurrent")
API_BUSY = "api_anonymous_concurrent"
GROWTH = ("growth_per_hour", "growth_per_100k_requests")
GOOD_SHARE = 0.99
TOGETHER = 5  # as the first plan has it
LOOK_EVERY = 50  # requests
GENTLE_RPS = 5
STRETCHES = 5
SHOWN = 20
HUNDRED_THOUSAND = 100_000


def measure(bench: Bench) -> None:
    """Adds the rows. PSS of the whole stack, if the name does not say another part."""
    with bench.may_fail(*STARTED):
        _at_start(bench)
    with bench.may_fail("stack_with_data", *BUSY, API_BUSY):
        _with_data(bench)
    with bench.may_fail("display_drawing"):
        _drawing(bench)
    with bench.may_fail(*GROWTH):
        _growth(bench)
    with bench.may_fail("leaks"):
        _leaks(bench)


def _at_start(bench: Bench) -> None:
    """Of fresh stacks, with the demo household."""
    if not any(map(bench.wants, STARTED)):
        return
    api, whole = (bench.series(name, unit="MB") if bench.wants(name) else None for name in STARTED)
    for _ in bench.each("starting afresh", range(1 if bench.sizes.quick else 2)):
        with of_its_own(commands=bench.stack.commands) as fresh:
            parts = processes.memory(fresh.processes())
        if api:
            _add(api, {"api": parts["api"]})
        if whole:
            _add(whole, parts)


def _with_data(bench: Bench) -> None:
    bench.watcher.doing("with data")
    if bench.wants("stack_with_data"):
        _add(bench.series("stack_with_data", unit="MB"), _parts(bench.stack))
    if bench.wants(BUSY[0]):
        _add(*_busy(bench, BUSY[0], 1))
    if bench.wants(BUSY[1]) or bench.wants(API_BUSY):
        series, parts = _busy(bench, BUSY[1], TOGETHER)
        _add(series, parts)
        what = "anonymous memory of the api's processes at that moment, which does not depend on what else runs"
        bench.value(API_BUSY, parts["api"].anonymous / MB, "MB", what=what)


def _busy(bench: Bench, name: str, clients: int) -> tuple[Series, dict[str, Memory]]:
    """A row, and the memory while so many clients ask."""
    bench.watcher.doing(f"under the requests of {clients}")
    what = f"the most while {clients} at once made {bench.sizes.requests} requests"
    series = bench.series(name, unit="MB", what=what) if bench.wants(name) else Series(name, "MB")
    return series, _most_during(bench, clients)


def _parts(stack: Stack) -> dict[str, Memory]:
    return processes.memory(stack.processes())


def _add(series: Series, parts: Mapping[str, Memory]) -> None:
    series.next_round()
    series.add(processes.total(parts).pss / MB)
    series.note(processes={name: each.in_mb for name, each in parts.items()})


def _most_during(bench: Bench, clients: int) -> dict[str, Memory]:
    """Of the looks taken meanwhile, the one with the largest sum. Raises CannotMeasure when requests failed: that was no load."""
    requests = bench.sizes.requests // clients
    answered: list[int] = []
    threads = [
        Thread(target=lambda: answered.append(_read(bench.stack, requests)), daemon=True) for _ in range(clients)
    ]
    most = _parts(bench.stack)
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        most = max(most, _parts(bench.stack), key=lambda parts: processes.total(parts).pss)
        time.sleep(0.2)
    _refuse_failures(clients * requests, sum(answered))
    return max(most, _parts(bench.stack), key=lambda parts: processes.total(parts).pss)


def _refuse_failures(asked: int, answered: int) -> None:
    if answered < asked * GOOD_SHARE:
        raise CannotMeasure(f"{asked - answered} of {asked} requests failed, so what was seen is no memory under load")


def _read(stack: Stack, requests: int, every_s: float = 0.0) -> int:
    """The usual reads over one connection, one after the other; how many were answered."""
    good = 0
    with closing(Client(stack)) as client:
        for _, path in zip(range(requests), cycle(READS), strict=False):
            try:
                client.ask("GET", API + path)
                good += 1
            except Failed:
                time.sleep(0.1)
            if every_s:
                time.sleep(every_s)
    return good


def _drawing(bench: Bench) -> None:
    if bench.wants("display_drawing"):
        bench.watcher.doing("drawing")
        what = "what 100 different pictures add to the process that draws them"
        bench.value("display_drawing", display.probe(bench, "warm", "100")["added"] / MB, "MB", what=what)


def _growth(bench: Bench) -> None:
    """Anonymous memory only: what belongs to files depends on who else reads them."""
    if not any(map(bench.wants, GROWTH)):
        return
    if bench.sizes.quick:
        raise CannotMeasure("growth shows in thousands of requests only: measure without --quick")
    bench.watcher.doing("filling caches")
    _read(bench.stack, bench.sizes.requests)
    if bench.wants(GROWTH[1]):
        bench.watcher.doing("growth by request")
        before = _anonymous(bench.stack, "api")
        good = _read(bench.stack, bench.sizes.requests)
        _refuse_failures(bench.sizes.requests, good)
        grown = (_anonymous(bench.stack, "api") - before) / MB * HUNDRED_THOUSAND / good
        bench.value(GROWTH[1], grown, "MB", what=f"of the api, reckoned up from {good} requests after as many others")
    if bench.wants(GROWTH[0]):
        seconds = bench.sizes.soak_s
        bench.watcher.doing(f"growth over {seconds:g} s")
        what = f"the usual slope (Theil and Sen) over {seconds:g} s at {GENTLE_RPS} requests a second, in {STRETCHES} stretches"
        series = bench.series(GROWTH[0], unit="MB/h", what=what)
        for _ in range(STRETCHES):
            series.next_round()
            series.add(_slope_per_hour(_watched(bench.stack, seconds / STRETCHES)))


def _anonymous(stack: Stack, part: str | None = None) -> int:
    parts = _parts(stack)
    return parts[part].anonymous if part else processes.total(parts).anonymous


def _watched(stack: Stack, seconds: float) -> list[tuple[float, int]]:
    """Second and anonymous bytes, under a gentle load."""
    until, found = time.monotonic() + seconds, list[tuple[float, int]]()
    while (now := time.monotonic()) < until or len(found) < 2:
        _read(stack, 1, 1 / GENTLE_RPS)
        found.append((now, _anonymous(stack)))
    return found


def _slope_per_hour(points: list[tuple[float, int]]) -> float:
    """In MB: the median slope over all pairs of points."""
    slopes = [(later[1] - first[1]) / (later[0] - first[0]) for first, later in combinations(points, 2)]
    return statistics.median(slopes) * 3600 / MB


def _leaks(bench: Bench) -> None:
    """On a stack of its own, for tracing makes everything slower and bigger."""
    if not bench.wants("leaks"):
        return
    bench.watcher.doing("tracing every allocation")
    requests = max(bench.sizes.requests // 10, 20)
    with (
        tempfile.TemporaryDirectory(prefix="dosette-trace-") as name,
        of_its_own(leaks.environment(Path(name)), bench.stack.commands) as traced,
    ):
        seeding.seed(traced, days=1)
        try:
            found = leaks.found(Path(name), _use(traced, requests), requests)
        except Failed as error:
            raise CannotMeasure(f"a dose was not taken and undone while all was traced: {error}") from None
    what = f"lines whose objects grew in each of {leaks.ROUNDS - 1} rounds of {requests} requests, doses taken and undone among them"
    bench.value("leaks", len(found), "count", what=what, sites=[each.told() for each in found[:SHOWN]])


def _use(stack: Stack, requests: int) -> Callable[[], None]:
    """Reads, and doses taken and undone: these make the scheduler plan and the panel draw."""
    doses = seeding.cupboard(stack).doses

    def use() -> None:
        _read(stack, requests - 2 * len(doses))
        with closing(Client(stack)) as client:
            for dose in doses:
                for act in ("take", "undo"):
                    client.ask("POST", f"{API}/doses/{dose}/{act}", b"{}", new_key())

    return use
