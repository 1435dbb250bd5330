"""The two scripts that settle a household in containers."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "compose"


def _lay_out(folder: Path) -> dict[str, str]:
    """What `make_secrets.py` lays out: path → text."""
    for place in ("db", "redis", "api", "scheduler", "worker", "grafana"):
        (folder / place).mkdir(exist_ok=True)
    subprocess.run([sys.executable, FOLDER / "make_secrets.py", folder], check=True)
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_secrets_are_drawn_once_and_stay(tmp_path: Path):
    first, again = _lay_out(tmp_path), _lay_out(tmp_path)

    assert first == again
    assert len({first[name] for name in first if name.endswith("_password") and "/" not in name}) == 12


def test_an_older_volume_gets_what_is_missing_and_keeps_the_rest(tmp_path: Path):
    first = _lay_out(tmp_path)
    for new in ("redis_api", "redis_scheduler", "redis_worker", "links"):
        (tmp_path / f"{new}_password").unlink()
    again = _lay_out(tmp_path)

    assert again["redis_password"] == first["redis_password"]
    assert again["links_password"] == again["api/link_key"] == again["worker/link_key"] != first["links_password"]
    assert f"dosette-api:{again['redis_api_password']}@" in again["api/redis_url"]


def test_redis_knows_a_user_for_each_service_and_none_of_them_is_told_the_password_for_everything(tmp_path: Path):
    laid_out = _lay_out(tmp_path)
    users = {line.split()[1]: line for line in laid_out["redis/valkey.conf"].splitlines() if line.startswith("user ")}

    assert set(users) == {"dosette-api", "dosette-scheduler", "dosette-worker"}
    for service in ("api", "scheduler", "worker"):
        assert f" >{laid_out[f'redis_{service}_password']} " in users[f"dosette-{service}"]
        assert not any(laid_out["redis_password"] in laid_out[name] for name in laid_out if name.startswith(service))


def test_a_service_finds_its_own_address_and_nobody_else_s(tmp_path: Path):
    laid_out = _lay_out(tmp_path)

    assert laid_out["worker/database_url"].startswith("postgresql://dosette_worker:")
    assert not any(
        laid_out["superuser_password"] in text
        for name, text in laid_out.items()
        if name.startswith(("api/", "worker/"))
    )
    assert (tmp_path / "api/database_url").stat().st_mode & 0o777 == 0o400


def test_a_word_that_is_neither_yes_nor_no_is_refused_before_a_demo_is_made():
    environment = {"PATH": "/usr/bin:/bin", "DOSETTE_DEMO": "false"}
    ran = subprocess.run(["sh", FOLDER / "settle.sh"], env=environment, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (1, "DOSETTE_DEMO=false: must be 0 or 1\n")
