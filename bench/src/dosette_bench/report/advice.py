"""What to try next, by rules from the figures only: each rule says what stands out, and where to look."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from dosette_bench.comparison import rows_of
from dosette_bench.report.blocks import Code, Strong, Text
from dosette_bench.report.costs import CLOSE, cpu_by_process, crowded
from dosette_bench.report.outcome import is_measured
from dosette_bench.report.past import grew_worse, over
from dosette_bench.report.words import (
    amount,
    asked,
    count,
    figure,
    limit_of,
    limited,
    memory,
    number,
    share,
    times,
)
from dosette_bench.results import Document, Row
from dosette_bench.targets import LEVELS, NOT_MEASURED

MOST = 5
LONG_TAIL = 5
Rows = Mapping[tuple[str, str], Row]


def advice(
    document: Document, lines: Sequence[Mapping[str, Any]] = (), comparison: Mapping[str, Any] | None = None
) -> list[Text]:
    """Sentences; empty when nothing asks for work. `lines` are those of a trend."""
    rows = rows_of(document)
    return [
        *_failing(rows),
        *_missed(document, rows),
        *_queues(rows),
        *_busiest(document, rows),
        *_fattest(rows),
        *_growth(rows),
        *_chatter(rows),
        *_dropped(rows),
        *_tails(rows),
        *_unsure(document, rows),
        *_worse(comparison),
        *_drifting(lines),
        *_unmeasured(document, rows),
    ]


def _failing(rows: Rows) -> Iterable[Text]:
    failing = sorted(
        (row for row in rows.values() if row["errors"]), key=lambda row: -row["errors"] / max(1, row["iterations"])
    )
    for row in failing[:MOST]:
        reasons = ", ".join(f"{reason} ({how_often:,})" for reason, how_often in row.get("error_reasons", {}).items())
        told = f" failed in {row['errors']:,} of {row['iterations']:,} tries"
        yield Strong("Make it answer: "), Code(row["operation"]), f"{told}: {reasons or 'no reason was kept'}."


def _missed(document: Document, rows: Rows) -> Iterable[Text]:
    """Of one operation only what is missed by the most: its other figures follow."""
    worst: dict[tuple[str, str], Mapping[str, Any]] = {}
    for each in sorted(missed(document), key=lambda each: (LEVELS.index(each["level"]), -over(each))):
        if each["metric"] not in ("errors", "success_rate"):
            worst.setdefault((each["suite"], each["operation"]), each)
    for key, each in list(worst.items())[:MOST]:
        unit = rows[key]["unit"] if key in rows else ""
        by = (
            f", {times(over(each))} its limit"
            if isfinite(over(each)) and limit_of(each)[0] in ("below", "at_most")
            else ""
        )
        told = f" of {each['suite']}: {figure(each, unit)}, asked {asked(each, unit)}{by} ({each['level']})."
        yield Strong("Bring it under its limit: " if by else "Bring it to its limit: "), Code(each["operation"]), told


def missed(document: Document) -> list[Mapping[str, Any]]:
    return [each for each in document["judgement"]["verdicts"] if each["met"] is False]


def _queues(rows: Rows) -> Iterable[Text]:
    """A closed loop that waits in its own queue: its wait can't be shortened, only its throughput raised."""
    for row in rows.values():
        late = any(each["metric"].endswith("_ms") and each["met"] is False for each in row["targets"])
        if late and crowded(row) and abs(row["mean_ms"] / row["bound_ms"] - 1) <= CLOSE:
            told = (
                f" waits {amount(row['mean_ms'], 'ms')}, and {count(row['load']['users'], 'user')} at"
                f" {number(row['throughput_rps'])} answers a second must wait {amount(row['bound_ms'], 'ms')}: less CPU time for each"
                " request, or more processes where cores are free, is all that helps."
            )
            yield Strong("Raise the throughput: "), Code(row["operation"]), told


def _busiest(document: Document, rows: Rows) -> Iterable[Text]:
    """Where to look, once a time or a ratio is missed."""
    suites = dict.fromkeys(each["suite"] for each in missed(document) if each["kind"] in ("time", "ratio"))
    for suite in suites:
        used = cpu_by_process([row for key, row in rows.items() if key[0] == suite])
        whole = sum(used.values())
        if whole:
            part = next(iter(used))
            told = f" takes {share(used[part], whole)} of the CPU time of {suite}; what is saved there counts the most."
            yield Strong("Look at the busiest process: "), Code(part), told


def _fattest(rows: Rows) -> Iterable[Text]:
    for row in rows.values():
        if row["target_met"] is False and row.get("processes"):
            sizes = {part: told["pss_mb"] for part, told in row["processes"].items()}
            part, whole = max(sizes, key=lambda name: sizes[name]), sum(sizes.values())
            told = f" holds {amount(sizes[part], 'MB')} of {amount(whole, 'MB')} in "
            yield Strong("Look at the largest process: "), Code(part), told, Code(row["operation"]), "."


def _growth(rows: Rows) -> Iterable[Text]:
    """Sites are told where growth is beyond its limit, or has none."""
    for row in rows.values():
        grows = row.get("sites") and (row["value"] or 0) > 0
        if grows and (row["target_met"] is False or not row["targets"]):
            for site in row["sites"][:MOST]:
                told = f" kept {memory(site['bytes'])} in {count(site['objects'], 'object')}, made at "
                yield Strong("Find out why it grows: "), Code(site["process"]), told, Code(site["where"]), "."


def _chatter(rows: Rows) -> Iterable[Text]:
    for row in rows.values():
        if (messages := row.get("sql_messages_per_request") or 0) > 1:
            told = (
                f" sends PostgreSQL {number(messages)} messages a request; one is enough for what one transaction does."
            )
            yield Strong("Ask once: "), Code(row["operation"]), told


def _dropped(rows: Rows) -> Iterable[Text]:
    for row in rows.values():
        if row.get("dropped_iterations"):
            told = f": {row['dropped_iterations']:,} requests could not even begin in time."
            yield Strong("Find what holds up the others: "), Code(row["operation"]), told


def _tails(rows: Rows) -> Iterable[Text]:
    long = {
        row["operation"]: row["p99_ms"] / row["median_ms"]
        for row in rows.values()
        if row.get("p99_ms") and row.get("median_ms") and row["p99_ms"] >= LONG_TAIL * row["median_ms"]
    }
    for operation, ratio in sorted(long.items(), key=lambda each: -each[1])[:MOST]:
        told = f" has a p99 of {times(ratio)} its median: look for a lock, a collection of garbage, a checkpoint or a neighbour."
        yield Strong("Shorten the tail: "), Code(operation), told


def _unsure(document: Document, rows: Rows) -> Iterable[Text]:
    """Where the limit lies within the interval of the mean, the verdict is a coin's."""
    for each in document["judgement"]["verdicts"]:
        row = rows.get((each["suite"], each["operation"]))
        if each["metric"] == "mean_ms" and row and is_measured(row):
            limit = limit_of(each)[1]
            if row["ci95_low_ms"] < limit < row["ci95_high_ms"]:
                told = f": its limit of {limited(limit, 'ms')} lies within the interval of its mean."
                yield Strong("Measure more rounds: "), Code(each["operation"]), told


def _worse(comparison: Mapping[str, Any] | None) -> Iterable[Text]:
    rows = [row for row in (comparison or {}).get("rows", ()) if row.get("worse", row["verdict"] == "slower")]
    for row in sorted(rows, key=lambda row: -(row["ratio"] or 0))[:MOST]:
        told = f" is {row['verdict']} than in the base" + (f": {times(row['ratio'])}." if row["ratio"] else ".")
        yield Strong("See what changed: "), Code(row["operation"]), told


def _drifting(lines: Sequence[Mapping[str, Any]]) -> Iterable[Text]:
    for line in [each for each in lines if grew_worse(each)][:MOST]:
        first, last = (amount(line[name], line["unit"]) for name in ("first", "last"))
        told = f" of {line['suite']} is {line['verdict']}: {first} at first, {last} now, over {count(line['results'], 'result')}."
        yield Strong("Find when it began: "), Code(line["operation"]), told


def _unmeasured(document: Document, rows: Rows) -> Iterable[Text]:
    """By their reason, as one thing is often in the way of many."""
    by_reason: dict[str, list[str]] = {}
    for row in rows.values():
        if not is_measured(row):
            by_reason.setdefault(row.get("reason", "no reason is known"), []).append(row["operation"])
    for suite, told in document["benchmarks"].items():
        if "reason" in told:
            by_reason.setdefault(told["reason"], []).append(suite)
    for reason, names in by_reason.items():
        yield Strong("Measure what was not measured: "), f"{', '.join(names)}: {reason}."
    absent = [each for each in document["judgement"]["verdicts"] if each["met"] == NOT_MEASURED]
    homeless = [each["id"] for each in absent if (each["suite"], each["operation"]) not in rows]
    if homeless:
        yield Strong("Measure what was promised: "), f"no row fits {', '.join(homeless)}."
