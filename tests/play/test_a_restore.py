"""A backup and a restore of a household that runs, typed as docs/backup.md says, word by word."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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


def test_a_dose_taken_after_the_backup_is_unknown_after_the_restore_and_told_again_only_when_released(
    running: Any, eventually: Any, tmp_path: Path
):
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    make_a_key, backup_and_restore = _blocks()
    assert _type(make_a_key, running.data, tmp_path).startswith("age1")
    backup, restore = backup_and_restore.rsplit("\n", 2)[0], backup_and_restore.rsplit("\n", 2)[1]
    member = running.call("GET", "/members")[1]["items"][1]["id"]
    wanted = {"member_id": member, "name": "Ibuprofen", "strength": "400 mg", "on_hand": "20"}
    medicine = running.call("POST", "/medicines", wanted)[1]["id"]
    due = datetime.now(UTC) + timedelta(seconds=20)
    schedule = {"zone": "UTC", "critical": True, "steps": [{"time": f"{due:%H:%M:%S}", "amount": "1"}]}
    assert running.call("PUT", f"/medicines/{medicine}/schedule", schedule)[0] == 200

    _type(backup, running.data, tmp_path)
    (file,) = (tmp_path / "backups").glob("dosette-*")
    assert running.call("POST", f"/medicines/{medicine}/take")[0] == 200
    told = _type(restore.replace("NAME", file.name), running.data, tmp_path)

    assert "doses unknown" in told
    (dose,) = eventually(lambda: _unknown(running, medicine))
    assert dose["id"] not in [each["id"] for each in running.call("GET", "/medicines/pending")[1]["items"]]
    alarm = eventually(
        lambda: [each for each in _reminders(running) if each["kind"] == "restored" and each["tellings"]]
    )[0]
    assert not [each for each in _reminders(running) if each["dose"] and each["dose"]["id"] == dose["id"]]
    assert running.call("POST", f"/reminders/{alarm['id']}/dismiss")[0] == 200
    again = eventually(
        lambda: [each for each in _reminders(running) if each["dose"] and each["dose"]["id"] == dose["id"]]
    )
    assert again[0]["dose"]["status"] == "pending"


def _unknown(running: Any, medicine: str) -> list[dict[str, Any]]:
    status, told = running.call("GET", f"/doses?state=unknown&medicine={medicine}")
    return list(told["items"]) if status == 200 else []


def _reminders(running: Any) -> list[dict[str, Any]]:
    return list(running.call("GET", "/reminders")[1]["items"])
