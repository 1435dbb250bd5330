"""How often the threads of a process wake, as the kernel tells it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dosette_bench.processes import Process, Wakes

WATCHED_S = 4.0


def test_a_thread_that_sleeps_for_a_second_wakes_once_a_second():
    with _running("while True: time.sleep(1)") as process:
        rates = _watched(process)

    assert len(rates) == 1
    assert 0.8 <= rates[0] <= 1.1


def test_waits_within_one_piece_of_work_are_one_wake():
    with _running("while True: time.sleep(1.5), [time.sleep(0.01) for _ in range(20)]") as process:
        rates = _watched(process)

    assert len(rates) == 1
    assert 0.3 <= rates[0] <= 0.7


def test_a_process_that_sleeps_wakes_never():
    with _running("time.sleep(60)") as process:
        rates = _watched(process)

    assert rates == []


@contextmanager
def _running(code: str) -> Iterator[Process]:
    child = subprocess.Popen([sys.executable, "-c", f"import time; print(flush=True)\n{code}"], stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.2)
        yield Process("sleeper", child.pid)
        child.kill()


def _watched(process: Process) -> list[float]:
    wakes, until = Wakes([process]), time.monotonic() + WATCHED_S
    while time.monotonic() < until:
        time.sleep(0.05)
        wakes.look()
    return wakes.per_second("sleeper")
