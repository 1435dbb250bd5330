"""Lock files hold hashes and no addresses."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

ON_A_PI_ONLY = {"lgpio"}  # in the display agent's image; nothing else runs on it


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_with_hashes(lock: Path):
    text = re.sub(r"\\\n\s*", " ", lock.read_text())
    pins = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]

    assert len(pins) > 5
    assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_file_names_no_address(lock: Path):
    assert not re.search(r"://|--(extra-)?index-url|--find-links", lock.read_text())


def test_what_runs_is_the_same_everywhere():
    pins = {
        lock.name: dict(re.findall(r"^([a-z0-9._-]+)==([^ \\;]+)", lock.read_text(), re.MULTILINE)) for lock in LOCKS
    }

    for name in ("api.txt", "scheduler.txt", "display.txt", "local.txt"):
        assert {
            package: version for package, version in pins[name].items() if pins["dev.txt"].get(package) != version
        }.keys() <= (ON_A_PI_ONLY)
