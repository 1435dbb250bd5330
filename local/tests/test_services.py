"""What each of Dosette's processes is told, and what it may not know."""

from pathlib import Path

import pytest

from dosette_local.folder import Folder
from dosette_local.services import METERED, Commands, services
from dosette_local.stores import Stores

BROKER = "mqtts://house:word@broker.home:8883"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.prepare()
    return made


def _told(folder: Folder, environ: dict[str, str], redis_url: str | None = None) -> dict[str, dict[str, str]]:
    """Service → its environment; nothing is started."""
    ports = {name: port for port, name in enumerate(("postgres", "valkey", *METERED), start=10001)}
    stores = Stores(
        folder, database_url=None, redis_url=redis_url, ports=ports, keeps_open=(), pause=lambda seconds: None
    )
    commands = Commands(folder.path / "bin", environ, folder, ())
    return {each.program.name: dict(each.program.env) for each in services(commands, stores, 8080, ports)}


def _who_knows(told: dict[str, dict[str, str]], word: str) -> set[str]:
    return {name for name, environ in told.items() if any(word in text for text in environ.values())}


def test_a_secret_is_known_to_those_who_need_it_only(folder: Folder) -> None:
    told = _told(folder, {"DOSETTE_MQTT_URL": BROKER, "DOSETTE_LINK_KEY": "stray", "REDIS_URL": "stray"})

    knows = {name: _who_knows(told, word) for name, word in folder.passwords().items()}

    assert knows["superuser"] == knows["redis"] == knows["backup"] == set()
    assert (knows["signing"], knows["links"]) == ({"api", "scheduler"}, {"api", "worker"})
    for own in ("api", "scheduler", "worker"):
        assert knows[own] == knows[f"redis_{own}"] == {own}
    assert _who_knows(told, BROKER) == {"scheduler", "worker"}
    assert _who_knows(told, "stray") == set()


def test_where_no_broker_is_set_nobody_is_told_of_one(folder: Folder) -> None:
    assert not any("DOSETTE_MQTT_URL" in environ for environ in _told(folder, {}).values())


def test_links_lead_to_this_machine_unless_another_address_is_set(folder: Folder) -> None:
    name = "DOSETTE_PUBLIC_URL"

    assert _told(folder, {})["worker"][name] == "http://127.0.0.1:8080"
    assert _told(folder, {name: "https://pills.home"})["worker"][name] == "https://pills.home"


def test_a_redis_that_was_given_is_reached_as_it_was_given(folder: Folder) -> None:
    url = "redis://:word@redis.home:6379/0"

    told = _told(folder, {}, redis_url=url)

    assert {told[name]["REDIS_URL"] for name in ("api", "scheduler", "worker")} == {url}
