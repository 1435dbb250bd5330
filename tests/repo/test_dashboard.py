"""Grafana and Prometheus ask only for what our processes really say."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

ROOT = Path(__file__).parents[2]
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.name: json.loads(path.read_text()) for path in sorted((ROOT / "grafana/dashboards").glob("*.json"))
}
PANELS = [panel for each in DASHBOARDS.values() for panel in each["panels"] if panel["type"] != "row"]
RULES = [
    rule for group in yaml.safe_load((ROOT / "prometheus/rules.yml").read_text())["groups"] for rule in group["rules"]
]
PROCESSES = ("dosette_api.app", "dosette_scheduler.scheduler", "dosette_scheduler.worker", "dosette_display.cli")
NAME = re.compile(r"\b(?:dosette|process)_[a-z_]+\b")


@pytest.fixture(scope="module")
def said() -> set[str]:
    """Names of all series that our processes serve."""
    for process in PROCESSES:
        import_module(process)
    names: set[str] = set()
    for metric in REGISTRY.collect():
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
        names |= {metric.name + ending for ending in endings}
    return names


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_in_which_unit(panel: dict[str, Any]):
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "prometheus"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_series_that_exist(panel: dict[str, Any], said: set[str]):
    asked = {name for target in panel["targets"] for name in NAME.findall(target["expr"])}

    assert asked <= said
    assert asked or re.search(r"\bup{|\bk6_", panel["targets"][0]["expr"])  # k6's own: tests/stack/play.py sends a run


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_series_that_exist(rule: dict[str, Any], said: set[str]):
    assert set(NAME.findall(rule["expr"])) <= said
    assert rule["annotations"].keys() == {"summary", "description"}


def test_every_alert_has_a_test_that_it_fires():
    tests = yaml.safe_load((ROOT / "prometheus/rules_test.yml").read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")}
    silent = {case["alertname"] for test in tests for case in test["alert_rule_test"] if not case.get("exp_alerts")}

    assert fired == {rule["alert"] for rule in RULES}
    assert silent == fired - {"Watchdog"}


def test_dashboards_are_provisioned_whole():
    assert {name: each["uid"] for name, each in DASHBOARDS.items()} == {
        "dosette.json": "dosette",
        "k6.json": "dosette-k6",
    }
    for each in DASHBOARDS.values():
        ids = [panel["id"] for panel in each["panels"]]
        assert each["id"] is None
        assert len(ids) == len(set(ids))


def test_every_service_of_compose_that_has_metrics_is_scraped():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    jobs = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())["scrape_configs"]

    assert {job["job_name"] for job in jobs} == {"api", "scheduler", "worker", "display-agent", "prometheus"}
    assert {job["job_name"] for job in jobs} <= compose.keys()
