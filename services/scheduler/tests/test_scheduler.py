"""The scheduler's rounds: rows first, messages second, both servers may go away."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from socket import socketpair
from threading import Event, Thread

import pytest
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from conftest import Home, found_home
from dosette.actions import alarms, devices, doses, households, reminders, schedules
from dosette.actions.devices import ServerKeys
from dosette.actions.doses import Taking
from dosette.bus import Bus, Entry, connect
from dosette.contracts.device_file import DeviceFile
from dosette.contracts.life import SignOfLife
from dosette.contracts.names import DELIVERIES_QUEUE, plan_key, press_key
from dosette.contracts.plan import Plan
from dosette.contracts.press import Press, SentPress
from dosette.contracts.signing import seal, unseal
from dosette.device_bus import BusDown, DeviceBus, NotAdmitted
from dosette.domain.doses import When
from dosette.domain.errors import Unavailable
from dosette.metrics import exposition
from dosette.storage import devices as device_sql
from dosette.storage.connection import Database
from dosette.storage.connection import connect as connect_database
from dosette.testing import NOON, a_press
from dosette_local.servers.valkey import Valkey
from dosette_scheduler import scheduler as scheduler_module
from dosette_scheduler.alarms import LOOK_EVERY, Alarms
from dosette_scheduler.doorbell import Doorbell
from dosette_scheduler.listener import Listener
from dosette_scheduler.presses import PressDesk
from dosette_scheduler.publisher import FAREWELL_TAKES, SIGN_OF_LIFE, Publisher
from dosette_scheduler.scheduler import LONGEST_WAIT_S, RETRY_S, Scheduler

KEYS = ServerKeys("secret")
DUE = NOON + timedelta(minutes=30)


@pytest.fixture
def panel(home: Home, valkey: Valkey) -> DeviceFile:
    return devices.pair(home.database, home.console, "Kitchen", KEYS, f"127.0.0.1:{valkey.port}", "", NOON)


def _scheduler(home: Home, database_of: Callable[[str], Database], redis: Redis, now: datetime) -> Scheduler:
    database = database_of("scheduler")
    bus = Bus(redis)
    publisher, alarms = Publisher(database, bus, KEYS), Alarms(database, bus)
    return Scheduler(database, Doorbell(redis), publisher, alarms, Listener(home.server.url("scheduler")), lambda: now)


def _plan(redis: Redis, panel: DeviceFile) -> Plan:
    sealed = redis.get(plan_key(panel.device_id))
    assert isinstance(sealed, bytes)
    return Plan.from_json(unseal(sealed, panel.signing_key))


def _as_device(panel: DeviceFile) -> "closing[DeviceBus]":
    """Its own end of the bus."""
    return closing(DeviceBus(panel.redis, panel.redis_user, panel.redis_password))


def _knock(panel: DeviceFile) -> None:
    """Raises NotAdmitted."""
    with _as_device(panel) as own:
        own.ping()


def test_a_round_rings_what_is_due_and_says_when_to_look_again(
    home: Home, database_of: Callable[[str], Database], redis: Redis
):
    home.dose(DUE)

    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    queue, scheduler = (
        Queue(DELIVERIES_QUEUE, connection=redis, serializer=JSONSerializer),
        _scheduler(home, database_of, redis, DUE - timedelta(seconds=2)),
    )

    assert scheduler._round(set()) == pytest.approx(2.0)
    assert len(queue) == 0
    scheduler.clock = lambda: DUE
    scheduler._round(set())
    assert len(queue) == 1


def test_with_nothing_to_do_it_sleeps_as_long_as_it_may(
    home: Home, database_of: Callable[[str], Database], redis: Redis
):
    assert _scheduler(home, database_of, redis, NOON)._round(set()) == LONGEST_WAIT_S


def test_a_paired_panel_finds_its_plan_with_its_own_user(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile
):
    dose_id = home.dose(DUE)

    _scheduler(home, database_of, redis, NOON)._round(set())

    with _as_device(panel) as own:
        sealed = own.plan(panel.device_id)
    assert sealed is not None
    assert [dose.id for dose in Plan.from_json(unseal(sealed, panel.signing_key)).doses][:1] == [dose_id]


def test_a_change_is_published_at_once_and_nothing_without_one(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile
):
    scheduler = _scheduler(home, database_of, redis, NOON)
    scheduler._round(set())

    scheduler._round(set())
    unchanged = _plan(redis, panel).number
    scheduler._round({home.id})

    assert (unchanged, _plan(redis, panel).number) == (1, 2)


def test_every_minute_a_plan_is_a_sign_of_life(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile
):
    publisher = Publisher(database_of("scheduler"), Bus(redis), KEYS)

    for now in (NOON, NOON + SIGN_OF_LIFE / 2, NOON + SIGN_OF_LIFE, NOON):
        publisher.publish(set(), now)

    assert _plan(redis, panel).number == 3


def test_after_redis_lost_everything_users_and_plans_come_back(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile
):
    scheduler = _scheduler(home, database_of, redis, NOON)
    scheduler._round(set())
    Bus(redis).expel_device(panel.device_id)
    redis.flushall()

    scheduler.publisher.all_is_stale()
    scheduler._round(set())

    with _as_device(panel) as own:
        assert own.plan(panel.device_id)


def test_a_redis_that_began_anew_between_two_rounds_is_told_all_again(
    home: Home, database_of: Callable[[str], Database], valkey: Valkey, redis: Redis, panel: DeviceFile
):
    scheduler = _scheduler(home, database_of, redis, NOON)
    scheduler.doorbell = Doorbell(connect(valkey.url, connected=scheduler.publisher.all_is_stale))
    scheduler._round(set())
    Bus(redis).expel_device(panel.device_id)
    redis.client_kill_filter(_type="normal", skipme=True)

    scheduler._round(set())

    with _as_device(panel) as own:
        assert own.plan(panel.device_id)


def test_redis_is_tried_again_after_a_second(home: Home, database_of: Callable[[str], Database]):
    home.dose(DUE)
    scheduler = _scheduler(home, database_of, connect("redis://127.0.0.1:1/0"), DUE)

    while (wait_s := scheduler._round(set())) == 0:  # it plans first
        continue

    assert wait_s == RETRY_S


def test_without_redis_doses_are_still_planned_and_closed(home: Home, database_of: Callable[[str], Database]):
    home.dose(DUE)
    away = connect("redis://127.0.0.1:1/0")

    _scheduler(home, database_of, away, DUE + timedelta(days=2))._round(set())

    statuses = [dose["status"] for dose in home.doses()]
    assert statuses.count("missed") == 2
    assert len(statuses) == 11


@pytest.fixture
def revoked(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile
) -> tuple[Scheduler, DeviceFile]:
    """A panel that was there, and a scheduler that was just told that it is revoked."""
    scheduler = _scheduler(home, database_of, redis, NOON)
    scheduler._round(set())
    devices.revoke(home.database, home.console, panel.device_id, NOON)
    scheduler._round({home.id})
    return scheduler, panel


def test_a_revoked_panel_is_told_so_by_a_last_signed_plan_without_doses(revoked, redis: Redis):
    _, panel = revoked

    plan = _plan(redis, panel)

    assert (plan.revoked, plan.doses, plan.number) == (True, (), 2)


def test_a_revoked_panel_is_expelled_and_its_connections_end(revoked, redis: Redis, home: Home):
    scheduler, panel = revoked
    with _as_device(panel) as own:
        own.ping()

        scheduler.clock = lambda: NOON + FAREWELL_TAKES
        scheduler._round(set())

        with pytest.raises(BusDown, match=r"closed|reset"):
            own.ping()
        with pytest.raises(NotAdmitted):
            own.ping()
    assert redis.keys(f"*{panel.device_id}*") == []
    assert _execute(home, "SELECT kind FROM reminders WHERE dose_id IS NULL") == []


def test_a_farewell_and_its_end_fit_into_ten_seconds():
    assert FAREWELL_TAKES + timedelta(seconds=LONGEST_WAIT_S) < timedelta(seconds=10)


def test_a_press_of_a_revoked_panel_is_refused_and_alarmed(revoked, redis: Redis, home: Home):
    scheduler, panel = revoked
    dose_id = home.dose(DUE)
    press = a_press(panel.device_id, dose_id, at=NOON)
    redis.xadd(press_key(panel.device_id), {"press": seal(press.to_json(), panel.signing_key)})

    scheduler.clock = lambda: NOON + FAREWELL_TAKES
    scheduler._round(set())

    assert home.doses()[0]["status"] == "pending"
    assert ("not_believed",) in _execute(home, "SELECT kind FROM reminders WHERE dose_id IS NULL")


def test_a_panel_that_was_revoked_and_paired_again_is_let_in(revoked, home: Home, redis: Redis):
    scheduler, panel = revoked
    scheduler.clock = lambda: NOON + FAREWELL_TAKES
    scheduler._round(set())

    anew = devices.pair(home.database, home.console, "Kitchen", KEYS, panel.redis, "", NOON)
    scheduler._round({home.id})

    assert anew.device_id == panel.device_id
    _knock(anew)
    assert not _plan(redis, anew).revoked


def test_a_revoked_panel_stays_out_when_redis_has_lost_everything(revoked, redis: Redis):
    scheduler, panel = revoked
    for seconds in (3, 70, 140):
        scheduler.clock = lambda seconds=seconds: NOON + timedelta(seconds=seconds)
        scheduler.publisher.all_is_stale()
        scheduler._round(set())

    with pytest.raises(NotAdmitted):
        _knock(panel)


def _rotated(panel: DeviceFile, redis: Redis) -> DeviceFile:
    """What the agent makes of the plan that lies there."""
    return panel.after(_plan(redis, panel), panel.signing_key)


def test_new_keys_come_through_the_old_ones_and_both_are_believed_until_the_new_ones_are_used(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile
):
    scheduler = _scheduler(home, database_of, redis, NOON)
    devices.rotate(home.database, home.console, panel.device_id, NOON)
    scheduler._round({home.id})
    new = _rotated(panel, redis)
    assert (new.generation, new.old_key) == (2, panel.signing_key)
    assert new.signing_key != panel.signing_key
    assert new.redis_password != panel.redis_password

    for each in (panel, new):
        _knock(each)
    _signs_of_life(home, database_of, redis, panel, NOON)
    assert _uses(database_of) == 1
    _signs_of_life(home, database_of, redis, new, NOON)
    assert _uses(database_of) == 2
    scheduler._round({home.id})
    assert _plan(redis, new).keys is None


def test_how_all_panels_are_is_told_to_prometheus_without_a_name(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile
):
    gone = devices.pair(home.database, home.console, "Cellar", KEYS, panel.redis, "", NOON)
    devices.pair(home.database, home.console, "Attic", KEYS, panel.redis, "", NOON)
    devices.revoke(home.database, home.console, gone.device_id, NOON)
    _signs_of_life(home, database_of, redis, panel, NOON)

    _scheduler(home, database_of, redis, NOON + timedelta(minutes=2))._round(set())

    told = exposition()[0].decode()
    for line in (
        'dosette_panels{state="paired"} 2.0',
        'dosette_panels{state="silent"} 1.0',
        'dosette_panels{state="revoked"} 1.0',
        'dosette_panels{state="rotating"} 0.0',
        "dosette_panel_silence_seconds 120.0",
        "dosette_panel_frame_age_seconds 180.0",
        "dosette_panel_waiting_presses 3.0",
        "dosette_panel_refused_plans 0.0",
    ):
        assert f"\n{line}\n" in told, line
    assert panel.device_id not in told
    assert "Attic" not in told


def test_after_seven_days_the_old_keys_open_nothing(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile
):
    scheduler = _scheduler(home, database_of, redis, NOON)
    devices.rotate(home.database, home.console, panel.device_id, NOON)
    scheduler._round({home.id})
    new = _rotated(panel, redis)
    later = NOON + devices.KEYS_OVERLAP
    scheduler.clock = lambda: later

    scheduler._round(set())

    with pytest.raises(NotAdmitted):
        _knock(panel)
    _knock(new)
    _signs_of_life(home, database_of, redis, panel, later)
    assert ("not_believed",) in _execute(home, "SELECT kind FROM reminders WHERE dose_id IS NULL")


def test_keys_of_ninety_days_are_renewed_by_themselves_where_the_panel_is_there(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile
):
    away = devices.pair(home.database, home.console, "Cellar", KEYS, panel.redis, "", NOON)
    later = NOON + devices.KEYS_LIVE + timedelta(days=1)
    _signs_of_life(home, database_of, redis, panel, later)

    scheduler = _scheduler(home, database_of, redis, later)
    scheduler._round(set())
    scheduler._round(set())

    generations = dict(_execute(home, "SELECT id::text, generation FROM devices"))
    assert generations == {panel.device_id: 2, away.device_id: 1}


def test_a_server_that_was_restored_to_before_the_keys_were_renewed_believes_them(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile
):
    scheduler = _scheduler(home, database_of, redis, NOON)
    devices.rotate(home.database, home.console, panel.device_id, NOON)
    scheduler._round({home.id})
    new = _rotated(panel, redis)
    _execute(home, "UPDATE devices SET generation = 1, uses_generation = NULL, old_until = NULL")
    scheduler.publisher.all_is_stale()
    scheduler._round(set())

    _knock(new)
    _signs_of_life(home, database_of, redis, new, NOON)
    scheduler._round({home.id})

    assert _plan(redis, new).keys is None
    assert _execute(home, "SELECT generation FROM devices") == [(2,)]


def _signs_of_life(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile, now: datetime
) -> None:
    """The desk takes one in, as of this file."""
    database = database_of("scheduler")
    desk = PressDesk(database, Bus(redis), KEYS, lambda: now, Event())
    (device,) = [each for each in devices.active(database) if each.id == panel.device_id]
    life = SignOfLife(panel.device_id, now, True, 3, shown_s=60.0, refused=0, version="1.2.3")
    desk._take_in(device, Entry(panel.device_id, "1-1", seal(life.to_json(), panel.signing_key), True))


def _uses(database_of: Callable[[str], Database]) -> int:
    (device,) = devices.active(database_of("scheduler"))
    return device.uses


@pytest.fixture
def desk(home: Home, database_of: Callable[[str], Database], valkey: Valkey, redis: Redis) -> Iterator[None]:
    """The press desk, running."""
    stopping, leads = Event(), Event()
    leads.set()
    database = home.server.database("scheduler")
    thread = Thread(
        target=PressDesk(database, Bus(connect(valkey.url, block_s=5)), KEYS, lambda: DUE, leads, wait_s=0.1).run,
        args=(stopping,),
        daemon=True,
    )
    thread.start()
    yield
    stopping.set()
    thread.join(10)


def _eventually(true: Callable[[], bool]) -> bool:
    """Whether it becomes true within half a minute."""
    patience = Event()
    return any(true() or patience.wait(0.05) for _ in range(600))


def test_a_press_is_taken_in_and_forgotten(
    home: Home, redis: Redis, panel: DeviceFile, desk: None, database_of: Callable[[str], Database]
):
    dose_id = home.dose(DUE)
    press = a_press(panel.device_id, dose_id, at=DUE, number=7)

    redis.xadd(press_key(panel.device_id), {"press": seal(press.to_json(), panel.signing_key)})

    assert _eventually(lambda: home.doses()[0]["status"] == "taken")
    assert _eventually(lambda: redis.xlen(f"dosette:press:{panel.device_id}") == 0)
    assert [row[3] for row in database_of("scheduler").run(device_sql.ACTIVE)] == [7]


def test_a_forged_press_is_forgotten_and_changes_nothing(home: Home, redis: Redis, panel: DeviceFile, desk: None):
    dose_id = home.dose(DUE)
    forged = seal(a_press(panel.device_id, dose_id, at=DUE).to_json(), "ab" * 32)

    for message in (forged, b"", seal(b"{}", panel.signing_key), seal(b"nonsense", panel.signing_key)):
        redis.xadd(press_key(panel.device_id), {"press": message})

    assert _eventually(lambda: redis.xlen(f"dosette:press:{panel.device_id}") == 0)
    assert home.doses()[0]["status"] == "pending"


def test_an_odd_press_of_one_panel_is_refused_and_those_of_the_others_are_taken_in(
    home: Home, redis: Redis, panel: DeviceFile, desk: None, database_of: Callable[[str], Database], valkey: Valkey
):
    other = found_home(home.server, database_of("api"), "Other")
    well = devices.pair(other.database, other.console, "Kitchen", KEYS, f"127.0.0.1:{valkey.port}", "", NOON)
    dose_id = other.dose(DUE)
    odd = [a_press(panel.device_id, "not-a-uuid", at=DUE, number=number) for number in (1, 2)]

    for press in odd:
        redis.xadd(press_key(panel.device_id), {"press": seal(press.to_json(), panel.signing_key)})
    press = a_press(well.device_id, dose_id, at=DUE)
    redis.xadd(press_key(well.device_id), {"press": seal(press.to_json(), well.signing_key)})

    assert _eventually(lambda: other.doses()[0]["status"] == "taken")
    assert _eventually(lambda: redis.xlen(press_key(panel.device_id)) == 0)
    assert _execute(home, "SELECT kind FROM reminders WHERE dose_id IS NULL") == [("not_believed",)]


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_press_that_breaks_its_intake_ends_it_for_nobody(
    home: Home, redis: Redis, panel: DeviceFile, desk: None, monkeypatch: pytest.MonkeyPatch
):
    take_in = doses.take_in

    def breaks_once(database: Database, press: Press, when: When, now: datetime) -> list[str]:
        if press.number == 1:
            raise ZeroDivisionError
        return take_in(database, press, when, now)

    monkeypatch.setattr(doses, "take_in", breaks_once)
    dose_id = home.dose(DUE)

    for number in (1, 2):
        press = a_press(panel.device_id, dose_id, at=DUE, number=number)
        redis.xadd(press_key(panel.device_id), {"press": seal(press.to_json(), panel.signing_key)})

    assert _eventually(lambda: home.doses()[0]["status"] == "taken")


def test_what_is_due_is_told_though_the_planning_breaks(
    home: Home, database_of: Callable[[str], Database], redis: Redis, monkeypatch: pytest.MonkeyPatch
):
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    home.dose(DUE)

    def breaks(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(schedules, "extend_plans", breaks)

    with pytest.raises(ZeroDivisionError):
        _scheduler(home, database_of, redis, DUE)._round(set())

    assert len(Queue(DELIVERIES_QUEUE, connection=redis, serializer=JSONSerializer)) == 1


def test_a_change_that_was_heard_in_a_round_that_failed_is_heeded_in_the_next(
    home: Home, database_of: Callable[[str], Database], redis: Redis, monkeypatch: pytest.MonkeyPatch
):
    scheduler, stopping, rounds = _scheduler(home, database_of, redis, NOON), Event(), []
    heard = iter([{home.id}, set()])
    monkeypatch.setattr(scheduler.listener, "wait", lambda seconds: next(heard))

    def fails_once(changed: set[str]) -> float:
        rounds.append(set(changed))
        if len(rounds) == 1:
            raise Unavailable("a lock")
        stopping.set()
        return 0.0

    monkeypatch.setattr(scheduler, "_round", fails_once)
    monkeypatch.setattr(scheduler_module, "RETRY_S", 0)

    scheduler.run(stopping)

    assert rounds == [{home.id}, {home.id}]


def test_after_an_outage_the_stock_is_looked_at_though_no_change_was_heard(
    home: Home, database_of: Callable[[str], Database], redis: Redis
):
    looks = Alarms(database_of("scheduler"), Bus(redis))
    looks.look(set(), True, NOON)
    home.dose(DUE, on_hand="1")

    looks.look(set(), True, NOON + LOOK_EVERY)
    unheard = _execute(home, "SELECT kind FROM reminders WHERE kind = 'low_stock'")
    looks.all_is_stale()
    looks.look(set(), True, NOON + 2 * LOOK_EVERY)

    assert (unheard, _execute(home, "SELECT kind FROM reminders WHERE kind = 'low_stock'")) == ([], [("low_stock",)])


def test_a_notification_wakes_the_listener_at_once(home: Home):
    listener = Listener(home.server.url("scheduler"))
    listener.wait(0)
    dose_id = home.dose(DUE)
    listener.wait(0.5)

    doses.take(home.database, home.writer(), Taking(DUE, dose_id), home.request(), DUE)

    assert listener.wait(5) == {home.id}


def test_a_sleeping_scheduler_stops_at_once(home: Home, database_of: Callable[[str], Database], redis: Redis):
    woken, waker = socketpair()
    listener = Listener(home.server.url("scheduler"), woken)
    listener.wait(0)

    waker.send(b"\x0f")
    started = time.monotonic()
    listener.wait(60)

    assert time.monotonic() - started < 30
    woken.close()
    waker.close()


def test_a_plan_says_who_has_claimed_what_and_what_is_wrong(
    home: Home, database_of: Callable[[str], Database], redis: Redis, panel: DeviceFile
):
    households.add_contact(home.database, home.console, home.bruno, "file", "bruno.jsonl", NOON)
    home.dose(DUE)
    scheduler = database_of("scheduler")
    reminders.tell_due(scheduler, DUE)
    _execute(home, "UPDATE reminders SET claimed_by = %s", home.ana)
    alarms.raise_everywhere(scheduler, "backup_old", DUE + timedelta(hours=1))
    publisher = Publisher(scheduler, Bus(redis), KEYS)

    publisher.publish(set(), DUE + timedelta(seconds=49))
    before = _plan(redis, panel)
    publisher.publish({home.id}, DUE + timedelta(seconds=51))
    after = _plan(redis, panel)

    assert (before.doses[0].claimed_by, before.alarms) == ("Ana", ("backup_old",))
    assert (before.stuck_since, after.stuck_since) == (None, DUE)


def test_what_is_stuck_is_in_a_plan_within_two_minutes():
    between_plans = SIGN_OF_LIFE + timedelta(seconds=LONGEST_WAIT_S)

    assert devices.STUCK_AFTER + between_plans < timedelta(seconds=120)


def test_a_device_that_lives_is_seen(
    home: Home, redis: Redis, panel: DeviceFile, desk: None, database_of: Callable[[str], Database]
):
    life = SignOfLife(panel.device_id, DUE, True, 0)

    redis.xadd(press_key(panel.device_id), {"life": seal(life.to_json(), panel.signing_key)})

    assert _eventually(lambda: _execute(home, "SELECT seen_at FROM devices") == [(DUE,)])


def _signs(panel: DeviceFile, off: timedelta, late: timedelta = timedelta(0)) -> Entry:
    life = SignOfLife(panel.device_id, datetime.now(UTC) + off, True, 0)
    return Entry(panel.device_id, "1-1", seal(life.to_json(), panel.signing_key), True, late)


@pytest.mark.parametrize("off", [timedelta(seconds=70), timedelta(seconds=-70), timedelta(days=365)])
def test_two_signs_in_a_row_whose_clock_disagrees_are_an_alarm_until_it_agrees_again(
    home: Home, redis: Redis, panel: DeviceFile, database_of: Callable[[str], Database], off: timedelta
):
    desk = PressDesk(database_of("scheduler"), Bus(redis), KEYS, lambda: datetime.now(UTC), Event())
    (device,) = devices.active(database_of("scheduler"))
    kinds = "SELECT kind FROM reminders WHERE dose_id IS NULL AND status = 'waiting'"

    desk._take_in(device, _signs(panel, off))
    once = _execute(home, kinds)
    desk._take_in(device, _signs(panel, off))
    twice = _execute(home, kinds)
    desk._take_in(device, _signs(panel, timedelta(seconds=5)))

    assert (once, twice, _execute(home, kinds)) == ([], [("clock_wrong",)], [])


def test_plans_that_a_panel_did_not_believe_are_an_alarm_once_for_each(
    home: Home, redis: Redis, panel: DeviceFile, database_of: Callable[[str], Database]
):
    desk = PressDesk(database_of("scheduler"), Bus(redis), KEYS, lambda: NOON, Event())
    (device,) = devices.active(database_of("scheduler"))
    alarms_now = "SELECT count(*) FROM reminders WHERE kind = 'not_believed' AND status = 'waiting'"

    def says(refused: int) -> object:
        life = SignOfLife(panel.device_id, NOON, True, 0, refused=refused)
        desk._take_in(device, Entry(panel.device_id, "1-1", seal(life.to_json(), panel.signing_key), True))
        (count,) = _execute(home, alarms_now)[0]
        return count

    assert (says(0), says(1)) == (0, 1)
    _execute(home, "UPDATE reminders SET status = 'dropped' WHERE kind = 'not_believed'")
    assert (says(1), says(2)) == (0, 1)


def test_a_press_before_the_clock_was_set_counts_by_what_passed_since_and_of_another_boot_a_person_is_asked(
    home: Home, redis: Redis, panel: DeviceFile, database_of: Callable[[str], Database]
):
    now = DUE + timedelta(minutes=40)
    desk = PressDesk(database_of("scheduler"), Bus(redis), KEYS, lambda: now, Event())
    (device,) = devices.active(database_of("scheduler"))
    first, second = home.dose(DUE), home.dose(DUE)
    unset = datetime(1970, 1, 1, tzinfo=UTC)

    def comes(dose_id: str, number: int, boot: str) -> None:
        press = a_press(panel.device_id, dose_id, at=unset, number=number)
        press = replace(press, clock_synced=False, boot_id=boot, boottime_s=100.0, after=DUE - timedelta(minutes=1))
        sealed = seal(SentPress(press, "this boot", 100.0 + 20 * 60).to_json(), panel.signing_key)
        desk._take_in(device, Entry(panel.device_id, "1-1", sealed, False, timedelta(minutes=5)))

    comes(first, 1, "this boot")
    asked_at_first = _execute(home, "SELECT kind FROM reminders WHERE kind = 'time_unsure'")
    comes(second, 2, "the boot before")

    taken = dict(_execute(home, "SELECT id::text, resolved_at FROM doses WHERE status = 'taken'"))
    assert taken == {first: DUE + timedelta(minutes=15), second: DUE + timedelta(minutes=35)}
    assert asked_at_first == []
    assert _execute(home, "SELECT kind FROM reminders WHERE kind = 'time_unsure'") == [("time_unsure",)]
    ((reason,),) = _execute(home, "SELECT reason FROM dose_events WHERE dose_id = %s AND kind = 'taken'", second)
    assert (
        reason == "the panel's clock was not set: pressed after 12:29 UTC on 2026-03-04, before 13:05 UTC on 2026-03-04"
    )


def test_a_sign_that_waited_says_nothing_about_clocks(
    home: Home, redis: Redis, panel: DeviceFile, database_of: Callable[[str], Database]
):
    desk = PressDesk(database_of("scheduler"), Bus(redis), KEYS, lambda: datetime.now(UTC), Event())
    (device,) = devices.active(database_of("scheduler"))

    for _ in range(3):
        desk._take_in(device, _signs(panel, timedelta(minutes=-5), late=timedelta(minutes=5)))

    assert _execute(home, "SELECT kind FROM reminders WHERE dose_id IS NULL") == []


def _execute(home: Home, query: str, *values: object) -> list[tuple[object, ...]]:
    with closing(connect_database(home.server.url("scheduler"), "test")) as link, link.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def test_of_two_schedulers_one_leads_and_the_other_waits_for_its_end(
    home: Home, database_of: Callable[[str], Database], redis: Redis
):
    home.dose(DUE)
    first = _scheduler(home, database_of, redis, DUE)
    second = _scheduler(home, database_of, redis, DUE)

    first._round(set())
    waits = second._round(set())
    followed = (first.leads.is_set(), second.leads.is_set())
    second.clock = lambda: DUE + timedelta(seconds=16)
    second._round(set())
    first.clock = second.clock
    first._round(set())

    assert (waits, followed) == (LONGEST_WAIT_S, (True, False))
    assert (first.leads.is_set(), second.leads.is_set()) == (False, True)
