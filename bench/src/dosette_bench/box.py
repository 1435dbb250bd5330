"""The whole stack in one container whose limits stand for a small board: one control group, one CPU quota, one memory limit.

The load comes from outside. What a quota can't stand for is told in docs/pi-box.md.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from dosette_bench import calibration
from dosette_bench.calibration import Score
from dosette_bench.errors import CannotMeasure
from dosette_bench.stack import Stack, free_port, opened

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "bench" / "box" / "Dockerfile"
IMAGE = "dosette/box:local"
USER_WHEN_ROOT = 10001
BUILD_S, START_S, STOP_S, ASK_S = 1200, 300, 60, 30
LOOK_EVERY_S = 0.5
MOST_PROCESSES = 200
CGROUP = "/sys/fs/cgroup"


@dataclass(frozen=True)
class Box:
    """A board: its cores, what one core scores, the memory that its system and the engine leave."""

    name: str
    board: str
    cores: int
    score: Score
    period_us: int
    memory_bytes: int
    memory_source: str

    @property
    def quota_cores(self) -> float:
        """All cores of the board in cores of this machine."""
        return self.cores / self.score.slowdown

    def told(self) -> dict[str, Any]:
        """As the results hold it."""
        return {
            "name": self.name,
            "cpu_cores": round(self.quota_cores, 4),
            "period_us": self.period_us,
            "memory_bytes": self.memory_bytes,
            "calibration": self.score.told(),
        }


class Boxed:
    """A running box: what its control group counted so far."""

    def __init__(self, container: str) -> None:
        self._container = container
        self.launcher_pid = int(_docker("inspect", "--format", "{{.State.Pid}}", container))

    def observed(self) -> dict[str, float]:
        """CPU seconds used, the share of periods in which the quota was used up, peak memory, and kills for lack of it."""
        new = self._read("cpu.stat")
        if "usage_usec" in new:
            return self._of_version_2(new)
        return self._of_version_1()

    def _of_version_2(self, cpu: dict[str, int]) -> dict[str, float]:
        memory, events = self._read("memory.stat"), self._read("memory.events")
        return {
            "cpu_s": cpu["usage_usec"] / 1e6,
            "throttled_share": cpu["nr_throttled"] / max(cpu["nr_periods"], 1),
            "memory_peak_bytes": self._number("memory.peak"),
            "memory_anonymous_bytes": memory["anon"] + memory["shmem"],
            "out_of_memory_kills": events.get("oom_kill", 0),
        }

    def _of_version_1(self) -> dict[str, float]:
        cpu, memory = self._read("cpu/cpu.stat"), self._read("memory/memory.stat")
        return {
            "cpu_s": self._number("cpuacct/cpuacct.usage") / 1e9,
            "throttled_share": cpu["nr_throttled"] / max(cpu["nr_periods"], 1),
            "memory_peak_bytes": self._number("memory/memory.max_usage_in_bytes"),
            "memory_anonymous_bytes": memory["total_rss"] + memory.get("total_shmem", 0),
            "out_of_memory_kills": self._read("memory/memory.oom_control").get("oom_kill", 0),
        }

    def check(self, box: Box) -> None:
        """Raises CannotMeasure when the engine did not put the limits in force."""
        quota = self._text("cpu.max").split() or [
            self._text("cpu/cpu.cfs_quota_us"),
            self._text("cpu/cpu.cfs_period_us"),
        ]
        if not quota[0].isdecimal() or abs(int(quota[0]) / int(quota[1]) - box.quota_cores) > 0.01:
            raise CannotMeasure(
                f"the engine did not put the CPU quota in force ({' '.join(quota)}): its kernel lacks CFS bandwidth control"
            )
        limit = self._text("memory.max") or self._text("memory/memory.limit_in_bytes")
        if not limit.isdecimal() or abs(int(limit) - box.memory_bytes) > 1 << 20:
            raise CannotMeasure(
                "the engine ignores memory limits: on Raspberry Pi OS put cgroup_enable=memory cgroup_memory=1"
                " into cmdline.txt and start anew"
            )

    def _read(self, name: str) -> dict[str, int]:
        lines = (line.split() for line in self._text(name).splitlines())
        return {words[0]: int(words[1]) for words in lines if len(words) == 2}

    def _number(self, name: str) -> int:
        told = self._text(name)
        return int(told) if told.isdecimal() else 0

    def _text(self, name: str) -> str:
        """What a file of the control group says, seen from inside; empty when there is none."""
        words = ["docker", "exec", self._container, "cat", f"{CGROUP}/{name}"]
        return subprocess.run(words, capture_output=True, text=True, timeout=ASK_S, check=False).stdout.strip()


def box_named(name: str) -> Box:
    """Calibrated on this machine, now. Raises CannotMeasure when there is no such box, or this machine is none bigger."""
    told = json.loads((files("dosette_bench") / "boxes.json").read_text())
    if name not in told["boxes"]:
        raise CannotMeasure(f"there is no box {name}; there is {', '.join(told['boxes'])}")
    board, score = told["boxes"][name], told["score"]
    measured = Score(
        score["name"],
        score["unit"],
        calibration.steps_per_s(),
        board["score"],
        board["score_low"],
        board["score_high"],
        score["source"],
    )
    made = Box(
        name,
        board["board"],
        board["cores"],
        measured,
        board["period_us"],
        board["memory_bytes"],
        board["memory_source"],
    )
    if made.quota_cores > len(os.sched_getaffinity(0)):
        raise CannotMeasure(f"this machine is no faster than a {made.board}: measure on it as it is, without --box")
    return made


@contextmanager
def stack_in(box: Box, say: Callable[[str], None]) -> Iterator[Stack]:
    """Builds the image, starts the stack in the box, and takes both down after. Raises CannotMeasure saying what stands in the way."""
    _refuse_without_engine()
    say("building the box's image")
    _build()
    with tempfile.TemporaryDirectory(prefix="dosette-box-") as folder:
        user = os.getuid() or USER_WHEN_ROOT
        if os.getuid() == 0:
            os.chown(folder, user, user)
        container = f"dosette-box-{uuid.uuid4().hex[:8]}"
        say(f"starting in {box.quota_cores:.2f} of a core and {box.memory_bytes >> 20} MiB")
        try:
            _start(box, container, Path(folder), user)
            boxed = Boxed(container)
            boxed.check(box)
            _wait_until_ready(container, Path(folder))
            yield opened(Path(folder) / "household", boxed.launcher_pid, boxed)
        finally:
            _take_down(container)


def _refuse_without_engine() -> None:
    if shutil.which("docker") is None:
        raise CannotMeasure(
            "a box needs a container engine, and there is no `docker` here: install it, or leave --box out"
        )
    if not (host := os.environ.get("DOCKER_HOST", "unix://")).startswith("unix://"):
        raise CannotMeasure(
            f"DOCKER_HOST={host} is another machine, whose loopback is not ours: unset it, or measure there"
        )
    asked = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=ASK_S, check=False)
    if asked.returncode:
        said = (asked.stderr or asked.stdout).strip().splitlines()
        reason = said[-1] if said else "it said nothing"
        hint = "may you use it (group docker)?" if "permission denied" in reason else "is it running?"
        raise CannotMeasure(f"the container engine does not answer: {hint} ({reason})")


def _build() -> None:
    if not DOCKERFILE.exists():
        raise CannotMeasure(
            "a box is built from a checkout, and this installation is none: clone Dosette and say make bench"
        )
    user = os.getuid() or USER_WHEN_ROOT
    words = ["docker", "build", "--tag", IMAGE, "--file", str(DOCKERFILE), "--build-arg", f"USER_ID={user}", str(ROOT)]
    built = subprocess.run(words, capture_output=True, text=True, timeout=BUILD_S, check=False)
    if built.returncode:
        last = [line.strip() for line in built.stderr.splitlines() if line.strip()][-1:]
        raise CannotMeasure(f"the box's image was not built: {last[0] if last else 'it said nothing'}")


def _start(box: Box, container: str, folder: Path, user: int) -> None:
    limits = {
        "cpu-period": box.period_us,
        "cpu-quota": round(box.quota_cores * box.period_us),
        "memory": box.memory_bytes,
        "memory-swap": box.memory_bytes,  # no swap: an SD card is none
        "pids-limit": MOST_PROCESSES,
    }
    _docker(
        "run",
        "--detach",
        "--init",
        "--name",
        container,
        *(f"--{name}={value}" for name, value in limits.items()),
        f"--user={user}",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges:true",
        "--network=host",  # the load comes from outside, and no proxy of the engine stands between
        f"--volume={folder}:/data",
        f"--env=PORT={free_port()}",
        IMAGE,
    )


def _wait_until_ready(container: str, folder: Path) -> None:
    until = time.monotonic() + START_S
    while not (folder / "household" / "access.json").exists():
        state = json.loads(_docker("inspect", "--format", "{{json .State}}", container))
        if not state["Running"]:
            short = "its memory was not enough" if state["OOMKilled"] else f"its last words: {_last_words(container)}"
            raise CannotMeasure(f"the stack did not start in the box: {short}")
        if time.monotonic() > until:
            raise CannotMeasure(f"the stack was not ready in the box after {START_S} s: {_last_words(container)}")
        time.sleep(LOOK_EVERY_S)


def _last_words(container: str) -> str:
    logs = ["docker", "logs", "--tail", "3", container]
    said = subprocess.run(logs, capture_output=True, text=True, timeout=ASK_S, check=False)
    return " | ".join((said.stdout + said.stderr).split("\n")).strip(" |") or "none"


def _take_down(container: str) -> None:
    """Also one that never came up; what was there is of no use to anybody."""
    for words in (["stop", "--time", "10"], ["rm", "--force", "--volumes"]):
        subprocess.run(["docker", *words, container], capture_output=True, timeout=STOP_S, check=False)


def _docker(*words: str) -> str:
    ran = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=BUILD_S, check=False)
    if ran.returncode:
        said = ran.stderr.strip().splitlines()
        raise CannotMeasure(f"`docker {words[0]}` failed: {said[-1] if said else 'it said nothing'}")
    return ran.stdout.strip()
