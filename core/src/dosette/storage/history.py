"""History: every dose event, newest first, with who, when and from where; adherence; and whether all of it is still as it was written."""

from dosette.storage.connection import Statement

LIST = Statement(
    "list_history",
    """
    WITH wanted AS (
        SELECT e.seq, e.dose_id, e.kind, e.at, e.recorded_at, e.source, e.by_member, e.device_id, e.reason, e.detail,
               d.due_at, d.slot_on, d.amount, d.medicine_id, d.member_id
          FROM dose_events AS e
         CROSS JOIN LATERAL (  -- OFFSET keeps it a lookup: events come from their index, newest first, until the page is full
               SELECT due_at, slot_on, amount, medicine_id, member_id FROM doses WHERE doses.id = e.dose_id OFFSET 0) AS d
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
         WHERE d.household_id = entered_household() AND d.status NOT IN ('cancelled', 'unknown')
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

VERIFY = Statement(
    "verify_history",
    """
    WITH last AS (  -- what the newest event that says so makes of each dose
        SELECT DISTINCT ON (e.dose_id) e.dose_id, CASE e.kind WHEN 'corrected' THEN 'taken' ELSE e.kind END AS says, e.at
          FROM dose_events AS e
         WHERE e.household_id = entered_household() AND e.kind NOT IN ('snoozed', 'conflict') AND NOT coalesce(e.detail ? 'conflict', false)
         ORDER BY e.dose_id, e.seq DESC
    ), sums AS (
        SELECT medicine_id, sum(amount) AS amount FROM stock_entries WHERE household_id = entered_household() GROUP BY medicine_id
    ), package_sums AS (
        SELECT package_id, sum(amount) AS amount FROM stock_entries WHERE household_id = entered_household() GROUP BY package_id
    ), dose_sums AS (
        SELECT dose_id, sum(amount) AS amount FROM stock_entries
         WHERE household_id = entered_household() AND dose_id IS NOT NULL GROUP BY dose_id
    )
    SELECT 'dose_events' AS list, 'event ' || seq AS which, fault FROM broken_links(entered_household())
    UNION ALL
    SELECT 'doses', d.id::text, 'it is ' || d.status || ', and its last event says ' || coalesce(last.says, 'nothing')
      FROM doses AS d LEFT JOIN last ON last.dose_id = d.id
     WHERE d.household_id = entered_household()
       AND NOT CASE WHEN coalesce(last.says, 'undone') = 'undone' THEN d.status IN ('pending', 'cancelled', 'unknown')
                    ELSE d.status = last.says END
    UNION ALL
    SELECT 'doses', d.id::text, 'its time is ' || d.resolved_at || ', and its last event says ' || last.at
      FROM doses AS d JOIN last ON last.dose_id = d.id
     WHERE d.household_id = entered_household() AND d.resolved_at IS NOT NULL AND d.resolved_at <> last.at
    UNION ALL
    SELECT 'doses', d.id::text, 'stock entries of ' || amount_text(coalesce(-s.amount, 0)) || ', and '
           || CASE d.status WHEN 'taken' THEN amount_text(coalesce(d.taken_amount, d.amount)) || ' were taken' ELSE 'it was not taken' END
      FROM doses AS d LEFT JOIN dose_sums AS s ON s.dose_id = d.id
     WHERE d.household_id = entered_household()
       AND coalesce(-s.amount, 0) <> CASE d.status WHEN 'taken' THEN coalesce(d.taken_amount, d.amount) ELSE 0 END
    UNION ALL
    SELECT 'stock', m.id::text, 'the count is ' || amount_text(coalesce(stock.on_hand, 0)) || ', and its entries sum to '
           || amount_text(coalesce(sums.amount, 0))
      FROM medicines AS m LEFT JOIN stock ON stock.medicine_id = m.id LEFT JOIN sums ON sums.medicine_id = m.id
     WHERE m.household_id = entered_household() AND coalesce(stock.on_hand, 0) <> coalesce(sums.amount, 0)
    UNION ALL
    SELECT 'packages', p.id::text, amount_text(p.amount_left) || ' are left, and its entries sum to ' || amount_text(coalesce(s.amount, 0))
      FROM packages AS p LEFT JOIN package_sums AS s ON s.package_id = p.id
     WHERE p.household_id = entered_household() AND p.amount_left <> coalesce(s.amount, 0)
    """,
)

HEAD = Statement(
    "head_of_chain", "SELECT name, seq, encode(head, 'hex') FROM households WHERE id = entered_household()"
)
