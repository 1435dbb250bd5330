"""Medicines: what the household has, each with its count and until when it lasts."""

from dosette.storage.connection import Statement

LIST = Statement(
    "list_medicines",
    """
    WITH keyed AS (
        SELECT m.id, s.on_hand, s.expired, s.expires_on, s.runs_out_on, s.days_left, s.order_by_on, s.low,
               CASE %(sort)s WHEN 'name' THEN lower(m.name) WHEN 'runs_out' THEN coalesce(s.runs_out_on::text, '9999')
                             ELSE '' END AS sort_key
          FROM medicines AS m JOIN supply(%(now)s, NULL) AS s ON s.medicine_id = m.id
         WHERE m.household_id = entered_household()
    ), wanted AS (
        SELECT k.sort_key, k.id,
               medicine_json(m, p, k.on_hand, k.expired, k.expires_on, k.runs_out_on, k.days_left, k.order_by_on, k.low) AS item
          FROM keyed AS k
          JOIN medicines AS m ON m.id = k.id
          JOIN members AS p ON p.id = m.member_id
         WHERE (m.archived_at IS NOT NULL) = %(archived)s
           AND (%(after)s IS NULL OR (k.sort_key, k.id) > (SELECT a.sort_key, a.id FROM keyed AS a WHERE a.id = %(after)s))
           AND (%(member)s IS NULL OR m.member_id = %(member)s)
           AND (%(form)s IS NULL OR m.form = %(form)s)
           AND (%(low)s IS NULL OR k.low = %(low)s)
           AND (%(search)s IS NULL OR position(lower(%(search)s) IN lower(m.name)) > 0 OR EXISTS (
                SELECT FROM contents(m) AS c WHERE position(lower(%(search)s) IN c.ingredient) > 0))
         ORDER BY k.sort_key, k.id LIMIT %(limit)s + 1
    ), page AS (
        SELECT sort_key, id, item FROM wanted ORDER BY sort_key, id LIMIT %(limit)s
    )
    SELECT json_build_object(
        'items', coalesce((SELECT json_agg(item ORDER BY sort_key, id) FROM page), '[]'),
        'next_cursor', CASE WHEN (SELECT count(*) FROM wanted) > %(limit)s
                            THEN (SELECT id FROM page ORDER BY sort_key DESC, id DESC LIMIT 1) END)::text
    """,
    sort="text",
    archived="boolean",
    member="uuid",
    form="text",
    low="boolean",
    search="text",
    after="uuid",
    limit="integer",
    now="timestamptz",
)

LOW_STOCK = Statement(
    "list_low_stock",
    """
    WITH supplied AS MATERIALIZED (
        SELECT s.* FROM supply(%(now)s, NULL) AS s WHERE s.low
    )
    SELECT json_build_object('items', coalesce(json_agg(
               medicine_json(m, p, s.on_hand, s.expired, s.expires_on, s.runs_out_on, s.days_left, s.order_by_on, s.low)
               ORDER BY s.order_by_on NULLS LAST, m.name, m.id), '[]'), 'next_cursor', NULL)::text
      FROM supplied AS s
      JOIN medicines AS m ON m.id = s.medicine_id
      JOIN members AS p ON p.id = m.member_id
     WHERE m.archived_at IS NULL
    """,
    now="timestamptz",
)

GET = Statement(
    "get_medicine",
    """
    SELECT medicine_json(m, p, s.on_hand, s.expired, s.expires_on, s.runs_out_on, s.days_left, s.order_by_on, s.low)::text
      FROM medicines AS m
      JOIN members AS p ON p.id = m.member_id
      JOIN supply(%(now)s, %(medicine)s) AS s ON s.medicine_id = m.id
     WHERE m.id = %(medicine)s
    """,
    medicine="uuid",
    now="timestamptz",
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
        RETURNING id, household_id
    ), opening AS (
        SELECT keep_line(id, 'opening', %(on_hand)s, NULL, NULL, %(now)s) FROM medicine WHERE %(on_hand)s <> 0
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, medicine_told(m.id, %(now)s), %(now)s) AS body,
               pg_notify('dosette', m.household_id::text)
          FROM medicine AS m, (SELECT count(*) FROM opening) AS first
    )
    SELECT outcome(stored.same, reply.body, 'no-member'), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    member="uuid",
    name="text",
    strength="text",
    form="text",
    unit="text",
    ingredients="jsonb",
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
        RETURNING id, household_id
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, medicine_told(id, %(now)s), %(now)s) AS body, pg_notify('dosette', household_id::text)
          FROM medicine
    )
    SELECT outcome(stored.same, reply.body, 'no-medicine'), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    medicine="uuid",
    name="text",
    strength="text",
    form="text",
    unit="text",
    ingredients="jsonb",
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
         WHERE doses.medicine_id = medicine.id AND doses.status IN ('pending', 'unknown') AND doses.closes_at > %(now)s
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
