"""The promises as data (`targets.json`), and whether a result keeps them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from dosette_bench.errors import CannotMeasure, meant
from dosette_bench.suites import SUITES

Row = Mapping[str, Any]
Verdict = dict[str, Any]

LEVELS = ("critical", "important", "acceptable")
KINDS = ("time", "count", "ratio", "memory")
NOT_MEASURED = "not measured"
COMPARES = {
    "below": lambda value, limit: value < limit,
    "at_most": lambda value, limit: value <= limit,
    "above": lambda value, limit: value > limit,
    "at_least": lambda value, limit: value >= limit,
}
EXCEPT = "except"
FIELDS = {"id", "suite", "operation", EXCEPT, "metric", "level", "kind", "source", *COMPARES}


def read(path: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """`targets` and `alerts` of the file that ships, or of another. Raises CannotMeasure naming what is wrong in it."""
    name = str(path or "targets.json")
    try:
        text = path.read_text() if path else (files("dosette_bench") / "targets.json").read_text()
        found = json.loads(text)
    except OSError as error:
        raise CannotMeasure(f"{name} can't be read: {error.strerror}; say --targets FILE") from None
    except ValueError as error:
        raise CannotMeasure(f"{name} is no JSON: {error}; mend it") from None
    if not isinstance(found, dict) or set(found) != {"version", "sources", "targets", "alerts"}:
        raise CannotMeasure(f"{name} must hold version, sources, targets and alerts, and nothing else")
    for part in ("targets", "alerts"):
        for each in found[part]:
            _refuse_wrong(each, name, found["sources"])
    _refuse_twice([each["id"] for part in ("targets", "alerts") for each in found[part]], name)
    return {"targets": found["targets"], "alerts": found["alerts"]}


def _refuse_wrong(target: Any, name: str, sources: Mapping[str, str]) -> None:
    where = f"{name}: target {target.get('id', target) if isinstance(target, dict) else target}"
    if not isinstance(target, dict):
        raise CannotMeasure(f"{where} is no object")
    if unknown := target.keys() - FIELDS:
        wrong = min(unknown)
        raise CannotMeasure(
            f"{where} has the unknown field {wrong}{meant(wrong, FIELDS)}; known are {', '.join(sorted(FIELDS))}"
        )
    if missing := FIELDS - COMPARES.keys() - {EXCEPT} - target.keys():
        raise CannotMeasure(f"{where} lacks {min(missing)}")
    limits = [target[word] for word in COMPARES if word in target]
    if len(limits) != 1 or not isinstance(limits[0], int | float) or isinstance(limits[0], bool):
        raise CannotMeasure(f"{where} needs one number under one of {', '.join(COMPARES)}")
    for key, allowed in (("level", LEVELS), ("kind", KINDS), ("source", sources)):
        if target[key] not in allowed:
            raise CannotMeasure(f"{where}: {key} {target[key]!r} is none of {', '.join(allowed)}")
    if target["suite"] not in SUITES:
        raise CannotMeasure(f"{where}: there is no suite {target['suite']!r}; there are {', '.join(SUITES)}")
    if target["metric"] not in _metrics():
        raise CannotMeasure(
            f"{where}: metric {target['metric']!r} is no field of a row; there are {', '.join(_metrics())}"
        )


@cache
def _metrics() -> tuple[str, ...]:
    """The fields of a row that hold a number, by the schema."""
    fields = json.loads((files("dosette_bench") / "schema.json").read_text())["$defs"]["row"]["properties"]
    return tuple(
        name
        for name, told in fields.items()
        if told.get("type") == "integer" or "number_or_null" in told.get("$ref", "")
    )


def _refuse_twice(ids: Sequence[str], name: str) -> None:
    if twice := {each for each in ids if ids.count(each) > 1}:
        raise CannotMeasure(f"{name}: the id {min(twice)} stands there twice")


def judge(
    promised: Iterable[Mapping[str, Any]], rows: Mapping[str, Sequence[Row]], partly: bool = False
) -> list[Verdict]:
    """What becomes of each promise about the suites in `rows`; one that fits no row there is not measured, or passed over (`partly`).

    `operation` is a pattern: `*` is every row of the suite that has the metric, but for the one that `except` names.
    """
    verdicts: list[Verdict] = []
    for target in promised:
        if target["suite"] in rows:
            fitting = [row for row in rows[target["suite"]] if _fits(target, row)]
            verdicts += [_verdict(target, row) for row in fitting] or [_verdict(target, None)] * (not partly)
    return verdicts


def _fits(target: Mapping[str, Any], row: Row) -> bool:
    named = fnmatchcase(row["operation"], target["operation"]) and row["operation"] != target.get(EXCEPT)
    return named and target["metric"] in row


def _verdict(target: Mapping[str, Any], row: Row | None) -> Verdict:
    word = next(word for word in COMPARES if word in target)
    value = (
        row[target["metric"]] if row and row["iterations"] else None
    )  # of what was never tried, no error is no success
    met = NOT_MEASURED if value is None else COMPARES[word](value, target[word])
    told = {name: each for name, each in target.items() if name != EXCEPT}
    return {**told, "operation": row["operation"] if row else target["operation"], "value": value, "met": met}


def holds(verdicts: Iterable[Verdict], kinds: Sequence[str] = KINDS) -> bool:
    """Whether each critical promise of these kinds was measured and kept."""
    return all(each["met"] is True for each in verdicts if each["level"] == "critical" and each["kind"] in kinds)


def all_met(verdicts: Sequence[Verdict]) -> bool | str:
    """True: each was kept; False: one was not; else one was not measured."""
    told = [each["met"] for each in verdicts]
    return False if False in told else NOT_MEASURED if NOT_MEASURED in told else True
