"""A scheduler that is killed, frozen, broken or slow at each of its steps: the plan is whole, and what is due is told."""

from datetime import timedelta

import pytest

from dosette.actions import households
from dosette.actions.reminders import DECIDING_LEASE
from dosette.domain.schedules import HORIZON
from dosette.testing import NOON, a_step
from tests.chaos.invariants import seen_twice, violations
from tests.chaos.parts import KINDS, Parts

LATER = timedelta(days=2)
"""Then the plan does not reach far enough any more."""
DUE = NOON + LATER + timedelta(seconds=1)
PLANNED = HORIZON - timedelta(days=1)
PLANNING = [(point, 1) for point in ("S1", "S2", "S3")]
TELLING = [("S2", 2), ("S3", 2), ("S4", 1)]
"""The plan is extended in one pass; then a dose falls due, and the same steps are passed again."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("point", "number"), PLANNING + TELLING)
def test_what_is_planned_and_due_is_there_and_told_though_the_scheduler_is_struck(
    parts: Parts, point: str, number: int, kind: str
):
    home = parts.home
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    home.rule(home.medicine(), (a_step(f"{DUE:%T}", starts_on=DUE.date()),))
    parts.clock.move(LATER)

    struck = parts.start("scheduler", f"{point}:{kind}" if ":" in kind else f"{point}:{kind}:{number}")
    parts.strike(struck, kind)
    parts.clock.move(DECIDING_LEASE)
    parts.start("worker")
    parts.eventually(parts.told)
    # One whose planning broke has told all the same; the next one plans.
    parts.eventually(lambda: "I1" not in violations(parts.history(NOON, ahead=PLANNED)))

    history = parts.history(NOON, ahead=PLANNED)
    assert violations(history) == {}
    assert len(history.planned) == HORIZON.days
    assert seen_twice(history) == 0
