"""What the data folder keeps, and when it refuses."""

import socket
import stat
from pathlib import Path

import pytest

from dosette_local.errors import CannotStart
from dosette_local.folder import PASSWORDS, Folder, write_private
from dosette_local.ports import LOOPBACK, free_port


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "data")
    folder.prepare()
    return folder


def test_passwords_are_made_once_and_readable_by_their_owner_only(folder: Folder) -> None:
    first, second = folder.passwords(), folder.passwords()

    assert first == second
    assert len(set(first.values())) == len(first)
    assert stat.S_IMODE((folder.path / "secrets.json").stat().st_mode) == 0o600


def test_a_folder_from_before_gets_the_passwords_it_lacks_and_keeps_the_others(folder: Folder) -> None:
    before = {name: text for name, text in folder.passwords().items() if not name.startswith(("redis_", "links"))}
    write_private(folder.path / "secrets.json", before)

    now = folder.passwords()

    assert before.items() <= now.items()
    assert set(now) == set(PASSWORDS)
    assert folder.passwords() == now


def test_lost_passwords_beside_a_database_that_asks_for_them_are_refused(folder: Folder) -> None:
    folder.postgres.mkdir()
    (folder.postgres / "PG_VERSION").write_text("18\n")

    with pytest.raises(CannotStart, match=r"secrets\.json is gone"):
        folder.passwords()


def test_what_is_remembered_stays_until_it_is_forgotten(folder: Folder) -> None:
    passwords = folder.passwords()
    folder.remember(token="one", device="two")
    folder.forget("token")

    assert (folder.entry("token"), folder.entry("device")) == (None, "two")
    assert passwords.items() <= folder.passwords().items()


def test_a_port_is_the_same_at_the_next_start(folder: Folder) -> None:
    first = folder.ports(("postgres", "valkey"), taken=8080)

    assert folder.ports(("postgres", "valkey"), taken=8080) == first
    assert len(set(first.values())) == 2


def test_a_port_that_someone_took_meanwhile_is_replaced(folder: Folder) -> None:
    before = folder.ports(("postgres", "valkey"), taken=8080)
    with socket.create_server((LOOPBACK, before["postgres"])):
        after = folder.ports(("postgres", "valkey"), taken=before["valkey"])

    assert not set(after.values()) & set(before.values())


def test_a_damaged_file_is_named(folder: Folder) -> None:
    (folder.path / "ports.json").write_text("{")

    with pytest.raises(CannotStart, match=r"ports\.json is damaged"):
        folder.ports(("postgres",), taken=free_port())


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CannotStart, match=r"cannot be written .*set DOSETTE_DATA"):
        Folder(tmp_path / "file" / "data").prepare()


def test_a_path_too_long_for_postgresql_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="set DOSETTE_DATA to a shorter one"):
        Folder(tmp_path.joinpath(*["d" * 100] * 10)).prepare()


def test_a_name_too_long_for_the_file_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="File name too long"):
        Folder(tmp_path / ("d" * 300)).prepare()
