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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from dosette_bench import calibration
from dosette_bench.calibration import Score
from dosette_bench.errors import CannotMeasure, meant
from dosette_bench.stack import Stack, free_port, opened

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "bench" / "box" / "Dockerfile"
IMAGE = "dosette/box:local"
USER_WHEN_ROOT = 10001
BUILD_S, START_S, STOP_S, ASK_S = 1200, 300, 60, 30
LOOK_EVERY_S = 0.5
MOST_PROCESSES = 200
NEEDED_BYTES = 192 << 20  # was seen to do for a household at rest, and 160 MiB not
CGROUP = Path("/sys/fs/cgroup")
LABEL = "dosette-box"


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
    """A running box: what its control group counted so far, read from outside, as asking inside would cost the box."""

    def __init__(self, launcher_pid: int) -> None:
        self.launcher_pid = launcher_pid
        self._groups = _groups(launcher_pid)
        self._last: dict[str, float] = {}

    def observed(self) -> dict[str, float]:
        """CPU seconds used, the share of periods in which the quota was used up, peak memory, and kills for lack of it.

        Of a box that has ended, what was seen last.
        """
        new = self._read("cpu.stat")
        if "usage_usec" in new:
            self._last = self._of_version_2(new)
        elif self._read("cpu/cpu.stat"):
            self._last = self._of_version_1()
        return self._last

    def _of_version_2(self, cpu: dict[str, int]) -> dict[str, float]:
        memory, events = self._read("memory.stat"), self._read("memory.events")
        return {
            "cpu_s": cpu["usage_usec"] / 1e6,
            "throttled_share": _share(cpu),
            "memory_peak_bytes": self._number("memory.peak"),
            "memory_anonymous_bytes": memory.get("anon", 0) + memory.get("shmem", 0),
            "out_of_memory_kills": events.get("oom_kill", 0),
        }

    def _of_version_1(self) -> dict[str, float]:
        cpu, memory = self._read("cpu/cpu.stat"), self._read("memory/memory.stat")
        return {
            "cpu_s": self._number("cpuacct/cpuacct.usage") / 1e9,
            "throttled_share": _share(cpu),
            "memory_peak_bytes": self._number("memory/memory.max_usage_in_bytes"),
            "memory_anonymous_bytes": memory.get("total_rss", 0) + memory.get("total_shmem", 0),
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
        """What a file of the control group says; empty when there is none. Version 1 has a folder for each controller."""
        controller, _, file = name.rpartition("/")
        group = self._groups.get(controller)
        try:
            return (group / file).read_text().strip() if group else ""
        except OSError:
            return ""


def _share(cpu: dict[str, int]) -> float:
    """Of all periods, those in which the quota was used up."""
    return cpu.get("nr_throttled", 0) / max(cpu.get("nr_periods", 0), 1)


def _groups(pid: int) -> dict[str, Path]:
    """Where the control groups of a process are, by controller; that of version 2 has no name."""
    found = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = CGROUP / controller / path.lstrip("/")
    return found


def refuse_unknown(name: str) -> None:
    """Raises CannotMeasure when there is no such box."""
    known = _all()["boxes"]
    if name not in known:
        raise CannotMeasure(f"there is no box {name}{meant(name, known)}; there is {', '.join(known)}")


def box_named(name: str) -> Box:
    """Calibrated on this machine, now. Raises CannotMeasure when there is no such box, or this machine is none bigger."""
    refuse_unknown(name)
    told = _all()
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


def _all() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files("dosette_bench") / "boxes.json").read_text())
    return found


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
        holding = _start(box, container, Path(folder), user)
        try:
            boxed = Boxed(_pid(container, holding))
            boxed.check(box)
            _wait_until_ready(container, Path(folder), boxed)
            yield opened(Path(folder) / "household", boxed.launcher_pid, boxed)
        finally:
            _take_down(container, holding)


def too_small(kills: float) -> str:
    """What is said of a box in which the kernel had to kill processes."""
    return (
        f"the stack does not fit into the box: {kills:.0f} times a process was killed for lack of memory;"
        f" with a small household's load it needs about {NEEDED_BYTES >> 20} MiB"
    )


def _refuse_without_engine() -> None:
    if shutil.which("docker") is None:
        raise CannotMeasure(
            "a box needs a container engine, and there is no `docker` here: install it, or leave --box out"
        )
    where = _ran("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").stdout.strip()
    if where and not where.startswith("unix://"):
        raise CannotMeasure(
            f"the container engine at {where} is not on this machine, and its loopback is not ours:"
            " unset DOCKER_HOST or say `docker context use default`, or measure there"
        )
    asked = _ran("info")
    if asked.returncode:
        said = (asked.stderr or asked.stdout).strip().splitlines()
        reason = said[-1] if said else "it said nothing"
        hint = "may you use it (group docker)?" if "permission denied" in reason else "is it running?"
        raise CannotMeasure(f"the container engine does not answer: {hint} ({reason})")
    _ran("container", "prune", "--force", "--filter", f"label={LABEL}")  # what a killed benchmark has left has ended


def _build() -> None:
    if not DOCKERFILE.exists():
        raise CannotMeasure(
            "a box is built from a checkout, and this installation is none: clone Dosette and say make bench"
        )
    user = os.getuid() or USER_WHEN_ROOT
    words = ("build", "--tag", IMAGE, "--file", str(DOCKERFILE), "--build-arg", f"USER_ID={user}", str(ROOT))
    built = _ran(*words, within_s=BUILD_S)
    if built.returncode:
        last = [line.strip() for line in built.stderr.splitlines() if line.strip()][-1:]
        raise CannotMeasure(f"the box's image was not built: {last[0] if last else 'it said nothing'}")


def _start(box: Box, container: str, folder: Path, user: int) -> subprocess.Popen[bytes]:
    """The process that holds the box's input open: when it ends, with us or before us, so does the box."""
    limits = {
        "cpu-period": box.period_us,
        "cpu-quota": round(box.quota_cores * box.period_us),
        "memory": box.memory_bytes,
        "memory-swap": box.memory_bytes,  # no swap: an SD card is none
        "pids-limit": MOST_PROCESSES,
    }
    words = (
        "run",
        "--interactive",
        "--init",
        f"--name={container}",
        f"--label={LABEL}",
        *(f"--{name}={value}" for name, value in limits.items()),
        f"--user={user}",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges:true",
        "--network=host",  # the load comes from outside, and no proxy of the engine stands between
        f"--volume={folder}:/data",
        f"--env=PORT={free_port()}",
        IMAGE,
    )
    null = subprocess.DEVNULL
    return subprocess.Popen(
        ["docker", *words],
        stdin=subprocess.PIPE,
        stdout=null,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C ends the measurement first, and then we end the box
    )


def _pid(container: str, holding: subprocess.Popen[bytes]) -> int:
    """Of its first process, seen from here."""
    until = time.monotonic() + ASK_S
    while time.monotonic() < until and holding.poll() is None:
        asked = _ran("inspect", "--format", "{{.State.Pid}}", container)
        if asked.returncode == 0 and asked.stdout.strip() not in ("", "0"):
            return int(asked.stdout)
        time.sleep(LOOK_EVERY_S)
    said = (holding.communicate()[1] if holding.poll() is not None else b"").decode(errors="replace").strip()
    raise CannotMeasure(f"the box did not start: {said.splitlines()[0] if said else 'the engine said nothing'}")


def _wait_until_ready(container: str, folder: Path, boxed: Boxed) -> None:
    until = time.monotonic() + START_S
    while not (folder / "household" / "access.json").exists():
        kills = boxed.observed().get("out_of_memory_kills", 0)
        state = json.loads(_docker("inspect", "--format", "{{json .State}}", container))
        if kills or state["OOMKilled"]:
            raise CannotMeasure(too_small(max(kills, 1)))
        if not state["Running"]:
            raise CannotMeasure(f"the stack did not start in the box: its last words: {_last_words(container)}")
        if time.monotonic() > until:
            raise CannotMeasure(f"the stack was not ready in the box after {START_S} s: {_last_words(container)}")
        time.sleep(LOOK_EVERY_S)


def _last_words(container: str) -> str:
    said = _ran("logs", "--tail", "3", container)
    return " | ".join((said.stdout + said.stderr).split("\n")).strip(" |") or "none"


def _take_down(container: str, holding: subprocess.Popen[bytes]) -> None:
    """Also one that never came up; what was there is of no use to anybody."""
    for words in (("stop", "--time", "10"), ("rm", "--force", "--volumes")):
        with suppress(CannotMeasure):  # an engine that hangs now has nothing to tell: the box ends with its input
            _ran(*words, container, within_s=STOP_S)
    holding.terminate()
    holding.communicate()


def _docker(*words: str) -> str:
    ran = _ran(*words)
    if ran.returncode:
        said = ran.stderr.strip().splitlines()
        raise CannotMeasure(f"`docker {words[0]}` failed: {said[-1] if said else 'it said nothing'}")
    return ran.stdout.strip()


def _ran(*words: str, within_s: float = ASK_S) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=within_s, check=False)
    except subprocess.TimeoutExpired:
        raise CannotMeasure(
            f"`docker {words[0]}` did not end within {within_s:g} s: see whether the container engine is well"
        ) from None
