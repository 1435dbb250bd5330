"""Households, tokens, and what is kept for how long."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from conftest import Home, found_home
from dosette.actions import households, replies
from dosette.actions.replies import KEPT
from dosette.domain.errors import Forbidden, NotFound, Refused
from dosette.storage import medicines as sql
from dosette.storage.access import with_token
from dosette.storage.connection import Database
from dosette.testing import NOON


def test_the_console_enters_the_only_household_without_its_name(home: Home):
    assert households.at_home(home.database, None) == home.console


def test_with_several_households_the_console_must_say_which(home: Home):
    other = found_home(home.server, home.database, "Next door")

    with pytest.raises(Refused, match="--household"):
        households.at_home(home.database, None)
    assert households.at_home(home.database, "Next door") == other.console


def test_a_household_that_is_not_there_is_named(home: Home):
    with pytest.raises(NotFound, match="Elsewhere"):
        households.at_home(home.database, "Elsewhere")


def test_a_member_s_token_may_do_what_the_member_may(home: Home):
    token = households.add_token(home.database, home.console, "phone", "Bruno", (), NOON)

    assert home.database.run(sql.LOW_STOCK, with_token(token, "doses:take"), now=NOON)
    with pytest.raises(Forbidden, match="medicines:write"):
        home.database.run(sql.LOW_STOCK, with_token(token, "medicines:write"), now=NOON)


def test_a_reply_is_forgotten_after_thirty_days(home: Home, database_of: Callable[[str], Database]):
    households.add_member(home.database, home.console, "Clara", "self", home.request("k"), NOON)

    assert replies.forget_old(database_of("scheduler"), NOON + KEPT) == 0
    assert replies.forget_old(database_of("scheduler"), NOON + KEPT + timedelta(seconds=1)) == 1
