"""Fault points."""

from collections.abc import Iterator

import pytest

from dosette.faults import InjectedFault, arm, fp


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm(None)


def test_an_unarmed_point_does_nothing():
    fp("S1")


def test_a_fault_strikes_at_the_pass_it_names():
    arm("S3:raise:2")

    fp("S3")
    with pytest.raises(InjectedFault, match="S3"):
        fp("S3")
    fp("S3")


@pytest.mark.parametrize("text", ["S99:kill", "S1:explode", "S1", "S1:delay:long"])
def test_a_fault_that_makes_no_sense_is_refused_by_name(text: str):
    with pytest.raises(ValueError, match=text.split(":", maxsplit=1)[0]):
        arm(text)
