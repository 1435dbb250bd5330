"""What this process holds of the machine's memory."""

from contextlib import suppress
from pathlib import Path

ROLLUP = Path("/proc/self/smaps_rollup")


def proportional_bytes(told_by: Path = ROLLUP) -> int | None:
    """Its proportional share (PSS, proc(5)): a page that several processes use is shared out among them. None where the kernel does not
    tell, which is an option of Linux."""
    with suppress(OSError):
        for line in told_by.read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return None
