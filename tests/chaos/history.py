"""What happened: everything that a run left behind, as plain values that the invariants are held against."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg2

from dosette.actions.schedules import version_of
from dosette.domain.schedules import slots

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Dose:
    """An occurrence: one planned taking and what it became."""

    id: str
    household_id: str
    medicine_id: str
    member_id: str
    due_at: datetime
    late_at: datetime
    closes_at: datetime
    status: str = "pending"
    kind: str = "planned"
    amount: float = 1.0


@dataclass(frozen=True)
class Event:
    """A fact about a dose, as it stands in the chain."""

    dose_id: str
    kind: str
    at: datetime
    recorded_at: datetime
    seq: int
    key: str | None = None
    source: str = "api"
    override: bool = False


@dataclass(frozen=True)
class Reminder:
    id: str
    dose_id: str
    status: str = "waiting"
    reason: str | None = None
    tellings: int = 1


@dataclass(frozen=True)
class Delivery:
    """One message, made once, to one contact or panel."""

    id: str
    to: str
    reminder_ids: tuple[str, ...]
    made_at: datetime
    status: str = "delivered"


@dataclass(frozen=True)
class Line:
    """One message as it arrived at a sink: what a person saw."""

    address: str
    key: str
    kind: str
    at: datetime
    dose_ids: tuple[str, ...]


@dataclass(frozen=True)
class Acknowledged:
    """What a client was told 2xx: it must be there."""

    dose_id: str
    kind: str
    key: str


@dataclass(frozen=True)
class Gap:
    """A medicine as needed and the least time between two of it."""

    medicine_id: str
    least: timedelta


@dataclass(frozen=True)
class History:
    """`owners`: whose address it is. `allowed`: who may be told of whose doses. `planned`: (medicine, due time) of every slot
    that the schedules hold between the run's beginning and end, worked out anew. `broken_links`: faults of the chains.
    `saved_presses`: how many doses presses named that the panel's lamp called saved; `presses_on_record`: of any dose, for a demo
    household may have some that fell due before. `until`: when the history was read."""

    doses: tuple[Dose, ...] = ()
    events: tuple[Event, ...] = ()
    reminders: tuple[Reminder, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    lines: tuple[Line, ...] = ()
    acknowledged: tuple[Acknowledged, ...] = ()
    gaps: tuple[Gap, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    planned: tuple[tuple[str, datetime], ...] = ()
    broken_links: tuple[str, ...] = ()
    saved_presses: int = 0
    presses_on_record: int = 0
    until: datetime = _NEVER

    def dose(self, dose_id: str) -> Dose | None:
        return self._doses_by_id.get(dose_id)

    def events_of(self, dose_id: str) -> Sequence[Event]:
        """In their order."""
        return self._events_by_dose.get(dose_id, ())

    @cached_property
    def _doses_by_id(self) -> dict[str, Dose]:
        return {dose.id: dose for dose in self.doses}

    @cached_property
    def _events_by_dose(self) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for event in self.events:
            found.setdefault(event.dose_id, []).append(event)
        return found


def read(
    url: str,
    deliveries: Path,
    since: datetime,
    until: datetime,
    acknowledged: Iterable[Acknowledged] = (),
    saved_presses: int = 0,
    ahead: timedelta = timedelta(),
) -> History:
    """The history of all doses due in [since, until], from the database at `url` (a superuser's) and the file channel's folder.
    What is planned is looked at for so long `ahead`, too."""
    connection = psycopg2.connect(url, options="-c search_path=dosette -c timezone=UTC")
    try:
        with connection.cursor() as cursor:
            return _read(cursor, deliveries, since, until, ahead, tuple(acknowledged), saved_presses)
    finally:
        connection.close()


def _read(
    cursor: Any,
    folder: Path,
    since: datetime,
    until: datetime,
    ahead: timedelta,
    acknowledged: tuple[Acknowledged, ...],
    saved: int,
) -> History:
    def rows(query: str) -> list[tuple[Any, ...]]:
        cursor.execute(query, {"since": since, "until": until + ahead})
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    doses = tuple(Dose(*row) for row in rows(_DOSES))
    ids = {dose.id for dose in doses}
    owners = dict(rows("SELECT address, member_id::text FROM contacts WHERE channel = 'file'"))
    allowed = {
        member: frozenset(filter(None, (member, second, third)))
        for member, second, third in rows("SELECT id::text, second_id::text, third_id::text FROM members")
    }
    return History(
        doses=doses,
        events=tuple(Event(*row) for row in rows(_EVENTS)),
        reminders=tuple(Reminder(*row) for row in rows(_REMINDERS)),
        deliveries=tuple(
            Delivery(delivery, to, tuple(about), made_at, status)
            for delivery, to, about, made_at, status in rows(_DELIVERIES)
        ),
        lines=tuple(line for line in lines(folder) if line.at >= since and set(line.dose_ids) <= ids),
        acknowledged=acknowledged,
        gaps=tuple(Gap(medicine, timedelta(minutes=least)) for medicine, least in rows(_GAPS)),
        owners=owners,
        allowed=allowed,
        planned=tuple(_planned(rows(_VERSIONS), since, until + ahead)),
        broken_links=tuple(f"household {home}: event {seq}: {fault}" for home, seq, fault in rows(_LINKS)),
        saved_presses=saved,
        presses_on_record=rows(PRESSES)[0][0],
        until=until,
    )


def lines(folder: Path) -> list[Line]:
    """Everything that people were told through files; a last line that was torn by a kill was not told."""
    found = []
    for path in sorted(folder.glob("*")):
        for text in path.read_text().splitlines(keepends=True):
            if text.endswith("\n"):
                raw = json.loads(text)
                doses = tuple(item["dose_id"] for item in raw["items"] if item["dose_id"])
                found.append(Line(path.name, raw["key"], raw["kind"], datetime.fromisoformat(raw["at"]), doses))
    return found


def _planned(versions: Sequence[tuple[Any, ...]], since: datetime, until: datetime) -> Iterable[tuple[str, datetime]]:
    for medicine_id, version, made_at in versions:
        for slot in slots(version_of(version), max(since, made_at), until):
            yield medicine_id, slot.due_at.astimezone(UTC)


_DOSES = """
    SELECT id::text, household_id::text, medicine_id::text, member_id::text, due_at, late_at, closes_at, status, kind, amount::float8
      FROM doses WHERE due_at BETWEEN %(since)s AND %(until)s
"""
_EVENTS = """
    SELECT e.dose_id::text, e.kind, e.at, e.recorded_at, e.seq, e.key, e.source, coalesce(e.detail ? 'override', false)
      FROM dose_events AS e JOIN doses AS d ON d.id = e.dose_id WHERE d.due_at BETWEEN %(since)s AND %(until)s
     ORDER BY e.household_id, e.seq
"""
_REMINDERS = """
    SELECT r.id::text, r.dose_id::text, r.status, r.reason, r.tellings
      FROM reminders AS r JOIN doses AS d ON d.id = r.dose_id WHERE d.due_at BETWEEN %(since)s AND %(until)s
"""
_DELIVERIES = """
    SELECT id::text, coalesce(contact_id, device_id)::text, reminder_ids::text[], made_at, status
      FROM deliveries WHERE made_at BETWEEN %(since)s AND %(until)s
"""
_GAPS = """
    SELECT medicine_id::text, min_gap_minutes FROM schedules WHERE kind = 'as_needed' AND min_gap_minutes IS NOT NULL
"""
_VERSIONS = """
    SELECT v.medicine_id::text, schedule_json(v), v.created_at
      FROM schedules AS s JOIN schedule_versions AS v ON v.medicine_id = s.medicine_id AND v.number = s.version
     WHERE s.kind = 'fixed' AND v.created_at BETWEEN %(since)s AND %(until)s
"""
PRESSES = "SELECT count(*) FROM dose_events WHERE source = 'panel' AND recorded_at >= %(since)s"
_LINKS = "SELECT h.id::text, l.seq, l.fault FROM households AS h, broken_links(h.id) AS l"
