"""A real Redis-compatible server as a child."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from dosette_local.ports import free_port
from dosette_local.servers.valkey import Valkey, find_binary
from dosette_local.supervision import Watched


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "with space", port=free_port(), password="right") as valkey:
        yield valkey


def test_it_asks_for_a_password_which_is_in_no_argument(valkey: Valkey) -> None:
    assert redis.Redis.from_url(valkey.url).ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=valkey.port, retry=None).ping()
    assert b"right" not in Path(f"/proc/{valkey.child.pid}/cmdline").read_bytes()
    assert (valkey.folder / "valkey.conf").stat().st_mode & 0o777 == 0o600


def test_it_never_evicts(valkey: Valkey) -> None:
    assert redis.Redis.from_url(valkey.url).config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_what_was_written_survives_a_stop(valkey: Valkey) -> None:
    redis.Redis.from_url(valkey.url).set("kept", "42")
    valkey.stop()
    valkey.start()

    assert redis.Redis.from_url(valkey.url).get("kept") == b"42"


def test_a_file_that_cannot_be_read_is_put_aside(valkey: Valkey) -> None:
    redis.Redis.from_url(valkey.url).set("lost", "42")
    valkey.stop()
    (journal,) = (valkey.folder / "appendonlydir").glob("*.incr.aof")
    journal.write_bytes(b"*3\r\n$3\r\nSET\r\nthis is no command\r\n" + journal.read_bytes())

    valkey.start()

    assert redis.Redis.from_url(valkey.url).get("lost") is None
    assert list(valkey.folder.glob("appendonlydir.unreadable-*"))


def test_a_server_that_a_python_package_put_on_the_path_is_passed_over(tmp_path: Path) -> None:
    inside = Path(sys.prefix, "bin")

    assert find_binary([str(inside)]).parent != inside


def test_an_old_server_on_the_path_is_passed_over_and_a_new_one_preferred(tmp_path: Path) -> None:
    for folder, version in (("old", "6.0.16"), ("new", "7.0.15")):
        binary = tmp_path / folder / "redis-server"
        binary.parent.mkdir()
        binary.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
        binary.chmod(0o755)

    assert find_binary([str(tmp_path / "old"), str(tmp_path / "new")]) == tmp_path / "new" / "redis-server"


def test_a_file_that_was_damaged_while_it_ran_is_put_aside_when_it_is_started_again(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.Redis.from_url(valkey.url).set("key", "value")
    monkeypatch.setattr("dosette_local.supervision.DELAYS_S", (0.0, 0.0))
    watched = Watched(valkey.child, mend=valkey.mend)
    valkey.kill()
    for file in (valkey.folder / "appendonlydir").glob("*.aof"):
        file.write_bytes(b"nonsense" * 100)

    deadline = time.monotonic() + 20
    while not valkey.ready() and time.monotonic() < deadline:
        watched.look()
        time.sleep(0.05)

    assert redis.Redis.from_url(valkey.url).get("key") is None
    assert list(valkey.folder.glob("appendonlydir.unreadable-*"))
