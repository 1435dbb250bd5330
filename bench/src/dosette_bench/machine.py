"""On what it was measured: a time without its machine says nothing."""

import os
import platform
from pathlib import Path


def facts() -> dict[str, object]:
    """CPU, cores, memory, kernel, load and Python of this machine."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
    }


def _field(path: str, name: str) -> str | None:
    lines = (_text(path) or "").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
