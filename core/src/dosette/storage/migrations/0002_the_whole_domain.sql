-- Every kind of schedule, doses as needed, safe limits, packages, days left, conflicts, and a household that can move.
-- Run by `dosette migrate` in one transaction, as the role dosette_migrator. Comes before the first release, so it may change and drop
-- what only development databases have; tables are small, so plain indexes and checked foreign keys are quick.
-- squawk-ignore-file adding-foreign-key-constraint, ban-drop-default, ban-drop-function, ban-drop-not-null, changing-column-type
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion, prefer-bigint-over-smallint

SET LOCAL search_path = dosette;

-- Shapes become json: a list of them costs a third of what jsonb costs, for it is never taken apart again

DROP FUNCTION dose_told(doses, timestamptz), dose_json(doses, medicines, members, members, devices, timestamptz),
    medicine_json(medicines, members, numeric, numeric), named(uuid, text);

CREATE FUNCTION named(id uuid, name text) RETURNS json LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN id IS NOT NULL THEN json_build_object('id', id, 'name', name) END;

-- A household: its local days, its pharmacy

ALTER TABLE households
    ADD COLUMN chain_id uuid,                                  -- the id under which its chain was made; NULL: its own
    ADD COLUMN moving_in boolean NOT NULL DEFAULT false,       -- only while move_in() runs: its events bring their hashes
    ADD COLUMN offset_since timestamptz[] NOT NULL DEFAULT '{}',  -- the zone's offsets from UTC, each with when it begins:
    ADD COLUMN utc_offset interval[] NOT NULL DEFAULT '{}',       -- the domain writes them, so that SQL needs no zone rules
    ADD COLUMN lead_days integer NOT NULL DEFAULT 2,           -- from ordering a medicine to fetching it
    ADD COLUMN closed_weekdays smallint[] NOT NULL DEFAULT '{}',  -- of the pharmacy; 0 is Monday
    ADD COLUMN closed_on date[] NOT NULL DEFAULT '{}';

CREATE FUNCTION household_json(home households) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'id', home.id, 'name', home.name, 'zone', home.zone, 'lead_days', home.lead_days, 'closed_on', home.closed_on,
    'closed_weekdays', (SELECT coalesce(jsonb_agg((ARRAY['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])[day + 1] ORDER BY day), '[]')
                          FROM unnest(home.closed_weekdays) AS day),
    'created_at', home.created_at);

CREATE FUNCTION local_day(at timestamptz, offset_since timestamptz[], utc_offset interval[]) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((at AT TIME ZONE 'UTC') + coalesce(utc_offset[width_bucket(at, offset_since)], '0'))::date;

CREATE FUNCTION household_day(at timestamptz) RETURNS date LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT dosette.local_day(at, offset_since, utc_offset) FROM dosette.households WHERE id = dosette.entered_household();
END;

-- A medicine: how much of which active ingredient is in one unit of it

CREATE FUNCTION ingredients_of(names text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN coalesce((SELECT jsonb_agg(jsonb_build_object('name', name, 'amount', NULL, 'unit', NULL)) FROM unnest(names) AS name), '[]');
ALTER TABLE medicines ALTER COLUMN ingredients DROP DEFAULT;
ALTER TABLE medicines ALTER COLUMN ingredients TYPE jsonb USING ingredients_of(ingredients);  -- [{"name", "amount", "unit"}] of one unit
ALTER TABLE medicines ALTER COLUMN ingredients SET DEFAULT '[]';
DROP FUNCTION ingredients_of(text[]);

-- Schedules of every kind

ALTER TABLE schedule_versions
    ADD COLUMN kind text NOT NULL DEFAULT 'fixed' CHECK (kind IN ('fixed', 'elapsed', 'as_needed')),
    ADD COLUMN every_days integer CHECK (every_days > 0),
    ADD COLUMN every_weeks integer CHECK (every_weeks > 0),
    ADD COLUMN month_days jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN days_on integer CHECK (days_on > 0),
    ADD COLUMN days_off integer CHECK (days_off > 0),
    ADD COLUMN every_minutes integer CHECK (every_minutes > 0),
    ADD COLUMN counted_from text CHECK (counted_from IN ('last_taken', 'anchor')),
    ADD COLUMN anchor_at timestamptz,
    ADD COLUMN min_gap_minutes integer CHECK (min_gap_minutes > 0),
    ADD COLUMN most_per_24_h numeric CHECK (most_per_24_h > 0),
    ADD COLUMN pauses jsonb NOT NULL DEFAULT '[]';               -- [{"starts_on", "ends_on"}]

ALTER TABLE schedules                                            -- what the version in force means for taking and counting
    ADD COLUMN kind text NOT NULL DEFAULT 'fixed',
    ADD COLUMN amount numeric,                                   -- of one dose as needed
    ADD COLUMN min_gap_minutes integer,
    ADD COLUMN most_per_24_h numeric,
    ADD COLUMN follows_minutes integer,                          -- the next dose is due so long after the last one taken,
    ADD COLUMN follows_window interval,                          -- its window so wide to each side
    ADD COLUMN use_from date,
    ADD COLUMN use_through bigint[],                             -- ten-thousandths of a unit due from use_from through each of 92 days,
                                                                 -- then through each of the weeks after
    ALTER COLUMN daily_use DROP NOT NULL;                        -- units a day after those weeks; NULL: nobody knows
UPDATE schedules SET planned_until = planned_until - interval '25 hours';  -- looked at soon, so that their use gets projected
CREATE INDEX schedules_as_needed ON schedules (household_id) WHERE kind = 'as_needed';

-- Doses: planned by the clock or by elapsed time, as needed, or extra on purpose

ALTER TABLE doses
    ADD COLUMN kind text NOT NULL DEFAULT 'planned' CHECK (kind IN ('planned', 'elapsed', 'as_needed', 'extra')),
    ADD COLUMN snoozed_until timestamptz,
    ADD COLUMN taken_amount numeric CHECK (taken_amount > 0),    -- where it was another than planned
    ALTER COLUMN version DROP NOT NULL;                          -- an extra dose needs no schedule
DROP INDEX one_dose_per_slot;
CREATE UNIQUE INDEX one_dose_per_slot ON doses (medicine_id, slot_on, slot_time) WHERE status <> 'cancelled' AND kind = 'planned';
CREATE UNIQUE INDEX one_elapsed_dose_per_time ON doses (medicine_id, due_at) WHERE status <> 'cancelled' AND kind = 'elapsed';
CREATE INDEX doses_of_medicine ON doses (medicine_id, due_at) WHERE status <> 'cancelled';
CREATE INDEX doses_taken ON doses (member_id, resolved_at) WHERE status = 'taken';

ALTER TABLE dose_events ADD COLUMN detail jsonb;                 -- what the kind needs: until when, instead of which time, over which limit

-- A report that can't be true beside what is known: kept, counted for the limits, until a person resolves it

CREATE TABLE conflicts (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    household_id uuid NOT NULL REFERENCES households,
    dose_id uuid NOT NULL REFERENCES doses,
    report text NOT NULL CHECK (report IN ('take', 'skip')),
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    by_member uuid REFERENCES members,
    device_id uuid REFERENCES devices,
    reason text NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'not_taken', 'taken')),
    resolved_at timestamptz,
    resolved_by uuid REFERENCES members
);
CREATE INDEX conflicts_open ON conflicts (household_id, id) WHERE status = 'open';
CREATE INDEX conflicts_of_dose ON conflicts (dose_id);

-- Packages

CREATE TABLE packages (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    household_id uuid NOT NULL REFERENCES households,
    medicine_id uuid NOT NULL REFERENCES medicines,
    batch text,
    expires_on date,                                             -- the last day on which it may be used
    amount_left numeric NOT NULL DEFAULT 0,                      -- the sum of its entries, kept by the trigger
    created_at timestamptz NOT NULL
);
CREATE INDEX packages_of_medicine ON packages (medicine_id);
CREATE INDEX packages_with_stock ON packages (household_id, expires_on) WHERE amount_left > 0;

ALTER TABLE stock_entries ADD COLUMN package_id uuid REFERENCES packages;  -- NULL: loose, in no package that we know
CREATE INDEX stock_entries_of_package ON stock_entries (package_id) WHERE package_id IS NOT NULL;

CREATE OR REPLACE FUNCTION add_up_stock() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = dosette AS $$
BEGIN
    INSERT INTO stock AS s (medicine_id, household_id, on_hand) VALUES (NEW.medicine_id, NEW.household_id, NEW.amount)
    ON CONFLICT (medicine_id) DO UPDATE SET on_hand = s.on_hand + EXCLUDED.on_hand;
    IF NEW.package_id IS NOT NULL THEN
        UPDATE packages SET amount_left = amount_left + NEW.amount WHERE id = NEW.package_id;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION use_stock(of_medicine uuid, wanted numeric, entry_kind text, from_package uuid, of_dose uuid, at timestamptz, why text,
                          OUT entry_ids uuid[]) LANGUAGE plpgsql AS $$
BEGIN  -- the first to expire goes first; nothing that has expired is taken, but it may be what was lost or miscounted
    IF from_package IS NULL AND EXISTS (SELECT FROM packages WHERE medicine_id = of_medicine AND amount_left > 0) THEN
        WITH opened AS (
            SELECT id, amount_left, coalesce(sum(amount_left) OVER earlier, 0) AS used_before
              FROM packages
             WHERE medicine_id = of_medicine AND amount_left > 0
               AND (entry_kind <> 'taken' OR coalesce(expires_on >= household_day(at), true))
            WINDOW earlier AS (ORDER BY expires_on NULLS LAST, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        ), parts AS (
            SELECT id AS package_id, least(amount_left, wanted - used_before) AS part FROM opened WHERE used_before < wanted
        ), rest AS (
            SELECT NULL::uuid, wanted - coalesce((SELECT sum(part) FROM parts), 0)
        ), entries AS (
            INSERT INTO stock_entries (household_id, medicine_id, kind, amount, package_id, dose_id, at, by_member, device_id, source, reason)
            SELECT entered_household(), of_medicine, entry_kind, -part, package_id, of_dose, at, entered_member(), entered_device(),
                   entered_source(), why
              FROM (SELECT * FROM parts UNION ALL SELECT * FROM rest) AS parts WHERE part <> 0
            RETURNING id
        )
        SELECT array_agg(id) INTO entry_ids FROM entries;
    ELSE
        INSERT INTO stock_entries (household_id, medicine_id, kind, amount, package_id, dose_id, at, by_member, device_id, source, reason)
        VALUES (entered_household(), of_medicine, entry_kind, -wanted, from_package, of_dose, at, entered_member(), entered_device(),
                entered_source(), why)
        RETURNING ARRAY[id] INTO entry_ids;
    END IF;
END $$;

CREATE FUNCTION give_stock_back(of_dose uuid, undone_at timestamptz) RETURNS void LANGUAGE sql
BEGIN ATOMIC  -- undo is exact: to the packages it came from
    INSERT INTO dosette.stock_entries (household_id, medicine_id, kind, amount, package_id, dose_id, at, by_member, device_id, source)
    SELECT household_id, medicine_id, 'undone', -sum(amount), package_id, of_dose, undone_at,
           dosette.entered_member(), dosette.entered_device(), dosette.entered_source()
      FROM dosette.stock_entries WHERE dose_id = of_dose
     GROUP BY household_id, medicine_id, package_id HAVING sum(amount) <> 0;
END;

CREATE FUNCTION stock_told(of_medicine uuid, entry_ids uuid[]) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN  -- the first of the new lines, their sum, and the count that they lead to
    RETURN (SELECT jsonb_build_object('id', min(e.id::text), 'medicine_id', of_medicine, 'package_id', min(e.package_id::text), 'kind', min(e.kind),
                                      'amount', amount_text(sum(e.amount)), 'at', min(e.at),
                                      'on_hand', amount_text((SELECT on_hand FROM stock WHERE medicine_id = of_medicine)))
              FROM stock_entries AS e WHERE e.id = ANY (entry_ids));
END $$;

CREATE FUNCTION add_stock(of_medicine uuid, entry_kind text, wanted numeric, into_package uuid, new_batch text, new_expires_on date, why text,
                          now timestamptz, OUT outcome text, OUT told jsonb) LANGUAGE plpgsql AS $$
DECLARE
    here numeric;
    made uuid[];
BEGIN
    IF NOT EXISTS (SELECT FROM medicines WHERE id = of_medicine AND household_id = entered_household() AND archived_at IS NULL) THEN
        outcome := 'no-medicine';
        RETURN;
    ELSIF into_package IS NOT NULL AND NOT EXISTS (SELECT FROM packages WHERE id = into_package AND medicine_id = of_medicine) THEN
        outcome := 'no-package';
        RETURN;
    END IF;
    IF entry_kind = 'refill' AND (new_batch IS NOT NULL OR new_expires_on IS NOT NULL) THEN
        INSERT INTO packages (household_id, medicine_id, batch, expires_on, created_at)
        VALUES (entered_household(), of_medicine, new_batch, new_expires_on, now)
        RETURNING id INTO into_package;
    END IF;
    SELECT coalesce(CASE WHEN into_package IS NULL THEN (SELECT on_hand FROM stock WHERE medicine_id = of_medicine)
                         ELSE (SELECT amount_left FROM packages WHERE id = into_package) END, 0) INTO here;
    IF entry_kind = 'loss' AND wanted > here THEN
        outcome := 'not-there';
        RETURN;
    END IF;
    wanted := CASE entry_kind WHEN 'recount' THEN wanted - here WHEN 'loss' THEN -wanted ELSE wanted END;
    made := CASE WHEN wanted < 0 THEN use_stock(of_medicine, -wanted, entry_kind, into_package, NULL, now, why)
                 ELSE keep_line(of_medicine, entry_kind, wanted, into_package, why, now) END;
    PERFORM pg_notify('dosette', entered_household()::text);
    outcome := 'done';
    told := stock_told(of_medicine, made);
END $$;

CREATE FUNCTION keep_line(of_medicine uuid, entry_kind text, wanted numeric, into_package uuid, why text, now timestamptz) RETURNS uuid[]
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO dosette.stock_entries (household_id, medicine_id, kind, amount, package_id, at, by_member, device_id, source, reason)
    VALUES (dosette.entered_household(), of_medicine, entry_kind, wanted, into_package, now, dosette.entered_member(),
            dosette.entered_device(), dosette.entered_source(), why)
    RETURNING ARRAY[id];
END;

-- Days left: the domain projects a schedule's use; these say where the stock meets it

CREATE FUNCTION runs_out_on(left_after_today numeric, today date, use_from date, use_through bigint[], daily_use numeric) RETURNS date
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    places constant integer := cardinality(use_through);
    days constant integer := least(92, places);
    number constant integer := today - use_from + 1;
    covered bigint;
    place integer;
BEGIN
    IF use_through IS NULL THEN
        RETURN NULL;
    ELSIF left_after_today < 0 THEN
        RETURN today;
    END IF;
    covered := trunc(left_after_today * 10000 + CASE WHEN number < 1 THEN 0 ELSE use_through[least(number, days)] END
                     + greatest(number - days, 0) * daily_use * 10000);
    place := width_bucket(covered, use_through);
    IF place < days THEN
        RETURN use_from + place;
    ELSIF place < places THEN
        RETURN use_from + days + (place - days) * 7
               + ((covered - use_through[place]) * 7 / greatest(use_through[place + 1] - use_through[place],
                      use_through[place] - use_through[place - CASE place WHEN days THEN 7 ELSE 1 END]))::integer;
    ELSIF daily_use = 0 THEN
        RETURN NULL;
    END IF;
    RETURN use_from + days + (places - days) * 7 + least(div(covered - use_through[places], daily_use * 10000), 1000000)::integer;
END $$;

CREATE FUNCTION order_by_on(runs_out date, lead_days integer, closed_weekdays smallint[], closed_on date[]) RETURNS date
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    fetch_on date := runs_out - 1;
    order_on date;
BEGIN
    FOR back IN 1..31 LOOP
        EXIT WHEN NOT (extract(isodow FROM fetch_on) - 1 = ANY (closed_weekdays) OR fetch_on = ANY (closed_on));
        fetch_on := fetch_on - 1;
    END LOOP;
    order_on := fetch_on - lead_days;
    FOR back IN 1..31 LOOP
        EXIT WHEN NOT (extract(isodow FROM order_on) - 1 = ANY (closed_weekdays) OR order_on = ANY (closed_on));
        order_on := order_on - 1;
    END LOOP;
    RETURN order_on;
END $$;

-- Supply: for each medicine of the household, what is on hand and until when it lasts

CREATE FUNCTION supply(now timestamptz, of_medicine uuid) RETURNS TABLE (
    medicine_id uuid, on_hand numeric, expired numeric, expires_on date, runs_out_on date, days_left integer, order_by_on date, low boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC  -- OFFSET 0 keeps the planner from working each value out again wherever it is named
    WITH home AS MATERIALIZED (
        SELECT h.id, dosette.local_day(now, h.offset_since, h.utc_offset) AS today, h.lead_days, h.closed_weekdays, h.closed_on
          FROM dosette.households AS h WHERE h.id = dosette.entered_household()
    ), due_today AS MATERIALIZED (
        SELECT d.medicine_id, sum(d.amount) AS amount
          FROM dosette.doses AS d, home
         WHERE d.household_id = home.id AND d.status = 'pending' AND d.due_at > now - interval '13 hours' AND d.due_at < now + interval '37 hours'
           AND d.closes_at >= now AND d.slot_on <= home.today AND (of_medicine IS NULL OR d.medicine_id = of_medicine)
         GROUP BY d.medicine_id
    ), boxed AS MATERIALIZED (
        SELECT p.medicine_id, coalesce(sum(p.amount_left) FILTER (WHERE p.expires_on < home.today), 0) AS expired,
               min(p.expires_on) FILTER (WHERE p.expires_on >= home.today) AS expires_on
          FROM dosette.packages AS p, home
         WHERE p.household_id = home.id AND p.amount_left > 0 AND (of_medicine IS NULL OR p.medicine_id = of_medicine)
         GROUP BY p.medicine_id
    )
    SELECT m.id, counted.on_hand, counted.expired, boxed.expires_on, ends.runs_out_on, ends.runs_out_on - home.today, last.order_by_on,
           coalesce(ends.runs_out_on - home.today < m.low_days OR last.order_by_on <= home.today,
                    s.kind = 'as_needed' AND counted.on_hand - counted.expired < coalesce(s.most_per_24_h, s.amount), false)
      FROM dosette.medicines AS m
     CROSS JOIN home
      LEFT JOIN dosette.stock ON stock.medicine_id = m.id
      LEFT JOIN dosette.schedules AS s ON s.medicine_id = m.id
      LEFT JOIN due_today ON due_today.medicine_id = m.id
      LEFT JOIN boxed ON boxed.medicine_id = m.id
     CROSS JOIN LATERAL (SELECT coalesce(stock.on_hand, 0) AS on_hand, coalesce(boxed.expired, 0) AS expired OFFSET 0) AS counted
     CROSS JOIN LATERAL (SELECT CASE WHEN m.archived_at IS NULL THEN dosette.runs_out_on(
         counted.on_hand - counted.expired - coalesce(due_today.amount, 0), home.today, s.use_from, s.use_through, s.daily_use) END AS runs_out_on OFFSET 0) AS ends
     CROSS JOIN LATERAL (SELECT CASE WHEN ends.runs_out_on IS NOT NULL THEN dosette.order_by_on(
         ends.runs_out_on, home.lead_days, home.closed_weekdays, home.closed_on) END AS order_by_on OFFSET 0) AS last
     WHERE m.household_id = home.id AND (of_medicine IS NULL OR m.id = of_medicine);
END;

CREATE FUNCTION medicine_json(medicine medicines, person members, on_hand numeric, expired numeric, expires_on date, runs_out_on date,
                              days_left integer, order_by_on date, low boolean) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', medicine.id,
    'member', named(person.id, person.name),
    'name', medicine.name,
    'strength', medicine.strength,
    'form', medicine.form,
    'unit', medicine.unit,
    'ingredients', medicine.ingredients,
    'note', medicine.note,
    'low_days', medicine.low_days,
    'on_hand', amount_text(on_hand),
    'expired', amount_text(expired),
    'expires_on', expires_on,
    'runs_out_on', runs_out_on,
    'days_left', days_left,
    'order_by_on', order_by_on,
    'running_low', low,
    'created_at', medicine.created_at,
    'archived_at', medicine.archived_at);

CREATE FUNCTION medicine_told(of_medicine uuid, now timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN  -- one medicine with its supply, as the statement that asks has just changed it; lists join instead
    RETURN (SELECT medicine_json(m, p, s.on_hand, s.expired, s.expires_on, s.runs_out_on, s.days_left, s.order_by_on, s.low)::jsonb
              FROM medicines AS m
              JOIN members AS p ON p.id = m.member_id
              JOIN supply(now, of_medicine) AS s ON s.medicine_id = m.id
             WHERE m.id = of_medicine);
END $$;

-- Shapes

CREATE FUNCTION schedule_json(version schedule_versions) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'version', version.number,
    'kind', version.kind,
    'zone', version.zone,
    'starts_on', version.starts_on,
    'ends_on', version.ends_on,
    'critical', version.critical,
    'window_minutes', version.window_minutes,
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

CREATE FUNCTION dose_json(dose doses, medicine medicines, person members, by_member members, on_device devices, now timestamptz)
RETURNS json LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', dose.id,
    'kind', dose.kind,
    'medicine', json_build_object('id', medicine.id, 'name', medicine.name, 'strength', medicine.strength,
                                   'form', medicine.form, 'unit', medicine.unit, 'note', medicine.note),
    'member', named(person.id, person.name),
    'amount', amount_text(dose.amount),
    'taken_amount', amount_text(dose.taken_amount),
    'slot_on', dose.slot_on,
    'opens_at', dose.opens_at,
    'due_at', dose.due_at,
    'late_at', dose.late_at,
    'closes_at', dose.closes_at,
    'snoozed_until', dose.snoozed_until,
    'status', dose.status,
    'state', dose_state(dose.status, dose.due_at, dose.late_at, now),
    'resolved_at', dose.resolved_at,
    'resolved_by', named(by_member.id, by_member.name),
    'resolved_on', named(on_device.id, on_device.name));

CREATE FUNCTION dose_told(dose doses, now timestamptz) RETURNS jsonb LANGUAGE sql STABLE
BEGIN ATOMIC  -- one dose with its names looked up; lists join instead
    SELECT dosette.dose_json(dose, m, p, b, d, now)::jsonb
      FROM dosette.medicines AS m
      JOIN dosette.members AS p ON p.id = dose.member_id
      LEFT JOIN dosette.members AS b ON b.id = dose.resolved_by
      LEFT JOIN dosette.devices AS d ON d.id = dose.resolved_on
     WHERE m.id = dose.medicine_id;
END;

-- The chain, with the detail; a household that moves in brings its own

CREATE FUNCTION event_digest(event dose_events) RETURNS bytea LANGUAGE sql IMMUTABLE
RETURN sha256(event.salt || convert_to((
    jsonb_build_array(event.by_member, event.device_id, event.source, event.key, event.reason)
    || CASE WHEN event.detail IS NULL THEN '[]' ELSE jsonb_build_array(event.detail) END)::text, 'UTF8'));

CREATE FUNCTION event_hash(head bytea, chain_id uuid, event dose_events) RETURNS bytea LANGUAGE sql IMMUTABLE
RETURN sha256(head || convert_to(jsonb_build_array(
    chain_id, event.seq, event.dose_id, event.kind, extract(epoch FROM event.at), extract(epoch FROM event.recorded_at))::text, 'UTF8')
    || event.content_digest);

CREATE OR REPLACE FUNCTION chain_event() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = dosette AS $$
DECLARE
    chain households;
BEGIN
    IF NEW.hash IS NOT NULL AND EXISTS (SELECT FROM households WHERE id = NEW.household_id AND moving_in) THEN
        RETURN NEW;
    END IF;
    SELECT * INTO STRICT chain FROM households WHERE id = NEW.household_id FOR NO KEY UPDATE;
    NEW.seq := chain.seq + 1;
    NEW.salt := uuid_send(gen_random_uuid());
    NEW.content_digest := event_digest(NEW);
    NEW.hash := event_hash(chain.head, coalesce(chain.chain_id, chain.id), NEW);
    UPDATE households SET seq = NEW.seq, head = NEW.hash WHERE id = NEW.household_id;
    RETURN NEW;
END $$;

CREATE FUNCTION broken_links(of_household uuid) RETURNS TABLE (seq bigint, dose_id uuid, fault text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = dosette
BEGIN ATOMIC
    WITH home AS (
        SELECT id, coalesce(chain_id, id) AS chain_id, h.seq, head FROM households AS h WHERE id = of_household
    ), links AS (
        SELECT e AS event, e.seq, e.dose_id, e.hash, e.content_digest, e.kind,
               lag(e.seq, 1, 0::bigint) OVER by_seq AS seq_before, lag(e.hash, 1, sha256('')) OVER by_seq AS hash_before
          FROM dose_events AS e WHERE e.household_id = of_household
        WINDOW by_seq AS (ORDER BY e.seq)
    ), newest AS (
        SELECT max(links.seq) AS seq, (SELECT hash FROM links AS l ORDER BY l.seq DESC LIMIT 1) AS hash FROM links
    )
    SELECT links.seq, links.dose_id,
           CASE WHEN links.seq <> seq_before + 1 THEN 'events ' || seq_before + 1 || ' to ' || links.seq - 1 || ' are missing before it'
                WHEN links.content_digest <> event_digest(event)
                    THEN 'who, where from, key, reason or detail of it was altered'
                ELSE 'its dose, kind, time or place in the order was altered' END
      FROM links, home
     WHERE links.seq <> seq_before + 1 OR links.content_digest <> event_digest(event)
        OR links.hash <> event_hash(hash_before, home.chain_id, event)
    UNION ALL
    SELECT home.seq, NULL, 'the newest events are missing: the last one there is number ' || coalesce(newest.seq, 0)
      FROM home, newest WHERE home.seq <> coalesce(newest.seq, 0) OR home.head <> coalesce(newest.hash, sha256(''))
     ORDER BY 1;
END;

-- Limits of medicines as needed: by active ingredient, over all products and all who give

CREATE FUNCTION contents(medicine medicines) RETURNS TABLE (ingredient text, amount numeric, measure text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC  -- of one unit of it; masses in mg
    SELECT lower(btrim(i ->> 'name')),
           (i ->> 'amount')::numeric * CASE i ->> 'unit' WHEN 'g' THEN 1000 WHEN 'mcg' THEN 0.001 ELSE 1 END,
           CASE WHEN i ->> 'unit' IN ('g', 'mcg') THEN 'mg' ELSE i ->> 'unit' END
      FROM jsonb_array_elements(medicine.ingredients) AS i;
END;

CREATE FUNCTION shares_ingredient(one medicines, other medicines) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN one.id = other.id OR EXISTS (
    SELECT FROM contents(one) AS a JOIN contents(other) AS b ON a.ingredient = b.ingredient);

CREATE FUNCTION takings_of(person uuid, since timestamptz, until timestamptz, ignoring uuid)
RETURNS TABLE (at timestamptz, amount numeric, medicine_id uuid, by_member uuid, device_id uuid, conflict boolean) LANGUAGE sql STABLE
BEGIN ATOMIC  -- what is known and what is reported: a conflict counts until a person resolves it
    SELECT d.resolved_at, coalesce(d.taken_amount, d.amount), d.medicine_id, d.resolved_by, d.resolved_on, false
      FROM dosette.doses AS d
     WHERE d.member_id = person AND d.status = 'taken' AND d.resolved_at > since AND d.resolved_at < until AND d.id IS DISTINCT FROM ignoring
    UNION ALL
    SELECT c.at, d.amount, d.medicine_id, c.by_member, c.device_id, true
      FROM dosette.conflicts AS c JOIN dosette.doses AS d ON d.id = c.dose_id
     WHERE c.household_id = dosette.entered_household() AND c.status = 'open' AND c.report = 'take' AND d.member_id = person
       AND c.at > since AND c.at < until AND d.id IS DISTINCT FROM ignoring;
END;

CREATE FUNCTION broken_gap(product medicines, gap interval, medicine medicines, wanted_at timestamptz, ignoring uuid) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC  -- to what was taken with an ingredient that all three share; NULL when it holds
    SELECT jsonb_build_object('rule', 'min_gap', 'product', product.name, 'gap_minutes', extract(epoch FROM gap)::integer / 60, 'taken_at', t.at, 'taken', m.name, 'free_at', t.at + gap,
                              'by', dosette.named(b.id, b.name), 'on', dosette.named(v.id, v.name), 'reported', t.conflict)
      FROM dosette.takings_of(product.member_id, wanted_at - gap, wanted_at + gap, ignoring) AS t
      JOIN dosette.medicines AS m ON m.id = t.medicine_id
      LEFT JOIN dosette.members AS b ON b.id = t.by_member
      LEFT JOIN dosette.devices AS v ON v.id = t.device_id
     WHERE product.id = medicine.id AND m.id = medicine.id OR EXISTS (
               SELECT FROM dosette.contents(product) AS a
                 JOIN dosette.contents(medicine) AS b ON b.ingredient = a.ingredient
                 JOIN dosette.contents(m) AS c ON c.ingredient = a.ingredient)
     ORDER BY t.at DESC LIMIT 1;
END;

CREATE FUNCTION broken_most(product medicines, most numeric, medicine medicines, wanted numeric, wanted_at timestamptz, ignoring uuid)
RETURNS jsonb LANGUAGE sql STABLE
BEGIN ATOMIC  -- in units of the product itself, and in the mass of each ingredient that both state; NULL when it holds
    WITH measured AS (
        SELECT '' AS ingredient, medicine.unit AS measure, wanted, most WHERE product.id = medicine.id
        UNION ALL
        SELECT a.ingredient, a.measure, wanted * a.amount, most * b.amount
          FROM dosette.contents(medicine) AS a JOIN dosette.contents(product) AS b ON b.ingredient = a.ingredient AND b.measure = a.measure
         WHERE a.amount IS NOT NULL AND b.amount IS NOT NULL
    ), counted AS (
        SELECT measured.ingredient, t.at, t.amount * coalesce(c.amount, 1) AS amount
          FROM measured
         CROSS JOIN dosette.takings_of(product.member_id, wanted_at - interval '24 hours', wanted_at + interval '24 hours', ignoring) AS t
          JOIN dosette.medicines AS m ON m.id = t.medicine_id
          LEFT JOIN LATERAL dosette.contents(m) AS c ON c.ingredient = measured.ingredient AND c.measure = measured.measure
         WHERE c.amount IS NOT NULL OR measured.ingredient = '' AND m.id = medicine.id
    ), day_ends AS (  -- any 24 hours that the wanted dose would lie in, by their last taking
        SELECT ingredient, wanted_at AS at FROM measured UNION SELECT ingredient, at FROM counted WHERE at > wanted_at
    ), days AS (
        SELECT day_ends.ingredient, coalesce(sum(counted.amount), 0) AS taken
          FROM day_ends
          LEFT JOIN counted ON counted.ingredient = day_ends.ingredient
                           AND counted.at > day_ends.at - interval '24 hours' AND counted.at <= day_ends.at
         GROUP BY day_ends.ingredient, day_ends.at
    )
    SELECT jsonb_build_object(
               'rule', 'most_per_24_h', 'product', product.name, 'ingredient', nullif(measured.ingredient, ''), 'measure', measured.measure,
               'taken', dosette.amount_text(days.taken), 'wanted', dosette.amount_text(measured.wanted),
               'most', dosette.amount_text(measured.most),
               'free_at', (SELECT min(c.at) + interval '24 hours' FROM counted AS c
                            WHERE c.ingredient = measured.ingredient AND measured.wanted + coalesce(
                                (SELECT sum(l.amount) FROM counted AS l WHERE l.ingredient = c.ingredient AND l.at > c.at), 0) <= measured.most))
      FROM measured JOIN days ON days.ingredient = measured.ingredient
     WHERE days.taken + measured.wanted > measured.most
     ORDER BY measured.ingredient DESC, days.taken DESC LIMIT 1;
END;

CREATE FUNCTION first_broken(medicine medicines, wanted numeric, wanted_at timestamptz, ignoring uuid) RETURNS jsonb LANGUAGE sql STABLE
BEGIN ATOMIC  -- among the limits of every product in use of this member that shares an ingredient with this one; NULL when all hold
    SELECT broken.rule
      FROM dosette.schedules AS s
      JOIN dosette.medicines AS product ON product.id = s.medicine_id
     CROSS JOIN LATERAL (SELECT coalesce(
         CASE WHEN s.min_gap_minutes IS NOT NULL
              THEN dosette.broken_gap(product, make_interval(mins => s.min_gap_minutes), medicine, wanted_at, ignoring) END,
         CASE WHEN s.most_per_24_h IS NOT NULL
              THEN dosette.broken_most(product, s.most_per_24_h, medicine, wanted, wanted_at, ignoring) END) AS rule) AS broken
     WHERE s.household_id = medicine.household_id AND s.kind = 'as_needed' AND product.member_id = medicine.member_id
       AND product.archived_at IS NULL AND dosette.shares_ingredient(product, medicine) AND broken.rule IS NOT NULL
     ORDER BY product.id LIMIT 1;
END;

CREATE FUNCTION broken_limit(medicine medicines, wanted numeric, wanted_at timestamptz, ignoring uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE  -- the first, and from when none would be broken any more
    first_one constant jsonb := first_broken(medicine, wanted, wanted_at, ignoring);
    next_one jsonb := first_one;
    free_at timestamptz;
BEGIN
    WHILE next_one IS NOT NULL LOOP
        free_at := next_one ->> 'free_at';
        EXIT WHEN free_at IS NULL;
        next_one := first_broken(medicine, wanted, free_at, ignoring);
    END LOOP;
    RETURN first_one || jsonb_build_object('free_at', free_at);
END $$;

-- What can become of a dose: every change is an event, and what hangs on it

CREATE FUNCTION tell(dose doses, event_kind text, at timestamptz, event_key text, why text, detail jsonb, now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dose_events (household_id, dose_id, kind, at, recorded_at, by_member, device_id, source, key, reason, detail)
    VALUES (dose.household_id, dose.id, event_kind, at, now, entered_member(), entered_device(), entered_source(), event_key, why, detail);
    PERFORM pg_notify('dosette', dose.household_id::text);
END $$;

CREATE FUNCTION follow(of_medicine uuid) RETURNS void LANGUAGE plpgsql AS $$
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
     WHERE medicine_id = of_medicine AND kind = 'elapsed' AND (status = 'taken' OR status IN ('skipped', 'missed') AND doses.version = rule.version)
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

CREATE FUNCTION dose_of_medicine(of_medicine uuid, at timestamptz) RETURNS uuid LANGUAGE sql STABLE
BEGIN ATOMIC  -- the one that is open at that time, else the one before, which says why not, else the next
    SELECT coalesce(
        (SELECT id FROM dosette.doses
          WHERE medicine_id = of_medicine AND status = 'pending' AND due_at > at - interval '13 hours' AND due_at < at + interval '13 hours'
            AND at BETWEEN opens_at AND closes_at ORDER BY due_at LIMIT 1),
        (SELECT id FROM dosette.doses
          WHERE medicine_id = of_medicine AND status <> 'cancelled' AND kind IN ('planned', 'elapsed') AND due_at < at + interval '13 hours'
            AND opens_at <= at ORDER BY due_at DESC LIMIT 1),
        (SELECT id FROM dosette.doses
          WHERE medicine_id = of_medicine AND status <> 'cancelled' AND kind IN ('planned', 'elapsed') ORDER BY due_at LIMIT 1));
END;

CREATE FUNCTION settle(wanted uuid, of_medicine uuid, into_status text, extra boolean, given_amount numeric, taken_at timestamptz, why text,
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
    ELSIF NOT (dose.status = 'pending' OR dose.status = 'missed' AND taken_at < now)  -- a late press tells of a taking in time
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

CREATE FUNCTION take_back(wanted uuid, at timestamptz, event_key text, now timestamptz, OUT outcome text, OUT told jsonb, OUT facts jsonb)
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
    UPDATE reminders SET status = 'waiting', due_at = dose.due_at, reason = NULL, rung_at = NULL
     WHERE dose_id = dose.id AND reminders.status = 'dropped' AND now < dose.closes_at;
    outcome := 'done';
    told := dose_told(dose, now);
END $$;

CREATE FUNCTION put_off(wanted uuid, until timestamptz, event_key text, now timestamptz, OUT outcome text, OUT told jsonb, OUT facts jsonb)
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
    UPDATE reminders SET status = 'waiting', due_at = dose.snoozed_until, reason = NULL, rung_at = NULL, attempts = 0, lease = NULL, leased_until = NULL
     WHERE dose_id = dose.id AND kind = 'dose' AND status IN ('waiting', 'told');
    PERFORM tell(dose, 'snoozed', now, event_key, NULL, jsonb_build_object('until', dose.snoozed_until), now);
    outcome := 'done';
    told := dose_told(dose, now);
END $$;

CREATE FUNCTION correct(wanted uuid, right_at timestamptz, why text, override text, event_key text, now timestamptz,
                        OUT outcome text, OUT told jsonb, OUT facts jsonb) LANGUAGE plpgsql AS $$
DECLARE  -- the time it was taken; what was said before stays in the event
    dose doses;
    medicine medicines;
    over_limit jsonb;
    was_at timestamptz;
BEGIN
    SELECT * INTO dose FROM doses WHERE id = wanted AND household_id = entered_household();
    IF NOT FOUND THEN
        outcome := 'no-dose';
        RETURN;
    ELSIF dose.status <> 'taken' OR dose.kind IN ('planned', 'elapsed') AND right_at NOT BETWEEN dose.opens_at AND dose.closes_at THEN
        outcome := 'refused';
        facts := jsonb_build_object('dose', dose_told(dose, now));
        RETURN;
    END IF;
    SELECT * INTO medicine FROM medicines WHERE id = dose.medicine_id;
    over_limit := broken_limit(medicine, coalesce(dose.taken_amount, dose.amount), right_at, dose.id);
    IF over_limit IS NOT NULL AND override IS NULL THEN
        outcome := 'over-limit';
        facts := jsonb_build_object('limit', over_limit, 'dose', dose_told(dose, now));
        RETURN;
    END IF;
    was_at := dose.resolved_at;
    UPDATE doses
       SET resolved_at = right_at,
           opens_at = CASE WHEN made THEN right_at ELSE opens_at END, due_at = CASE WHEN made THEN right_at ELSE due_at END,
           late_at = CASE WHEN made THEN right_at ELSE late_at END, closes_at = CASE WHEN made THEN right_at ELSE closes_at END,
           slot_on = CASE WHEN made THEN household_day(right_at) ELSE slot_on END
      FROM (SELECT dose.kind IN ('as_needed', 'extra') AS made) AS this
     WHERE id = dose.id
    RETURNING doses.* INTO dose;
    PERFORM tell(dose, 'corrected', right_at, event_key, coalesce(override, why), jsonb_strip_nulls(jsonb_build_object(
                     'was_at', was_at, 'override', over_limit)), now);
    IF dose.kind = 'elapsed' THEN
        PERFORM follow(dose.medicine_id);
    END IF;
    outcome := 'done';
    told := dose_told(dose, now);
END $$;

CREATE FUNCTION conflict_told(conflict conflicts, now timestamptz) RETURNS jsonb LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT jsonb_build_object(
               'id', conflict.id, 'report', conflict.report, 'at', conflict.at, 'recorded_at', conflict.recorded_at,
               'by', dosette.named(b.id, b.name), 'on', dosette.named(v.id, v.name), 'reason', conflict.reason, 'status', conflict.status,
               'resolved_at', conflict.resolved_at, 'resolved_by', dosette.named(r.id, r.name), 'dose', dosette.dose_told(d, now))
      FROM dosette.doses AS d
      LEFT JOIN dosette.members AS b ON b.id = conflict.by_member
      LEFT JOIN dosette.devices AS v ON v.id = conflict.device_id
      LEFT JOIN dosette.members AS r ON r.id = conflict.resolved_by
     WHERE d.id = conflict.dose_id;
END;

CREATE FUNCTION keep_conflict(wanted uuid, report text, at timestamptz, why text, event_key text, now timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    dose doses;
    kept uuid;
BEGIN
    SELECT * INTO dose FROM doses WHERE id = wanted AND household_id = entered_household();
    IF FOUND THEN
        INSERT INTO conflicts (household_id, dose_id, report, at, recorded_at, by_member, device_id, reason)
        VALUES (dose.household_id, dose.id, report, at, now, entered_member(), entered_device(), why)
        RETURNING id INTO kept;
        PERFORM tell(dose, 'conflict', at, event_key, why, jsonb_build_object('conflict', kept), now);
    END IF;
    RETURN jsonb_build_object('conflict', kept);
END $$;

CREATE FUNCTION resolve_conflict(wanted uuid, verdict text, why text, event_key text, now timestamptz,
                                 OUT outcome text, OUT told jsonb, OUT facts jsonb) LANGUAGE plpgsql AS $$
DECLARE  -- not_taken: it told of the same taking, or of none; taken: it was really taken, so it is a dose of its own
    found_one conflicts;
    dose doses;
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
        PERFORM settle(dose.id, NULL, 'taken', dose.status <> 'pending' OR found_one.at NOT BETWEEN dose.opens_at AND dose.closes_at, NULL,
                       found_one.at, NULL, coalesce(why, 'a conflict resolved'), event_key, now);
    END IF;
    outcome := 'done';
    told := conflict_told(found_one, now);
END $$;

-- Access

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['conflicts', 'packages'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_household ON %I TO dosette_api USING (household_id = entered_household()) WITH CHECK (household_id = entered_household())', name);
        EXECUTE format('CREATE POLICY every_household ON %I TO dosette_scheduler, dosette_worker, dosette_migrator USING (true) WITH CHECK (true)', name);
        EXECUTE format('CREATE POLICY for_backup ON %I FOR SELECT TO dosette_backup USING (true)', name);
    END LOOP;
END $$;

DO $$  -- the household is looked up once for each statement, not once for each row
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_policies WHERE schemaname = 'dosette' AND policyname = 'own_household' LOOP
        EXECUTE format('ALTER POLICY own_household ON %I USING (%I = (SELECT entered_household())) WITH CHECK (%I = (SELECT entered_household()))',
                       name, CASE name WHEN 'households' THEN 'id' ELSE 'household_id' END, CASE name WHEN 'households' THEN 'id' ELSE 'household_id' END);
    END LOOP;
END $$;

GRANT SELECT ON conflicts, packages TO dosette_backup;
GRANT SELECT, INSERT, UPDATE ON conflicts TO dosette_api, dosette_scheduler;
GRANT SELECT, INSERT ON packages TO dosette_api;
GRANT SELECT ON packages TO dosette_scheduler;
GRANT UPDATE (offset_since, utc_offset) ON households TO dosette_api, dosette_scheduler;
GRANT UPDATE (lead_days, closed_weekdays, closed_on) ON households TO dosette_api;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA dosette FROM PUBLIC;
GRANT EXECUTE ON FUNCTION local_day(timestamptz, timestamptz[], interval[]), household_day(timestamptz),
    use_stock(uuid, numeric, text, uuid, uuid, timestamptz, text), give_stock_back(uuid, timestamptz),
    contents(medicines), shares_ingredient(medicines, medicines), takings_of(uuid, timestamptz, timestamptz, uuid),
    broken_gap(medicines, interval, medicines, timestamptz, uuid), broken_most(medicines, numeric, medicines, numeric, timestamptz, uuid),
    first_broken(medicines, numeric, timestamptz, uuid), broken_limit(medicines, numeric, timestamptz, uuid), tell(doses, text, timestamptz, text, text, jsonb, timestamptz),
    follow(uuid), dose_of_medicine(uuid, timestamptz),
    settle(uuid, uuid, text, boolean, numeric, timestamptz, text, text, text, timestamptz), take_back(uuid, timestamptz, text, timestamptz),
    put_off(uuid, timestamptz, text, timestamptz), correct(uuid, timestamptz, text, text, text, timestamptz),
    conflict_told(conflicts, timestamptz), keep_conflict(uuid, text, timestamptz, text, text, timestamptz),
    resolve_conflict(uuid, text, text, text, timestamptz), schedule_json(schedule_versions), named(uuid, text),
    dose_json(doses, medicines, members, members, devices, timestamptz), dose_told(doses, timestamptz)
    TO dosette_api, dosette_scheduler;
GRANT EXECUTE ON FUNCTION household_json(households), runs_out_on(numeric, date, date, bigint[], numeric), order_by_on(date, integer, smallint[], date[]),
    stock_told(uuid, uuid[]), add_stock(uuid, text, numeric, uuid, text, date, text, timestamptz),
    keep_line(uuid, text, numeric, uuid, text, timestamptz), supply(timestamptz, uuid), medicine_json(medicines, members, numeric, numeric, date, date, integer, date, boolean),
    medicine_told(uuid, timestamptz), broken_links(uuid)
    TO dosette_api;
