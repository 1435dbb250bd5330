"""What the terminal shows at the end: figures that can be told from nothing, and limits as they stand in the file."""

import io
from typing import Any

import pytest
from rich.console import Console

from dosette_bench import results, targets, terminal
from dosette_bench.samples import Series


def _shown(document: dict[str, Any], *series: Series, suite: str = "scheduler") -> str:
    rows = {suite: [results.row(each) for each in series]}
    judgement = results.judged(rows, targets.read(), partly=True)
    said = io.StringIO()
    benchmarks = {suite: results.suite(rows[suite], 1.0)}
    terminal.show(
        {**document, "benchmarks": benchmarks, "judgement": judgement}, Console(file=said, width=terminal.WIDE)
    )
    return said.getvalue()


def _value(operation: str, value: float, unit: str) -> Series:
    made = Series(operation, unit)
    made.add(value)
    return made


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0012, "0.0012"), (0.25, "0.25"), (12.34, "12.3"), (1234.5, "1,234"), (3.0, "3"), (0.0, "0")]
)
def test_a_figure_has_the_digits_that_tell_it_from_nothing(result: dict[str, Any], value: float, shown: str):
    line = next(line for line in _shown(result, _value("cpu_idle", value, "ratio")).splitlines() if "cpu_idle" in line)

    assert line.split()[1] == shown


def test_a_limit_is_shown_as_it_stands_in_the_file(result: dict[str, Any]):
    idle = _shown(result, _value("cpu_idle_worker", 0.0061, "ratio"))
    start = _shown(result, _value("instructions_to_first_answer", 2e9, "count"), suite="api")

    assert "value < 0.005, 0.0061 found" in idle
    assert "value ≤ 1,000,000,000, 2,000,000,000 found" in start


def test_of_an_interrupted_run_nothing_is_judged(result: dict[str, Any]):
    said = _shown({**result, "interrupted": True}, _value("reminders_lost", 1, "count"))

    assert "nothing is judged" in said
    assert "missed critical" not in said
