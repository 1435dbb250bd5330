"""From falling due to being told: a dose on an idle stack, a herd at once while a member goes on asking, a herd too great for a minute;
and what it costs when nothing is due."""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from threading import Event, Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil

from dosette_bench import processes
from dosette_bench.bench import Bench
from dosette_bench.errors import CannotMeasure
from dosette_bench.figures import percentile
from dosette_bench.http import Client
from dosette_bench.loop import Failed
from dosette_bench.processes import Process, Wakes
from dosette_bench.samples import Load, Series
from dosette_bench.sink import ANSWER_AFTER_S, Sink
from dosette_bench.stack import Stack, free_port, wait_until
from dosette_bench.village import MEDICINES_EACH, NAME, PEOPLE, Telling, Village

DOSES_A_ROUND = 3
MOST_STEPS = 48
"""That a schedule takes."""
IDLE_S, HASTY_S = 20.0, 20.0
LEAD = timedelta(seconds=2)
LOOK_OFTEN_S, LOOK_EVERY_S, LOOK_AT_MANY_EVERY_S = 0.05, 0.1, 0.5
ASKING = Load("closed", users=1, think_time_s=0.01)
AWAKE = ("scheduler", "worker", "postgresql")
STOP_S = 15.0

LOOPS = ("scheduler", "worker")
IDLE = ("cpu_idle", *(f"{what}_idle_{part}" for part in LOOPS for what in ("cpu", "wakes")))
ONE = ("due_to_delivered_idle",)
HERD = ("last_of_500_delivered", "due_to_delivered_500", "api_p95_while_500_are_due")
GREAT = (
    "reminders_per_second",
    "reminders_per_second_two_workers",
    "cpu_per_reminder",
    "rings_per_message",
)
WAITING = ("reminders_per_second_waiting", "reminders_per_second_waiting_two_workers", "workers_doubled")
WAITING_AT_LEAST, WAITING_SHARE = 1000, 5
"""Of the great herd: what two workers can tell through a channel that waits, within the limit."""
KEPT = ("reminders_lost", "reminders_doubled")


@dataclass(frozen=True)
class Limits:
    """How long is waited for one dose or the herd, and how much of the great herd is watched. After it, a try has failed.

    `hasty_s` is how long after its start a worker still looks every second, which is not what an evening costs.
    """

    told_s: float = 30.0
    great_s: float = 8.0
    hasty_s: float = HASTY_S


@dataclass
class _Kept:
    """What became of all that fell due in this suite."""

    due: int = 0
    lost: int = 0


def measure(bench: Bench, limits: Limits | None = None) -> None:
    """Adds the rows, for a stack of our own. What it puts into the database is gone again after."""
    limits, kept = limits or Limits(), _Kept()
    with bench.may_fail(*IDLE, *ONE, *HERD, *GREAT, *WAITING, *KEPT), Village(bench.stack) as village:
        village.settle(1)
        if _any(bench, IDLE):
            _measure_idle(bench, limits)
        if _any(bench, ONE + KEPT):
            with bench.may_fail(*ONE):
                _measure_one_by_one(bench, village, limits, kept)
        if _any(bench, HERD + KEPT):
            with bench.may_fail(*HERD):
                _measure_herd(bench, village, limits, kept)
        if _any(bench, GREAT):
            with bench.may_fail(*GREAT):
                _measure_great_herd(bench, village, limits, kept)
        if _any(bench, WAITING):
            with bench.may_fail(*WAITING):
                _measure_waiting(bench, village, limits, kept)
        counted = f"of {kept.due} that fell due; of the great herd only what was given up or left no message"
        bench.value("reminders_lost", kept.lost, "count", what=counted)
        bench.value(
            "reminders_doubled", _doubled(village.messages()), "count", what=f"messages beyond the first, of {kept.due}"
        )


def _any(bench: Bench, operations: Sequence[str]) -> bool:
    return any(map(bench.wants, operations))


def _row(bench: Bench, operation: str, unit: str, **facts: Any) -> Series:
    """A row of the results; one that nobody wants is filled in vain."""
    if bench.wants(operation):
        return bench.series(operation, unit=unit, **facts)
    return Series(operation, unit)


def _doubled(messages: Counter[str]) -> int:
    return sum(times - 1 for times in messages.values())


# Nothing is due


def _measure_idle(bench: Bench, limits: Limits) -> None:
    """CPU time and wakes: what an evening without doses costs."""
    rows = {operation: _row(bench, operation, "1/s" if "wakes" in operation else "ratio") for operation in IDLE}
    parts = bench.stack.processes()
    _fall_asleep(bench, parts, limits)
    bench.watcher.doing("nothing is due")
    wakes, began, before = Wakes(parts), time.monotonic(), processes.cpu_ms(parts)
    while time.monotonic() < began + min(IDLE_S, 2 * bench.sizes.soak_s):
        time.sleep(LOOK_OFTEN_S)
        wakes.look()
    took_s = time.monotonic() - began
    used = {part: (now - before.get(part, 0.0)) / 1000 / took_s for part, now in processes.cpu_ms(parts).items()}
    _add_idle(rows, used, wakes)


def _fall_asleep(bench: Bench, parts: Sequence[Process], limits: Limits) -> None:
    try:
        born = max(psutil.Process(each.pid).create_time() for each in parts if each.name in LOOPS)
    except (ValueError, psutil.Error) as error:
        raise CannotMeasure(f"scheduler and worker can't be seen ({error!r})") from None
    if (left_s := born + limits.hasty_s - time.time()) > 0:
        bench.watcher.doing("letting the worker fall asleep")
        time.sleep(left_s)


def _add_idle(rows: dict[str, Series], used: dict[str, float], wakes: Wakes) -> None:
    rows["cpu_idle"].note(what="CPU time of scheduler, worker and PostgreSQL over time, nothing being due")
    rows["cpu_idle"].add(sum(used.get(part, 0.0) for part in AWAKE))
    for part in LOOPS:
        rows[f"cpu_idle_{part}"].note(what=f"CPU time of the {part} over time, nothing being due")
        rows[f"cpu_idle_{part}"].add(used.get(part, 0.0))
        each = wakes.per_second(part)
        rows[f"wakes_idle_{part}"].note(
            what=f"of the {part}'s busiest thread, nothing being due; of all together {sum(each):.2f} a second"
        )
        rows[f"wakes_idle_{part}"].add(max(each, default=0.0))


# One dose


def _measure_one_by_one(bench: Bench, village: Village, limits: Limits, kept: _Kept) -> None:
    """Doses a second apart, by a schedule as a household makes it: schedules know whole seconds."""
    count = min(bench.sizes.rounds * DOSES_A_ROUND, MOST_STEPS)
    latency = _row(
        bench,
        "due_to_delivered_idle",
        "ms",
        what="time-critical doses a second apart, planned by a schedule made over HTTP",
    )
    last = _plan_one_by_one(village, count)
    tellings = _watch(bench, village, "doses fall due one by one", last + limits.told_s)
    for number, telling in enumerate(tellings):
        if number % DOSES_A_ROUND == 0:
            latency.next_round()
        _add_latency(latency, telling, limits.told_s)
    _keep(village, kept)


def _plan_one_by_one(village: Village, count: int) -> float:
    """When the last of them is due."""
    stack = village.as_member()
    first = datetime.now(UTC).replace(microsecond=0) + LEAD + timedelta(seconds=1)
    due = [first + timedelta(seconds=number) for number in range(count)]
    wanted = {"member_id": village.member(), "name": NAME, "strength": "1 mg", "on_hand": str(count)}
    steps = [{"time": f"{at:%H:%M:%S}", "starts_on": f"{at:%F}", "ends_on": f"{at:%F}"} for at in due]
    with _answered():
        medicine = stack.ask("POST", "/api/v1/medicines", wanted)["id"]
        stack.ask(
            "PUT",
            f"/api/v1/medicines/{medicine}/schedule",
            {"zone": "UTC", "critical": True, "window_minutes": 60, "steps": steps},
        )
    return due[-1].timestamp()


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except HTTPError as error:
        raise CannotMeasure(f"a schedule could not be made: {error.url} answered {error.code}") from None
    except (OSError, HTTPException) as error:
        raise CannotMeasure(f"a schedule could not be made: {error}") from None


def _watch(bench: Bench, village: Village, what: str, until: float) -> list[Telling]:
    """What became of the reminders that are due, when all are told or the time is up."""
    tellings = village.tellings()
    bench.watcher.doing(what, len(tellings))
    told = 0
    while time.time() < until and told < len(tellings):
        time.sleep(LOOK_EVERY_S)
        tellings = village.tellings()
        now_told = sum(each.told_at is not None for each in tellings)
        bench.watcher.advance(now_told - told)
        told = now_told
    return tellings


def _add_latency(series: Series, telling: Telling, limit_s: float) -> None:
    if telling.latency_s is None:
        series.fail(f"not told within {limit_s:g} s")
    else:
        series.add(telling.latency_s * 1000)


def _keep(village: Village, kept: _Kept) -> None:
    """Counts the losses and takes the reminders away. Lost: not told, though all had the time for it, or without a message."""
    village.call_off()
    tellings, messages = village.tellings(), village.messages()
    kept.due += len(tellings)
    kept.lost += sum(each.told_at is None or not messages[each.id] for each in tellings)
    village.forget()


# A herd


def _measure_herd(bench: Bench, village: Village, limits: Limits, kept: _Kept) -> None:
    size = bench.sizes.herd
    what = {} if size == 500 else {"what": f"with {size} due"}
    last, latency = _row(bench, HERD[0], "s", **what), _row(bench, HERD[1], "ms", **what)
    ratio = _row(
        bench, HERD[2], "ratio", load=ASKING, what=f"p95 of GET /medicines/pending while {size} are told, over before"
    )
    village.settle(size)
    for _ in range(max(1, bench.sizes.rounds // 2)):
        for row in (last, latency, ratio):
            row.next_round()
        due_at = village.fall_due(size, LEAD + timedelta(seconds=size / 5000))
        with _asking(bench.stack) as before:
            time.sleep(max(0.0, due_at - time.time() - LOOK_EVERY_S))
        with _asking(bench.stack) as meanwhile:
            tellings = _watch(bench, village, f"{size} fall due at once", due_at + limits.told_s)
        _add_herd(last, latency, tellings, limits.told_s)
        _add_ratio(ratio, before, meanwhile)
        _keep(village, kept)


def _add_herd(last: Series, latency: Series, tellings: Sequence[Telling], limit_s: float) -> None:
    for telling in tellings:
        _add_latency(latency, telling, limit_s)
    waited = [each.latency_s for each in tellings if each.latency_s is not None]
    if len(waited) < len(tellings):
        last.fail(f"{len(tellings) - len(waited)} of {len(tellings)} were not told within {limit_s:g} s")
    else:
        last.add(max(waited))


def _add_ratio(ratio: Series, before: "_Asked", meanwhile: "_Asked") -> None:
    failed = before.failed + meanwhile.failed
    if failed:
        reason, times = failed.most_common(1)[0]
        ratio.fail(f"{times} requests failed: {reason}")
    elif before.ms and meanwhile.ms:
        ratio.add(percentile(sorted(meanwhile.ms), 95) / percentile(sorted(before.ms), 95))
    else:
        ratio.fail("all were told before one request was answered")


@dataclass
class _Asked:
    ms: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)


@contextmanager
def _asking(stack: Stack) -> Iterator[_Asked]:
    """One member of another household, who looks what is pending a hundred times a second as long as the block lasts."""
    asked, stopping, client = _Asked(), Event(), Client(stack)

    def ask() -> None:
        while not stopping.wait(ASKING.think_time_s):
            began = time.perf_counter()
            try:
                client.ask("GET", "/api/v1/medicines/pending")
            except Failed as error:
                asked.failed[str(error)] += 1
            else:
                asked.ms.append((time.perf_counter() - began) * 1000)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        stopping.set()
        thread.join()
        client.close()


# A herd too great


@dataclass
class _Run:
    """Of the great herd, once: so many were told, in so long, with so much CPU time."""

    due: int
    workers: str
    told: int
    messages: int
    took_s: float
    rings_per_message: float | None
    cpu_ms: dict[str, float]

    @property
    def per_second(self) -> float:
        return self.told / self.took_s

    def what(self) -> str:
        cores = len(os.sched_getaffinity(0))
        rest = "" if self.told == self.due else f", the rest was called off after {self.took_s:g} s"
        each = f"{self.per_second / cores:.0f} a second and core on {cores} cores"
        return (
            f"{self.due} due at once, {self.workers}: {self.told} were told in {self.messages} messages{rest}; {each}"
        )


def _measure_great_herd(bench: Bench, village: Village, limits: Limits, kept: _Kept) -> None:
    """With one worker and with two, in turn: what else the machine does meanwhile bears on both."""
    size = bench.sizes.great_herd
    one, two = (_row(bench, name, "1/s", better="higher") for name in GREAT[:2])
    cpu = _row(bench, GREAT[2], "ms", what=f"CPU time of scheduler, worker and PostgreSQL, {size} due at once")
    rings = _row(bench, GREAT[3], "ratio", what="how many the scheduler rang for over how many it made; once is enough")
    bench.watcher.doing(f"settling {size // (PEOPLE * MEDICINES_EACH)} households")
    village.settle(size)
    runs: list[_Run] = []
    for _ in range(max(1, bench.sizes.rounds // 5)):
        for row in (one, two, cpu, rings):
            row.next_round()
        first = _great_herd(bench, village, limits, kept, size, "one worker")
        _add_rate(one, first, limits)
        runs.append(first)
        _add_cpu(cpu, runs, limits)
        _add_or_fail(rings, first.rings_per_message, limits)
        if bench.wants(GREAT[1]):
            with second_worker(bench.stack):
                second = _great_herd(bench, village, limits, kept, size, "two workers")
            _add_rate(two, second, limits)


def _measure_waiting(bench: Bench, village: Village, limits: Limits, kept: _Kept) -> None:
    """Through a channel that waits for its answer, as all do that reach phones: what a worker more brings then."""
    cores = len(os.sched_getaffinity(0))
    size = min(bench.sizes.great_herd, max(WAITING_AT_LEAST, bench.sizes.great_herd // WAITING_SHARE))
    one, two = (_row(bench, name, "1/s", better="higher") for name in WAITING[:2])
    what = f"two workers over one, on {cores} cores; each message waits {ANSWER_AFTER_S * 1000:.0f} ms for its answer"
    doubled = _row(bench, WAITING[2], "ratio", better="higher", what=what)
    village.settle(size)
    with Sink() as sink:
        village.listen_at(sink)
        for _ in range(max(1, bench.sizes.rounds // 5)):
            for row in (one, two, doubled):
                row.next_round()
            first = _great_herd(bench, village, limits, kept, size, "one worker")
            with second_worker(bench.stack):
                second = _great_herd(bench, village, limits, kept, size, "two workers")
            _add_rate(one, first, limits)
            _add_rate(two, second, limits)
            both = first.per_second and second.per_second
            _add_or_fail(doubled, second.per_second / first.per_second if both else None, limits)
        village.listen_at(None)


def _great_herd(bench: Bench, village: Village, limits: Limits, kept: _Kept, size: int, workers: str) -> _Run:
    """All due at once, told for so long as the limit says; what is left then is called off and not counted."""
    before, rung = village.delivered(), _rung(bench.stack)
    # Before they are due: a small herd is told in less time than a look takes.
    used = _Used(bench.stack, village.backend())
    began = village.fall_due(size)
    bench.watcher.doing(f"{size} fall due at once, {workers}", size)
    told = 0
    while told < size and time.time() < began + limits.great_s:
        time.sleep(LOOK_AT_MANY_EVERY_S if size > 1000 else LOOK_EVERY_S)
        used.look()
        now_told = min(size, village.delivered() - before)
        bench.watcher.advance(now_told - told)
        told = now_told
    looked_at = time.time()
    village.call_off()
    rung = _rung(bench.stack) - rung
    tellings, messages = village.tellings(), village.messages()
    made, sent = village.made(), village.sent(looked_at)
    kept.due += size
    kept.lost += sum(each.given_up or (each.told_at is not None and not messages[each.id]) for each in tellings)
    in_time = [each.told_at for each in tellings if each.told_at is not None and each.told_at <= looked_at]
    village.forget()
    took_s = (max(in_time) if len(in_time) == size else looked_at) - began
    return _Run(size, workers, len(in_time), sent, took_s, rung / made if made else None, used.ms())


def _add_rate(series: Series, run: _Run, limits: Limits) -> None:
    series.note(what=run.what())
    _add_or_fail(series, run.per_second, limits)


def _add_cpu(series: Series, runs: Sequence[_Run], limits: Limits) -> None:
    """Of the newest run a sample; of all so far, how much of it each part used."""
    newest, told = runs[-1], sum(run.told for run in runs)
    _add_or_fail(series, sum(newest.cpu_ms.values()) / newest.told if newest.told else None, limits)
    if told:
        each = {part: round(sum(run.cpu_ms[part] for run in runs) / told, 4) for part in AWAKE}
        series.note(cpu_ms_per_request=each | {"total": round(sum(each.values()), 4)})


def _rung(stack: Stack) -> float:
    try:
        return stack.metric("scheduler", "dosette_reminders_rung_total")
    except (OSError, HTTPException, ValueError) as error:
        raise CannotMeasure(f"the scheduler does not say how often it rang ({error})") from None


def _add_or_fail(series: Series, value: float | None, limits: Limits) -> None:
    if value:
        series.add(value)
    else:
        series.fail(f"none was told within {limits.great_s:g} s")


class _Used:
    """CPU time since now of processes that may come and go: each is looked at until it is gone."""

    def __init__(self, stack: Stack, but: int) -> None:
        """`but`: our own backend, which counts what was told."""
        self._stack, self._but = stack, but
        self._now: dict[Process, float] = {}
        self.look()
        self._before = dict(self._now)

    def look(self) -> None:
        for process in self._stack.processes():
            if process.name in AWAKE and process.pid != self._but:
                used = sum(processes.cpu_ms([process]).values())
                self._now[process] = max(self._now.get(process, 0.0), used)

    def ms(self) -> dict[str, float]:
        """Of each part."""
        used = dict.fromkeys(AWAKE, 0.0)
        for process, now in self._now.items():
            used[process.name] += now - self._before.get(process, 0.0)
        return used


@contextmanager
def second_worker(stack: Stack) -> Iterator[None]:
    """Another `dosette-worker` beside the stack's, told the same; started again when it ends, as that one is."""
    environment, command, folder = _as_the_first(stack)
    port, stopping, null = free_port(), Event(), subprocess.DEVNULL
    told = environment | {"DOSETTE_METRICS_BIND": f"127.0.0.1:{port}"}

    def live() -> None:
        while not stopping.wait(LOOK_EVERY_S):
            child = subprocess.Popen(command, env=told, cwd=folder, stdin=null, stdout=null, stderr=null)
            while child.poll() is None and not stopping.wait(LOOK_EVERY_S):
                pass
        _end(child)

    thread = Thread(target=live, daemon=True)
    thread.start()
    try:
        wait_until(lambda: _is_well(port), STOP_S, "a second worker")
        yield
    finally:
        stopping.set()
        thread.join()


def _as_the_first(stack: Stack) -> tuple[dict[str, str], list[str], str]:
    try:
        first = next(psutil.Process(each.pid) for each in stack.processes() if each.name == "worker")
        return first.environ(), first.cmdline(), first.cwd()
    except (StopIteration, psutil.Error) as error:
        raise CannotMeasure(
            f"the stack's worker can't be seen, so that a second can't be made like it ({error!r})"
        ) from None


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _is_well(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
            return True
    except (OSError, HTTPException):
        return False
