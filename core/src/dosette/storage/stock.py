"""Stock: a medicine's ledger, its packages, refills, recounts and losses. Lines are only ever added; the count is their sum."""

from dosette.storage.connection import Statement

LEDGER = Statement(
    "list_stock",
    """
    WITH wanted AS (
        SELECT e.id, json_build_object(
                   'id', e.id, 'kind', e.kind, 'amount', amount_text(e.amount), 'package_id', e.package_id, 'dose_id', e.dose_id,
                   'at', e.at, 'by', named(b.id, b.name), 'on', named(d.id, d.name), 'source', e.source, 'reason', e.reason) AS item
          FROM stock_entries AS e
          LEFT JOIN members AS b ON b.id = e.by_member
          LEFT JOIN devices AS d ON d.id = e.device_id
         WHERE e.medicine_id = %(medicine)s AND (%(before)s IS NULL OR e.id < %(before)s)
         ORDER BY e.id DESC LIMIT %(limit)s + 1
    ), page AS (
        SELECT id, item FROM wanted ORDER BY id DESC LIMIT %(limit)s
    ), boxes AS (
        SELECT json_agg(json_build_object(
                   'id', p.id, 'batch', p.batch, 'expires_on', p.expires_on, 'amount_left', amount_text(p.amount_left),
                   'created_at', p.created_at) ORDER BY p.expires_on NULLS LAST, p.id) AS items
          FROM packages AS p WHERE p.medicine_id = %(medicine)s AND p.amount_left <> 0
    )
    SELECT json_build_object(
               'medicine_id', m.id, 'unit', m.unit, 'on_hand', amount_text(s.on_hand), 'expired', amount_text(s.expired),
               'runs_out_on', s.runs_out_on, 'days_left', s.days_left, 'order_by_on', s.order_by_on,
               'packages', coalesce(boxes.items, '[]'),
               'items', coalesce((SELECT json_agg(item ORDER BY id DESC) FROM page), '[]'),
               'next_cursor', CASE WHEN (SELECT count(*) FROM wanted) > %(limit)s THEN (SELECT id FROM page ORDER BY id LIMIT 1) END)::text
      FROM medicines AS m JOIN supply(%(now)s, %(medicine)s) AS s ON s.medicine_id = m.id CROSS JOIN boxes
     WHERE m.id = %(medicine)s
    """,
    medicine="uuid",
    before="uuid",
    limit="integer",
    now="timestamptz",
)

ADD = Statement(
    "add_stock",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), added AS MATERIALIZED (
        SELECT a.outcome, a.told
          FROM (SELECT) AS always,
               add_stock(%(medicine)s, %(kind)s, %(amount)s, %(package)s, %(batch)s, %(expires_on)s, %(reason)s, %(now)s) AS a
         WHERE NOT EXISTS (SELECT FROM stored)
    ), reply AS MATERIALIZED (
        SELECT keep_reply(%(key)s, %(request_hash)s, told, %(now)s) AS body FROM added WHERE outcome = 'done'
    )
    SELECT outcome(stored.same, reply.body, added.outcome), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN added ON true LEFT JOIN reply ON true
    """,
    medicine="uuid",
    kind="text",
    amount="numeric",
    package="uuid",
    batch="text",
    expires_on="date",
    reason="text",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)
