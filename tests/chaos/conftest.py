"""A household whose parts are processes that can be struck."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from conftest import Home
from dosette_local.servers.postgres import Postgres
from dosette_local.servers.valkey import Valkey
from tests.chaos.parts import Parts


@pytest.fixture
def parts(home: Home, postgres: Postgres, valkey: Valkey, redis: Redis, tmp_path: Path) -> Iterator[Parts]:
    """None of them runs yet; those that a test starts end with it."""
    made = Parts(home, f"{postgres.url.rpartition('/')[0]}/{home.server.name}", valkey.url, tmp_path)
    yield made
    made.end()
