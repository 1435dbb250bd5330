"""A household that runs as `make up` runs it, its nightly backup, and a real Prometheus that reads our own configuration."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener
from uuid import uuid4

import pytest
import yaml

from dosette_local.folder import read_object
from dosette_local.ports import LOOPBACK, free_port
from dosette_local.testing import Launched

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PATIENCE_S = 60.0
EVERY = "1s"
Seen = TypeVar("Seen")
_direct = build_opener(ProxyHandler({}))


class Household(Launched):
    """With a member's way to talk to it, and its nightly backup."""

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.access['token']}", "Idempotency-Key": str(uuid4())}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.access['url']}/api/v1{path}", data, headers, method=method)
        try:
            with _direct.open(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)

    def press(self) -> bool:
        """Whether the button found something to do."""
        told = {"DOSETTE_DEVICE_DIR": str(self.data / "device")}
        return not subprocess.run([BIN / "dosette-display", "press", "take"], capture_output=True, env=told).returncode

    @property
    def ports(self) -> Mapping[str, object]:
        """Of what serves metrics, by the job that asks it."""
        return {**read_object(self.data / "ports.json"), "api": self.port}

    @contextmanager
    def backing_up(self, folder: Path) -> Iterator[int]:
        """The port of the metrics of `dosette backup --nightly`, which compose.yaml runs beside the others."""
        port, password = free_port(), read_object(self.data / "secrets.json")["backup"]
        made = subprocess.run(
            [BIN / "dosette", "backup-key", folder / "key"], capture_output=True, text=True, check=True
        )
        told = {
            "DATABASE_URL": f"postgresql://dosette_backup:{password}@{LOOPBACK}:{self.ports['postgres']}/dosette",
            "DOSETTE_BACKUP_DIR": str(folder),
            "DOSETTE_BACKUP_TO": made.stdout.strip(),
            "DOSETTE_METRICS_BIND": f"{LOOPBACK}:{port}",
            "PATH": os.defpath,
        }
        with _running([BIN / "dosette", "backup", "--nightly"], folder / "log", told):
            yield port


@dataclass(frozen=True)
class Prometheus:
    """Asked over its HTTP API."""

    url: str

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The samples that a query finds now. Fails when it can't be read."""
        found: list[dict[str, Any]] = self._get("query", query=query)["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def targets(self) -> dict[str, str]:
        """How each job is."""
        return {each["labels"]["job"]: each["health"] for each in self._get("targets")["activeTargets"]}

    def answers(self) -> bool:
        with suppress(URLError, ConnectionError), _direct.open(f"{self.url}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    def _get(self, path: str, **words: str) -> Any:
        try:
            with _direct.open(f"{self.url}/api/v1/{path}?{urlencode(words)}", timeout=10) as answer:
                return json.load(answer)["data"]
        except HTTPError as error:
            raise AssertionError(f"{words}: {json.load(error)['error']}") from None


@pytest.fixture(scope="session")
def household(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Household]:
    with Household(tmp_path_factory.mktemp("watched") / "data") as launched:
        yield launched


@pytest.fixture(scope="session")
def prometheus(household: Household, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Told by our own prometheus.yml; only addresses and seconds are this test's."""
    program = shutil.which("prometheus")
    assert program is not None, "rules and panels are asked of a real Prometheus: apt install prometheus"
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    words = [
        program,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--web.enable-remote-write-receiver",
    ]
    running = Prometheus(f"http://{LOOPBACK}:{port}")
    with household.backing_up(tmp_path_factory.mktemp("backups")) as backup:
        _write_configuration(folder, {**household.ports, "backup": backup, "prometheus": port})
        with _running(words, folder / "log"):
            soon(running.answers, f"Prometheus is ready (its log: {folder}/log)")
            yield running


def soon(look: Callable[[], Seen | None], what: str, patience_s: float = PATIENCE_S) -> Seen:
    """What `look` sees once it sees anything."""
    deadline = time.monotonic() + patience_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"this did not come within {patience_s:g} s: {what}"
        time.sleep(0.5)
    return seen


def _write_configuration(folder: Path, ports: Mapping[str, object]) -> None:
    told = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())
    told["global"] = dict.fromkeys(told["global"], EVERY)
    if "backup" not in {job["job_name"] for job in told["scrape_configs"]}:
        told["scrape_configs"].append({"job_name": "backup"})
    for job in told["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [f"{LOOPBACK}:{ports[job['job_name']]}"]}]
    rules = yaml.safe_load((ROOT / "prometheus/rules.yml").read_text())
    for group in rules["groups"]:
        group["interval"] = EVERY
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(told))


@contextmanager
def _running(words: list[Any], log: Path, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    with log.open("w") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, env=environ)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)
