"""`dosette-local` as its user meets it, with stand-ins for Dosette's own commands and real servers."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

import dosette_local
from dosette_local.errors import CannotStart
from dosette_local.household import Household, Settings
from dosette_local.ports import LOOPBACK, free_port
from dosette_local.servers.postgres import Postgres
from dosette_local.servers.valkey import Valkey
from dosette_local.testing import Launched

Up = Callable[..., Launched]
Tell = Callable[..., tuple[int, str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "a b"


def pids(launcher: Launched, name: str) -> list[int]:
    """Of the launcher's children whose command line has that word in it."""
    children = Path(f"/proc/{launcher.process.pid}/task/{launcher.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if name in command_line(pid)]


def command_line(pid: str | int) -> str:
    """Empty when the process has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def eventually(what: Callable[[], object], within_s: float = 30.0) -> bool:
    deadline = time.monotonic() + within_s
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_start_shows_the_address_a_token_the_panel_and_the_metrics(running: Launched) -> None:
    url = f"http://127.0.0.1:{running.port}"

    for expected in (
        url,
        "the-token",
        "device/panel.png",
        f"{url}/api/v1/devices/the-device/frame.png",
        f"{url}/metrics",
    ):
        assert expected in running.shown
    assert running.access == {"url": url, "token": "the-token", "device": "the-device"}
    assert stat.S_IMODE((running.data / "access.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_in_order(up: Up, data: Path, number: signal.Signals) -> None:
    launcher = up(data)
    launcher.wait_until_ready()
    launcher.process.send_signal(number)

    code, shown = launcher.end()

    assert code == 0
    assert "Stopped display-agent, worker, scheduler, api, Valkey, PostgreSQL in" in shown
    assert launcher.leaves_nothing(within_s=0)


def test_a_signal_during_the_start_stops_what_has_started(up: Up, data: Path) -> None:
    launcher = up(data, {"STANDIN": "dosette-worker:mute"})
    assert eventually(lambda: pids(launcher, "dosette-worker"))

    code, shown = launcher.stop()

    assert code == 0
    assert "Traceback" not in shown
    assert launcher.leaves_nothing(within_s=0)


def test_a_second_start_is_quick_and_keeps_token_ports_and_data(up: Up, data: Path) -> None:
    began = time.monotonic()
    first = up(data)
    first.wait_until_ready()
    first_s = time.monotonic() - began
    first.stop()
    kept = {name: (data / name).read_text() for name in ("secrets.json", "ports.json")}

    began = time.monotonic()
    shown = up(data, port=first.port).wait_until_ready()

    assert time.monotonic() - began < first_s
    assert "demo household" not in shown
    assert {name: (data / name).read_text() for name in kept} == kept


def test_after_a_kill_nothing_is_left_and_the_next_start_recovers(up: Up, data: Path) -> None:
    first = up(data)
    first.wait_until_ready()
    first.process.kill()

    assert first.leaves_nothing(within_s=20)
    first.end()
    assert "Ctrl-C" in up(data, port=first.port).wait_until_ready()


def test_a_start_right_after_a_kill_waits_for_what_is_still_leaving(up: Up, data: Path) -> None:
    first = up(data)
    first.wait_until_ready()
    first.process.kill()

    assert "Ctrl-C" in up(data, port=first.port).wait_until_ready()


def test_a_second_launcher_on_the_same_data_is_refused(running: Launched, tell: Tell) -> None:
    code, shown = tell("up", running.data)

    assert code == 1
    assert shown.startswith(f"dosette: Dosette already runs on {running.data} (process {running.process.pid})")
    assert len(shown.splitlines()) == 1


def test_down_stops_it_from_another_shell(up: Up, data: Path, tell: Tell) -> None:
    launcher = up(data)
    launcher.wait_until_ready()

    code, shown = tell("down", data)

    assert (code, shown) == (0, "Stopped.\n")
    assert launcher.end()[0] == 0


def test_down_says_that_nothing_runs(data: Path, tell: Tell) -> None:
    assert tell("down", data) == (0, f"Nothing runs on {data}.\n")


def test_status_tells_who_is_well(running: Launched, tell: Tell) -> None:
    code, shown = tell("status", running.data)

    assert code == 0
    assert [line.split()[0] for line in shown.splitlines()[1:]] == [
        "api", "scheduler", "worker", "display-agent", "postgres", "valkey",
    ]  # fmt: skip
    assert shown.count(" well") == 6


def test_a_taken_port_is_refused_before_anything_starts(up: Up, data: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        launcher = up(data, port=taken.getsockname()[1])
        code, shown = launcher.end()

    assert code == 1
    assert shown == f"dosette: Port {launcher.port} is taken ({_name()}, process {os.getpid()}): set PORT=another.\n"
    assert not (data / "postgres").exists()


@pytest.mark.parametrize("port", ["0", "eighty", "70000"])
def test_a_port_that_is_none_is_refused(data: Path, tell: Tell, port: str) -> None:
    code, shown = tell("up", data, {"PORT": port})

    assert (code, shown) == (1, f"dosette: PORT={port} is no port: set it to a number from 1 to 65535.\n")


def test_a_data_folder_that_cannot_be_written_is_refused(up: Up, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    code, shown = up(tmp_path / "file" / "data").end()

    assert code == 1
    assert "cannot be written" in shown
    assert len(shown.splitlines()) == 1


def test_a_database_address_that_is_none_is_refused(up: Up, data: Path) -> None:
    code, shown = up(data, {"DATABASE_URL": "sqlite:///dosette"}).end()

    assert code == 1
    assert shown.startswith("dosette: DATABASE_URL is no address of the form postgresql://")


def test_servers_that_are_there_already_are_used_and_not_started(up: Up, data: Path, tmp_path: Path) -> None:
    with (
        Postgres(tmp_path / "postgres", port=free_port(), password="there", durable=False) as postgres,
        Valkey(tmp_path / "valkey", port=free_port(), password="there") as valkey,
    ):
        launcher = up(data, {"DATABASE_URL": postgres.url, "REDIS_URL": valkey.url})
        assert "using the given servers" in launcher.wait_until_ready()
        code, shown = launcher.stop()

    assert code == 0
    assert "Stopped display-agent, worker, scheduler, api in" in shown
    assert not (data / "postgres").exists()
    assert not (data / "valkey").exists()


def test_another_database_gets_a_token_and_a_panel_of_its_own(up: Up, data: Path, tmp_path: Path) -> None:
    first = up(data)
    first.wait_until_ready()
    first.stop()

    with Postgres(tmp_path / "postgres", port=free_port(), password="there", durable=False) as postgres:
        second = up(data, {"DATABASE_URL": postgres.url})
        shown = second.wait_until_ready()
        second.stop()

    assert "filling the demo household" in shown
    assert "pairing the virtual panel" in shown


@pytest.mark.parametrize("server", ["postgres.find_binaries", "valkey.find_binary"])
def test_a_machine_without_a_server_is_told_what_to_install(server: str) -> None:
    module, function = server.split(".")
    source = Path(dosette_local.__file__).parents[1]
    script = f"import sys; sys.path.append({str(source)!r}); from dosette_local.servers.{module} import {function}; {function}([])"

    without_packages = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False
    )

    assert "CannotStart: No " in without_packages.stderr
    assert "apt install" in without_packages.stderr


@pytest.mark.parametrize("command", ["dosette", "dosette-api", "dosette-worker"])
def test_a_command_that_fails_is_named_with_its_last_words_and_its_log(up: Up, data: Path, command: str) -> None:
    launcher = up(data, {"STANDIN": f"{command}:fail"})
    code, shown = launcher.end()

    assert code == 1
    (sentence,) = [line for line in shown.splitlines() if line.startswith("dosette: ")]
    assert f"error: {command} has a bad day (see {data}/logs/" in sentence
    assert launcher.leaves_nothing(within_s=0)


def test_a_service_that_never_gets_ready_is_named(data: Path, environment: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "STANDIN": "dosette-scheduler:mute"}
    settings = Settings(data, free_port(), None, None, environment, environ, ready_timeout_s=1.0)
    household = Household(settings, lambda what: nullcontext(), print)

    with pytest.raises(CannotStart, match=r"scheduler was not ready after 1 s: listening \(see .*scheduler\.log\)"):
        household.start()
    assert household.stop() == ["display-agent", "worker", "scheduler", "api", "Valkey", "PostgreSQL"]


@pytest.mark.parametrize("name", ["dosette-scheduler", "bin/postgres", "valkey-server"])
def test_what_is_killed_is_started_again(running: Launched, tell: Tell, name: str) -> None:
    (killed,) = pids(running, name)
    os.kill(killed, signal.SIGKILL)

    assert eventually(lambda: pids(running, name) not in ([], [killed]))
    assert eventually(lambda: tell("status", running.data)[0] == 0)
    assert "was ended by signal 9; starts again in" in (running.data / "logs" / "launcher.log").read_text()


def test_a_worker_that_has_done_its_jobs_is_started_again_at_once(up: Up, data: Path) -> None:
    up(data, {"STANDIN": "dosette-worker:brief"}).wait_until_ready()

    log = data / "logs" / "launcher.log"
    assert eventually(lambda: log.exists() and "worker ended; starts again in 0 s" in log.read_text())


def test_no_password_is_in_an_argument(running: Launched) -> None:
    arguments = "".join(command_line(pid) for pid in pids(running, ""))

    for name, text in json.loads((running.data / "secrets.json").read_text()).items():
        assert name in ("token", "device", "database") or text not in arguments


def _name() -> str:
    return Path("/proc/self/comm").read_text().strip()
