"""Instructions of a request, counted by cachegrind: on a noisy machine the only cost that comes out the same twice, to 0.2 %.

The request is answered inside the counted process, without a socket; PostgreSQL's share is not in it. Starting Python and loading
the API costs a thousand requests, so what counts is the difference between two runs, one with more requests of a kind.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle
from typing import Any

from dosette_bench import probe
from dosette_bench.bench import Bench
from dosette_bench.errors import CannotMeasure
from dosette_bench.seeding import Cupboard
from dosette_bench.stack import PROBES

COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")
WARM_UP = 5
TIMES, QUICK_TIMES = 600, 200  # one start differs from another by 0.02 %, which is 0.2 % of so many requests, or 0.5 %
LONGEST_S = 300
BARE, DOSE = "bare", "DOSE"
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
            _add(bench, _counted(bench, kinds, home.doses))
    if bench.wants(START) and not bench.sizes.quick:
        with bench.may_fail(START):
            _add_start(bench)


def _add_start(bench: Bench) -> None:
    """Takes cachegrind half a minute, which a quick run has not."""
    bench.watcher.doing("counting what the API's start takes")
    count = _count(bench, {"kinds": ["GET /health"], "counted": "", "warm_up": 1})
    bench.value(START, count, "instructions", what="Python's own start, the API's imports, one GET /health")


def _add(bench: Bench, found: Mapping[str, float]) -> None:
    for operation, count in found.items():
        bench.value(operation, count, "instructions", what=WITHOUT_SOCKET)
    what = "with token, metrics and PostgreSQL's driver; the bare answer has none"
    for operation, (kind, requests) in OVER_BARE.items():
        ratio = found[f"{PREFIX}{kind}"] / requests / found[f"{PREFIX}bare_flask"]
        bench.value(operation, ratio, "ratio", what=what)


def _kinds(bench: Bench, home: Cupboard) -> dict[str, str]:
    """What is asked for a row. Taking and undoing are one, for a dose is taken once. A quick run counts less: each takes 8 s."""
    requests = {
        "bare_flask": BARE,
        "list_medicines": "GET /api/v1/medicines?limit=50",
        "take_and_undo": f"POST /api/v1/doses/{DOSE}/take+POST /api/v1/doses/{DOSE}/undo",
        "health": "GET /health",
        "get_medicine": f"GET /api/v1/medicines/{home.medicines[0]}",
        "list_pending": "GET /api/v1/medicines/pending",
    }
    chosen = ("bare_flask", "list_medicines", "take_and_undo") if bench.sizes.quick else tuple(requests)
    return {f"{PREFIX}{name}": requests[name] for name in chosen}


def _counted(bench: Bench, kinds: Mapping[str, str], doses: Sequence[str]) -> dict[str, float]:
    """Several at once, each with a dose of its own to take: what they make each other wait is no instruction of theirs."""
    every = list(kinds.values())
    asked = [
        {"kinds": [each.replace(DOSE, dose) for each in every], "counted": kind.replace(DOSE, dose)}
        for kind, dose in zip(["", *every], cycle(doses), strict=False)
    ]
    bench.watcher.doing("counting instructions", len(asked))
    counts: list[int] = []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for count in pool.map(partial(_count, bench), asked):
            counts.append(count)
            bench.watcher.advance()
    base, *more = counts
    return {name: (count - base) / _times(bench) for name, count in zip(kinds, more, strict=True)}


def _times(bench: Bench) -> int:
    return QUICK_TIMES if bench.sizes.quick else TIMES


def _count(bench: Bench, asked: Mapping[str, Any]) -> int:
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise CannotMeasure("there is no valgrind here (Debian: apt install valgrind)")
    words = [valgrind, "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={os.devnull}"]
    told = json.dumps({"token": bench.stack.token, "warm_up": WARM_UP, "times": _times(bench), **asked})
    command = [*words, str(bench.stack.commands / "python"), str(PROBES / "instructions.py"), told]
    environment = {"DATABASE_URL": bench.stack.database_url("api"), "PYTHONHASHSEED": "0"}
    said = probe.ran(command, LONGEST_S, "cachegrind did not count", environment).stderr
    found = COUNTED.search(said)
    if found is None:
        raise CannotMeasure("cachegrind did not say what it counted: is this valgrind another than Debian's?")
    return int(found[1].replace(",", ""))
