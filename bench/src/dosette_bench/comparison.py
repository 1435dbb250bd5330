"""Whether a new result is faster or slower than an old one, told so that a noisy machine doesn't cry wolf.

The tries of one round share the machine's mood (a neighbour, the clock of the CPU, a full cache), so a hundred tries in five rounds
are five facts, not a hundred: whoever pools them finds a change in most comparisons of like with like. What counts here is one
number a round, the middle of its tries' logarithms, which a few tries of twenty times the usual don't move.

- Interleaved runs: round i of both was measured in the same moment, so its mood is in both and leaves their quotient. The
  logarithms of these quotients go through the t test of their trimmed mean (Tukey and McLaughlin 1963; Wilcox, Introduction to
  Robust Estimation, 4.3): a tenth is cut at each end, because a neighbour's burst now and then hits one side of a round alone.
- Runs one after the other: the same with two samples (Yuen 1974), each error widened by how much a round resembles the one
  before it. That covers a mood that drifts within a run and not one that changed between the two, which no figure of theirs
  can show; a note says so.
- Many rows: Benjamini and Hochberg (1995) choose what is changed, and every interval has the confidence that this leaves
  (Benjamini and Yekutieli 2005), so an interval leaves out 1 exactly when its row was chosen. Where nothing changed,
  fewer than 5 interleaved comparisons in 100 name any row, however many rows there are.

What is found in 95 of 100 tries, by simulation (20 tries a round that differ by 20 %, one in thirty 3 to 20 times as long, moods of
20 %, and 2 % in every round that is one side's own):

    interleaved rounds                  10     12     20     30     40
    a slow-down of a row alone        12 %   10 %    8 %    6 %    5 %
    of one row of sixty               28 %   20 %   13 %    9 %    7 %

Runs one after the other on a machine of even mood need 20 rounds for 10 % of a row alone; with moods of 15 %, 40 rounds find 16 %,
and where such moods linger from round to round up to 8 in 100 name a row that didn't change.

Not seen: a change in the slowest tries alone, and what differs between two starts of the same process (the layout of its memory;
Mytkowicz et al., Producing Wrong Data Without Doing Anything Obviously Wrong, 2009), so less than 2 % is never called a change.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from dosette_bench.errors import CannotMeasure
from dosette_bench.results import Document, Row

FALSE_ALARMS = 0.04
"""Of comparisons of like with like. Not 5 %, so that what the t test's approximations add stays below that."""
MESSAGES = "sql_messages_per_request"
LEAST_ROUNDS = 5
SMALLEST = 0.02
CUT = 0.1
MOST_FAILED = 0.1
MOST_ALIKE = 0.9
MOST_FREEDOM = 200

NO_DIFFERENCE = "no difference shown"
NOT_COMPARABLE = "not comparable"
TIMES = ("ms", "s", "1/s")
EXACT = ("bytes", "count", "blocks")
COUNTED = "instructions"
COUNTED_ALIKE = 0.01
"""Two counts of the same code differ by up to half of that: a process never starts the same way twice."""

HEADINGS = ("suite", "operation", "base", "new", "ratio", "interval", "verdict")


@dataclass(frozen=True)
class Comparison:
    """`rows` as in `told`; `confidence` is that of each interval; `base` and `new` say what was compared."""

    base: str
    new: str
    interleaved: bool
    confidence: float
    rows: Sequence[Row]
    note: str


@dataclass(frozen=True)
class _Found:
    """The logarithm of new over base, its standard error, and the degrees of freedom of that."""

    log: float
    error: float
    freedom: int

    @property
    def chance(self) -> float:
        """That like and like differ by as much."""
        if self.error == 0:
            return float(self.log == 0)
        return _t_chance(abs(self.log) / self.error, self.freedom)

    def reach(self, level: float) -> float:
        """How far its interval goes to each side."""
        return self.error and self.error * _t_beyond(level, self.freedom)


@dataclass(frozen=True)
class _Pair:
    """One row of both results; None: measured on one side only. `exact`: no chance is in it. `found` may be why there is none."""

    suite: str
    base: Row | None
    new: Row | None
    exact: bool
    found: _Found | str


def compare(base: Document, new: Document, anyway: bool = False) -> Comparison:
    """Row by row. Raises CannotMeasure as `refuse_unlike` does, unless anyway."""
    if not anyway:
        refuse_unlike(base, new)
    interleaved = are_interleaved(base, new)
    pairs = [_pair(suite, before, now, interleaved) for suite, before, now in _matched(base, new)]
    varying = [each.found for each in pairs if isinstance(each.found, _Found) and not each.exact]
    level = level_of([found.chance for found in varying])
    return Comparison(
        base=label(base),
        new=label(new),
        interleaved=interleaved,
        confidence=1 - level,
        rows=[_row(each, level) for each in pairs],
        note=_note(base, new, interleaved, [found.reach(level) for found in varying]),
    )


def refuse_unlike(base: Document, new: Document) -> None:
    """Raises CannotMeasure when something else than the code differs: the machine, the box, or how much there was to do."""
    if difference := _unlike(base, new):
        raise CannotMeasure(f"{difference}: measure both alike, or compare them nevertheless with --anyway")


def are_interleaved(base: Document, new: Document) -> bool:
    """Whether each was measured in the rounds of the other."""
    return (base.get("interleaved_with"), new.get("interleaved_with")) == (new["run_id"], base["run_id"])


def slower(comparison: Comparison) -> list[Row]:
    """The rows that changed for the worse: slower, more of what should be little, less of what should be much."""
    return [each for each in comparison.rows if each["worse"]]


def told(comparison: Comparison) -> dict[str, Any]:
    """For JSON. ratio, low and high are null where there is no ratio; `reason` then says why, as wherever there is more to say."""
    return {
        "base": comparison.base,
        "new": comparison.new,
        "interleaved": comparison.interleaved,
        "confidence": round(comparison.confidence, 6),
        "note": comparison.note,
        "rows": [dict(each) for each in comparison.rows],
    }


def table(comparison: Comparison) -> list[tuple[str, ...]]:
    """A line for each row, cells as in HEADINGS."""
    return [_cells(each) for each in comparison.rows]


def label(document: Document) -> str:
    """What was measured and when, in a few words."""
    measured = document["commit"] or f"version {document['version']}"
    return f"{measured}, {document['timestamp'][:16].replace('T', ' ')}"


def machine_label(document: Document) -> str:
    """The machine in a few words."""
    machine = document["machine"]
    memory = "unknown" if machine["memory_bytes"] is None else f"{machine['memory_bytes'] / 1e9:.1f} GB"
    cores = "1 core" if machine["cores"] == 1 else f"{machine['cores']} cores"
    return f"{machine['cpu'] or machine['architecture']}, {cores}, {memory} of memory"


def box_label(document: Document) -> str:
    """The box in a few words; not its share of a core, which every run calibrates anew so that boxes of one name are alike."""
    box = document["box"]
    return "outside a box" if box is None else f"in the box {box['name']} of {box['memory_bytes'] / 1e6:.0f} MB"


def household_label(document: Document) -> str:
    """How much there was to do, in a few words."""
    settings = document["settings"]
    return f"{settings['medicines']} medicines and {settings['history_days']} days of history"


def level_of(chances: Sequence[float]) -> float:
    """How small a row's chance must be for it to be called changed, by Benjamini and Hochberg's rule.

    Of the rows so called 1 in 25 at most is, by expectation, not changed; where none changed, 1 in 25 comparisons calls any.
    """
    steps = [FALSE_ALARMS * rank / len(chances) for rank in range(1, len(chances) + 1)]
    passed = [step for chance, step in zip(sorted(chances), steps, strict=True) if chance <= step]
    return max(passed, default=FALSE_ALARMS / max(1, len(chances)))


def _unlike(base: Document, new: Document) -> str | None:
    if base["machine"]["id"] != new["machine"]["id"]:
        return f"base was measured on another machine ({machine_label(base)}) than new ({machine_label(new)})"
    if box_label(base) != box_label(new):
        return f"base was measured {box_label(base)} and new {box_label(new)}"
    if household_label(base) != household_label(new):
        return f"base was measured with {household_label(base)} and new with {household_label(new)}"
    return None


def _note(base: Document, new: Document, interleaved: bool, reaches: Sequence[float]) -> str:
    told = []
    if difference := _unlike(base, new):
        told.append(f"Compared nevertheless: {difference}.")
    if not interleaved:
        told.append(
            "The two runs were not interleaved: what changed on the machine between them looks like a change of the code;"
            " measure both interleaved before you trust a verdict."
        )
    if versions := _versions(base, new):
        told.append(f"Not the same below: {', '.join(versions)}.")
    if reaches and interleaved:
        told.append(
            f"Rows that vary from try to try: {len(reaches)}; were nothing changed, fewer than 5 such comparisons in 100"
            " would call any of them changed."
        )
    if reaches:
        told.append(
            f"In the middle row a change of {_percent(statistics.median(reaches))} would just show; more rounds show"
            " smaller ones."
        )
    return " ".join(told)


def _percent(log: float) -> str:
    return f"{max(SMALLEST, math.expm1(log)):.0%}" if log < math.log(2) else "more than 100%"


def _versions(base: Document, new: Document) -> list[str]:
    before, now = base["machine"]["versions"], new["machine"]["versions"]
    return [
        f"{name} {before[name]} and {now[name]}" for name in sorted(before.keys() & now) if before[name] != now[name]
    ]


def _matched(base: Document, new: Document) -> list[tuple[str, Row | None, Row | None]]:
    """The rows of each suite, those of both first, then what each asks of the database."""
    before, now = rows_of(base), rows_of(new)
    rows = [(suite, before.get((suite, name)), now.get((suite, name))) for suite, name in before | now]
    asked_before, asked_now = _messages_of(base), _messages_of(new)
    rows += [(key[0], row, asked_now[key]) for key, row in asked_before.items() if key in asked_now]
    suites = list(dict.fromkeys(suite for suite, _, _ in rows))
    return sorted(rows, key=lambda row: suites.index(row[0]))


def _messages_of(document: Document) -> dict[tuple[str, str], Row]:
    """Its rows, as what their operations ask of the database; where the mean isn't whole the tries differed, and there is none."""
    rows = rows_of(document).items()
    return {key: _message_row(row) for key, row in rows if row.get(MESSAGES) is not None and row[MESSAGES] % 1 == 0}


def _message_row(row: Row) -> Row:
    count = row[MESSAGES]
    return {
        "operation": row["operation"],
        "metric": MESSAGES,
        "unit": "count",
        "better": "lower",
        MESSAGES: count,
        "rounds": [[count] * max(2, row["iterations"])],
    }


def rows_of(document: Document) -> dict[tuple[str, str], Row]:
    """By suite and operation."""
    suites = document["benchmarks"].items()
    return {(suite, row["operation"]): row for suite, told in suites for row in told["benchmarks"]}


def _pair(suite: str, base: Row | None, new: Row | None, interleaved: bool) -> _Pair:
    if base is not None and new is not None and _is_exact(base, new):
        return _Pair(suite, base, new, True, _found_exactly(base, new))
    return _Pair(suite, base, new, False, _found(base, new, interleaved))


def _is_exact(base: Row, new: Row) -> bool:
    """Whether what was counted was the same at every try; one try shows that only when the other side agrees.

    Instructions are counted over hundreds of requests, so that one count is enough.
    """
    if base["unit"] == new["unit"] == COUNTED:
        return all(_all(row) for row in (base, new))
    if base["unit"] not in EXACT or base["unit"] != new["unit"]:
        return False
    before, now = ([value for each in row["rounds"] for value in each] for row in (base, new))
    steady = len(set(before)) == len(set(now)) == 1 and None not in (before[0], now[0])
    return steady and (min(len(before), len(now)) > 1 or before[0] == now[0])


def _found_exactly(base: Row, new: Row) -> _Found | str:
    before, now = _all(base)[0], _all(new)[0]
    if before == now:
        return _Found(0, 0, 1)
    if before <= 0 or now <= 0:
        return f"from {before:g} to {now:g} there is no ratio"
    return _Found(math.log(now / before), 0, 1)


def _found(base: Row | None, new: Row | None, interleaved: bool) -> _Found | str:
    if base is None or new is None:
        return f"measured only in {'base' if new is None else 'new'}"
    if reason := _unusable(base, new):
        return reason
    before, now = _middles(base), _middles(new)
    return _of_moments(before, now) if interleaved else _of_two(before, now)


def _unusable(base: Row, new: Row) -> str | None:
    """Why the tries of these rows can't be compared, if they can't."""
    if base["unit"] != new["unit"]:
        return f"base is in {base['unit']} and new in {new['unit']}"
    for name, row in (("base", base), ("new", new)):
        if not _all(row):
            return f"not measured in {name}: {row.get('reason', 'no try succeeded')}"
        tries = sum(map(len, row["rounds"]))
        if (failed := tries - len(_all(row))) > MOST_FAILED * tries:
            return f"{failed} of {tries} tries failed in {name}"
        if min(_all(row)) <= 0:
            return f"{name} has values of 0 or less, of which there is no ratio"
    return None


def _all(row: Row) -> list[float]:
    return [value for each in row["rounds"] for value in each if value is not None]


def _middles(row: Row) -> list[float | None]:
    return [_middle([math.log(value) for value in each if value is not None]) for each in row["rounds"]]


def _middle(values: Sequence[float]) -> float | None:
    """The mean of the middle half; of fewer than seven it is the median."""
    cut = min(math.ceil(len(values) / 4), (len(values) - 1) // 2)
    return statistics.fmean(sorted(values)[cut : len(values) - cut]) if values else None


def _of_moments(before: Sequence[float | None], now: Sequence[float | None]) -> _Found | str:
    logs = [new - base for base, new in zip(before, now, strict=False) if base is not None and new is not None]
    if len(logs) < LEAST_ROUNDS:
        return _too_few(len(logs), "in common")
    mean, variance, freedom = _trimmed(logs)
    return _Found(mean, math.sqrt(variance), freedom)


def _of_two(before: Sequence[float | None], now: Sequence[float | None]) -> _Found | str:
    sides = [[value for value in each if value is not None] for each in (before, now)]
    if (fewest := min(map(len, sides))) < LEAST_ROUNDS:
        return _too_few(fewest, "on one side")
    (log_before, of_before, free_before), (log_now, of_now, free_now) = map(_alone, sides)
    both = of_before + of_now
    freedom = both**2 / (of_before**2 / free_before + of_now**2 / free_now) if both else 1
    return _Found(log_now - log_before, math.sqrt(both), max(1, int(freedom)))


def _too_few(rounds: int, where: str) -> str:
    return f"{rounds} round{'s' * (rounds != 1)} {where}, and a verdict needs {LEAST_ROUNDS}: measure with more rounds"


def _alone(logs: Sequence[float]) -> tuple[float, float, float]:
    """Mean of one run's rounds, its variance, and the degrees of freedom that a drifting mood leaves (as an AR(1) process)."""
    mean, variance, freedom = _trimmed(logs)
    alike = _alike(logs)
    fewer = (1 + alike) / (1 - alike)
    return mean, variance * fewer, freedom / fewer


def _alike(values: Sequence[float]) -> float:
    """How much a round resembles the one before it, 0 to 1, less what so few rounds hide (Kendall 1954)."""
    mean, count = statistics.fmean(values), len(values)
    apart = [value - mean for value in values]
    whole = sum(each**2 for each in apart)
    found = sum(one * other for one, other in pairwise(apart)) / whole if whole else 0
    return min(max(0, (count * found + 1) / (count - 3)), MOST_ALIKE)


def _trimmed(values: Sequence[float]) -> tuple[float, float, int]:
    """Mean without a tenth at each end, the variance of that mean, and its degrees of freedom.

    With these, one fewer than the books give to a mean that was trimmed, chances as small as 1 in 1,500 come out right by
    simulation; with the books' they are up to a half too small, and sixty rows need such chances.
    """
    ordered = sorted(values)
    cut = int(len(ordered) * CUT)
    kept = ordered[cut : len(ordered) - cut]
    winsorised = [kept[0]] * cut + kept + [kept[-1]] * cut
    variance = statistics.variance(winsorised) * (len(ordered) - 1) / (len(kept) * (len(kept) - 1))
    return statistics.fmean(kept), variance, len(kept) - (2 if cut else 1)


def _row(pair: _Pair, level: float) -> Row:
    known = pair.new or pair.base or {}
    verdict, reason = _verdict(pair, level)
    told: Row = {
        "suite": pair.suite,
        "operation": known["operation"],
        "metric": metric_of(known),
        "unit": known["unit"],
        "base": value_of(pair.base),
        "new": value_of(pair.new),
        **_interval(pair, level),
        "verdict": verdict,
        "worse": _is_worse(verdict, known["better"]),
    }
    return told | ({"reason": reason} if reason else {})


def metric_of(row: Row) -> str:
    """The field that holds the row's one figure."""
    return str(row.get("metric", "median_ms" if row["unit"] == "ms" else "value"))


def value_of(row: Row | None) -> float | None:
    """The row's one figure; None: not measured."""
    return row[metric_of(row)] if row else None


def _interval(pair: _Pair, level: float) -> dict[str, float | None]:
    if isinstance(pair.found, str):
        return dict.fromkeys(("ratio", "low", "high"))
    found = pair.found
    reach = found.reach(level)
    logs = {"ratio": found.log, "low": found.log - reach, "high": found.log + reach}
    return {name: float(f"{math.exp(min(log, 700)):.6g}") for name, log in logs.items()}


def _verdict(pair: _Pair, level: float) -> tuple[str, str | None]:
    """The verdict and, where there is more to say, why."""
    if isinstance(pair.found, str):
        return (_word(pair) if pair.exact else NOT_COMPARABLE), pair.found
    if pair.exact:
        return _exact_verdict(pair, abs(math.expm1(pair.found.log)))
    if pair.found.chance > level:
        return NO_DIFFERENCE, None
    if abs(math.expm1(pair.found.log)) < SMALLEST:
        return NO_DIFFERENCE, f"less than {SMALLEST:.0%}: two starts of one version differ by as much"
    return _word(pair), None


def _exact_verdict(pair: _Pair, change: float) -> tuple[str, str | None]:
    if (pair.new or {})["unit"] == COUNTED and 0 < change < COUNTED_ALIKE:
        return NO_DIFFERENCE, f"less than {COUNTED_ALIKE:.0%}: two counts of the same code differ by as much"
    return (_word(pair) if change else NO_DIFFERENCE), None


def _word(pair: _Pair) -> str:
    """Of a row that did change."""
    base, new = pair.base or {}, pair.new or {}
    grew = pair.found.log > 0 if isinstance(pair.found, _Found) else _all(new)[0] > _all(base)[0]
    if new["unit"] in TIMES:
        return "slower" if grew == (new["better"] == "lower") else "faster"
    return "more" if grew else "less"


def _is_worse(verdict: str, better: str) -> bool:
    return verdict in ("slower", "more" if better == "lower" else "less")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row["suite"],
        f"{row['operation']}: SQL messages" if row["metric"] == MESSAGES else row["operation"],
        amount(row["base"], row["unit"]),
        amount(row["new"], row["unit"]),
        _times(row["ratio"]),
        f"{_times(row['low'])} … {_times(row['high'])}" if row["low"] != row["high"] else _times(row["ratio"]),
        f"{row['verdict']} ({row['reason']})" if "reason" in row else row["verdict"],
    )


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.3f}" if ratio < 100 else "> 100"


def amount(value: float | None, unit: str) -> str:
    """A figure as a table has it."""
    return "–" if value is None else f"{value:.4g}" if unit in ("count", "ratio", COUNTED) else f"{value:.4g} {unit}"


def _t_chance(t: float, freedom: int) -> float:
    """That Student's t lies farther from 0 than this (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    freedom = min(freedom, MOST_FREEDOM)
    angle = math.atan(t / math.sqrt(freedom))
    odd, square = freedom % 2, math.cos(angle) ** 2
    term = total = math.sin(angle) * (math.cos(angle) if odd else 1)
    for step in range(2 + odd, freedom - 1, 2):
        term *= square * (step - 1) / step
        total += term
    within = 2 / math.pi * (angle + (total if freedom > 1 else 0)) if odd else total
    return max(0.0, 1 - within)


@lru_cache(maxsize=1024)
def _t_beyond(chance: float, freedom: int) -> float:
    """Beyond which Student's t lies with this chance."""
    low, high = 0.0, 1e6
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_chance(middle, freedom) > chance else (low, middle)
    return high
