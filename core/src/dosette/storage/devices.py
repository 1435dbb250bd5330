"""Devices: pairing, what is published to them, and how far their presses were taken in."""

from dosette.storage.connection import Statement

PAIR = Statement(
    "pair_device",
    """
    INSERT INTO devices (household_id, name, paired_at)
    SELECT entered_household(), %(name)s, %(now)s
    ON CONFLICT (household_id, name) DO UPDATE
       SET generation = devices.generation + 1, pressed = 0, paired_at = EXCLUDED.paired_at, revoked_at = NULL
    RETURNING id::text, generation, pg_notify('dosette', household_id::text)
    """,
    name="text",
    now="timestamptz",
)

LIST = Statement(
    "list_devices",
    """
    SELECT json_build_object(
               'items', coalesce(json_agg(json_build_object('id', id, 'name', name, 'paired_at', paired_at, 'revoked_at', revoked_at,
                                                              'last_press_at', last_press_at, 'seen_at', seen_at) ORDER BY id), '[]'),
               'next_cursor', NULL)::text
      FROM devices WHERE household_id = entered_household()
    """,
)

GET = Statement("get_device", "SELECT name FROM devices WHERE id = %(device)s", device="uuid")

ACTIVE = Statement(
    "active_devices",
    "SELECT id::text, household_id::text, generation, pressed, name, paired_at FROM devices WHERE revoked_at IS NULL ORDER BY id",
)

REVOKED = Statement("revoked_devices", "SELECT id::text FROM devices WHERE revoked_at IS NOT NULL")

NEXT_PLAN = Statement(
    "next_plan",
    """
    WITH device AS (
        UPDATE devices SET plan_number = plan_number + 1 WHERE id = %(device)s AND revoked_at IS NULL RETURNING *
    )
    SELECT jsonb_build_object(
               'v', 1, 'device_id', device.id, 'device', device.name, 'zone', h.zone, 'epoch', server.epoch,
               'number', device.plan_number, 'pressed', device.pressed, 'issued_at', %(now)s, 'valid_until', %(until)s,
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
    now="timestamptz",
)
"""What was due at `stuck` and still waits to be told is stuck. Run by whoever has entered the device's household."""

SEEN = Statement(
    "device_seen",
    "UPDATE devices SET seen_at = %(now)s WHERE id = %(device)s RETURNING id",
    device="uuid",
    now="timestamptz",
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
