"""Sends kept results to Prometheus by remote write, as k6 does, each at the time at which it was measured: so Grafana shows the trend.

Sent again, nothing changes. Prometheus takes what is older than an hour since prometheus.yml gives it an `out_of_order_time_window`.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import cramjam

from dosette_bench.comparison import box_label, machine_label, rows_of, value_of
from dosette_bench.errors import CannotMeasure
from dosette_bench.results import Document

ANSWERS_S = 30
Series = Mapping[tuple[tuple[str, str], ...], Sequence[tuple[int, float]]]
"""Labels in their order → times in milliseconds since 1970, and values."""
_direct = build_opener(ProxyHandler({}))  # what is on this machine is never asked for through a proxy


def publish(documents: Sequence[Document], url: str) -> int:
    """How many figures were sent. Raises CannotMeasure when `url` does not take them."""
    series = series_of(documents)
    body = cramjam.snappy.compress_raw(_message(series))
    headers = {
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    try:
        _direct.open(Request(url, bytes(body), headers, method="POST"), timeout=ANSWERS_S).close()
    except HTTPError as error:
        said = error.read(300).decode(errors="replace").strip()
        raise CannotMeasure(f"{url} did not take the results: {error.code} {said or error.reason}") from None
    except (URLError, OSError, ValueError) as error:
        raise CannotMeasure(
            f"{url} takes no results ({getattr(error, 'reason', error)}): is Prometheus there, "
            "started with --web.enable-remote-write-receiver?"
        ) from None
    return sum(map(len, series.values()))


def series_of(documents: Sequence[Document]) -> Series:
    """Every figure that was measured, the oldest first; when each run was, and how many critical targets it missed."""
    found: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = defaultdict(list)
    for document in sorted(documents, key=lambda each: str(each["timestamp"])):
        at = round(datetime.fromisoformat(document["timestamp"]).timestamp() * 1000)
        for labels, value in _figures(document):
            where = {"machine": machine_label(document), "box": box_label(document)}
            found[tuple(sorted((labels | where).items()))].append((at, value))
    return found


def _figures(document: Document) -> Iterator[tuple[dict[str, str], float]]:
    for (suite, operation), row in rows_of(document).items():
        if (value := value_of(row)) is not None:
            yield (
                {"__name__": "dosette_bench_figure", "suite": suite, "operation": operation, "unit": row["unit"]},
                value,
            )
    measured_at = datetime.fromisoformat(document["timestamp"]).timestamp()
    yield {"__name__": "dosette_bench_run_timestamp_seconds"}, measured_at
    if not document["interrupted"]:
        verdicts = document["judgement"]["verdicts"]
        yield (
            {"__name__": "dosette_bench_missed"},
            sum(each["level"] == "critical" and each["met"] is False for each in verdicts),
        )


# Three messages of protocol buffers, written out: https://prometheus.io/docs/specs/prw/remote_write_spec/


def _message(series: Series) -> bytes:
    return b"".join(_field(1, _time_series(labels, samples)) for labels, samples in series.items())


def _time_series(labels: Sequence[tuple[str, str]], samples: Sequence[tuple[int, float]]) -> bytes:
    told = [_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in labels]
    told += [_field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(at)) for at, value in samples]
    return b"".join(told)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
