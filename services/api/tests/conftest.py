"""A client of the API over a real PostgreSQL, at noon."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from conftest import Home
from dosette.actions.devices import ServerKeys
from dosette.storage.connection import Database
from dosette.testing import NOON
from dosette_api.app import create_app
from dosette_api.household import Household
from dosette_local.servers.valkey import Valkey


@dataclass
class Clock:
    """Stands still until a test moves it."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Api:
    """Ana's client: sends her token, and a fresh Idempotency-Key with every POST unless the test names one."""

    client: FlaskClient
    token: str
    clock: Clock
    home: Home
    keys: Iterator[int] = field(default_factory=count)

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.send("GET", path, query_string=query)

    def post(self, path: str, body: Any = None, key: str | None = None) -> TestResponse:
        return self.send("POST", path, json=body, headers={"Idempotency-Key": key or f"test-{next(self.keys)}"})

    def put(self, path: str, body: Any) -> TestResponse:
        return self.send("PUT", path, json=body)

    def patch(self, path: str, body: Any) -> TestResponse:
        return self.send("PATCH", path, json=body)

    def send(self, method: str, path: str, headers: dict[str, str] | None = None, **said: Any) -> TestResponse:
        bearer = {"Authorization": f"Bearer {self.token}"}
        if said.get("json", ...) is None:
            del said["json"]
        return self.client.open(f"/api/v1{path}", method=method, headers=bearer | (headers or {}), **said)

    def add_medicine(self, **fields: Any) -> dict[str, Any]:
        plain = {"member_id": self.home.bruno, "name": "Metformin", "strength": "500 mg", "on_hand": "30"}
        told = self.post("/medicines", plain | fields)
        assert told.status_code == 201, told.text
        return told.get_json()

    def dose_of(self, medicine_id: str, at: str = "12:30") -> dict[str, Any]:
        """The first dose of a daily schedule at `at` (UTC)."""
        assert self.put(f"/medicines/{medicine_id}/schedule", {"steps": [{"time": at}]}).status_code == 200
        return self.get("/doses", medicine=medicine_id).get_json()["items"][0]


@pytest.fixture
def api(home: Home, database_of: Callable[[str], Database], valkey: Valkey) -> Api:
    clock = Clock()
    keys = ServerKeys("secret")
    outside = Household(
        database_of("api"), clock, valkey.url, device_keys=keys, redis_for_devices=f"127.0.0.1:{valkey.port}"
    )
    app = create_app(outside)
    return Api(app.test_client(), home.token, clock, home)
