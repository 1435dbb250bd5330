"""What a stack of our own is filled with before it is measured: a cupboard of fifty medicines, and the days behind them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2

from dosette_bench.stack import Stack, wait_until

MEDICINES = 50
DAYS = 90
DUE, AS_NEEDED, LOW = 8, 2, 5
DUE_IN = timedelta(seconds=4)
DUE_WITHIN_S = 60.0

# The past is written as SQL: the API would take an hour for ten years of it. Events get no hash, so that `dosette verify` would
# rightly complain; costs are the same. The refill balances what was taken, so that the running sum stays true.
_PAST = """
    UPDATE households SET moving_in = true;
    CREATE TEMPORARY TABLE past ON COMMIT DROP AS
    SELECT uuidv7() AS id, m.household_id, m.id AS medicine_id, m.member_id, at
      FROM medicines AS m, generate_series(1, %(days)s) AS day,
           LATERAL (SELECT %(today)s::timestamptz - day * interval '1 day' + interval '30 minutes' AS at) AS due
     WHERE m.archived_at IS NULL
     ORDER BY at;
    INSERT INTO doses (id, household_id, medicine_id, member_id, version, slot_on, slot_time, amount, opens_at, due_at, late_at, closes_at,
                       status, resolved_at, resolved_by)
    SELECT id, household_id, medicine_id, member_id, 1, (at AT TIME ZONE 'UTC')::date, '00:30', 1, at - interval '2 hours', at,
           at + interval '1 hour', at + interval '2 hours', 'taken', at, member_id
      FROM past;
    INSERT INTO dose_events (household_id, seq, dose_id, kind, at, recorded_at, by_member, source, key, salt, content_digest, hash)
    SELECT past.household_id, h.seq + row_number() OVER (ORDER BY at, past.id), past.id, 'taken', at, at, member_id, 'api',
           'bench ' || past.id, '', '', ''
      FROM past JOIN households AS h ON h.id = past.household_id;
    UPDATE households SET moving_in = false, seq = (SELECT max(seq) FROM dose_events WHERE household_id = households.id);
    ALTER TABLE stock_entries DISABLE TRIGGER add_up;
    INSERT INTO stock_entries (household_id, medicine_id, kind, amount, at, by_member, source)
    SELECT household_id, medicine_id, 'refill', count(*), min(at), min(member_id::text)::uuid, 'api' FROM past GROUP BY 1, 2;
    INSERT INTO stock_entries (household_id, medicine_id, kind, amount, dose_id, at, by_member, source)
    SELECT household_id, medicine_id, 'taken', -1, id, at, member_id, 'api' FROM past ORDER BY at;
    ALTER TABLE stock_entries ENABLE TRIGGER add_up;
"""


@dataclass(frozen=True)
class Cupboard:
    """Ids that suites ask for: medicines in use, those due now, those taken as needed; the doses that are due; a member."""

    medicines: tuple[str, ...]
    due: tuple[str, ...]
    as_needed: tuple[str, ...]
    doses: tuple[str, ...]
    member: str


def seed(stack: Stack, days: int = DAYS) -> None:
    """Fifty medicines in place of the demo's, eight of them due now and open for two hours, and so many days of doses taken.

    Raises CannotMeasure when they do not fall due, HTTPError and psycopg2.Error when something is wrong with the stack.
    """
    members = [each["id"] for each in stack.get("/api/v1/members")["items"]]
    for medicine in stack.get("/api/v1/medicines?limit=200")["items"]:
        stack.ask("DELETE", f"/api/v1/medicines/{medicine['id']}")
    made = [_medicine(stack, number, members[number % len(members)]) for number in range(MEDICINES)]
    due_at = datetime.now(UTC) + DUE_IN
    for number, medicine in enumerate(made):
        stack.ask("PUT", f"/api/v1/medicines/{medicine}/schedule", _schedule(number, due_at))
    _live(stack, days)
    wait_until(lambda: len(cupboard(stack).doses) >= DUE, DUE_WITHIN_S, f"{DUE} doses that are due", every_s=0.2)


def cupboard(stack: Stack) -> Cupboard:
    """What is in a stack's cupboard, be it seeded or somebody's own."""
    medicines = stack.get("/api/v1/medicines?limit=200")["items"]
    in_use = {each["id"] for each in medicines}
    pending = [each for each in stack.get("/api/v1/medicines/pending")["items"] if each["medicine"]["id"] in in_use]
    return Cupboard(
        medicines=tuple(each["id"] for each in medicines),
        due=tuple(dict.fromkeys(each["medicine"]["id"] for each in pending)),
        as_needed=tuple(each["id"] for each in medicines if each["name"].startswith("As needed")),
        doses=tuple(each["id"] for each in pending),
        member=stack.get("/api/v1/members")["items"][0]["id"],
    )


def _medicine(stack: Stack, number: int, member: str) -> str:
    kind = "As needed" if DUE <= number < DUE + AS_NEEDED else "Medicine"
    wanted = {
        "member_id": member,
        "name": f"{kind} {number:02}",
        "strength": f"{(number % 9 + 1) * 50} mg",
        "form": "tablet",
        "on_hand": "3" if number >= MEDICINES - LOW else "60",
        "note": "with food",
    }
    return str(stack.ask("POST", "/api/v1/medicines", wanted)["id"])


def _schedule(number: int, due_at: datetime) -> dict[str, Any]:
    if number < DUE:
        return {"zone": "UTC", "steps": [{"time": f"{due_at:%H:%M:%S}"}]}
    if number < DUE + AS_NEEDED:
        return {"kind": "as_needed", "steps": [{"amount": "1"}]}
    later = due_at + timedelta(hours=4) + number * timedelta(minutes=20)  # nothing else falls due while we measure
    return {"zone": "UTC", "steps": [{"time": f"{later:%H:%M}"}]}


def _live(stack: Stack, days: int) -> None:
    connection = psycopg2.connect(stack.database_url("superuser"), options="-c search_path=dosette -c timezone=UTC")
    try:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        with connection, connection.cursor() as cursor:
            cursor.execute(_PAST, {"days": days, "today": today})
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE; CHECKPOINT")
    finally:
        connection.close()
