"""The desk: claims what there is room for, sends through lanes that don't wait for each other, records what became of it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest

from conftest import Home
from dosette.actions import doses, households, reminders
from dosette.actions.doses import Taking
from dosette.actions.reminders import MOST_ATTEMPTS
from dosette.bus import connect
from dosette.domain.errors import Unavailable
from dosette.storage.connection import Database, Statement
from dosette.testing import NOON
from dosette_scheduler import desk as desk_module
from dosette_scheduler.channels import Channel, ChannelFailed, Message
from dosette_scheduler.channels.file import FileChannel
from dosette_scheduler.channels.panel import PanelChannel
from dosette_scheduler.desk import LEADERLESS_S, STUCK_AFTER_S, SWEEP_S, Desk

DUE = NOON + timedelta(minutes=30)
_STATUSES = Statement("statuses_of_deliveries", "SELECT status FROM deliveries")
_ALARMS = Statement("alarms_there_are", "SELECT kind FROM reminders WHERE dose_id IS NULL AND status = 'waiting'")


@dataclass
class Hung:
    """A channel whose other end never answers until the test is over."""

    slots: int = 2
    threads: int = 1
    over: Event = field(default_factory=Event)

    def send(self, address: str, message: Message) -> None:
        self.over.wait(30)


@dataclass
class Broken:
    """A channel with a bug in it."""

    slots: int = 2
    threads: int = 1

    def send(self, address: str, message: Message) -> None:
        raise ZeroDivisionError


@dataclass
class Scene:
    home: Home
    database_of: Callable[[str], Database]
    folder: Path
    now: datetime = DUE
    passed_s: float = 0.0
    """So much more has elapsed than really has."""
    others: dict[str, Channel] = field(default_factory=dict)
    desk: Desk | None = None

    def contact(self, channel: str = "file", address: str = "bruno.jsonl") -> None:
        households.add_contact(self.home.database, self.home.console, self.home.bruno, channel, address, NOON)

    def tell(self, rings: bool = True) -> None:
        """What the scheduler does."""
        rung = reminders.tell_due(self.database_of("scheduler"), self.now) or []
        if rings and self.desk:
            self.desk.rung([each.id for each in rung])

    def open(self) -> Desk:
        channels: dict[str, Channel] = {"file": FileChannel(self.folder), **self.others}
        self.desk = Desk(self.database_of("worker"), channels, lambda: self.now, elapsed_s=self.elapsed_s)
        return self.desk

    def elapsed_s(self) -> float:
        return monotonic() + self.passed_s

    def turns(self, seconds: float) -> None:
        """What the desk does for so long, in which nobody rings."""
        assert self.desk is not None
        until = self.passed_s + seconds
        while self.passed_s < until:
            self.passed_s += SWEEP_S
            self.desk.turn(Event())

    def sweep_after_long(self) -> None:
        """What the desk does when it has seen nothing new for long, to its end."""
        assert self.desk is not None
        self.desk._swept_at = self.desk._led_at = float("-inf")
        self.desk.turn(Event())
        while self.desk._under_way:
            self.desk._listen(1)
            self.desk._record()

    def told(self, address: str = "bruno.jsonl") -> list[dict[str, object]]:
        path = self.folder / address
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

    def statuses(self) -> list[str]:
        rows = self.database_of("api")
        return sorted(str(row[0]) for row in rows.run(_STATUSES, self.home.console))


@pytest.fixture
def scene(home: Home, database_of: Callable[[str], Database], tmp_path: Path) -> Scene:
    return Scene(home, database_of, tmp_path)


@pytest.fixture
def working(scene: Scene) -> Iterator[Callable[[], None]]:
    """Starts the desk on its thread."""
    stopping, threads = Event(), []

    def start() -> None:
        desk = scene.open()
        threads.append(Thread(target=desk.run, args=(stopping,), daemon=True))
        threads[0].start()

    yield start
    stopping.set()
    if scene.desk:
        scene.desk.wake()
    for thread in threads:
        thread.join(10)


def _eventually(true: Callable[[], bool]) -> bool:
    """Whether it becomes true within half a minute."""
    patience = Event()
    return any(true() or patience.wait(0.05) for _ in range(600))


def test_what_is_rung_is_told_once_however_often_it_is_rung(scene: Scene, working: Callable[[], None]):
    scene.contact()
    scene.home.dose(DUE)
    working()
    rung = [each.id for each in reminders.tell_due(scene.database_of("scheduler"), DUE) or []]

    for _ in range(5):
        assert scene.desk is not None
        scene.desk.rung(rung)

    assert _eventually(lambda: scene.statuses() == ["delivered"])
    (line,) = scene.told()
    assert (line["key"], line["kind"], line["text"]) == (rung[0], "due", "Bruno: time for the medicine of 12:30")


def test_what_nobody_rang_for_is_found(scene: Scene, working: Callable[[], None]):
    scene.contact()
    scene.home.dose(DUE)
    scene.tell(rings=False)

    working()

    assert _eventually(lambda: len(scene.told()) == 1)


def test_the_words_are_those_of_the_moment_of_sending(scene: Scene, working: Callable[[], None]):
    scene.contact()
    scene.home.dose(DUE)
    scene.tell()
    scene.now = DUE + timedelta(minutes=90)

    working()

    assert _eventually(lambda: [line["kind"] for line in scene.told()] == ["late"])


def test_a_dose_taken_meanwhile_is_not_told(scene: Scene, working: Callable[[], None]):
    scene.contact()
    dose_id = scene.home.dose(DUE)
    scene.tell()
    doses.take(scene.home.database, scene.home.writer(), Taking(DUE, dose_id), scene.home.request(), DUE)

    working()

    assert _eventually(lambda: scene.statuses() == ["dropped"])
    assert scene.told() == []


def test_a_channel_that_hangs_holds_up_no_other(scene: Scene, working: Callable[[], None]):
    hung = Hung()
    scene.others["hung"] = hung
    scene.contact()
    for number in range(5):
        scene.contact("hung", f"number {number}")
    scene.home.dose(DUE)
    working()

    scene.tell()

    assert _eventually(lambda: len(scene.told()) == 1)
    assert _eventually(lambda: scene.statuses() == ["delivered"] + ["waiting"] * 5)
    hung.over.set()
    assert _eventually(lambda: scene.statuses() == ["delivered"] * 6)


def test_a_failed_channel_is_on_record_and_tried_again(scene: Scene, working: Callable[[], None]):
    scene.contact()
    scene.home.dose(DUE)
    (scene.folder / "bruno.jsonl").mkdir()
    working()
    scene.tell()
    assert _eventually(lambda: scene.desk is not None and not scene.desk._under_way)

    (scene.folder / "bruno.jsonl").rmdir()
    scene.now = DUE + timedelta(seconds=5)
    assert scene.desk is not None
    scene.desk.rung([each.id for each in reminders.ring_again(scene.database_of("scheduler"), scene.now)])

    assert _eventually(lambda: len(scene.told()) == 1)


def test_a_panel_that_redis_keeps_from_us_is_given_up_as_one_that_reminds_itself(scene: Scene):
    scene.others["panel"] = PanelChannel(connect("redis://127.0.0.1:1/0"))
    scene.contact("panel", scene.home.id)
    scene.home.dose(DUE)
    scene.open()
    scene.tell(rings=False)

    for _ in range(MOST_ATTEMPTS):
        scene.sweep_after_long()
        scene.now += timedelta(minutes=3)

    assert scene.statuses() == ["dropped"]


def test_a_channel_s_bug_is_a_failed_telling_and_stops_nobody(scene: Scene, working: Callable[[], None]):
    scene.others["broken"] = Broken()
    scene.contact("broken", "nowhere")
    scene.contact()
    scene.home.dose(DUE)
    working()

    scene.tell()

    assert _eventually(lambda: scene.statuses() == ["delivered", "waiting"])


def test_a_message_for_a_channel_that_this_worker_lacks_waits(scene: Scene, working: Callable[[], None]):
    scene.contact("pigeon", "roof")
    scene.contact()
    scene.home.dose(DUE)
    working()

    scene.tell()

    assert _eventually(lambda: scene.statuses() == ["delivered", "waiting"])


def test_without_a_database_it_waits_and_goes_on(scene: Scene):
    desk, stopping = Desk(Database("postgresql://127.0.0.1:1/none", "test"), {}, lambda: DUE), Event()
    stopping.set()

    desk.turn(stopping)

    assert desk.is_alive()


@pytest.mark.parametrize("address", ["../outside", "/etc/passwd", "", "a/b", ".hidden", "x" * 101])
def test_the_file_channel_stays_in_its_folder(tmp_path: Path, address: str):
    with pytest.raises(ChannelFailed, match="plain file name"):
        FileChannel(tmp_path / "deliveries").send(address, Message("key", "due", "text", NOON))


def test_of_a_foreign_job_people_are_told_once(scene: Scene):
    desk = scene.open()

    for _ in range(2):
        desk.refused()
        desk.turn(Event())

    assert scene.database_of("api").run(_ALARMS, scene.home.console) == [("foreign_job",)]


_LEASE = Statement(
    "a_scheduler_leads", "UPDATE scheduler_lease SET until = %(until)s RETURNING until", until="timestamptz"
)


def test_while_no_scheduler_leads_the_desk_tells_what_is_due_and_that_it_is_so(scene: Scene):
    scene.contact()
    day = [DUE + timedelta(hours=each) for each in range(24)]
    for due in day:
        scene.home.dose(due)
    scene.open()

    for scene.now in [NOON, *day]:
        scene.sweep_after_long()

    lines = scene.told()
    assert [line["at"] for line in lines if line["kind"] == "due"] == [due.isoformat() for due in day]
    assert scene.database_of("api").run(_ALARMS, scene.home.console) == [("scheduler_away",)]


def test_after_an_outage_the_scheduler_gets_its_time_to_come_back(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desk_module, "RETRY_S", 0)
    desk = scene.open()
    desk.turn(Event())
    with monkeypatch.context() as outage:
        outage.setattr(reminders, "led_until", _away)
        scene.turns(60)

    scene.turns(5)
    first = scene.database_of("api").run(_ALARMS, scene.home.console)
    scene.turns(LEADERLESS_S)

    assert (first, scene.database_of("api").run(_ALARMS, scene.home.console)) == ([], [("scheduler_away",)])


def _away(*_: object) -> datetime:
    raise Unavailable("away")


def test_a_result_that_waits_for_the_database_is_no_message_that_hangs(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desk_module, "RETRY_S", 0)
    scene.contact()
    scene.home.dose(DUE)
    desk = scene.open()
    scene.tell(rings=False)
    desk.turn(Event())
    desk._listen(10)
    with monkeypatch.context() as outage:
        outage.setattr(reminders, "record", _away)
        scene.turns(2 * STUCK_AFTER_S)
        alive = desk.is_alive()

    desk.turn(Event())

    assert (alive, scene.statuses(), len(scene.told())) == (True, ["delivered"], 1)


def test_while_a_scheduler_leads_the_desk_leaves_what_is_due_to_it(scene: Scene):
    scene.contact()
    scene.home.dose(DUE)
    scene.open()

    for seconds in range(3):
        scene.database_of("scheduler").run(_LEASE, until=DUE + timedelta(seconds=15 + seconds))
        scene.sweep_after_long()

    assert scene.statuses() == []
