"""A whole household whose clock a test moves: days pass in a moment, in every process."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dosette.clock import MovableClock


def test_when_days_pass_what_nobody_took_is_missed_and_the_plan_goes_on(tmp_path: Path, start: Any, eventually: Any):
    clock = MovableClock(tmp_path / "clock")
    running = start(tmp_path / "data", {"DOSETTE_CLOCK_FILE": str(tmp_path / "clock")})
    _, plan = running.call("GET", "/doses?limit=200")
    open_now = {dose["id"] for dose in plan["items"] if dose["status"] == "pending"}
    picture = running.picture()

    clock.move(timedelta(days=2))

    eventually(lambda: _all_missed(running, open_now))
    eventually(lambda: running.picture() != picture)
    until = (clock() + timedelta(days=9)).strftime("%Y-%m-%dT%H:%M:%SZ")
    _, ahead = running.call("GET", f"/doses?since={clock().strftime('%Y-%m-%dT%H:%M:%SZ')}&until={until}&limit=200")
    assert datetime.fromisoformat(ahead["items"][-1]["due_at"]) > clock() + timedelta(days=7)


def _all_missed(running: Any, ids: set[str]) -> bool:
    _, history = running.call("GET", "/history?limit=200")
    return ids <= {event["dose"]["id"] for event in history["items"] if event["kind"] == "missed"}
