"""The random killer: a household under load, whose parts are killed, stopped and robbed of their memory at random.

python -m tests.chaos --blows 60 --doses 600 --seconds 150. Prints its seed first and what came of it last; ends with 1 when an
invariant was broken. The same seed draws the same doses and the same blows; what they hit is up to the machine.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import psycopg2
from redis import Redis, RedisError

from dosette_bench.figures import percentile
from dosette_bench.stack import Stack, of_its_own
from tests.chaos.history import PRESSES, History, read
from tests.chaos.invariants import first_told, seen_twice, violations
from tests.chaos.recovery import Blow, recoveries
from tests.chaos.scene import Clients, plant, schedule_critical

PARTS = ("scheduler", "worker", "api", "display-agent", "postgresql", "redis")
OURS = PARTS[:4]
LEAD_S, SETTLE_S, HEALED_S = 12.0, 45.0, 12.0
SHARE_SETTLED = 0.3
STOPPED_S = (1.0, 14.0)
"""A lease is over after 10 s: who thaws after that must not send what others have sent, or what was taken meanwhile."""
STORE_STOPPED_S = (1.0, 5.0)
RECOVERY_P99_S = 10.0
BACK_WITHIN_S = 60.0
SHOWN = 5
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


@dataclass
class Outcome:
    """What came of a run; times in seconds."""

    seed: int
    when: str
    blows: dict[str, int]
    doses: int
    messages: int
    acknowledged: int
    presses: int
    lost: int
    doubled: int
    seen_twice: int
    due_to_told: dict[str, float]
    recovery: dict[str, float]
    slowest: list[str]
    violations: dict[str, list[str]] = field(default_factory=dict)


def main(words: Sequence[str] | None = None) -> int:
    asked = _asked(words)
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}: {asked.blows} blows over {asked.doses} doses in {asked.seconds} s", flush=True)
    with of_its_own() as stack:
        outcome = run(stack, asked.blows, asked.doses, asked.seconds, seed)
        if outcome.violations and stack.data:
            _keep(stack.data, Path(tempfile.gettempdir()) / f"dosette-chaos-{seed}")
    print(_table(outcome))
    if asked.json:
        asked.json.write_text(json.dumps(asdict(outcome), indent=2) + "\n")
    if asked.report:
        _report(asked.report, outcome)
    return 1 if outcome.violations else 0


def run(stack: Stack, blows: int, doses: int, seconds: float, seed: int) -> Outcome:
    """One run against a stack of ours."""
    chance = random.Random(seed)
    began = datetime.now(UTC)
    first = began.replace(microsecond=0) + timedelta(seconds=LEAD_S)
    planted = plant(stack, doses, first, seconds, chance)
    schedule_critical(stack, first, seconds)
    stopping, clients = Event(), Clients(stack, random.Random(seed + 1))
    settled = chance.sample(planted, int(len(planted) * SHARE_SETTLED))
    threads = [
        Thread(target=clients.run, args=(settled, stopping), daemon=True),
        Thread(target=clients.press, args=(stopping,), daemon=True),
    ]
    for thread in threads:
        thread.start()
    struck = _strike(stack, drawn(blows, seconds, chance), first)
    time.sleep(max(0.0, (first - datetime.now(UTC)).total_seconds() + seconds))
    _let_settle(stack, first + timedelta(seconds=seconds))
    stopping.set()
    time.sleep(1.0)
    _let_presses_arrive(stack, began, clients)
    until = datetime.now(UTC)
    history = read(
        stack.database_url("superuser"),
        stack.data / "deliveries",  # type: ignore[operator]
        began,
        until,
        clients.acknowledged,
        clients.pressed,
    )
    return _outcome(seed, history, struck, clients)


def drawn(blows: int, seconds: float, chance: random.Random) -> list[Blow]:
    """Blows over the time, on every part in turn and in random order, so that none is hit while it is down for long."""
    parts: list[str] = []
    while len(parts) < blows:
        parts += chance.sample(PARTS, len(PARTS))
    times = sorted(chance.uniform(0, seconds - 5) for _ in range(blows))
    return [_blow(at, part, chance) for at, part in zip(times, parts, strict=False)]


def _blow(at: float, part: str, chance: random.Random) -> Blow:
    drawn = chance.random()
    if part == "redis" and drawn < 0.25:
        return Blow(at, part, "wipe")
    if drawn < 0.25 or (part == "redis" and drawn < 0.5):
        return Blow(at, part, "stop", chance.uniform(*(STOPPED_S if part in OURS else STORE_STOPPED_S)))
    return Blow(at, part, "kill")


def _strike(stack: Stack, blows: Sequence[Blow], first: datetime) -> list[tuple[Blow, datetime]]:
    """Each at its time; a part that is down at that moment is awaited. What was struck, and when."""
    struck = []
    for blow in blows:
        time.sleep(max(0.0, (first - datetime.now(UTC)).total_seconds() + blow.at_s))
        if _struck(stack, blow):
            struck.append((blow, datetime.now(UTC)))
            print(f"{blow.at_s:6.1f} s  {blow.how} {blow.part}", flush=True)
    return struck


def _struck(stack: Stack, blow: Blow) -> bool:
    if blow.how == "wipe":
        try:
            with Redis.from_url(stack.redis_url()) as redis:
                return bool(redis.flushall())
        except RedisError:
            return False
    until = time.monotonic() + BACK_WITHIN_S
    while not (pids := [each.pid for each in stack.processes() if each.name == blow.part]):
        if time.monotonic() > until:
            raise SystemExit(f"{blow.part} does not come back; its last words:\n{_last_words(stack, blow.part)}")
        time.sleep(0.05)
    if blow.part == "postgresql" and blow.how == "kill":
        pids = pids[:1]  # the others leave by themselves
    for pid in pids:
        _signal(pid, signal.SIGSTOP if blow.how == "stop" else signal.SIGKILL)
    if blow.how == "stop":
        Thread(target=_go_on, args=(pids, blow.for_s), daemon=True).start()
    return True


def _last_words(stack: Stack, part: str) -> str:
    """Told, since its folder goes with the stack."""
    log = stack.data / "logs" / f"{_LOGS.get(part, part)}.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


_LOGS = {"postgresql": "postgres", "redis": "valkey"}


def _go_on(pids: Sequence[int], after_s: float) -> None:
    time.sleep(after_s)
    for pid in pids:
        _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _let_settle(stack: Stack, last: datetime) -> None:
    """Until nothing that is due waits any more, or the time is up."""
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until:
        time.sleep(1.0)
        try:
            if _waiting(stack, last) == 0:
                return
        except psycopg2.Error:
            continue


def _let_presses_arrive(stack: Stack, since: datetime, clients: Clients) -> None:
    """The last press may have been just now, and its link be down: it heals within ten seconds."""
    until = time.monotonic() + HEALED_S
    while time.monotonic() < until:
        with suppress(psycopg2.Error):
            if _count(stack, PRESSES, {"since": since}) >= clients.pressed:
                return
        time.sleep(0.5)


def _waiting(stack: Stack, last: datetime) -> int:
    return _count(stack, _WAITING, {"last": last})


def _count(stack: Stack, query: str, values: dict[str, datetime]) -> int:
    connection = psycopg2.connect(stack.database_url("superuser"), options="-c search_path=dosette")
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            row = cursor.fetchone()
            return int(row[0]) if row else 0
    finally:
        connection.close()


def _outcome(seed: int, history: History, struck: Sequence[tuple[Blow, datetime]], clients: Clients) -> Outcome:
    told = first_told(history)
    broken = violations(history)
    if clients.wrong:
        broken["answers"] = clients.wrong
    due = {dose.id: dose.due_at for dose in history.doses}
    lags = sorted((at - due[dose]).total_seconds() for dose, at in told.items() if dose in due)
    recovered = sorted(recoveries(told, due, struck), key=lambda each: each[1])
    return Outcome(
        seed=seed,
        when=history.until.isoformat(timespec="seconds"),
        blows=dict(sorted(Counter(f"{blow.how} {blow.part}" for blow, _ in struck).items())),
        doses=len(history.doses),
        messages=len(history.lines),
        acknowledged=len(clients.acknowledged),
        presses=clients.pressed,
        lost=len(broken.get("I2", ())) + len(broken.get("I5", ())),
        doubled=len(broken.get("once", ())) + len(broken.get("I4", ())),
        seen_twice=seen_twice(history),
        due_to_told=_spread(lags),
        recovery=_spread([took_s for _, took_s in recovered]),
        slowest=[f"{took_s:.1f} s after {blow.named()}" for blow, took_s in reversed(recovered[-SHOWN:])],
        violations=broken,
    )


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {f"p{each}": round(percentile(values, each), 3) for each in (50, 95, 99)} | {"max": round(values[-1], 3)}


def _table(outcome: Outcome) -> str:
    rows = [
        ("blows", sum(outcome.blows.values())),
        *((f"  {name}", times) for name, times in outcome.blows.items()),
        ("doses that fell due", outcome.doses),
        ("messages that arrived", outcome.messages),
        ("takes and skips acknowledged", outcome.acknowledged),
        ("doses that presses saved", outcome.presses),
        ("lost", outcome.lost),
        ("doubled", outcome.doubled),
        ("arrived again under the same key", outcome.seen_twice),
        ("due → told, s", _said(outcome.due_to_told)),
        ("recovery after a blow, s", f"{_said(outcome.recovery)} ({_promise(outcome.recovery)})"),
        *(("  slowest", each) for each in outcome.slowest),
    ]
    text = "\n".join(f"{name:34} {value}" for name, value in rows)
    for name, found in outcome.violations.items():
        text += f"\n\n{name} is broken {len(found)} times (seed {outcome.seed}):\n  " + "\n  ".join(found[:10])
    return text


def _said(spread: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in spread.items()) or "none"


def _promise(recovery: dict[str, float]) -> str:
    """Told, and no reason to fail: what else a machine does bears on it."""
    kept = recovery.get("p99", 0.0) <= RECOVERY_P99_S
    return f"p99 within {RECOVERY_P99_S:g} s {'holds' if kept else 'is missed'}"


def _report(page: Path, outcome: Outcome) -> None:
    """Replaces what stands between the page's markers."""
    text = page.read_text()
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    cores = len(os.sched_getaffinity(0))
    told = f"{outcome.when}, seed {outcome.seed}, {cores} cores\n\n```\n{_table(outcome)}\n```"
    page.write_text(f"{before}{BEGIN}\n{told}\n{after}")


def _keep(data: Path, folder: Path) -> None:
    """The logs of a run that broke something."""
    folder.mkdir(exist_ok=True)
    for log in (data / "logs").glob("*"):
        (folder / log.name).write_bytes(log.read_bytes())
    print(f"logs: {folder}", file=sys.stderr)


def _asked(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--blows", type=int, default=60)
    parser.add_argument("--doses", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=150.0, help="over which doses fall due and parts are struck")
    parser.add_argument("--seed", type=int, help="of an earlier run, to draw the same again")
    parser.add_argument("--json", type=Path, help="write what came of it here")
    parser.add_argument("--report", type=Path, help="a page with markers, between which the figures are put")
    return parser.parse_args(words)


_WAITING = """
    SELECT (SELECT count(*) FROM reminders AS r JOIN doses AS d ON d.id = r.dose_id
             WHERE r.status = 'waiting' AND r.tellings = 0 AND r.reason IS NULL
               AND d.due_at <= %(last)s AND d.due_at > %(last)s - interval '1 hour')
         + (SELECT count(*) FROM deliveries WHERE status = 'waiting' AND channel = 'file')
"""

if __name__ == "__main__":
    sys.exit(main())
