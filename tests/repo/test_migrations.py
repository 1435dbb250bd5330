"""A shipped migration is never edited."""

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "core/src/dosette/storage/migrations"


def test_every_migration_is_as_it_was_shipped():
    shipped = dict(reversed(line.split()) for line in (FOLDER / "CHECKSUMS").read_text().splitlines() if line)

    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.sql")} == shipped
