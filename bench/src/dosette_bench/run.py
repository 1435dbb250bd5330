"""A run: a stack is started and filled, suites measure it one after the other, and what they found is written as soon as it is there."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import psycopg2
from redis import Redis
from redis.exceptions import RedisError
from rich.console import Console

from dosette import __version__
from dosette_bench import box, calibration, k6, machine, results, seeding, targets
from dosette_bench.bench import FULL, Bench, Sizes
from dosette_bench.errors import CannotMeasure, NotWritten, meant
from dosette_bench.progress import Shown
from dosette_bench.results import NOT_TRIED, Document
from dosette_bench.samples import Series
from dosette_bench.stack import Stack, of_its_own
from dosette_bench.suites import SUITES

STACK = "stack"
STACK_S = 12.0
INTERRUPTED = "it was interrupted"
GONE = (OSError, HTTPException, psycopg2.Error, RedisError)  # HTTPError is an OSError
README = """# Results of dosette-bench

Written by `dosette-bench`, replaced by the next run. `complete_benchmark_results.json` holds a whole run, the other files one suite each;
`history/` keeps every run for `dosette-bench trend`, `baselines/` what `dosette-bench baseline save` was told to keep.

Their form is `bench/src/dosette_bench/schema.json` (JSON Schema, `schema_version`). What the words mean: `docs/benchmarks.md`.
"""


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    suites: Sequence[str]
    out: Path
    promised: Mapping[str, Sequence[Mapping[str, Any]]]
    gate: Sequence[str] = targets.KINDS
    sizes: Sizes = FULL
    repeat: int = 1
    only: str | None = None
    given: Stack | None = None
    box: str | None = None
    history_days: int = seeding.DAYS


@dataclass
class Found:
    """Of one suite: its rows so far, how long it took, why it ended early."""

    series: list[Series] = field(default_factory=list)
    took_s: float = 0.0
    reason: str | None = None


@dataclass
class Run:
    """What a run knows of itself so far."""

    plan: Plan
    commit: str | None
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    facts: dict[str, Any] = field(default_factory=dict)
    boxed: dict[str, Any] | None = None
    found: dict[str, Found] = field(default_factory=dict)
    version: str = __version__


def run(plan: Plan, console: Console) -> Document:
    """Measures, writes, and returns what `complete_benchmark_results.json` says.

    Ctrl-C ends it early: what was done by then is written, if it is anything, and `interrupted` is true. Raises CannotMeasure when
    nothing can be measured at all; what an earlier run wrote stays then.
    """
    _refuse_unwritable(plan.out)
    doing = Run(plan, None if plan.given else machine.commit(Path(__file__).parent))
    doing.facts = machine.facts({"k6": k6.version()})
    interrupted = False
    with Shown(console, _expected(plan)) as watcher:
        try:
            for _ in range(plan.repeat):
                _once(doing, watcher)
        except KeyboardInterrupt:
            interrupted = True
        except NotWritten as error:
            error.document = document(doing, interrupted=True)
            raise
    if plan.only and not interrupted and not any(found.series or found.reason for found in doing.found.values()):
        raise CannotMeasure(_fits_nothing(plan))
    return _write(doing, interrupted, finished=True)


def says_something(found: Document) -> bool:
    """Whether anything was tried, or a reason why not is known; else it is not worth a file, least of all an older one's place."""
    suites = found["benchmarks"].values()
    return any(row["rounds"] or row["reason"] != NOT_TRIED for told in suites for row in told["benchmarks"]) or any(
        told.get("reason", INTERRUPTED) != INTERRUPTED for told in suites
    )


def _fits_nothing(plan: Plan) -> str:
    operations = {each["operation"] for each in plan.promised["targets"] if each["suite"] in plan.suites}
    near = meant(plan.only or "", operations)
    return (
        f"--only {plan.only} fits no operation of {', '.join(plan.suites)}{near}: without --only, --once shows them all"
    )


def _expected(plan: Plan) -> dict[str, float]:
    guesses = {name: SUITES[name].takes_s[plan.sizes != FULL] * plan.repeat for name in plan.suites}
    return ({} if plan.given else {STACK: STACK_S * plan.repeat}) | guesses


def _once(doing: Run, watcher: Shown) -> None:
    """Every suite on a stack of its own start: what the one before left behind is not measured with the next repeat."""
    watcher.suite(STACK)
    with _stack(doing, watcher) as stack:
        try:
            get_ready(doing, stack, watcher)
            _measure_all(doing, stack, watcher)
        finally:
            if stack.own:
                watcher.doing("stopping what was started")


def _measure_all(doing: Run, stack: Stack, watcher: Shown) -> None:
    for name in doing.plan.suites:
        watcher.suite(name)
        _measure(doing, name, stack, watcher)
        if doing.boxed and stack.box:
            doing.boxed["observed"] = stack.box.observed()
        _write(doing, interrupted=False, finished=False)
    if doing.boxed:
        watcher.doing("calibrating again")
        doing.boxed["calibration"]["here_after"] = round(calibration.steps_per_s())


def get_ready(doing: Run, stack: Stack, watcher: Shown) -> None:
    """Notes what the stack is, and fills one of our own."""
    stack.check()
    doing.facts["versions"] |= _versions(stack)
    doing.version = stack.get("/health").get("version", __version__)
    if stack.own:
        watcher.doing(f"{seeding.MEDICINES} medicines, {doing.plan.history_days} days")
        try:
            seeding.seed(stack, doing.plan.history_days)
        except GONE as error:
            raise CannotMeasure(_gone(stack, error)) from error


@contextmanager
def _stack(doing: Run, watcher: Shown) -> Iterator[Stack]:
    plan = doing.plan
    if plan.given:
        with nullcontext(plan.given) as stack:
            yield stack
    elif plan.box:
        watcher.doing("calibrating")
        chosen = box.box_named(plan.box)
        doing.boxed = chosen.told()
        with box.stack_in(chosen, watcher.doing) as stack:
            yield stack
    else:
        watcher.doing("starting")
        with of_its_own() as stack:
            yield stack


def _measure(doing: Run, name: str, stack: Stack, watcher: Shown) -> None:
    """Adds what a suite finds to what it found before; whatever happens, its rows so far are kept."""
    suite, bench = SUITES[name], Bench(stack, doing.plan.sizes, watcher, doing.plan.only)
    found, began = doing.found.setdefault(name, Found()), time.monotonic()
    try:
        if suite.inside and not stack.own:
            raise CannotMeasure(
                f"{name} must see the stack from inside: leave --url out, and one of our own is started"
            )
        killed = _killed(stack)
        suite.measure(bench)
        if _killed(stack) > killed:
            raise CannotMeasure(box.too_small(_killed(stack) - killed))
    except CannotMeasure as error:
        found.reason = str(error)
    except GONE as error:
        found.reason = _gone(stack, error)
    except BaseException as error:
        found.reason = INTERRUPTED if isinstance(error, KeyboardInterrupt) else f"a bug: {error!r}"
        raise
    finally:
        found.took_s += time.monotonic() - began
        _merge(found.series, bench.collected)
        if found.reason:
            _write(doing, interrupted=True, finished=False)


def _killed(stack: Stack) -> float:
    """How often the kernel killed a process of its box for lack of memory."""
    return stack.box.observed().get("out_of_memory_kills", 0) if stack.box else 0


def _gone(stack: Stack, error: BaseException) -> str:
    if killed := _killed(stack):
        return box.too_small(killed)
    return f"the stack went away: {str(error).strip().partition(chr(10))[0] or type(error).__name__}"


def _merge(known: list[Series], new: Sequence[Series]) -> None:
    """The rounds of a repeat go behind those before."""
    by_name = {each.operation: each for each in known}
    for series in new:
        before = by_name.get(series.operation)
        if before is None:
            known.append(series)
        else:
            before.rounds += series.rounds
            before.reasons += series.reasons
            before.facts |= series.facts


def document(doing: Run, interrupted: bool) -> Document:
    """All of a run, as the files hold it."""
    rows = {name: [results.row(series) for series in found.series] for name, found in doing.found.items()}
    if doing.boxed:
        results.on_the_board(rows, doing.boxed["calibration"]["slowdown"])
    judgement = results.judged(rows, doing.plan.promised, doing.plan.gate, partly=doing.plan.only is not None)
    judgement["holds"] = judgement["holds"] and not interrupted and any(rows.values())
    suites = {name: results.suite(rows[name], found.took_s, found.reason) for name, found in doing.found.items()}
    return {**_head(doing), "interrupted": interrupted, "benchmarks": suites, "judgement": judgement}


def _write(doing: Run, interrupted: bool, finished: bool) -> Document:
    """The files of the suites so far and the whole; at the end also a copy for the trend."""
    out, whole = doing.plan.out, document(doing, interrupted)
    if not says_something(whole):
        return whole
    for name in whole["benchmarks"]:
        results.write(out, results.FILES[name], results.part(whole, name))
    results.write(out, results.COMPLETE, whole)
    if finished:
        results.write(out / "history", f"{doing.began:%Y%m%dT%H%M%SZ}-{doing.id}.json", whole)
        results.write_text(out, "README.md", README)
    return whole


def _head(doing: Run) -> Document:
    plan = doing.plan
    return {
        "schema_version": results.VERSION,
        "run_id": doing.id,
        "timestamp": doing.began.isoformat(timespec="seconds"),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": doing.version,
        "commit": doing.commit,
        "box": doing.boxed,
        "machine": doing.facts,
        "settings": {
            "suites": list(plan.suites),
            "quick": plan.sizes != FULL,
            "repeat": plan.repeat,
            "only": plan.only,
            "medicines": seeding.MEDICINES,
            "history_days": plan.history_days,
            "server": "given" if plan.given else "own",
        },
    }


def _versions(stack: Stack) -> dict[str, str | None]:
    if not stack.own:
        return {"postgresql": None, "redis": None}
    return {"postgresql": _told(lambda: _postgresql(stack)), "redis": _told(lambda: _redis(stack))}


def _told(ask: Callable[[], str]) -> str | None:
    try:
        return ask()
    except GONE:
        return None


def _postgresql(stack: Stack) -> str:
    connection = psycopg2.connect(stack.database_url("api"))
    try:
        return str(connection.get_parameter_status("server_version"))
    finally:
        connection.close()


def _redis(stack: Stack) -> str:
    with Redis.from_url(stack.redis_url()) as redis:
        told = redis.info("server")
    return f"Valkey {told['valkey_version']}" if "valkey_version" in told else str(told["redis_version"])


def _refuse_unwritable(out: Path) -> None:
    """Now, rather than after ten minutes."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=out).close()
    except OSError as error:
        raise CannotMeasure(f"{out} can't be written: {error.strerror}; say --out FOLDER") from None
