"""Leaks by the line that allocates: of several snapshots under equal load, what grows each time by about as much."""

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from dosette_bench.processes import name_of
from dosette_bench.stack import PROBES, wait_until

TRACING = PROBES / "tracing"
ANSWER_S = 30
STEADY = 0.4
"""A site grows steadily when its smallest growth is at least this part of its largest; a cache that fills levels off."""
PER_REQUEST = 0.05
"""Objects: below one in twenty requests it is no leak that anybody could feel."""
ROUNDS = 5

Sites = dict[tuple[str, str], tuple[int, int]]
"""By process and line: bytes and objects alive."""


@dataclass(frozen=True)
class Leak:
    """What grew at a line of a process, from the first snapshot to the last."""

    process: str
    where: str
    bytes: int
    objects: int

    def told(self) -> dict[str, Any]:
        """As the results hold it."""
        return {"process": self.process, "where": self.where, "bytes": self.bytes, "objects": self.objects}


def environment(folder: Path) -> dict[str, str]:
    """Of processes that are to be traced; they write into `folder`."""
    return {"PYTHONPATH": str(TRACING), "DOSETTE_TRACE": str(folder)}


def found(folder: Path, load: Callable[[], None], requests: int) -> list[Leak]:
    """The most first. `load` makes so many requests each time; the first round is not counted, for caches fill in it."""
    load()
    snapshots = [_snapshot(folder, 0)]
    for number in range(1, ROUNDS):
        load()
        snapshots.append(_snapshot(folder, number))
    return leaking(snapshots, requests)


def leaking(snapshots: Sequence[Sites], requests: int) -> list[Leak]:
    """Sites that grew from each snapshot to the next, steadily, by more than one object in twenty requests."""
    leaks = []
    for process, where in snapshots[-1]:
        alive = [each.get((process, where), (0, 0)) for each in snapshots]
        grown = [after[1] - before[1] for before, after in pairwise(alive)]
        if min(grown) >= max(PER_REQUEST * requests, 2) and min(grown) >= STEADY * max(grown):
            leaks.append(Leak(process, where, alive[-1][0] - alive[0][0], alive[-1][1] - alive[0][1]))
    return sorted(leaks, key=lambda each: -each.bytes)


def _snapshot(folder: Path, number: int) -> Sites:
    """Of all processes that are traced; those that are slow to answer are waited for until no more come."""
    (folder / f"ask-{number}").touch()
    wait_until(lambda: any(folder.glob(f"{number}-*.json")), ANSWER_S, "a process that is traced")
    answered = 0
    while answered < (now := len(list(folder.glob(f"{number}-*.json")))):
        answered = now
        time.sleep(1)
    sites: Sites = {}
    for file in folder.glob(f"{number}-*.json"):
        told = json.loads(file.read_text())
        _add(sites, name_of(told["command"], "other"), told["sites"])
    return sites


def _add(sites: Sites, process: str, told: Sequence[Sequence[Any]]) -> None:
    for place, size, count in told:
        key = process, _short(place)
        before = sites.get(key, (0, 0))
        sites[key] = before[0] + size, before[1] + count


def _short(place: str) -> str:
    """Without what is true of this machine only."""
    return re.sub(r"^.*(site-packages/|/src/|lib/python3\.\d+/)", "", place)
