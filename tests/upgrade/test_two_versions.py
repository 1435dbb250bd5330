"""An upgrade can be undone, and need not stop anything: the previous version works on this version's schema, alone and beside it."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import timedelta
from typing import Any

import pytest

from conftest import Home
from dosette.actions import households
from dosette.testing import NOON
from dosette_local.ports import free_port
from tests.chaos.conftest import parts
from tests.chaos.parts import Parts
from tests.upgrade.conftest import Version

__all__ = ["parts"]

ITS_TESTS = (
    "services/api/tests/test_doses.py",
    "services/api/tests/test_reminders_page.py",
    "core/tests/actions/test_reminders.py",
)


@pytest.mark.timeout(600)  # it is many tests in one
def test_the_previous_version_passes_its_own_tests_on_this_version_s_schema(previous: Version):
    command = [sys.executable, "-m", "pytest", *ITS_TESTS, "-n", "0", "-q", "--no-header", "-p", "no:randomly"]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": previous.python_path}

    done = subprocess.run(command, cwd=previous.tree, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"{previous.name}: {done.stdout[-4000:]}"


def test_it_is_really_the_previous_version_s_code_that_runs(previous: Version):
    asked = [
        sys.executable,
        "-c",
        "import dosette, dosette_api, dosette_scheduler; print(dosette.__file__, dosette_api.__file__)",
    ]

    said = subprocess.run(
        asked, env={"PYTHONPATH": previous.python_path}, capture_output=True, text=True, check=True
    ).stdout

    assert said.count(str(previous.tree)) == 2


def test_both_versions_serve_one_household_at_the_same_time(home: Home, parts: Parts, previous: Version):
    old = {"PYTHONPATH": previous.python_path}
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    first, second = home.dose(NOON + timedelta(minutes=10)), home.dose(NOON + timedelta(minutes=40))
    old_port, told = free_port(), "SELECT count(*) FROM reminders WHERE tellings > 0 AND dose_id IS NOT NULL"
    old_leader = parts.start("scheduler", **old)
    parts.eventually(lambda: parts.count("SELECT term FROM scheduler_lease"), 60)
    parts.start("scheduler")
    parts.start("worker", **old)
    parts.start("worker")
    parts.start("api", **old, DOSETTE_BIND=f"127.0.0.1:{old_port}")
    parts.start("api")

    parts.clock.move(timedelta(minutes=11))
    parts.eventually(lambda: parts.count(told) == 1 and parts.told(), 60)
    parts.started.remove(old_leader)
    old_leader.end()
    parts.clock.move(timedelta(minutes=30))
    parts.eventually(lambda: parts.count(told) == 2 and parts.told(), 60)

    def ask(port: int, path: str, key: str | None = None) -> tuple[int, Any]:
        return _ask(port, home.token, path, key)

    parts.eventually(lambda: _answers(old_port) and _answers(parts.port), 60)
    assert ask(old_port, f"/doses/{first}/take", "a")[0] == 200
    assert ask(parts.port, f"/doses/{first}/take", "b")[0] == 409
    assert ask(parts.port, f"/doses/{first}/take", "a")[1]["status"] == "taken"  # the old one's stored reply
    assert ask(parts.port, f"/doses/{second}/take", "c")[0] == 200
    assert ask(old_port, f"/doses/{second}/take", "c")[1]["status"] == "taken"
    assert len(ask(old_port, "/history")[1]["items"]) == len(ask(parts.port, "/history")[1]["items"]) == 2
    for environment in (old, {"PYTHONPATH": ":".join(sys.path)}):
        verify = [sys.executable, "-m", "dosette_api.cli", "verify"]
        subprocess.run(
            verify, env=environment | {"DATABASE_URL": home.server.url("api")}, check=True, capture_output=True
        )


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _ask(port: int, token: str, path: str, key: str | None) -> tuple[int, Any]:
    """A POST under a key, or a GET."""
    headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1{path}", headers=headers, method="POST" if key else "GET"
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
