"""The command `dosette-bench`."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from dosette_bench import baseline, box, comparison, publish, results, seeding, side_by_side, targets, terminal, trend
from dosette_bench.bench import FULL, ONCE, QUICK
from dosette_bench.comparison import Comparison
from dosette_bench.errors import CannotMeasure, NotWritten, meant
from dosette_bench.report import write_report
from dosette_bench.run import Plan, run, says_something
from dosette_bench.stack import Stack
from dosette_bench.suites import SUITES

OUT = Path(".benchmarks")
PROMETHEUS = "http://127.0.0.1:9090/api/v1/write"
AB_ROUNDS = 30
GATES = {"all": targets.KINDS, "counts": ("count", "ratio")}
HOLDS, MISSED, CANNOT, INTERRUPTED = 0, 1, 2, 130


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Exit code 0: every critical target holds; 1: one does not; 2: it could not be measured; 130: it was interrupted."""
    for ending in (signal.SIGTERM, signal.SIGHUP):  # what was measured is kept then, too
        if signal.getsignal(ending) != signal.SIG_IGN:  # nohup
            signal.signal(ending, signal.default_int_handler)
    said = list(sys.argv[1:] if words is None else words)
    command = COMMANDS.get(said[0]) if said else None
    try:
        asked = (_parser_of(said[0]) if command else _parser()).parse_args(said[1:] if command else said)
        sys.exit((command or measure)(asked))
    except CannotMeasure as error:
        print(f"dosette-bench: {error}", file=sys.stderr)
        sys.exit(CANNOT)
    except KeyboardInterrupt:
        print("dosette-bench: it was interrupted, and wrote nothing", file=sys.stderr)
        sys.exit(INTERRUPTED)


def measure(asked: argparse.Namespace) -> int:
    """Measures the suites that are named."""
    console = terminal.console(quiet=asked.quiet)
    try:
        document = run(_plan(asked), console)
    except NotWritten as error:
        if error.document:
            terminal.show(error.document, console)
        raise
    if not says_something(document):
        console.print(
            f"It was interrupted before anything was measured; what is in {asked.out} stays.", highlight=False
        )
        return INTERRUPTED
    terminal.show(document, console)
    console.print(f"Written to {asked.out}/{results.COMPLETE}", highlight=False)
    return INTERRUPTED if document["interrupted"] else HOLDS if document["judgement"]["holds"] else MISSED


def compare(asked: argparse.Namespace) -> int:
    """Two results, row by row; exit code 1 when something became slower."""
    return _compared(comparison.compare(_result(asked.base, asked.out), _result(asked.new, asked.out), asked.anyway))


def ab(asked: argparse.Namespace) -> int:
    """This checkout and another, measured in turns, so that the machine's moods hit both."""
    sizes = QUICK if asked.quick else replace(FULL, rounds=AB_ROUNDS)
    base, new = side_by_side.run(asked.other, asked.out, sizes, asked.only, terminal.console())
    found = _compared(comparison.compare(base, new))
    return INTERRUPTED if new["interrupted"] else found


def _compared(found: Comparison) -> int:
    console = terminal.console()
    console.print(f"base: {found.base}\nnew:  {found.new}", highlight=False)
    console.print(terminal.table(comparison.HEADINGS, comparison.table(found)))
    console.print(found.note, style="dim", highlight=False)
    return MISSED if comparison.slower(found) else HOLDS


def show_trend(asked: argparse.Namespace) -> int:
    """How each figure went over the runs that are kept."""
    kept, console = trend.collect(asked.out), terminal.console()
    found = trend.trend(kept.documents, asked.suite, asked.only, kept.skipped)
    console.print(terminal.table(trend.HEADINGS, trend.table(found)))
    for line in found.left_out:
        console.print(f"left out: {line}", style="dim", highlight=False)
    return HOLDS


def keep(asked: argparse.Namespace) -> int:
    """Keeps the last run under a name, to compare with later."""
    if asked.action == "list":
        print("\n".join(baseline.names(asked.out)) or "none is kept: dosette-bench baseline save")
        return HOLDS
    before = baseline.replaces(asked.out, asked.name)
    print(
        f"wrote {baseline.save(results.read(asked.out), asked.out, asked.name)}"
        + (f" in place of {before}" if before else "")
    )
    return HOLDS


def send(asked: argparse.Namespace) -> int:
    """Sends every result that is kept to Prometheus, for Grafana's dashboard of the trend."""
    kept = trend.collect(asked.out)
    if not kept.documents:
        raise CannotMeasure(f"no result is kept in {asked.out}/history: run dosette-bench first")
    figures = publish.publish(kept.documents, asked.to)
    print(f"sent {figures} figures of {len(kept.documents)} results to {asked.to}")
    for line in kept.skipped:
        print(f"left out: {line}")
    return HOLDS


def report(asked: argparse.Namespace) -> int:
    """Tells the last run for people: Markdown, and a page with charts."""
    last = results.read(asked.result or asked.out)
    before = [each for each in trend.collect(asked.out).documents if each["run_id"] != last["run_id"]]
    told = None
    if asked.base:
        told = comparison.told(comparison.compare(_result(asked.base, asked.out), last, asked.anyway))
    write_report([*before, last], asked.markdown, asked.page, told)
    print(f"wrote {asked.markdown} and {asked.page}")
    return HOLDS


def _plan(asked: argparse.Namespace) -> Plan:
    if unknown := [name for name in asked.suites if name not in (*SUITES, "all")]:
        raise CannotMeasure(
            f"there is no suite {unknown[0]}{meant(unknown[0], (*SUITES, *COMMANDS))}; there are {', '.join(SUITES)}, and all"
        )
    given = _given(asked)
    if given and asked.box:
        raise CannotMeasure("--url and --box exclude each other: a box holds a stack of our own")
    if asked.box:
        box.refuse_unknown(asked.box)
    usual = [name for name, suite in SUITES.items() if not (given and suite.inside)]
    return Plan(
        suites=[name for name in SUITES if name in asked.suites] if {*asked.suites} - {"all"} else usual,
        out=asked.out,
        promised=targets.read(asked.targets),
        gate=GATES[asked.gate],
        sizes=ONCE if asked.once else QUICK if asked.quick else FULL,
        repeat=asked.repeat,
        only=asked.only,
        given=given,
        box=asked.box,
        history_days=asked.history,
    )


def _given(asked: argparse.Namespace) -> Stack | None:
    token = asked.token or os.environ.get("DOSETTE_TOKEN")
    if asked.url is None:
        if asked.write or asked.token:
            raise CannotMeasure("--write and --token belong to a server that was given: say --url, too")
        return None
    if not re.fullmatch(r"https?://[^\s/:?#]+(:\d{1,5})?(/[^\s?#]*)?", asked.url):
        raise CannotMeasure(f"{asked.url} is no address of the form http://HOST:PORT; say --url http://127.0.0.1:8080")
    if not token:
        raise CannotMeasure(
            "--url needs --token, or DOSETTE_TOKEN: make one with dosette token create --name bench --scope read"
        )
    if not re.fullmatch(r"[!-~]+", token):
        raise CannotMeasure("the token has characters that none has: take it as `dosette token create` printed it")
    return Stack(asked.url.rstrip("/"), token, writes=asked.write)


def _result(text: str, out: Path) -> results.Document:
    """A file, a folder of results, or the name of a baseline."""
    path = Path(text)
    names_a_file = path.exists() or path.suffix or path.name != text
    return results.read(path) if names_a_file else baseline.load(out, text)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise CannotMeasure(f"{message}; `{self.prog} --help` tells what there is")


def _parser() -> argparse.ArgumentParser:
    suites = "\n".join(f"  {suite.name:12}{suite.asks}" for suite in SUITES.values())
    others = "\n".join(f"  {name:12}{(do.__doc__ or '').partition(chr(10))[0]}" for name, do in COMMANDS.items())
    parser = _Parser(
        prog="dosette-bench",
        description="Measures Dosette against its promises. Without a suite, all of them.",
        epilog=f"suites:\n{suites}\n\nother commands (each with --help):\n{others}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("suites", nargs="*", metavar="SUITE", help="what is measured; see below")
    add("--quick", action="store_true", help="fewer tries: two or three minutes, for a first look and for CI")
    add("--once", action="store_true", help="everything a single time: to see that all of it works here, not how fast")
    add("--only", metavar="PATTERN", help="operations whose name contains it, or fits it as a pattern")
    add("--repeat", type=_whole, default=1, metavar="N", help="the whole N times, each on a new stack")
    add("--history", type=_days, default=seeding.DAYS, metavar="90d", help="days behind the household: 90d, 10y (90d)")
    add("--url", help="a server that runs already, asked to read only; without it one is started")
    add("--token", help="of that server; or DOSETTE_TOKEN in the environment")
    add("--write", action="store_true", help="that server's household may be written to")
    add("--box", metavar="NAME", help="the stack in limits that stand for a smaller machine: pi-zero-2w")
    add(
        "--gate",
        choices=GATES,
        default="all",
        help="which critical targets decide the exit code; counts: no times (all)",
    )
    add("--targets", type=Path, metavar="FILE", help="promises other than Dosette's own")
    add("--quiet", action="store_true", help="only the exit code and the files")
    _add_out(parser)
    return parser


def _parser_of(command: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"dosette-bench {command}", description=COMMANDS[command].__doc__)
    _add_out(parser)
    ARGUMENTS[command](parser)
    return parser


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help=f"where results are ({OUT})")


def _of_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", help="a results file or folder, or a baseline's name")
    parser.add_argument("new", nargs="?", default=str(OUT), help=f"the same ({OUT})")
    parser.add_argument("--anyway", action="store_true", help="even when they come from different machines")


def _of_ab(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("other", type=Path, help="another checkout, where `make up` ran once: the base")
    parser.add_argument("--quick", action="store_true", help="fewer tries")
    parser.add_argument("--only", metavar="PATTERN", help="operations whose name contains it")


def _of_trend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--suite", choices=SUITES)
    parser.add_argument("--only", metavar="PATTERN", help="operations whose name contains it")


def _of_baseline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("save", "list"))
    parser.add_argument("name", nargs="?", default="baseline")


def _of_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", nargs="?", type=Path, help="a results file or folder; without it the last run")
    parser.add_argument("--base", help="compare with it: a results file or folder, or a baseline's name")
    parser.add_argument("--anyway", action="store_true", help="compare even different machines")
    parser.add_argument("--markdown", type=Path, default=Path("docs/PERFORMANCE_REPORT.md"), metavar="FILE")
    parser.add_argument("--page", type=Path, default=OUT / "report.html", metavar="FILE")


def _of_publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", default=PROMETHEUS, metavar="URL", help=f"where it takes what is written ({PROMETHEUS})"
    )


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "compare": compare,
    "ab": ab,
    "trend": show_trend,
    "baseline": keep,
    "report": report,
    "publish": send,
}
ARGUMENTS: Mapping[str, Callable[[argparse.ArgumentParser], Any]] = {
    "compare": _of_compare,
    "ab": _of_ab,
    "trend": _of_trend,
    "baseline": _of_baseline,
    "report": _of_report,
    "publish": _of_publish,
}


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


def _days(text: str) -> int:
    found = re.fullmatch(r"(\d{1,4})([dy])", text)
    days = int(found[1]) * (365 if found[2] == "y" else 1) if found else 0
    if not 1 <= days <= 36_500:
        raise argparse.ArgumentTypeError(f"{text} is no span: say 90d or 10y")
    return days


if __name__ == "__main__":
    main()
