"""What the agent tells Prometheus, read by Prometheus's own library, and who may ask for it."""

import socket
import urllib.request
from datetime import timedelta
from pathlib import Path
from urllib.error import HTTPError

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dosette.clock import MovableClock
from dosette.metrics import LATENCY_BUCKETS_S
from dosette_display.metrics import BUCKETS_S, Counter, Gauge, Histogram, exposition, serve
from dosette_local.ports import free_port


def _told(text: str) -> dict[str, tuple[str, str, list[tuple[str, dict[str, str], float]]]]:
    """Kind, help and samples of each metric."""
    families = text_string_to_metric_families(text)
    return {
        each.name: (each.type, each.documentation, [(one.name, one.labels, one.value) for one in each.samples])
        for each in families
    }


def test_it_tells_what_the_library_would():
    theirs = prometheus_client.CollectorRegistry()
    pushes = prometheus_client.Counter("test_pushes", "Pushes", ("kind",), registry=theirs)
    ours = Counter("test_pushes_total", "Pushes", "kind")
    looks = prometheus_client.Counter("test_looks", "Looks", registry=theirs), Counter("test_looks_total", "Looks")
    ages = prometheus_client.Gauge("test_age", "Age", registry=theirs), Gauge("test_age", "Age")
    took = prometheus_client.Histogram("test_took", "Took", buckets=BUCKETS_S, registry=theirs)
    times = took, Histogram("test_took", "Took")

    for kind in ("take", "skip", "take"):
        pushes.labels(kind).inc()
        ours.inc(kind)
    for look, age, time in zip(looks, ages, times, strict=True):
        look.inc()
        age.set(1.5)
        for seconds in (0.005, 0.006, 0.3, 7.0):
            time.observe(seconds)

    wanted = _told(prometheus_client.generate_latest(theirs).decode())
    said = _told(exposition())
    assert {name: said[name] for name in wanted if not name.endswith("_created")} == {
        name: each for name, each in wanted.items() if not name.endswith("_created")
    }


def test_what_a_process_takes_is_told_as_by_every_other_process_of_the_house():
    theirs = _told(prometheus_client.generate_latest().decode())

    ours = _told(exposition())

    names = (
        "process_resident_memory_bytes",
        "process_proportional_memory_bytes",
        "process_start_time_seconds",
        "process_cpu_seconds",
    )
    for name in names:
        (_, _, [(_, _, wanted)]), (kind, _, [(_, _, said)]) = theirs[name], ours[name]
        assert kind == theirs[name][0]
        assert said == pytest.approx(wanted, rel=0.1)


def test_times_are_told_in_the_buckets_of_all_processes():
    assert BUCKETS_S == LATENCY_BUCKETS_S


def test_a_time_is_told_also_of_what_failed():
    took = Histogram("test_failed", "Failed")

    with pytest.raises(ZeroDivisionError), took.time():
        raise ZeroDivisionError

    assert dict(took.samples())["test_failed_count"] == 1


def test_how_far_the_clock_is_moved_is_told(tmp_path: Path):
    clock = MovableClock(tmp_path / "clock")
    clock.move(timedelta(hours=3))

    clock()

    assert "\ndosette_clock_offset_seconds 10800.0\n" in f"\n{exposition()}"


@pytest.fixture
def health() -> list[bool]:
    return [True]


@pytest.fixture
def served(health: list[bool]) -> str:
    bind = f"127.0.0.1:{free_port()}"
    serve(bind, lambda: health[0])
    return bind


def _asked(bind: str, path: str, method: str = "GET") -> tuple[int, str]:
    wanted = urllib.request.Request(f"http://{bind}{path}", method=method)
    try:
        with urllib.request.urlopen(wanted, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_loop_that_hangs_is_unhealthy(served, health):
    assert _asked(served, "/health") == (200, '{"status": "ok"}')
    health[0] = False

    assert _asked(served, "/health") == (503, '{"status": "stuck"}')


@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/metrics", "POST"), ("/../etc/passwd", "GET")])
def test_nothing_else_is_there(served, path, method):
    assert _asked(served, path, method)[0] == 404


@pytest.mark.parametrize("says", [b"", b"GET /metrics", b"\xff\x00\r\n\r\n", b"x" * 20_000])
def test_who_says_nothing_or_nonsense_or_goes_away_keeps_nobody_from_asking(served, says):
    host, _, port = served.rpartition(":")
    with socket.create_connection((host, int(port))) as rude:
        rude.sendall(says)

        assert _asked(served, "/health")[0] == 200
    assert "process_resident_memory_bytes" in _asked(served, "/metrics")[1]
