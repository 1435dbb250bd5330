"""Medicines: what the household has, each with its count and days left."""

from dosette.storage.connection import Statement

HOUSEHOLD_ZONE = Statement("household_zone", "SELECT zone FROM households WHERE id = entered_household()")

LIST = Statement(
    "list_medicines",
    """
    WITH wanted AS (
        SELECT m.id, medicine_json(m, p, stock.on_hand, s.daily_use) AS item
          FROM medicines AS m
          JOIN members AS p ON p.id = m.member_id
          LEFT JOIN schedules AS s ON s.medicine_id = m.id
          LEFT JOIN stock ON stock.medicine_id = m.id
         WHERE m.household_id = entered_household() AND m.archived_at IS NULL
           AND (%(after)s IS NULL OR m.id > %(after)s)
           AND (%(member)s IS NULL OR m.member_id = %(member)s)
         ORDER BY m.id LIMIT %(limit)s + 1
    ), page AS (
        SELECT id, item FROM wanted ORDER BY id LIMIT %(limit)s
    )
    SELECT jsonb_build_object(
        'items', coalesce((SELECT jsonb_agg(item ORDER BY id) FROM page), '[]'),
        'next_cursor', CASE WHEN (SELECT count(*) FROM wanted) > %(limit)s THEN (SELECT id FROM page ORDER BY id DESC LIMIT 1) END)::text
    """,
    member="uuid",
    after="uuid",
    limit="integer",
)

LOW_STOCK = Statement(
    "list_low_stock",
    """
    SELECT jsonb_build_object('items', coalesce(jsonb_agg(item ORDER BY days_left, name), '[]'), 'next_cursor', NULL)::text
      FROM (
        SELECT days_left, m.name, medicine_json(m, p, stock.on_hand, s.daily_use) AS item
          FROM medicines AS m
          JOIN members AS p ON p.id = m.member_id
          JOIN schedules AS s ON s.medicine_id = m.id AND s.daily_use > 0
          LEFT JOIN stock ON stock.medicine_id = m.id
         CROSS JOIN LATERAL greatest(trunc(coalesce(stock.on_hand, 0) / s.daily_use), 0) AS days_left
         WHERE m.household_id = entered_household() AND m.archived_at IS NULL AND days_left < m.low_days
      ) AS low
    """,
)

GET = Statement(
    "get_medicine",
    """
    SELECT medicine_json(m, p, stock.on_hand, s.daily_use)::text
      FROM medicines AS m
      JOIN members AS p ON p.id = m.member_id
      LEFT JOIN schedules AS s ON s.medicine_id = m.id
      LEFT JOIN stock ON stock.medicine_id = m.id
     WHERE m.id = %(medicine)s
    """,
    medicine="uuid",
)

ADD = Statement(
    "add_medicine",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), medicine AS (
        INSERT INTO medicines (household_id, member_id, name, strength, form, unit, ingredients, note, low_days, created_at)
        SELECT p.household_id, p.id, %(name)s, %(strength)s, %(form)s, %(unit)s, %(ingredients)s, %(note)s, %(low_days)s, %(now)s
          FROM members AS p WHERE p.id = %(member)s AND NOT EXISTS (SELECT FROM stored)
        RETURNING *
    ), opening AS (
        INSERT INTO stock_entries (household_id, medicine_id, kind, amount, at, by_member, source)
        SELECT household_id, id, 'opening', %(on_hand)s, %(now)s, entered_member(), entered_source() FROM medicine WHERE %(on_hand)s <> 0
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, medicine_json(ROW (m.*)::medicines, p, %(on_hand)s, NULL), %(now)s) AS body,
               pg_notify('dosette', m.household_id::text)
          FROM medicine AS m JOIN members AS p ON p.id = m.member_id
    )
    SELECT outcome(stored.same, reply.body, 'no-member'), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    member="uuid",
    name="text",
    strength="text",
    form="text",
    unit="text",
    ingredients="text[]",
    note="text",
    low_days="integer",
    on_hand="numeric",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)

CHANGE = Statement(
    "change_medicine",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), medicine AS (
        UPDATE medicines
           SET name = coalesce(%(name)s, name), strength = coalesce(%(strength)s, strength), form = coalesce(%(form)s, form),
               unit = coalesce(%(unit)s, unit), ingredients = coalesce(%(ingredients)s, ingredients),
               note = coalesce(%(note)s, note), low_days = coalesce(%(low_days)s, low_days)
         WHERE id = %(medicine)s AND archived_at IS NULL AND NOT EXISTS (SELECT FROM stored)
        RETURNING *
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, medicine_json(ROW (m.*)::medicines, p, stock.on_hand, s.daily_use), %(now)s) AS body,
               pg_notify('dosette', m.household_id::text)
          FROM medicine AS m
          JOIN members AS p ON p.id = m.member_id
          LEFT JOIN schedules AS s ON s.medicine_id = m.id
          LEFT JOIN stock ON stock.medicine_id = m.id
    )
    SELECT outcome(stored.same, reply.body, 'no-medicine'), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    medicine="uuid",
    name="text",
    strength="text",
    form="text",
    unit="text",
    ingredients="text[]",
    note="text",
    low_days="integer",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)

ARCHIVE = Statement(
    "archive_medicine",
    """
    WITH medicine AS (
        UPDATE medicines SET archived_at = %(now)s WHERE id = %(medicine)s AND archived_at IS NULL RETURNING id, household_id
    ), schedule AS (
        UPDATE schedules SET planned_until = NULL FROM medicine WHERE schedules.medicine_id = medicine.id
    ), cancelled AS (
        UPDATE doses SET status = 'cancelled' FROM medicine
         WHERE doses.medicine_id = medicine.id AND doses.status = 'pending' AND doses.due_at > %(now)s
        RETURNING doses.id
    ), unsent AS (
        UPDATE reminders SET status = 'dropped', reason = 'archived' FROM cancelled
         WHERE reminders.dose_id = cancelled.id AND reminders.status = 'waiting'
    )
    SELECT EXISTS (SELECT FROM medicines WHERE id = %(medicine)s), (SELECT count(pg_notify('dosette', household_id::text)) FROM medicine)
    """,
    medicine="uuid",
    now="timestamptz",
)
