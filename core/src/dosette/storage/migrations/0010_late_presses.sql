-- What comes late leaves in peace what others have said since.
-- Run by `dosette migrate` in one transaction, as the role dosette_migrator.

SET LOCAL search_path = dosette;

CREATE OR REPLACE FUNCTION take_back(wanted uuid, at timestamptz, event_key text, now timestamptz, OUT outcome text, OUT told jsonb, OUT facts jsonb)
LANGUAGE plpgsql AS $$
DECLARE  -- undo: a planned dose is open again, one that was made by taking it is cancelled; a device undoes its own presses only
    dose doses;
    reported conflicts;
BEGIN
    SELECT * INTO dose FROM doses WHERE id = wanted AND household_id = entered_household();
    IF NOT FOUND THEN
        outcome := 'no-dose';
        RETURN;
    ELSIF dose.status NOT IN ('taken', 'skipped') OR entered_device() IS NOT NULL AND dose.resolved_on IS DISTINCT FROM entered_device() THEN
        UPDATE conflicts SET status = 'not_taken', resolved_at = now  -- its press did not count, so that is what it takes back
         WHERE id = (SELECT c.id FROM conflicts AS c WHERE c.dose_id = dose.id AND c.device_id = entered_device() AND c.status = 'open'
                     ORDER BY c.id DESC LIMIT 1)
        RETURNING * INTO reported;
        IF NOT FOUND THEN
            outcome := 'refused';
            facts := jsonb_build_object('dose', dose_told(dose, now));
            RETURN;
        END IF;
        PERFORM tell(dose, 'corrected', at, event_key, NULL, jsonb_build_object('conflict', reported.id, 'was', 'not_taken'), now);
        outcome := 'done';
        told := dose_told(dose, now);
        RETURN;
    END IF;
    UPDATE doses
       SET status = CASE WHEN kind IN ('as_needed', 'extra') THEN 'cancelled' ELSE 'pending' END,
           resolved_at = NULL, resolved_by = NULL, resolved_on = NULL, taken_amount = NULL
     WHERE id = dose.id
    RETURNING * INTO dose;
    PERFORM tell(dose, 'undone', at, event_key, NULL, NULL, now), give_stock_back(dose.id, at);
    IF dose.kind = 'elapsed' THEN
        PERFORM follow(dose.medicine_id);
        SELECT * INTO dose FROM doses WHERE id = wanted;
    END IF;
    UPDATE reminders  -- whoever has just undone it need not be told in the same minute
       SET status = 'waiting', due_at = CASE WHEN told_at IS NULL THEN dose.due_at ELSE greatest(dose.due_at, now + interval '5 minutes') END,
           reason = NULL, claimed_by = NULL, claimed_at = NULL, attempts = 0
     WHERE dose_id = dose.id AND reminders.status = 'dropped' AND now < dose.closes_at;
    outcome := 'done';
    told := dose_told(dose, now);
END $$;

CREATE OR REPLACE FUNCTION follow(of_medicine uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE  -- the doses to come follow the last one known, at the interval; they keep their ids, for a panel may be away that knows them
    away constant interval := '1000 years';
    rule schedules;
    version schedule_versions;
    last doses;
    every interval;
    first_at timestamptz;
BEGIN
    SELECT * INTO rule FROM schedules WHERE medicine_id = of_medicine AND follows_minutes IS NOT NULL AND planned_until IS NOT NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    every := make_interval(mins => rule.follows_minutes);
    SELECT * INTO last FROM doses  -- of an old rule, only what was taken
     WHERE medicine_id = of_medicine AND kind = 'elapsed' AND (status = 'taken' OR status IN ('skipped', 'missed', 'unknown') AND doses.version = rule.version)
     ORDER BY due_at DESC LIMIT 1;
    SELECT greatest(coalesce(CASE last.status WHEN 'taken' THEN last.resolved_at ELSE last.due_at END + every,
                             min(due_at) FILTER (WHERE doses.version = rule.version)),
                    max(due_at) FILTER (WHERE doses.version <> rule.version) + every) INTO first_at
      FROM doses WHERE medicine_id = of_medicine AND kind = 'elapsed' AND status = 'pending';
    IF first_at IS NULL THEN
        RETURN;
    END IF;
    SELECT * INTO STRICT version FROM schedule_versions WHERE medicine_id = of_medicine AND number = rule.version;
    first_at := greatest(first_at, version.created_at, version.anchor_at);  -- a new rule makes nothing due before it began
    UPDATE schedules SET planned_until = planned_until + interval '1 microsecond'  -- a planner that has read what was before must notice
     WHERE medicine_id = of_medicine;
    UPDATE doses SET due_at = due_at + away  -- so that none stands where another one goes
     WHERE medicine_id = of_medicine AND kind = 'elapsed' AND status = 'pending' AND doses.version = rule.version
       AND due_at > coalesce(last.due_at, '-infinity');
    WITH series AS (
        SELECT row_number() OVER (ORDER BY slot.at) AS place, slot.at, slot.day, step.amount
          FROM (SELECT at, household_day(at) AS day FROM generate_series(first_at, rule.planned_until, every) AS at) AS slot
         CROSS JOIN LATERAL (
             SELECT s.amount FROM jsonb_to_recordset(version.steps) AS s (amount numeric, starts_on date, ends_on date)
              WHERE slot.day BETWEEN coalesce(s.starts_on, '-infinity') AND coalesce(s.ends_on, 'infinity') LIMIT 1) AS step
         WHERE slot.day BETWEEN version.starts_on AND coalesce(version.ends_on, 'infinity') AND NOT EXISTS (
               SELECT FROM jsonb_to_recordset(version.pauses) AS pause (starts_on date, ends_on date)
                WHERE slot.day BETWEEN pause.starts_on AND coalesce(pause.ends_on, 'infinity'))
    ), coming AS (
        SELECT id, row_number() OVER (ORDER BY due_at) AS place FROM doses
         WHERE medicine_id = of_medicine AND kind = 'elapsed' AND status = 'pending' AND due_at > first_at + away / 2
    ), moved AS (
        UPDATE doses AS d
           SET due_at = series.at, opens_at = series.at - rule.follows_window, late_at = series.at + rule.follows_window / 2,
               closes_at = series.at + rule.follows_window, slot_on = series.day, amount = series.amount, snoozed_until = NULL
          FROM coming JOIN series ON series.place = coming.place
         WHERE d.id = coming.id
        RETURNING d.id, d.due_at
    ), added AS (
        INSERT INTO doses (household_id, medicine_id, member_id, version, kind, slot_on, slot_time, amount, opens_at, due_at, late_at, closes_at)
        SELECT m.household_id, m.id, m.member_id, rule.version, 'elapsed', series.day, (series.at AT TIME ZONE 'UTC')::time, series.amount,
               series.at - rule.follows_window, series.at, series.at + rule.follows_window / 2, series.at + rule.follows_window
          FROM series JOIN medicines AS m ON m.id = of_medicine
         WHERE series.place > (SELECT count(*) FROM coming)
        RETURNING id, household_id, due_at
    ), gone AS (
        UPDATE doses AS d SET status = 'cancelled', due_at = due_at - away FROM coming
         WHERE d.id = coming.id AND coming.place > (SELECT count(*) FROM series)
        RETURNING d.id
    ), told_then AS (
        UPDATE reminders AS r SET due_at = moved.due_at FROM moved WHERE r.dose_id = moved.id AND r.status = 'waiting'
    ), not_told AS (
        UPDATE reminders AS r SET status = 'dropped', reason = 'rescheduled' FROM gone WHERE r.dose_id = gone.id AND r.status = 'waiting'
    )
    INSERT INTO reminders (household_id, dose_id, due_at) SELECT household_id, id, due_at FROM added;
END $$;

CREATE OR REPLACE FUNCTION resolve_conflict(wanted uuid, verdict text, why text, event_key text, now timestamptz,
                                 OUT outcome text, OUT told jsonb, OUT facts jsonb) LANGUAGE plpgsql AS $$
DECLARE  -- not_taken: it told of the same taking, or of none; taken: it was really taken: the dose, if that is not settled, or one of its own
    found_one conflicts;
    dose doses;
    away interval;
BEGIN
    SELECT * INTO found_one FROM conflicts WHERE id = wanted AND household_id = entered_household();
    IF NOT FOUND OR found_one.status <> 'open' THEN
        outcome := CASE WHEN FOUND THEN 'refused' ELSE 'no-conflict' END;
        facts := jsonb_build_object('conflict', conflict_told(found_one, now));
        RETURN;
    END IF;
    UPDATE conflicts SET status = verdict, resolved_at = now, resolved_by = entered_member() WHERE id = wanted RETURNING * INTO found_one;
    SELECT * INTO dose FROM doses WHERE id = found_one.dose_id;
    PERFORM tell(dose, 'corrected', found_one.at, event_key, why, jsonb_build_object('conflict', wanted, 'was', verdict), now);
    IF verdict = 'taken' AND found_one.report = 'take' THEN
        away := found_one.at - dose.due_at;
        UPDATE doses AS d  -- it was pressed where it stood before it moved, so there it goes, unless it would pass another one
           SET opens_at = d.opens_at + away, due_at = d.due_at + away, late_at = d.late_at + away, closes_at = d.closes_at + away,
               slot_on = household_day(found_one.at)
         WHERE d.id = dose.id AND d.kind = 'elapsed' AND d.status = 'pending' AND found_one.at NOT BETWEEN d.opens_at AND d.closes_at
           AND NOT EXISTS (
               SELECT FROM doses AS other
                WHERE other.medicine_id = d.medicine_id AND other.kind = 'elapsed' AND other.status <> 'cancelled' AND other.id <> d.id
                  AND other.closes_at > least(d.opens_at, d.opens_at + away) AND other.opens_at < greatest(d.closes_at, d.closes_at + away));
        SELECT * INTO dose FROM doses WHERE id = dose.id;
        PERFORM settle(dose.id, NULL, 'taken',
                       dose.status NOT IN ('pending', 'unknown', 'missed') OR found_one.at NOT BETWEEN dose.opens_at AND dose.closes_at,
                       NULL, found_one.at, NULL, coalesce(why, 'a conflict resolved'), event_key, now);
    END IF;
    outcome := 'done';
    told := conflict_told(found_one, now);
END $$;
