"""The two scripts that settle a household in containers."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "compose"
PLACES = ("db", "redis", "api", "scheduler", "worker", "backup", "grafana")


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """A folder for each volume: `secrets` with its parts, and `database`, both empty."""
    for place in (*(f"secrets/{place}" for place in PLACES), "database"):
        (tmp_path / place).mkdir(parents=True)
    return tmp_path


def _make_secrets(volumes: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, FOLDER / "make_secrets.py", volumes / "secrets", volumes / "database/18", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _laid_out(volumes: Path) -> dict[str, str]:
    """What `make_secrets.py` lays out: path → text."""
    made = _make_secrets(volumes)
    assert (made.returncode, made.stderr) == (0, "")
    return _there(volumes)


def _there(volumes: Path) -> dict[str, str]:
    folder = volumes / "secrets"
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def _refused(volumes: Path) -> str:
    """The one sentence that it stops with, having changed nothing."""
    before = _there(volumes)
    refused = _make_secrets(volumes)
    assert refused.returncode == 1
    assert _there(volumes) == before
    assert len(refused.stderr.splitlines()) == 1
    return refused.stderr.strip()


def test_secrets_are_drawn_once_and_stay(volumes: Path):
    first, again = _laid_out(volumes), _laid_out(volumes)

    assert first == again
    assert len({first[name] for name in first if name.endswith("_password") and "/" not in name}) == 12


def test_what_is_there_is_not_written_again_so_that_a_full_disk_keeps_no_household_from_starting(volumes: Path):
    _laid_out(volumes)
    written = {path: path.stat().st_mtime_ns for path in (volumes / "secrets").rglob("*")}
    _laid_out(volumes)

    assert {path: path.stat().st_mtime_ns for path in (volumes / "secrets").rglob("*")} == written


def test_an_older_volume_gets_what_is_missing_and_keeps_the_rest(volumes: Path):
    first = _laid_out(volumes)
    (volumes / "database/18").mkdir()
    for new in ("redis_api", "redis_scheduler", "redis_worker", "links"):
        (volumes / f"secrets/{new}_password").unlink()
    again = _laid_out(volumes)

    assert again["redis_password"] == first["redis_password"]
    assert again["links_password"] == again["api/link_key"] == again["worker/link_key"] != first["links_password"]
    assert f"dosette-api:{again['redis_api_password']}@" in again["api/redis_url"]


@pytest.mark.parametrize("lost", ["superuser_password", "signing_password"])
def test_a_password_that_a_database_was_made_with_is_never_drawn_anew(volumes: Path, lost: str):
    _laid_out(volumes)
    (volumes / "database/18").mkdir()
    (volumes / "secrets" / lost).unlink()

    assert _refused(volumes).startswith(
        f"the volume secrets lacks {lost}, with which the database in the volume db was made"
    )


def test_an_empty_volume_of_secrets_beside_a_database_names_all_that_is_lost(volumes: Path):
    (volumes / "database/18").mkdir()

    assert "lacks superuser_password and signing_password" in _refused(volumes)


def test_what_is_lost_is_drawn_anew_when_a_person_says_so_and_the_rest_stays(volumes: Path):
    first = _laid_out(volumes)
    (volumes / "database/18").mkdir()
    (volumes / "secrets/superuser_password").unlink()
    made, again = _make_secrets(volumes, "--anew"), _there(volumes)

    assert (made.returncode, made.stderr) == (0, "")
    assert again["db/password"] == again["superuser_password"] != first["superuser_password"]
    assert again["signing_password"] == first["signing_password"]


def test_a_file_that_lost_its_text_is_drawn_again_as_if_it_were_not_there(volumes: Path):
    _laid_out(volumes)
    grafana = volumes / "secrets/grafana_password"
    grafana.chmod(0o600)
    grafana.write_text("")

    assert len(_laid_out(volumes)["grafana/password"]) == 48


@pytest.mark.parametrize(
    ("holds", "told"),
    [("17", "of PostgreSQL 17"), ("data", "of an older PostgreSQL"), ("PG_VERSION", "of an older PostgreSQL")],
)
def test_a_database_of_another_postgresql_is_left_alone(volumes: Path, holds: str, told: str):
    (volumes / "database" / holds).mkdir()

    assert _refused(volumes).startswith(f"the volume db holds a database {told}, and this Dosette runs PostgreSQL 18:")


def test_a_database_that_was_moved_to_this_postgresql_may_lie_beside_the_older_one(volumes: Path):
    for version in ("17", "18"):
        (volumes / "database" / version).mkdir()
    (volumes / "database/18").rmdir()
    _refused(volumes)
    (volumes / "secrets/superuser_password").write_text("s")
    (volumes / "secrets/signing_password").write_text("t")
    (volumes / "database/18").mkdir()

    assert _laid_out(volumes)["db/password"] == "s"


def test_a_folder_that_can_not_be_written_is_named(volumes: Path):
    (volumes / "secrets/worker").rmdir()  # as with a read-only volume, for a superuser, too
    refused = _make_secrets(volumes)

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"the passwords can't be laid out: {volumes}/secrets/worker/")
    assert len(refused.stderr.splitlines()) == 1


def test_redis_knows_a_user_for_each_service_and_none_of_them_is_told_the_password_for_everything(volumes: Path):
    laid_out = _laid_out(volumes)
    users = {line.split()[1]: line for line in laid_out["redis/users.acl"].splitlines() if line}

    assert set(users) == {"default", "dosette-api", "dosette-scheduler", "dosette-worker"}
    for service in ("api", "scheduler", "worker"):
        digest = hashlib.sha256(laid_out[f"redis_{service}_password"].encode()).hexdigest()
        assert f" #{digest} " in users[f"dosette-{service}"]
        assert not any(laid_out["redis_password"] in laid_out[name] for name in laid_out if name.startswith(service))


def test_a_service_finds_its_own_address_and_nobody_else_s(volumes: Path):
    laid_out = _laid_out(volumes)

    assert laid_out["worker/database_url"].startswith("postgresql://dosette_worker:")
    assert not any(
        laid_out["superuser_password"] in text
        for name, text in laid_out.items()
        if name.startswith(("api/", "worker/"))
    )
    assert (volumes / "secrets/api/database_url").stat().st_mode & 0o777 == 0o400


@pytest.mark.parametrize("word", ["false", "", "01"])
def test_a_word_that_is_neither_yes_nor_no_is_refused_before_a_demo_is_made(word: str):
    environment = {"PATH": "/usr/bin:/bin", "DOSETTE_DEMO": word}
    ran = subprocess.run(["sh", FOLDER / "settle.sh"], env=environment, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (1, f"DOSETTE_DEMO={word}: must be 0 or 1\n")
