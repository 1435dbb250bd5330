"""A program that finds something out in a process of its own: it is run to its end, or not for ever."""

import os
import subprocess
from collections.abc import Mapping, Sequence

from dosette_bench.errors import CannotMeasure


def ran(
    command: Sequence[str], within_s: float, failed: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What it printed. Raises CannotMeasure that begins with `failed` and ends with its last words, or how long it was waited for."""
    told = {**os.environ, **(environment or {})}
    try:
        done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=within_s, check=False)
    except subprocess.TimeoutExpired:
        raise CannotMeasure(
            f"{failed}: it did not end within {within_s:g} s, the machine is too slow or too busy"
        ) from None
    if done.returncode:
        raise CannotMeasure(f"{failed}: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    return done
