"""What a picture on the panel costs: to draw, to send, and how often none is sent. The agent's own code, in processes of its own; and
what the stack's agent takes while nothing happens."""

import json
import time
from typing import Any

from dosette_bench import processes
from dosette_bench.bench import Bench
from dosette_bench.errors import CannotMeasure
from dosette_bench.probe import ran
from dosette_bench.processes import MB
from dosette_bench.stack import PROBES

LONGEST_S = 120
COLD = ("render_cold", "cpu_of_a_cold_picture", "import_and_first_picture")
WARM = ("render_warm", "page_of_plan", "render_unchanged", "cpu_of_a_picture")
BYTES = ("bytes_of_a_full_frame", "bytes_of_a_changed_frame", "bytes_of_a_frame_in_redis")
SPI = ("spi_bytes_of_a_full_refresh", "spi_bytes_of_a_partial_refresh", "spi_bytes_beyond_the_changed_rows")
AGENT = ("agent_pss", "agent_idle_cpu")
PART = "display-agent"
IDLE_S = 20.0
SPI_PICTURES = 20
DAY = (
    "bytes_of_an_equal_frame",
    "equal_frames_avoided",
    "refreshes_per_day",
    "bytes_per_day",
    "partials_to_a_full_refresh",
)
A_DAY = "a day of seven doses, a look each ten seconds, by the agent's own decisions on a clock that is set"


def measure(bench: Bench) -> None:
    """Adds the rows: cold and warm times, bytes, and the refreshes of a simulated day."""
    with bench.may_fail(*COLD):
        _cold(bench)
    with bench.may_fail(*WARM, *BYTES):
        _warm(bench)
    with bench.may_fail(*SPI):
        _spi(bench)
    with bench.may_fail(*AGENT):
        _agent(bench)
    with bench.may_fail(*DAY):
        _day(bench)


def _cold(bench: Bench) -> None:
    """A new process each time."""
    tries = range(max(bench.sizes.rounds, 1))
    if not any(map(bench.wants, COLD)):
        return
    rows = {name: bench.series(name) for name in COLD if bench.wants(name)}
    for _ in bench.each("drawing in fresh processes", tries):
        told = probe(bench, "cold")
        for name, field in zip(COLD, ("first_ms", "cpu_ms", "whole_ms"), strict=True):
            if name in rows:
                rows[name].next_round()
                rows[name].add(told[field])


def _warm(bench: Bench) -> None:
    if not any(map(bench.wants, (*WARM, *BYTES))):
        return
    times = zip(WARM, ("draw_ms", "page_ms", "same_ms", "cpu_ms"), strict=True)
    rows = {field: bench.series(name) for name, field in times if bench.wants(name)}
    sizes: list[dict[str, Any]] = []
    for _ in bench.each("drawing one after the other", range(bench.sizes.rounds)):
        told = probe(bench, "warm", str(max(bench.sizes.tries * 5, 5)))
        sizes.append(told)
        for field, series in rows.items():
            series.next_round()
            for value in told[field]:
                series.add(value)
    last = sizes[-1]
    bench.value(BYTES[0], last["full_bytes"], "bytes", what="250 × 122 pixels of one bit, as a driver sends them")
    _many(bench, BYTES[1], last["changed_bytes"], "of the rectangle that changed, for one of the panel's two memories")
    _many(bench, BYTES[2], last["png_bytes"], "the PNG for the pages that show the panel")


def _many(bench: Bench, operation: str, values: list[int], what: str) -> None:
    if bench.wants(operation):
        series = bench.series(operation, unit="bytes", what=what)
        for value in values:
            series.add(value)


def _spi(bench: Bench) -> None:
    if not any(map(bench.wants, SPI)):
        return
    bench.watcher.doing("pictures through the driver of an SSD1680")
    told = probe(bench, "spi", str(min(SPI_PICTURES, bench.sizes.rounds * 4)))
    bench.value(SPI[0], told["full"], "bytes", what="both memories of the panel, and the commands")
    _many(bench, SPI[1], told["partial"], f"for the dots that changed, {told['commands']} of them commands")
    what = "of the worst partial refresh, besides the commands and the changed rows in both memories"
    bench.value(SPI[2], told["beyond"], "bytes", what=what)


def _agent(bench: Bench) -> None:
    """Of the stack's own agent, which holds the plan of its household."""
    if not any(map(bench.wants, AGENT)):
        return
    parts = [each for each in bench.stack.processes() if each.name == PART]
    if not parts:
        raise CannotMeasure("the display agent is none of this stack's processes")
    bench.watcher.doing("the panel's agent does nothing")
    for_s, before, began = min(IDLE_S, 2 * bench.sizes.soak_s), processes.cpu_ms(parts)[PART], time.monotonic()
    time.sleep(for_s)
    used = (processes.cpu_ms(parts)[PART] - before) / 1000 / (time.monotonic() - began)
    bench.value(AGENT[0], processes.memory(parts)[PART].pss / MB, "MB", what="PSS of the panel's agent, with its plan")
    bench.value(AGENT[1], used, "ratio", what=f"CPU time of the panel's agent over {for_s:.0f} s")


def _day(bench: Bench) -> None:
    if not any(map(bench.wants, DAY)):
        return
    bench.watcher.doing("a day of the panel")
    told = probe(bench, "day")
    avoided = told["looks"] - told["refreshes"]
    ratio = avoided / (avoided + told["equal_shown"])
    bench.value(DAY[0], told["equal_bytes"], "bytes", what=f"sent for pictures that were there already: {A_DAY}")
    bench.value(DAY[1], ratio, "ratio", better="higher", what=f"of {told['looks']} looks; {A_DAY}")
    bench.value(DAY[2], told["refreshes"], "count", what=f"{told['full']} of them full; {A_DAY}")
    bench.value(DAY[3], told["bytes"], "bytes", what=A_DAY)
    bench.value(
        DAY[4], told["longest_partials"], "count", what="the longest run of partial refreshes before a full one"
    )


def probe(bench: Bench, *words: str) -> dict[str, Any]:
    """What `bench/probes/drawing.py` says. Raises CannotMeasure with its last words."""
    command = [str(bench.stack.commands / "python"), str(PROBES / "drawing.py"), *words]
    found: dict[str, Any] = json.loads(ran(command, LONGEST_S, "the panel was not drawn").stdout)
    return found
