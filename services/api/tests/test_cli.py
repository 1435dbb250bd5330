"""The command `dosette`, as a person types it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest

from conftest import Home, Server
from dosette.actions import devices, households
from dosette.actions.devices import ServerKeys
from dosette.contracts.device_file import DeviceFile
from dosette.contracts.look import read_look
from dosette.contracts.pairing import read_code
from dosette.storage import households as household_sql
from dosette.storage.connection import Database
from dosette.testing import NOON
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


def test_the_demo_shows_who_is_told_next(server: Server, database_of: Callable[[str], Database]):
    _dosette(server, "demo")
    database = database_of("api")

    members = json.loads(database.one(household_sql.LIST_MEMBERS, households.to_look_into(database, None))[0])["items"]

    ana, bruno, clara = members
    assert (bruno["second_id"], clara["second_id"], clara["third_id"]) == (ana["id"], ana["id"], bruno["id"])
    assert (clara["quiet_from"], clara["quiet_until"], ana["names_medicines"]) == ("20:30", "06:30", True)


def test_two_demos_at_once_make_one_household(server: Server):
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda _: _dosette(server, "demo"), range(2)))

    assert sorted("lives here now" in each.stdout for each in told) == [False, True]
    assert [each.returncode for each in told] == [0, 0]


def test_a_demo_waits_for_another_however_slow_that_one_is(server: Server, database_of: Callable[[str], Database]):
    slow = database_of("api")
    with ThreadPoolExecutor(1) as pool:
        with slow.all_or_nothing():
            households.only_founder(slow)
            other = pool.submit(_dosette, server, "demo")
            wait([other], timeout=5)

        told = other.result()

    assert (told.returncode, "lives here now" in told.stdout) == (0, True), told.stderr


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


def test_a_contact_is_added_by_the_member_s_name_and_checked(home: Home):
    told = _dosette(home.server, "contact", "add", "Bruno", "webhook", "https://home.example/hook")

    assert '"secret": "whsec_' in told.stdout, told.stderr
    stranger = _dosette(home.server, "contact", "add", "Zoe", "file", "zoe.jsonl")
    wrong = _dosette(home.server, "contact", "add", "Bruno", "file", "../zoe")
    assert "there is no member named Zoe" in stranger.stderr
    assert (wrong.returncode, "a plain file name is wanted" in wrong.stderr) == (1, True)


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


def test_pairing_into_a_folder_writes_a_file_for_its_agent_alone(home: Home, tmp_path: Path):
    told = _dosette(
        home.server, "device", "pair", "Kitchen", "--into", str(tmp_path), "--redis", "pi:6379", DOSETTE_SECRET="s"
    )

    assert DeviceFile.read(tmp_path / "device.json").device_id == told.stdout.strip()
    assert (tmp_path / "device.json").stat().st_mode & 0o777 == 0o600


def test_pairing_shows_a_code_what_to_type_and_a_qr(home: Home):
    told = _dosette(home.server, "device", "pair", "Kitchen", "--server", "https://pills.example", DOSETTE_SECRET="s")

    command = re.search(r"dosette-display pair https://pills\.example (\S+)", told.stdout)
    assert command is not None
    assert read_code(command[1]) == command[1]
    assert "█" in told.stdout
    assert "open" not in told.stdout


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "DOSETTE_PUBLIC_URL says it once for all"),
        ("http://127.0.0.1:8080", "a panel elsewhere needs the one at which it reaches this server"),
        ("http://192.168.1.10:8080", "add --plain-http on a network that you trust"),
    ],
)
def test_pairing_says_what_is_amiss_with_the_address_that_is_to_be_typed(home: Home, address: str, said: str):
    told = _dosette(home.server, "device", "pair", "Kitchen", DOSETTE_SECRET="s", DOSETTE_PUBLIC_URL=address)

    assert said in told.stdout


def test_without_a_household_there_is_nothing_to_pair_with(server: Server):
    told = _dosette(server, "device", "pair", "Kitchen", DOSETTE_SECRET="s")

    assert told.returncode == 1
    assert "dosette demo" in told.stderr


def test_panels_are_listed_given_new_keys_and_revoked_by_name(home: Home):
    devices.pair(home.database, home.console, "Kitchen", ServerKeys("s"), "pi:6379", "", NOON)

    listed = _dosette(home.server, "device", "list").stdout
    rotated = _dosette(home.server, "device", "rotate", "Kitchen").stdout
    again = _dosette(home.server, "device", "rotate", "Kitchen")
    revoked = _dosette(home.server, "device", "revoke", "Kitchen").stdout
    afterwards = _dosette(home.server, "device", "list").stdout

    assert listed == "Kitchen, paired, not seen yet\n"
    assert "Kitchen gets new keys" in rotated
    assert (again.returncode, "still believed" in again.stderr) == (1, True)
    assert revoked == "Kitchen is no longer paired\n"
    assert afterwards.startswith("Kitchen, revoked")


@pytest.mark.parametrize("command", ["revoke", "rotate"])
def test_a_panel_of_another_name_is_one_sentence(home: Home, command: str):
    told = _dosette(home.server, "device", command, "Cellar")

    assert told.returncode == 1
    assert told.stderr == "dosette: there is no device named Cellar in this household; see: dosette device list\n"


def test_a_link_to_the_panels_is_printed_alone(home: Home):
    told = _dosette(home.server, "device", "page", DOSETTE_LINK_KEY="k", DOSETTE_PUBLIC_URL="https://pills.example/")

    token = told.stdout.strip().removeprefix("https://pills.example/panels/")
    assert read_look(token, "k", datetime.now(UTC)).household_id == home.id


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


def test_a_household_goes_out_into_a_file_and_comes_in_again(home: Home, tmp_path: Path):
    home.dose()
    out, again = tmp_path / "home.json", tmp_path / "again.json"

    assert _dosette(home.server, "export", str(out)).returncode == 0
    _dosette(home.server, "found", "Empty", "--zone", "UTC")
    refused = _dosette(home.server, "import", str(out), "--household", "Empty")
    _dosette(home.server, "export", str(again), "--household", "Home")

    assert (out.stat().st_mode & 0o777, out.read_bytes()) == (0o600, again.read_bytes())
    assert refused.returncode == 1
    assert "is on this server already" in refused.stderr
    assert list(tmp_path.glob("*.part")) == []


def test_an_imported_household_is_told_row_by_row(home: Home, other_server: Server, tmp_path: Path):
    home.dose()
    _dosette(home.server, "export", str(tmp_path / "home.json"))
    _dosette(other_server, "found", "Empty", "--zone", "UTC")

    told = _dosette(other_server, "import", str(tmp_path / "home.json"))

    assert '"doses": 8' in told.stdout, told.stderr
    verified = _dosette(other_server, "verify")
    assert (verified.returncode, verified.stdout.split(",")[-1].strip()) == (0, "no faults")


@pytest.mark.parametrize("text", ["", "{}", '{"format": "dosette-household", "version": 9}'])
def test_a_file_that_is_no_export_is_refused_in_a_sentence(home: Home, tmp_path: Path, text: str):
    file = tmp_path / "file.json"
    file.write_text(text)

    told = _dosette(home.server, "import", str(file))

    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("dosette: ")


def test_verify_names_what_was_altered_and_fails(home: Home, postgres: Postgres):
    dose_id = home.dose()
    with psycopg2.connect(f"{postgres.url.rsplit('/', 1)[0]}/{home.server.name}") as connection:
        connection.cursor().execute("UPDATE dosette.doses SET status = 'skipped' WHERE id = %s", (dose_id,))
    connection.close()

    told = _dosette(home.server, "verify")

    assert told.returncode == 1
    assert f"doses: {dose_id}: it is skipped, and its last event says nothing" in told.stderr


def test_a_name_that_is_not_a_line_is_refused(server: Server):
    assert "one line of 1 to 100 characters" in _dosette(server, "found", "x" * 101, "--zone", "UTC").stderr
