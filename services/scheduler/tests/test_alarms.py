"""Alarms: each is raised when it is time, once, and ended when it is over."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from redis import Redis

from conftest import Home
from dosette.actions import alarms, devices
from dosette.actions.devices import ServerKeys
from dosette.bus import Bus, connect
from dosette.contracts.names import frame_key
from dosette.domain.reminders import (
    BACKUP_OLD,
    DISK_FILLING,
    DISK_FULL,
    LOW_STOCK,
    PANEL_SILENT,
    REDIS_AWAY,
    SCHEDULER_AWAY,
)
from dosette.storage.connection import Database
from dosette.storage.connection import connect as connect_database
from dosette.testing import NOON
from dosette_scheduler.alarms import AWAY_FOR, LOOK_EVERY, SETTLED_AFTER, Alarms

MINUTE = timedelta(minutes=1)


@dataclass
class Watch:
    """The alarms of a household, looked at again and again."""

    home: Home
    alarms: Alarms
    used: list[float] = field(default_factory=lambda: [0.5])
    now: datetime = NOON

    def look(self, after: timedelta = LOOK_EVERY, answered: bool = True, changed: bool = False) -> list[str]:
        """The kinds that are open after another look."""
        self.now += after
        self.alarms.look({self.home.id} if changed else set(), answered, self.now)
        return self.open()

    def open(self) -> list[str]:
        with closing(connect_database(self.home.server.url("scheduler"), "test")) as link, link.cursor() as cursor:
            cursor.execute("SELECT kind FROM reminders WHERE dose_id IS NULL AND status = 'waiting' ORDER BY kind")
            return [row[0] for row in cursor.fetchall()]


@pytest.fixture
def watch(home: Home, database_of: Callable[[str], Database], redis: Redis) -> Watch:
    used = [0.5]
    return Watch(home, Alarms(database_of("scheduler"), Bus(redis), lambda: used[0]), used)


def test_all_is_well_at_first(watch: Watch):
    assert watch.look() == []


def test_redis_may_be_away_for_a_moment_and_after_a_minute_people_are_told(watch: Watch):
    watch.look()

    assert watch.look(answered=False) == []
    assert watch.look(AWAY_FOR, answered=False) == [REDIS_AWAY]
    assert watch.look(MINUTE, answered=False) == [REDIS_AWAY]
    assert watch.look() == []


def test_an_alarm_from_before_a_restart_is_ended_too(
    watch: Watch, database_of: Callable[[str], Database], redis: Redis
):
    watch.look(answered=False)
    watch.look(AWAY_FOR, answered=False)

    watch.alarms = Alarms(database_of("scheduler"), Bus(redis), lambda: 0.5)

    assert watch.look() == []


def test_a_scheduler_that_leads_ends_the_alarm_that_none_does(watch: Watch, database_of: Callable[[str], Database]):
    alarms.raise_everywhere(database_of("worker"), SCHEDULER_AWAY, NOON)

    assert watch.look() == []


@pytest.mark.parametrize(
    ("used", "told"), [(0.84, []), (0.85, [DISK_FILLING]), (0.949, [DISK_FILLING]), (0.95, [DISK_FULL])]
)
def test_a_disk_that_fills_up_is_told_twice(watch: Watch, used: float, told: list[str]):
    watch.used[0] = used

    assert watch.look() == told
    watch.used[0] = 0.5
    assert watch.look() == []


def test_stock_is_looked_at_when_something_changed_and_every_few_hours(watch: Watch):
    watch.look()
    watch.home.schedule(watch.home.medicine(on_hand="3"), "08:00")

    assert watch.look() == []
    assert watch.look(changed=True) == [LOW_STOCK]


def test_stock_that_ran_low_unheard_is_found_within_hours(watch: Watch):
    watch.look()
    watch.home.schedule(watch.home.medicine(on_hand="3"), "08:00")

    assert watch.look(timedelta(hours=6)) == [LOW_STOCK]


def test_a_backup_that_is_too_old_is_told_until_there_is_a_new_one(watch: Watch):
    def back_up(at: datetime) -> None:
        with closing(connect_database(watch.home.server.url("backup"), "test")) as link, link.cursor() as cursor:
            cursor.execute("SELECT backup_made(%s)", (at,))

    back_up(NOON)

    assert watch.look(timedelta(hours=25)) == []
    assert watch.look(timedelta(hours=2)) == [BACKUP_OLD]
    back_up(watch.now)
    assert watch.look() == []


def test_a_panel_without_a_sign_of_life_is_told_and_one_that_shows_itself_is_not(watch: Watch, redis: Redis):
    panel = devices.pair(
        watch.home.database, watch.home.console, "Kitchen", ServerKeys("secret"), "redis:6379", "", NOON
    )

    assert watch.look() == []
    assert watch.look(SETTLED_AFTER) == [PANEL_SILENT]
    redis.set(frame_key(panel.device_id), b"png")
    assert watch.look() == []


def test_with_redis_away_no_panel_is_called_silent(watch: Watch, database_of: Callable[[str], Database]):
    devices.pair(watch.home.database, watch.home.console, "Kitchen", ServerKeys("secret"), "redis:6379", "", NOON)
    watch.look()

    watch.alarms = Alarms(database_of("scheduler"), Bus(connect("redis://127.0.0.1:1/0")), lambda: 0.5)

    assert PANEL_SILENT not in watch.look(SETTLED_AFTER, answered=True)
    assert PANEL_SILENT not in watch.look(SETTLED_AFTER, answered=True)
