"""Devices: pairing, what is published to them, and how far their presses were taken in."""

from dosette.storage.connection import Statement

PAIR = Statement(
    "pair_device",
    "SELECT id::text, generation FROM admit_device(%(name)s, %(now)s)",
    name="text",
    now="timestamptz",
)

OFFER = Statement(
    "offer_pairing",
    """
    INSERT INTO pairings (digest, household_id, name, handle, made_at, ends_at)
    SELECT %(digest)s, entered_household(), %(name)s, %(handle)s, %(now)s, %(until)s
    ON CONFLICT (digest) DO NOTHING
    RETURNING name
    """,
    digest="bytea",
    name="text",
    handle="text",
    now="timestamptz",
    until="timestamptz",
)

CLAIM = Statement(
    "claim_pairing",
    """
    SELECT outcome, device_id::text, generation, used_at
      FROM claim_pairing(%(digest)s, %(handle)s, %(claimant)s, %(most_guesses)s, %(now)s)
    """,
    digest="bytea",
    handle="text",
    claimant="bytea",
    most_guesses="integer",
    now="timestamptz",
)

FORGET_PAIRINGS = Statement(
    "forget_pairings", "DELETE FROM pairings WHERE ends_at < %(before)s RETURNING handle", before="timestamptz"
)

LIST = Statement(
    "list_devices",
    """
    SELECT json_build_object('items', coalesce(json_agg(device_json(d, %(now)s) ORDER BY d.id), '[]'), 'next_cursor', NULL)::text
      FROM devices AS d WHERE d.household_id = entered_household()
    """,
    now="timestamptz",
)

LOOK = Statement(
    "look_at_devices",
    """
    SELECT h.name, h.zone, coalesce(jsonb_agg(device_json(d, %(now)s) ORDER BY d.name) FILTER (WHERE d.id IS NOT NULL), '[]')
      FROM households AS h LEFT JOIN devices AS d ON d.household_id = h.id
     WHERE h.id = entered_household() GROUP BY h.id
    """,
    now="timestamptz",
)

GET = Statement(
    "get_device", "SELECT name FROM devices WHERE id = %(device)s AND household_id = entered_household()", device="uuid"
)

NAMED = Statement(
    "device_named",
    "SELECT id::text, revoked_at IS NOT NULL FROM devices WHERE name = %(name)s AND household_id = entered_household()",
    name="text",
)

REVOKE = Statement(
    "revoke_device",
    """
    UPDATE devices SET revoked_at = coalesce(revoked_at, %(now)s) WHERE id = %(device)s AND household_id = entered_household()
    RETURNING pg_notify('dosette', household_id::text)
    """,
    device="uuid",
    now="timestamptz",
)

ROTATE = Statement(
    "rotate_device",
    """
    UPDATE devices
       SET generation = generation + 1, uses_generation = generation, keys_at = %(now)s, old_until = %(until)s
     WHERE id = %(device)s AND household_id = entered_household() AND revoked_at IS NULL AND old_until > %(now)s IS NOT TRUE
    RETURNING pg_notify('dosette', household_id::text)
    """,
    device="uuid",
    now="timestamptz",
    until="timestamptz",
)
"""While the keys before are believed, there are no newer ones: a device would have to know three."""

ROTATE_OLD = Statement(
    "rotate_old_devices",
    """
    UPDATE devices
       SET generation = generation + 1, uses_generation = generation, keys_at = %(now)s, old_until = %(until)s
     WHERE revoked_at IS NULL AND old_until > %(now)s IS NOT TRUE AND coalesce(keys_at, paired_at) < %(before)s AND seen_at > %(seen)s
    RETURNING id::text
    """,
    now="timestamptz",
    until="timestamptz",
    before="timestamptz",
    seen="timestamptz",
)
"""Only of devices that are there to hear of it."""

USES = Statement(
    "device_uses_generation",
    """
    UPDATE devices SET generation = greatest(generation, %(generation)s), uses_generation = %(generation)s
     WHERE id = %(device)s AND revoked_at IS NULL AND coalesce(uses_generation, generation) < %(generation)s
    RETURNING pg_notify('dosette', household_id::text)
    """,
    device="uuid",
    generation="integer",
)

ACTIVE = Statement(
    "active_devices",
    """
    SELECT id::text, household_id::text, generation, pressed, name, paired_at, coalesce(uses_generation, generation), old_until
      FROM devices WHERE revoked_at IS NULL ORDER BY id
    """,
)

REVOKED = Statement(
    "revoked_devices",
    """
    SELECT id::text, household_id::text, generation, pressed, name, paired_at, coalesce(uses_generation, generation), old_until
      FROM devices WHERE revoked_at IS NOT NULL ORDER BY id
    """,
)

FAREWELL = Statement(
    "farewell",
    """
    UPDATE devices AS d SET plan_number = plan_number + 1 FROM households AS h, server
     WHERE d.id = %(device)s AND d.revoked_at IS NOT NULL AND h.id = d.household_id
    RETURNING jsonb_build_object(
        'v', 1, 'device_id', d.id, 'device', d.name, 'zone', h.zone, 'epoch', server.epoch, 'number', d.plan_number,
        'pressed', d.pressed, 'issued_at', %(now)s, 'valid_until', %(now)s, 'doses', '[]'::jsonb, 'revoked', true)::text
    """,
    device="uuid",
    now="timestamptz",
)
"""The last plan of a device: no doses, and why."""

STANDING = Statement(
    "standing_of_devices",
    """
    SELECT count(*) FILTER (WHERE revoked_at IS NULL),
           count(*) FILTER (WHERE revoked_at IS NULL AND seen_at > %(silent)s IS NOT TRUE),
           count(*) FILTER (WHERE revoked_at IS NULL AND old_until > %(now)s),
           count(*) FILTER (WHERE revoked_at IS NOT NULL),
           extract(epoch FROM max(%(now)s - seen_at) FILTER (WHERE revoked_at IS NULL))::float8,
           extract(epoch FROM max(%(now)s - shown_at) FILTER (WHERE revoked_at IS NULL))::float8,
           coalesce(sum(waiting) FILTER (WHERE revoked_at IS NULL), 0)::float8,
           coalesce(sum(refused) FILTER (WHERE revoked_at IS NULL), 0)::float8
      FROM devices
    """,
    now="timestamptz",
    silent="timestamptz",
)

NEXT_PLAN = Statement(
    "next_plan",
    """
    WITH device AS (
        UPDATE devices SET plan_number = plan_number + 1
         WHERE id = %(device)s AND revoked_at IS NULL AND generation = %(generation)s RETURNING *
    )
    SELECT jsonb_build_object(
               'v', 1, 'device_id', device.id, 'device', device.name, 'zone', h.zone, 'epoch', server.epoch,
               'number', device.plan_number, 'pressed', device.pressed, 'issued_at', %(now)s, 'valid_until', %(until)s,
               'keys', %(keys)s, 'old_keys_until', device.old_until,
               'doses', coalesce((
                   SELECT jsonb_agg(jsonb_build_object(
                              'id', d.id, 'member', p.name, 'medicine', m.name, 'strength', m.strength, 'form', m.form, 'unit', m.unit,
                              'note', m.note, 'amount', amount_text(d.amount), 'opens_at', d.opens_at, 'due_at', d.due_at,
                              'late_at', d.late_at, 'closes_at', d.closes_at, 'status', d.status, 'resolved_at', d.resolved_at,
                              'claimed_by', c.name, 'snoozed_until', d.snoozed_until, 'critical', v.critical,
                              'quiet_from', p.quiet_from, 'quiet_until', p.quiet_until)
                              ORDER BY d.due_at, p.name, m.name, d.id)
                     FROM doses AS d JOIN medicines AS m ON m.id = d.medicine_id JOIN members AS p ON p.id = d.member_id
                     LEFT JOIN schedule_versions AS v ON v.medicine_id = d.medicine_id AND v.number = d.version
                     LEFT JOIN reminders AS r ON r.dose_id = d.id AND r.kind = 'dose' AND r.status = 'waiting'
                     LEFT JOIN members AS c ON c.id = r.claimed_by
                    WHERE d.household_id = device.household_id AND d.status <> 'cancelled'
                      AND d.due_at >= %(since)s AND d.due_at < %(until)s), '[]'),
               'low', coalesce((
                   SELECT jsonb_agg(jsonb_build_object(
                              'member', p.name, 'medicine', m.name, 'strength', m.strength, 'left', amount_text(s.on_hand - s.expired),
                              'unit', m.unit, 'days_left', s.days_left, 'order_by_on', s.order_by_on)
                              ORDER BY s.order_by_on NULLS LAST, m.name, m.id)
                     FROM supply(%(now)s, NULL) AS s JOIN medicines AS m ON m.id = s.medicine_id JOIN members AS p ON p.id = m.member_id
                    WHERE s.low AND m.archived_at IS NULL), '[]'),
               'conflicts', coalesce((
                   SELECT jsonb_agg(jsonb_build_object(
                              'id', f.id, 'member', p.name, 'medicine', m.name, 'strength', m.strength, 'report', f.report, 'at', f.at,
                              'status', d.status, 'resolved_at', d.resolved_at) ORDER BY f.id)
                     FROM conflicts AS f JOIN doses AS d ON d.id = f.dose_id JOIN medicines AS m ON m.id = d.medicine_id
                     JOIN members AS p ON p.id = d.member_id
                    WHERE f.household_id = device.household_id AND f.status = 'open'), '[]'),
               'alarms', (
                   SELECT jsonb_agg(DISTINCT a.kind) FROM reminders AS a
                    WHERE a.household_id = device.household_id AND a.status = 'waiting' AND a.dose_id IS NULL),
               'stuck_since', (
                   SELECT min(since) FROM (
                       SELECT min(w.due_at) AS since FROM reminders AS w
                        WHERE w.household_id = device.household_id AND w.status = 'waiting' AND w.due_at <= %(stuck)s
                        UNION ALL
                       SELECT min(w.made_at) FROM deliveries AS w
                        WHERE w.household_id = device.household_id AND w.status = 'waiting' AND w.device_id IS NULL
                          AND w.made_at BETWEEN %(now)s - interval '1 day' AND %(stuck)s) AS stuck))::text
      FROM device JOIN households AS h ON h.id = device.household_id CROSS JOIN server
    """,
    device="uuid",
    since="timestamptz",
    until="timestamptz",
    stuck="timestamptz",
    keys="jsonb",
    generation="integer",
    now="timestamptz",
)
"""What was due at `stuck` and still waits to be told is stuck. Run by whoever has entered the device's household."""

SEEN = Statement(
    "device_seen",
    """
    UPDATE devices
       SET seen_at = %(now)s, waiting = %(waiting)s, clock = %(clock)s, version = %(version)s, shown_at = %(shown_at)s,
           refused = %(refused)s
     WHERE id = %(device)s
    RETURNING %(refused)s > coalesce(old.refused, 0)
    """,
    device="uuid",
    now="timestamptz",
    waiting="integer",
    clock="text",
    version="text",
    shown_at="timestamptz",
    refused="integer",
)

PRESS_TAKEN_IN = Statement(
    "press_taken_in",
    """
    UPDATE devices SET pressed = greatest(pressed, %(number)s), last_press_at = %(now)s WHERE id = %(device)s
    RETURNING pg_notify('dosette', household_id::text)
    """,
    device="uuid",
    number="bigint",
    now="timestamptz",
)
