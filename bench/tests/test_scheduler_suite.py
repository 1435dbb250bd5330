"""The scheduler suite against a real stack: what it measures, what it counts as lost, and that it leaves nothing behind."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from jsonschema import Draft202012Validator

from dosette_bench import results, targets
from dosette_bench.bench import ONCE, Bench, Unwatched
from dosette_bench.stack import Stack
from dosette_bench.suites import scheduler
from dosette_bench.suites.scheduler import GREAT, HERD, IDLE, KEPT, ONE, WAITING, Limits
from dosette_bench.village import Village

EVERY_ROW = {*IDLE, *ONE, *HERD, *GREAT, *WAITING, *KEPT}
HURRIED = Limits(hasty_s=0)
FALL_DUE = Village.fall_due


def test_every_row_is_measured(running: Stack):
    bench = Bench(running, ONCE, Unwatched())

    scheduler.measure(bench, HURRIED)

    rows = _rows(bench)
    assert rows.keys() == EVERY_ROW
    assert {name: row.get("reason") for name, row in rows.items() if row.get("reason")} == {}
    assert rows["due_to_delivered_idle"]["iterations"] == 3
    assert rows["due_to_delivered_500"]["iterations"] == ONCE.herd
    assert (rows["reminders_lost"]["value"], rows["reminders_doubled"]["value"]) == (0, 0)
    assert rows["rings_per_message"]["value"] == 1
    assert (
        "20 were told in 4 messages" in rows["reminders_per_second"]["what"]
    )  # each of two people in each of two homes, once


def test_the_household_is_afterwards_as_it_was_before(running: Stack):
    lived_there = _households(running)

    scheduler.measure(Bench(running, ONCE, Unwatched(), only="reminders*"))

    assert _households(running) == lived_there
    assert _rows_of_strangers(running, lived_there) == {}
    assert list((running.data / "deliveries").glob("dosette-bench-*")) == []


def test_only_what_is_asked_for_is_a_row(running: Stack):
    bench = Bench(running, ONCE, Unwatched(), only="last_of")

    scheduler.measure(bench)

    assert _rows(bench).keys() == {"last_of_500_delivered"}


def test_a_herd_that_was_told_before_anybody_could_look_has_cost_its_cpu_time(running: Stack, monkeypatch):
    def fall_due(village: Village, *when: Any) -> float:
        due_at = FALL_DUE(village, *when)
        time.sleep(0.5)
        return due_at

    monkeypatch.setattr(Village, "fall_due", fall_due)
    bench = Bench(running, ONCE, Unwatched(), only="cpu_per_reminder")

    scheduler.measure(bench)

    used = _rows(bench)["cpu_per_reminder"]["cpu_ms_per_request"]
    assert min(used["scheduler"], used["worker"]) > 0


def test_what_nobody_was_told_is_lost_and_no_fast_success(running: Stack):
    bench = Bench(running, ONCE, Unwatched())

    with _stopped(running, "worker"):
        scheduler.measure(bench, Limits(told_s=0.5, great_s=0.5, hasty_s=0))

    rows = _rows(bench)
    assert rows["due_to_delivered_idle"]["error_reasons"] == {"not told within 0.5 s": 3}
    assert rows["due_to_delivered_500"]["errors"] == ONCE.herd
    assert rows["last_of_500_delivered"]["reason"] == "5 of 5 were not told within 0.5 s"
    assert rows["reminders_per_second"]["reason"] == "none was told within 0.5 s"
    assert rows["reminders_lost"]["value"] == 3 + ONCE.herd
    assert {rows[name]["target_met"] for name in ("due_to_delivered_idle", "last_of_500_delivered")} == {"not measured"}
    assert rows["reminders_lost"]["target_met"] is False


def test_the_same_message_again_is_counted(running: Stack):
    def tell_again(what: str) -> None:
        line = json.dumps({"items": [{"reminder_id": "the same"}]}) + "\n"
        (running.data / "deliveries" / "dosette-bench-again").write_text(line * 3)

    bench = Bench(running, ONCE, Unwatched(tell_again), only="reminders_doubled")

    scheduler.measure(bench)

    assert _rows(bench)["reminders_doubled"]["value"] == 2


def test_a_stack_that_went_away_is_the_reason_of_every_row(running: Stack):
    bench = Bench(Stack(running.url, running.token), ONCE, Unwatched())

    scheduler.measure(bench)

    rows = _rows(bench)
    assert rows.keys() == EVERY_ROW
    assert {row["target_met"] for row in rows.values()} == {"not measured"}
    assert "can't be seen from inside" in rows["reminders_lost"]["reason"]


def _rows(bench: Bench) -> dict[str, dict[str, Any]]:
    """As the files hold them; they follow the schema."""
    rows = [results.row(series) for series in bench.collected]
    results.judged({"scheduler": rows}, targets.read(), targets.KINDS)
    row = Draft202012Validator({"$ref": "#/$defs/row", "$defs": results.schema()["$defs"]})
    assert [error.message for each in rows for error in row.iter_errors(each)] == []
    return {each["operation"]: each for each in rows}


def _households(running: Stack) -> list[str]:
    return [home for (home,) in _asked(running, "SELECT id FROM dosette.households ORDER BY id")]


def _rows_of_strangers(running: Stack, lived_there: list[str]) -> dict[str, int]:
    """By table, the rows that belong to nobody who lived there: whoever does may be told something meanwhile."""
    columns = "SELECT table_name FROM information_schema.columns WHERE table_schema = 'dosette' AND column_name = 'household_id'"
    found = {}
    for (table,) in _asked(running, columns):
        strange = f"SELECT count(*) FROM dosette.{table} WHERE household_id <> ALL (%s::uuid[])"  # noqa: S608 (PostgreSQL's own names)
        found[table] = _asked(running, strange, lived_there)[0][0]
    assert len(found) > 10
    return {table: count for table, count in found.items() if count}


def _asked(running: Stack, query: str, *values: object) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(running.database_url("superuser"))
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


@contextmanager
def _stopped(running: Stack, part: str) -> Iterator[None]:
    pids = [each.pid for each in running.processes() if each.name == part]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
