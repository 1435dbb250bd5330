"""How PostgreSQL itself is: sums and counts of its own statistics, in one cheap statement."""

from dosette.storage.connection import Statement

VITALS = Statement(
    "read_vitals",
    """
    SELECT connections, connections_limit, oldest_transaction_at, size_bytes, live_rows, dead_rows, blocks_from_cache, blocks_from_disk,
           commits, rollbacks, deadlocks, wal_bytes, checkpoints_timed, checkpoints_requested
      FROM vitals()
    """,
)
