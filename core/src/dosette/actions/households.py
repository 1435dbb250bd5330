"""Households and who lives in them; tokens."""

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from psycopg2 import Binary

from dosette.actions import contacts
from dosette.actions.replies import Answer, Request, answer
from dosette.actions.schedules import offset_columns
from dosette.domain.errors import Invalid, NotFound, Refused
from dosette.domain.members import SCOPES, scopes_of
from dosette.domain.zones import offsets
from dosette.storage import access
from dosette.storage import households as sql
from dosette.storage.access import at_console, looking_in, token_digest
from dosette.storage.connection import Database, Entry

NO_SUCH_MEMBER = "there is no such member in this household; GET /api/v1/members lists them"

_WRONG = {
    "no-second": ("second_id", NO_SUCH_MEMBER),
    "no-third": ("third_id", NO_SUCH_MEMBER),
    "second-self": ("second_id", "nobody is their own second person; name another member, or null"),
    "third-self": ("third_id", "nobody is their own third person; name another member, or null"),
    "third-second": ("third_id", "this member is the second person already; name another one, or null"),
    "half-quiet": ("quiet_until", "quiet hours have a beginning and an end; send both, or null for both"),
    "no-quiet": ("quiet_until", "quiet hours end at another time than they begin; send null for both to have none"),
}


def found(database: Database, name: str, zone: str, now: datetime) -> str:
    """The id of a new household."""
    household_id: str = database.one(sql.NEW_ID)[0]
    database.run(sql.ADD, at_console(household_id), name=name, zone=zone, now=now, **offset_columns(zone))
    return household_id


def change(database: Database, entry: Entry, fields: Mapping[str, object], request: Request, now: datetime) -> Answer:
    """Changes what `fields` names: name, lead_days, closed_weekdays (0 is Monday), closed_on."""
    columns = {name: fields.get(name) for name in ("name", "lead_days", "closed_weekdays", "closed_on")}
    row = database.one(sql.CHANGE, entry, now=now, **columns, **request.values)
    return answer(row[0], row[1], request.key) or Answer("{}")


def refresh_offsets(database: Database) -> int:
    """Writes what this program's zone rules say into every household that knows other ones; how many it were.

    After an update of the rules, and for households that are older than the columns.
    """
    stale = [
        {"id": household_id, "since": [at.isoformat() for at, _ in known], "offset": [str(each) for _, each in known]}
        for household_id, zone, since, offset in database.run(sql.OFFSETS)
        if (known := offsets(zone)) != tuple(zip(since, offset, strict=True))
    ]
    return len(database.run(sql.SET_OFFSETS, households=json.dumps(stale))) if stale else 0


def only_founder(database: Database) -> bool:
    """Whether this server has no household yet, and nobody else founds one until this transaction ends.

    Waits for whoever founds one, as long as `database` lets a statement take.
    """
    database.run(sql.LOCK_FOUNDING)
    return not database.run(access.HOUSEHOLDS)


def at_home(database: Database, name: str | None) -> Entry:
    """The entry of the person at the console: into the household of that name, or into the only one.

    Raises NotFound; Refused when there are several and none is named.
    """
    return at_console(_only(database, name))


def its_id(database: Database, name: str | None) -> str:
    """Of the household of that name, or of the only one. Raises as `at_home` does."""
    return _only(database, name)


def to_look_into(database: Database, name: str | None) -> Entry:
    """The same, to read only. Raises as `at_home` does."""
    return looking_in(_only(database, name))


def add_member(
    database: Database,
    entry: Entry,
    name: str,
    role: str,
    request: Request,
    now: datetime,
    fields: Mapping[str, object] = MappingProxyType({}),
) -> Answer:
    """`fields` are those that `change_member` knows. Raises as it does; Refused when the name is taken: on a panel, two Anas
    can't be told apart."""
    row = database.one(
        sql.ADD_MEMBER, entry, name=name, role=role, fields=_member_json(fields), now=now, **request.values
    )
    told = answer(row[0], row[1], request.key)
    if told is None:
        raise _wrong_member(row[0]) or Refused(
            f"there is a member named {name} already; take another name", {"field": "name"}
        )
    return told


def change_member(
    database: Database, entry: Entry, member_id: str, fields: Mapping[str, object], request: Request, now: datetime
) -> Answer:
    """Changes what `fields` names: second_id, third_id, quiet_from, quiet_until, names_medicines; None clears.

    Raises NotFound; Invalid, naming the field, when the three are not three members of the household, or quiet hours have one end.
    """
    row = database.one(
        sql.CHANGE_MEMBER, entry, member=member_id, fields=_member_json(fields), now=now, **request.values
    )
    told = answer(row[0], row[1], request.key)
    if told is None:
        raise _wrong_member(row[0]) or NotFound(NO_SUCH_MEMBER)
    return told


def add_contact(database: Database, entry: Entry, member_id: str, channel: str, address: str, now: datetime) -> None:
    """At the console, where nothing comes twice."""
    contacts.add(database, entry, member_id, channel, address, Request(None, b""), now)


def member_named(database: Database, entry: Entry, name: str) -> str:
    """A member's id. Raises NotFound."""
    members = json.loads(database.one(sql.LIST_MEMBERS, entry)[0])["items"]
    found: str | None = next((each["id"] for each in members if each["name"] == name), None)
    if found is None:
        raise _no_member(name)
    return found


def add_token(
    database: Database, entry: Entry, name: str, member: str | None, scopes: Sequence[str], now: datetime
) -> str:
    """A new token; only its digest is stored, so this is the one time it can be seen.

    Without `scopes` it may do what the member's role may, or everything when it is nobody's. Raises NotFound for an
    unknown member.
    """
    allowed = list(scopes or _scopes_of(database, entry, member))
    token = f"dosette_{secrets.token_urlsafe(32)}"
    digest = Binary(token_digest(token))
    made = database.run(access.ADD_TOKEN, entry, digest=digest, member=member, name=name, scopes=allowed, now=now)
    if not made:
        raise _no_member(member)
    return token


def in_each(database: Database) -> list[Entry]:
    """Into each household of this server, to read only; none when there is none."""
    return [looking_in(household_id) for household_id, _ in database.run(access.HOUSEHOLDS)]


def every_one(database: Database, name: str | None) -> list[Entry]:
    """Into each household of this server, or the one of that name, to read only. Raises NotFound."""
    return [looking_in(household_id) for household_id in _named(database, name)]


def _named(database: Database, name: str | None) -> list[str]:
    found = [household_id for household_id, its_name in database.run(access.HOUSEHOLDS) if name in (None, its_name)]
    if not found:
        which = f" {name}" if name else ""
        raise NotFound(
            f"there is no household{which} yet; make one with: dosette found NAME --zone ZONE (or dosette demo)"
        )
    return found


def _only(database: Database, name: str | None) -> str:
    found = _named(database, name)
    if len(found) > 1:
        raise Refused(f"there are {len(found)} households; say which with --household NAME")
    return found[0]


def _scopes_of(database: Database, entry: Entry, member: str | None) -> Sequence[str]:
    if member is None:
        return SCOPES
    roles = database.run(sql.ROLE, entry, name=member)
    if not roles:
        raise _no_member(member)
    return scopes_of(roles[0][0])


def _no_member(name: str | None) -> NotFound:
    return NotFound(f"there is no member named {name}; GET /api/v1/members lists them")


def _wrong_member(outcome: str) -> Invalid | None:
    field, why = _WRONG.get(outcome, ("", ""))
    return Invalid(f"{field}: {why}", {"field": field}) if field else None


def _member_json(fields: Mapping[str, object]) -> str:
    return json.dumps(dict(fields), default=str)
