"""Alive, ready, metrics, panels, and the description."""

import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate as validate_openapi
from redis import Redis

from conftest import Home
from dosette.actions import devices
from dosette.actions.devices import ServerKeys
from dosette.bus import ANSWER_TIMEOUT_S
from dosette.contracts.names import frame_key
from dosette.storage.connection import Database
from dosette.testing import NOON
from dosette_api.app import create_app
from dosette_api.household import Household


@pytest.fixture
def device_id(home: Home) -> str:
    return devices.pair(home.database, home.console, "Kitchen", ServerKeys("secret"), "redis:6379", "", NOON).device_id


def _client(database: Database, redis_url: str | None = None) -> Any:
    return create_app(Household(database, lambda: NOON, redis_url)).test_client()


def test_ready_is_told_when_both_servers_answer(api: Any):
    assert api.client.get("/ready").get_json() == {"status": "ready", "database": "ok", "redis": "ok"}


def test_without_redis_it_is_degraded_and_still_ready(database_of: Callable[[str], Database]):
    told = _client(database_of("api"), "redis://127.0.0.1:1/0").get("/ready")

    assert (told.status_code, told.get_json()["status"]) == (200, "degraded")


def test_without_the_database_everything_is_503_but_health():
    client = _client(Database("postgresql://nobody@127.0.0.1:1/none", "test"))

    told = client.get("/api/v1/medicines", headers={"Authorization": "Bearer x"})

    assert (told.status_code, told.headers["Retry-After"]) == (503, "2")
    assert (client.get("/ready").status_code, client.get("/health").status_code) == (503, 200)


def test_metrics_name_endpoints_and_no_ids(api: Any):
    medicine_id = api.add_medicine()["id"]
    api.get(f"/medicines/{medicine_id}")

    metrics = api.client.get("/metrics").text

    assert 'dosette_http_requests_total{endpoint="medicines.get_medicine",method="GET",status="200"}' in metrics
    assert medicine_id not in metrics


def test_the_picture_of_a_panel_is_what_its_agent_showed_last(api: Any, redis: Redis, device_id: str):
    redis.set(frame_key(device_id), b"\x89PNG")

    told = api.get(f"/devices/{device_id}/frame.png")

    assert (told.status_code, told.content_type, told.data) == (200, "image/png", b"\x89PNG")


def test_a_silent_panel_and_a_stranger_s_panel_are_not_found(api: Any, redis: Redis, device_id: str):
    assert "look whether its agent is running" in api.get(f"/devices/{device_id}/frame.png").get_json()["detail"]
    assert "no such device" in api.get(f"/devices/{api.home.id}/frame.png").get_json()["detail"]


def test_a_picture_without_redis_is_an_outage(home: Home, database_of: Callable[[str], Database], device_id: str):
    client = _client(database_of("api"), "redis://127.0.0.1:1/0")

    told = client.get(f"/api/v1/devices/{device_id}/frame.png", headers={"Authorization": f"Bearer {home.token}"})

    assert told.status_code == 503


def test_a_redis_that_hangs_holds_up_a_picture_for_a_moment_only(
    home: Home, database_of: Callable[[str], Database], device_id: str
):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        client = _client(database_of("api"), f"redis://127.0.0.1:{mute.getsockname()[1]}/0")
        began = monotonic()

        told = client.get(f"/api/v1/devices/{device_id}/frame.png", headers={"Authorization": f"Bearer {home.token}"})

    assert (told.status_code, monotonic() - began < ANSWER_TIMEOUT_S / 2) == (503, True)


def test_the_description_is_valid_openapi_3_1(api: Any):
    described = api.get("/openapi.json").get_json()

    validate_openapi(described)
    assert described["openapi"].startswith("3.1")
    assert described["security"] == [{"bearer": []}]
    assert described["paths"]["/api/v1/doses/{dose_id}/take"]["post"]["operationId"] == "take_dose"


def test_every_answer_is_of_the_shape_that_is_described(api: Any, device_id: str):
    medicine_id = api.add_medicine()["id"]
    dose = api.dose_of(medicine_id)
    api.post(f"/doses/{dose['id']}/take")
    api.post("/contacts", {"member_id": api.home.ana, "channel": "file", "address": "ana.jsonl"})
    described = api.get("/openapi.json").get_json()
    paths = [
        "/household",
        "/members",
        "/medicines",
        "/medicines/pending",
        "/medicines/low-stock",
        "/doses",
        "/history",
        "/devices",
        "/contacts",
    ]
    paths += [f"/medicines/{medicine_id}", f"/medicines/{medicine_id}/schedule", f"/medicines/{medicine_id}/stock"]

    for path in paths:
        template = "/api/v1" + path.replace(medicine_id, "{medicine_id}")
        shape = described["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        body = api.get(path).get_json()
        Draft202012Validator({**shape, "components": described["components"]}).validate(body)
        assert body.get("items", [1]) or path in ("/medicines/pending", "/medicines/low-stock")


def test_the_process_imports_nothing_heavy(database_of: Callable[[str], Database]):
    import subprocess
    import sys

    code = "import sys, dosette_api.app, dosette_api.serve; print(*sorted(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )

    assert loaded & {"redis", "rq", "sqlalchemy", "pydantic", "PIL", "apprise", "requests", "spectree"} == set()
