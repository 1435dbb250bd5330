"""The command `dosette-bench`."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from dosette_bench import k6, results
from dosette_bench.closed_loop import ClosedLoop
from dosette_bench.errors import CannotMeasure
from dosette_bench.server import Server, household_of_its_own


def main(words: Sequence[str] | None = None) -> None:
    """Exit code 0: every critical target holds; 1: one does not; 2: it could not be measured."""
    asked = _parser().parse_args(words)
    try:
        holds = _smoke(asked)
    except CannotMeasure as error:
        print(f"dosette-bench: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if holds else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dosette-bench", description="Measures Dosette against its promises.")
    suites = parser.add_subparsers(dest="suite", required=True, metavar="SUITE")
    smoke = suites.add_parser("smoke", help="five reads, then k6 for a few seconds")
    smoke.add_argument("--url", help="a server that runs already; without it one is started for the measurement")
    smoke.add_argument("--token", help="of that server")
    smoke.add_argument("--tries", type=_whole, default=50, metavar="N", help="times that each read is asked (50)")
    smoke.add_argument(
        "--out", type=Path, default=Path(".benchmarks"), metavar="FOLDER", help="where results go (.benchmarks)"
    )
    return parser


def _smoke(asked: argparse.Namespace) -> bool:
    with _server(asked) as server:
        server.check()
        api = results.of_api(ClosedLoop(server).measure(asked.tries))
        print(f"wrote {results.write(asked.out, 'api_benchmark.json', api)}")
        load = _load("smoke", server)
        print(f"wrote {results.write(asked.out, 'load_test.json', load)}")
    _show(api, load)
    return _holds(api, load)


def _server(asked: argparse.Namespace) -> AbstractContextManager[Server]:
    if asked.url is None:
        print("starting a household to measure ...")
        return household_of_its_own()
    if asked.token is None:
        raise CannotMeasure("--url needs --token: make one with dosette token create --name bench --scope read")
    return nullcontext(Server(asked.url.rstrip("/"), asked.token))


def _load(scenario: str, server: Server) -> dict[str, Any]:
    try:
        return results.of_load(scenario, k6.run(scenario, server))
    except CannotMeasure as error:
        return results.of_load(scenario, None, str(error))


def _show(api: dict[str, Any], load: dict[str, Any]) -> None:
    for each in api["benchmarks"]["api"]["benchmarks"]:
        mean = "-" if each["mean_ms"] is None else f"{each['mean_ms']:.1f} ms"
        print(
            f"  {each['operation']:16} mean {mean:>9}   target under {each['target']['mean_ms']} ms: {_word(each['target_met'])}"
        )
    told = load["benchmarks"]["load"]
    why = f" ({told['reason']})" if told.get("reason") else ""
    print(f"  {'k6 smoke':16} every request good: {_word(told['target_met'])}{why}")


def _holds(api: dict[str, Any], load: dict[str, Any]) -> bool:
    met = [each["target_met"] for each in api["benchmarks"]["api"]["benchmarks"]]
    return all(one is True for one in (*met, load["benchmarks"]["load"]["target_met"]))


def _word(met: bool | str) -> str:
    return met if isinstance(met, str) else "holds" if met else "MISSED"


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    main()
