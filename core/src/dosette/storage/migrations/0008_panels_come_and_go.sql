-- Panels: pairing by a code, keys that change, and what a panel says of itself.
-- Run by `dosette migrate` in one transaction, as the role dosette_migrator.

SET LOCAL search_path = dosette;

-- All may be NULL: what no server knew before, and what comes with a household that moves in.

ALTER TABLE devices
    ADD COLUMN keys_at timestamptz,                -- since when its newest keys are there; NULL: since it was paired
    ADD COLUMN uses_generation integer,            -- of its keys, the newest that it has been seen to use; NULL: the newest there is
    ADD COLUMN old_until timestamptz,              -- so long the keys before the newest are believed, too
    ADD COLUMN waiting integer,                    -- presses in its journal that were not taken in, by its last sign of life
    ADD COLUMN clock text CHECK (clock IN ('right', 'unknown', 'wrong')),
    ADD COLUMN version text,                       -- of its program
    ADD COLUMN shown_at timestamptz,               -- since when its panel shows the picture that it shows
    ADD COLUMN refused integer;                    -- plans that it did not believe since it was started

-- Codes: each pairs one panel, once, within minutes. What is kept of a code is its HMAC under the server's secret.

CREATE TABLE pairings (
    digest bytea PRIMARY KEY,
    household_id uuid NOT NULL REFERENCES households,
    name text NOT NULL CHECK (name <> ''),         -- the device's
    handle text,                                   -- the code's first letters, so that wrong guesses count; NULL: the panel made the code
    made_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    guesses integer NOT NULL DEFAULT 0,            -- wrong ones
    used_at timestamptz,
    used_by bytea,                                 -- who: that one may ask again, if the answer was lost on its way
    device_id uuid REFERENCES devices
);
CREATE INDEX pairings_of_household ON pairings (household_id);
CREATE INDEX pairings_by_handle ON pairings (handle) WHERE used_at IS NULL;
CREATE INDEX pairings_of_device ON pairings (device_id);

ALTER TABLE pairings ENABLE ROW LEVEL SECURITY;
ALTER TABLE pairings FORCE ROW LEVEL SECURITY;
CREATE POLICY own_household ON pairings TO dosette_api USING (household_id = entered_household()) WITH CHECK (household_id = entered_household());
CREATE POLICY every_household ON pairings TO dosette_scheduler, dosette_migrator USING (true) WITH CHECK (true);
CREATE POLICY for_backup ON pairings FOR SELECT TO dosette_backup USING (true);

CREATE FUNCTION admit_device(its_name text, now timestamptz) RETURNS devices LANGUAGE plpgsql SET search_path = dosette AS $$
DECLARE  -- or the one of that name anew: then its old keys are worthless at once
    device devices;
BEGIN
    INSERT INTO devices AS d (household_id, name, paired_at, keys_at) VALUES (entered_household(), its_name, now, now)
    ON CONFLICT (household_id, name) DO UPDATE
       SET generation = d.generation + 1, pressed = 0, paired_at = now, keys_at = now, revoked_at = NULL, uses_generation = NULL,
           old_until = NULL, waiting = NULL, clock = NULL, version = NULL, shown_at = NULL, refused = NULL, seen_at = NULL
    RETURNING * INTO device;
    PERFORM pg_notify('dosette', entered_household()::text);
    RETURN device;
END $$;

CREATE FUNCTION claim_pairing(its_digest bytea, its_handle text, claimant bytea, most_guesses integer, now timestamptz,
                              OUT outcome text, OUT device_id uuid, OUT generation integer, OUT used_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = dosette AS $$
DECLARE  -- nobody has entered: the code is the right
    it pairings;
    device devices;
BEGIN
    SELECT * INTO it FROM pairings WHERE digest = its_digest AND (handle IS NULL) = (its_handle IS NULL);
    IF NOT FOUND THEN
        UPDATE pairings AS p SET guesses = guesses + 1 WHERE p.handle = its_handle AND p.used_at IS NULL;
        outcome := 'unknown';
        RETURN;
    END IF;
    PERFORM enter_as(it.household_id, NULL, NULL, 'panel', true);
    SELECT * INTO it FROM pairings WHERE digest = its_digest;
    used_at := it.used_at;
    IF it.used_at IS NOT NULL AND it.used_by IS DISTINCT FROM claimant THEN
        outcome := 'used';
    ELSIF now > it.ends_at THEN
        outcome := 'expired';
    ELSIF it.guesses >= most_guesses THEN
        outcome := 'guessed';
    ELSIF it.used_at IS NOT NULL THEN
        SELECT * INTO device FROM devices AS d WHERE d.id = it.device_id AND d.revoked_at IS NULL;
        outcome := CASE WHEN device.id IS NULL THEN 'used' ELSE 'done' END;
    ELSE
        device := admit_device(it.name, now);
        UPDATE pairings SET used_at = now, used_by = claimant, device_id = device.id WHERE digest = its_digest;
        outcome := 'done';
    END IF;
    device_id := device.id;
    generation := device.generation;
END $$;

CREATE FUNCTION device_json(device devices, now timestamptz) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_build_object(
    'id', device.id, 'name', device.name,
    'state', CASE WHEN device.revoked_at IS NOT NULL THEN 'revoked' WHEN device.old_until > now THEN 'rotating' ELSE 'paired' END,
    'paired_at', device.paired_at, 'revoked_at', device.revoked_at, 'keys_at', coalesce(device.keys_at, device.paired_at),
    'old_keys_until', CASE WHEN device.old_until > now THEN device.old_until END,
    'uses_new_keys', coalesce(device.uses_generation, device.generation) = device.generation,
    'seen_at', device.seen_at, 'last_press_at', device.last_press_at, 'waiting', device.waiting, 'clock', device.clock,
    'version', device.version, 'shown_at', device.shown_at, 'refused', device.refused);

-- Access

GRANT SELECT, INSERT ON pairings TO dosette_api;
GRANT SELECT, DELETE ON pairings TO dosette_scheduler;
GRANT SELECT ON pairings TO dosette_backup;

REVOKE EXECUTE ON FUNCTION admit_device(text, timestamptz), claim_pairing(bytea, text, bytea, integer, timestamptz),
    device_json(devices, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION admit_device(text, timestamptz), claim_pairing(bytea, text, bytea, integer, timestamptz),
    device_json(devices, timestamptz) TO dosette_api;
