"""Who reaches what: row-level security and roles, as PostgreSQL enforces them."""

from collections.abc import Callable

import psycopg2
import pytest

from conftest import Home, Server, found_home
from dosette.actions import doses
from dosette.actions.doses import Taking
from dosette.domain.errors import Forbidden, NotFound, Unauthorized
from dosette.domain.members import SCOPES
from dosette.storage import medicines as sql
from dosette.storage.access import with_link, with_token
from dosette.storage.connection import Database, connect
from dosette.testing import NOON

TABLES_OF_HOUSEHOLDS = """
    SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner)
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'dosette' AND c.relkind = 'r'
"""


def test_every_table_forces_row_level_security_and_belongs_to_the_migrator(server: Server):
    with connect(server.url("api"), "test").cursor() as cursor:
        cursor.execute(TABLES_OF_HOUSEHOLDS)
        tables = cursor.fetchall()

    assert len(tables) >= 15
    assert {(secured, forced, owner) for _, secured, forced, owner in tables} == {(True, True, "dosette_migrator")}


def test_without_entering_the_api_sees_nothing(home: Home):
    home.medicine()

    with connect(home.server.url("api"), "test").cursor() as cursor:
        cursor.execute("SELECT count(*) FROM medicines")

        assert cursor.fetchone() == (0,)


def test_a_household_does_not_see_another_ones_medicine(home: Home):
    other = found_home(home.server, home.database, "Next door")
    medicine_id = home.medicine()

    assert other.database.run(sql.GET, other.reader(), medicine=medicine_id, now=NOON) == []


def test_a_household_can_not_take_another_ones_dose(home: Home):
    other = found_home(home.server, home.database, "Next door")
    dose_id = home.dose(NOON)

    with pytest.raises(NotFound):
        doses.take(other.database, other.writer(), Taking(NOON, dose_id), other.request(), NOON)


@pytest.mark.parametrize(
    "statement", ["DELETE FROM dose_events", "UPDATE dose_events SET reason = ''", "UPDATE stock SET on_hand = 99"]
)
@pytest.mark.parametrize("role", ["api", "scheduler", "worker", "backup"])
def test_no_service_can_rewrite_history_or_the_count(server: Server, role: str, statement: str):
    with connect(server.url(role), "test").cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute(statement)


def test_an_unknown_token_is_refused(home: Home):
    with pytest.raises(Unauthorized):
        home.database.run(sql.LOW_STOCK, with_token("dosette_guess", "read"), now=NOON)


def test_a_token_does_only_what_its_scopes_say(home: Home, database_of: Callable[[str], Database]):
    with pytest.raises(Forbidden, match="admin:everything"):
        home.database.run(sql.LOW_STOCK, with_token(home.token, "admin:everything"), now=NOON)
    assert all(home.database.run(sql.LOW_STOCK, with_token(home.token, scope), now=NOON) for scope in SCOPES)


def test_a_link_of_a_message_that_is_gone_leads_nowhere(home: Home):
    with pytest.raises(NotFound, match="message of this link is gone"):
        home.database.run(sql.LOW_STOCK, with_link(home.id), now=NOON)
