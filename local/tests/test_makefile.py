"""What `make` does around the launcher: Ctrl-C in a terminal, and a machine without a fitting Python."""

import os
import pty
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dosette_local.lock import is_held
from dosette_local.ports import free_port

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "services/api", "services/scheduler", "services/display-agent", "local", "bench")
CTRL_C = b"\x03"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a space and the Makefile in it, nothing installed."""
    folder = tmp_path / "my dosette"
    for name in ("requirements/local.txt", *(f"{package}/pyproject.toml" for package in PACKAGES)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    shutil.copy(ROOT / "Makefile", folder)
    return folder


@pytest.fixture
def installed(checkout: Path, environment: Path) -> Path:
    """As after a first `make up`, with stand-ins for Dosette's commands."""
    (checkout / ".venv").symlink_to(environment.parent)
    launcher = environment / "dosette-local"
    launcher.write_text(f"#!/bin/sh\nexec '{environment}/python' -m dosette_local.cli \"$@\"\n")
    launcher.chmod(0o755)
    (environment.parent / "made.stamp").write_text(str(checkout))
    (environment.parent / "local.stamp").touch()
    return checkout


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The keyboard's end and the program's end of a terminal."""
    keyboard, program = pty.openpty()
    yield keyboard, program
    os.close(keyboard)
    os.close(program)


def make(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *words], cwd=checkout, capture_output=True, text=True, check=False, env=_environ())


def _environ() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "PORT": str(free_port())}


def test_make_alone_lists_every_target_with_what_it_does(checkout: Path) -> None:
    listed = make(checkout).stdout

    described = [line for line in (ROOT / "Makefile").read_text().splitlines() if ": " in line and "## " in line]
    assert {line.split(":")[0] for line in described} == {line.split()[1] for line in listed.splitlines()}
    assert {"up", "down", "test", "check", "lint", "types", "lock", "bench", "clean"} <= set(listed.split())


def test_a_machine_without_a_new_enough_python_is_told_so(checkout: Path) -> None:
    result = make(checkout, "up", "PYTHON=")

    assert result.returncode == 2
    assert result.stderr.startswith("Dosette needs Python 3.11 or newer")


def test_a_python_without_the_venv_module_is_told_what_to_install(checkout: Path) -> None:
    result = make(checkout, "up", "PYTHON=false")

    assert result.stderr.startswith("false has no venv module: install it")


def test_down_before_anything_was_installed_says_that_nothing_runs(checkout: Path) -> None:
    assert make(checkout, "down").stdout == "Nothing is running.\n"


def test_ctrl_c_in_a_terminal_stops_everything_and_make_ends_well(installed: Path, terminal: tuple[int, int]) -> None:
    keyboard, program = terminal
    shell = subprocess.Popen(
        ["setsid", "--ctty", "make", "up"], cwd=installed, env=_environ(), stdin=program, stdout=program, stderr=program
    )
    shown = read_until(keyboard, "Ctrl-C or")
    os.write(keyboard, CTRL_C)
    shown += read_until(keyboard, "Stopped display-agent, worker, scheduler, api, Valkey, PostgreSQL")

    assert shell.wait(timeout=20) == 0
    assert "***" not in shown
    assert not is_held(installed / ".dosette" / "up.lock")


def test_when_make_is_killed_nothing_is_left(installed: Path) -> None:
    with subprocess.Popen(["make", "up"], cwd=installed, env=_environ(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        next(line for line in process.stdout if line.startswith("Ctrl-C"))
        process.kill()

        deadline = time.monotonic() + 20
        while is_held(installed / ".dosette" / "up.lock") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not is_held(installed / ".dosette" / "up.lock")


def read_until(keyboard: int, expected: str) -> str:
    shown = ""
    while expected not in shown:
        shown += os.read(keyboard, 4096).decode()
    return shown
