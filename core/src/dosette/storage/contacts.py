"""Contacts: whom to tell, and through which channel. One that was removed stays, for messages were sent to it."""

from dosette.storage.connection import Statement

LIST = Statement(
    "list_contacts",
    """
    SELECT json_build_object('items', coalesce(json_agg(contact_told(c) ORDER BY c.id), '[]'), 'next_cursor', NULL)::text
      FROM contacts AS c
     WHERE c.household_id = entered_household() AND c.removed_at IS NULL AND (%(member)s IS NULL OR c.member_id = %(member)s)
    """,
    member="uuid",
)

GET = Statement(
    "get_contact",
    "SELECT contact_told(c)::text FROM contacts AS c WHERE c.id = %(contact)s AND c.removed_at IS NULL",
    contact="uuid",
)

ADD = Statement(
    "add_contact",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), person AS MATERIALIZED (
        SELECT id, household_id FROM members WHERE id = %(member)s AND household_id = entered_household()
    ), contact AS (
        INSERT INTO contacts (household_id, member_id, channel, address, secret, created_at)
        SELECT household_id, id, %(channel)s, %(address)s, %(signs)s, %(now)s FROM person
         WHERE NOT EXISTS (SELECT FROM stored) AND NOT EXISTS (
               SELECT FROM contacts AS c
                WHERE c.member_id = person.id AND c.channel = %(channel)s AND c.address = %(address)s AND c.removed_at IS NULL)
        RETURNING *
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s,
                          contact_told(ROW (contact.*)::contacts) || jsonb_build_object('secret', secret), %(now)s) AS body,
               pg_notify('dosette', household_id::text)
          FROM contact
    )
    SELECT outcome(stored.same, reply.body, CASE WHEN EXISTS (SELECT FROM person) THEN 'there-already' ELSE 'no-member' END),
           coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    member="uuid",
    channel="text",
    address="text",
    signs="text",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)

REMOVE = Statement(
    "remove_contact",
    """
    WITH removed AS (
        UPDATE contacts SET removed_at = coalesce(removed_at, %(now)s) WHERE id = %(contact)s AND household_id = entered_household()
        RETURNING id, household_id
    ), seen_to AS (
        UPDATE deliveries AS d SET status = 'dropped' FROM removed WHERE d.contact_id = removed.id AND d.status = 'parked'
    )
    SELECT count(id), count(pg_notify('dosette', household_id::text)) FROM removed
    """,
    contact="uuid",
    now="timestamptz",
)

TEST = Statement(
    "test_contact",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), contact AS MATERIALIZED (
        SELECT id, household_id, channel FROM contacts
         WHERE id = %(contact)s AND household_id = entered_household() AND removed_at IS NULL AND NOT EXISTS (SELECT FROM stored)
    ), waiting AS MATERIALIZED (  -- one test at a time is enough
        SELECT d.* FROM deliveries AS d JOIN contact ON contact.id = d.contact_id
         WHERE d.status = 'waiting' AND d.reminder_ids = '{}' ORDER BY d.made_at LIMIT 1
    ), seen_to AS (  -- a test that was given up, by testing again
        UPDATE deliveries AS d SET status = 'dropped' FROM contact
         WHERE d.contact_id = contact.id AND d.status = 'parked' AND d.reminder_ids = '{}'
    ), made AS (
        INSERT INTO deliveries (household_id, contact_id, channel, reminder_ids, made_at, due_at)
        SELECT household_id, id, channel, '{}', %(now)s, %(now)s FROM contact WHERE NOT EXISTS (SELECT FROM waiting)
        RETURNING *
    ), test AS (
        SELECT household_id, ROW (waiting.*)::deliveries AS delivery FROM waiting
        UNION ALL
        SELECT household_id, ROW (made.*)::deliveries FROM made
    ), reply AS (
        SELECT keep_reply(%(key)s, %(request_hash)s, delivery_json(delivery), %(now)s) AS body, pg_notify('dosette', household_id::text)
          FROM test
    )
    SELECT outcome(stored.same, reply.body, 'no-contact'), coalesce(reply.body, stored.body)::text
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN reply ON true
    """,
    contact="uuid",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)
