"""Exports: every row of a household as one JSON object a row, in one form and one order; and moving in from them.

What only this server needs stays out: tokens, stored replies, what was rung and leased, numbers of plans, running sums; and alarms,
which are about this server or are raised anew.
"""

from collections.abc import Mapping
from types import MappingProxyType

from dosette.storage.connection import Statement

HOUSEHOLD = """
    SELECT jsonb_build_object(
               'id', coalesce(chain_id, id), 'name', name, 'zone', zone, 'lead_days', lead_days, 'closed_weekdays', closed_weekdays,
               'closed_on', closed_on, 'created_at', created_at, 'events', seq, 'head', encode(head, 'hex'))::text
      FROM households WHERE id = entered_household()
    """

LISTS: Mapping[str, str] = MappingProxyType(
    {
        "members": "SELECT (to_jsonb(t) - 'household_id')::text FROM members AS t ORDER BY t.id",
        "devices": """
            SELECT (to_jsonb(t) - '{household_id, plan_number, keys_at, uses_generation, old_until}'::text[]
                                - '{waiting, clock, version, shown_at, refused}'::text[])::text
              FROM devices AS t ORDER BY t.id
            """,
        "contacts": "SELECT (to_jsonb(t) - 'household_id')::text FROM contacts AS t ORDER BY t.id",
        "medicines": "SELECT (to_jsonb(t) - 'household_id')::text FROM medicines AS t ORDER BY t.id",
        "schedule_versions": """
            SELECT (to_jsonb(t) - 'household_id' || jsonb_build_object('most_per_24_h', amount_text(t.most_per_24_h)))::text
              FROM schedule_versions AS t ORDER BY t.medicine_id, t.number
            """,
        "schedules": """
            SELECT (to_jsonb(t) - 'household_id' || jsonb_build_object(
                       'amount', amount_text(t.amount), 'most_per_24_h', amount_text(t.most_per_24_h),
                       'daily_use', amount_text(t.daily_use)))::text
              FROM schedules AS t ORDER BY t.medicine_id
            """,
        "doses": """
            SELECT (to_jsonb(t) - 'household_id' || jsonb_build_object(
                       'amount', amount_text(t.amount), 'taken_amount', amount_text(t.taken_amount)))::text
              FROM doses AS t ORDER BY t.id
            """,
        "dose_events": "SELECT (to_jsonb(t) - 'household_id')::text FROM dose_events AS t ORDER BY t.seq",
        "conflicts": "SELECT (to_jsonb(t) - 'household_id')::text FROM conflicts AS t ORDER BY t.id",
        "packages": "SELECT (to_jsonb(t) - '{household_id, amount_left}'::text[])::text FROM packages AS t ORDER BY t.id",
        "stock_entries": """
            SELECT (to_jsonb(t) - 'household_id' || jsonb_build_object('amount', amount_text(t.amount)))::text
              FROM stock_entries AS t ORDER BY t.id
            """,
        "reminders": """
            SELECT (to_jsonb(t) - '{household_id, about, detail, lease, leased_until}'::text[])::text
              FROM reminders AS t WHERE t.dose_id IS NOT NULL ORDER BY t.id
            """,
        "deliveries": """
            SELECT (to_jsonb(t) - '{household_id, since, rung_at, lease, leased_until}'::text[]
                    || jsonb_build_object('reminder_ids', of_doses.ids))::text
              FROM deliveries AS t
             CROSS JOIN LATERAL (
                SELECT jsonb_agg(r.id ORDER BY r.id) AS ids FROM reminders AS r WHERE r.id = ANY (t.reminder_ids) AND r.dose_id IS NOT NULL
             ) AS of_doses
             WHERE of_doses.ids IS NOT NULL ORDER BY t.id
            """,
    }
)
"""The lists of an export by name, each with the query of its rows; row-level security keeps them to the household that entered."""

MOVE_IN = Statement(
    "move_in",
    """
    WITH stored AS MATERIALIZED (
        SELECT body, same FROM kept_reply(%(key)s, %(request_hash)s)
    ), moved AS MATERIALIZED (
        SELECT m.outcome, m.told
          FROM (SELECT) AS always, move_in(%(file)s, %(offset_since)s, %(utc_offset)s) AS m WHERE NOT EXISTS (SELECT FROM stored)
    ), reply AS MATERIALIZED (
        SELECT keep_reply(%(key)s, %(request_hash)s, told, %(now)s) AS body FROM moved WHERE outcome = 'done'
    )
    SELECT outcome(stored.same, reply.body, moved.outcome), coalesce(reply.body, stored.body)::text, moved.told
      FROM (SELECT) AS always LEFT JOIN stored ON true LEFT JOIN moved ON true LEFT JOIN reply ON true
    """,
    file="json",
    offset_since="timestamptz[]",
    utc_offset="interval[]",
    key="text",
    request_hash="bytea",
    now="timestamptz",
)
