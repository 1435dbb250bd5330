"""Doses: resolving (taken, skipped; named, or the one of a medicine) and undoing, each one statement; lists of them; closing the missed.

Every change returns (outcome, body, dose, zone). Outcomes: `done`, `replayed` (the stored reply of the same key), `key-reused`
(the key was used for another request) and `refused` (`dose` is the dose's JSON as it stands, NULL when there is none).
"""

from dosette.storage.connection import Statement

RESOLVE = Statement(
    "resolve_dose",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), target AS MATERIALIZED (  -- of a medicine: the dose that is open, else the one before, which says why not, else the next
        SELECT coalesce(
            %(dose)s,
            (SELECT id FROM doses
              WHERE medicine_id = %(medicine)s AND status = 'pending' AND %(at)s BETWEEN opens_at AND closes_at ORDER BY due_at LIMIT 1),
            (SELECT id FROM doses
              WHERE medicine_id = %(medicine)s AND status <> 'cancelled' AND opens_at <= %(at)s
              ORDER BY slot_on DESC, slot_time DESC LIMIT 1),
            (SELECT id FROM doses
              WHERE medicine_id = %(medicine)s AND status <> 'cancelled' ORDER BY slot_on, slot_time LIMIT 1)) AS id
    ), won AS (
        UPDATE doses
           SET status = %(status)s, resolved_at = %(at)s, resolved_by = entered_member(), resolved_on = entered_device()
          FROM target
         WHERE doses.id = target.id
           AND (status = 'pending' OR status = 'missed' AND %(at)s < %(now)s)  -- a late press tells of a taking in time
           AND %(at)s BETWEEN opens_at AND closes_at
           AND NOT EXISTS (SELECT FROM stored)
        RETURNING doses.*
    ), event AS (
        INSERT INTO dose_events (household_id, dose_id, kind, at, recorded_at, by_member, device_id, source, key, reason)
        SELECT household_id, id, status, resolved_at, %(now)s, resolved_by, resolved_on, entered_source(), %(key)s, %(reason)s FROM won
    ), ledger AS (
        INSERT INTO stock_entries (household_id, medicine_id, kind, amount, dose_id, at, by_member, device_id, source)
        SELECT household_id, medicine_id, 'taken', -amount, id, resolved_at, resolved_by, resolved_on, entered_source()
          FROM won WHERE status = 'taken'
    ), quiet AS (
        UPDATE reminders SET status = 'dropped', reason = won.status FROM won
         WHERE reminders.dose_id = won.id AND reminders.status = 'waiting'
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, dose_told(ROW (won.*)::doses, %(now)s), %(now)s) AS body,
               pg_notify('dosette', household_id::text)
          FROM won
    )
    SELECT outcome(stored.same, reply.body, 'refused'), coalesce(reply.body, stored.body)::text,
           (SELECT dose_told(doses, %(now)s) FROM doses JOIN target ON doses.id = target.id), households.zone
      FROM households LEFT JOIN stored ON true LEFT JOIN reply ON true
     WHERE households.id = entered_household()
    """,
    dose="uuid",
    medicine="uuid",
    status="text",
    key="text",
    request_hash="bytea",
    reason="text",
    at="timestamptz",
    now="timestamptz",
)

UNDO = Statement(
    "undo",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), won AS (
        UPDATE doses SET status = 'pending', resolved_at = NULL, resolved_by = NULL, resolved_on = NULL
         WHERE id = %(dose)s AND status IN ('taken', 'skipped') AND NOT EXISTS (SELECT FROM stored)
        RETURNING doses.*
    ), event AS (
        INSERT INTO dose_events (household_id, dose_id, kind, at, recorded_at, by_member, device_id, source, key)
        SELECT household_id, id, 'undone', %(at)s, %(now)s, entered_member(), entered_device(), entered_source(), %(key)s FROM won
    ), ledger AS (
        INSERT INTO stock_entries (household_id, medicine_id, kind, amount, dose_id, at, by_member, device_id, source)
        SELECT won.household_id, won.medicine_id, 'undone', -sum(entry.amount), won.id, %(at)s,
               entered_member(), entered_device(), entered_source()
          FROM won JOIN stock_entries AS entry ON entry.dose_id = won.id
         GROUP BY won.household_id, won.medicine_id, won.id
        HAVING sum(entry.amount) <> 0
    ), remind_again AS (
        UPDATE reminders SET status = 'waiting', reason = NULL, rung_at = NULL FROM won
         WHERE reminders.dose_id = won.id AND reminders.status = 'dropped' AND %(now)s < won.closes_at
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, dose_told(ROW (won.*)::doses, %(now)s), %(now)s) AS body,
               pg_notify('dosette', household_id::text)
          FROM won
    )
    SELECT outcome(stored.same, reply.body, 'refused'), coalesce(reply.body, stored.body)::text,
           (SELECT dose_told(doses, %(now)s) FROM doses WHERE doses.id = %(dose)s), households.zone
      FROM households LEFT JOIN stored ON true LEFT JOIN reply ON true
     WHERE households.id = entered_household()
    """,
    dose="uuid",
    key="text",
    request_hash="bytea",
    at="timestamptz",
    now="timestamptz",
)

REPORT_CONFLICT = Statement(
    "report_conflict",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), event AS (
        INSERT INTO dose_events (household_id, dose_id, kind, at, recorded_at, by_member, device_id, source, key, reason)
        SELECT household_id, id, 'conflict', %(at)s, %(now)s, entered_member(), entered_device(), entered_source(), %(key)s, %(reason)s
          FROM doses WHERE id = %(dose)s AND NOT EXISTS (SELECT FROM stored)
        RETURNING dose_id, household_id
    )
    SELECT keep_reply(%(key)s, %(request_hash)s, jsonb_build_object('conflict', dose_id), %(now)s)::text,
           pg_notify('dosette', household_id::text)
      FROM event
    """,
    dose="uuid",
    key="text",
    request_hash="bytea",
    reason="text",
    at="timestamptz",
    now="timestamptz",
)

LIST = Statement(
    "list_doses",
    """
    WITH wanted AS (
        SELECT dose_json(doses, m, p, b, d, %(now)s) AS item, doses.due_at, doses.id
          FROM doses
          JOIN medicines AS m ON m.id = doses.medicine_id
          JOIN members AS p ON p.id = doses.member_id
          LEFT JOIN members AS b ON b.id = doses.resolved_by
          LEFT JOIN devices AS d ON d.id = doses.resolved_on
         WHERE doses.household_id = entered_household() AND doses.status <> 'cancelled'
           AND doses.due_at >= %(since)s AND doses.due_at < %(until)s
           AND (%(after)s IS NULL
                OR (doses.due_at, doses.id) > ((SELECT after.due_at FROM doses AS after WHERE after.id = %(after)s), %(after)s))
           AND (%(member)s IS NULL OR doses.member_id = %(member)s)
           AND (%(medicine)s IS NULL OR doses.medicine_id = %(medicine)s)
         ORDER BY doses.due_at, doses.id LIMIT %(limit)s + 1
    ), page AS (
        SELECT item, due_at, id FROM wanted ORDER BY due_at, id LIMIT %(limit)s
    )
    SELECT jsonb_build_object(
        'items', coalesce((SELECT jsonb_agg(item ORDER BY due_at, id) FROM page), '[]'),
        'next_cursor', CASE WHEN (SELECT count(*) FROM wanted) > %(limit)s
                            THEN (SELECT id FROM page ORDER BY due_at DESC, id DESC LIMIT 1) END)::text
    """,
    since="timestamptz",
    until="timestamptz",
    member="uuid",
    medicine="uuid",
    after="uuid",
    limit="integer",
    now="timestamptz",
)

PENDING = Statement(
    "list_pending",
    """
    SELECT jsonb_build_object(
               'items', coalesce(jsonb_agg(dose_json(doses, m, p, NULL, NULL, %(now)s) ORDER BY doses.due_at, doses.id), '[]'),
               'next_cursor', NULL)::text
      FROM doses
      JOIN medicines AS m ON m.id = doses.medicine_id
      JOIN members AS p ON p.id = doses.member_id
     WHERE doses.household_id = entered_household() AND doses.status = 'pending'
       AND doses.due_at <= %(now)s AND doses.closes_at >= %(now)s
    """,
    now="timestamptz",
)

HOUSEHOLDS_WITH_MISSED = Statement(
    "households_with_missed",
    """
    SELECT DISTINCT household_id::text FROM (
        SELECT household_id FROM doses WHERE status = 'pending' AND closes_at < %(now)s ORDER BY closes_at LIMIT %(limit)s
    ) AS oldest
    """,
    now="timestamptz",
    limit="integer",
)

CLOSE_MISSED = Statement(
    "close_missed",
    """
    WITH missed AS (
        UPDATE doses SET status = 'missed', resolved_at = closes_at
         WHERE household_id = ANY (%(households)s) AND status = 'pending' AND closes_at < %(now)s
        RETURNING id, household_id, closes_at
    ), event AS (
        INSERT INTO dose_events (household_id, dose_id, kind, at, recorded_at, source)
        SELECT household_id, id, 'missed', closes_at, %(now)s, 'server' FROM missed ORDER BY household_id, closes_at, id
    ), told AS (
        UPDATE reminders SET status = 'dropped', reason = 'missed' FROM missed
         WHERE reminders.dose_id = missed.id AND reminders.status = 'waiting'
    )
    SELECT count(*), (SELECT count(pg_notify('dosette', id)) FROM (SELECT DISTINCT household_id::text AS id FROM missed) AS touched)
      FROM missed
    """,
    households="uuid[]",
    now="timestamptz",
)
