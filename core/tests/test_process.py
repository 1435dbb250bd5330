"""A process that hangs ends itself: engines restart what ends, not what hangs."""

import subprocess
import sys

HANGING = """
import sys, time
from dosette import process
process.goes_on({})
{}
"""


def _ended(hanging: str, within_s: float = 0.3) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", HANGING.format(within_s, hanging)]
    return subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)


def test_a_process_that_sleeps_instead_of_going_on_ends_and_says_where():
    ended = _ended("time.sleep(60)")

    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert 'File "<string>"' in ended.stderr


def test_so_does_one_that_is_busy_in_a_call_that_lets_no_thread_run():
    ended = _ended("sum(range(10**12))")

    assert ended.returncode == 1


def test_one_that_goes_on_lives():
    ended = _ended(
        "for _ in range(15):\n    time.sleep(0.1); process.goes_on(1.0)\nprint('lived', flush=True)\nimport os; os._exit(0)",
        within_s=1.0,
    )

    assert (ended.returncode, ended.stdout) == (0, "lived\n")
