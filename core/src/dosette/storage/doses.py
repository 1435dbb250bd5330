"""Doses: taking, skipping, undoing, snoozing, correcting, each one statement; conflicts; lists of them; closing the missed.

Every change returns (outcome, body, facts, zone). Outcomes: `done`, `replayed` (the stored reply of the same key), `key-reused`
(the key was used for another request), and why not: `no-dose`, `no-medicine`, `no-amount`, `no-conflict`, `not-in-force`, `refused`
and `over-limit`, with `facts` to tell it by (the dose as it stands, the limit). What happens is in the migrations' functions.
"""

from dosette.storage.connection import Statement


def _change(name: str, call: str, /, **types: str) -> Statement:
    """A statement that makes this change unless the key's reply is stored, and stores the reply."""
    return Statement(
        name, _CHANGE.replace("<call>", call), **types, key="text", request_hash="bytea", now="timestamptz"
    )


_CHANGE = """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), change AS MATERIALIZED (
        SELECT c.outcome, c.told, c.facts FROM (SELECT) AS always, <call> AS c WHERE NOT EXISTS (SELECT FROM stored)
    ), reply AS MATERIALIZED (
        SELECT keep_reply(%(key)s, %(request_hash)s, told, %(now)s) AS body FROM change WHERE outcome = 'done'
    )
    SELECT outcome(stored.same, reply.body, change.outcome), coalesce(reply.body, stored.body)::text, change.facts, households.zone
      FROM households LEFT JOIN stored ON true LEFT JOIN change ON true LEFT JOIN reply ON true
     WHERE households.id = entered_household()
    """

SETTLE = _change(
    "settle_dose",
    """settle(%(dose)s, %(medicine)s, %(status)s, %(extra)s, %(amount)s, %(at)s, %(reason)s, %(override)s, %(key)s, %(now)s)""",
    dose="uuid",
    medicine="uuid",
    status="text",
    extra="boolean",
    amount="numeric",
    at="timestamptz",
    reason="text",
    override="text",
)

WINDOW = Statement(
    "window_of_dose",
    "SELECT opens_at, closes_at FROM doses WHERE id = %(dose)s AND household_id = entered_household()",
    dose="uuid",
)

UNDO = _change("undo_dose", "take_back(%(dose)s, %(at)s, %(key)s, %(now)s)", dose="uuid", at="timestamptz")

SNOOZE = _change("snooze_dose", "put_off(%(dose)s, %(until)s, %(key)s, %(now)s)", dose="uuid", until="timestamptz")

CORRECT = _change(
    "correct_dose",
    "correct(%(dose)s, %(at)s, %(reason)s, %(override)s, %(key)s, %(now)s)",
    dose="uuid",
    at="timestamptz",
    reason="text",
    override="text",
)

RESOLVE_CONFLICT = _change(
    "resolve_conflict",
    "resolve_conflict(%(conflict)s, %(verdict)s, %(reason)s, %(key)s, %(now)s)",
    conflict="uuid",
    verdict="text",
    reason="text",
)

SETTLE_BATCH = Statement(
    "settle_batch",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), change AS MATERIALIZED (
        SELECT jsonb_agg(jsonb_build_object('dose_id', item.dose_id, 'medicine_id', item.medicine_id, 'outcome', c.outcome,
                                            'dose', coalesce(c.told, c.facts -> 'dose'), 'limit', c.facts -> 'limit')
                         ORDER BY item.place) AS results
          FROM (SELECT i.place, i.dose_id, i.medicine_id, i.amount
                  FROM ROWS FROM (jsonb_to_recordset(%(items)s) AS (dose_id uuid, medicine_id uuid, amount numeric))
                       WITH ORDINALITY AS i (dose_id, medicine_id, amount, place)
                 WHERE NOT EXISTS (SELECT FROM stored)
                 ORDER BY i.place) AS item
         CROSS JOIN LATERAL settle(item.dose_id, item.medicine_id, 'taken', false, item.amount, %(at)s, NULL, %(override)s, %(key)s,
                                    %(now)s) AS c
    ), reply AS MATERIALIZED (
        SELECT keep_reply(%(key)s, %(request_hash)s, jsonb_build_object('results', results), %(now)s) AS body
          FROM change WHERE results IS NOT NULL
    )
    SELECT outcome(stored.same, reply.body, 'empty'), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    items="jsonb",
    at="timestamptz",
    override="text",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)

KEEP_CONFLICT = Statement(
    "keep_conflict",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    )
    SELECT keep_reply(%(key)s, %(request_hash)s, c.conflict, %(now)s)::text
      FROM (SELECT) AS always, keep_conflict(%(dose)s, %(report)s, %(at)s, %(reason)s, %(key)s, %(now)s) AS c (conflict)
     WHERE NOT EXISTS (SELECT FROM stored)
    """,
    dose="uuid",
    report="text",
    key="text",
    request_hash="bytea",
    reason="text",
    at="timestamptz",
    now="timestamptz",
)

CONFLICTS = Statement(
    "list_conflicts",
    """
    WITH wanted AS (
        SELECT c.id, conflict_told(c, %(now)s) AS item
          FROM conflicts AS c
         WHERE c.household_id = entered_household() AND (c.status = 'open') = %(open)s AND (%(before)s IS NULL OR c.id < %(before)s)
         ORDER BY c.id DESC LIMIT %(limit)s + 1
    ), page AS (
        SELECT id, item FROM wanted ORDER BY id DESC LIMIT %(limit)s
    )
    SELECT json_build_object(
        'items', coalesce((SELECT json_agg(item ORDER BY id DESC) FROM page), '[]'),
        'next_cursor', CASE WHEN (SELECT count(*) FROM wanted) > %(limit)s THEN (SELECT id FROM page ORDER BY id LIMIT 1) END)::text
    """,
    open="boolean",
    before="uuid",
    limit="integer",
    now="timestamptz",
)

LIST = Statement(
    "list_doses",
    """
    WITH wanted AS (
        SELECT doses.*
          FROM doses
         WHERE doses.household_id = entered_household() AND doses.status <> 'cancelled'
           AND doses.due_at >= %(since)s AND doses.due_at < %(until)s
           AND (%(after)s IS NULL
                OR (doses.due_at, doses.id) > ((SELECT after.due_at FROM doses AS after WHERE after.id = %(after)s), %(after)s))
           AND (%(member)s IS NULL OR doses.member_id = %(member)s)
           AND (%(medicine)s IS NULL OR doses.medicine_id = %(medicine)s)
           AND (%(state)s IS NULL OR dose_state(doses.status, doses.due_at, doses.late_at, %(now)s) = %(state)s)
         ORDER BY doses.due_at, doses.id LIMIT %(limit)s + 1
    ), page AS (
        SELECT ROW (wanted.*)::doses AS dose FROM wanted ORDER BY due_at, id LIMIT %(limit)s
    )
    SELECT json_build_object(
        'items', coalesce((
            SELECT json_agg(dose_json(page.dose, m, p, b, d, %(now)s) ORDER BY (page.dose).due_at, (page.dose).id)
              FROM page
              JOIN medicines AS m ON m.id = (page.dose).medicine_id
              JOIN members AS p ON p.id = (page.dose).member_id
              LEFT JOIN members AS b ON b.id = (page.dose).resolved_by
              LEFT JOIN devices AS d ON d.id = (page.dose).resolved_on), '[]'),
        'next_cursor', CASE WHEN (SELECT count(*) FROM wanted) > %(limit)s
                            THEN (SELECT (dose).id FROM page ORDER BY (dose).due_at DESC, (dose).id DESC LIMIT 1) END)::text
    """,
    since="timestamptz",
    until="timestamptz",
    member="uuid",
    medicine="uuid",
    state="text",
    after="uuid",
    limit="integer",
    now="timestamptz",
)

GET = Statement(
    "get_dose",
    "SELECT dose_told(doses, %(now)s)::text FROM doses WHERE id = %(dose)s",
    dose="uuid",
    now="timestamptz",
)

PENDING = Statement(
    "list_pending",
    """
    SELECT json_build_object(
               'items', coalesce(json_agg(dose_json(doses, m, p, NULL, NULL, %(now)s) ORDER BY doses.due_at, doses.id), '[]'),
               'next_cursor', NULL)::text
      FROM doses
      JOIN medicines AS m ON m.id = doses.medicine_id
      JOIN members AS p ON p.id = doses.member_id
     WHERE doses.household_id = entered_household() AND doses.status = 'pending'
       AND doses.due_at > %(now)s - interval '13 hours' AND doses.due_at <= %(now)s AND doses.closes_at >= %(now)s
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
        UPDATE reminders SET due_at = least(due_at, %(now)s), claimed_by = NULL  -- that is told, too
         WHERE dose_id = ANY (ARRAY(SELECT id FROM missed)) AND status = 'waiting'
    )
    SELECT count(*), (SELECT count(pg_notify('dosette', id)) FROM (SELECT DISTINCT household_id::text AS id FROM missed) AS touched)
      FROM missed
    """,
    households="uuid[]",
    now="timestamptz",
)
