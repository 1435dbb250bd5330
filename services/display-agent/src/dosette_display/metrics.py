"""The agent's metrics, and the small HTTP server that tells them to Prometheus.

By itself: prometheus_client holds a tenth of the memory that the agent may take, most of it HTTP clients, TLS and HTML that
nobody here needs (docs/decisions/0004-the-agent-tells-its-metrics-by-itself.md). What is told is read by that library in a test.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Protocol

from dosette.clock import moved_s
from dosette.memory import proportional_bytes

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""As those of all other processes."""
PATIENCE_S = 2.0
LONGEST_REQUEST = 8192
TEXT, JSON = "text/plain; version=0.0.4; charset=utf-8", "application/json"

Sample = tuple[str, float]


class Metric(Protocol):
    """What Prometheus is told by one name."""

    name: str
    what: str
    kind: str

    def samples(self) -> Iterator[Sample]: ...


_lock = Lock()
_all: list[Metric] = []


class Gauge:
    """A value that goes up and down; one of another kind is counted elsewhere. None as what it begins with: it is not told until set."""

    def __init__(self, name: str, what: str, kind: str = "gauge", begins: float | None = 0.0) -> None:
        self.name, self.what, self.kind = name, what, kind
        self._value = begins
        _all.append(self)

    def set(self, value: float) -> None:
        self._value = value

    def samples(self) -> Iterator[Sample]:
        if self._value is not None:
            yield self.name, self._value


class Counter:
    """A count that only grows; with a label, one for each value of that. `name` ends in `_total`."""

    kind = "counter"

    def __init__(self, name: str, what: str, label: str = "") -> None:
        self.name, self.what = name, what
        self._label = label
        self._counts: dict[str, int] = {} if label else {"": 0}
        _all.append(self)

    def inc(self, value: str = "") -> None:
        with _lock:
            self._counts[value] = self._counts.get(value, 0) + 1

    def samples(self) -> Iterator[Sample]:
        for value, count in self._counts.items():
            yield f'{self.name}{{{self._label}="{value}"}}' if value else self.name, count


class Histogram:
    """How long something took."""

    kind = "histogram"

    def __init__(self, name: str, what: str) -> None:
        self.name, self.what = name, what
        self._within = [0] * len(BUCKETS_S)
        self._count, self._sum_s = 0, 0.0
        _all.append(self)

    @contextmanager
    def time(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - began)

    def observe(self, seconds: float) -> None:
        with _lock:
            self._within = [count + (seconds <= limit) for count, limit in zip(self._within, BUCKETS_S, strict=True)]
            self._count, self._sum_s = self._count + 1, self._sum_s + seconds

    def samples(self) -> Iterator[Sample]:
        for limit, count in zip((*BUCKETS_S, "+Inf"), (*self._within, self._count), strict=True):
            yield f'{self.name}_bucket{{le="{limit}"}}', count
        yield f"{self.name}_count", self._count
        yield f"{self.name}_sum", self._sum_s


_offset = Gauge("dosette_clock_offset_seconds", "How far DOSETTE_CLOCK_FILE moves this process's clock; 0 in real life")
# What is told of every process of ours, as far as dashboards and alerts ask for it.
_memory = Gauge("process_resident_memory_bytes", "Resident memory size in bytes.")
_share = Gauge(
    "process_proportional_memory_bytes",
    "Resident memory, with pages that several processes use shared out among them (PSS)",
)
_started = Gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
_cpu = Gauge("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", "counter")


def exposition() -> str:
    """Everything, in Prometheus's text format."""
    _look_at_process()
    lines = []
    with _lock:
        for metric in _all:
            lines += [f"# HELP {metric.name} {metric.what}", f"# TYPE {metric.name} {metric.kind}"]
            lines += [f"{name} {float(value)}" for name, value in metric.samples()]
    return "\n".join(lines) + "\n"


def serve(bind: str | None, healthy: Callable[[], bool] = lambda: True) -> None:
    """Serves `/metrics` and `/health` (503 when `healthy` says no) on `host:port` as long as the process lives; None: nowhere."""
    if bind:
        host, _, port = bind.rpartition(":")
        listener = socket.create_server((host, int(port)))
        Thread(target=_serve, args=(listener, healthy), name="metrics", daemon=True).start()


def _look_at_process() -> None:
    """proc(5): of a process's own line, the 22nd word is when it was started, in ticks since the boot, the 24th its pages."""
    words = Path("/proc/self/stat").read_text().rpartition(")")[2].split()  # from the third on
    booted_at = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    _started.set(int(booted_at.split()[1]) + int(words[19]) / os.sysconf("SC_CLK_TCK"))
    _memory.set(resident := int(words[21]) * os.sysconf("SC_PAGE_SIZE"))
    _share.set(proportional_bytes() or resident)
    _cpu.set(time.process_time())
    _offset.set(moved_s())


def _serve(listener: socket.socket, healthy: Callable[[], bool]) -> None:
    """One caller after the other; who went away, or says nothing for two seconds, has lost only the answer."""
    while True:
        with suppress(OSError):
            caller, _ = listener.accept()
            with caller:
                caller.sendall(_answer(_path(caller), healthy))


def _path(caller: socket.socket) -> str:
    """That it asks for; empty when it says something else. All that it says is read, or its end would not read our answer."""
    said, until = b"", time.monotonic() + PATIENCE_S
    while b"\r\n\r\n" not in said and len(said) < LONGEST_REQUEST:
        caller.settimeout(max(0.001, until - time.monotonic()))
        if not (more := caller.recv(LONGEST_REQUEST)):
            break
        said += more
    match said.split(b"\r\n")[0].split():
        case [b"GET", path, _]:
            return path.decode("latin-1")
    return ""


def _answer(path: str, healthy: Callable[[], bool]) -> bytes:
    if path == "/metrics":
        return _reply("200 OK", TEXT, exposition())
    if path == "/health":
        return _reply("200 OK", JSON, '{"status": "ok"}') if healthy() else _stuck()
    return _reply("404 Not Found", TEXT, "only /metrics and /health are here\n")


def _stuck() -> bytes:
    return _reply("503 Service Unavailable", JSON, '{"status": "stuck"}')


def _reply(status: str, kind: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()
