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
