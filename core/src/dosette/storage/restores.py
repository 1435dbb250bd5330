"""Restores: the epoch that one begins, what it leaves unknown, and a person's release."""

from dosette.storage.connection import Statement

BEGIN_EPOCH = Statement("begin_epoch", "SELECT begin_epoch(%(now)s)", now="timestamptz")

UNKNOWN = Statement(
    "doses_unknown",
    """
    SELECT h.name, (SELECT count(*) FROM doses AS d WHERE d.household_id = h.id AND d.status = 'unknown')
      FROM households AS h ORDER BY h.id
    """,
)

RELEASE = Statement("release_restored", "SELECT release_restored(%(now)s)", now="timestamptz")

IS_MIGRATED = Statement("is_migrated", "SELECT to_regclass('dosette.dose_events') IS NOT NULL")

REMEMBERED = Statement(
    "remembered",
    """
    SELECT h.id::text, h.name, h.seq, encode(h.head, 'hex'), e.recorded_at
      FROM households AS h LEFT JOIN dose_events AS e ON e.household_id = h.id AND e.seq = h.seq
     ORDER BY h.id
    """,
)
