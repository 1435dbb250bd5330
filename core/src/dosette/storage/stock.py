"""Stock: a medicine's ledger, refills and recounts. Lines are only ever added; the count is their sum."""

from dosette.storage.connection import Statement

LEDGER = Statement(
    "list_stock",
    """
    WITH wanted AS (
        SELECT e.id, jsonb_build_object(
                   'id', e.id, 'kind', e.kind, 'amount', amount_text(e.amount), 'dose_id', e.dose_id, 'at', e.at,
                   'by', named(b.id, b.name), 'on', named(d.id, d.name), 'source', e.source, 'reason', e.reason) AS item
          FROM stock_entries AS e
          LEFT JOIN members AS b ON b.id = e.by_member
          LEFT JOIN devices AS d ON d.id = e.device_id
         WHERE e.medicine_id = %(medicine)s AND (%(before)s IS NULL OR e.id < %(before)s)
         ORDER BY e.id DESC LIMIT %(limit)s + 1
    ), page AS (
        SELECT id, item FROM wanted ORDER BY id DESC LIMIT %(limit)s
    )
    SELECT jsonb_build_object(
               'medicine_id', m.id, 'unit', m.unit, 'on_hand', amount_text(coalesce(stock.on_hand, 0)),
               'items', coalesce((SELECT jsonb_agg(item ORDER BY id DESC) FROM page), '[]'),
               'next_cursor', CASE WHEN (SELECT count(*) FROM wanted) > %(limit)s THEN (SELECT id FROM page ORDER BY id LIMIT 1) END)::text
      FROM medicines AS m LEFT JOIN stock ON stock.medicine_id = m.id
     WHERE m.id = %(medicine)s
    """,
    medicine="uuid",
    before="uuid",
    limit="integer",
)

ADD = Statement(
    "add_stock",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), entry AS (
        INSERT INTO stock_entries (household_id, medicine_id, kind, amount, at, by_member, device_id, source, reason)
        SELECT m.household_id, m.id, %(kind)s,
               CASE %(kind)s WHEN 'recount' THEN %(amount)s - coalesce(stock.on_hand, 0) ELSE %(amount)s END,
               %(now)s, entered_member(), entered_device(), entered_source(), %(reason)s
          FROM medicines AS m LEFT JOIN stock ON stock.medicine_id = m.id
         WHERE m.id = %(medicine)s AND m.archived_at IS NULL AND NOT EXISTS (SELECT FROM stored)
        RETURNING *
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, jsonb_build_object(
                   'id', entry.id, 'medicine_id', entry.medicine_id, 'kind', entry.kind, 'amount', amount_text(entry.amount),
                   'at', entry.at, 'on_hand', amount_text(coalesce(stock.on_hand, 0) + entry.amount)), %(now)s) AS body,
               pg_notify('dosette', entry.household_id::text)
          FROM entry LEFT JOIN stock ON stock.medicine_id = entry.medicine_id  -- as it was before this statement
    )
    SELECT outcome(stored.same, reply.body, 'no-medicine'), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    medicine="uuid",
    kind="text",
    amount="numeric",
    reason="text",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)
