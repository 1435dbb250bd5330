"""What is sent to Prometheus. That a real one takes it: tests/monitoring."""

import json
from pathlib import Path
from typing import Any

import pytest

from dosette_bench.cli import main
from dosette_bench.errors import CannotMeasure
from dosette_bench.publish import publish, series_of
from dosette_local.ports import free_port

MACHINE = {"id": "one", "cpu": "Cortex-A53", "cores": 4, "memory_bytes": 512_000_000, "architecture": "aarch64"}


def a_result(day: int, median: float | None, *met: bool, interrupted: bool = False) -> dict[str, Any]:
    row = {"operation": "pending", "unit": "ms", "better": "lower", "median_ms": median}
    return {
        "timestamp": f"2025-03-{day:02}T12:00:00+00:00",
        "interrupted": interrupted,
        "box": None,
        "machine": MACHINE,
        "benchmarks": {"api": {"benchmarks": [row]}},
        "judgement": {"verdicts": [{"level": "critical", "met": each} for each in met]},
    }


def _sent(*documents: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
    return {dict(labels)["__name__"]: list(samples) for labels, samples in series_of(documents).items()}


def test_each_figure_is_sent_at_the_time_at_which_it_was_measured_the_oldest_first():
    sent = _sent(a_result(2, 3.5, True), a_result(1, 4.5, True))

    assert sent["dosette_bench_figure"] == [(1740830400000, 4.5), (1740916800000, 3.5)]


def test_a_figure_says_of_what_and_where_it_is():
    (labels, _), *_ = series_of([a_result(1, 4.5)]).items()

    assert dict(labels) == {
        "__name__": "dosette_bench_figure",
        "suite": "api",
        "operation": "pending",
        "unit": "ms",
        "machine": "Cortex-A53, 4 cores, 0.5 GB of memory",
        "box": "outside a box",
    }


def test_what_was_not_measured_is_not_sent():
    assert "dosette_bench_figure" not in _sent(a_result(1, None))


def test_missed_targets_are_counted_unless_the_run_was_interrupted():
    sent = _sent(a_result(1, 4.5, True, False, False), a_result(2, 4.5, False, interrupted=True))

    assert [value for _, value in sent["dosette_bench_missed"]] == [2]


def test_a_prometheus_that_is_not_there_is_named_with_what_to_do():
    url = f"http://127.0.0.1:{free_port()}/api/v1/write"

    with pytest.raises(CannotMeasure, match=f"{url} takes no results .* --web.enable-remote-write-receiver"):
        publish([a_result(1, 4.5)], url)


def test_an_address_that_is_none_is_named():
    with pytest.raises(CannotMeasure, match="nonsense takes no results"):
        publish([a_result(1, 4.5)], "nonsense")


def test_without_a_result_nothing_is_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "broken.json").write_text(json.dumps({}))

    with pytest.raises(SystemExit):
        main(["publish", "--out", str(tmp_path)])

    assert "no result is kept in" in capsys.readouterr().err
