"""Runs a k6 scenario and reads what it found."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from dosette_bench.errors import CannotMeasure
from dosette_bench.server import Server

SCENARIOS = Path(__file__).parents[2] / "k6"
TIMEOUT_S = 300
THRESHOLDS_CROSSED = 99


def run(scenario: str, server: Server) -> dict[str, Any]:
    """k6's own summary of the scenario. Raises CannotMeasure when there is no k6, or it did not run to its end."""
    with tempfile.TemporaryDirectory(prefix="dosette-k6-") as folder:
        summary = Path(folder) / "summary.json"
        environment = os.environ | {
            "BASE_URL": server.url,
            "TOKEN": server.token,
            "SUMMARY": str(summary),
            "K6_NO_USAGE_REPORT": "true",
        }
        command = [_binary(), "run", "--quiet", "--address", "", str(SCENARIOS / f"{scenario}.js")]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if ran.returncode not in (0, THRESHOLDS_CROSSED) or not summary.exists():
            raise CannotMeasure(f"k6 did not finish {scenario}: {_last_line(ran.stderr)}")
        found: dict[str, Any] = json.loads(summary.read_text())
        return found


def _binary() -> str:
    beside = Path(sys.executable).parent / "k6"
    found = str(beside) if beside.exists() else shutil.which("k6")
    if found is None:
        raise CannotMeasure("there is no k6 here: `make test` installs it, or put the official one on PATH")
    return found


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "it said nothing"
