"""Grafana and Prometheus ask only for what our processes really say; that they are answered is shown by tests/monitoring."""

import importlib.util
import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from dosette_display.metrics import exposition as told_by_a_panel
from dosette_scheduler import watch

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grafana/dashboards"
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))
}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, each in DASHBOARDS.items()
    for panel in each["panels"]
    if panel["type"] != "row"
]
RULES = [
    rule for group in yaml.safe_load((ROOT / "prometheus/rules.yml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDS = [rule for rule in RULES if "record" in rule]
PROCESSES = (
    "dosette_api.app",
    "dosette_api.backups.nightly",
    "dosette_scheduler.scheduler",
    "dosette_scheduler.worker",
    "dosette_display.cli",
)
BENCH = {"dosette_bench_figure", "dosette_bench_missed", "dosette_bench_run_timestamp_seconds"}
NAME = re.compile(r"\b(?:dosette|process)[a-z0-9_:]*\b")
WIDTH = 24


@pytest.fixture(scope="module")
def said() -> set[str]:
    """Names of all series that our processes serve."""
    for process in PROCESSES:
        import_module(process)
    names: set[str] = set()
    for metric in (*REGISTRY.collect(), *text_string_to_metric_families(told_by_a_panel())):
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
        names |= {metric.name + ending for ending in endings}
    watched = re.findall(
        r'"(dosette_[a-z_]+)"', Path(watch.__file__).read_text()
    )  # asked of real servers in its own test
    names |= {name + ending for name in watched for ending in ("", "_total")}
    return names | BENCH | {rule["record"] for rule in RECORDS}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """grafana/make_dashboards.py."""
    spec = importlib.util.spec_from_file_location("make_dashboards", ROOT / "grafana/make_dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_dashboards_are_as_their_source_says(generator: ModuleType):
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == generator.all_of_them(), "make dashboards"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_holds_nothing_that_grafana_s_schema_does_not_know(name: str):
    """Read by Grafana's own models and written again, nothing of it is lost."""
    board = {key: value for key, value in DASHBOARDS[name].items() if key != "id"}

    assert json.loads(JSONEncoder().encode(Dashboard.from_json(board))) == board


def test_dashboards_are_provisioned_whole():
    assert {name: each["uid"] for name, each in DASHBOARDS.items()} == {
        "benchmarks.json": "dosette-benchmarks",
        "household.json": "dosette-household",
        "performance.json": "dosette-performance",
        "reminders.json": "dosette-reminders",
    }
    for each in DASHBOARDS.values():
        ids = [panel["id"] for panel in each["panels"]]
        assert each["id"] is None
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_panel_lies_on_another_or_beside_the_page(name: str):
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARDS[name]["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < WIDTH


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit(panel: dict[str, Any]):
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "prometheus"
    assert all(target["datasource"]["uid"] == "prometheus" for target in panel["targets"])


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_for_series_that_exist(panel: dict[str, Any], said: set[str]):
    asked = {name for target in panel["targets"] for name in NAME.findall(target["expr"])}

    assert asked <= said
    assert asked or re.search(r"\bup\b|\bk6_|\bALERTS", panel["targets"][0]["expr"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_series_that_exist(rule: dict[str, Any], said: set[str]):
    assert set(NAME.findall(rule["expr"])) <= said


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_how_bad_it_is_and_what_to_look_at(rule: dict[str, Any]):
    assert rule["annotations"].keys() == {"summary", "description"}
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning", "none"}


def test_every_alert_has_a_test_that_it_fires_and_one_that_it_does_not():
    tests = [
        case
        for name in ("rules_test.yml", "rules_of_days_test.yml")
        for test in yaml.safe_load((ROOT / "prometheus" / name).read_text())["tests"]
        for case in test.get("alert_rule_test", ())
    ]
    fired = {case["alertname"] for case in tests if case.get("exp_alerts")}
    silent = {case["alertname"] for case in tests if not case.get("exp_alerts")}

    assert fired == {rule["alert"] for rule in ALERTS}
    assert silent == fired - {"Watchdog"}


def test_every_alert_and_every_dashboard_is_told_with_what_to_do():
    page = (ROOT / "docs/monitoring.md").read_text()

    assert re.findall(r"^\| `([A-Z]\w+)` \|", page, re.MULTILINE) == [rule["alert"] for rule in ALERTS]
    assert all(f"**{each['title']}**" in page for each in DASHBOARDS.values())


def test_every_service_of_compose_that_has_metrics_is_scraped():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    jobs = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    metered = {name for name, each in compose.items() if "DOSETTE_METRICS_BIND" in each.get("environment", {})}

    assert {job["job_name"] for job in jobs} == metered | {"api", "prometheus"}
