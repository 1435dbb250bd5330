"""Households, their members and contacts."""

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

LOCK_FOUNDING = Statement("lock_founding", "SELECT pg_advisory_xact_lock(54321)")

NEW_ID = Statement("new_id", "SELECT uuidv7()::text")

LIST_MEMBERS = Statement(
    "list_members",
    """
    SELECT json_build_object(
               'items', coalesce(json_agg(json_build_object('id', id, 'name', name, 'role', role, 'created_at', created_at)
                                           ORDER BY id), '[]'),
               'next_cursor', NULL)::text
      FROM members WHERE household_id = entered_household()
    """,
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
    ), member AS (
        INSERT INTO members (household_id, name, role, created_at)
        SELECT entered_household(), %(name)s, %(role)s, %(now)s WHERE NOT EXISTS (SELECT FROM stored)
        ON CONFLICT (household_id, name) DO NOTHING
        RETURNING *
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s,
                          jsonb_build_object('id', id, 'name', name, 'role', role, 'created_at', created_at), %(now)s) AS body
          FROM member
    )
    SELECT outcome(stored.same, reply.body, 'name-taken'), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    name="text",
    role="text",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)

ADD_CONTACT = Statement(
    "add_contact",
    """
    INSERT INTO contacts (household_id, member_id, channel, address, created_at)
    VALUES (entered_household(), %(member)s, %(channel)s, %(address)s, %(now)s)
    """,
    member="uuid",
    channel="text",
    address="text",
    now="timestamptz",
)
