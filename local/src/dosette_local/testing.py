"""For tests: a whole household as a process of its own, with the environment of a bare machine."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from dosette_local import lock
from dosette_local.folder import read_object
from dosette_local.ports import free_port

PYTHON = Path(sys.executable)


class Launched:
    """One `dosette-local up`; as a context manager it is ready inside and gone after. It ends with the thread that made it."""

    def __init__(
        self, data: Path, environ: Mapping[str, str] | None = None, *, port: int | None = None, python: Path = PYTHON
    ) -> None:
        """`environ` is all that it gets beside PATH, HOME, PORT and DOSETTE_DATA; its commands are those beside `python`."""
        self.data = data
        self.port = port or free_port()
        self.process = command(["up", "--with-parent"], data, {"PORT": str(self.port), **(environ or {})}, python)
        self.shown = ""

    def wait_until_ready(self) -> str:
        """What it showed until it was ready, or until it ended."""
        for line in self.process.stdout or ():
            self.shown += line
            if line.startswith("Ctrl-C"):
                break
        return self.shown

    @property
    def access(self) -> dict[str, object]:
        """Address, token, device."""
        return read_object(self.data / "access.json")

    def stop(self) -> tuple[int, str]:
        """As Ctrl-C does; then as `end`."""
        self.process.terminate()
        return self.end()

    def end(self) -> tuple[int, str]:
        """Waits for it; its exit code and all that it showed, errors included."""
        with suppress(ValueError):  # read to its end before
            self.shown += self.process.communicate(timeout=60)[0]
        return self.process.returncode, self.shown

    def leaves_nothing(self, within_s: float) -> bool:
        """Whether all of its processes are gone by then."""
        deadline = time.monotonic() + within_s
        while lock.is_held(self.data / "up.lock"):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def __enter__(self) -> Self:
        if "Ctrl-C" not in self.wait_until_ready():
            raise RuntimeError(f"the household did not start: {self.end()[1]}")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def command(
    words: Sequence[str], data: Path, environ: Mapping[str, str] | None = None, python: Path = PYTHON
) -> subprocess.Popen[str]:
    """`dosette-local WORD…`, begun; both of its outputs in one pipe."""
    bare = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/"), "DOSETTE_DATA": str(data)}
    return subprocess.Popen(
        [python, "-m", "dosette_local.cli", *words],
        env={**bare, **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
