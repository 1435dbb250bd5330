"""Links: what was told may be answered by a tap; nothing else may be."""

from datetime import timedelta

import pytest

from dosette.actions.reminders import ClaimedDelivery
from dosette.contracts.link import ACTIONS, BadLink, ExpiredLink, Link, link_token, read_link
from dosette.domain.reminders import LOW_STOCK, MISSED, Item
from dosette.testing import NOON
from dosette_scheduler.links import Links

ID = "01980000-0000-7000-8000-000000000001"
LINK = Link(ID, "take", NOON + timedelta(hours=1))


def _delivery(*items: Item) -> ClaimedDelivery:
    return ClaimedDelivery(ID, ID, "file", "a", None, "Ana", False, NOON, 1, "UTC", items, False, True, False)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_link_is_the_same_after_its_journey(action: str):
    link = Link(ID, action, NOON + timedelta(hours=1))

    assert read_link(link_token(link, "key"), "key", NOON) == link


def test_a_link_that_was_changed_anywhere_is_refused():
    token = link_token(LINK, "key")

    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        if changed[:-1] == token[:-1]:
            continue  # the last character carries bits that mean nothing
        with pytest.raises(BadLink):
            read_link(changed, "key", NOON)


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 10_000, link_token(LINK, "another key"), "a b", "%%%"])
def test_nonsense_is_no_link(token: str):
    with pytest.raises(BadLink):
        read_link(token, "key", NOON)


def test_a_link_ends_with_the_window():
    with pytest.raises(ExpiredLink):
        read_link(link_token(LINK, "key"), "key", NOON + timedelta(hours=1, seconds=1))


def test_a_message_about_open_doses_has_a_link_for_each_answer():
    item = Item("r", dose_id=ID, closes_at=NOON + timedelta(hours=2))

    actions = Links("key", "https://dosette.example/")(_delivery(item))

    assert [(action.name, action.label) for action in actions] == [
        ("take", "Taken"),
        ("skip", "Skip"),
        ("claim", "I've got it"),
    ]
    assert all(action.url.startswith("https://dosette.example/link/") for action in actions)
    token = actions[0].url.rpartition("/")[2]
    assert read_link(token, "key", NOON) == Link(ID, "take", NOON + timedelta(hours=2))


def test_alarms_and_missed_doses_have_none():
    missed = Item("r", status=MISSED, closes_at=NOON)

    assert Links("key", "https://dosette.example")(_delivery(Item("r", LOW_STOCK), missed)) == ()
