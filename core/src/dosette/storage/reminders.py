"""Reminders and deliveries: what is due is leased and told; tellings are leased, sent and recorded only by who holds the lease."""

from dosette.storage.connection import Statement

LEASE_DUE = Statement(
    "lease_due_reminders",
    """
    WITH homes AS MATERIALIZED (  -- with all that is due in them, so that each person gets one message
        SELECT DISTINCT household_id FROM (
            SELECT household_id FROM reminders
             WHERE status = 'waiting' AND due_at <= %(now)s AND (leased_until IS NULL OR leased_until <= %(now)s)
             ORDER BY due_at LIMIT %(limit)s) AS oldest
    ), picked AS MATERIALIZED (
        SELECT due.id FROM homes CROSS JOIN LATERAL (  -- row by row, for no planner knows how few of those that exist are due
            SELECT r.id FROM reminders AS r
             WHERE r.household_id = homes.household_id AND r.status = 'waiting' AND r.due_at <= %(now)s
               AND (r.leased_until IS NULL OR r.leased_until <= %(now)s)
               FOR NO KEY UPDATE SKIP LOCKED) AS due
    ), leased AS (
        UPDATE reminders AS r
           SET status = CASE WHEN attempts >= %(most)s THEN 'parked' ELSE 'waiting' END,
               reason = CASE WHEN attempts >= %(most)s THEN 'could not be told' ELSE reason END,
               attempts = attempts + 1, lease = %(lease)s, leased_until = %(until)s
         WHERE r.id = ANY (ARRAY(SELECT id FROM picked))
        RETURNING r.id, r.household_id, r.dose_id, r.about, r.kind, r.status, r.tellings, r.claimed_by
    ), due AS MATERIALIZED (
        SELECT l.household_id, jsonb_agg(jsonb_build_object(
                   'id', l.id, 'kind', l.kind, 'member_id', coalesce(d.member_id, m.member_id), 'due_at', d.due_at, 'late_at', d.late_at,
                   'closes_at', d.closes_at, 'status', coalesce(d.status, 'pending'), 'critical', coalesce(d.critical, false),
                   'nag_minutes', d.nag_minutes, 'tellings', l.tellings, 'claimed_by', l.claimed_by)) AS reminders
          FROM leased AS l
          LEFT JOIN LATERAL (
            SELECT dose.member_id, dose.due_at, dose.late_at, dose.closes_at, dose.status, v.critical, v.nag_minutes
              FROM doses AS dose JOIN schedule_versions AS v ON v.medicine_id = dose.medicine_id AND v.number = dose.version
             WHERE dose.id = l.dose_id LIMIT 1) AS d ON true
          LEFT JOIN medicines AS m ON m.id = l.about AND l.kind = 'low_stock'
         WHERE l.status = 'waiting'
         GROUP BY l.household_id
    ), gave_up AS (
        SELECT raise_alarm(household_id, 'could_not_remind', id, NULL, %(now)s) FROM leased WHERE status = 'parked' AND dose_id IS NOT NULL
    )
    SELECT h.id::text, h.zone, due.reminders,
           (SELECT jsonb_agg(jsonb_build_object(
                       'id', p.id, 'admin', p.role = 'admin', 'second_id', p.second_id, 'third_id', p.third_id, 'quiet_from', p.quiet_from,
                       'quiet_until', p.quiet_until, 'contacts', (
                           SELECT jsonb_agg(jsonb_build_object('id', c.id, 'channel', c.channel) ORDER BY c.id)
                             FROM contacts AS c WHERE c.member_id = p.id AND c.removed_at IS NULL)) ORDER BY p.id)
              FROM members AS p WHERE p.household_id = h.id),
           (SELECT jsonb_agg(v.id ORDER BY v.id) FROM devices AS v WHERE v.household_id = h.id AND v.revoked_at IS NULL),
           (SELECT jsonb_agg(DISTINCT t.contact_id) FROM deliveries AS t
             WHERE t.household_id = h.id AND t.contact_id IS NOT NULL
               AND t.made_at >= %(minute)s AND t.made_at < %(minute)s + interval '1 minute'),
           given_up.count
      FROM (SELECT count(*) FROM gave_up) AS given_up  -- also when nothing else is due: what nobody asks for is not done
      LEFT JOIN (due JOIN households AS h ON h.id = due.household_id) ON true
     ORDER BY h.id
    """,
    lease="uuid",
    until="timestamptz",
    minute="timestamptz",
    most="integer",
    limit="integer",
    now="timestamptz",
)

TELL = Statement(
    "tell_reminders",
    """
    WITH step AS MATERIALIZED (
        SELECT reminder_id, told, next_at, reason
          FROM jsonb_to_recordset(%(steps)s) AS step (reminder_id uuid, told boolean, next_at timestamptz, reason text)
    ), stepped AS MATERIALIZED (  -- what was taken since is not told any more
        UPDATE reminders AS r
           SET status = CASE WHEN step.next_at IS NOT NULL THEN 'waiting' WHEN step.told THEN 'told' ELSE 'dropped' END,
               due_at = coalesce(step.next_at, r.due_at), reason = step.reason, tellings = r.tellings + step.told::integer,
               told_at = CASE WHEN step.told THEN coalesce(r.told_at, %(now)s) ELSE r.told_at END,
               attempts = 0, lease = NULL, leased_until = NULL
          FROM step
         WHERE r.id = step.reminder_id AND r.id = ANY (ARRAY(SELECT reminder_id FROM step)) AND r.lease = %(lease)s
           AND r.status = 'waiting'
        RETURNING r.id, r.household_id, old.due_at
    ), message AS (
        SELECT m.place, m.contact_id, m.device_id, m.channel, m.urgent, s.household_id, array_agg(s.id) AS reminder_ids,
               min(s.due_at) AS since
          FROM jsonb_to_recordset(%(deliveries)s) AS m (place integer, contact_id uuid, device_id uuid, channel text, urgent boolean,
                                                          reminder_ids uuid[])
         CROSS JOIN unnest(m.reminder_ids) AS item (id)
          JOIN stepped AS s ON s.id = item.id
         GROUP BY m.place, m.contact_id, m.device_id, m.channel, m.urgent, s.household_id
    ), made AS (
        INSERT INTO deliveries (household_id, contact_id, device_id, channel, reminder_ids, urgent, since, made_at, due_at, rung_at)
        SELECT household_id, contact_id, device_id, channel, reminder_ids, urgent, since, %(now)s, %(now)s, %(now)s FROM message
        RETURNING id, urgent
    )
    SELECT made.id::text, made.urgent, (SELECT count(*) FROM stepped) FROM made ORDER BY made.urgent DESC, made.id
    """,
    steps="jsonb",
    deliveries="jsonb",
    lease="uuid",
    now="timestamptz",
)

GIVE_BACK = Statement(
    "give_back_reminders",
    """
    UPDATE reminders SET attempts = attempts - 1
     WHERE id = ANY (%(ids)s) AND lease = %(lease)s AND status = 'waiting'
    """,
    ids="uuid[]",
    lease="uuid",
)
"""The try does not count; the lease stays, so that it is not the next thing to be tried."""

RING_AGAIN = Statement(
    "ring_deliveries",
    """
    UPDATE deliveries SET rung_at = %(now)s
     WHERE id IN (
        SELECT id FROM deliveries WHERE status = 'waiting' AND due_at <= %(now)s AND (rung_at IS NULL OR rung_at < due_at)
         ORDER BY due_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING id::text, urgent
    """,
    limit="integer",
    now="timestamptz",
)

_CLAIM = """
    WITH wanted AS MATERIALIZED (
        SELECT picked.id FROM jsonb_to_recordset(%(slots)s) AS slot (channel text, free integer)
         CROSS JOIN LATERAL (
            SELECT d.id FROM deliveries AS d
             WHERE <which> AND d.channel = slot.channel AND d.due_at <= %(now)s
               AND (d.leased_until IS NULL OR d.leased_until <= %(now)s)
             ORDER BY d.urgent DESC, d.due_at LIMIT slot.free FOR NO KEY UPDATE SKIP LOCKED) AS picked
         LIMIT %(limit)s
    ), said AS MATERIALIZED (  -- what of it still holds at this moment
        SELECT d.id, c.address, c.secret, coalesce(p.name, v.name) AS recipient, coalesce(items.list, '[]') AS items,
               CASE WHEN c.removed_at IS NOT NULL THEN 'the contact was removed'
                    WHEN cardinality(d.reminder_ids) > 0 AND items.list IS NULL THEN 'no longer so' END AS why_not
          FROM wanted
          JOIN deliveries AS d ON d.id = wanted.id
          LEFT JOIN contacts AS c ON c.id = d.contact_id
          LEFT JOIN members AS p ON p.id = c.member_id
          LEFT JOIN devices AS v ON v.id = d.device_id
         CROSS JOIN LATERAL (
            SELECT jsonb_agg(jsonb_build_object(
                       'reminder_id', r.id, 'kind', r.kind, 'member', who.name, 'status', coalesce(dose.status, 'pending'),
                       'dose_id', dose.id, 'due_at', dose.due_at, 'late_at', dose.late_at, 'closes_at', dose.closes_at,
                       'medicine', CASE WHEN who.names_medicines THEN m.name END,
                       'strength', CASE WHEN who.names_medicines THEN m.strength END,
                       'amount', CASE WHEN who.names_medicines THEN dose.amount::text END,
                       'unit', CASE WHEN who.names_medicines THEN m.unit END,
                       'about', r.detail ->> 'about', 'day', r.detail ->> 'day', 'critical', coalesce(v.critical, false))
                       ORDER BY dose.due_at, r.id) AS list
              FROM reminders AS r
              LEFT JOIN doses AS dose ON dose.id = r.dose_id
              LEFT JOIN schedule_versions AS v ON v.medicine_id = dose.medicine_id AND v.number = dose.version
              LEFT JOIN medicines AS m ON m.id = coalesce(dose.medicine_id, r.about)
              LEFT JOIN members AS who ON who.id = m.member_id
             WHERE r.id = ANY (d.reminder_ids)
               AND CASE WHEN r.dose_id IS NULL THEN r.status = 'waiting'
                        WHEN dose.status = 'pending' THEN dose.closes_at >= %(now)s AND (r.claimed_by IS NULL OR r.claimed_by = c.member_id)
                        ELSE dose.status = 'missed' AND r.status = 'told' END) AS items
    ), claimed AS (
        UPDATE deliveries AS d
           SET attempts = d.attempts + 1, lease = %(lease)s, leased_until = %(until)s,
               status = CASE WHEN said.why_not IS NOT NULL THEN 'dropped' WHEN d.attempts >= %(most)s THEN 'parked' ELSE 'waiting' END,
               error = CASE WHEN said.why_not IS NOT NULL THEN said.why_not
                            WHEN d.attempts >= %(most)s THEN coalesce(d.error, 'could not be told') ELSE d.error END,
               at = CASE WHEN said.why_not IS NOT NULL OR d.attempts >= %(most)s THEN %(now)s END
          FROM said WHERE d.id = said.id
        RETURNING d.id, d.household_id, d.status, d.channel, d.device_id, d.urgent, d.since, d.made_at, d.reminder_ids, d.contact_id,
                  d.attempts, said.address, said.secret, said.recipient, said.items
    ), gave_up AS (
        SELECT raise_alarm(household_id, 'could_not_remind', id, NULL, %(now)s) FROM claimed
         WHERE status = 'parked' AND EXISTS (SELECT FROM reminders AS r WHERE r.id = ANY (reminder_ids) AND r.dose_id IS NOT NULL)
    )
    SELECT c.id::text, c.channel, coalesce(c.address, c.device_id::text), c.secret, c.recipient, c.urgent, coalesce(c.since, c.made_at),
           c.attempts, h.zone, c.items,
           EXISTS (SELECT FROM reminders AS r WHERE r.household_id = h.id AND r.kind = 'clock_wrong' AND r.status = 'waiting'),
           c.contact_id IS NOT NULL, c.status = 'parked', (SELECT count(*) FROM gave_up)
      FROM claimed AS c JOIN households AS h ON h.id = c.household_id
     WHERE c.status IN ('waiting', 'parked')
     ORDER BY c.urgent DESC, c.made_at, c.id
    """


def _claim(name: str, which: str, **types: str) -> Statement:
    values = {
        "slots": "jsonb",
        "lease": "uuid",
        "until": "timestamptz",
        "most": "integer",
        "limit": "integer",
        "now": "timestamptz",
    }
    return Statement(name, _CLAIM.replace("<which>", which), **values, **types)


_UNSUSPECTED = "(d.attempts = 0 OR d.error IS NOT NULL)"
_WAITS_STILL = "coalesce(d.status, '') = 'waiting'"
"""Of rows whose ids are known. PostgreSQL, which counted while all was quiet, would rather look through all that wait: in a minute in
which thousands fall due, thousands of times. No index of what waits fits this condition."""

CLAIM = _claim("claim_deliveries", f"d.id = ANY (%(ids)s) AND {_WAITS_STILL} AND {_UNSUSPECTED}", ids="uuid[]")

SWEEP = _claim("sweep_deliveries", f"d.status = 'waiting' AND {_UNSUSPECTED}")
"""The same for whatever waits: what was rung in vain, and all while Redis is away."""

SUSPECT = _claim("claim_suspect", "d.status = 'waiting' AND d.attempts > 0 AND d.error IS NULL")
"""Of those that somebody claimed and never recorded: one of them may be what ended that process."""

RECORD = Statement(
    "record_deliveries",
    """
    WITH result AS MATERIALIZED (
        SELECT id, error, missed, at, again_at
          FROM jsonb_to_recordset(%(results)s)
               AS result (id uuid, error text, missed boolean, at timestamptz, again_at timestamptz)
    ), recorded AS (
        UPDATE deliveries AS d
           SET status = CASE WHEN result.error IS NULL THEN 'delivered' WHEN d.attempts < %(most)s THEN 'waiting'
                             WHEN result.missed THEN 'parked' ELSE 'dropped' END,
               error = result.error, due_at = coalesce(result.again_at, d.due_at), lease = NULL, leased_until = NULL,
               at = CASE WHEN result.error IS NULL THEN result.at WHEN d.attempts >= %(most)s THEN %(now)s END
          FROM result
         WHERE d.id = result.id AND d.id = ANY (ARRAY(SELECT id FROM result)) AND d.lease = %(lease)s
           AND coalesce(d.status, '') = 'waiting'  -- as above
        RETURNING d.id, d.household_id, d.status, d.reminder_ids
    ), gave_up AS (
        SELECT raise_alarm(household_id, 'could_not_remind', id, NULL, %(now)s) FROM recorded
         WHERE status = 'parked' AND EXISTS (SELECT FROM reminders AS r WHERE r.id = ANY (reminder_ids) AND r.dose_id IS NOT NULL)
           AND NOT EXISTS (SELECT FROM deliveries AS o WHERE o.reminder_ids && recorded.reminder_ids AND o.status = 'delivered')
    )
    SELECT id::text, status, (SELECT count(*) FROM gave_up) FROM recorded
    """,
    results="jsonb",
    lease="uuid",
    most="integer",
    now="timestamptz",
)

BACKLOG = Statement(
    "reminder_backlog",
    """
    SELECT due.count + unsent.count, least(due.oldest, unsent.oldest),
           least((SELECT min(due_at) FROM reminders WHERE status = 'waiting' AND due_at > %(now)s),
                 (SELECT min(due_at) FROM deliveries WHERE status = 'waiting' AND due_at > %(now)s)),
           (SELECT count(*) FROM deliveries WHERE status = 'parked')
      FROM (SELECT count(*), min(due_at) AS oldest FROM reminders WHERE status = 'waiting' AND due_at <= %(now)s) AS due,
           (SELECT count(*), min(made_at) AS oldest FROM deliveries WHERE status = 'waiting' AND due_at <= %(now)s) AS unsent
    """,
    now="timestamptz",
)

LEAD = Statement(
    "lead_schedulers",
    """
    UPDATE scheduler_lease
       SET term = term + (holder IS DISTINCT FROM %(holder)s)::integer, holder = %(holder)s, until = %(until)s,
           backend = me.pid, backend_start = me.backend_start
      FROM pg_stat_activity AS me
     WHERE me.pid = pg_backend_pid()
       AND (holder = %(holder)s OR holder IS NULL OR until < %(now)s OR NOT EXISTS (
            SELECT FROM pg_stat_activity AS leader WHERE leader.pid = backend AND leader.backend_start = scheduler_lease.backend_start))
    RETURNING term
    """,
    holder="uuid",
    until="timestamptz",
    now="timestamptz",
)

LEASED_UNTIL = Statement("scheduler_leased_until", "SELECT until FROM scheduler_lease")

RAISE = Statement(
    "raise_alarm",
    "SELECT raise_alarm(%(household)s, %(kind)s, %(about)s, %(detail)s, %(now)s)",
    household="uuid",
    kind="text",
    about="uuid",
    detail="jsonb",
    now="timestamptz",
)

END = Statement(
    "end_alarm",
    "SELECT end_alarm(%(household)s, %(kind)s, %(about)s, %(why)s)",
    household="uuid",
    kind="text",
    about="uuid",
    why="text",
)

LOW_STOCK = Statement(
    "remind_of_low_stock",
    """
    WITH low AS MATERIALIZED (
        SELECT s.medicine_id, s.order_by_on FROM supply(%(now)s, NULL) AS s
          JOIN medicines AS m ON m.id = s.medicine_id AND m.archived_at IS NULL WHERE s.low
    ), raised AS (
        SELECT raise_alarm(entered_household(), 'low_stock', medicine_id, jsonb_build_object('day', order_by_on), %(now)s) AS is_new
          FROM low
    ), ended AS (
        UPDATE reminders SET status = 'dropped', reason = 'refilled'
         WHERE household_id = entered_household() AND kind = 'low_stock' AND status = 'waiting'
           AND about NOT IN (SELECT medicine_id FROM low)
    )
    SELECT count(*) FILTER (WHERE is_new) FROM raised
    """,
    now="timestamptz",
)

RAISE_EVERYWHERE = Statement(
    "raise_everywhere",
    "SELECT count(*) FROM households AS h, raise_alarm(h.id, %(kind)s, NULL, NULL, %(now)s)",
    kind="text",
    now="timestamptz",
)

END_EVERYWHERE = Statement(
    "end_everywhere",
    """
    SELECT count(*)
      FROM (SELECT DISTINCT household_id FROM reminders WHERE kind = %(kind)s AND status = 'waiting' AND dose_id IS NULL) AS r,
           end_alarm(r.household_id, %(kind)s, NULL, %(why)s)
    """,
    kind="text",
    why="text",
)

HOUSEHOLDS = Statement("households_of_server", "SELECT id::text FROM households ORDER BY id")

BACKED_UP_AT = Statement("backed_up_at", "SELECT backed_up_at FROM server")
