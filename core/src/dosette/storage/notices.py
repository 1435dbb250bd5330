"""Notices: reminders as people see and answer them, in the pages and by the links in messages. Sending them: `reminders`.

A change returns (outcome, body, facts), as those of doses do. Outcomes beside theirs: `no-reminder`, `nobody` (a token without a
member), and why not: `alarm`, `dose`, `over`; of a link, `nothing`.
"""

from dosette.storage.connection import Statement

MOST = 200

LIST = Statement(
    "list_reminders",
    """
    WITH open AS (
        SELECT r AS reminder, r.due_at, r.id FROM reminders AS r
         WHERE r.household_id = entered_household() AND r.status = 'waiting' AND (r.due_at <= %(now)s OR r.tellings > 0)
        UNION ALL
        SELECT r, r.due_at, r.id FROM reminders AS r WHERE r.household_id = entered_household() AND r.status = 'parked'
        ORDER BY due_at, id LIMIT %(most)s
    ), given_up AS (
        SELECT d AS delivery, d.channel, coalesce(p.name, v.name) AS recipient, d.contact_id, d.device_id
          FROM deliveries AS d
          LEFT JOIN contacts AS c ON c.id = d.contact_id
          LEFT JOIN members AS p ON p.id = c.member_id
          LEFT JOIN devices AS v ON v.id = d.device_id
         WHERE d.household_id = entered_household() AND d.status = 'parked' AND d.at > %(since)s
         ORDER BY d.at DESC, d.id DESC LIMIT %(most)s
    )
    SELECT json_build_object(
        'items', coalesce((SELECT json_agg(reminder_told(reminder, %(now)s) ORDER BY due_at, id) FROM open), '[]'),
        'next_cursor', NULL,
        'parked', coalesce((
            SELECT json_agg(delivery_json(delivery) || jsonb_build_object(
                       'channel', channel, 'recipient', recipient, 'contact_id', contact_id, 'device_id', device_id)
                       ORDER BY (delivery).at DESC, (delivery).id DESC) FROM given_up), '[]'))::text
    """,
    since="timestamptz",
    most="integer",
    now="timestamptz",
)


def _change(name: str, call: str, /, **types: str) -> Statement:
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
    SELECT outcome(stored.same, reply.body, change.outcome), coalesce(reply.body, stored.body)::text, change.facts
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN change ON true LEFT JOIN reply ON true
    """

CLAIM = _change("claim_reminder", "claim_reminder(%(reminder)s, %(now)s)", reminder="uuid")

DISMISS = _change(
    "dismiss_reminder", "dismiss_reminder(%(reminder)s, %(until)s, %(now)s)", reminder="uuid", until="timestamptz"
)

LOOK = Statement(
    "look_at_link",
    "SELECT (SELECT body FROM kept_reply(%(key)s, NULL)), link_told(%(delivery)s, %(now)s)",
    delivery="uuid",
    key="text",
    now="timestamptz",
)

ANSWER = Statement(
    "answer_link",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), change AS MATERIALIZED (
        SELECT c.outcome, c.told, c.facts
          FROM (SELECT) AS always, answer_link(%(delivery)s, %(action)s, %(key)s, %(now)s) AS c WHERE NOT EXISTS (SELECT FROM stored)
    ), reply AS MATERIALIZED (
        SELECT keep_reply(%(key)s, %(request_hash)s, told, %(now)s) AS body FROM change WHERE outcome = 'done'
    )
    SELECT outcome(stored.same, reply.body, change.outcome), coalesce(reply.body, stored.body, change.facts),
           link_told(%(delivery)s, %(now)s)
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN change ON true LEFT JOIN reply ON true
    """,
    delivery="uuid",
    action="text",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)
"""What the answer did, then what holds afterwards."""
