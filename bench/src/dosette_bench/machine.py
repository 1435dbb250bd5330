"""On what it was measured: a time without its machine says nothing."""

import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60  # version 1 writes a number near 2^63 for "no limit"


def facts(versions: dict[str, str | None]) -> dict[str, object]:
    """CPU, cores, governor, memory, kernel, limits, load of this machine; `versions` of what was measured, by name."""
    known = {
        "cpu": _field("/proc/cpuinfo", "model name") or _field("/proc/cpuinfo", "Model"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory_bytes(),
        "architecture": platform.machine(),
    }
    return {
        "id": hashlib.sha256(repr(sorted(known.items())).encode()).hexdigest()[:16],
        **known,
        "governor": text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "kernel": platform.release(),
        "limits": {"cpu_cores": _quota(), "memory_bytes": _memory_limit()},
        "load_average": [round(each, 2) for each in os.getloadavg()],
        "versions": {"python": platform.python_version(), **versions},
    }


def memory_bytes() -> int | None:
    """All that the machine has."""
    told = (_field("/proc/meminfo", "MemTotal") or "").split()
    return int(told[0]) * 1024 if told else None


def commit(folder: Path) -> str | None:
    """Of the checkout that `folder` is in, with + when it was changed since; None outside one."""
    if shutil.which("git") is None:
        return None
    head = _git(folder, "rev-parse", "--short=12", "HEAD")
    return head and head + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _quota() -> float | None:
    new = (text(CGROUP / "cpu.max") or "max").split()
    if new[0].isdecimal():
        return int(new[0]) / int(new[1])
    old, period = text(CGROUP / "cpu/cpu.cfs_quota_us"), text(CGROUP / "cpu/cpu.cfs_period_us")
    return int(old) / int(period) if old and period and int(old) > 0 else None


def _memory_limit() -> int | None:
    told = text(CGROUP / "memory.max") or text(CGROUP / "memory/memory.limit_in_bytes") or ""
    return int(told) if told.isdecimal() and int(told) < UNLIMITED else None


def _field(path: str, name: str) -> str | None:
    lines = (text(path) or "").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def text(path: str | Path) -> str | None:
    """What a file of the kernel says; None when there is none."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
