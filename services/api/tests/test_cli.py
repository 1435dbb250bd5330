"""The command `dosette`, as a person types it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import Home, Server
from dosette.contracts.device_file import DeviceFile
from dosette_local.servers.postgres import Postgres


def _dosette(server: Server | None, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"DATABASE_URL": server.url("api")} if server else {}
    command = [sys.executable, "-m", "dosette_api.cli", *words]
    return subprocess.run(
        command, capture_output=True, text=True, env=settings | environment | _python_path(), check=False
    )


def _python_path() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(sys.path)}


def test_a_demo_household_is_made_once(server: Server):
    first, again = _dosette(server, "demo"), _dosette(server, "demo")

    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert "lives here now" in first.stdout
    assert "nothing was changed" in again.stdout


def test_two_demos_at_once_make_one_household(server: Server):
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda _: _dosette(server, "demo"), range(2)))

    assert sorted("lives here now" in each.stdout for each in told) == [False, True]
    assert [each.returncode for each in told] == [0, 0]


def test_a_demo_that_fails_half_way_leaves_nothing(server: Server):
    failed = _dosette(server, "demo", FAULT="A3:raise:50")
    again = _dosette(server, "demo")

    assert failed.returncode != 0
    assert "lives here now" in again.stdout


def test_a_household_can_be_founded_and_joined(server: Server):
    _dosette(server, "found", "Hill Street", "--zone", "Europe/Lisbon")

    told = _dosette(server, "member", "add", "Rosa", "--role", "admin")

    assert '"name": "Rosa"' in told.stdout
    assert "not an IANA time zone" in _dosette(server, "found", "Elsewhere", "--zone", "Nowhere").stderr


def test_a_token_is_printed_alone(home: Home):
    told = _dosette(home.server, "token", "create", "--name", "phone", "--member", "Ana", "--scope", "read")

    assert told.stdout.startswith("dosette_")
    assert len(told.stdout.split()) == 1


def test_a_token_for_an_unknown_member_is_refused(home: Home):
    told = _dosette(home.server, "token", "create", "--name", "phone", "--member", "Zoe")

    assert (told.returncode, told.stderr.strip()) == (
        1,
        "dosette: there is no member named Zoe; GET /api/v1/members lists them",
    )


def test_pairing_writes_a_file_for_the_agent_alone(home: Home, tmp_path: Path):
    out = tmp_path / "device.json"

    told = _dosette(
        home.server, "device", "pair", "--name", "Kitchen", "--out", str(out), "--redis", "pi:6379", DOSETTE_SECRET="s"
    )

    assert DeviceFile.read(out).device_id == told.stdout.strip()
    assert out.stat().st_mode & 0o777 == 0o600


def test_without_a_household_there_is_nothing_to_pair_with(server: Server, tmp_path: Path):
    told = _dosette(
        server, "device", "pair", "--name", "K", "--out", str(tmp_path / "d"), "--redis", "r:1", DOSETTE_SECRET="s"
    )

    assert told.returncode == 1
    assert "dosette demo" in told.stderr


@pytest.mark.parametrize("command", [("demo",), ("migrate",)])
def test_an_unreachable_database_is_one_sentence(command: tuple[str, ...]):
    told = _dosette(None, *command, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    assert told.returncode == 1
    assert "Traceback" not in told.stderr


def test_a_missing_setting_is_named():
    told = _dosette(None, "demo")

    assert told.returncode == 1
    assert "DATABASE_URL is not set" in told.stderr


def test_migrate_says_what_it_did(postgres: Postgres):
    told = _dosette(None, "migrate", DATABASE_URL=postgres.url)

    assert (told.returncode, told.stdout) == (0, "the database is up to date\n")
