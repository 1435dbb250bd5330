"""Schedules: what the domain needs to plan, and planned slots becoming doses with their reminders."""

from dosette.storage.connection import Statement

CONTEXT = Statement(
    "schedule_context",
    """
    SELECT coalesce(v.zone, h.zone), coalesce(s.version, 0)
      FROM medicines AS m
      JOIN households AS h ON h.id = m.household_id
      LEFT JOIN schedules AS s ON s.medicine_id = m.id
      LEFT JOIN schedule_versions AS v ON v.medicine_id = m.id AND v.number = s.version
     WHERE m.id = %(medicine)s AND m.archived_at IS NULL
    """,
    medicine="uuid",
)

GET = Statement(
    "get_schedule",
    """
    SELECT jsonb_build_object(
               'version', v.number, 'zone', v.zone, 'starts_on', v.starts_on, 'ends_on', v.ends_on, 'critical', v.critical,
               'window_minutes', v.window_minutes, 'steps', v.steps, 'created_at', v.created_at)::text
      FROM schedules AS s JOIN schedule_versions AS v ON v.medicine_id = s.medicine_id AND v.number = s.version
     WHERE s.medicine_id = %(medicine)s
    """,
    medicine="uuid",
)

CHANGE = Statement(
    "change_schedule",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), target AS MATERIALIZED (
        SELECT m.id, m.household_id, m.member_id FROM medicines AS m LEFT JOIN schedules AS s ON s.medicine_id = m.id
         WHERE m.id = %(medicine)s AND m.archived_at IS NULL AND coalesce(s.version, 0) = %(number)s - 1
           AND NOT EXISTS (SELECT FROM stored)
    ), version AS (
        INSERT INTO schedule_versions (medicine_id, number, household_id, zone, starts_on, ends_on, critical, window_minutes,
                                       steps, created_at, created_by)
        SELECT id, %(number)s, household_id, %(zone)s, %(starts_on)s, %(ends_on)s, %(critical)s, %(window_minutes)s,
               %(steps)s, %(now)s, entered_member()
          FROM target
        RETURNING *
    ), schedule AS (
        INSERT INTO schedules (medicine_id, household_id, version, planned_until, daily_use)
        SELECT id, household_id, %(number)s, %(planned_until)s, %(daily_use)s FROM target
        ON CONFLICT (medicine_id) DO UPDATE
           SET version = EXCLUDED.version, planned_until = EXCLUDED.planned_until, daily_use = EXCLUDED.daily_use
    ), cancelled AS (
        UPDATE doses SET status = 'cancelled' FROM target
         WHERE doses.medicine_id = target.id AND doses.status = 'pending' AND doses.due_at > %(now)s
        RETURNING doses.id
    ), unsent AS (
        UPDATE reminders SET status = 'dropped', reason = 'rescheduled' FROM cancelled
         WHERE reminders.dose_id = cancelled.id AND reminders.status = 'waiting'
    ), planned AS (
        INSERT INTO doses (household_id, medicine_id, member_id, version, slot_on, slot_time, amount, opens_at, due_at, late_at, closes_at)
        SELECT target.household_id, target.id, target.member_id, %(number)s, slot.slot_on, slot.slot_time, slot.amount,
               slot.opens_at, slot.due_at, slot.late_at, slot.closes_at
          FROM target, (SELECT count(*) FROM cancelled) AS first,
               jsonb_to_recordset(%(slots)s) AS slot (slot_on date, slot_time time, amount numeric, opens_at timestamptz,
                                                      due_at timestamptz, late_at timestamptz, closes_at timestamptz)
        ON CONFLICT (medicine_id, slot_on, slot_time) WHERE status <> 'cancelled' DO NOTHING
        RETURNING id, household_id, due_at
    ), reminded AS (
        INSERT INTO reminders (household_id, dose_id, due_at) SELECT household_id, id, due_at FROM planned
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, jsonb_build_object(
                   'version', number, 'zone', zone, 'starts_on', starts_on, 'ends_on', ends_on, 'critical', critical,
                   'window_minutes', window_minutes, 'steps', steps, 'created_at', created_at), %(now)s) AS body,
               pg_notify('dosette', household_id::text)
          FROM version
    )
    SELECT outcome(stored.same, reply.body, 'changed'), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    medicine="uuid",
    number="integer",
    zone="text",
    starts_on="date",
    ends_on="date",
    critical="boolean",
    window_minutes="integer",
    steps="jsonb",
    daily_use="numeric",
    planned_until="timestamptz",
    slots="jsonb",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)

TO_PLAN = Statement(
    "schedules_to_plan",
    """
    SELECT s.medicine_id::text, s.household_id::text, s.planned_until, v.number, v.zone, v.starts_on, v.ends_on, v.critical,
           v.window_minutes, v.steps
      FROM schedules AS s
      JOIN schedule_versions AS v ON v.medicine_id = s.medicine_id AND v.number = s.version
     WHERE s.planned_until < %(before)s
     ORDER BY s.planned_until LIMIT %(limit)s
    """,
    before="timestamptz",
    limit="integer",
)

EXTEND = Statement(
    "extend_plans",
    """
    WITH extended AS (
        UPDATE schedules AS s SET planned_until = plan.planned_until
          FROM jsonb_to_recordset(%(plans)s) AS plan (medicine_id uuid, version integer, was timestamptz, planned_until timestamptz)
         WHERE s.medicine_id = plan.medicine_id AND s.version = plan.version AND s.planned_until = plan.was
        RETURNING s.medicine_id
    ), planned AS (
        INSERT INTO doses (household_id, medicine_id, member_id, version, slot_on, slot_time, amount, opens_at, due_at, late_at, closes_at)
        SELECT m.household_id, m.id, m.member_id, slot.version, slot.slot_on, slot.slot_time, slot.amount,
               slot.opens_at, slot.due_at, slot.late_at, slot.closes_at
          FROM extended
          JOIN medicines AS m ON m.id = extended.medicine_id
          JOIN jsonb_to_recordset(%(slots)s) AS slot (medicine_id uuid, version integer, slot_on date, slot_time time, amount numeric,
                                                      opens_at timestamptz, due_at timestamptz, late_at timestamptz, closes_at timestamptz)
            ON slot.medicine_id = m.id
        ON CONFLICT (medicine_id, slot_on, slot_time) WHERE status <> 'cancelled' DO NOTHING
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
