-- Backups that say how they went, and a server that was restored: what it can't know is unknown until a person releases it.
-- Run by `dosette migrate` in one transaction, as the role dosette_migrator. The constraint only grows wider, and the tables are a
-- household's: checking them and building an index takes a second, while nobody is served.
-- squawk-ignore-file ban-drop-constraint, constraint-missing-not-valid, require-concurrent-index-creation

SET LOCAL search_path = dosette;

-- Backups

ALTER TABLE server
    ADD COLUMN dumped_at timestamptz,              -- when the newest dump was begun: written before it, so that each dump knows its own time
    ADD COLUMN backup_bytes bigint,                -- of the newest backup that passed its rehearsal
    ADD COLUMN rehearsed_at timestamptz,           -- when a backup was last restored for trial, or could not be made
    ADD COLUMN backup_fault text;                  -- what was wrong then; NULL: nothing

CREATE FUNCTION backup_begun(at timestamptz) RETURNS void LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    UPDATE dosette.server SET dumped_at = at;
END;

CREATE FUNCTION backup_rehearsed(at timestamptz, bytes bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = dosette AS $$
BEGIN
    UPDATE server SET backed_up_at = at, rehearsed_at = at, backup_bytes = bytes, backup_fault = NULL;
    PERFORM end_alarm(household_id, 'backup_failed', NULL, 'a backup was made') FROM reminders WHERE kind = 'backup_failed' AND status = 'waiting';
END $$;

CREATE FUNCTION backup_failed(at timestamptz, fault text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = dosette AS $$
BEGIN
    UPDATE server SET rehearsed_at = at, backup_fault = fault;
    PERFORM raise_alarm(id, 'backup_failed', NULL, NULL, at) FROM households;
END $$;

-- Restores: what nobody knows

ALTER TABLE doses
    DROP CONSTRAINT doses_status_check,
    ADD CONSTRAINT doses_status_check CHECK (status IN ('pending', 'taken', 'skipped', 'missed', 'cancelled', 'unknown'));
CREATE INDEX doses_unknown ON doses (household_id) WHERE status = 'unknown';

CREATE TABLE restores (                            -- the row that a restore leaves in each household
    household_id uuid NOT NULL REFERENCES households,
    epoch uuid NOT NULL,                           -- of the server, from then on
    dumped_at timestamptz,                         -- until when the server remembers; NULL: the dump did not say
    restored_at timestamptz NOT NULL,
    doses_unknown integer NOT NULL,
    released_at timestamptz,
    released_by uuid REFERENCES members,           -- NULL: at the console
    PRIMARY KEY (household_id, epoch)
);

CREATE FUNCTION begin_epoch(now timestamptz) RETURNS uuid LANGUAGE plpgsql SET search_path = dosette AS $$
DECLARE  -- of a database that was just restored, before any service uses it; run by whoever restores, who sees all
    remembered_until timestamptz;
    new_epoch uuid;
BEGIN
    UPDATE server SET epoch = uuidv7() RETURNING epoch, dumped_at INTO new_epoch, remembered_until;
    UPDATE devices  -- beyond any number that the lost server may have given: it published at most a plan a second
       SET plan_number = plan_number + 1000 + extract(epoch FROM now - coalesce(remembered_until, now))::bigint;
    UPDATE scheduler_lease SET holder = NULL, until = '-infinity';
    UPDATE deliveries SET status = 'dropped', error = 'restored', at = now, lease = NULL, leased_until = NULL WHERE status = 'waiting';
    UPDATE doses SET status = 'unknown', snoozed_until = NULL WHERE status = 'pending' AND opens_at <= now;
    UPDATE reminders AS r
       SET status = 'dropped', reason = 'restored', claimed_by = NULL, claimed_at = NULL, attempts = 0, lease = NULL, leased_until = NULL
      FROM doses AS d
     WHERE d.id = r.dose_id AND r.status = 'waiting' AND (d.status = 'unknown' OR r.due_at <= now);
    INSERT INTO restores (household_id, epoch, dumped_at, restored_at, doses_unknown)
    SELECT h.id, new_epoch, remembered_until, now, (SELECT count(*) FROM doses AS d WHERE d.household_id = h.id AND d.status = 'unknown')
      FROM households AS h;
    UPDATE reminders SET due_at = now WHERE kind = 'restored' AND status = 'dropped';  -- that the last one was dismissed silences no new one
    PERFORM raise_alarm(id, 'restored', NULL, NULL, now) FROM households;
    RETURN new_epoch;
END $$;

CREATE FUNCTION release_restored(now timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE  -- what nobody said anything about is open again, to be told or to be missed; how many doses that are
    how_many integer;
BEGIN
    UPDATE restores SET released_at = now, released_by = entered_member() WHERE household_id = entered_household() AND released_at IS NULL;
    WITH open AS (
        UPDATE doses SET status = 'pending' WHERE household_id = entered_household() AND status = 'unknown' RETURNING id, due_at
    ), told AS (
        UPDATE reminders AS r SET status = 'waiting', reason = NULL, due_at = greatest(open.due_at, now)
          FROM open WHERE r.dose_id = open.id AND r.status = 'dropped' AND r.reason = 'restored'
    )
    SELECT count(*) INTO how_many FROM open;
    PERFORM end_alarm(entered_household(), 'restored', NULL, 'released'), pg_notify('dosette', entered_household()::text);
    RETURN how_many;
END $$;

CREATE OR REPLACE FUNCTION dismiss_reminder(wanted uuid, until timestamptz, now timestamptz, OUT outcome text, OUT told jsonb, OUT facts jsonb)
LANGUAGE plpgsql AS $$
DECLARE  -- with an alarm goes what it is about, and the other way round; what is dismissed is not raised again before `until`;
         -- who dismisses the alarm of a restore releases what it holds
    it reminders;
BEGIN
    SELECT * INTO it FROM reminders WHERE id = wanted AND household_id = entered_household();
    outcome := CASE WHEN it.id IS NULL THEN 'no-reminder' WHEN it.status = 'parked' THEN 'done' WHEN it.status <> 'waiting' THEN 'over'
                    WHEN it.dose_id IS NOT NULL THEN 'dose' ELSE 'done' END;
    IF outcome = 'done' THEN
        IF it.kind = 'restored' THEN
            PERFORM release_restored(now);
        END IF;
        WITH seen_to AS (
            UPDATE reminders
               SET status = 'dropped', claimed_by = entered_member(), claimed_at = now, due_at = CASE WHEN dose_id IS NULL THEN until ELSE due_at END,
                   reason = concat_ws(' by ', 'dismissed', (SELECT name FROM members WHERE id = entered_member())), lease = NULL, leased_until = NULL
             WHERE household_id = it.household_id AND (id = it.id OR id = it.about AND status = 'parked'
                   OR about = it.id AND kind = 'could_not_remind' AND status = 'waiting')
            RETURNING id
        )
        UPDATE deliveries SET status = 'dropped'
         WHERE household_id = it.household_id AND status = 'parked' AND (id = it.about OR reminder_ids && ARRAY(SELECT id FROM seen_to));
        SELECT * INTO it FROM reminders WHERE id = wanted;
        PERFORM pg_notify('dosette', it.household_id::text);
    END IF;
    told := reminder_told(it, now);
    facts := jsonb_build_object('reminder', told);
END $$;

-- What is unknown may be said afterwards, as what was missed

CREATE OR REPLACE FUNCTION settle(wanted uuid, of_medicine uuid, into_status text, extra boolean, given_amount numeric, taken_at timestamptz, why text,
                       override text, event_key text, now timestamptz, OUT outcome text, OUT told jsonb, OUT facts jsonb)
LANGUAGE plpgsql AS $$
DECLARE  -- takes or skips one dose: the one wanted, or the one of this medicine; or a new one, as needed or extra
    dose doses;
    medicine medicines;
    rule schedules;
    over_limit jsonb;
BEGIN
    IF of_medicine IS NOT NULL THEN
        SELECT * INTO medicine FROM medicines WHERE id = of_medicine AND household_id = entered_household() AND archived_at IS NULL;
        SELECT * INTO rule FROM schedules WHERE medicine_id = medicine.id;
        wanted := CASE WHEN rule.kind IS DISTINCT FROM 'as_needed' THEN dose_of_medicine(medicine.id, taken_at) END;
    END IF;
    IF wanted IS NOT NULL THEN
        SELECT * INTO dose FROM doses WHERE id = wanted AND household_id = entered_household();
        IF NOT FOUND THEN
            outcome := 'no-dose';
            RETURN;
        END IF;
        SELECT * INTO medicine FROM medicines WHERE id = dose.medicine_id;
    END IF;
    IF medicine.id IS NULL THEN
        outcome := 'no-medicine';
        RETURN;
    END IF;

    IF extra OR rule.kind = 'as_needed' THEN
        IF NOT extra AND NOT EXISTS (
            SELECT FROM schedule_versions AS v
             WHERE v.medicine_id = medicine.id AND v.number = rule.version AND household_day(taken_at) >= v.starts_on
               AND household_day(taken_at) <= coalesce(v.ends_on, 'infinity') AND NOT EXISTS (
                   SELECT FROM jsonb_to_recordset(v.pauses) AS pause (starts_on date, ends_on date)
                    WHERE household_day(taken_at) BETWEEN pause.starts_on AND coalesce(pause.ends_on, 'infinity'))) THEN
            outcome := 'not-in-force';
            facts := jsonb_build_object('medicine', named(medicine.id, medicine.name));
            RETURN;
        END IF;
        dose := ROW (uuidv7(), medicine.household_id, medicine.id, medicine.member_id, coalesce(dose.version, rule.version),
                     household_day(taken_at), (taken_at AT TIME ZONE 'UTC')::time, coalesce(given_amount, dose.amount, rule.amount),
                     taken_at, taken_at, taken_at, taken_at, 'taken', taken_at, entered_member(), entered_device(),
                     CASE WHEN extra THEN 'extra' ELSE 'as_needed' END, NULL, NULL)::doses;
        IF dose.amount IS NULL THEN
            outcome := 'no-amount';
            RETURN;
        END IF;
    ELSIF wanted IS NULL THEN
        outcome := 'no-dose';
        RETURN;
    ELSIF NOT (dose.status IN ('pending', 'unknown') OR dose.status = 'missed' AND taken_at < now)  -- a late press tells of a taking in time
          OR taken_at NOT BETWEEN dose.opens_at AND dose.closes_at THEN
        outcome := 'refused';
        facts := jsonb_build_object('dose', dose_told(dose, now));
        RETURN;
    END IF;

    IF into_status = 'taken' THEN
        over_limit := broken_limit(medicine, coalesce(given_amount, dose.amount), taken_at, dose.id);
        IF over_limit IS NOT NULL AND override IS NULL THEN
            outcome := 'over-limit';
            facts := jsonb_build_object('limit', over_limit, 'dose', CASE WHEN wanted IS NOT NULL AND NOT extra THEN dose_told(dose, now) END);
            RETURN;
        END IF;
    END IF;

    IF dose.kind IN ('as_needed', 'extra') THEN
        INSERT INTO doses VALUES (dose.*);
    ELSE
        UPDATE doses
           SET status = into_status, resolved_at = taken_at, resolved_by = entered_member(), resolved_on = entered_device(), snoozed_until = NULL,
               taken_amount = CASE WHEN into_status = 'taken' THEN nullif(given_amount, amount) END
         WHERE id = dose.id
        RETURNING * INTO dose;
        UPDATE reminders SET status = 'dropped', reason = into_status WHERE dose_id = dose.id AND status = 'waiting';
    END IF;
    PERFORM tell(dose, into_status, taken_at, event_key, coalesce(override, why),
                 CASE WHEN over_limit IS NOT NULL THEN jsonb_build_object('override', over_limit) END, now);
    IF into_status = 'taken' THEN
        PERFORM use_stock(dose.medicine_id, coalesce(dose.taken_amount, dose.amount), 'taken', NULL, dose.id, taken_at, NULL);
        IF dose.kind = 'elapsed' THEN
            PERFORM follow(dose.medicine_id);
        END IF;
    END IF;
    outcome := 'done';
    told := dose_told(dose, now);
END $$;

-- Access

ALTER TABLE restores ENABLE ROW LEVEL SECURITY;
ALTER TABLE restores FORCE ROW LEVEL SECURITY;
CREATE POLICY own_household ON restores TO dosette_api
    USING (household_id = (SELECT entered_household())) WITH CHECK (household_id = (SELECT entered_household()));
CREATE POLICY every_household ON restores TO dosette_scheduler, dosette_migrator USING (true) WITH CHECK (true);
CREATE POLICY for_backup ON restores FOR SELECT TO dosette_backup USING (true);

GRANT SELECT, UPDATE (released_at, released_by) ON restores TO dosette_api;
GRANT SELECT ON restores TO dosette_backup;

REVOKE EXECUTE ON FUNCTION backup_begun(timestamptz), backup_rehearsed(timestamptz, bigint), backup_failed(timestamptz, text),
    begin_epoch(timestamptz), release_restored(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION backup_begun(timestamptz), backup_rehearsed(timestamptz, bigint), backup_failed(timestamptz, text) TO dosette_backup;
GRANT EXECUTE ON FUNCTION schedule_json(schedule_versions), amount_text(numeric) TO dosette_backup;  -- to compare plans
GRANT EXECUTE ON FUNCTION release_restored(timestamptz), end_alarm(uuid, text, uuid, text) TO dosette_api;
