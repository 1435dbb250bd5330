"""Replies kept for idempotency keys; they are read and written by the statements that need them."""

from dosette.storage.connection import Statement

FORGET = Statement(
    "forget_replies",
    """
    DELETE FROM replies
     WHERE (household_id, key) IN (
        SELECT household_id, key FROM replies WHERE created_at < %(before)s ORDER BY created_at LIMIT %(limit)s)
    RETURNING key
    """,
    before="timestamptz",
    limit="integer",
)
