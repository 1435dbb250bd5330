"""Contacts: whom to tell, and how; and a message to try it."""

import re
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, Response

from dosette.actions import contacts as act
from dosette.domain.errors import Invalid
from dosette.domain.members import MEMBERS
from dosette.faults import fp
from dosette.storage import contacts as sql
from dosette_api.describe import described
from dosette_api.household import household
from dosette_api.reading import body, maybe_action, query, reader, writer
from dosette_api.replying import done, page
from dosette_api.shapes import Contact, ContactAdded, ContactQuery, Contacts, DeliveryTold, NewContact

views = Blueprint("contacts", __name__)

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SERVICE = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#]\S*")
_TOPIC = re.compile(r"[^$+#/\s][^+#\s]*")


@views.get("/contacts")
@described(Contacts, query=ContactQuery)
def list_contacts() -> Response:
    """Who is told how. Of an address that lets others in, only its beginning and its end are shown."""
    return page(household().database.one(sql.LIST, reader(), member=query(ContactQuery).member)[0])


@views.post("/contacts")
@described(ContactAdded, status=201, json=NewContact, refusals=(409,))
def add_contact() -> Response:
    """One more way to tell a member. A webhook's secret, which signs what is sent there, is in this answer and in no other."""
    entry, new, request = writer(MEMBERS), body(NewContact), maybe_action()
    check_address(new.channel, new.address)
    fp("A1")
    told = act.add(
        household().database, entry, str(new.member_id), new.channel, new.address, request, household().now()
    )
    return done(told, 201)


@views.get("/contacts/<uuid:contact_id>")
@described(Contact, refusals=(404,))
def get_contact(contact_id: UUID) -> Response:
    """One contact; `latest` is what became of the latest message to it, such as a test."""
    rows = household().database.run(sql.GET, reader(), contact=contact_id)
    return page(rows[0][0] if rows else None, act.NO_SUCH_CONTACT)


@views.delete("/contacts/<uuid:contact_id>")
@described(status=204, refusals=(404,))
def remove_contact(contact_id: UUID) -> Response:
    """Nothing is sent there any more; the links in what was sent lead nowhere."""
    act.remove(household().database, writer(MEMBERS), str(contact_id), household().now())
    return Response(status=204)


@views.post("/contacts/<uuid:contact_id>/test")
@described(DeliveryTold, status=202, refusals=(404,))
def test_contact(contact_id: UUID) -> Response:
    """Sends "This is how Dosette reminds you." in a moment; `GET /contacts/{id}` tells whether it arrived."""
    entry, request = writer(MEMBERS), maybe_action()
    fp("A1")
    return done(act.test(household().database, entry, str(contact_id), request, household().now()), 202)


def check_address(channel: str, address: str, field: str = "address") -> None:
    """Raises Invalid when `address` is none of its channel."""
    why = {act.FILE: _no_file, act.APPRISE: _no_service, act.WEBHOOK: _no_hook, act.MQTT: _no_topic}[channel](address)
    if why:
        raise Invalid(f"{field}: {why}", {"field": field})


def _no_file(address: str) -> str | None:
    return None if _FILE_NAME.fullmatch(address) else "a plain file name is wanted: letters, digits, . _ and -"


def _no_service(address: str) -> str | None:
    if _SERVICE.fullmatch(address):
        return None
    return "an address as Apprise has them is wanted: scheme://…, such as ntfys://ntfy.example/a-topic, without spaces"


def _no_hook(address: str) -> str | None:
    try:
        url = urlsplit(address)
        host, _ = url.hostname, url.port
    except ValueError:
        return "this is no URL: its host or its port can't be read"
    if url.scheme not in ("http", "https") or not host or not re.fullmatch(r"[\x21-\x7e]+", address):
        return "an http or https URL with a host is wanted, such as https://example.org/hook, without spaces"
    if "@" in url.netloc:
        return "a name and a password don't belong into it: check the signature of what is sent there instead"
    return "leave out what stands behind #: it is never sent" if url.fragment else None


def _no_topic(address: str) -> str | None:
    if _TOPIC.fullmatch(address) and not address.endswith("/"):
        return None
    return "a topic is wanted, such as dosette/ana, without + and # and spaces, and with no / at its ends"
