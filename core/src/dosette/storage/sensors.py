"""Sensors: what home automation shows of each member, without a medicine's name unless the member chose so."""

from dosette.storage.connection import Statement

READ = Statement(
    "read_sensors",
    """
    WITH open AS MATERIALIZED (
        SELECT d.member_id, d.id, d.due_at, d.medicine_id, d.amount FROM doses AS d
         WHERE d.household_id = entered_household() AND d.status = 'pending'
           AND d.due_at > %(now)s - interval '13 hours' AND d.due_at < %(now)s + interval '8 days' AND d.closes_at >= %(now)s
    ), coming AS MATERIALIZED (
        SELECT member_id, min(due_at) AS due_at FROM open WHERE due_at > %(now)s GROUP BY member_id
    ), then_due AS MATERIALIZED (
        SELECT o.member_id, count(*) AS doses,
               jsonb_agg(concat_ws(', ', concat_ws(' ', m.name, nullif(m.strength, '')), amount_text(o.amount) || ' ' || m.unit)
                         ORDER BY m.name, o.id) AS named
          FROM open AS o JOIN coming AS c ON c.member_id = o.member_id AND c.due_at = o.due_at JOIN medicines AS m ON m.id = o.medicine_id
         GROUP BY o.member_id
    )
    SELECT p.id::text, p.name, c.due_at, coalesce(t.doses, 0), CASE WHEN p.names_medicines THEN coalesce(t.named, '[]') ELSE '[]' END,
           (SELECT coalesce(jsonb_agg(open.id ORDER BY open.due_at, open.id), '[]') FROM open
             WHERE open.member_id = p.id AND open.due_at <= %(now)s),
           CASE WHEN p.names_medicines THEN (
               SELECT coalesce(jsonb_agg(jsonb_build_object(
                          'id', m.id, 'name', m.name, 'strength', m.strength, 'unit', m.unit, 'on_hand', amount_text(s.on_hand),
                          'days_left', s.days_left) ORDER BY m.id), '[]')
                 FROM medicines AS m JOIN supply(%(now)s, NULL) AS s ON s.medicine_id = m.id
                WHERE m.member_id = p.id AND m.archived_at IS NULL) ELSE '[]' END
      FROM members AS p
      LEFT JOIN coming AS c ON c.member_id = p.id
      LEFT JOIN then_due AS t ON t.member_id = p.id
     WHERE p.household_id = entered_household()
     ORDER BY p.id
    """,
    now="timestamptz",
)
