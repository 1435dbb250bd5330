"""Every panel and every rule, asked of a real Prometheus that watches a real household in which something happens.

make test ARGS='-m monitoring'
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from dosette_bench.publish import publish
from dosette_local.ports import LOOPBACK, free_port
from tests.monitoring.conftest import BIN, ROOT, Household, Prometheus, soon

pytestmark = [pytest.mark.monitoring, pytest.mark.timeout(300)]

RULES = [
    rule for group in yaml.safe_load((ROOT / "prometheus/rules.yml").read_text())["groups"] for rule in group["rules"]
]
PANELS = [
    pytest.param(target["expr"], id=f"{path.stem}: {panel['title']}: {target['refId']}")
    for path in sorted((ROOT / "grafana/dashboards").glob("*.json"))
    for panel in json.loads(path.read_text())["panels"]
    for target in panel.get("targets", ())
]
VARIABLES = {"$run": ".*", "$suite": ".*", "$__rate_interval": "10m"}
SELECTOR = re.compile(r"\b(?:dosette[a-z0-9_:]*|process_[a-z_]+|up)\b(?:\{[^}]*\})?")
RIGHTLY_ABSENT = {'dosette_http_requests_total{status=~"5.."}'}
"""An API that never failed counts no failure."""
HEALTHY = {
    "ServiceDown",
    "RemindersStalled",
    "SchedulerSilent",
    "DatabaseAway",
    "NobodyDelivers",
    "MemoryHigh",
    "DiskFilling",
}
A_RUN = {
    "interrupted": False,
    "box": None,
    "machine": {"cpu": "Cortex-A53", "cores": 4, "memory_bytes": 512_000_000, "architecture": "aarch64"},
    "judgement": {"verdicts": [{"level": "critical", "met": True}]},
}


@pytest.fixture(scope="module", autouse=True)
def _lived_through(household: Household, prometheus: Prometheus) -> None:
    """A dose falls due and is taken at the panel, a message arrives, another fails, k6 runs, the trend is sent, a backup is made."""
    soon(lambda: set(prometheus.targets().values()) == {"up"}, "everybody is scraped")
    publish([_result(days) for days in (40, 20, 0)], f"{prometheus.url}/api/v1/write")
    _tell(household)
    _fail_to_tell(household)
    _take_at_the_panel(household)
    _run_k6(household, prometheus)


def _result(days_ago: float) -> dict[str, Any]:
    rows = [
        {"operation": f"in {unit}", "unit": unit, "better": "lower", "median_ms" if unit == "ms" else "value": 4.2}
        for unit in ("ms", "count", "ratio", "MB")
    ]
    at = datetime.now(UTC) - timedelta(days=days_ago)
    return A_RUN | {"timestamp": at.isoformat(), "benchmarks": {"api": {"benchmarks": rows}}}


def _tell(household: Household) -> None:
    """A message that arrives after the first look: a dose's may wait for the next minute, and be taken before."""
    contact = next(each for each in household.call("GET", "/contacts")[1]["items"] if each["channel"] == "file")
    status, told = household.call("POST", f"/contacts/{contact['id']}/test")
    assert status < 300, told


def _fail_to_tell(household: Household) -> None:
    """Through a webhook behind which nobody listens."""
    ana = next(each["id"] for each in household.call("GET", "/members")[1]["items"] if each["name"] == "Ana")
    nobody = {"member_id": ana, "channel": "webhook", "address": f"http://{LOOPBACK}:{free_port()}/"}
    status, contact = household.call("POST", "/contacts", nobody)
    assert status == 201, contact
    status, told = household.call("POST", f"/contacts/{contact['id']}/test")
    assert status < 300, told


def _take_at_the_panel(household: Household) -> None:
    """Whatever is due there; something is, for a medicine of the demo's is made due now."""
    ana = next(each["id"] for each in household.call("GET", "/members")[1]["items"] if each["name"] == "Ana")
    wanted = {"member_id": ana, "name": "Watchmycin", "strength": "5 mg", "on_hand": "10"}
    medicine = household.call("POST", "/medicines", wanted)[1]["id"]
    zone = ZoneInfo(household.call("GET", "/household")[1]["zone"])
    due = datetime.now(zone) + timedelta(seconds=2)
    steps = {"steps": [{"time": f"{due:%H:%M:%S}", "amount": "1"}]}
    status, told = household.call("PUT", f"/medicines/{medicine}/schedule", steps)
    assert status == 200, told
    soon(household.press, "a press that takes something")


def _run_k6(household: Household, prometheus: Prometheus) -> None:
    told = {
        "BASE_URL": str(household.access["url"]),
        "TOKEN": str(household.access["token"]),
        "SECONDS": "5",
        "SUMMARY": os.devnull,
        "K6_NO_USAGE_REPORT": "true",
        "K6_PROMETHEUS_RW_SERVER_URL": f"{prometheus.url}/api/v1/write",
        "K6_PROMETHEUS_RW_TREND_STATS": "avg,p(50),p(95),p(99)",
        "K6_PROMETHEUS_RW_PUSH_INTERVAL": "1s",
        "PATH": os.defpath,
        "HOME": os.environ.get("HOME", "/"),
    }
    words = [
        BIN / "k6",
        "run",
        "--quiet",
        "--address",
        "",
        "--tag",
        "testid=watched",
        "--out",
        "experimental-prometheus-rw",
    ]
    done = subprocess.run([*words, ROOT / "bench/k6/smoke.js"], env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _figures(prometheus: Prometheus, query: str) -> list[float]:
    return [float(each["value"][1]) for each in prometheus.ask(query) if each["value"][1] != "NaN"]


def _selectors(rule: dict[str, Any]) -> Iterator[str]:
    yield from SELECTOR.findall(rule["expr"])


@pytest.mark.parametrize("query", PANELS)
def test_a_panel_s_query_is_valid_and_finds_figures(prometheus: Prometheus, query: str):
    for name, value in VARIABLES.items():
        query = query.replace(name, value)

    assert soon(lambda: _figures(prometheus, query), query)


@pytest.mark.parametrize("name", [rule["record"] for rule in RULES if "record" in rule])
def test_what_is_reckoned_ahead_is_there(prometheus: Prometheus, name: str):
    assert soon(lambda: _figures(prometheus, name), name)


@pytest.mark.parametrize("rule", [rule for rule in RULES if "alert" in rule], ids=lambda rule: rule["alert"])
def test_everything_that_an_alert_asks_for_is_told_by_somebody(prometheus: Prometheus, rule: dict[str, Any]):
    for selector in _selectors(rule):
        asked = selector.partition("{")[0] if selector in RIGHTLY_ABSENT else selector
        assert soon(lambda asked=asked: _figures(prometheus, asked), asked)


def test_no_rule_fails_when_it_is_reckoned(prometheus: Prometheus):
    rules = soon(
        lambda: (found := prometheus.rules()) and all(each["health"] != "unknown" for each in found) and found,
        "all rules",
    )

    assert len(rules) == len(RULES)
    assert {each["name"]: each["lastError"] for each in rules if each["health"] != "ok"} == {}


def test_an_alert_fires_for_what_went_wrong_the_watchdog_always_and_none_for_what_is_well(prometheus: Prometheus):
    def firing() -> set[str]:
        return {each["metric"]["alertname"] for each in prometheus.ask('ALERTS{alertstate="firing"}')}

    soon(lambda: firing() >= {"DeliveriesFail", "Watchdog"}, "the alert on the message that failed")

    assert firing() & HEALTHY == set()


def test_a_trend_keeps_the_days_on_which_it_was_measured(prometheus: Prometheus):
    for days in (40, 20):
        assert _figures(prometheus, f"last_over_time(dosette_bench_figure[1h] offset {days}d)")


def test_no_label_tells_who_takes_what(household: Household, prometheus: Prometheus):
    """Neither a name nor an id of the demo household is in any series."""
    members = household.call("GET", "/members")[1]["items"]
    medicines = household.call("GET", "/medicines")[1]["items"]
    private = {each[key] for each in (*members, *medicines) for key in ("id", "name")} | {
        str(household.access["device"])
    }
    told = {value for each in prometheus.ask('{__name__=~"dosette_.+"}') for value in each["metric"].values()}

    assert told & private == set()
