"""Reminders: the outbox. Rung when due, claimed under a lease, told, and recorded only by who holds the lease."""

from dosette.storage.connection import Statement

RING = Statement(
    "ring_reminders",
    """
    UPDATE reminders SET rung_at = %(now)s
     WHERE id IN (
        SELECT id FROM reminders
         WHERE status = 'waiting' AND due_at <= %(now)s
           AND (rung_at IS NULL OR rung_at <= %(again)s) AND (leased_until IS NULL OR leased_until <= %(now)s)
         ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    RETURNING id::text
    """,
    now="timestamptz",
    again="timestamptz",
    limit="integer",
)

CLAIM = Statement(
    "claim_reminders",
    """
    WITH picked AS MATERIALIZED (
        SELECT r.id FROM reminders AS r
         WHERE r.id = ANY (%(ids)s) AND r.status = 'waiting' AND (r.leased_until IS NULL OR r.leased_until <= %(now)s)
         ORDER BY r.id FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE reminders AS r
           SET status = CASE WHEN d.status <> 'pending' OR d.closes_at < %(now)s THEN 'dropped'
                             WHEN r.attempts >= %(most)s THEN 'parked' ELSE 'waiting' END,
               reason = CASE WHEN d.status <> 'pending' THEN d.status WHEN d.closes_at < %(now)s THEN 'missed'
                             WHEN r.attempts >= %(most)s THEN 'could not be told' END,
               attempts = r.attempts + 1, lease = %(lease)s, leased_until = %(until)s
          FROM picked, doses AS d
         WHERE r.id = picked.id AND d.id = r.dose_id
        RETURNING r.id, r.status, d.due_at, d.late_at, d.member_id, r.household_id
    )
    SELECT c.id::text, p.name, c.due_at, c.late_at, h.zone,
           coalesce((SELECT jsonb_agg(jsonb_build_object('id', id, 'channel', channel, 'address', address) ORDER BY id)
                       FROM contacts WHERE member_id = c.member_id), '[]')
      FROM claimed AS c JOIN members AS p ON p.id = c.member_id JOIN households AS h ON h.id = c.household_id
     WHERE c.status = 'waiting'
     ORDER BY c.due_at, c.id
    """,
    ids="uuid[]",
    lease="uuid",
    until="timestamptz",
    most="integer",
    now="timestamptz",
)

RECORD = Statement(
    "record_deliveries",
    """
    WITH told AS (
        UPDATE reminders  -- the dose may have been taken while this was being told: then that stands, and the telling too
           SET status = CASE status WHEN 'waiting' THEN %(status)s ELSE status END,
               reason = CASE status WHEN 'waiting' THEN %(reason)s ELSE reason END,
               told_at = CASE %(status)s WHEN 'told' THEN %(now)s END
         WHERE id = %(reminder)s AND lease = %(lease)s
        RETURNING id, household_id
    ), delivered AS (
        INSERT INTO deliveries (household_id, reminder_id, contact_id, status, error, at)
        SELECT told.household_id, told.id, delivery.contact_id, delivery.status, delivery.error, %(now)s
          FROM told, jsonb_to_recordset(%(deliveries)s) AS delivery (contact_id uuid, status text, error text)
    )
    SELECT id FROM told
    """,
    reminder="uuid",
    lease="uuid",
    status="text",
    reason="text",
    deliveries="jsonb",
    now="timestamptz",
)

BACKLOG = Statement(
    "reminder_backlog",
    """
    SELECT count(*), min(due_at), (SELECT min(due_at) FROM reminders WHERE status = 'waiting' AND due_at > %(now)s)
      FROM reminders WHERE status = 'waiting' AND due_at <= %(now)s
    """,
    now="timestamptz",
)
