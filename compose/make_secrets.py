"""Draws the household's passwords once, and lays out for each container what it alone may read.

    python make_secrets.py /secrets

`/secrets` itself is the volume `secrets`, for the one-shots that set things up; each folder in it is another volume, which only
the container of that name mounts. Run at every `docker compose up`: what was drawn stays, what is missing is laid out again.
"""

import json
import os
import secrets
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

ROLES = ("api", "scheduler", "worker", "backup")
REDIS_USERS = ("api", "scheduler", "worker")
DRAWN = ("superuser", *ROLES, "redis", *(f"redis_{user}" for user in REDIS_USERS), "grafana", "signing", "links")
OWN, FOREIGN = 0o400, 0o444  # our images run as one user; db, redis and grafana as others, alone with their volume


def main(folder: Path) -> None:
    words = {name: _drawn(folder / f"{name}_password") for name in DRAWN}
    for place, files in _layout(words).items():
        for name, text in files.items():
            _lay(folder / place / name, text, FOREIGN if place in ("db", "redis", "grafana") else OWN)


def _drawn(file: Path) -> str:
    """The word that this file holds; drawn when there is none. Letters and digits, so that it fits into a URL."""
    if not file.exists():
        _lay(file, secrets.token_hex(24), OWN)
    return file.read_text().strip()


def _layout(words: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Folder → file → what it says."""
    return {
        "": {"superuser_url": _database("postgres", words["superuser"])} | _url("api", words),
        "db": {"password": words["superuser"]},
        "redis": {"valkey.conf": _redis(words), "password": words["redis"]},
        "api": _url("api", words) | _redis_url("api", words) | {"link_key": words["links"]},
        "scheduler": _url("scheduler", words) | _redis_url("scheduler", words) | {"signing_password": words["signing"]},
        "worker": _url("worker", words) | _redis_url("worker", words) | {"link_key": words["links"]},
        "grafana": {"password": words["grafana"]},
    }


def _url(role: str, words: Mapping[str, str]) -> dict[str, str]:
    return {"database_url": _database(f"dosette_{role}", words[role])}


def _redis(words: Mapping[str, str]) -> str:
    """A user for each service, with the rights that the core says; the one without a name may do everything."""
    rights = json.loads(resources.files("dosette").joinpath("contracts", "redis_users.json").read_text())
    users = [f"user dosette-{user} on >{words[f'redis_{user}']} {' '.join(rights[user])}" for user in REDIS_USERS]
    return "\n".join([f"requirepass {words['redis']}", *users, ""])


def _redis_url(user: str, words: Mapping[str, str]) -> dict[str, str]:
    return {"redis_url": f"redis://dosette-{user}:{words[f'redis_{user}']}@redis:6379/0"}


def _database(role: str, password: str) -> str:
    return f"postgresql://{role}:{password}@db:5432/dosette"


def _lay(file: Path, text: str, mode: int) -> None:
    """Whole or not at all, so that a start that was interrupted leaves no half a password."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as stream:
        stream.write(text)
        os.fchmod(stream.fileno(), mode)  # whatever the umask took away
        os.fsync(stream.fileno())
    new.replace(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
