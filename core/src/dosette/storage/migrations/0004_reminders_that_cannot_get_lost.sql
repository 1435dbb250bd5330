-- The ladder: who is told next and when; tellings as rows of their own; claims; what else people are reminded of; who leads.
-- Run by `dosette migrate` in one transaction, as the role dosette_migrator. Comes before the first release, so it may change and drop
-- what only development databases have; tables are small, so plain indexes and checked foreign keys are quick.
-- squawk-ignore-file adding-foreign-key-constraint, adding-not-nullable-field, ban-drop-column, ban-drop-default, ban-drop-not-null, ban-drop-constraint
-- squawk-ignore-file constraint-missing-not-valid, require-concurrent-index-creation, require-concurrent-index-deletion

SET LOCAL search_path = dosette;

ALTER TABLE server ADD COLUMN backed_up_at timestamptz;        -- when a backup was last made; NULL: nobody makes any

CREATE TABLE scheduler_lease (                                 -- who plans and rings: one of several schedulers, so that cost stays down
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    term bigint NOT NULL DEFAULT 0,                            -- grows with each change of the leader
    holder uuid,
    until timestamptz NOT NULL DEFAULT '-infinity',
    backend integer,                                           -- its connection: gone with the process, so that nobody waits for the dead
    backend_start timestamptz
);
INSERT INTO scheduler_lease DEFAULT VALUES;

-- People: who is told second and third, when nobody is to be woken, what a message may say

ALTER TABLE members
    ADD COLUMN second_id uuid REFERENCES members,
    ADD COLUMN third_id uuid REFERENCES members,
    ADD COLUMN quiet_from time,
    ADD COLUMN quiet_until time,
    ADD COLUMN names_medicines boolean NOT NULL DEFAULT false,  -- whether a message may name this member's medicines
    ADD CONSTRAINT quiet_hours CHECK ((quiet_from IS NULL) = (quiet_until IS NULL)),
    ADD CONSTRAINT three_people CHECK (second_id <> id AND third_id <> id AND second_id <> third_id);

ALTER TABLE contacts
    ADD COLUMN secret text,                                    -- signs what a webhook is sent
    ADD COLUMN removed_at timestamptz;
DROP INDEX contacts_of_member;
CREATE INDEX contacts_in_use ON contacts (member_id) WHERE removed_at IS NULL;

ALTER TABLE schedule_versions ADD COLUMN nag_minutes integer CHECK (nag_minutes > 0);  -- NULL: the default by kind

ALTER TABLE devices ADD COLUMN seen_at timestamptz;            -- its last sign of life

-- Reminders: each climbs its ladder until the dose is resolved or its window ended and that was told

DROP INDEX reminders_waiting;
ALTER TABLE reminders
    ALTER COLUMN dose_id DROP NOT NULL,
    ADD COLUMN about uuid,                                     -- what it is about when that is no dose: a medicine, a device, a delivery
    ADD COLUMN tellings integer NOT NULL DEFAULT 0,            -- how often somebody was told
    ADD COLUMN claimed_by uuid REFERENCES members,             -- who takes care of it, so that others are not told
    ADD COLUMN claimed_at timestamptz,
    ADD COLUMN detail jsonb,                                   -- what its text needs beside the names
    DROP COLUMN rung_at;
CREATE INDEX reminders_waiting ON reminders (due_at) WHERE status = 'waiting';
CREATE INDEX reminders_waiting_at_home ON reminders (household_id, due_at) WHERE status = 'waiting';
CREATE UNIQUE INDEX one_alarm ON reminders (household_id, kind, (coalesce(about, household_id))) WHERE status = 'waiting' AND dose_id IS NULL;

-- Deliveries: the outbox. One message to one contact or panel, about all that it was told of in that minute

ALTER TABLE deliveries
    ADD COLUMN reminder_ids uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN channel text,
    ADD COLUMN device_id uuid REFERENCES devices,              -- a panel is told without a contact
    ADD COLUMN urgent boolean NOT NULL DEFAULT false,
    ADD COLUMN made_at timestamptz,
    ADD COLUMN due_at timestamptz,                             -- when it is to be tried next
    ADD COLUMN rung_at timestamptz,
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN lease uuid,
    ADD COLUMN leased_until timestamptz,
    ALTER COLUMN contact_id DROP NOT NULL,
    ALTER COLUMN at DROP NOT NULL,                             -- when its fate was known
    DROP CONSTRAINT deliveries_status_check;
UPDATE deliveries AS d
   SET reminder_ids = ARRAY[reminder_id], channel = c.channel, made_at = d.at, due_at = d.at, rung_at = d.at, attempts = 1,
       status = CASE d.status WHEN 'failed' THEN 'dropped' ELSE d.status END
  FROM contacts AS c WHERE c.id = d.contact_id;
ALTER TABLE deliveries
    DROP COLUMN reminder_id,
    ALTER COLUMN reminder_ids DROP DEFAULT,
    ALTER COLUMN channel SET NOT NULL,
    ALTER COLUMN made_at SET NOT NULL,
    ALTER COLUMN due_at SET NOT NULL,
    ALTER COLUMN status SET DEFAULT 'waiting',
    ADD CONSTRAINT deliveries_status_check CHECK (status IN ('waiting', 'delivered', 'dropped', 'parked')),
    ADD CONSTRAINT to_somebody CHECK (num_nonnulls(contact_id, device_id) = 1);
CREATE INDEX deliveries_waiting ON deliveries (due_at) WHERE status = 'waiting';
CREATE INDEX deliveries_to_send ON deliveries (channel, urgent DESC, due_at) WHERE status = 'waiting';
DROP INDEX deliveries_of_household;
CREATE INDEX deliveries_of_household ON deliveries (household_id, made_at);
CREATE INDEX deliveries_suspect ON deliveries (due_at) WHERE status = 'waiting' AND attempts > 0 AND error IS NULL;
CREATE INDEX deliveries_parked ON deliveries (household_id) WHERE status = 'parked';
CREATE INDEX deliveries_of_reminders ON deliveries USING gin (reminder_ids);

-- Schedules say how often to nag

CREATE OR REPLACE FUNCTION schedule_json(version schedule_versions) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'version', version.number,
    'kind', version.kind,
    'zone', version.zone,
    'starts_on', version.starts_on,
    'ends_on', version.ends_on,
    'critical', version.critical,
    'window_minutes', version.window_minutes,
    'nag_minutes', version.nag_minutes,
    'steps', version.steps,
    'every_days', version.every_days,
    'every_weeks', version.every_weeks,
    'month_days', version.month_days,
    'days_on', version.days_on,
    'days_off', version.days_off,
    'every_minutes', version.every_minutes,
    'counted_from', version.counted_from,
    'anchor_at', version.anchor_at,
    'min_gap_minutes', version.min_gap_minutes,
    'most_per_24_h', amount_text(version.most_per_24_h),
    'pauses', version.pauses,
    'created_at', version.created_at);

-- Undoing and snoozing put a reminder on its ladder again

CREATE OR REPLACE FUNCTION take_back(wanted uuid, at timestamptz, event_key text, now timestamptz, OUT outcome text, OUT told jsonb, OUT facts jsonb)
LANGUAGE plpgsql AS $$
DECLARE  -- undo: a planned dose is open again, one that was made by taking it is cancelled
    dose doses;
BEGIN
    SELECT * INTO dose FROM doses WHERE id = wanted AND household_id = entered_household();
    IF NOT FOUND THEN
        outcome := 'no-dose';
        RETURN;
    ELSIF dose.status NOT IN ('taken', 'skipped') THEN
        outcome := 'refused';
        facts := jsonb_build_object('dose', dose_told(dose, now));
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

CREATE OR REPLACE FUNCTION put_off(wanted uuid, until timestamptz, event_key text, now timestamptz, OUT outcome text, OUT told jsonb, OUT facts jsonb)
LANGUAGE plpgsql AS $$
DECLARE  -- snooze: the dose is told again then, not before it is due and never past its window
    dose doses;
BEGIN
    SELECT * INTO dose FROM doses WHERE id = wanted AND household_id = entered_household();
    IF NOT FOUND THEN
        outcome := 'no-dose';
        RETURN;
    ELSIF dose.status <> 'pending' OR now < dose.opens_at OR until >= dose.closes_at THEN
        outcome := 'refused';
        facts := jsonb_build_object('dose', dose_told(dose, now));
        RETURN;
    END IF;
    UPDATE doses SET snoozed_until = greatest(until, due_at) WHERE id = dose.id RETURNING * INTO dose;
    UPDATE reminders SET status = 'waiting', due_at = dose.snoozed_until, reason = NULL, attempts = 0, lease = NULL, leased_until = NULL
     WHERE dose_id = dose.id AND kind = 'dose' AND status IN ('waiting', 'told');
    PERFORM tell(dose, 'snoozed', now, event_key, NULL, jsonb_build_object('until', dose.snoozed_until), now);
    outcome := 'done';
    told := dose_told(dose, now);
END $$;

-- Alarms: reminders that are about no dose

CREATE FUNCTION raise_alarm(of_household uuid, what text, about_id uuid, facts jsonb, now timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN  -- once, until it is over; whether it is new
    INSERT INTO reminders (household_id, kind, about, detail, due_at)
    SELECT of_household, what, about_id, facts, now
     WHERE NOT EXISTS (  -- somebody dismissed it, and its cause goes on
        SELECT FROM reminders WHERE household_id = of_household AND kind = what AND about IS NOT DISTINCT FROM about_id
           AND dose_id IS NULL AND status = 'dropped' AND claimed_at IS NOT NULL AND due_at > now)
    ON CONFLICT (household_id, kind, (coalesce(about, household_id))) WHERE status = 'waiting' AND dose_id IS NULL DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('dosette', of_household::text);
    END IF;
    RETURN FOUND;
END $$;

CREATE FUNCTION end_alarm(of_household uuid, what text, about_id uuid, why text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE reminders SET status = 'dropped', reason = why
     WHERE household_id = of_household AND kind = what AND coalesce(about, household_id) = coalesce(about_id, of_household)
       AND status = 'waiting' AND dose_id IS NULL;
    IF FOUND THEN
        PERFORM pg_notify('dosette', of_household::text);
    END IF;
    RETURN FOUND;
END $$;

CREATE FUNCTION backup_made(at timestamptz) RETURNS void LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    UPDATE dosette.server SET backed_up_at = at;
END;

-- Links in messages: whoever has one was told this, and may answer it as the person who was told

CREATE FUNCTION enter_link(of_delivery uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = dosette AS $$
DECLARE
    found_one record;
BEGIN
    SELECT d.household_id, c.member_id INTO found_one
      FROM deliveries AS d JOIN contacts AS c ON c.id = d.contact_id AND c.removed_at IS NULL
     WHERE d.id = of_delivery;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown link' USING ERRCODE = 'DO404';
    END IF;
    PERFORM enter_as(found_one.household_id, found_one.member_id, NULL, 'link', true);
END $$;

CREATE FUNCTION claim_reminders(wanted uuid[], now timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE  -- "I've got it": the others are not told of it any more
    how_many integer;
BEGIN
    UPDATE reminders SET claimed_by = entered_member(), claimed_at = now
     WHERE id = ANY (wanted) AND household_id = entered_household() AND status = 'waiting' AND claimed_by IS DISTINCT FROM entered_member();
    GET DIAGNOSTICS how_many = ROW_COUNT;
    PERFORM pg_notify('dosette', entered_household()::text);
    RETURN how_many;
END $$;

-- Access

ALTER TABLE scheduler_lease ENABLE ROW LEVEL SECURITY;
ALTER TABLE scheduler_lease FORCE ROW LEVEL SECURITY;
CREATE POLICY schedulers ON scheduler_lease TO dosette_scheduler, dosette_migrator USING (true) WITH CHECK (true);
CREATE POLICY for_backup ON scheduler_lease FOR SELECT TO dosette_backup USING (true);
CREATE POLICY for_backups ON server TO dosette_backup USING (true);

GRANT SELECT, UPDATE ON scheduler_lease TO dosette_scheduler;
GRANT SELECT ON scheduler_lease TO dosette_backup;
GRANT SELECT, INSERT ON deliveries TO dosette_scheduler;
GRANT UPDATE (rung_at) ON deliveries TO dosette_scheduler;
GRANT UPDATE (seen_at) ON devices TO dosette_scheduler;
GRANT UPDATE (status, error, at, due_at, attempts, lease, leased_until) ON deliveries TO dosette_worker;
REVOKE UPDATE ON reminders FROM dosette_worker;
GRANT INSERT ON reminders TO dosette_worker;
GRANT SELECT ON devices TO dosette_worker;
GRANT INSERT ON deliveries TO dosette_api;                     -- the test message that a member asks for

REVOKE EXECUTE ON FUNCTION raise_alarm(uuid, text, uuid, jsonb, timestamptz), end_alarm(uuid, text, uuid, text), backup_made(timestamptz),
    enter_link(uuid), claim_reminders(uuid[], timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION raise_alarm(uuid, text, uuid, jsonb, timestamptz), end_alarm(uuid, text, uuid, text) TO dosette_scheduler, dosette_worker;
GRANT EXECUTE ON FUNCTION raise_alarm(uuid, text, uuid, jsonb, timestamptz) TO dosette_api;
GRANT EXECUTE ON FUNCTION backup_made(timestamptz) TO dosette_backup;
GRANT EXECUTE ON FUNCTION enter_link(uuid) TO dosette_api;
GRANT EXECUTE ON FUNCTION claim_reminders(uuid[], timestamptz) TO dosette_api, dosette_scheduler;
GRANT EXECUTE ON FUNCTION supply(timestamptz, uuid), runs_out_on(numeric, date, date, bigint[], numeric),
    order_by_on(date, integer, smallint[], date[]) TO dosette_scheduler;

-- What the API tells of people, contacts and reminders, and what people answer

CREATE INDEX reminders_parked ON reminders (household_id) WHERE status = 'parked';
CREATE INDEX alarms_dismissed ON reminders (household_id, kind) WHERE dose_id IS NULL AND status = 'dropped' AND claimed_at IS NOT NULL;

CREATE FUNCTION member_json(person members) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'id', person.id, 'name', person.name, 'role', person.role, 'second_id', person.second_id, 'third_id', person.third_id,
    'quiet_from', left(person.quiet_from::text, 5), 'quiet_until', left(person.quiet_until::text, 5),
    'names_medicines', person.names_medicines, 'created_at', person.created_at);

CREATE FUNCTION wrong_with(person members) RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC  -- a foreign key alone looks past row-level security; NULL: nothing is wrong
    SELECT CASE
        WHEN person.second_id = person.id THEN 'second-self'
        WHEN person.third_id = person.id THEN 'third-self'
        WHEN person.second_id = person.third_id THEN 'third-second'
        WHEN person.second_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM dosette.members WHERE id = person.second_id AND household_id = dosette.entered_household()) THEN 'no-second'
        WHEN person.third_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM dosette.members WHERE id = person.third_id AND household_id = dosette.entered_household()) THEN 'no-third'
        WHEN (person.quiet_from IS NULL) <> (person.quiet_until IS NULL) THEN 'half-quiet'
        WHEN person.quiet_from = person.quiet_until THEN 'no-quiet'
    END;
END;

CREATE FUNCTION delivery_json(delivery deliveries) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'id', delivery.id, 'status', delivery.status, 'error', delivery.error, 'attempts', delivery.attempts, 'made_at', delivery.made_at,
    'at', delivery.at);

CREATE FUNCTION masked(channel text, address text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC  -- what people know it by; not what lets others in
    SELECT open.part || CASE WHEN open.hidden = 0 THEN '' WHEN open.hidden > 12 THEN '…' || right(address, 4) ELSE '…' END
      FROM (SELECT part, length(address) - length(part) AS hidden
              FROM (SELECT CASE channel WHEN 'apprise' THEN coalesce(substring(address FROM '^[^:]+://'), '')
                                        WHEN 'webhook' THEN coalesce(substring(address FROM '^[^:]+://[^/?#]+'), '') ELSE address END AS part) AS p
           ) AS open;
END;

CREATE FUNCTION contact_told(contact contacts) RETURNS jsonb LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT jsonb_build_object(
               'id', contact.id, 'member', dosette.named(p.id, p.name), 'channel', contact.channel,
               'address', dosette.masked(contact.channel, contact.address), 'created_at', contact.created_at,
               'latest', (SELECT dosette.delivery_json(d) FROM dosette.deliveries AS d
                           WHERE d.contact_id = contact.id ORDER BY d.made_at DESC, d.id DESC LIMIT 1))
      FROM dosette.members AS p WHERE p.id = contact.member_id;
END;

CREATE FUNCTION reminder_told(reminder reminders, now timestamptz) RETURNS jsonb LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT jsonb_build_object(
               'id', reminder.id, 'kind', reminder.kind, 'status', reminder.status, 'reason', reminder.reason,
               'member', dosette.named(p.id, p.name), 'dose', CASE WHEN d.id IS NOT NULL THEN dosette.dose_told(d, now) END,
               'about', coalesce(dosette.named(m.id, m.name), dosette.named(v.id, v.name)), 'detail', reminder.detail,
               'tellings', reminder.tellings, 'told_at', reminder.told_at,
               'next_at', CASE WHEN reminder.status = 'waiting' THEN reminder.due_at END,
               'claimed_by', dosette.named(c.id, c.name), 'claimed_at', reminder.claimed_at)
      FROM (SELECT) AS always
      LEFT JOIN dosette.doses AS d ON d.id = reminder.dose_id
      LEFT JOIN dosette.medicines AS m ON m.id = reminder.about
      LEFT JOIN dosette.devices AS v ON v.id = reminder.about
      LEFT JOIN dosette.members AS p ON p.id = coalesce(d.member_id, m.member_id)
      LEFT JOIN dosette.members AS c ON c.id = reminder.claimed_by;
END;

CREATE FUNCTION claim_reminder(wanted uuid, now timestamptz, OUT outcome text, OUT told jsonb, OUT facts jsonb) LANGUAGE plpgsql AS $$
DECLARE
    it reminders;
BEGIN
    SELECT * INTO it FROM reminders WHERE id = wanted AND household_id = entered_household();
    outcome := CASE WHEN it.id IS NULL THEN 'no-reminder' WHEN it.dose_id IS NULL THEN 'alarm' WHEN it.status <> 'waiting' THEN 'over'
                    WHEN entered_member() IS NULL THEN 'nobody' ELSE 'done' END;
    IF outcome = 'done' THEN
        PERFORM claim_reminders(ARRAY[wanted], now);
        SELECT * INTO it FROM reminders WHERE id = wanted;
    END IF;
    told := reminder_told(it, now);
    facts := jsonb_build_object('reminder', told);
END $$;

CREATE FUNCTION dismiss_reminder(wanted uuid, until timestamptz, now timestamptz, OUT outcome text, OUT told jsonb, OUT facts jsonb)
LANGUAGE plpgsql AS $$
DECLARE  -- with an alarm goes what it is about, and the other way round; what is dismissed is not raised again before `until`
    it reminders;
BEGIN
    SELECT * INTO it FROM reminders WHERE id = wanted AND household_id = entered_household();
    outcome := CASE WHEN it.id IS NULL THEN 'no-reminder' WHEN it.status = 'parked' THEN 'done' WHEN it.status <> 'waiting' THEN 'over'
                    WHEN it.dose_id IS NOT NULL THEN 'dose' ELSE 'done' END;
    IF outcome = 'done' THEN
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

CREATE FUNCTION link_told(of_delivery uuid, now timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN  -- what a message told of, as it is at this moment; names of medicines only where their member lets messages have them
    RETURN (
        SELECT jsonb_build_object(
                   'recipient', (SELECT name FROM members WHERE id = entered_member()), 'zone', h.zone,
                   'items', coalesce(jsonb_agg(jsonb_build_object(
                       'reminder_id', r.id, 'dose_id', d.id, 'member', p.name, 'opens_at', d.opens_at, 'due_at', d.due_at, 'closes_at', d.closes_at,
                       'status', d.status, 'open', d.status = 'pending' AND now BETWEEN d.opens_at AND d.closes_at,
                       'resolved_at', d.resolved_at, 'resolved_by', coalesce(b.name, v.name), 'claimed_by', c.name,
                       'medicine', CASE WHEN p.names_medicines THEN m.name END, 'strength', CASE WHEN p.names_medicines THEN m.strength END,
                       'amount', CASE WHEN p.names_medicines THEN amount_text(coalesce(d.taken_amount, d.amount)) END,
                       'unit', CASE WHEN p.names_medicines THEN m.unit END) ORDER BY d.due_at, d.id) FILTER (WHERE d.id IS NOT NULL), '[]'))
          FROM deliveries AS t
          JOIN households AS h ON h.id = t.household_id
          LEFT JOIN reminders AS r ON r.id = ANY (t.reminder_ids)
          LEFT JOIN doses AS d ON d.id = r.dose_id
          LEFT JOIN medicines AS m ON m.id = d.medicine_id
          LEFT JOIN members AS p ON p.id = d.member_id
          LEFT JOIN members AS b ON b.id = d.resolved_by
          LEFT JOIN devices AS v ON v.id = d.resolved_on
          LEFT JOIN members AS c ON c.id = r.claimed_by
         WHERE t.id = of_delivery AND t.household_id = entered_household()
         GROUP BY h.zone);
END $$;

CREATE FUNCTION answer_link(of_delivery uuid, action text, event_key text, now timestamptz, OUT outcome text, OUT told jsonb, OUT facts jsonb)
LANGUAGE plpgsql AS $$
DECLARE  -- all that a message told of and that is still open; a link that could do nothing may be tried again
    ids constant uuid[] := (SELECT reminder_ids FROM deliveries WHERE id = of_delivery AND household_id = entered_household());
    each uuid;
    settled record;
    how_many integer := 0;
    refusals jsonb := '{}';
BEGIN
    IF action = 'claim' THEN
        how_many := claim_reminders(ARRAY(
            SELECT r.id FROM reminders AS r JOIN doses AS d ON d.id = r.dose_id WHERE r.id = ANY (ids) AND d.status = 'pending'), now);
    ELSE
        FOR each IN SELECT d.id FROM reminders AS r JOIN doses AS d ON d.id = r.dose_id
                     WHERE r.id = ANY (ids) AND d.status = 'pending' ORDER BY d.due_at, d.id LOOP
            SELECT s.outcome, s.facts INTO settled FROM settle(each, NULL, CASE action WHEN 'take' THEN 'taken' WHEN 'skip' THEN 'skipped' END, false,
                                                             NULL, now, NULL, NULL, event_key, now) AS s;
            how_many := how_many + (settled.outcome = 'done')::integer;
            IF settled.outcome = 'over-limit' THEN
                refusals := refusals || jsonb_build_object(each, jsonb_build_object('rule', settled.facts #> '{limit,rule}',
                                                                                    'free_at', settled.facts #> '{limit,free_at}'));
            END IF;
        END LOOP;
    END IF;
    outcome := CASE WHEN how_many > 0 THEN 'done' ELSE 'nothing' END;
    told := jsonb_build_object('done_at', now, 'refusals', refusals);
    facts := jsonb_build_object('refusals', refusals);
END $$;

REVOKE EXECUTE ON FUNCTION member_json(members), wrong_with(members), delivery_json(deliveries), masked(text, text), contact_told(contacts),
    reminder_told(reminders, timestamptz), claim_reminder(uuid, timestamptz), dismiss_reminder(uuid, timestamptz, timestamptz),
    link_told(uuid, timestamptz), answer_link(uuid, text, text, timestamptz) FROM PUBLIC;
GRANT UPDATE (status) ON deliveries TO dosette_api;  -- of a message that was given up, when somebody has seen to it
GRANT EXECUTE ON FUNCTION member_json(members), wrong_with(members), delivery_json(deliveries), masked(text, text), contact_told(contacts),
    reminder_told(reminders, timestamptz), claim_reminder(uuid, timestamptz), dismiss_reminder(uuid, timestamptz, timestamptz),
    link_told(uuid, timestamptz), answer_link(uuid, text, text, timestamptz) TO dosette_api;
