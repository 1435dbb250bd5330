"""A probe ends, or is ended: what it can't find out is no measurement, and no reason to lose the others."""

import sys

import pytest

from dosette_bench import probe
from dosette_bench.errors import CannotMeasure


def _python(code: str, within_s: float = 30) -> str:
    return probe.ran([sys.executable, "-c", code], within_s, "it was not counted", {"TOLD": "this"}).stdout


def test_what_a_probe_prints_is_handed_back():
    assert _python("import os; print(os.environ['TOLD'])") == "this\n"


def test_a_probe_that_fails_is_told_with_its_last_words():
    with pytest.raises(CannotMeasure, match=r"^it was not counted: no such dose$"):
        _python("import sys; print('first', file=sys.stderr); sys.exit('no such dose')")


def test_a_probe_that_does_not_end_is_ended_and_told():
    with pytest.raises(CannotMeasure, match=r"^it was not counted: it did not end within 0\.2 s"):
        _python("import time; time.sleep(60)", within_s=0.2)
