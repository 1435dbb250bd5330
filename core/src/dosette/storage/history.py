"""History: every dose event, newest first, with who, when and from where."""

from dosette.storage.connection import Statement

LIST = Statement(
    "list_history",
    """
    WITH wanted AS (
        SELECT e.seq, jsonb_build_object(
                   'seq', e.seq, 'kind', e.kind, 'at', e.at, 'recorded_at', e.recorded_at, 'source', e.source,
                   'by', named(b.id, b.name), 'on', named(v.id, v.name), 'reason', e.reason,
                   'dose', jsonb_build_object('id', d.id, 'due_at', d.due_at, 'slot_on', d.slot_on, 'amount', amount_text(d.amount)),
                   'medicine', jsonb_build_object('id', m.id, 'name', m.name, 'strength', m.strength, 'unit', m.unit),
                   'member', named(p.id, p.name)) AS item
          FROM dose_events AS e
          JOIN doses AS d ON d.id = e.dose_id
          JOIN medicines AS m ON m.id = d.medicine_id
          JOIN members AS p ON p.id = d.member_id
          LEFT JOIN members AS b ON b.id = e.by_member
          LEFT JOIN devices AS v ON v.id = e.device_id
         WHERE e.household_id = entered_household()
           AND (%(before)s IS NULL OR e.seq < %(before)s)
           AND (%(since)s IS NULL OR e.at >= %(since)s)
           AND (%(until)s IS NULL OR e.at < %(until)s)
           AND (%(member)s IS NULL OR d.member_id = %(member)s)
           AND (%(medicine)s IS NULL OR d.medicine_id = %(medicine)s)
         ORDER BY e.seq DESC LIMIT %(limit)s + 1
    ), page AS (
        SELECT seq, item FROM wanted ORDER BY seq DESC LIMIT %(limit)s
    )
    SELECT jsonb_build_object(
        'items', coalesce((SELECT jsonb_agg(item ORDER BY seq DESC) FROM page), '[]'),
        'next_cursor', CASE WHEN (SELECT count(*) FROM wanted) > %(limit)s THEN (SELECT min(seq)::text FROM page) END)::text
    """,
    before="bigint",
    since="timestamptz",
    until="timestamptz",
    member="uuid",
    medicine="uuid",
    limit="integer",
)
