"""The recovery suite against a real stack: what it measures, and that nothing which is lost or does not come back is passed over."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from jsonschema import Draft202012Validator

from dosette_bench import results, targets
from dosette_bench.bench import ONCE, Bench, Unwatched
from dosette_bench.errors import CannotMeasure
from dosette_bench.stack import Stack
from dosette_bench.suites import recovery
from dosette_bench.suites.recovery import PARTS, Limits

HURRIED = Limits(steady_s=0)
LOSE = """
    DELETE FROM dosette.dose_events AS e USING (
        SELECT event.household_id, event.seq FROM dosette.dose_events AS event
          JOIN dosette.households AS h ON h.id = event.household_id AND h.name = 'Dosette bench'
         LIMIT 1) AS one
     WHERE (e.household_id, e.seq) = (one.household_id, one.seq)
    RETURNING e.seq
"""


def test_every_part_is_killed_and_comes_back(running: Stack):
    bench = Bench(running, ONCE, Unwatched())
    before = {each.pid for each in running.processes()}

    recovery.measure(bench, HURRIED)

    rows = _rows(bench)
    told = [f"{name}_{part}" for part in PARTS for name in ("resume_after_kill", "errors_while_down")]
    assert list(rows) == [*told, "takes_lost"]
    assert {name: row.get("reason") for name, row in rows.items() if row.get("reason")} == {}
    assert rows["takes_lost"]["value"] == 0
    assert not rows["takes_lost"]["what"].startswith("0 takes")
    assert not before & {each.pid for each in running.processes() if each.name in PARTS}


def test_a_take_that_was_acknowledged_and_is_not_in_history_is_lost(running: Stack):
    lost: list[int] = []

    def lose_one(what: str) -> None:
        if "postgresql" in what:
            lost.extend(_run(running, LOSE))

    bench = Bench(running, ONCE, Unwatched(lose_one), only="takes_lost")

    recovery.measure(bench, HURRIED)

    assert len(lost) == 1
    assert (_rows(bench)["takes_lost"]["value"], _rows(bench)["takes_lost"]["target_met"]) == (1, False)


def test_a_part_that_does_not_come_back_ends_the_suite_and_says_which(running: Stack):
    bench = Bench(running, ONCE, Unwatched(), only="resume_after_kill_[rw]*")

    with _launcher_stopped(running), pytest.raises(CannotMeasure, match="redis did not come back within 1 s"):
        recovery.measure(bench, Limits(back_s=1, steady_s=0))

    rows = _rows(bench)
    assert rows["resume_after_kill_redis"]["error_reasons"] == {"not back within 1 s": 1}
    assert "redis did not come back" in rows["resume_after_kill_worker"]["reason"]
    assert {row["target_met"] for row in rows.values()} == {"not measured"}


def test_an_answer_of_500_is_an_error_and_503_is_none():
    bench = Bench(Stack("", ""), ONCE, Unwatched())
    rows = recovery.Rows.of(bench, "redis")

    rows.add_errors(Counter({"": 9, "status 500": 2, "status 503": 5, "ConnectionRefusedError": 4}))

    row = _rows(bench)["errors_while_down_redis"]
    assert (row["value"], row["what"]) == (2, "answers that are neither good nor 503: 2 × status 500")


def _rows(bench: Bench) -> dict[str, dict[str, Any]]:
    """As the files hold them; they follow the schema."""
    rows = [results.row(series) for series in bench.collected]
    results.judged({"recovery": rows}, targets.read(), targets.KINDS)
    row = Draft202012Validator({"$ref": "#/$defs/row", "$defs": results.schema()["$defs"]})
    assert [error.message for each in rows for error in row.iter_errors(each)] == []
    return {each["operation"]: each for each in rows}


def _run(running: Stack, query: str) -> list[Any]:
    connection = psycopg2.connect(running.database_url("superuser"))
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        found = cursor.fetchall()
    connection.close()
    return found


@contextmanager
def _launcher_stopped(running: Stack) -> Iterator[None]:
    os.kill(running.launcher, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(running.launcher, signal.SIGCONT)
