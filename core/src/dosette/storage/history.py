"""History: every dose event, newest first, with who, when and from where."""

from dosette.storage.connection import Statement

LIST = Statement(
    "list_history",
    """
    WITH wanted AS (
        SELECT e.seq, e.dose_id, e.kind, e.at, e.recorded_at, e.source, e.by_member, e.device_id, e.reason, e.detail,
               d.due_at, d.slot_on, d.amount, d.medicine_id, d.member_id
          FROM dose_events AS e
          JOIN doses AS d ON d.id = e.dose_id
         WHERE e.household_id = entered_household() AND e.seq < coalesce(%(before)s, 9223372036854775807)
           AND (%(since)s IS NULL OR e.at >= %(since)s)
           AND (%(until)s IS NULL OR e.at < %(until)s)
           AND (%(member)s IS NULL OR d.member_id = %(member)s)
           AND (%(medicine)s IS NULL OR d.medicine_id = %(medicine)s)
           AND (%(kind)s IS NULL OR e.kind = %(kind)s)
         ORDER BY e.seq DESC LIMIT %(limit)s + 1
    ), page AS (
        SELECT wanted.* FROM wanted ORDER BY seq DESC LIMIT %(limit)s
    )
    SELECT json_build_object(
        'items', coalesce((
            SELECT json_agg(json_build_object(
                       'seq', e.seq, 'kind', e.kind, 'at', e.at, 'recorded_at', e.recorded_at, 'source', e.source,
                       'by', named(b.id, b.name), 'on', named(v.id, v.name), 'reason', e.reason, 'detail', e.detail,
                       'dose', json_build_object('id', e.dose_id, 'due_at', e.due_at, 'slot_on', e.slot_on,
                                                   'amount', amount_text(e.amount)),
                       'medicine', json_build_object('id', m.id, 'name', m.name, 'strength', m.strength, 'unit', m.unit),
                       'member', named(p.id, p.name)) ORDER BY e.seq DESC)
              FROM page AS e
              JOIN medicines AS m ON m.id = e.medicine_id
              JOIN members AS p ON p.id = e.member_id
              LEFT JOIN members AS b ON b.id = e.by_member
              LEFT JOIN devices AS v ON v.id = e.device_id), '[]'),
        'next_cursor', CASE WHEN (SELECT count(*) FROM wanted) > %(limit)s THEN (SELECT min(seq)::text FROM page) END)::text
    """,
    before="bigint",
    since="timestamptz",
    until="timestamptz",
    member="uuid",
    medicine="uuid",
    kind="text",
    limit="integer",
)

ADHERENCE = Statement(
    "adherence",
    """
    WITH range AS MATERIALIZED (
        SELECT coalesce(%(since_on)s, coalesce(%(until_on)s, today) - 27) AS since_on, coalesce(%(until_on)s, today) AS until_on
          FROM (SELECT local_day(%(now)s, h.offset_since, h.utc_offset) AS today
                  FROM households AS h WHERE h.id = entered_household()) AS home
    ), counted AS (
        SELECT CASE WHEN %(by)s = 'member' THEN d.member_id END AS member_id,
               CASE WHEN %(by)s = 'medicine' THEN d.medicine_id END AS medicine_id,
               CASE %(by)s WHEN 'week' THEN d.slot_on - (extract(isodow FROM d.slot_on)::integer - 1)
                           WHEN 'day' THEN d.slot_on END AS since_on,
               count(*) FILTER (WHERE planned) AS due,
               count(*) FILTER (WHERE planned AND d.status = 'taken' AND d.resolved_at <= d.late_at) AS on_time,
               count(*) FILTER (WHERE planned AND d.status = 'taken' AND d.resolved_at > d.late_at) AS late,
               count(*) FILTER (WHERE planned AND d.status = 'skipped') AS skipped,
               count(*) FILTER (WHERE planned AND (d.status = 'missed' OR d.status = 'pending')) AS missed,
               count(*) FILTER (WHERE d.kind = 'as_needed') AS as_needed,
               count(*) FILTER (WHERE d.kind = 'extra') AS extra
          FROM doses AS d
         CROSS JOIN LATERAL (SELECT d.kind IN ('planned', 'elapsed') AS planned) AS kind
         WHERE d.household_id = entered_household() AND d.status <> 'cancelled'
           AND d.due_at >= (SELECT (since_on - 2)::timestamp AT TIME ZONE 'UTC' FROM range)
           AND d.due_at < (SELECT (until_on + 3)::timestamp AT TIME ZONE 'UTC' FROM range)
           AND d.slot_on >= (SELECT since_on FROM range) AND d.slot_on <= (SELECT until_on FROM range)
           AND (%(member)s IS NULL OR d.member_id = %(member)s) AND (%(medicine)s IS NULL OR d.medicine_id = %(medicine)s)
           AND (d.status <> 'pending' OR d.closes_at < %(now)s)
         GROUP BY 1, 2, 3
    )
    SELECT json_build_object(
               'since_on', range.since_on, 'until_on', range.until_on, 'by', %(by)s,
               'items', coalesce((
                   SELECT json_agg(json_build_object(
                              'member', named(p.id, p.name), 'medicine', named(m.id, m.name), 'since_on', c.since_on, 'due', c.due,
                              'on_time', c.on_time, 'late', c.late, 'skipped', c.skipped, 'missed', c.missed, 'as_needed', c.as_needed,
                              'extra', c.extra, 'rate', round((c.on_time + c.late)::numeric / nullif(c.due, 0), 4)::text)
                              ORDER BY c.since_on, p.name, m.name, m.id)
                     FROM counted AS c
                     LEFT JOIN members AS p ON p.id = c.member_id
                     LEFT JOIN medicines AS m ON m.id = c.medicine_id), '[]'))::text
      FROM range
    """,
    since_on="date",
    until_on="date",
    member="uuid",
    medicine="uuid",
    by="text",
    now="timestamptz",
)
