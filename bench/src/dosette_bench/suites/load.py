"""Many users at once, by k6: in closed loops, where each waits for the answer, and in open ones, where requests come whatever happens.

A closed loop without think time asks for throughput: its N users cannot be answered faster than N / X on average, so each row
states that bound. What a household does is in the rows with think time, and in the open ones.
"""

from dataclasses import dataclass

from dosette_bench import k6, processes
from dosette_bench.bench import Bench
from dosette_bench.k6 import Requests
from dosette_bench.samples import Load, Series


@dataclass(frozen=True)
class Scenario:
    """A file of `bench/k6`, and the rows that it fills."""

    name: str
    rows: dict[str, Load]


def users(count: int, think_time_s: float = 0) -> Load:
    return Load("closed", users=count, think_time_s=think_time_s)


def rate(rps: float) -> Load:
    return Load("open", rate_rps=rps)


RAMP = (10, 25, 50, 100)
SCENARIOS = (
    Scenario("concurrent-users", {"concurrent_50_users": users(50)}),
    Scenario(
        "ramp-up",
        {
            **{f"ramp_up_{count}_users": users(count) for count in RAMP},
            **{f"ramp_up_{count}_users_thinking": users(count, 1) for count in (*RAMP, 200)},
        },
    ),
    Scenario("stress", {"stress_200_users": users(200), "stress_500_users": users(500)}),
    Scenario("household", {"household": users(5, 1)}),
    Scenario("morning-rush", {"morning_rush": rate(50)}),
    Scenario("constant-rate", {f"constant_{rps}_rps": rate(rps) for rps in (20, 50, 100)}),
    Scenario("soak", {"soak": rate(5)}),
)


def measure(bench: Bench) -> None:
    """Adds a row for each operation of the scenarios that are wanted. A scenario that did not run says why in its rows."""
    for scenario in SCENARIOS:
        if not any(map(bench.wants, scenario.rows)):
            continue
        bench.watcher.doing(f"k6 {scenario.name}")
        with bench.may_fail(*scenario.rows):
            _run(bench, scenario)


def _run(bench: Bench, scenario: Scenario) -> None:
    seconds = bench.sizes.soak_s if scenario.name == "soak" else bench.sizes.load_s
    variables = {"SECONDS": f"{seconds:g}", "QUICK": "1" if bench.sizes.quick else ""}
    before = processes.cpu_ms(bench.stack.processes())
    found = k6.run(scenario.name, bench.stack, variables)
    after = processes.cpu_ms(bench.stack.processes())
    answered = sum(len(each.ms) for each in found.values())
    used = {part: round((after[part] - before.get(part, 0.0)) / answered, 4) for part in after} if answered else {}
    for operation, load in scenario.rows.items():
        if bench.wants(operation):
            series = bench.series(operation, load=load)
            _fill(series, found.get(operation), len(scenario.rows))
            if used and len(scenario.rows) == 1:
                series.note(cpu_ms_per_request=used | {"total": round(sum(used.values()), 4)})


def _fill(series: Series, requests: Requests | None, of: int) -> None:
    """A second of the run is a round."""
    if requests is None or not requests.ms:
        series.not_measured = "k6 made no request of this kind"
        return
    began = min(requests.ended_s)
    second = -1
    for ended, ms, wrong in sorted(
        zip(requests.ended_s, requests.ms, requests.wrong, strict=True), key=lambda each: each[0]
    ):
        if int(ended - began) != second:
            second = int(ended - began)
            series.next_round()
        if wrong is None:
            series.add(ms)
        else:
            series.fail(wrong)
    good = requests.wrong.count(None)
    series.note(throughput_rps=round(good / requests.lasted_s, 3))
    if (series.load is not None and series.load.model == "open") or of == 1:
        series.note(dropped_iterations=requests.dropped)
