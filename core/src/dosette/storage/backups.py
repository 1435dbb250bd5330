"""Backups: how they went, and what must be the same in a database and in its restored copy."""

from psycopg2 import sql

from dosette.storage.connection import Moment, Statement

BEGUN = Statement("backup_begun", "SELECT backup_begun(%(now)s)", now="timestamptz")

REHEARSED = Statement(
    "backup_rehearsed", "SELECT backup_rehearsed(%(made_at)s, %(bytes)s)", made_at="timestamptz", bytes="bigint"
)

FAILED = Statement("backup_failed", "SELECT backup_failed(%(now)s, %(fault)s)", fault="text", now="timestamptz")

RECORD = Statement(
    "backup_record", "SELECT id::text, backed_up_at, backup_bytes, rehearsed_at, backup_fault FROM server"
)

DUMPED_AT = Statement("dumped_at", "SELECT dumped_at FROM server")

SNAPSHOT = "SELECT pg_export_snapshot()"

PLANS = """
    SELECT s.medicine_id::text, schedule_json(v),
           (SELECT CASE last.status WHEN 'taken' THEN last.resolved_at ELSE last.due_at END
              FROM doses AS last
             WHERE s.follows_minutes IS NOT NULL AND last.medicine_id = s.medicine_id AND last.kind IN ('elapsed', 'planned')
               AND (last.status = 'taken' OR last.status <> 'cancelled' AND last.version = s.version)  -- of an old one, only what was taken
             ORDER BY last.due_at DESC LIMIT 1)
      FROM schedules AS s
      JOIN schedule_versions AS v ON v.medicine_id = s.medicine_id AND v.number = s.version
     WHERE s.planned_until IS NOT NULL
     ORDER BY s.medicine_id
    """
"""What the planner goes by, for every schedule in force."""

_TABLES = """
    SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname IN ('dosette', 'public') ORDER BY 1, 2
    """


def contents(moment: Moment) -> dict[str, tuple[int, int]]:
    """How many rows each table has, and a sum over them that another row, or another value in one, makes another."""
    return {f"{schema}.{table}": _content(moment, schema, table) for schema, table in moment.rows(_TABLES)}


def _content(moment: Moment, schema: str, table: str) -> tuple[int, int]:
    query = sql.SQL("SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {} AS t")
    ((count, checksum),) = moment.rows(query.format(sql.Identifier(schema, table)))
    return count, int(checksum)
