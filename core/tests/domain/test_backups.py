"""Which backups are kept, and when the next one is due."""

from datetime import UTC, datetime, time, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dosette.domain.backups import DAILY, MONTHLY, WEEKLY, Backup, kept, next_at

SERVER = "01a225ef-b07a-7edc-9843-23824ee929ed"
NOW = datetime(2027, 11, 24, 12, tzinfo=UTC)
AT_THREE = time(3)
ON_A_BUSY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

moments = st.integers(0, 1000 * 86_400).map(lambda seconds: NOW - timedelta(seconds=seconds))
shelves = st.lists(moments.map(lambda at: Backup(at, SERVER)), unique=True, max_size=40)


@ON_A_BUSY_MACHINE
@given(shelves)
def test_the_newest_is_never_let_go(shelf: list[Backup]):
    assert not shelf or max(shelf) in kept(shelf, NOW)


@ON_A_BUSY_MACHINE
@given(shelves)
def test_no_more_are_kept_than_days_weeks_and_months_ask_for(shelf: list[Backup]):
    assert len(kept(shelf, NOW)) <= DAILY + WEEKLY + MONTHLY


@ON_A_BUSY_MACHINE
@given(shelves)
def test_what_was_kept_once_is_kept_when_asked_again(shelf: list[Backup]):
    once = kept(shelf, NOW)

    assert kept(once, NOW) == once


@ON_A_BUSY_MACHINE
@given(shelves)
def test_each_of_the_last_seven_days_that_has_one_keeps_its_newest(shelf: list[Backup]):
    days = sorted({each.made_at.date() for each in shelf}, reverse=True)[:DAILY]

    assert all(max(each for each in shelf if each.made_at.date() == day) in kept(shelf, NOW) for day in days)


@ON_A_BUSY_MACHINE
@given(shelves, st.lists(moments.map(lambda at: Backup(at + timedelta(days=2000), SERVER)), unique=True, max_size=3))
def test_one_from_the_future_is_kept_and_pushes_nothing_out(shelf: list[Backup], wrong: list[Backup]):
    assert kept([*shelf, *wrong], NOW) == kept(shelf, NOW) | set(wrong)


@settings(ON_A_BUSY_MACHINE, max_examples=10)
@given(st.integers(0, 23), st.integers(500, 900))
def test_after_years_of_nights_there_are_seven_days_four_weeks_and_twelve_months(hour: int, nights: int):
    shelf: set[Backup] = set()
    for night in range(nights):
        made_at = datetime(2025, 1, 1, hour, tzinfo=UTC) + timedelta(days=night)
        shelf = kept(shelf | {Backup(made_at, SERVER)}, made_at)

    newest = max(shelf).made_at
    ages = sorted((newest - each.made_at).days for each in shelf)
    assert ages[:DAILY] == list(range(DAILY))
    assert len({each.made_at.isocalendar()[:2] for each in shelf}) >= WEEKLY
    assert len({(each.made_at.year, each.made_at.month) for each in shelf}) == MONTHLY
    assert len(shelf) <= DAILY + WEEKLY + MONTHLY


@ON_A_BUSY_MACHINE
@given(moments)
def test_a_name_says_what_it_is_the_name_of(at: datetime):
    backup = Backup(at, SERVER)

    assert Backup.named(backup.name) == backup


def test_a_name_of_something_else_is_none():
    for name in (
        "notes.txt",
        f"dosette-20271399T030000Z-{SERVER}.dump.age",
        f".dosette-20271124T030000Z-{SERVER}.dump.age.part",
    ):
        assert Backup.named(name) is None


def test_the_first_backup_is_made_at_once():
    assert next_at([], AT_THREE, NOW) == NOW


def test_the_next_one_is_made_at_the_next_three_o_clock():
    in_the_morning, at_night = _made(2027, 11, 23, 9), _made(2027, 11, 24, 3, 0, 1)

    assert next_at([in_the_morning], AT_THREE, NOW) == datetime(2027, 11, 24, 3, tzinfo=UTC)
    assert next_at([in_the_morning, at_night], AT_THREE, NOW) == datetime(2027, 11, 25, 3, tzinfo=UTC)


def test_a_server_that_was_off_at_night_makes_it_when_it_is_on_again():
    assert next_at([_made(2027, 10, 1)], AT_THREE, NOW) < NOW


def test_a_backup_from_the_future_neither_stops_the_next_nor_asks_for_one_again_and_again():
    assert next_at([_made(2029, 1, 1)], AT_THREE, NOW) == NOW
    assert next_at([_made(2029, 1, 1), _made(2027, 11, 24, 4)], AT_THREE, NOW) > NOW


def _made(*at: int) -> Backup:
    return Backup(datetime(*at, tzinfo=UTC), SERVER)  # type: ignore[misc, arg-type]
