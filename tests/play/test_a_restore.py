"""A backup and a restore of a household that runs, typed as docs/backup.md says, word by word."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def _blocks() -> list[str]:
    """What the guide's section on `make up` tells people to type: a key; a backup and a restore."""
    section = (ROOT / "docs/backup.md").read_text().split("## With `make up`\n")[1].split("\n## ")[0]
    return re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def _type(block: str, data: Path, folder: Path) -> str:
    """In a shell, in a folder whose .venv is ours."""
    env = {"PATH": os.environ["PATH"], "DOSETTE_DATA": str(data)}
    done = subprocess.run(["bash", "-euc", block], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def restored(running: Any, tmp_path: Path) -> Callable[[Callable[[], object]], str]:
    """Backs the household up, lets something happen, restores; what the restore says."""
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    make_a_key, backup_and_restore = _blocks()
    backup, restore = backup_and_restore.strip().rsplit("\n", 1)

    def play(meanwhile: Callable[[], object]) -> str:
        assert _type(make_a_key, running.data, tmp_path).startswith("age1")
        _type(backup, running.data, tmp_path)
        (file,) = (tmp_path / "backups").glob("dosette-*")
        meanwhile()
        return _type(restore.replace("NAME", file.name), running.data, tmp_path)

    return play


def test_a_dose_taken_after_the_backup_is_unknown_after_the_restore_and_told_again_only_when_released(
    running: Any, due_soon: Any, eventually: Any, restored: Any
):
    dose = due_soon("Ibuprofen")

    told = restored(lambda: eventually(lambda: running.call("POST", f"/doses/{dose['id']}/take")[0] == 200))

    assert "doses unknown" in told
    eventually(lambda: dose["id"] in _ids(running, "/doses?state=unknown"))
    assert dose["id"] not in _ids(running, "/medicines/pending")
    alarm = eventually(
        lambda: [each for each in _reminders(running) if each["kind"] == "restored" and each["tellings"]]
    )[0]
    assert not _reminders_of(running, dose)
    assert running.call("POST", f"/reminders/{alarm['id']}/dismiss")[0] == 200
    again = eventually(lambda: _reminders_of(running, dose))
    assert again[0]["dose"]["status"] == "pending"


def test_a_press_made_after_the_backup_comes_out_of_the_panel_s_journal_once(
    running: Any, due_soon: Any, eventually: Any, restored: Any
):
    running.settle()
    dose = due_soon("Naproxen")
    pressed: list[dict[str, Any]] = []

    restored(lambda: pressed.append(eventually(lambda: running.taken_at_the_panel(dose))))

    eventually(lambda: _is_taken(running, dose))
    again = running.dose(dose)
    assert again["resolved_on"]["name"] == "Kitchen"
    apart = datetime.fromisoformat(again["resolved_at"]) - datetime.fromisoformat(pressed[0]["resolved_at"])
    assert abs(apart) < timedelta(seconds=2)
    events = running.call("GET", f"/history?medicine={dose['medicine']['id']}")[1]["items"]
    assert [event["kind"] for event in events].count("taken") == 1


def _is_taken(running: Any, dose: dict[str, Any]) -> bool:
    """While the server is swapped, nobody answers."""
    status, told = running.call("GET", f"/doses?medicine={dose['medicine']['id']}&state=taken")
    return status == 200 and dose["id"] in [each["id"] for each in told["items"]]


def _ids(running: Any, path: str) -> list[str]:
    status, told = running.call("GET", path)
    return [each["id"] for each in told["items"]] if status == 200 else []


def _reminders_of(running: Any, dose: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in _reminders(running) if each["dose"] and each["dose"]["id"] == dose["id"]]


def _reminders(running: Any) -> list[dict[str, Any]]:
    return list(running.call("GET", "/reminders")[1]["items"])
