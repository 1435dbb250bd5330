"""The files that a run leaves: rows from series, one document for each suite and one for all. Their form is `schema.json`."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs

from dosette_bench import targets
from dosette_bench.errors import CannotMeasure, NotWritten
from dosette_bench.figures import histogram, summed_up
from dosette_bench.samples import Series

VERSION = 2
FILES = {
    "database": "database_benchmark.json",
    "api": "api_benchmark.json",
    "load": "load_test.json",
    "memory": "memory_profile.json",
    "display": "display_benchmark.json",
    "scheduler": "scheduler_benchmark.json",
    "recovery": "recovery_benchmark.json",
}
NOT_TRIED = "it was not tried"
COMPLETE = "complete_benchmark_results.json"
FIGURES = ("mean", "median", "p95", "p99", "min", "max", "stdev", "ci95_low", "ci95_high")
LONGEST = 120
SERVING = ("api", "postgresql")

Row = dict[str, Any]
Document = dict[str, Any]


def row(series: Series) -> Row:
    """A series as the files hold it, its targets still open."""
    failed = sum(series.reasons.values())
    told: Row = {
        "operation": series.operation,
        "unit": series.unit,
        "better": series.better,
        "load": _load(series),
        "iterations": len(series.tries),
        "errors": failed,
        "success_rate": 1 - failed / len(series.tries) if series.tries else None,
        **_figures(series),
        **series.facts,
        "rounds": [[_rounded(value) for value in each] for each in series.rounds],
    }
    if series.reasons:
        told["error_reasons"] = dict(series.reasons)
    if not series.values:
        told["reason"] = series.not_measured or next(iter(series.reasons), NOT_TRIED)
        told["errors"] = failed
    return told


def _figures(series: Series) -> Row:
    values = series.values
    if series.unit != "ms":
        rounds = [[value for value in each if value is not None] for each in series.rounds]
        return {"value": _rounded(summed_up(rounds)["median"]) if values else None}
    if not values:
        return {f"{name}_ms": None for name in FIGURES}
    found = summed_up([[value for value in each if value is not None] for each in series.rounds])
    bounds, counts = histogram(values)
    figures = {f"{name}_ms": _rounded(found[name]) for name in FIGURES}
    return {**figures, **_bound(series, found["mean"]), "histogram": {"bounds_ms": bounds, "counts": counts}}


def _bound(series: Series, mean_ms: float) -> Row:
    """Little's law, N = X (R + Z): with one user the throughput follows from the mean; with many, the load generator knows it.

    Users who think longer than they wait bound nothing: N / X - Z would be the small difference of two large figures.
    """
    load, rate = series.load, series.facts.get("throughput_rps")
    if load is None or load.model == "open" or not load.users:
        return {"throughput_rps": rate, "bound_ms": None}
    think_ms = (load.think_time_s or 0) * 1000
    if not rate and mean_ms + think_ms:
        rate = load.users / (mean_ms + think_ms) * 1000
    bound_ms = load.users / rate * 1000 - think_ms if rate and mean_ms > think_ms else None
    return {"throughput_rps": _rounded(rate), "bound_ms": _rounded(bound_ms)}


def _load(series: Series) -> Row | None:
    if series.load is None:
        return None
    asked = series.load
    return {
        "model": asked.model,
        "users": asked.users,
        "think_time_s": asked.think_time_s,
        "rate_rps": asked.rate_rps,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def on_the_board(rows: Mapping[str, Sequence[Row]], slowdown: float) -> None:
    """Adds to each row what its CPU time would be on one core of a board: a quota leaves a single answer as fast as ever."""
    for each in (row for of_suite in rows.values() for row in of_suite):
        if used := each.get("cpu_ms_per_request"):
            each["board_ms"] = _rounded(sum(used.get(part, 0.0) for part in SERVING) * slowdown)


def suite(rows: Sequence[Row], took_s: float, reason: str | None = None) -> dict[str, Any]:
    """Rows with their sum; `reason` says why the suite did not come to its end."""
    met = [each["target_met"] for each in rows if each["targets"] or each["target_met"] is not True]
    told = {
        "summary": {
            "total_benchmarks": len(rows),
            "passed_target": met.count(True),
            "missed_target": met.count(False),
            "not_measured": met.count(targets.NOT_MEASURED),
            "average_mean_ms": _average(rows, "mean_ms"),
            "average_p95_ms": _average(rows, "p95_ms"),
            "took_s": round(took_s, 1),
        },
        "benchmarks": list(rows),
    }
    return told | ({"reason": reason} if reason else {})


def _average(rows: Sequence[Row], name: str) -> float | None:
    found = [each[name] for each in rows if each.get(name) is not None]
    return _rounded(sum(found) / len(found)) if found else None


def judged(
    rows: Mapping[str, Sequence[Row]],
    promised: Mapping[str, Sequence[Mapping[str, Any]]],
    gate: Sequence[str] = targets.KINDS,
    partly: bool = False,
) -> dict[str, Any]:
    """The judgement of a run; gives each row its targets on the way. Only critical targets of the kinds in `gate` decide.

    `partly`: only some operations were asked for, so a promise that fits no row is passed over.
    """
    verdicts = targets.judge(promised["targets"], rows, partly)
    for name, of_suite in rows.items():
        for each in of_suite:
            own = [one for one in verdicts if (one["suite"], one["operation"]) == (name, each["operation"])]
            measured = each.get("mean_ms", each.get("value")) is not None
            each["targets"] = own
            each["target_met"] = targets.all_met(own) if measured else targets.NOT_MEASURED
    return {
        "holds": targets.holds(verdicts, gate),
        "gate": list(gate),
        "verdicts": verdicts,
        "alerts": targets.judge(promised["alerts"], rows, partly),
    }


def part(document: Document, suite: str) -> Document:
    """One suite of a run, as a document of its own."""
    judgement = document["judgement"]
    told = document["benchmarks"][suite]
    own = {name: [each for each in judgement[name] if each["suite"] == suite] for name in ("verdicts", "alerts")}
    came_to_its_end = not document["interrupted"] and "reason" not in told
    holds = came_to_its_end and targets.holds(own["verdicts"], judgement["gate"])
    return {**document, "benchmarks": {suite: told}, "judgement": {**judgement, **own, "holds": holds}}


def write(folder: Path, name: str, document: Document) -> Path:
    """Whole or not at all. Raises NotWritten when the folder can't be written."""
    return write_text(folder, name, json.dumps(document, separators=(",", ":")) + "\n")


def write_text(folder: Path, name: str, text: str) -> Path:
    """As `write`."""
    path, new = folder / name, folder / f"{name}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new.write_text(text)
        new.replace(path)
    except OSError as error:
        if folder.is_dir():
            new.unlink(missing_ok=True)
        raise NotWritten(f"{path} can't be written: {error.strerror}; say --out FOLDER") from None
    return path


def read(path: Path) -> Document:
    """A document of this version; of a folder, that of its whole run. Raises CannotMeasure when it is none."""
    file = path / COMPLETE if path.is_dir() else path
    try:
        found = json.loads(file.read_text())
    except OSError as error:
        raise CannotMeasure(f"{file} can't be read: {error.strerror}; `dosette-bench` writes it") from None
    except ValueError:
        raise CannotMeasure(f"{file} is no JSON: it was cut off or is another file; measure again") from None
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != VERSION:
        told = f"has version {version}" if version is not None else "is no result of dosette-bench"
        raise CannotMeasure(
            f"{file} {told}, and this dosette-bench reads version {VERSION}: measure again with this one"
        )
    for wrong in _checker().iter_errors(found):
        where = "/".join(map(str, wrong.instance_path)) or "the whole"
        raise CannotMeasure(f"{file} is damaged, in {where}: {wrong.message[:LONGEST]}; measure again")
    return dict(found)


@cache
def _checker() -> Any:
    return jsonschema_rs.validator_for(schema())


def schema() -> dict[str, Any]:
    """The published JSON Schema of the files."""
    found: dict[str, Any] = json.loads((files("dosette_bench") / "schema.json").read_text())
    return found
