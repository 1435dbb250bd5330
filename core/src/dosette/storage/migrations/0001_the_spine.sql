-- Households, their people, medicines, schedules, doses, stock, reminders and devices; who may reach what.
-- Run by `dosette migrate` in one transaction, as the role dosette_migrator, which owns everything here and logs in nowhere.

CREATE SCHEMA dosette;
GRANT USAGE ON SCHEMA dosette TO dosette_api, dosette_scheduler, dosette_worker, dosette_backup;
SET LOCAL search_path = dosette;

-- Who is asking: set by enter(…) for one transaction. Afterwards a setting reads '', not NULL.

CREATE FUNCTION entered_household() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN NULLIF(current_setting('dosette.household', true), '')::uuid;

CREATE FUNCTION entered_member() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN NULLIF(current_setting('dosette.member', true), '')::uuid;

CREATE FUNCTION entered_device() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN NULLIF(current_setting('dosette.device', true), '')::uuid;

CREATE FUNCTION entered_source() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(NULLIF(current_setting('dosette.source', true), ''), 'server');

-- The server itself: one row. The epoch changes with a restore, so that devices notice.

CREATE TABLE server (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    epoch uuid NOT NULL DEFAULT uuidv7(),
    singleton boolean NOT NULL DEFAULT true UNIQUE CHECK (singleton)
);
INSERT INTO server DEFAULT VALUES;

-- People

CREATE TABLE households (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL CHECK (name <> ''),
    zone text NOT NULL,
    seq bigint NOT NULL DEFAULT 0,                -- number of the newest dose event
    head bytea NOT NULL DEFAULT sha256(''),       -- its hash: the head of the chain
    created_at timestamptz NOT NULL
);

CREATE TABLE members (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    household_id uuid NOT NULL REFERENCES households,
    name text NOT NULL CHECK (name <> ''),
    role text NOT NULL CHECK (role IN ('admin', 'caregiver', 'self', 'viewer')),
    created_at timestamptz NOT NULL,
    UNIQUE (household_id, name)
);

CREATE TABLE devices (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    household_id uuid NOT NULL REFERENCES households,
    name text NOT NULL CHECK (name <> ''),
    generation integer NOT NULL DEFAULT 1,        -- a part of its keys: a new one makes the old keys worthless
    plan_number bigint NOT NULL DEFAULT 0,        -- of the newest plan published to it
    pressed bigint NOT NULL DEFAULT 0,            -- number of its newest press taken in
    last_press_at timestamptz,
    paired_at timestamptz NOT NULL,
    revoked_at timestamptz,
    UNIQUE (household_id, name)
);

CREATE TABLE tokens (
    digest bytea PRIMARY KEY,                     -- sha256 of the token; the token itself is stored nowhere
    id uuid NOT NULL UNIQUE DEFAULT uuidv7(),
    household_id uuid NOT NULL REFERENCES households,
    member_id uuid REFERENCES members,
    name text NOT NULL CHECK (name <> ''),
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX tokens_of_household ON tokens (household_id);

CREATE TABLE contacts (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    household_id uuid NOT NULL REFERENCES households,
    member_id uuid NOT NULL REFERENCES members,
    channel text NOT NULL,
    address text NOT NULL CHECK (address <> ''),
    created_at timestamptz NOT NULL
);
CREATE INDEX contacts_of_member ON contacts (member_id);
CREATE INDEX contacts_of_household ON contacts (household_id);

-- Medicines and their schedules

CREATE TABLE medicines (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    household_id uuid NOT NULL REFERENCES households,
    member_id uuid NOT NULL REFERENCES members,   -- who takes it
    name text NOT NULL CHECK (name <> ''),
    strength text NOT NULL,
    form text NOT NULL,
    unit text NOT NULL,                           -- what is counted: tablet, ml, puff
    ingredients text[] NOT NULL DEFAULT '{}',
    note text NOT NULL DEFAULT '',                -- "with food"
    low_days integer NOT NULL DEFAULT 7,          -- running low when the stock lasts fewer days
    created_at timestamptz NOT NULL,
    archived_at timestamptz
);
CREATE INDEX medicines_in_use ON medicines (household_id, id) WHERE archived_at IS NULL;
CREATE INDEX medicines_of_member ON medicines (member_id);

CREATE TABLE schedules (
    medicine_id uuid PRIMARY KEY REFERENCES medicines,
    household_id uuid NOT NULL REFERENCES households,
    version integer NOT NULL,                     -- the one in force
    planned_until timestamptz,                    -- doses are rows up to here; NULL: nothing to plan any more
    daily_use numeric NOT NULL                    -- units per day of the version in force, averaged over four weeks
);
CREATE INDEX schedules_to_plan ON schedules (planned_until) WHERE planned_until IS NOT NULL;
CREATE INDEX schedules_of_household ON schedules (household_id);

CREATE TABLE schedule_versions (
    medicine_id uuid NOT NULL REFERENCES medicines,
    number integer NOT NULL,
    household_id uuid NOT NULL REFERENCES households,
    zone text NOT NULL,
    starts_on date NOT NULL,
    ends_on date,
    critical boolean NOT NULL,
    window_minutes integer,                       -- NULL: the default by frequency
    steps jsonb NOT NULL,                         -- [{"time", "weekdays", "amount"}]
    created_at timestamptz NOT NULL,
    created_by uuid REFERENCES members,
    PRIMARY KEY (medicine_id, number)
);
CREATE INDEX schedule_versions_of_household ON schedule_versions (household_id);

-- Doses and what became of them

CREATE TABLE doses (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    household_id uuid NOT NULL REFERENCES households,
    medicine_id uuid NOT NULL REFERENCES medicines,
    member_id uuid NOT NULL REFERENCES members,
    version integer NOT NULL,
    slot_on date NOT NULL,                        -- the local day it belongs to, whenever it is taken
    slot_time time NOT NULL,
    amount numeric NOT NULL CHECK (amount > 0),
    opens_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    late_at timestamptz NOT NULL,
    closes_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'taken', 'skipped', 'missed', 'cancelled')),
    resolved_at timestamptz,                      -- when it was taken, skipped or missed
    resolved_by uuid REFERENCES members,
    resolved_on uuid REFERENCES devices,
    FOREIGN KEY (medicine_id, version) REFERENCES schedule_versions
);
CREATE UNIQUE INDEX one_dose_per_slot ON doses (medicine_id, slot_on, slot_time) WHERE status <> 'cancelled';
CREATE INDEX doses_by_time ON doses (household_id, due_at, id) WHERE status <> 'cancelled';
CREATE INDEX doses_pending ON doses (household_id, due_at) WHERE status = 'pending';
CREATE INDEX doses_to_close ON doses (closes_at) WHERE status = 'pending';

CREATE TABLE dose_events (
    household_id uuid NOT NULL REFERENCES households,
    seq bigint NOT NULL,                          -- set by the trigger, without a gap
    dose_id uuid NOT NULL REFERENCES doses,
    kind text NOT NULL CHECK (kind IN ('taken', 'skipped', 'snoozed', 'missed', 'undone', 'corrected', 'conflict')),
    at timestamptz NOT NULL,                      -- when it happened
    recorded_at timestamptz NOT NULL,             -- when the server learned of it
    by_member uuid REFERENCES members,
    device_id uuid REFERENCES devices,
    source text NOT NULL,                         -- api, panel, console, server
    key text,
    reason text,
    salt bytea NOT NULL,
    content_digest bytea NOT NULL,                -- stays when a member's data are erased
    hash bytea NOT NULL,
    PRIMARY KEY (household_id, seq)
);
CREATE INDEX dose_events_of_dose ON dose_events (dose_id);
CREATE INDEX dose_events_by_time ON dose_events (household_id, at, seq);

CREATE FUNCTION chain_event() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = dosette AS $$
BEGIN
    NEW.salt := uuid_send(gen_random_uuid());
    NEW.content_digest := sha256(NEW.salt || convert_to(
        jsonb_build_array(NEW.by_member, NEW.device_id, NEW.source, NEW.key, NEW.reason)::text, 'UTF8'));
    UPDATE households
       SET seq = seq + 1,
           head = sha256(head || convert_to(jsonb_build_array(
               NEW.household_id, seq + 1, NEW.dose_id, NEW.kind, extract(epoch FROM NEW.at),
               extract(epoch FROM NEW.recorded_at))::text, 'UTF8') || NEW.content_digest)
     WHERE id = NEW.household_id
    RETURNING seq, head INTO NEW.seq, NEW.hash;
    RETURN NEW;
END $$;
CREATE TRIGGER chain BEFORE INSERT ON dose_events FOR EACH ROW EXECUTE FUNCTION chain_event();

-- Stock: the count is the sum

CREATE TABLE stock_entries (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    household_id uuid NOT NULL REFERENCES households,
    medicine_id uuid NOT NULL REFERENCES medicines,
    kind text NOT NULL CHECK (kind IN ('opening', 'refill', 'taken', 'loss', 'recount', 'undone')),
    amount numeric NOT NULL,
    dose_id uuid REFERENCES doses,
    at timestamptz NOT NULL,
    by_member uuid REFERENCES members,
    device_id uuid REFERENCES devices,
    source text NOT NULL,
    reason text
);
CREATE INDEX stock_entries_of_medicine ON stock_entries (medicine_id, id) INCLUDE (amount);
CREATE INDEX stock_entries_of_dose ON stock_entries (dose_id);
CREATE INDEX stock_entries_of_household ON stock_entries (household_id);

CREATE TABLE stock (                              -- the running sum, kept by the trigger, so that no list adds up years
    medicine_id uuid PRIMARY KEY REFERENCES medicines,
    household_id uuid NOT NULL REFERENCES households,
    on_hand numeric NOT NULL
);
CREATE INDEX stock_of_household ON stock (household_id);

CREATE FUNCTION add_up_stock() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = dosette AS $$
BEGIN
    INSERT INTO stock AS s (medicine_id, household_id, on_hand) VALUES (NEW.medicine_id, NEW.household_id, NEW.amount)
    ON CONFLICT (medicine_id) DO UPDATE SET on_hand = s.on_hand + EXCLUDED.on_hand;
    RETURN NULL;
END $$;
CREATE TRIGGER add_up AFTER INSERT ON stock_entries FOR EACH ROW EXECUTE FUNCTION add_up_stock();

-- Reminders: the outbox, and what was told

CREATE TABLE reminders (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    household_id uuid NOT NULL REFERENCES households,
    dose_id uuid NOT NULL REFERENCES doses,
    kind text NOT NULL DEFAULT 'dose',
    due_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'told', 'dropped', 'parked')),
    reason text,                                  -- why it was dropped or parked
    rung_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    lease uuid,
    leased_until timestamptz,
    told_at timestamptz,
    UNIQUE (dose_id, kind)
);
CREATE INDEX reminders_waiting ON reminders (due_at) WHERE status = 'waiting';
CREATE INDEX reminders_of_household ON reminders (household_id);

CREATE TABLE deliveries (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    household_id uuid NOT NULL REFERENCES households,
    reminder_id uuid NOT NULL REFERENCES reminders,
    contact_id uuid NOT NULL REFERENCES contacts,
    status text NOT NULL CHECK (status IN ('delivered', 'failed')),
    error text,
    at timestamptz NOT NULL
);
CREATE INDEX deliveries_of_reminder ON deliveries (reminder_id);
CREATE INDEX deliveries_of_contact ON deliveries (contact_id);
CREATE INDEX deliveries_of_household ON deliveries (household_id);

-- Idempotency: what was answered to a key

CREATE TABLE replies (
    household_id uuid NOT NULL REFERENCES households,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    body jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (household_id, key)
);
CREATE INDEX replies_by_age ON replies (created_at);

CREATE FUNCTION kept_reply(wanted text, hash bytea) RETURNS TABLE (body jsonb, same boolean) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT r.body, r.request_hash = hash FROM dosette.replies AS r
     WHERE r.household_id = dosette.entered_household() AND r.key = wanted;
END;

CREATE FUNCTION keep_reply(wanted text, hash bytea, body jsonb, now timestamptz) RETURNS jsonb LANGUAGE plpgsql
SET search_path = dosette AS $$
BEGIN
    IF wanted IS NOT NULL THEN
        INSERT INTO replies VALUES (entered_household(), wanted, hash, body, now);
    END IF;
    RETURN body;
END $$;

-- Entering: the first statement of each message

CREATE FUNCTION enter_as(household uuid, member uuid, device uuid, source text, writes boolean) RETURNS void
LANGUAGE plpgsql SET search_path = dosette AS $$
BEGIN
    PERFORM set_config('dosette.household', household::text, true),
            set_config('dosette.member', coalesce(member::text, ''), true),
            set_config('dosette.device', coalesce(device::text, ''), true),
            set_config('dosette.source', source, true);
    IF writes THEN  -- a statement of its own, so that the next one's snapshot is taken after the wait
        PERFORM FROM households WHERE id = household FOR NO KEY UPDATE;
    END IF;
END $$;

CREATE FUNCTION enter(token_digest bytea, scope text, writes boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = dosette AS $$
DECLARE
    found_token tokens;
BEGIN
    SELECT * INTO found_token FROM tokens WHERE digest = token_digest AND revoked_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown token' USING ERRCODE = 'DO401';
    END IF;
    IF NOT scope = ANY (found_token.scopes) THEN
        RAISE EXCEPTION '%', scope USING ERRCODE = 'DO403';
    END IF;
    PERFORM enter_as(found_token.household_id, found_token.member_id, NULL, 'api', writes);
END $$;

CREATE FUNCTION enter_console(household uuid) RETURNS void LANGUAGE plpgsql SET search_path = dosette AS $$
BEGIN
    PERFORM enter_as(household, NULL, NULL, 'console', true);
END $$;

CREATE FUNCTION enter_device(device uuid) RETURNS void LANGUAGE plpgsql SET search_path = dosette AS $$
DECLARE
    found_device devices;
BEGIN
    SELECT * INTO found_device FROM devices WHERE id = device AND revoked_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown device' USING ERRCODE = 'DO401';
    END IF;
    PERFORM enter_as(found_device.household_id, NULL, device, 'panel', true);
END $$;

CREATE FUNCTION lock_households(wanted uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = dosette AS $$
BEGIN
    PERFORM FROM households WHERE id = ANY (wanted) ORDER BY id FOR NO KEY UPDATE;
END $$;

CREATE FUNCTION console_households() RETURNS TABLE (id uuid, name text) LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    SELECT h.id, h.name FROM dosette.households AS h ORDER BY h.id;
END;

-- Shapes that several statements return

CREATE FUNCTION dose_state(status text, due_at timestamptz, late_at timestamptz, now timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN status <> 'pending' THEN status WHEN now < due_at THEN 'planned' WHEN now <= late_at THEN 'due' ELSE 'late' END;

CREATE FUNCTION amount_text(amount numeric) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN trim_scale(amount)::text;

CREATE FUNCTION named(id uuid, name text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN id IS NOT NULL THEN jsonb_build_object('id', id, 'name', name) END;

CREATE FUNCTION medicine_json(medicine medicines, person members, on_hand numeric, daily_use numeric) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'id', medicine.id,
    'member', named(person.id, person.name),
    'name', medicine.name,
    'strength', medicine.strength,
    'form', medicine.form,
    'unit', medicine.unit,
    'ingredients', medicine.ingredients,
    'note', medicine.note,
    'low_days', medicine.low_days,
    'on_hand', amount_text(coalesce(on_hand, 0)),
    'days_left', CASE WHEN daily_use > 0 THEN greatest(trunc(coalesce(on_hand, 0) / daily_use), 0) END,
    'created_at', medicine.created_at,
    'archived_at', medicine.archived_at);

CREATE FUNCTION dose_json(dose doses, medicine medicines, person members, by_member members, on_device devices, now timestamptz)
RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'id', dose.id,
    'medicine', jsonb_build_object('id', medicine.id, 'name', medicine.name, 'strength', medicine.strength,
                                   'form', medicine.form, 'unit', medicine.unit, 'note', medicine.note),
    'member', named(person.id, person.name),
    'amount', amount_text(dose.amount),
    'slot_on', dose.slot_on,
    'opens_at', dose.opens_at,
    'due_at', dose.due_at,
    'late_at', dose.late_at,
    'closes_at', dose.closes_at,
    'status', dose.status,
    'state', dose_state(dose.status, dose.due_at, dose.late_at, now),
    'resolved_at', dose.resolved_at,
    'resolved_by', named(by_member.id, by_member.name),
    'resolved_on', named(on_device.id, on_device.name));

CREATE FUNCTION dose_told(dose doses, now timestamptz) RETURNS jsonb LANGUAGE sql STABLE
BEGIN ATOMIC  -- one dose with its names looked up; lists join instead
    SELECT dosette.dose_json(dose, m, p, b, d, now)
      FROM dosette.medicines AS m
      JOIN dosette.members AS p ON p.id = dose.member_id
      LEFT JOIN dosette.members AS b ON b.id = dose.resolved_by
      LEFT JOIN dosette.devices AS d ON d.id = dose.resolved_on
     WHERE m.id = dose.medicine_id;
END;

CREATE FUNCTION outcome(same_request boolean, body jsonb, otherwise text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN same_request THEN 'replayed' WHEN NOT same_request THEN 'key-reused' WHEN body IS NOT NULL THEN 'done' ELSE otherwise END;

-- Access: a household reaches its own rows; the scheduler and the worker serve them all; nobody but the migrator owns one

ALTER TABLE server ENABLE ROW LEVEL SECURITY;
ALTER TABLE server FORCE ROW LEVEL SECURITY;
CREATE POLICY everyone ON server FOR SELECT USING (true);
CREATE POLICY migrator ON server TO dosette_migrator USING (true) WITH CHECK (true);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['households', 'members', 'devices', 'tokens', 'contacts', 'medicines', 'schedules', 'schedule_versions',
                                'doses', 'dose_events', 'stock_entries', 'stock', 'reminders', 'deliveries', 'replies'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_household ON %I TO dosette_api USING (%I = entered_household()) WITH CHECK (%I = entered_household())',
                       name, CASE name WHEN 'households' THEN 'id' ELSE 'household_id' END, CASE name WHEN 'households' THEN 'id' ELSE 'household_id' END);
        EXECUTE format('CREATE POLICY every_household ON %I TO dosette_scheduler, dosette_worker, dosette_migrator USING (true) WITH CHECK (true)', name);
        EXECUTE format('CREATE POLICY for_backup ON %I FOR SELECT TO dosette_backup USING (true)', name);
    END LOOP;
END $$;

GRANT SELECT ON ALL TABLES IN SCHEMA dosette TO dosette_backup;
GRANT SELECT ON server TO dosette_api, dosette_scheduler;

GRANT SELECT, INSERT, UPDATE (name, zone) ON households TO dosette_api;
GRANT SELECT, INSERT, UPDATE ON members, devices, contacts, medicines, schedules, doses, reminders TO dosette_api;
GRANT SELECT, INSERT, UPDATE (revoked_at) ON tokens TO dosette_api;
GRANT SELECT, INSERT ON schedule_versions, dose_events, stock_entries, replies TO dosette_api;
GRANT SELECT ON stock, deliveries TO dosette_api;

GRANT SELECT, UPDATE (name) ON households TO dosette_scheduler;  -- the right to update a column is the right to lock the row
GRANT SELECT ON members, medicines, schedule_versions, stock, contacts TO dosette_scheduler;
GRANT SELECT, UPDATE ON devices, schedules TO dosette_scheduler;
GRANT SELECT, INSERT, UPDATE ON doses, reminders TO dosette_scheduler;
GRANT SELECT, INSERT ON dose_events, stock_entries TO dosette_scheduler;
GRANT SELECT, INSERT, DELETE ON replies TO dosette_scheduler;

GRANT SELECT ON households, members, medicines, doses, contacts TO dosette_worker;
GRANT SELECT, UPDATE ON reminders TO dosette_worker;
GRANT SELECT, INSERT ON deliveries TO dosette_worker;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA dosette FROM PUBLIC;
GRANT EXECUTE ON FUNCTION entered_household(), entered_member(), entered_device(), entered_source(), enter_as(uuid, uuid, uuid, text, boolean),
    kept_reply(text, bytea), keep_reply(text, bytea, jsonb, timestamptz), dose_state(text, timestamptz, timestamptz, timestamptz), amount_text(numeric),
    named(uuid, text), medicine_json(medicines, members, numeric, numeric),
    dose_json(doses, medicines, members, members, devices, timestamptz), dose_told(doses, timestamptz), outcome(boolean, jsonb, text)
    TO dosette_api, dosette_scheduler, dosette_worker;
GRANT EXECUTE ON FUNCTION enter(bytea, text, boolean), enter_console(uuid), console_households() TO dosette_api;
GRANT EXECUTE ON FUNCTION enter_device(uuid), lock_households(uuid[]) TO dosette_scheduler;
