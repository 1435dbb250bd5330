-- What monitoring reads: how late somebody was told, and how PostgreSQL itself is.
-- Run by `dosette migrate` in one transaction, as the role dosette_migrator, which may read all statistics.

SET LOCAL search_path = dosette;

ALTER TABLE deliveries ADD COLUMN since timestamptz;           -- when the first of its reminders was to be told; NULL: when it was made

-- Sums and counts only: the scheduler need not see what others ask.
CREATE FUNCTION vitals() RETURNS TABLE (
    connections bigint, connections_limit integer, oldest_transaction_at timestamptz, size_bytes bigint, live_rows bigint, dead_rows bigint,
    blocks_from_cache bigint, blocks_from_disk bigint, commits bigint, rollbacks bigint, deadlocks bigint, wal_bytes bigint,
    checkpoints_timed bigint, checkpoints_requested bigint
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT a.connections, current_setting('max_connections')::integer, a.oldest_transaction_at, pg_database_size(d.datid),
           t.live_rows, t.dead_rows, d.blks_hit, d.blks_read, d.xact_commit, d.xact_rollback, d.deadlocks, w.wal_bytes::bigint,
           c.num_timed, c.num_requested
      FROM pg_stat_database AS d, pg_stat_wal AS w, pg_stat_checkpointer AS c,
           (SELECT count(*) AS connections, min(xact_start) FILTER (WHERE pid <> pg_backend_pid()) AS oldest_transaction_at
              FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend') AS a,
           (SELECT coalesce(sum(n_live_tup), 0)::bigint AS live_rows, coalesce(sum(n_dead_tup), 0)::bigint AS dead_rows
              FROM pg_stat_user_tables) AS t
     WHERE d.datname = current_database()
$$;

REVOKE EXECUTE ON FUNCTION vitals() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vitals() TO dosette_scheduler;
