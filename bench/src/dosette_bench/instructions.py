"""Instructions of a request, counted by cachegrind: on a noisy machine the only cost that comes out the same twice, to 0.2 %.

The request is answered inside the counted process, without a socket; PostgreSQL's share is not in it. What counts is the difference
between two children of one process, one of which answers more requests of a kind.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence

from dosette_bench import probe
from dosette_bench.bench import Bench
from dosette_bench.errors import CannotMeasure
from dosette_bench.seeding import Cupboard
from dosette_bench.stack import PROBES

COUNTED = re.compile(r"==(\d+)== I\s+refs:\s+([\d,]+)")
WARM_UP = 5
TIMES, QUICK_TIMES = 400, 100
LONGEST_S = 300
BARE = "bare"
PREFIX = "instructions_"
OVER_BARE = {
    "instructions_list_over_bare_flask": ("list_medicines", 1),
    "instructions_write_over_bare_flask": ("take_and_undo", 2),
}
"""Of which kind, and how many requests one of it is."""
START = "instructions_to_first_answer"
WITHOUT_SOCKET = "in the API's process, without a socket"


def measure(bench: Bench, home: Cupboard) -> None:
    """A row for each kind of request, for the list's and a write's over a bare Flask answer's, and for the API's start."""
    kinds = _kinds(bench, home)
    if any(map(bench.wants, (*kinds, *OVER_BARE))):
        with bench.may_fail(*kinds, *OVER_BARE):
            _add(bench, _counted(bench, kinds))
    if bench.wants(START) and not bench.sizes.quick:
        with bench.may_fail(START):
            _add_start(bench)


def _add_start(bench: Bench) -> None:
    """Takes cachegrind half a minute, which a quick run has not."""
    bench.watcher.doing("counting what the API's start takes")
    (count,) = _count(bench, {"GET /health": 1})[0].values()
    bench.value(START, count, "instructions", what="Python's own start, the API's imports, one GET /health")


def _add(bench: Bench, found: Mapping[str, float]) -> None:
    for operation, count in found.items():
        bench.value(operation, count, "instructions", what=WITHOUT_SOCKET)
    what = "with token, metrics and PostgreSQL's driver; the bare answer has none"
    for operation, (kind, requests) in OVER_BARE.items():
        ratio = found[f"{PREFIX}{kind}"] / requests / found[f"{PREFIX}bare_flask"]
        bench.value(operation, ratio, "ratio", what=what)


def _kinds(bench: Bench, home: Cupboard) -> dict[str, str]:
    """What is asked for a row. Taking and undoing are one, for a dose is taken once. A quick run counts less."""
    dose = f"/api/v1/doses/{home.doses[0]}"
    requests = {
        "bare_flask": BARE,
        "list_medicines": "GET /api/v1/medicines?limit=50",
        "take_and_undo": f"POST {dose}/take+POST {dose}/undo",
        "health": "GET /health",
        "get_medicine": f"GET /api/v1/medicines/{home.medicines[0]}",
        "list_pending": "GET /api/v1/medicines/pending",
    }
    chosen = ("bare_flask", "list_medicines", "take_and_undo") if bench.sizes.quick else tuple(requests)
    return {f"{PREFIX}{name}": requests[name] for name in chosen}


def _counted(bench: Bench, kinds: Mapping[str, str]) -> dict[str, float]:
    """Per request of each kind."""
    bench.watcher.doing("counting instructions")
    times = QUICK_TIMES if bench.sizes.quick else TIMES
    counts, children = _count(bench, dict.fromkeys(kinds.values(), WARM_UP), list(kinds.values()), times)
    of = {(request, often): counts[pid] for pid, request, often in children}
    return {name: (of[request, times] - of[request, 0]) / times for name, request in kinds.items()}


def _count(
    bench: Bench, warm_up: Mapping[str, int], counted: Sequence[str] = (), times: int = 0
) -> tuple[dict[int, int], list[tuple[int, str, int]]]:
    """Instructions by process, and the children: process, request, times."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise CannotMeasure("there is no valgrind here (Debian: apt install valgrind)")
    words = [valgrind, "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={os.devnull}"]
    told = {"token": bench.stack.token, "warm_up": warm_up, "counted": counted, "times": times}
    asked = json.dumps(told | {"at_once": len(os.sched_getaffinity(0))})
    command = [*words, str(bench.stack.commands / "python"), str(PROBES / "instructions.py"), asked]
    environment = {"DATABASE_URL": bench.stack.database_url("api"), "PYTHONHASHSEED": "0"}
    done = probe.ran(command, LONGEST_S, "cachegrind did not count", environment)
    found = {int(pid): int(count.replace(",", "")) for pid, count in COUNTED.findall(done.stderr)}
    children = [(pid, request, often) for pid, request, often in json.loads(done.stdout)]
    if not found or any(pid not in found for pid, _, _ in children):
        raise CannotMeasure("cachegrind did not say what it counted: is this valgrind another than Debian's?")
    return found, children
