"""Runs k6 scenarios, and reads every request of theirs: k6's own summary keeps percentiles only."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from dosette_bench.errors import CannotMeasure
from dosette_bench.stack import Stack

SCENARIOS = Path(__file__).parents[2] / "k6"
THRESHOLDS_CROSSED = 99
LONGEST_S = 900
STOP_S = 10
UNKNOWN = "none"


@dataclass
class Requests:
    """Those of one operation in the order in which they ended: at what second, how long, and what was wrong (None: nothing)."""

    ended_s: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    wrong: list[str | None] = field(default_factory=list)
    dropped: int = 0

    @property
    def lasted_s(self) -> float:
        """From the first request's beginning to the last one's end."""
        return max(self.ended_s) - min(end - ms / 1000 for end, ms in zip(self.ended_s, self.ms, strict=True))


def binary() -> str:
    """Raises CannotMeasure when there is no k6 here."""
    beside = Path(sys.executable).parent / "k6"
    found = str(beside) if beside.exists() else shutil.which("k6")
    if found is None:
        raise CannotMeasure("there is no k6 here: `make bench` installs it, or put the official one on PATH")
    return found


def version() -> str | None:
    try:
        told = subprocess.run([binary(), "version"], capture_output=True, text=True, check=False).stdout.split()
    except CannotMeasure:
        return None
    return told[1].removeprefix("v") if len(told) > 1 else None


def run(scenario: str, stack: Stack, variables: Mapping[str, str]) -> dict[str, Requests]:
    """The requests of a scenario by the operation that they are tagged with.

    Raises CannotMeasure when there is no k6, or it did not run to its end. Thresholds that were crossed are no error here: the
    targets judge what it found.
    """
    with tempfile.TemporaryDirectory(prefix="dosette-k6-") as folder:
        table = Path(folder) / "requests.csv"
        told = {
            "BASE_URL": stack.url,
            "TOKEN": stack.token,
            "SUMMARY": str(Path(folder) / "summary.json"),
            "K6_NO_USAGE_REPORT": "true",
            "K6_CSV_TIME_FORMAT": "unix_micro",
            **({"WRITES": "1"} if stack.writes else {}),
            **variables,
        }
        words = [binary(), "run", "--quiet", "--no-color", "--address", "", "--out", f"csv={table}"]
        with _running([*words, str(SCENARIOS / f"{scenario}.js")], told) as (process, said):
            code = process.wait(LONGEST_S)
        if code not in (0, THRESHOLDS_CROSSED) or not table.exists():
            raise CannotMeasure(f"k6 did not finish {scenario}: {_last_line(said.read_text())}")
        return _read(table)


@contextmanager
def _running(command: list[str], environment: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Ends it when it is left early: a load that goes on would spoil what is measured next."""
    with tempfile.NamedTemporaryFile(prefix="dosette-k6-", suffix=".log") as said:
        process = subprocess.Popen(
            command,
            env=os.environ | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process, Path(said.name)
        except subprocess.TimeoutExpired:
            raise CannotMeasure(f"k6 was still running after {LONGEST_S} s") from None
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait(STOP_S)


def _read(table: Path) -> dict[str, Requests]:
    found: dict[str, Requests] = defaultdict(Requests)
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            tags = dict(parse_qsl(row.get("extra_tags", "")))
            operation = tags.get("operation", UNKNOWN)
            if row["metric_name"] == "dropped_iterations":
                found[operation].dropped += round(float(row["metric_value"]))
            elif row["metric_name"] == "http_req_duration" and operation != UNKNOWN:
                found[operation].ended_s.append(int(row["timestamp"]) / 1e6)
                found[operation].ms.append(float(row["metric_value"]))
                found[operation].wrong.append(_wrong(row))
    return dict(found)


def _wrong(row: Mapping[str, str]) -> str | None:
    if row["expected_response"] == "true":
        return None
    return (
        f"status {row['status']}" if row["status"] not in ("", "0") else row["error"].partition(":")[0] or "no answer"
    )


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
