"""Every call of the project's first plan, over a real socket to the real server, one user, one after the other.

A bare Flask answer under the same server and settings is measured in the same rounds: what is beyond it is ours.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from dosette_bench import instructions, probe, processes
from dosette_bench.bench import Bench
from dosette_bench.errors import CannotMeasure
from dosette_bench.http import Client, new_key
from dosette_bench.loop import Call, Failed, Operation, Side, again
from dosette_bench.loop import measure as measure_loop
from dosette_bench.processes import Process
from dosette_bench.seeding import Cupboard, cupboard
from dosette_bench.stack import PROBES, Stack, free_port, wait_until

API = "/api/v1"
BATCH = 5
REFERENCE, BARE = "bare_flask", "bare-flask"
IMPORTS = "imports_of_heavy_modules"
HEAVY = ("apprise", "marshmallow", "PIL", "pydantic", "redis", "rq", "sqlalchemy")
SETTLE_S = 0.25
READY_S = 30
WRITES = ("add_medicine", "replace_medicine", "change_medicine", "take_medicine", "take_dose", "take_batch")


def measure(*benches: Bench) -> None:
    """Adds a row for each call; for several stacks side by side. On a server that was given, only what reads is asked, unless it
    may be written to."""
    with ExitStack() as kept:
        measure_loop(*[_side(bench, kept) for bench in benches])
    for bench in benches:
        if bench.stack.own:
            instructions.measure(bench, cupboard(bench.stack))
            _imports(bench)
        if not bench.stack.writes:
            with bench.may_fail(*WRITES):
                raise CannotMeasure(
                    "it would change what is stored there: say --write if that household may be written to"
                )


def _side(bench: Bench, kept: ExitStack) -> Side:
    """`kept` closes what was opened for it."""
    desk = _Desk(bench.stack, cupboard(bench.stack))
    kept.callback(desk.close)
    operations = desk.reads() + (desk.writes() if bench.stack.writes else [])
    beside: list[Process] = []
    with bench.may_fail(REFERENCE):
        if not bench.stack.own:
            raise CannotMeasure("it belongs beside a server of our own: leave --url out")
        if bench.stack.box:
            raise CannotMeasure("it is outside the box, and would be compared with what is inside")
        url, beside = kept.enter_context(_bare_flask(bench.stack.commands))
        operations.append(_reference(url))
    return Side(bench, operations, _Meter(bench.stack, beside), REFERENCE)


def _imports(bench: Bench) -> None:
    if not bench.wants(IMPORTS):
        return
    with bench.may_fail(IMPORTS):
        loaded = set(_loaded(bench.stack))
        heavy = sorted(loaded.intersection(HEAVY))
        what = f"of {', '.join(HEAVY)}, which cost a small board seconds or megabytes; loaded: {', '.join(heavy) or 'none'}"
        bench.value(IMPORTS, len(heavy), "count", what=what)


def _loaded(stack: Stack) -> list[str]:
    """The modules of an API that is ready to serve."""
    command = [str(stack.commands / "python"), str(PROBES / "imports.py")]
    environment = {"DATABASE_URL": stack.database_url("api")}
    found: list[str] = json.loads(probe.ran(command, READY_S, "the API did not load", environment).stdout)
    return found


class _Meter:
    """Of the stack's processes; the messages are the API's own count."""

    def __init__(self, stack: Stack, beside: Sequence[Process]) -> None:
        self._stack = stack
        self._processes = [*stack.processes(), *beside]

    def cpu_ms(self) -> Mapping[str, float]:
        return processes.cpu_ms(self._processes)

    def counted(self) -> Mapping[str, float]:
        try:
            return {"sql_messages": self._stack.metric("api", "dosette_sql_messages_total")}
        except OSError:
            return {}


class _Desk:
    """The calls on one household; what they change is put back."""

    def __init__(self, stack: Stack, home: Cupboard) -> None:
        self._client = Client(stack)
        self._home = home
        self._taken: list[str] = []
        self._added: list[str] = []

    def close(self) -> None:
        self._client.close()

    def reads(self) -> list[Operation]:
        listed = f"{API}/medicines?limit=50"
        operations = [
            Operation(
                "list_medicines", again(self._get(listed)), what=f"{min(50, len(self._home.medicines))} medicines, gzip"
            ),
            Operation(
                "list_pending", again(self._get(f"{API}/medicines/pending")), what=f"{len(self._home.doses)} due"
            ),
            Operation("poll_unchanged", self._polls, what="pending asked with the ETag of the last answer: 304"),
            Operation("list_low_stock", again(self._get(f"{API}/medicines/low-stock"))),
            Operation("list_doses", again(self._get(f"{API}/doses?limit=50"))),
            Operation("list_history", again(self._get(f"{API}/history?limit=50")), what="the last 50 events, gzip"),
            Operation("adherence", again(self._get(f"{API}/adherence")), what="of four weeks"),
            Operation("info", again(self._get(f"{API}/household"))),
            Operation("health", again(self._get("/health"))),
            Operation("ready", again(self._get("/ready")), what="asks PostgreSQL and Redis"),
        ]
        if self._home.medicines:
            path = f"{API}/medicines/{self._home.medicines[0]}"
            operations.append(Operation("get_medicine", again(self._get(path))))
        return operations

    def writes(self) -> list[Operation]:
        """After each, the scheduler has plans to make and the panel to be drawn."""
        named = [
            ("add_medicine", again(self._add), self._archive_added, ""),
            ("replace_medicine", self._edits("PUT", {"name": "Medicine", "strength": "50 mg"}), _nothing, ""),
            ("change_medicine", self._edits("PATCH", {}), _nothing, ""),
            ("take_medicine", self._medicine_takings, self._put_back, "by its medicine"),
            ("take_dose", self._dose_takings, self._put_back, ""),
            ("take_batch", self._batches, self._put_back, f"{BATCH} doses in one request"),
        ]
        return [Operation(name, prepare, tidy, what, SETTLE_S) for name, prepare, tidy, what in named]

    def _get(self, path: str) -> Call:
        return lambda: self._client.ask("GET", path, headers={"Accept-Encoding": "gzip"}).bytes

    def _polls(self, count: int) -> Sequence[Call]:
        path = f"{API}/medicines/pending"
        etag = self._client.ask("GET", path).headers["ETag"]
        return [lambda: self._client.ask("GET", path, headers={"If-None-Match": etag}, expect=304).bytes] * count

    def _add(self) -> int:
        wanted = {
            "member_id": self._home.member,
            "name": "Newcomer",
            "strength": "5 mg",
            "form": "tablet",
            "on_hand": "10",
        }
        answer = self._client.ask("POST", f"{API}/medicines", _body(wanted), expect=201)
        self._added.append(answer.json()["id"])
        return answer.bytes

    def _archive_added(self) -> None:
        while self._added:
            self._client.ask("DELETE", f"{API}/medicines/{self._added.pop()}", expect=204)

    def _edits(self, method: str, fields: Mapping[str, Any]) -> Callable[[int], Sequence[Call]]:
        """Of another medicine each time, to another note. Not of those due or taken as needed, which are known by their names."""
        subject = self._home.medicines[-1]

        def edit(number: int) -> Call:
            body = _body({**fields, "note": f"{method} {number}"})
            return lambda: self._client.ask(method, f"{API}/medicines/{subject}", body).bytes

        return lambda count: [edit(number) for number in range(count)]

    def _medicine_takings(self, count: int) -> Sequence[Call]:
        return [self._taking(f"{API}/medicines/{medicine}/take") for medicine in self._home.due[:count]]

    def _dose_takings(self, count: int) -> Sequence[Call]:
        return [self._taking(f"{API}/doses/{dose}/take") for dose in self._home.doses[:count]]

    def _taking(self, path: str) -> Call:
        def take() -> int:
            answer = self._client.ask("POST", path, b"{}", new_key())
            self._taken.append(answer.json()["id"])
            return answer.bytes

        return take

    def _batches(self, count: int) -> Sequence[Call]:
        """One at a time, for a batch takes most of what is due."""
        doses = self._home.doses[:BATCH]

        def take() -> int:
            body = _body({"items": [{"dose_id": dose} for dose in doses]})
            answer = self._client.ask("POST", f"{API}/medicines/batch-take", body, new_key())
            told = answer.json()["results"]
            self._taken += [dose for dose, result in zip(doses, told, strict=True) if result["outcome"] == "done"]
            if len(self._taken) < len(doses):
                raise Failed("not every dose of the batch was taken")
            return answer.bytes

        return [take]

    def _put_back(self) -> None:
        while self._taken:
            self._client.ask("POST", f"{API}/doses/{self._taken.pop()}/undo", b"{}", new_key())


def _nothing() -> None:
    """There is nothing to put back."""


def _body(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _reference(url: str) -> Operation:
    client = Client(Stack(url, ""))
    return Operation(REFERENCE, again(lambda: client.ask("GET", "/").bytes), client.close, what="the reference")


@contextmanager
def _bare_flask(commands: Path) -> Iterator[tuple[str, list[Process]]]:
    """Its address and its processes, under the API's own server settings. Raises CannotMeasure when it does not start."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = ["-c", "python:dosette_api.gunicorn_conf", "--pythonpath", str(PROBES)]
    command = [str(commands / "python"), "-m", "gunicorn", *settings, "bare_flask:app"]
    server = subprocess.Popen(
        command,
        env={**os.environ, "DOSETTE_BIND": f"127.0.0.1:{port}", "DOSETTE_LOG_LEVEL": "error"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: _answers(url), READY_S, "the bare Flask answer")
        yield url, [Process(BARE, each.pid) for each in processes.family(server.pid)]
    finally:
        server.terminate()
        server.wait(READY_S)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1):
            return True
    except URLError:
        return False
