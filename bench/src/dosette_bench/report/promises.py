"""Which targets hold: every verdict, those that ask for attention first, and what would have woken somebody."""

from collections.abc import Mapping, Sequence
from typing import Any

from dosette_bench.comparison import rows_of
from dosette_bench.report.blocks import Block, Code, Heading, Paragraph, Table, Text
from dosette_bench.report.outcome import Verdicts
from dosette_bench.report.words import asked, count, found, mark, metric
from dosette_bench.results import Document
from dosette_bench.targets import LEVELS, NOT_MEASURED

HEADINGS = ("promise", "verdict", "operation", "level", "source", "figure", "asked", "found")


def which_targets_hold(document: Document) -> list[Block]:
    """The missed and the open ones are told twice: alone, and among the others of their suite."""
    told = document["judgement"]
    units = {key: row["unit"] for key, row in rows_of(document).items()}
    return [
        Heading("Which targets hold"),
        *_standing_out(told["verdicts"], units),
        *_by_suite(told["verdicts"], units),
        *_alerts(told["alerts"], units),
    ]


def unit_of_row(verdict: Mapping[str, Any], units: Mapping[tuple[str, str], str]) -> str:
    """Empty for a promise that fits no row."""
    return units.get((verdict["suite"], verdict["operation"]), "")


def _standing_out(verdicts: Verdicts, units: Mapping[tuple[str, str], str]) -> list[Block]:
    blocks: list[Block] = []
    for met, caption in ((False, "Missed"), (NOT_MEASURED, "Not measured")):
        some = [each for each in verdicts if each["met"] == met]
        if some:
            by_level = sorted(some, key=lambda each: LEVELS.index(each["level"]))
            blocks.append(
                Table(f"{caption}: {count(len(some), 'promise')}", HEADINGS, _lines(by_level, units), words=6)
            )
    return blocks or [
        Paragraph("None is missed, and none was left unmeasured." if verdicts else "No target was judged.")
    ]


def _by_suite(verdicts: Verdicts, units: Mapping[tuple[str, str], str]) -> list[Block]:
    suites = list(dict.fromkeys(each["suite"] for each in verdicts))
    by_suite = {name: [each for each in verdicts if each["suite"] == name] for name in suites}
    return [
        Table(f"All of {name}: {count(len(some), 'promise')}", HEADINGS, _lines(some, units), words=6, folded=True)
        for name, some in by_suite.items()
    ]


def _lines(verdicts: Verdicts, units: Mapping[tuple[str, str], str]) -> list[list[Text]]:
    return [_line(each, unit_of_row(each, units)) for each in verdicts]


def _line(verdict: Mapping[str, Any], unit: str) -> list[Text]:
    return [
        verdict["id"],
        mark(verdict["met"]),
        (Code(verdict["operation"]),),
        verdict["level"],
        verdict["source"],
        metric(verdict["metric"]),
        asked(verdict, unit),
        found(verdict, unit),
    ]


def _alerts(alerts: Sequence[Mapping[str, Any]], units: Mapping[tuple[str, str], str]) -> list[Block]:
    """Holds: the alert would have been silent."""
    if not alerts:
        return []
    loud = sum(each["met"] is False for each in alerts)
    intro = (
        f"Thresholds at which a household that runs would wake somebody, held against the same figures: {loud:,} of"
        f" {len(alerts):,} would have rung."
    )
    ordered = sorted(alerts, key=lambda each: [False, NOT_MEASURED, True].index(each["met"]))
    return [
        Heading("Alerts", 3),
        Paragraph(intro),
        Table("All alerts", HEADINGS, _lines(ordered, units), words=6, folded=True),
    ]
