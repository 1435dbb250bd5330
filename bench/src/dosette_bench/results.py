"""The files that a measurement leaves: field names of the project's first plan, and what that plan left out."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from dosette import __version__
from dosette_bench import machine
from dosette_bench.closed_loop import LOAD_MODEL, Measured
from dosette_bench.errors import CannotMeasure
from dosette_bench.statistics import summed_up

FORMAT = 1
NOT_MEASURED = "not measured"


def targets() -> dict[str, Any]:
    """The promises, as data."""
    found: dict[str, Any] = json.loads((files("dosette_bench") / "targets.json").read_text())
    return found


def of_api(measured: Sequence[Measured]) -> dict[str, Any]:
    """What `api_benchmark.json` says; an operation that has a target and was not measured stands in it too."""
    promised = targets()["api"]
    by_name = {each.operation: each for each in measured}
    benchmarks = [_benchmark(name, by_name.get(name), promised[name]) for name in promised]
    return _document({"api": {"summary": _summary(benchmarks), "benchmarks": benchmarks, "load": LOAD_MODEL}})


def of_load(scenario: str, summary: dict[str, Any] | None, reason: str | None = None) -> dict[str, Any]:
    """What `load_test.json` says: k6's figures, or null and why."""
    target = targets()["load"][scenario]
    if summary is None:
        return _document({"load": {scenario: None, "reason": reason, "target": target, "target_met": NOT_MEASURED}})
    metrics = summary["metrics"]
    rate = 1 - metrics["http_req_failed"]["values"]["rate"]
    figures = {
        "requests": metrics["http_reqs"]["values"]["count"],
        "requests_per_s": metrics["http_reqs"]["values"]["rate"],
        "success_rate": rate,
        "latency_ms": metrics["http_req_duration"]["values"],
    }
    met = rate >= target["success_rate"] and metrics["checks"]["values"]["rate"] == 1
    return _document({"load": {scenario: figures, "target": target, "target_met": met}})


def write(folder: Path, name: str, document: dict[str, Any]) -> Path:
    """Whole or not at all. Raises CannotMeasure when the folder can't be written."""
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(document, indent=2) + "\n")
        new.replace(path)
    except OSError as error:
        raise CannotMeasure(f"{path} can't be written: {error.strerror}; say --out FOLDER") from None
    return path


def _document(benchmarks: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "timestamp": datetime.now(UTC).isoformat(),
        "version": __version__,
        "machine": machine.facts(),
        "benchmarks": benchmarks,
    }


def _benchmark(operation: str, measured: Measured | None, target: dict[str, Any]) -> dict[str, Any]:
    plain = {"operation": operation, "target": target}
    if measured is None or not measured.times_ms:
        reason = measured.errors[0] if measured and measured.errors else "it was not tried"
        return plain | {"iterations": 0, "mean_ms": None, "reason": reason, "target_met": NOT_MEASURED}
    figures = summed_up(measured.times_ms)
    met = not measured.errors and figures["mean_ms"] < target["mean_ms"]
    return plain | {"iterations": len(measured.times_ms), **figures, "errors": measured.errors, "target_met": met}


def _summary(benchmarks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    means = [each["mean_ms"] for each in benchmarks if each["mean_ms"] is not None]
    slowest = [each["p95_ms"] for each in benchmarks if each["mean_ms"] is not None]
    return {
        "total_benchmarks": len(benchmarks),
        "passed_target": sum(each["target_met"] is True for each in benchmarks),
        "average_mean_ms": round(sum(means) / len(means), 3) if means else None,
        "average_p95_ms": round(sum(slowest) / len(slowest), 3) if slowest else None,
    }
