-- The worker puts what is time-critical first in a message, and says so. What waits is found in the order in which it is sent, and what
-- must be rung has an index of its own: the one by time alone was chosen for both, and read all that waits.
-- Run by `dosette migrate` in one transaction, as the role dosette_migrator. What waits is little, so plain indexes are quick.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion

SET LOCAL search_path = dosette;

GRANT SELECT (medicine_id, number, critical) ON schedule_versions TO dosette_worker;

DROP INDEX deliveries_waiting;
CREATE INDEX deliveries_to_ring ON deliveries (due_at) WHERE status = 'waiting' AND (rung_at IS NULL OR rung_at < due_at);
