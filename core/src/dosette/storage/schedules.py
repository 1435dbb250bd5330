"""Schedules: what the domain needs to plan, and planned slots becoming doses with their reminders."""

from dosette.storage.connection import Statement

CONTEXT = Statement(
    "schedule_context",
    """
    SELECT m.id::text, named(m.id, m.name), h.zone, coalesce(s.version, 0), schedule_json(v), m.amount_left,
           (SELECT max(d.resolved_at) FROM doses AS d WHERE d.medicine_id = m.id AND d.status = 'taken'),
           (SELECT max(d.due_at) FROM doses AS d
             WHERE d.medicine_id = m.id AND d.status = 'pending' AND d.kind = 'elapsed' AND d.due_at <= %(now)s AND d.closes_at >= %(now)s),
           (SELECT min(d.due_at) FROM doses AS d
             WHERE d.medicine_id = m.id AND d.status = 'pending' AND d.kind = 'elapsed' AND d.due_at > %(now)s)
      FROM (SELECT medicines.*, supply.on_hand - supply.expired - coalesce((
                       SELECT sum(d.amount) FROM doses AS d
                        WHERE d.medicine_id = medicines.id AND d.status = 'pending' AND d.due_at <= %(now)s
                          AND d.closes_at >= %(now)s), 0) AS amount_left
              FROM medicines JOIN supply(%(now)s, %(medicine)s) ON supply.medicine_id = medicines.id) AS m
      JOIN households AS h ON h.id = m.household_id
      LEFT JOIN schedules AS s ON s.medicine_id = m.id
      LEFT JOIN schedule_versions AS v ON v.medicine_id = m.id AND v.number = s.version
     WHERE m.archived_at IS NULL AND (%(medicine)s IS NULL OR m.id = %(medicine)s)
     ORDER BY m.id
    """,
    medicine="uuid",
    now="timestamptz",
)

GET = Statement(
    "get_schedule",
    """
    SELECT schedule_json(v)::text
      FROM schedules AS s JOIN schedule_versions AS v ON v.medicine_id = s.medicine_id AND v.number = s.version
     WHERE s.medicine_id = %(medicine)s
    """,
    medicine="uuid",
)

VERSIONS = Statement(
    "list_versions",
    """
    SELECT json_build_object(
               'items', coalesce((SELECT json_agg(schedule_json(v) ORDER BY v.number DESC) FROM schedule_versions AS v
                                   WHERE v.medicine_id = m.id), '[]'),
               'next_cursor', NULL)::text
      FROM medicines AS m WHERE m.id = %(medicine)s
    """,
    medicine="uuid",
)

CHANGE = Statement(
    "change_schedules",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), target AS MATERIALIZED (  -- all of them as they were read, or none
        SELECT m.id, m.household_id, m.member_id, change.version, change.effect, slots
          FROM jsonb_to_recordset(%(changes)s) AS change (medicine_id uuid, number integer, version jsonb, effect jsonb, slots jsonb)
          JOIN medicines AS m ON m.id = change.medicine_id AND m.archived_at IS NULL
          LEFT JOIN schedules AS s ON s.medicine_id = m.id
         WHERE coalesce(s.version, 0) = change.number - 1 AND NOT EXISTS (SELECT FROM stored)
    ), whole AS MATERIALIZED (
        SELECT target.* FROM target WHERE (SELECT count(*) FROM target) = jsonb_array_length(%(changes)s)
    ), version AS (
        INSERT INTO schedule_versions
        SELECT v.* FROM whole, jsonb_populate_record(NULL::schedule_versions, whole.version || jsonb_build_object(
            'household_id', whole.household_id, 'created_at', %(now)s, 'created_by', entered_member())) AS v
        RETURNING *
    ), schedule AS (
        INSERT INTO schedules (medicine_id, household_id, version, planned_until, kind, amount, min_gap_minutes, most_per_24_h,
                               follows_minutes, follows_window, use_from, use_through, daily_use)
        SELECT whole.id, whole.household_id, v.number, e.planned_until, v.kind, e.amount, v.min_gap_minutes, v.most_per_24_h,
               e.follows_minutes, e.follows_window, e.use_from, e.use_through, e.daily_use
          FROM whole
          JOIN version AS v ON v.medicine_id = whole.id
         CROSS JOIN jsonb_populate_record(NULL::schedules, whole.effect) AS e
        ON CONFLICT (medicine_id) DO UPDATE
           SET version = EXCLUDED.version, planned_until = EXCLUDED.planned_until, kind = EXCLUDED.kind, amount = EXCLUDED.amount,
               min_gap_minutes = EXCLUDED.min_gap_minutes, most_per_24_h = EXCLUDED.most_per_24_h,
               follows_minutes = EXCLUDED.follows_minutes, follows_window = EXCLUDED.follows_window,
               use_from = EXCLUDED.use_from, use_through = EXCLUDED.use_through,
               daily_use = EXCLUDED.daily_use
    ), cancelled AS (
        UPDATE doses SET status = 'cancelled' FROM whole
         WHERE doses.medicine_id = whole.id AND doses.status IN ('pending', 'unknown') AND doses.due_at > %(now)s
        RETURNING doses.id
    ), unsent AS (
        UPDATE reminders SET status = 'dropped', reason = 'rescheduled' FROM cancelled
         WHERE reminders.dose_id = cancelled.id AND reminders.status = 'waiting'
    ), planned AS (
        INSERT INTO doses (household_id, medicine_id, member_id, version, kind, slot_on, slot_time, amount,
                           opens_at, due_at, late_at, closes_at)
        SELECT whole.household_id, whole.id, whole.member_id, (whole.version ->> 'number')::integer, slot.kind, slot.slot_on,
               slot.slot_time, slot.amount, slot.opens_at, slot.due_at, slot.late_at, slot.closes_at
          FROM whole, (SELECT count(*) FROM cancelled) AS first,
               jsonb_to_recordset(whole.slots) AS slot (kind text, slot_on date, slot_time time, amount numeric, opens_at timestamptz,
                                                        due_at timestamptz, late_at timestamptz, closes_at timestamptz)
        ON CONFLICT DO NOTHING
        RETURNING id, household_id, due_at
    ), reminded AS (
        INSERT INTO reminders (household_id, dose_id, due_at) SELECT household_id, id, due_at FROM planned
    ), moved AS (
        UPDATE households SET zone = %(zone)s, offset_since = %(offset_since)s, utc_offset = %(utc_offset)s
         WHERE id = entered_household() AND %(zone)s IS NOT NULL AND (SELECT count(*) FROM target) = jsonb_array_length(%(changes)s)
           AND NOT EXISTS (SELECT FROM stored)
        RETURNING id, zone
    ), answer AS (
        SELECT CASE WHEN %(zone)s IS NULL THEN (SELECT schedule_json(ROW (version.*)::schedule_versions) FROM version)
                    ELSE (SELECT jsonb_build_object('id', id, 'zone', zone, 'changed', (SELECT count(*) FROM version))
                            FROM moved) END AS body
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, body, %(now)s) AS body, pg_notify('dosette', entered_household()::text)
          FROM answer WHERE body IS NOT NULL
    )
    SELECT outcome(stored.same, reply.body, 'changed'), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    changes="jsonb",
    zone="text",
    offset_since="timestamptz[]",
    utc_offset="interval[]",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)

TO_PLAN = Statement(
    "schedules_to_plan",
    """
    SELECT s.medicine_id::text, s.household_id::text, s.planned_until, s.use_from, schedule_json(v),
           (SELECT CASE last.status WHEN 'taken' THEN last.resolved_at ELSE last.due_at END
              FROM doses AS last
             WHERE s.follows_minutes IS NOT NULL AND last.medicine_id = s.medicine_id AND last.kind IN ('elapsed', 'planned')
               AND (last.status = 'taken' OR last.status <> 'cancelled' AND last.version = s.version)  -- of an old one, only what was taken
             ORDER BY last.due_at DESC LIMIT 1)
      FROM schedules AS s
      JOIN schedule_versions AS v ON v.medicine_id = s.medicine_id AND v.number = s.version
     WHERE s.planned_until < %(before)s
     ORDER BY s.planned_until LIMIT %(limit)s FOR NO KEY UPDATE OF s SKIP LOCKED  -- not what another one is planning just now
    """,
    before="timestamptz",
    limit="integer",
)

EXTEND = Statement(
    "extend_plans",
    """
    WITH extended AS (
        UPDATE schedules AS s
           SET planned_until = plan.planned_until, use_from = coalesce(plan.use_from, s.use_from),
               use_through = coalesce(plan.use_through, s.use_through), daily_use = coalesce(plan.daily_use, s.daily_use)
          FROM jsonb_to_recordset(%(plans)s) AS plan (medicine_id uuid, version integer, was timestamptz, planned_until timestamptz,
                                                      use_from date, use_through bigint[], daily_use numeric)
         WHERE s.medicine_id = plan.medicine_id AND s.version = plan.version AND s.planned_until = plan.was
        RETURNING s.medicine_id
    ), planned AS (
        INSERT INTO doses (household_id, medicine_id, member_id, version, kind, slot_on, slot_time, amount,
                           opens_at, due_at, late_at, closes_at)
        SELECT m.household_id, m.id, m.member_id, slot.version, slot.kind, slot.slot_on, slot.slot_time, slot.amount,
               slot.opens_at, slot.due_at, slot.late_at, slot.closes_at
          FROM extended
          JOIN medicines AS m ON m.id = extended.medicine_id
          JOIN jsonb_to_recordset(%(slots)s) AS slot (medicine_id uuid, version integer, kind text, slot_on date, slot_time time,
                                                      amount numeric, opens_at timestamptz, due_at timestamptz, late_at timestamptz,
                                                      closes_at timestamptz)
            ON slot.medicine_id = m.id
        ON CONFLICT DO NOTHING
        RETURNING id, household_id, due_at
    ), reminded AS (
        INSERT INTO reminders (household_id, dose_id, due_at) SELECT household_id, id, due_at FROM planned
    )
    SELECT count(*), (SELECT count(pg_notify('dosette', id)) FROM (SELECT DISTINCT household_id::text AS id FROM planned) AS touched)
      FROM planned
    """,
    plans="jsonb",
    slots="jsonb",
)
