"""After a kill: how long until the work goes on as a member sees it, what they are answered meanwhile, and whether a dose is lost."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from threading import Event, Thread
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from redis import Redis, RedisError

from dosette.contracts.names import frame_key
from dosette_bench.bench import Bench
from dosette_bench.errors import CannotMeasure
from dosette_bench.http import Client, new_key
from dosette_bench.loop import Failed
from dosette_bench.samples import Series
from dosette_bench.stack import Stack
from dosette_bench.village import Village

PARTS = ("api", "postgresql", "redis", "scheduler", "worker", "display-agent")
NEEDED_TO_TAKE = ("api", "postgresql")
METERED = ("scheduler", "worker", "display-agent")
HOW = {
    "api": "from the kill until GET /medicines/pending answers 200 and doses are taken",
    "postgresql": "from the kill of its first process until GET /medicines/pending answers 200 and doses are taken",
    "redis": "from the kill until a dose is told that falls due 0.1 s after it",
    "scheduler": "from the kill until a dose is told that falls due 0.1 s after it",
    "worker": "from the kill until a dose is told that falls due 0.1 s after it",
    "display-agent": "from the kill until it has drawn its panel and sent the picture",
}
LOOK_EVERY_S, LOOK_AT_ALL_EVERY_S = 0.02, 0.1
GONE_S = 0.1
UNDISTURBED_S = 0.3
"""Members ask and take so long before a kill, and so long after all is well again."""
STEADY_AFTER_S = 11.0
"""The launcher starts a part that ended again after 0.2 s, and one that had not lived for ten seconds later each time."""
DOSES_A_KILL = 400
PAGE = 200
GOOD, AWAY, REFUSED = "", "status 503", "status 4"


@dataclass(frozen=True)
class Limits:
    """How long is waited for the work to go on, then the try has failed; how long a part has lived before it is killed again."""

    back_s: float = 30.0
    steady_s: float = STEADY_AFTER_S


def measure(bench: Bench, limits: Limits | None = None) -> None:
    """Adds the rows, for a stack of our own. Raises CannotMeasure when a part does not come back: what follows is not measured."""
    rows = {part: Rows.of(bench, part) for part in PARTS if _wanted(bench, part)}
    lost = bench.series("takes_lost", unit="count") if bench.wants("takes_lost") else Series("takes_lost")
    try:
        with Village(bench.stack, people=1, medicines_each=DOSES_A_KILL, critical=True) as village:
            _measure(_Scene(bench, village, limits or Limits()), rows, lost)
    except CannotMeasure as error:
        for series in (lost, *(each for row in rows.values() for each in (row.resume, row.errors))):
            series.not_measured = str(error)
        raise


def _wanted(bench: Bench, part: str) -> bool:
    to_take = part in NEEDED_TO_TAKE and bench.wants("takes_lost")
    return to_take or any(bench.wants(f"{name}_{part}") for name in ("resume_after_kill", "errors_while_down"))


@dataclass
class Rows:
    """Of one part; one that nobody wants is filled in vain."""

    resume: Series
    errors: Series
    answered: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, bench: Bench, part: str) -> "Rows":
        rows = cls(
            Series(f"resume_after_kill_{part}", "s", facts={"what": HOW[part]}),
            Series(f"errors_while_down_{part}", "count"),
        )
        bench.collected += [each for each in (rows.resume, rows.errors) if bench.wants(each.operation)]
        return rows

    def next_round(self) -> None:
        for series in (self.resume, self.errors):
            series.next_round()

    def add_errors(self, answers: Counter[str]) -> None:
        """All that a member may not be answered: whatever is neither what they asked for nor 503, which says to come back."""
        wrong = {said: times for said, times in answers.items() if said.startswith("status") and said != AWAY}
        self.answered.update(wrong)
        self.errors.add(sum(wrong.values()))
        told = ", ".join(f"{times} × {said}" for said, times in sorted(self.answered.items()))
        self.errors.note(what=f"answers that are neither good nor 503{f': {told}' if told else ''}")


@dataclass
class _Scene:
    """One run of the suite."""

    bench: Bench
    village: Village
    limits: Limits
    killed_at: dict[str, float] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    """Doses whose taking was acknowledged."""

    @property
    def stack(self) -> Stack:
        return self.bench.stack


@dataclass(frozen=True)
class _Kill:
    part: str
    pids: frozenset[int]
    at: float = field(default_factory=time.time)


def _measure(scene: _Scene, rows: dict[str, Rows], lost: Series) -> None:
    nobody = _Kill("", frozenset())
    if _awaited(lambda: _all_well_after(scene.stack, nobody), LOOK_AT_ALL_EVERY_S, nobody, scene.limits) is None:
        raise CannotMeasure("the stack is not well before anything was killed: see its logs")
    scene.village.settle(DOSES_A_KILL)
    member = scene.village.as_member()
    for number in range(scene.bench.sizes.kills):
        for part, row in rows.items():
            _let_live(scene, part)
            row.next_round()
            scene.bench.watcher.doing(f"kill {number + 1} of {scene.bench.sizes.kills}: {part}")
            _measure_kill(scene, member, part, row)
    times = _times_taken(member)
    gone, twice = len(scene.taken - times.keys()), sum(count - 1 for count in times.values())
    lost.note(
        what=f"{len(scene.taken)} takes were acknowledged, over kills and retries: {gone} are not in history, {twice} stand there again"
    )
    lost.add(gone + twice)


def _let_live(scene: _Scene, part: str) -> None:
    """So that each kill finds the launcher as patient as the first did."""
    left_s = scene.killed_at.get(part, 0.0) + scene.limits.steady_s - time.time()
    if left_s > 0:
        scene.bench.watcher.doing(f"letting {part} live for ten seconds")
        time.sleep(left_s)


def _measure_kill(scene: _Scene, member: Stack, part: str, rows: Rows) -> None:
    calls = [_looking(scene.stack)]
    if part in NEEDED_TO_TAKE:
        calls.append(_taking(scene, member, scene.village.open_doses(DOSES_A_KILL)))
    with _probing(calls) as probes:
        time.sleep(UNDISTURBED_S)
        kill = _killed(scene.stack, part)
        goes_on_s = _GOES_ON[part](scene, kill)
        back_s = _awaited(goes_on_s, LOOK_EVERY_S, kill, scene.limits)
        well = _awaited(lambda: _all_well_after(scene.stack, kill), LOOK_AT_ALL_EVERY_S, kill, scene.limits)
        answered = _awaited(lambda: _all_answered_after(probes, kill), LOOK_EVERY_S, kill, scene.limits)
        time.sleep(UNDISTURBED_S)
    scene.killed_at[part] = time.time()
    rows.add_errors(sum((each.answers() for each in probes), Counter()))
    if well is None:
        rows.resume.fail(f"not back within {scene.limits.back_s:g} s")
        raise CannotMeasure(f"{part} did not come back within {scene.limits.back_s:g} s of a kill: see its log")
    if back_s is None or answered is None:
        rows.resume.fail(f"the work did not go on within {scene.limits.back_s:g} s")
    elif part in NEEDED_TO_TAKE:
        rows.resume.add(max(each.resumed_at(kill.at) - kill.at for each in probes))
    else:
        rows.resume.add(back_s)


def _killed(stack: Stack, part: str) -> _Kill:
    """Of PostgreSQL only the first process is killed, as the kernel would when memory ends; the others leave by themselves."""
    pids = [each.pid for each in stack.processes() if each.name == part]
    if not pids:
        raise CannotMeasure(f"{part} does not run, so that it can't be killed")
    kill = _Kill(part, frozenset(pids))
    for pid in pids[:1] if part == "postgresql" else pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # gunicorn's first process took it along
            continue
    return kill


def _awaited(look: Callable[[], float | None], every_s: float, kill: _Kill, limits: Limits) -> float | None:
    """What `look` finds as soon as it is something; None when the time is up."""
    while (found := look()) is None and time.time() < kill.at + limits.back_s:
        time.sleep(every_s)
    return found


# What it means that the work goes on: each is asked again and again, for the seconds from the kill, or None so far


def _when_probes_know(scene: _Scene, kill: _Kill) -> Callable[[], float | None]:
    """Members ask and take all the time: their answers tell, later."""
    return lambda: 0.0


def _when_a_dose_is_told(scene: _Scene, kill: _Kill) -> Callable[[], float | None]:
    """Due when the killed process is really gone: a job that it still got would be rung again after five seconds, by chance."""
    time.sleep(GONE_S)
    scene.village.fall_due(1)

    def told() -> float | None:
        told_at = scene.village.tellings()[-1].told_at
        return None if told_at is None else told_at - kill.at

    return told


def _when_the_panel_is_drawn(scene: _Scene, kill: _Kill) -> Callable[[], float | None]:
    """The picture that Redis keeps for the pages is removed, so that it can only be a new one."""
    stack = scene.stack
    picture = (stack.data / "device" / "panel.png") if stack.data else None
    with Redis.from_url(stack.redis_url()) as redis:
        redis.delete(frame_key(stack.device))

    def drawn() -> float | None:
        new = picture is not None and picture.exists() and picture.stat().st_mtime > kill.at
        with Redis.from_url(stack.redis_url()) as redis:
            return time.time() - kill.at if new and redis.exists(frame_key(stack.device)) else None

    return drawn


_GOES_ON: dict[str, Callable[[_Scene, _Kill], Callable[[], float | None]]] = {
    "api": _when_probes_know,
    "postgresql": _when_probes_know,
    "redis": _when_a_dose_is_told,
    "scheduler": _when_a_dose_is_told,
    "worker": _when_a_dose_is_told,
    "display-agent": _when_the_panel_is_drawn,
}


def _all_well_after(stack: Stack, kill: _Kill) -> float | None:
    """Seconds until every part runs, the killed one anew, and says that it is well."""
    running = {each.name for each in stack.processes() if each.pid not in kill.pids}
    well = running.issuperset(PARTS) and all(map(_answers, _health(stack))) and _pongs(stack)
    return time.time() - kill.at if well else None


def _all_answered_after(probes: Sequence["_Probe"], kill: _Kill) -> float | None:
    """Seconds until every member gets what they ask for."""
    return time.time() - kill.at if all(each.is_good() for each in probes) else None


def _health(stack: Stack) -> list[str]:
    ports = json.loads((stack.data / "ports.json").read_text()) if stack.data else {}
    return [f"{stack.url}/ready", *(f"http://127.0.0.1:{ports[name]}/health" for name in METERED)]


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2):
            return True
    except (OSError, HTTPException):
        return False


def _pongs(stack: Stack) -> bool:
    try:
        with Redis.from_url(stack.redis_url()) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


# Members who go on meanwhile


class _Probe:
    """What one member is answered, again and again, on a thread of its own."""

    def __init__(self, calls: Generator[str, None, None]) -> None:
        """`calls` asks once for each step, and gives what was wrong; it may end."""
        self._calls = calls
        self._answers: list[tuple[float, str]] = []
        self._stopping = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def answers(self) -> Counter[str]:
        return Counter(said for _, said in self._answers)

    def is_good(self) -> bool:
        return bool(self._answers) and self._answers[-1][1] == GOOD

    def resumed_at(self, since: float) -> float:
        """The first good answer after the last bad one; when there was no bad one, the first at all. Asked when the last was good."""
        good_at = since
        for at, said in reversed([each for each in self._answers if each[0] >= since]):
            if said != GOOD:
                break
            good_at = at
        return good_at

    def _run(self) -> None:
        with closing(self._calls):
            for said in self._calls:
                self._answers.append((time.time(), said))
                if self._stopping.wait(LOOK_EVERY_S):
                    return


@contextmanager
def _probing(calls: Sequence[Generator[str, None, None]]) -> Iterator[list[_Probe]]:
    probes = [_Probe(each) for each in calls]
    try:
        yield probes
    finally:
        for probe in probes:
            probe.stop()


def _looking(stack: Stack) -> Generator[str, None, None]:
    """What is pending, asked for ever."""
    with closing(Client(stack)) as client:
        while True:
            yield _said(client, "GET", "/api/v1/medicines/pending", {})


def _taking(scene: _Scene, member: Stack, doses: Sequence[str]) -> Generator[str, None, None]:
    """One dose after the other; each is told again with the same key until it is acknowledged, or refused for good."""
    with closing(Client(member)) as client:
        for dose in doses:
            path, key, said = f"/api/v1/doses/{dose}/take", new_key(), AWAY
            while said != GOOD and not said.startswith(REFUSED):
                said = _said(client, "POST", path, key)
                if said == GOOD:
                    scene.taken.add(dose)
                yield said


def _said(client: Client, method: str, path: str, key: Mapping[str, str]) -> str:
    """What was wrong with the answer."""
    try:
        client.ask(method, path, headers=key)
    except Failed as error:
        return str(error)
    return GOOD


def _times_taken(member: Stack) -> Counter[str]:
    """How often each dose was taken, by history."""
    times: Counter[str] = Counter()
    asked: dict[str, str | int] = {"kind": "taken", "limit": PAGE}
    try:
        while True:
            page = member.get(f"/api/v1/history?{urlencode(asked)}")
            times.update(each["dose"]["id"] for each in page["items"])
            if not page["next_cursor"]:
                return times
            asked["cursor"] = page["next_cursor"]
    except HTTPError as error:
        raise CannotMeasure(f"history could not be read: {error.url} answered {error.code}") from None
    except (OSError, HTTPException) as error:
        raise CannotMeasure(f"history could not be read: {error}") from None
