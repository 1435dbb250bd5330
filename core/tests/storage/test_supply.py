"""PostgreSQL says the same of a supply as the domain does."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dosette.domain.stock import DAYS_AHEAD, Use, cumulative, order_by_on, runs_out_on
from dosette.domain.zones import FIRST_OFFSET, LAST_OFFSET, local_day, offsets
from dosette_local.servers.postgres import Postgres

FIRST = date(2026, 3, 4)
AMOUNTS = st.decimals(0, 5, places=2)
ASKED = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Ask = Callable[..., object]


@pytest.fixture
def ask(postgres: Postgres) -> Iterator[Ask]:
    """The one value of a query of the migrated database."""
    connection = psycopg2.connect(postgres.url, options="-c search_path=dosette -c timezone=UTC")

    def one(query: str, *values: object) -> object:
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            found: object = cursor.fetchone()[0]
            return found

    yield one
    connection.close()


@ASKED
@given(
    days=st.lists(AMOUNTS, min_size=DAYS_AHEAD, max_size=DAYS_AHEAD),
    weeks=st.lists(AMOUNTS, max_size=8),
    daily=AMOUNTS,
    left=st.decimals(-2, 300, places=2),
    passed=st.integers(0, 120),
)
def test_the_day_it_runs_out(
    ask: Ask, days: list[Decimal], weeks: list[Decimal], daily: Decimal, left: Decimal, passed: int
):
    through = tuple(accumulate(days + weeks))
    use, today = Use(FIRST, through[:DAYS_AHEAD], through[DAYS_AHEAD:], daily), FIRST + timedelta(days=passed)

    told = ask("SELECT runs_out_on(%s, %s, %s, %s::bigint[], %s)", left, today, FIRST, cumulative(through), daily)

    assert told == runs_out_on(use, left, today)


@ASKED
@given(
    day=st.dates(date(2026, 1, 1), date(2027, 12, 31)),
    lead_days=st.integers(0, 30),
    closed_weekdays=st.sets(st.integers(0, 6), max_size=6),
    closed_on=st.sets(st.dates(date(2026, 1, 1), date(2026, 2, 15)), max_size=40),
)
def test_the_day_to_order_by(ask: Ask, day: date, lead_days: int, closed_weekdays: set[int], closed_on: set[date]):
    told = ask(
        "SELECT order_by_on(%s, %s, %s::smallint[], %s::date[])", day, lead_days, list(closed_weekdays), list(closed_on)
    )

    assert told == order_by_on(day, lead_days, closed_weekdays, closed_on)


@ASKED
@given(
    at=st.datetimes(
        FIRST_OFFSET.replace(tzinfo=None), LAST_OFFSET.replace(tzinfo=None), timezones=st.just(FIRST_OFFSET.tzinfo)
    ),
    zone=st.sampled_from(
        ["UTC", "Europe/Berlin", "Pacific/Apia", "Pacific/Chatham", "America/St_Johns", "Africa/Casablanca"]
    ),
)
def test_the_local_day_of_an_instant(ask: Ask, at: datetime, zone: str):
    since, offset = zip(*offsets(zone), strict=True)

    assert ask("SELECT local_day(%s, %s, %s)", at, list(since), list(offset)) == local_day(at, zone)
