"""Households and their members."""

from dosette.storage.connection import Statement

ADD = Statement(
    "add_household",
    """
    INSERT INTO households (id, name, zone, offset_since, utc_offset, created_at)
    VALUES (entered_household(), %(name)s, %(zone)s, %(offset_since)s, %(utc_offset)s, %(now)s)
    """,
    name="text",
    zone="text",
    offset_since="timestamptz[]",
    utc_offset="interval[]",
    now="timestamptz",
)

CHANGE = Statement(
    "change_household",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), changed AS (
        UPDATE households
           SET name = coalesce(%(name)s, name), lead_days = coalesce(%(lead_days)s, lead_days),
               closed_weekdays = coalesce(%(closed_weekdays)s, closed_weekdays), closed_on = coalesce(%(closed_on)s, closed_on)
         WHERE id = entered_household() AND NOT EXISTS (SELECT FROM stored)
        RETURNING *
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, household_json(ROW (changed.*)::households), %(now)s) AS body,
               pg_notify('dosette', id::text)
          FROM changed
    )
    SELECT outcome(stored.same, reply.body, 'no-household'), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    name="text",
    lead_days="integer",
    closed_weekdays="smallint[]",
    closed_on="date[]",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)

OFFSETS = Statement("household_offsets", "SELECT id::text, zone, offset_since, utc_offset FROM households ORDER BY id")

SET_OFFSETS = Statement(
    "set_offsets",
    """
    UPDATE households AS h SET offset_since = known.since, utc_offset = known.offset
      FROM jsonb_to_recordset(%(households)s) AS known (id uuid, since timestamptz[], "offset" interval[])
     WHERE h.id = known.id
    RETURNING h.id
    """,
    households="jsonb",
)

GET = Statement(
    "get_household",
    """
    SELECT household_json(h)::text FROM households AS h WHERE id = entered_household()
    """,
)

LOCK_FOUNDING = Statement(
    "lock_founding", "SELECT pg_advisory_xact_lock(54321) FROM set_config('lock_timeout', '0', true)"
)
"""Waits for whoever founds one, as long as a statement may take: on a small machine that takes a while."""

NEW_ID = Statement("new_id", "SELECT uuidv7()::text")

LIST_MEMBERS = Statement(
    "list_members",
    """
    SELECT json_build_object('items', coalesce(json_agg(member_json(m) ORDER BY m.id), '[]'), 'next_cursor', NULL)::text
      FROM members AS m WHERE m.household_id = entered_household()
    """,
)

GET_MEMBER = Statement(
    "get_member", "SELECT member_json(m)::text FROM members AS m WHERE m.id = %(member)s", member="uuid"
)

ROLE = Statement(
    "role_of_member",
    "SELECT role FROM members WHERE name = %(name)s AND household_id = entered_household()",
    name="text",
)

ADD_MEMBER = Statement(
    "add_member",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), wanted AS MATERIALIZED (
        SELECT w.second_id, w.third_id, w.quiet_from, w.quiet_until, coalesce(w.names_medicines, false) AS names_medicines,
               wrong_with(w) AS wrong
          FROM jsonb_populate_record(NULL::members, %(fields)s) AS w WHERE NOT EXISTS (SELECT FROM stored)
    ), member AS (
        INSERT INTO members (household_id, name, role, second_id, third_id, quiet_from, quiet_until, names_medicines, created_at)
        SELECT entered_household(), %(name)s, %(role)s, second_id, third_id, quiet_from, quiet_until, names_medicines, %(now)s
          FROM wanted WHERE wrong IS NULL
        ON CONFLICT (household_id, name) DO NOTHING
        RETURNING *
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, member_json(ROW (member.*)::members), %(now)s) AS body FROM member
    )
    SELECT outcome(stored.same, reply.body, coalesce((SELECT wrong FROM wanted), 'name-taken')), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    name="text",
    role="text",
    fields="jsonb",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)

CHANGE_MEMBER = Statement(
    "change_member",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), wanted AS MATERIALIZED (
        SELECT w.id, w.second_id, w.third_id, w.quiet_from, w.quiet_until, w.names_medicines, wrong_with(w) AS wrong
          FROM members AS m CROSS JOIN LATERAL jsonb_populate_record(m, %(fields)s) AS w
         WHERE m.id = %(member)s AND m.household_id = entered_household() AND NOT EXISTS (SELECT FROM stored)
    ), changed AS (
        UPDATE members AS m
           SET second_id = w.second_id, third_id = w.third_id, quiet_from = w.quiet_from, quiet_until = w.quiet_until,
               names_medicines = w.names_medicines
          FROM wanted AS w WHERE m.id = w.id AND w.wrong IS NULL
        RETURNING m.*
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, member_json(ROW (changed.*)::members), %(now)s) AS body,
               pg_notify('dosette', household_id::text)
          FROM changed
    )
    SELECT outcome(stored.same, reply.body, coalesce((SELECT wrong FROM wanted), 'no-member')), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    member="uuid",
    fields="jsonb",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)
