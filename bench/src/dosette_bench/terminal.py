"""What the terminal shows at the end of a run: a table for each suite, and what became of the promises."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dosette_bench.results import Document
from dosette_bench.targets import COMPARES, LEVELS, NOT_MEASURED

MARKS = {True: ("✓ holds", "green"), False: ("✗ missed", "bold red"), NOT_MEASURED: ("? not measured", "yellow")}
WIDE, ROOMY = 160, 110
TARGET = "target"
HEADINGS = ("mean", "p95", "p99", "CPU", "SQL", "tries", "errors", TARGET)
MOST_WANTED = ("mean", "p95", TARGET)
SIGNS = {"below": "<", "at_most": "≤", "above": ">", "at_least": "≥"}


def console(quiet: bool = False) -> Console:
    """Standard output; into a file or a pipe it writes lines as long as they are."""
    made = Console(quiet=quiet)
    return made if made.is_terminal else Console(quiet=quiet, width=WIDE)


def show(document: Document, console: Console) -> None:
    """All of a run, the verdict last."""
    for name, suite in document["benchmarks"].items():
        console.print(_suite(name, suite, console.width))
        if reason := suite.get("reason"):
            console.print(f"  {name} did not come to its end: {reason}", style="yellow", highlight=False)
    if document["interrupted"]:
        said = "It was interrupted: what was done by then is kept, and nothing is judged."
        console.print(said, style="yellow", highlight=False)
    else:
        _say_judgement(document["judgement"], console)


def _say_judgement(judgement: Mapping[str, Any], console: Console) -> None:
    _say_open(judgement["verdicts"], console)
    _say_alerts(judgement["alerts"], console)
    console.print(_levels(judgement["verdicts"]))
    console.print(_verdict(judgement), highlight=False)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Plain cells under headings."""
    made = Table(box=None, padding=(0, 2, 0, 0))
    for heading in headings:
        made.add_column(heading, no_wrap=heading != "verdict")
    for row in rows:
        made.add_row(*map(Text, row))
    return made


def _suite(name: str, suite: Mapping[str, Any], width: int) -> Table:
    """Where a line has no room for every figure, fewer are shown rather than all cut short; the files have them."""
    made = Table(title=f"{name} ({suite['summary']['took_s']} s)", title_justify="left", box=None, padding=(0, 2, 0, 0))
    made.add_column("operation", no_wrap=True)
    wanted = {*MOST_WANTED, *(["errors"] if any(row["errors"] for row in suite["benchmarks"]) else [])}
    headings = HEADINGS if width >= ROOMY else [each for each in HEADINGS if each in wanted]
    for heading in headings:
        made.add_column(heading, justify="left" if heading == TARGET else "right", no_wrap=True)
    for row in suite["benchmarks"]:
        cells = dict(zip(HEADINGS, _cells(row), strict=True))
        made.add_row(row["operation"], *(cells[heading] for heading in headings))
    return made


def _cells(row: Mapping[str, Any]) -> Iterable[str | Text]:
    """As in HEADINGS."""
    if row["unit"] == "ms":
        yield from (_number(row[name], "ms") for name in ("mean_ms", "p95_ms", "p99_ms"))
    else:
        yield from (_number(row["value"], row["unit"]), "", "")
    yield _number(row.get("cpu_ms_per_request", {}).get("total"), "ms")
    yield _number(row.get("sql_messages_per_request"), "")
    yield str(row["iterations"])
    yield str(row["errors"] or "")
    yield _mark(row["target_met"]) if row["targets"] or row["target_met"] == NOT_MEASURED else Text("–", style="dim")


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    size = abs(value)
    digits = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 0.1 else 4
    return f"{value:,.{digits}f}" + (f" {unit}" if unit not in ("", "count", "ratio", "instructions") else "")


def _mark(met: bool | str) -> Text:
    word, style = MARKS[met]
    return Text(word, style=style)


def _say_open(verdicts: Iterable[Mapping[str, Any]], console: Console) -> None:
    for each in verdicts:
        if each["met"] is not True:
            console.print(_mark(each["met"]), f"{each['level']}: {_asked(each)}", highlight=False)


def _say_alerts(alerts: Iterable[Mapping[str, Any]], console: Console) -> None:
    """Those that would wake somebody; a threshold that was not measured wakes nobody."""
    for each in alerts:
        if each["met"] is False:
            console.print(Text("! would alert", style="bold red"), _asked(each), highlight=False)


def _asked(verdict: Mapping[str, Any]) -> str:
    word = next(word for word in COMPARES if word in verdict)
    found = "" if verdict["value"] is None else f", {_number(verdict['value'], '')} found"
    return f"{verdict['suite']} {verdict['operation']}: {verdict['metric']} {SIGNS[word]} {verdict[word]:,}{found}"


def _levels(verdicts: Iterable[Mapping[str, Any]]) -> Table:
    told = list(verdicts)
    made = Table(title="targets", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in ("", "hold", "missed", "not measured"):
        made.add_column(heading, justify="right" if heading else "left")
    for level in LEVELS:
        met = [each["met"] for each in told if each["level"] == level]
        made.add_row(level, *(str(met.count(which)) for which in (True, False, NOT_MEASURED)))
    return made


def _verdict(judgement: Mapping[str, Any]) -> Text:
    gate = judgement["gate"]
    of = "" if len(gate) > 2 else f" about {' and '.join(f'{each}s' for each in gate)}"
    if judgement["holds"]:
        return Text(f"Every critical target{of} holds.", style="green")
    return Text(f"Not every critical target{of} holds.", style="bold red")
