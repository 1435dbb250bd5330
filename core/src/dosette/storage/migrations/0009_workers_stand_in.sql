-- A worker tells what is due while no scheduler leads: it sees that the lease is not renewed, and does that one step of the scheduler's.
-- Run by `dosette migrate` in one transaction, as the role dosette_migrator.

SET LOCAL search_path = dosette;

CREATE POLICY workers ON scheduler_lease FOR SELECT TO dosette_worker USING (true);
GRANT SELECT ON scheduler_lease TO dosette_worker;
GRANT SELECT (nag_minutes) ON schedule_versions TO dosette_worker;
GRANT UPDATE (name) ON households TO dosette_worker;  -- the right to update a column is the right to lock the row
GRANT EXECUTE ON FUNCTION lock_households(uuid[]) TO dosette_worker;
GRANT UPDATE (status, reason, due_at, tellings, told_at, attempts, lease, leased_until) ON reminders TO dosette_worker;
