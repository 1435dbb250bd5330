"""Draws the household's passwords once, and lays out for each container what it alone may read.

    python make_secrets.py /secrets /database/18 [--anew]

`/secrets` itself is the volume `secrets`, for the one-shots that set things up; each folder in it is another volume, which only
the container of that name mounts. `/database` is the volume of PostgreSQL, read only, and the folder in it the one that the
PostgreSQL of this version uses. Run at every `docker compose up`, and by `make secrets`: what was drawn stays, what is missing is
laid out again. What can't be drawn again, because a database was made with it, stops the start with nothing changed, unless a person
says `--anew` (docs/troubleshooting.md).
"""

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from dosette.domain.errors import DosetteError
from dosette_api.backups import keys

ROLES = ("api", "scheduler", "worker", "backup")
REDIS_USERS = ("api", "scheduler", "worker")
DRAWN = ("superuser", *ROLES, "redis", *(f"redis_{user}" for user in REDIS_USERS), "grafana", "signing", "links")
IN_USE = ("superuser", "signing")  # PostgreSQL was made with the one, panels are paired with the other
OWN, FOREIGN = 0o400, 0o444  # our images run as one user; db, redis and grafana as others, alone with their volume


class Stopped(SystemExit):
    """Ends the program with one sentence (exit code 1); the start ends with it."""


def main(folder: Path, database: Path, anew: bool) -> None:
    try:
        if _made(database) and not anew:
            _refuse_what_is_lost(folder)
        lay_out(folder)
    except DosetteError as error:
        raise Stopped(f"the key of the backups can't be laid out: {error.message}; nothing else was changed") from None
    except OSError as error:
        raise Stopped(
            f"the passwords can't be laid out: {error.filename}: {error.strerror}; make room, or let the volume "
            "be written by its owner (10001), and start again"
        ) from None


def lay_out(folder: Path) -> None:
    words = {name: _drawn(folder / f"{name}_password") for name in DRAWN}
    words["backup_public"] = _public_half(folder / "backup_key")
    for place, files in _layout(words).items():
        for name, text in files.items():
            _lay(folder / place / name, text, FOREIGN if place in ("db", "redis", "grafana") else OWN)


def _made(database: Path) -> bool:
    """Whether there is a database of this PostgreSQL. One of another major version stops the start: beside it, this PostgreSQL would
    begin an empty one, and the household would seem to be gone."""
    try:
        there = {path.name for path in database.parent.iterdir()}
    except PermissionError:
        there = {"PG_VERSION"}  # up to 17, the volume itself was the folder that only PostgreSQL may enter
    if database.name in there:
        return True
    if others := sorted(name for name in there if name.isdecimal() or name in ("data", "PG_VERSION")):
        found = next(
            (f"of PostgreSQL {name}" for name in reversed(others) if name.isdecimal()), "of an older PostgreSQL"
        )
        raise Stopped(
            f"the volume db holds a database {found}, and this Dosette runs PostgreSQL {database.name}: go back to the Dosette "
            "that made it, or move the data as docs/troubleshooting.md says; nothing was changed"
        )
    return False


def _refuse_what_is_lost(folder: Path) -> None:
    lost = [f"{name}_password" for name in IN_USE if not _word(folder / f"{name}_password")]
    if lost:
        raise Stopped(
            f"the volume secrets lacks {' and '.join(lost)}, with which the database in the volume db was made: put the volume "
            "secrets back as it was (docs/troubleshooting.md); nothing was changed"
        )


def _drawn(file: Path) -> str:
    """The word that this file holds; drawn when there is none. Letters and digits, so that it fits into a URL."""
    if not (word := _word(file)):
        _lay(file, word := secrets.token_hex(24), OWN)
    return word


def _public_half(file: Path) -> str:
    """Of the key in this file, with which backups are opened; made when there is none."""
    if not file.exists():
        keys.make(file, datetime.now(UTC))
    return str(keys.identities(file)[0].to_public())


def _word(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def _layout(words: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Folder → file → what it says."""
    return {
        "": {"superuser_url": _database("postgres", words["superuser"])} | _url("api", words),
        "db": {"password": words["superuser"]},
        "redis": {"users.acl": _redis(words), "password": words["redis"]},
        "api": _url("api", words)
        | _redis_url("api", words)
        | {"link_key": words["links"], "signing_password": words["signing"]},
        "scheduler": _url("scheduler", words) | _redis_url("scheduler", words) | {"signing_password": words["signing"]},
        "worker": _url("worker", words) | _redis_url("worker", words) | {"link_key": words["links"]},
        "backup": _url("backup", words) | {"public_key": words["backup_public"]},
        "grafana": {"password": words["grafana"]},
    }


def _url(role: str, words: Mapping[str, str]) -> dict[str, str]:
    return {"database_url": _database(f"dosette_{role}", words[role])}


def _redis(words: Mapping[str, str]) -> str:
    """A user for each service, with the rights that the core says; the one without a name may do everything."""
    rights = json.loads(resources.files("dosette").joinpath("contracts", "redis_users.json").read_text())
    services = [_user(f"dosette-{user}", words[f"redis_{user}"], " ".join(rights[user])) for user in REDIS_USERS]
    return "\n".join([_user("default", words["redis"], "~* &* +@all"), *services, ""])


def _user(name: str, password: str, rights: str) -> str:
    return f"user {name} on #{hashlib.sha256(password.encode()).hexdigest()} {rights}"


def _redis_url(user: str, words: Mapping[str, str]) -> dict[str, str]:
    return {"redis_url": f"redis://dosette-{user}:{words[f'redis_{user}']}@redis:6379/0"}


def _database(role: str, password: str) -> str:
    return f"postgresql://{role}:{password}@db:5432/dosette"


def _lay(file: Path, text: str, mode: int) -> None:
    """Whole or not at all, so that a start that was interrupted leaves no half a password. What is there already is left alone, so
    that a full disk does not keep a household from starting."""
    if _word(file) == text.strip():
        return
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)  # whatever the umask took away
            os.fsync(stream.fileno())
    except OSError as error:  # a write on a full disk doesn't say to which file
        raise OSError(error.errno, error.strerror, str(file)) from None
    new.replace(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] == ["--anew"])
