"""How long a lost server is away: from an empty data folder to an API that serves 200,000 doses out of a backup.

    .venv/bin/python bench/probes/restore.py [DOSES]

Fills a PostgreSQL of its own with a household that has taken so many, backs it up with the command that people use (rehearsal and all), and
restores the file into a second PostgreSQL whose folder does not exist before the watch starts.
"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psycopg2

from dosette_local.ports import free_port
from dosette_local.servers.postgres import Postgres

HERE = Path(sys.executable).parent
ROLES = ("api", "scheduler", "worker", "backup")
GOAL_S = 300
PATIENCE_S = 600

# Through the triggers, so that the chain is whole and the sums are true: the restored history is verified. In batches: each event makes
# a new version of its household's row, and within one transaction none of them may go.
PAST = """
    CREATE TEMPORARY TABLE past AS
    SELECT uuidv7() AS id, m.household_id, m.id AS medicine_id, m.member_id, at, row_number() OVER (ORDER BY at) AS place
      FROM (SELECT * FROM medicines WHERE archived_at IS NULL ORDER BY id LIMIT 10) AS m,
           generate_series(1, %(doses)s / 10) AS number,
           LATERAL (SELECT %(today)s::timestamptz - interval '400 days' - number * interval '1 hour' AS at) AS due;
    CREATE INDEX ON past (place);
    ANALYZE past;
    INSERT INTO doses (id, household_id, medicine_id, member_id, version, slot_on, slot_time, amount, opens_at, due_at, late_at, closes_at,
                       status, resolved_at, resolved_by)
    SELECT id, household_id, medicine_id, member_id, 1, (at AT TIME ZONE 'UTC')::date, (at AT TIME ZONE 'UTC')::time, 1,
           at - interval '30 minutes', at, at + interval '15 minutes', at + interval '30 minutes', 'taken', at, member_id FROM past;
"""
BATCH = 200
TAKEN = """
    WITH batch AS MATERIALIZED (SELECT * FROM past WHERE place > %(done)s AND place <= %(upto)s ORDER BY place), event AS (
        INSERT INTO dose_events (household_id, dose_id, kind, at, recorded_at, by_member, source, key)
        SELECT household_id, id, 'taken', at, at, member_id, 'api', id::text FROM batch ORDER BY place
    )
    INSERT INTO stock_entries (household_id, medicine_id, kind, amount, dose_id, at, by_member, source)
    SELECT household_id, medicine_id, 'taken', -1, id, at, member_id, 'api' FROM batch ORDER BY place
"""


def main(doses: int) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.chmod(folder, 0o711)  # PostgreSQL may run as somebody else
        with _postgres(folder / "lived-in") as lived_in:
            _dosette(lived_in.url, "migrate", **_passwords())
            _dosette(_as("api", lived_in), "demo")
            _live(lived_in.url, doses)
            key = folder / "backup.key"
            to = _dosette(lived_in.url, "backup-key", str(key)).strip()
            began = time.monotonic()
            _dosette(_as("backup", lived_in), "backup", DOSETTE_BACKUP_DIR=str(folder), DOSETTE_BACKUP_TO=to)
            backup_s = time.monotonic() - began
        (file,) = folder.glob("dosette-*.dump.age")
        print(f"backup, rehearsal and all  {backup_s:7.1f} s   {file.stat().st_size / 1e6:.1f} MB for {doses} doses")
        began = time.monotonic()
        with _postgres(folder / "empty") as empty:
            _dosette(empty.url, "migrate", **_passwords())
            _dosette(empty.url, "restore", str(file), "--key", str(key))
            restored_s = time.monotonic() - began
            _serve(_as("api", empty))
            serving_s = time.monotonic() - began
    print(f"empty folder → restored    {restored_s:7.1f} s")
    print(
        f"empty folder → serving     {serving_s:7.1f} s   the goal is {GOAL_S} s: {'kept' if serving_s <= GOAL_S else 'MISSED'}"
    )
    return 0 if serving_s <= GOAL_S else 1


def _postgres(folder: Path) -> Postgres:
    return Postgres(folder, port=free_port(), password="superuser")


def _passwords() -> dict[str, str]:
    return {f"DOSETTE_DB_PASSWORD_{role.upper()}": role for role in ROLES}


def _as(role: str, postgres: Postgres) -> str:
    return postgres.url_for(f"dosette_{role}", role)


def _dosette(url: str, *words: str, **environment: str) -> str:
    env = {"PATH": "/usr/bin:/bin", "DATABASE_URL": url, "DOSETTE_LOG_LEVEL": "warning", **environment}
    return subprocess.run([HERE / "dosette", *words], env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


def _live(url: str, doses: int) -> None:
    connection = psycopg2.connect(url, options="-c search_path=dosette -c timezone=UTC -c synchronous_commit=off")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(created_at) FROM households")
        cursor.execute(PAST, {"doses": doses, "today": cursor.fetchall()[0][0]})
        for done in range(0, doses, BATCH):
            cursor.execute(TAKEN, {"done": done, "upto": done + BATCH})
    connection.close()


def _serve(url: str) -> None:
    """Starts the API, and returns when it says that it is ready."""
    port = free_port()
    env = {"PATH": "/usr/bin:/bin", "DATABASE_URL": url, "DOSETTE_BIND": f"127.0.0.1:{port}"}
    api = subprocess.Popen([HERE / "dosette-api"], env=env, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while not _ready(port) and time.monotonic() < until and api.poll() is None:
            time.sleep(0.05)
    finally:
        api.terminate()
        api.wait()


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000))
