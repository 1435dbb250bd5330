"""What was asked, and on what machine."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dosette_bench.report.blocks import Block, Code, Heading, Note, Paragraph, Table, Text
from dosette_bench.report.words import NOTHING, amount, count, exact, listed, memory, moment, number, share, span, times
from dosette_bench.results import Document
from dosette_bench.suites import SUITES

UNKNOWN = "unknown"
FACTS = ("fact", "value")


def what_was_asked(document: Document) -> list[Block]:
    """A line for each suite, and those that nobody asked for."""
    rows = [_question(name, told) for name, told in document["benchmarks"].items()]
    headings = ("suite", "question", "operations", "tries", "took")
    blocks: list[Block] = [Heading("What was asked"), Paragraph(_household(document["settings"]))]
    if rows:
        blocks.append(Table("The questions", headings, rows, words=2))
    if missing := [name for name in SUITES if name not in document["benchmarks"]]:
        blocks.append(Paragraph(f"Not asked: {listed(missing)}. Nothing is said about them here."))
    return blocks


def _question(name: str, told: Mapping[str, Any]) -> list[Text]:
    asks = SUITES[name].asks if name in SUITES else NOTHING
    rows = told["benchmarks"]
    tries = sum(row["iterations"] for row in rows)
    return [(Code(name),), asks, number(len(rows)), number(tries), amount(told["summary"]["took_s"], "s")]


def _household(settings: Mapping[str, Any]) -> str:
    whose = "started for this run" if settings["server"] == "own" else "that ran already, seen from outside"
    size = f"{count(settings['medicines'], 'medicine')} and {count(settings['history_days'], 'day')} of history"
    repeats = f" The whole was measured {count(settings['repeat'], 'time')}." if settings["repeat"] != 1 else ""
    return f"The questions went to a stack {whose}, with {size}.{repeats}"


def machine(document: Document) -> list[Block]:
    """A time without its machine says nothing."""
    return [
        Heading("On what machine"),
        Table("The machine", FACTS, [[name, value] for name, value in _facts(document)], words=2),
        *_box(document["box"]),
    ]


def _box(box: Mapping[str, Any] | None) -> list[Block]:
    """How it was found out how much of this machine is the board."""
    return [Table("The box and its calibration", FACTS, _calibration(box), words=2)] if box else []


def _facts(document: Document) -> list[tuple[str, Text]]:
    told = document["machine"]
    limits = told["limits"]
    return [
        ("processor", f"{told['cpu'] or UNKNOWN}, {count(told['cores'], 'core')}, {told['architecture']}"),
        ("governor", told["governor"] or "none"),
        ("memory", UNKNOWN if told["memory_bytes"] is None else memory(told["memory_bytes"])),
        (
            "limit on processor time",
            "none" if limits["cpu_cores"] is None else f"{number(limits['cpu_cores'])} of a core",
        ),
        ("limit on memory", "none" if limits["memory_bytes"] is None else memory(limits["memory_bytes"])),
        ("load before the run", ", ".join(map(exact, told["load_average"]))),
        ("kernel", told["kernel"]),
        ("versions", ", ".join(f"{name} {of or UNKNOWN}" for name, of in sorted(told["versions"].items()))),
        ("Dosette", document["version"]),
        ("commit", (Code(document["commit"]),) if document["commit"] else "outside a checkout"),
        ("box", document["box"]["name"] if document["box"] else "none: the machine as it is"),
        ("began", moment(document["timestamp"])),
        ("took", _took(document)),
        ("kind of machine", (Code(told["id"]),)),
        ("run", (Code(document["run_id"]),)),
    ]


def _took(document: Document) -> str:
    began, ended = (datetime.fromisoformat(document[name]) for name in ("timestamp", "finished_at"))
    return amount((ended - began).total_seconds(), "s")


def box_warning(box: Mapping[str, Any] | None) -> list[Block]:
    """What stood in for the board."""
    if box is None:
        return []
    limits = f"{number(box['cpu_cores'])} of a core of this machine and {memory(box['memory_bytes'])} of memory"
    warning = (
        f"The stack ran within limits that stand for {box['name']}: {limits}. One core of the board is slower than one of this"
        f" machine by {_slowdown(box)}. No figure here comes from the board itself."
    )
    return [Note("Measured in a box", warning)]


def _slowdown(box: Mapping[str, Any]) -> str:
    told = box["calibration"]
    return f"{times(told['slowdown'])} ({span(told['slowdown_low'], told['slowdown_high'])})"


def _calibration(box: Mapping[str, Any]) -> list[list[Text]]:
    told = box["calibration"]
    unit = told.get("unit", "")
    there = f"{amount(told['there'], unit)} ({span(told['there_low'], told['there_high'])})"
    rows: list[list[Text]] = [
        ["processor time", f"{exact(box['cpu_cores'])} of a core of this machine"],
        ["memory", memory(box["memory_bytes"])],
        ["score", told["score"]],
        ["here, one core, before the suites", amount(told["here"], unit)],
        ["after them", amount(told.get("here_after"), unit)],
        [f"there, one core of {box['name']}", there],
        ["so one core of the board is slower by", _slowdown(box)],
        ["source", told["source"]],
    ]
    return rows + _observed(box.get("observed"))


def _observed(told: Mapping[str, Any] | None) -> list[list[Text]]:
    """What the control group counted."""
    if told is None:
        return []
    return [
        ["processor time used", amount(told["cpu_s"], "s")],
        ["of the time at its limit", share(told["throttled_share"], 1)],
        ["most memory, with files' pages", memory(told["memory_peak_bytes"])],
        ["memory of its own at the end", memory(told["memory_anonymous_bytes"])],
        ["killed for want of memory", count(int(told["out_of_memory_kills"]), "process", "processes")],
    ]
