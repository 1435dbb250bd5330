"""A run told for people: Markdown and a page of the same words, with no number that the results don't hold."""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from playwright.sync_api import Browser

from dosette_bench import comparison, results, targets
from dosette_bench.errors import CannotMeasure
from dosette_bench.report import write_report
from dosette_bench.results import Document
from dosette_bench.samples import ONE_USER, Load, Series

REPORT = files("dosette_bench.report")
SECTIONS = [
    "What was asked",
    "On what machine",
    "What came out",
    "Which targets hold",
    "Where the time goes",
    "What to try next",
    "How to read it",
]
PROCESSES = {"api": 24.2, "postgresql": 31.7, "redis": 4.1, "scheduler": 17.3, "worker": 16.9, "display-agent": 22.8}
BOX = {
    "name": "pi-zero-2w",
    "cpu_cores": 0.137,
    "period_us": 10_000,
    "memory_bytes": 436_000_000,
    "calibration": {
        "score": "sysbench cpu",
        "unit": "events/s",
        "here": 1234.5,
        "there": 169.1,
        "there_low": 161.2,
        "there_high": 173.4,
        "slowdown": 7.3,
        "slowdown_low": 7.12,
        "slowdown_high": 7.66,
        "source": "a published list",
    },
}
WIDE = (
    "a_very_long_name_of_an_operation_that_nobody_would_ever_want_to_read_in_full_on_a_phone_but_that_is_there_anyway"
)


def a_series(operation: str, typical: float = 5.0, seed: int = 0, rounds: int = 5, **of: Any) -> Series:
    """Tries that spread as real ones do: most near `typical`, a few far above it."""
    chance = Random(f"{operation} {seed}")
    series = Series(operation, load=of.pop("load", ONE_USER), **of)
    for _ in range(rounds):
        series.next_round()
        for _ in range(8):
            series.add(typical * chance.lognormvariate(0, 0.2) * (4 if chance.random() < 0.03 else 1))
    return series


def a_value(operation: str, value: float, unit: str, **facts: Any) -> Series:
    series = Series(operation, unit, facts=facts)
    series.add(value)
    return series


def not_measured(operation: str, why: str) -> Series:
    return Series(operation, load=ONE_USER, not_measured=why)


def a_household(scale: float = 1.0, seed: int = 0) -> dict[str, list[Series]]:
    """Some rows of every suite; `scale` moves all figures."""
    return {
        "database": [
            a_series(name, typical * scale, seed, facts=_costs(typical * scale, of="database"))
            for name, typical in (
                ("get_medicine_by_id", 0.4),
                ("get_all_medicines", 1.6),
                ("get_tracking_history", 11.0),
            )
        ],
        "api": [
            *(
                a_series(name, typical * scale, seed, facts=_costs(typical * scale, of="api"))
                for name, typical in (("list_medicines", 3.9), ("take_medicine", 5.1), ("list_history", 12.8))
            ),
            a_series("bare_flask", 0.7 * scale, seed, facts={"what": "the reference"}),
        ],
        "load": [
            *(_crowd(f"ramp_up_{users}_users", users, 0, scale, seed) for users in (10, 25, 50, 100)),
            *(_crowd(f"ramp_up_{users}_users_thinking", users, 1, scale, seed) for users in (10, 25, 50, 100)),
            _crowd("concurrent_50_users", 50, 0, scale, seed),
            a_series(
                "morning_rush",
                31 * scale,
                seed,
                load=Load("open", rate_rps=50),
                facts={"throughput_rps": 49.3 * scale, "dropped_iterations": 3},
            ),
            not_measured("stress_500_users", "k6 made no request of this kind"),
        ],
        "memory": [
            a_value("api_startup", 24.2 * scale, "MB", processes=_memory(scale, only="api")),
            a_value("stack_with_data", 117 * scale, "MB", processes=_memory(scale)),
            a_value("stack_concurrent", 141 * scale, "MB", processes=_memory(scale * 1.2)),
            a_value("growth_per_hour", 13.7 * scale, "MB/h", sites=[_site(scale)]),
        ],
        "display": [a_series("render_cold", 141 * scale, seed), a_value("bytes_of_an_equal_frame", 0, "bytes")],
        "scheduler": [
            a_series("due_to_delivered_idle", 38 * scale, seed, load=None),
            a_value("reminders_lost", 0, "count"),
        ],
        "recovery": [
            a_value("resume_after_kill_api", 1.7 * scale, "s", what="killed with -9"),
            a_value("takes_lost", 0, "count"),
        ],
    }


def _costs(ms: float, of: str) -> dict[str, Any]:
    parts = (
        {"postgresql": ms * 0.55, "ours": ms * 0.08}
        if of == "database"
        else {
            "api": ms * 0.31,
            "postgresql": ms * 0.47,
            "redis": ms * 0.05,
            "display-agent": ms * 0.11,
        }
    )
    ratios = {} if of == "database" else {"ratio_to_reference": ms * 1.41, "cpu_ratio_to_reference": ms * 1.53}
    return {
        "cpu_ms_per_request": parts | {"total": sum(parts.values())},
        "sql_messages_per_request": 1.0,
        "bytes_per_response": 1843,
        **ratios,
    }


def _crowd(name: str, users: int, think_s: float, scale: float, seed: int) -> Series:
    rate = 480.0 / scale if not think_s else min(480.0 / scale, users / (think_s + 0.006 * scale))
    wait = users / rate * 1000 - think_s * 1000
    return a_series(name, wait * 0.97, seed, load=Load("closed", users, think_s), facts={"throughput_rps": rate})


def _memory(scale: float, only: str = "") -> dict[str, dict[str, float]]:
    return {
        name: {"pss_mb": pss * scale, "rss_mb": pss * 1.7 * scale, "anonymous_mb": pss * 0.8 * scale}
        for name, pss in PROCESSES.items()
        if only in name
    }


def _site(scale: float) -> dict[str, Any]:
    return {
        "process": "api",
        "where": "dosette_api/app.py:41",
        "bytes": int(71_234 * scale),
        "objects": int(613 * scale),
    }


def a_document(
    suites: Mapping[str, Sequence[Series]] | None = None,
    day: int = 1,
    promised: Mapping[str, Any] | None = None,
    machine_id: str = "0123456789abcdef",
    **head: Any,
) -> Document:
    """As a run writes it."""
    rows = {
        name: [results.row(each) for each in some]
        for name, some in (a_household() if suites is None else suites).items()
    }
    judgement = results.judged(rows, promised or targets.read())
    return {
        "schema_version": results.VERSION,
        "run_id": f"run-{day}",
        "timestamp": f"2026-03-{day:02}T12:00:00+00:00",
        "finished_at": f"2026-03-{day:02}T12:08:21+00:00",
        "interrupted": False,
        "version": "0.1.0",
        "commit": "bb20cb7897f9",
        "box": None,
        "machine": {
            "id": machine_id,
            "cpu": "Cortex-A53",
            "cores": 4,
            "governor": "ondemand",
            "memory_bytes": 512_000_000,
            "architecture": "aarch64",
            "kernel": "6.12.7",
            "limits": {"cpu_cores": None, "memory_bytes": None},
            "load_average": [0.26, 0.24, 0.37],
            "versions": {"python": "3.11.7", "postgresql": "18.6", "redis": "Valkey 8.1.8", "k6": None},
        },
        "settings": {
            "suites": list(rows),
            "quick": False,
            "repeat": 1,
            "only": None,
            "medicines": 50,
            "history_days": 90,
            "server": "own",
        },
        **head,
        "benchmarks": {name: results.suite(some, 12.3) for name, some in rows.items()},
        "judgement": judgement,
    }


Told = Callable[..., tuple[str, str]]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Writes a report, and returns its Markdown and its page."""

    def tell(*documents: Document, comparison: Mapping[str, Any] | None = None) -> tuple[str, str]:
        markdown, page = tmp_path / "docs" / "REPORT.md", tmp_path / "out" / "report.html"
        write_report(documents, markdown, page, comparison)
        return markdown.read_text(), page.read_text()

    return tell


class _Seen(HTMLParser):
    """What a reader sees of a page, without its style, its head and its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._hidden += tag in ("style", "head", "svg")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "head", "svg")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def seen(page: str) -> str:
    reader = _Seen()
    reader.feed(page)
    return " ".join(reader.words)


def between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


def advised(markdown: str) -> str:
    return between(markdown, "## What to try next", "## How to read it")


def one(series: Series, suite: str = "api", **of: Any) -> Document:
    return a_document({suite: [series]}, promised=of.pop("promised", {"targets": [], "alerts": []}), **of)


def a_promise(limit: float, metric: str = "mean_ms", **of: Any) -> dict[str, Any]:
    told = {"id": "promise", "suite": "api", "operation": "*", "metric": metric, "below": limit, "level": "critical"}
    return {"targets": [{**told, "kind": "time", "source": "design", **of}], "alerts": []}


# What is in it


def test_the_document_of_these_tests_is_one_that_a_run_could_write():
    Draft202012Validator(results.schema()).validate(a_document(box=BOX))


def test_both_files_tell_the_same_in_the_same_order(told: Told):
    markdown, page = told(a_document())

    assert re.findall(r"^## (.*)$", markdown, re.MULTILINE) == SECTIONS
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == SECTIONS
    words = {re.sub(r"[\\`*]", "", each).strip() for line in cells_of(markdown) for each in line}
    assert {each for each in words if each.replace(" ", "") not in seen(page).replace(" ", "")} == set()


def cells_of(markdown: str) -> list[list[str]]:
    """Of Markdown's tables; names and what stands behind them are cut at their own marks."""
    lines = [line for line in markdown.splitlines() if line.startswith("| ") and not line.startswith("| :--")]
    return [re.split(r" \| |`", line.strip("| ").replace("&lt;", "<").replace("&gt;", ">")) for line in lines]


def test_the_last_result_is_told():
    with pytest.raises(CannotMeasure, match="there is no result to tell of: run dosette-bench first"):
        write_report([], Path("nowhere.md"), Path("nowhere.html"))


def test_a_place_that_can_t_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(CannotMeasure, match=r"report\.md can't be written: .*; choose another place for it"):
        write_report([a_document()], tmp_path / "file" / "report.md", tmp_path / "report.html")


def test_the_first_sentence_counts_what_holds_is_missed_and_was_not_measured(told: Told):
    document = a_document()
    met = [each["met"] for each in document["judgement"]["verdicts"] if each["level"] == "critical"]
    counts = f"of {len(met)} targets {met.count(True)} hold, {met.count(False)} missed, {met.count('not measured')} not measured"

    markdown, page = told(document)

    assert f"**Not every critical target holds.** Critical: {counts}." in markdown
    assert f"Critical: {counts}." in seen(page)


def test_every_suite_has_its_question_and_what_was_not_asked_is_said(told: Told):
    markdown, _ = told(a_document({"api": a_household()["api"]}))

    assert "How long does a member wait for each answer, over a real socket?" in markdown
    assert "Not asked: database, load, memory, display, scheduler and recovery." in markdown


def test_the_machine_is_told_with_its_limits_load_versions_and_commit(told: Told):
    markdown, _ = told(a_document())

    facts = between(markdown, "## On what machine", "## What came out")
    for fact in (
        "Cortex-A53, 4 cores, aarch64",
        "512 MB",
        "0.26, 0.24, 0.37",
        "postgresql 18.6",
        "k6 unknown",
        "`bb20cb7897f9`",
    ):
        assert fact in facts


def test_a_box_is_named_at_the_top_with_its_calibration(told: Told):
    markdown, page = told(a_document(box=BOX))

    for text in (markdown, seen(page)):
        top = text[: text.index("What was asked", text.index("How to read it") if text is not markdown else 0) + 1]
        assert "pi-zero-2w" in top
    assert "> **Measured in a box.**" in markdown.partition("## What was asked")[0]
    for fact in (
        "sysbench cpu",
        "1,234 events/s",
        "169 events/s (161 … 173)",
        "7.30 × (7.12 … 7.66)",
        "a published list",
    ):
        assert fact in markdown


@pytest.mark.parametrize(
    ("head", "warning"),
    [
        ({"interrupted": True}, "This run was interrupted"),
        ({"settings": {**a_document({})["settings"], "quick": True}}, "This was a quick run"),
        ({"settings": {**a_document({})["settings"], "only": "take*"}}, "This run is a part"),
    ],
)
def test_what_spoils_a_run_is_said_before_anything_else(told: Told, head: dict[str, Any], warning: str):
    markdown, page = told(a_document(**head))

    assert f"> **{warning}.**" in markdown.partition("## What was asked")[0]
    assert warning in seen(page.partition("<h2")[0])


def test_a_row_that_was_not_measured_says_why(told: Told):
    markdown, page = told(one(not_measured("take_medicine", "no dose was due")))

    assert "? not measured: no dose was due" in markdown
    assert "? not measured" in seen(page)
    assert ": no dose was due" in seen(page)


def test_every_verdict_and_every_alert_is_there(told: Told):
    judgement = (document := a_document())["judgement"]

    markdown, page = told(document)

    for text in (markdown, page):
        section = text[text.rindex("Which targets hold") : text.rindex("Where the time goes")]
        for each in (*judgement["verdicts"], *judgement["alerts"]):
            assert each["id"] in section


def test_a_figure_that_misses_its_limit_never_looks_like_it(told: Told):
    series = a_series("take_medicine")
    promise = a_promise(5, "success_rate", at_least=1)
    del promise["targets"][0]["below"]
    for _ in range(99_960):
        series.add(5)
    series.fail("status 500")

    markdown, _ = told(one(series, promised=promise))

    assert "| share of good answers | ≥\u00a01 | 0.99999 |" in markdown


def test_a_run_that_may_pass_on_counts_alone_says_so(told: Told):
    document = a_document()
    document["judgement"] = {**document["judgement"], "gate": ["count", "ratio"], "holds": True}

    assert "**Every critical target about counts and ratios holds.**" in told(document)[0]


# No number is typed by hand


FIXED = r"p95|p99|ci95|k6|h[1-4]|utf-8|level == 2"


def test_no_text_of_the_report_has_a_figure_in_it():
    typed = []
    for file in sorted(Path(str(REPORT)).glob("*.py")):
        tree = ast.parse(file.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        keys = {id(key) for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and {id(node)}.isdisjoint(docstrings | keys)
            ):
                words = re.sub(FIXED, "", re.sub(r"<[^>]*(>|$)|^[^<]*\">", "", node.value))
                if re.search(r"\d", words) and not is_markup(words):
                    typed.append((file.name, node.value))

    assert typed == []


def is_markup(words: str) -> bool:
    """Formats of figures, units of the schema, patterns, paths of pictures."""
    return bool(
        re.fullmatch(
            r"[,+]?\.\d+[gf%]|\\+\d|[+,]?\.?\d*%?|1/s|\[.*\]\+?|\\d\+|.*\{r\} 0 1 1.*|A.*|\.\d%|width=.*|\\\\1|.*x00.*",
            words,
        )
    )


def figures(text: str) -> set[str]:
    return set(re.findall(r"\d[\d,.]*\d", re.sub(FIXED, "", text)))


def test_runs_of_which_no_figure_is_alike_share_none_in_their_reports(told: Told):
    shared = [set.union(*(figures(text) for text in as_seen(*told(unlike_others(run))))) for run in range(5)]

    # shares and ratios within one row do not change with its scale
    assert {each for each in set.intersection(*shared) if not re.fullmatch(r"\d\d|100|\d\.\d+", each)} == set()


def unlike_others(run: int) -> Document:
    """Every figure is another one than in the other runs, as far as a figure can be."""
    scale = 3.7193**run
    suites = {
        name: some[: 1 + run] for name, some in a_household(scale, seed=run).items() if name in ("database", "memory")
    }
    plain = a_document({})
    document = a_document(
        suites,
        promised={"targets": [], "alerts": []},
        timestamp=f"20{31 + run}-{run + 1:02}-{11 + run}T{13 + run}:{20 + run}:33+00:00",
        finished_at=f"20{31 + run}-{run + 1:02}-{21 + 2 * run}T{18 + run}:{31 + run}:47+00:00",
        version=f"{run}.{33 + run}",
        commit=f"{71 + run}ab",
        machine={
            **plain["machine"],
            "cpu": f"i{41 + run}",
            "id": f"{61 + run}fed",
            "architecture": "riscv",
            "memory_bytes": int(5e8 * scale),
            "kernel": f"{47 + run}.12",
            "load_average": [1.91 * scale, 1.82 * scale, 1.73 * scale],
            "versions": {"python": f"{81 + run}.{21 + run}"},
        },
        settings={**plain["settings"], "medicines": 71 + run, "history_days": 3651 + run},
        run_id=f"run-{87 + run}",
    )
    for suite in document["benchmarks"].values():
        suite["summary"]["took_s"] = 98.7 * scale
        for row in suite["benchmarks"]:
            row["iterations"] += 31 * run
            row |= {"bytes_per_response": 9177 + run} if "bytes_per_response" in row else {}
    return document


def as_seen(markdown: str, page: str) -> list[str]:
    return [markdown, seen(page)]


def test_a_run_without_figures_has_none_in_its_report(told: Told):
    head = {"version": "x", "commit": None, "run_id": "x"}
    document = a_document(
        {"api": [not_measured("take_medicine", "no dose was due")]}, promised={"targets": [], "alerts": []}, **head
    )
    document["benchmarks"]["api"]["summary"]["took_s"] = 0
    document["settings"] |= {"medicines": 0, "history_days": 0}
    document["machine"] |= {
        "id": "x",
        "cpu": None,
        "cores": 0,
        "memory_bytes": None,
        "kernel": "x",
        "load_average": [0, 0, 0],
    }
    document["machine"] |= {"architecture": "x", "versions": {}}
    document["finished_at"] = document["timestamp"]

    for text in as_seen(*told(document)):
        text = text.replace("2026-03-01 12:00", "").replace("1 user", "").replace("1 operation", "")
        assert set(re.findall(r"\d+", re.sub(FIXED, "", text))) <= {"0", "1"}


# What comes from outside


def test_nothing_of_a_document_becomes_markup(told: Told):
    bad = '<script>alert("x")</script> | `a` **b** </style>&amp;\n# c'
    series = a_series(bad, facts={"what": bad})
    series.fail(bad)
    document = one(series, promised=a_promise(0.001, source=bad, id=bad), version=bad, commit=bad)
    document["machine"]["cpu"] = bad
    document["benchmarks"]["api"]["reason"] = bad
    rows = [
        {
            "suite": bad,
            "operation": bad,
            "metric": bad,
            "unit": bad,
            "ratio": 1.2,
            "low": 1.1,
            "high": 1.3,
            "verdict": "slower",
        }
    ]

    markdown, page = told(document, comparison={"base": bad, "new": bad, "rows": rows})

    assert "<script" not in page
    assert page.count("</style>") == 1
    assert "\n# c" not in markdown
    assert "<script" not in re.sub(r"(`+) ?.*?\1(?!`)", "", markdown)
    columns = [
        len(re.findall(r"(?<!\\)\|", line))
        for line in between(markdown, "**Missed", "**All of").splitlines()
        if "|" in line
    ]
    assert len(set(columns)) == 1


def test_the_page_needs_nothing_else(told: Told):
    _, page = told(a_document(box=BOX))

    assert not re.search(r"https?:|//[a-z]|<script|@import|url\(|src=", page)
    assert "default-src 'none'" in page


# Whatever a run looks like


def test_it_copes_with_runs_of_every_kind(told: Told):
    single = Series("once", load=ONE_USER)
    single.add(3.1)
    failed = Series("never", load=ONE_USER)
    failed.fail("status 500")
    zero = Series("at_once")
    zero.add(0.0)
    crowd = [_crowd(f"{users}_users", users, 0, 1, 0) for users in (10, 20)]
    for suites in (
        {},
        {"api": []},
        {"api": [single]},
        {"api": [failed]},
        {"api": [zero]},
        {"api": [a_series(WIDE), single, failed, zero]},
        {"memory": [not_measured("stack_with_data", "no smaps")]},
        {"load": crowd},
        {"memory": [a_value("growth_per_hour", -1.3, "MB/h")]},
    ):
        markdown, page = told(a_document(suites))
        assert "## How to read it" in markdown
        assert page.rstrip().endswith("</html>")


def test_hundreds_of_promises_are_all_there(told: Told):
    promises = [{**a_promise(1, id=f"promise {place}")["targets"][0], "operation": "take"} for place in range(400)]

    markdown, page = told(one(a_series("take"), promised={"targets": promises, "alerts": []}))

    assert "**Missed: 400 promises**" in markdown
    assert page.count("promise 399") == 2


def test_a_closed_loop_is_said_to_ask_for_throughput(told: Told):
    markdown, _ = told(a_document({"load": [a_queue()]}))

    assert (
        "a closed loop of 50 users without think time asks for throughput: at 480 answers a second they wait 104 ms (N / X)."
        in markdown
    )
    assert "For its target of 100 ms it needs 500 answers a second." in markdown


def test_a_bound_below_nothing_says_nothing(told: Told):
    thinking = a_series("thinking", load=Load("closed", 50, 1), facts={"throughput_rps": 51.0})

    assert "What closed loops ask for" not in told(a_document({"load": [thinking]}))[0]


# What to try next


def a_queue() -> Series:
    """Fifty who wait for nothing but each other."""
    series = Series("concurrent_50_users", load=Load("closed", 50, 0), facts={"throughput_rps": 480.0})
    for _ in range(20):
        series.add(104.0)
    return series


def test_nothing_asks_for_work_where_all_is_well(told: Told):
    assert "Nothing in these figures asks for work." in told(one(a_value("takes_lost", 0, "count")))[0]


@pytest.mark.parametrize(
    ("document", "advice"),
    [
        (one(a_series("take"), promised=a_promise(2)), "**Bring it under its limit:** `take` of api: mean"),
        (one(not_measured("take", "no dose was due")), "**Measure what was not measured:** take: no dose was due."),
        (
            one(a_series("take", facts={"sql_messages_per_request": 3})),
            "**Ask once:** `take` sends PostgreSQL 3 messages",
        ),
        (one(a_series("rush", facts={"dropped_iterations": 7})), "`rush`: 7 requests could not even begin"),
        (
            one(a_value("growth", 3, "MB/h", sites=[_site(1)]), suite="memory"),
            "`api` kept 71.2 kB in 613 objects, made at `dosette_api/app.py:41`.",
        ),
        (
            one(a_series("take", facts=_costs(5, "api")), promised=a_promise(2)),
            "**Look at the busiest process:** `postgresql` takes 50 % of the CPU time of api",
        ),
        (
            one(
                a_value("stack", 117, "MB", processes=_memory(1)),
                suite="memory",
                promised=a_promise(100, "value", suite="memory", kind="memory"),
            ),
            "`postgresql` holds 31.7 MB of 117 MB in `stack`.",
        ),
        (a_document({"load": [a_queue()]}), "50 users at 480 answers a second must wait 104 ms"),
    ],
)
def test_advice_comes_from_the_figures(told: Told, document: Document, advice: str):
    assert advice in advised(told(document)[0])


def test_an_operation_that_fails_comes_first(told: Told):
    series = a_series("take", facts={"sql_messages_per_request": 3})
    series.fail("status 404")

    first = advised(told(one(series))[0]).split("\n- ")[1]

    assert first.strip() == "**Make it answer:** `take` failed in 1 of 41 tries: status 404 (1)."


def test_a_long_tail_is_named_with_its_ratio(told: Told):
    series = a_series("take", rounds=20)
    for _ in range(9):
        series.add(500)

    assert "**Shorten the tail:** `take` has a p99 of" in advised(told(one(series))[0])


def test_only_loops_of_one_name_are_joined_by_a_line(told: Told):
    ramp = [_crowd(f"ramp_up_{users}_users", users, 0, 1, 0) for users in (10, 50)]
    alone = _crowd("concurrent_50_users", 50, 0, 1, 0)

    _, page = told(a_document({"load": [*ramp, alone]}))

    chart = between(page, "<title>Throughput and mean wait against users</title>", "</svg>")
    assert chart.count('class="dot first"') == 6
    assert [path.count("L") for path in re.findall(r'class="curve first" d="([^"]+)"', chart)] == [1, 1]


def test_a_limit_within_the_interval_asks_for_more_rounds(told: Told):
    document = one(a_series("take"))
    row = document["benchmarks"]["api"]["benchmarks"][0]

    again = one(a_series("take"), promised=a_promise(round(row["mean_ms"] + 0.01, 2)))

    assert "**Measure more rounds:** `take`: its limit of" in advised(told(again)[0])


# Over results, and against another


def test_results_of_another_machine_or_box_are_left_out_of_the_trend_and_counted(told: Told):
    api = {"api": a_household()["api"]}
    others = [
        a_document(api, day=2, machine_id="other"),
        a_document(api, day=3, box=BOX),
        a_document(api, day=4, interrupted=True),
    ]

    markdown, page = told(a_document(api, day=1), *others, a_document(api, day=5))

    left_out = "2 results of this machine, this one the last. Left out: 1 of another machine, 1 of another box and 1 interrupted."
    assert left_out in markdown
    assert left_out in seen(page)
    assert "take_medicine over results" in page


def test_without_an_earlier_result_there_is_no_trend(told: Told):
    assert "There is no earlier result." in told(a_document())[0]


def test_a_figure_that_rises_over_results_is_advice(told: Told):
    days = [a_document({"api": [a_series("take", 5 * 1.2**day, rounds=3)]}, day=day) for day in range(1, 8)]

    markdown, _ = told(*days)

    assert "**Find when it began:** `take` of api is rising:" in advised(markdown)


def test_a_comparison_is_told_with_ratio_interval_and_verdict(told: Told):
    base, new = (one(a_series("take", typical, rounds=20)) for typical in (5, 9))

    markdown, page = told(new, comparison=comparison.told(comparison.compare(base, new)))

    assert "| api | `take` | median | 1.80 × | 1.73 … 1.87 | slower |" in markdown
    assert "New over base, api" in page
    assert "**See what changed:** `take` is slower than in the base: 1.80 ×." in advised(markdown)


def test_a_comparison_without_ratios_has_no_picture(told: Told):
    row = {"suite": "api", "operation": "take", "metric": "median_ms", "unit": "ms", "verdict": "not comparable"}
    rows = [row | dict.fromkeys(("ratio", "low", "high"))]

    markdown, page = told(a_document({}), comparison={"base": "a", "new": "b", "rows": rows})

    assert "| api | `take` | median | – | – | not comparable |" in markdown
    assert "New over base, api" not in page


# The page itself


def test_every_chart_says_what_it_shows(told: Told):
    _, page = told(a_document(day=1), a_document(day=2))

    charts = re.findall(r'<svg role="img".*?</svg>', page)
    assert len(charts) > 20
    assert all(re.search(r"<title>.+?</title><desc>.+?</desc>", chart) for chart in charts)
    assert all('aria-hidden="true"' in each or 'role="img"' in each for each in re.findall(r"<svg [^>]*>", page))
    for title in ("Throughput and mean wait against users", "Memory by process", "How long take_medicine took"):
        assert title in page


def colours_of(scheme: str) -> dict[str, str]:
    style = (REPORT / "style.css").read_text()
    light, dark = style.split("@media (prefers-color-scheme: dark)")[:2]
    dark = dark.partition("* {")[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))


def contrast(one: str, other: str) -> float:
    """As WCAG 2 has it."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_stand_out_enough_in_both_schemes(scheme: str):
    colours = colours_of(scheme)
    texts = [(text, on) for text in ("ink", "soft", "accent", "good", "bad", "open") for on in ("paper", "card")]
    letters = [("on-part", name) for name in colours if name.startswith("part-")]

    assert len(letters) == 8
    assert [
        pair for pair in [*texts, *letters, ("ink", "note")] if contrast(*(colours[name] for name in pair)) < 4.5
    ] == []


OVERLAPPING = """() => [...document.querySelectorAll('svg[role=img]')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
  const edge = svg.closest('figure').getBoundingClientRect();
  const outside = boxes.filter(([, a]) => a.left < edge.left || a.right > edge.right).map(([words]) => 'outside: ' + words);
  return outside.concat(boxes.flatMap(([words, a], i) => boxes.slice(i + 1)
    .filter(([, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
    .map(([other]) => words + ' / ' + other)));
})"""
SMALLEST_TEXT = """() => Math.min(...[...document.querySelectorAll('svg[role=img]')].map(svg =>
  Math.min(...[...svg.querySelectorAll('text')].map(text =>
    parseFloat(getComputedStyle(text).fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width))))"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_shows_it_without_overflow_overlap_or_complaint(
    chromium: Browser, tmp_path: Path, scheme: str, width: int
):
    wide = {**a_household(), "display": [a_series(WIDE, 141), a_series("w" * 90, 7), a_value("m" * 90, 1e12, "bytes")]}
    documents = [a_document(wide if day > 1 else a_household(1.3), day=day) for day in range(1, 4)]
    document = a_document({**wide, "memory": [a_value(WIDE, 117, "MB", processes=_memory(1e4))]}, day=9)
    told = comparison.told(comparison.compare(documents[0], document))
    page = tmp_path / "report.html"
    write_report([*documents, document], tmp_path / "report.md", page, told)
    complaints: list[str] = []

    shown = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    shown.on("console", lambda message: complaints.append(message.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("requestfailed", lambda request: complaints.append(request.url))
    shown.goto(page.as_uri())
    shown.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")

    assert complaints == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.evaluate(OVERLAPPING) == []
    assert shown.evaluate(SMALLEST_TEXT) >= 9.5
    shown.close()


@pytest.mark.browser
def test_the_page_prints_with_all_its_tables_open(chromium: Browser, tmp_path: Path):
    write_report([a_document()], tmp_path / "report.md", tmp_path / "report.html")

    shown = chromium.new_page()
    shown.goto((tmp_path / "report.html").as_uri())
    shown.emulate_media(media="print")

    assert shown.evaluate("document.querySelector('details table').getBoundingClientRect().height") > 50
    shown.close()


def test_no_two_colours_of_processes_are_the_same():
    for scheme in ("light", "dark"):
        parts = [colour for name, colour in colours_of(scheme).items() if name.startswith("part-")]
        assert all(one != other for one, other in combinations(parts, 2))
