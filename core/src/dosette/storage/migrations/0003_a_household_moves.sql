-- A household moves in from an export: all of it with its ids and its chain, or nothing.
-- Run by `dosette migrate` in one transaction, as the role dosette_migrator.

SET LOCAL search_path = dosette;

CREATE OR REPLACE FUNCTION add_up_stock() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = dosette AS $$
BEGIN
    IF EXISTS (SELECT FROM households WHERE id = NEW.household_id AND moving_in) THEN  -- move_in() adds up once, not line by line
        RETURN NULL;
    END IF;
    INSERT INTO stock AS s (medicine_id, household_id, on_hand) VALUES (NEW.medicine_id, NEW.household_id, NEW.amount)
    ON CONFLICT (medicine_id) DO UPDATE SET on_hand = s.on_hand + EXCLUDED.on_hand;
    IF NEW.package_id IS NOT NULL THEN
        UPDATE packages SET amount_left = amount_left + NEW.amount WHERE id = NEW.package_id;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION already_here(file json) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = dosette AS $$
DECLARE  -- the first id of an export that some household on this server has, which row-level security would hide; NULL when none has
    list text;
    found_id uuid;
BEGIN
    FOREACH list IN ARRAY ARRAY['members', 'devices', 'contacts', 'medicines', 'doses', 'conflicts', 'packages', 'stock_entries', 'reminders',
                                'deliveries'] LOOP
        EXECUTE format('SELECT t.id FROM json_array_elements($1) AS row JOIN %I AS t ON t.id = (row ->> ''id'')::uuid ORDER BY t.id LIMIT 1', list)
           INTO found_id USING file -> list;
        IF found_id IS NOT NULL THEN
            RETURN jsonb_build_object('list', list, 'id', found_id);
        END IF;
    END LOOP;
    SELECT id INTO found_id FROM households
     WHERE coalesce(chain_id, id) = (file -> 'household' ->> 'id')::uuid AND id <> entered_household();
    RETURN CASE WHEN found_id IS NOT NULL THEN jsonb_build_object('list', 'household', 'id', file -> 'household' ->> 'id') END;
END $$;

CREATE FUNCTION lived_in() RETURNS jsonb LANGUAGE sql STABLE
BEGIN ATOMIC  -- what is in the household already; NULL when it is empty
    SELECT nullif(jsonb_strip_nulls(jsonb_build_object(
        'members', nullif((SELECT count(*) FROM dosette.members WHERE household_id = dosette.entered_household()), 0),
        'medicines', nullif((SELECT count(*) FROM dosette.medicines WHERE household_id = dosette.entered_household()), 0),
        'devices', nullif((SELECT count(*) FROM dosette.devices WHERE household_id = dosette.entered_household()), 0))), '{}');
END;

CREATE FUNCTION move_in(file json, zone_since timestamptz[], zone_offset interval[], OUT outcome text, OUT told jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = dosette AS $$
DECLARE  -- json, for jsonb ends at 256 MB; the caller has checked every value and every reference
    home constant json := file -> 'household';
    lists constant text[] := ARRAY['members', 'devices', 'contacts', 'medicines', 'schedule_versions', 'schedules', 'doses', 'dose_events',
                                   'conflicts', 'packages', 'stock_entries', 'reminders', 'deliveries'];
    list text;
    fault record;
BEGIN
    IF lived_in() IS NOT NULL THEN
        outcome := 'not-empty';
        told := lived_in();
        RETURN;
    ELSIF already_here(file) IS NOT NULL THEN
        outcome := 'already-here';
        told := already_here(file);
        RETURN;
    END IF;
    UPDATE households SET moving_in = true WHERE id = entered_household();  -- a right that no service has
    FOREACH list IN ARRAY lists LOOP
        EXECUTE format('INSERT INTO %I SELECT t.* FROM json_array_elements($1) AS row, jsonb_populate_record(NULL::%I, $2 || row::jsonb) AS t', list, list)
          USING file -> list, jsonb_build_object('household_id', entered_household())
                              || CASE list WHEN 'packages' THEN '{"amount_left": 0}' WHEN 'devices' THEN '{"plan_number": 0}' ELSE '{}' END::jsonb;
    END LOOP;
    INSERT INTO stock (medicine_id, household_id, on_hand)
    SELECT medicine_id, household_id, sum(amount) FROM stock_entries WHERE household_id = entered_household() GROUP BY medicine_id, household_id;
    UPDATE packages AS p SET amount_left = entries.amount
      FROM (SELECT package_id, sum(amount) AS amount FROM stock_entries WHERE household_id = entered_household() GROUP BY package_id) AS entries
     WHERE p.id = entries.package_id;
    UPDATE households
       SET moving_in = false, chain_id = (home ->> 'id')::uuid, seq = (home ->> 'events')::bigint, head = decode(home ->> 'head', 'hex'),
           name = home ->> 'name', zone = home ->> 'zone', offset_since = zone_since, utc_offset = zone_offset,
           lead_days = (home ->> 'lead_days')::integer, created_at = (home ->> 'created_at')::timestamptz,
           closed_weekdays = ARRAY(SELECT json_array_elements_text(home -> 'closed_weekdays')::smallint),
           closed_on = ARRAY(SELECT json_array_elements_text(home -> 'closed_on')::date)
     WHERE id = entered_household();
    SELECT * INTO fault FROM broken_links(entered_household()) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'event %: %', fault.seq, fault.fault USING ERRCODE = 'DO409';
    END IF;
    PERFORM pg_notify('dosette', entered_household()::text);
    outcome := 'done';
    SELECT jsonb_object_agg(each, json_array_length(file -> each)) INTO told FROM unnest(lists) AS each;
END $$;

REVOKE EXECUTE ON FUNCTION already_here(json), lived_in(), move_in(json, timestamptz[], interval[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION move_in(json, timestamptz[], interval[]) TO dosette_api;
