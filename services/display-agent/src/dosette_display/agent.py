"""The agent: holds what is on the screen, answers presses, and redraws when something or the time changed.

Three things may change the screen: a plan (the link's thread), a press (the buttons' thread) and the time. Each only changes
what is known and wakes the loop; the loop alone draws.
"""

import logging
import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Condition, Event, Lock
from typing import Protocol
from zoneinfo import ZoneInfo

from PIL import Image

from dosette.clock import Clock, boot_id, boottime_s, longest_wait_s
from dosette.contracts.plan import Plan
from dosette.contracts.press import Press
from dosette.faults import fp
from dosette_display import refresh, words
from dosette_display.answers import Answer, contradiction, nothing_to
from dosette_display.buzzer import Bell
from dosette_display.doses import STATUS_OF, latest_by_dose
from dosette_display.draw import draw, fit
from dosette_display.journal import Journal, NotSaved
from dosette_display.keys import PRESSES, Act, Gesture, Screen, Wiring
from dosette_display.known_clock import KnownClock
from dosette_display.lamp import Light
from dosette_display.metrics import Counter, Gauge, Histogram
from dosette_display.page import Choice, Notice, Page, State, View
from dosette_display.panels import Panel, PanelFault
from dosette_display.panels.virtual import png
from dosette_display.plan_store import PlanStore
from dosette_display.refresh import Moment, Past
from dosette_display.telling import changes_at, page_of
from dosette_display.views import chosen, view_after

LONGEST_WAIT_S = 10.0
STUCK_AFTER_S = 30.0
NOTICE_S = 10.0
NOT_SAVED_S = 60.0
VIEW_S = 60.0
"""So long after the last push the panel goes back to what matters most."""
LAMP_SAVED_S = 3.0
LOST_AFTER_S = 30.0
SILENT_AFTER_S = 95.0
"""A plan comes every minute, if only as a sign of life; two minutes after the last one the panel must say so."""
CLOCKS_AGREE = timedelta(minutes=1)
"""So near to a plan that was just made, this machine's clock is right."""
SILENT_FOR_S = 10.0
"""After a start the plan on the card may look old: the server gets this long to send another."""

log = logging.getLogger(__name__)
_refreshes = Counter("dosette_panel_refreshes_total", "Times the panel was given a picture", "mode")
_skipped = Counter("dosette_panel_frames_skipped_total", "Pages that would not have changed the picture enough")
_draw_seconds = Histogram("dosette_panel_draw_seconds", "From a page to a picture")
_plan_age = Gauge("dosette_panel_plan_age_seconds", "How old the plan is that the panel goes by")
_presses = Counter("dosette_panel_presses_total", "Presses that were saved", "kind")


class Lights(Protocol):
    def show(self, light: Light) -> None: ...


class Wire(Protocol):
    """What the agent needs of the link."""

    @property
    def lost_s(self) -> float | None: ...

    @property
    def admitted(self) -> bool: ...

    def show(self, frame: bytes) -> None: ...

    def pressed(self) -> None: ...


@dataclass(frozen=True)
class Scene:
    """What was on the screen when a button went down, and when that was."""

    page: Page
    at: datetime
    boottime_s: float


@dataclass
class Agent:
    """Raises nothing for what goes wrong outside: a full card, a server that is away, a plan that is forged."""

    device_id: str
    clock: Clock
    clock_synced: Callable[[], bool]
    panel: Panel
    lamp: Lights
    plans: PlanStore
    journal: Journal
    answered: Callable[[Answer], None] = lambda answer: None
    bell: Bell | None = None
    adopt: Callable[[Plan, str], None] = lambda plan, key: None
    """Takes over what a plan that was signed with `key` says of this device's keys."""
    wire: Wire | None = None
    known_clock: KnownClock = field(default_factory=KnownClock)
    wiring: Wiring = Wiring.THREE
    progress: float = field(default_factory=time.monotonic)
    elapsed_s: Callable[[], float] = boottime_s
    _past: Past = field(default_factory=Past)
    _picture: bytes | None = None
    _pressed_s: float = float("-inf")
    _due_in_s: float = math.inf
    _notice: tuple[Notice, float] | None = None
    _last: Press | None = None
    _last_page: Page | None = None
    _view: tuple[View, float] | None = None
    _confirmed: str = ""
    _trouble: tuple[str, ...] = ()
    """Of the card."""
    _failed: str = ""
    """What kept the page from being drawn that failed last; each is logged once."""
    _doubts_since_s: float | None = None
    _light: Light = Light.DARK
    _lamp_until: float | None = None
    """So long the lamp says what `_light` is."""
    _heard_s: float | None = None
    _started_s: float | None = None
    _changed: bool = True
    _wake: Condition = field(default_factory=Condition)
    _lock: Lock = field(default_factory=Lock)

    def run(self, stopping: Event) -> None:
        """The loop that draws; `wake` after `stopping` is set."""
        if plan := self.plans.plan:
            self.journal.acknowledge(plan.pressed, plan.epoch, plan.issued_at)
        if self.journal.waiting():
            self.lamp.show(Light.SENDING)
        while not stopping.is_set():
            with self._wake:
                self._changed = False
            now = self.clock()
            self._refresh(now)
            self._tend_lamp()
            if self.bell:
                self.bell.look(self.plans.plan, self.unsent(), now)
            self.progress = time.monotonic()
            self._sleep(stopping, now)

    def is_alive(self) -> bool:
        return time.monotonic() - self.progress < STUCK_AFTER_S

    def is_parted(self) -> bool:
        """Whether the server has said that this device is no longer paired."""
        return bool(self.plans.plan and self.plans.plan.revoked)

    def wake(self) -> None:
        with self._wake:
            self._changed = True
            self._wake.notify()

    def look(self) -> Scene:
        """See `buttons.Presser`."""
        return Scene(self._past.page, self.clock(), self.elapsed_s())

    def press(self, gesture: Gesture, scene: Scene) -> None:
        """Does what the gesture meant on what stood on the screen when the button went down: saves a press, or shows something else.
        Says on the screen why not."""
        with self._lock:
            self._pressed_s = self.elapsed_s()
            choice = chosen(scene.page, gesture)
            answer = self._pressed(choice, scene) if choice.act in PRESSES else self._moved(choice, scene.page)
        log.info("a button was pressed", extra={"act": choice.act, "saved": answer.saved, "doses": answer.doses})
        self.answered(answer)
        self.wake()

    def heard(self, sealed: bytes) -> None:
        """A plan came, perhaps."""
        is_news = self.plans.accept(sealed)
        if self.plans.doubts != (self._doubts_since_s is not None):
            self._doubts_since_s = self.elapsed_s() if self.plans.doubts else None
            self.wake()
        if not is_news or (plan := self.plans.plan) is None:
            return
        self._compare_clocks(plan)
        self._heard_s = self.elapsed_s()
        self.adopt(plan, self.plans.signed_with)
        if self.plans.is_stored(plan):
            taken_in = self.journal.acknowledge(plan.pressed, plan.epoch, plan.issued_at)
            if said := contradiction(taken_in, plan):
                self._say(Notice(said), NOT_SAVED_S)
        if not self.unsent():
            self._lamp_is_through()
        if self.wire:
            self.wire.pressed()  # a restored server has forgotten some; another is told that all has arrived
        self.wake()

    def _compare_clocks(self, plan: Plan) -> None:
        """The first plan since the start may have lain there for hours, and agree with a clock that stood still as long."""
        if self._heard_s is not None and abs(self.clock() - plan.issued_at) <= CLOCKS_AGREE:
            self.known_clock.is_right()

    def unsent(self) -> tuple[Press, ...]:
        """The presses that the server has not taken in."""
        plan = self.plans.plan
        taken_in = plan.pressed if plan else 0
        return tuple(press for press in self.journal.waiting() if press.number > taken_in)

    def sending(self) -> None:
        """A press had to be sent again. An error is said to its end."""
        if self._light is Light.ERROR and self._lamp_until is not None:
            return
        self._lamp_until = None
        self.lamp.show(Light.SENDING)

    def _moved(self, choice: Choice, page: Page) -> Answer:
        """Another screen; no dose is another for it."""
        if choice.act is Act.NOTHING and self.plans.plan:
            return Answer(False, f"nothing to do: the screen says {page.title}", "")
        if choice.act is Act.NOTHING:
            return self._nothing_to("take", page)
        if choice.act is Act.WHY and not page.takes:
            return self._nothing_to("skip", page)
        if choice.act is Act.GO_ON:
            return self._gone_on(page)
        self._look_at(view_after(page, choice))
        return Answer(False, f"no dose changed: {choice.act}", "")

    def _gone_on(self, page: Page) -> Answer:
        """To what else is due; else the answer stays, since a second push on a dose is no second taking."""
        if not page.due:
            return self._nothing_to("take", page)
        self._confirmed = self._last.id if self._last else ""
        return Answer(False, f"no dose changed: {words.doses(len(page.due))} due", "")

    def _look_at(self, view: View | None) -> None:
        self._view = (view, self.elapsed_s() + VIEW_S) if view else None

    def _nothing_to(self, kind: str, page: Page) -> Answer:
        answer = nothing_to(kind, self.plans.plan, page, self._last)
        self._say(Notice(answer.on_screen, page.subject), NOTICE_S)
        return answer

    def _pressed(self, choice: Choice, scene: Scene) -> Answer:
        plan, kind = self.plans.plan, choice.act.value
        dose_ids = self._named(kind, scene.page)
        if plan is None or plan.revoked or not dose_ids:
            return self._nothing_to(kind, scene.page)
        press = Press(
            id=str(uuid.uuid4()),
            number=self.journal.next_number(plan.pressed),
            device_id=self.device_id,
            kind=kind,
            dose_ids=dose_ids,
            at=scene.at,
            boot_id=boot_id(),
            boottime_s=scene.boottime_s,
            clock_synced=self.clock_synced(),
            reason=choice.reason,
            after=plan.issued_at,
        )
        answer = self._saved(press, scene.page)
        self._look_at(view_after(scene.page, choice) if answer.saved else None)
        return answer

    def _named(self, kind: str, page: Page) -> tuple[str, ...]:
        """Those the button spoke of, without those that a press of ours resolved before the picture could say so."""
        if kind == "undo":
            return () if self._last is None or self._last.kind == "undo" else page.undoes
        resolved = {dose_id for dose_id, press in latest_by_dose(self.unsent()).items() if press.kind in STATUS_OF}
        if self._last and self._last.kind in STATUS_OF and self._last_page is page:
            resolved.update(self._last.dose_ids)
        return tuple(each for each in (page.snoozes if kind == "snooze" else page.takes) if each not in resolved)

    def _saved(self, press: Press, page: Page) -> Answer:
        try:
            self.journal.append(press)
        except NotSaved as error:
            log.error("a press could not be saved", extra={"error": str(error)})
            self._shine(Light.ERROR, NOT_SAVED_S)
            self._say(Notice("NOT SAVED, press again"), NOT_SAVED_S)
            self._trouble = words.CARD_FULL
            return Answer(False, f"not saved: {error}", "NOT SAVED, press again")
        fp("P3")
        self._shine(Light.SAVED, LAMP_SAVED_S)
        self._last, self._last_page, self._notice, self._trouble = press, page, None, ()
        _presses.inc(press.kind)
        if self.wire:
            self.wire.pressed()
        count = len(press.dose_ids)
        return Answer(True, f"saved: {press.kind}, {words.doses(count)}", "", count)

    def _say(self, notice: Notice, for_s: float) -> None:
        self._notice = (notice, self.elapsed_s() + for_s)

    def _refresh(self, now: datetime) -> None:
        """Draws if the page is another, and shows the picture if it is."""
        plan = self.plans.plan
        if plan:
            _plan_age.set((now - plan.issued_at).total_seconds())
        moment = self._moment(plan, now)
        try:
            page = fit(page_of(plan, now, self._state(now)), self.panel.size)
            picture = self._drawn(page, moment)
        except Exception as error:  # whatever it is: the same plan would end each agent that is started again
            page = self._instead(error)
            picture = self._drawn(page, moment)
        if picture:
            self._show(page, picture, moment)

    def _drawn(self, page: Page, moment: Moment) -> Image.Image | None:
        """None while the panel is not to be given this page."""
        self._due_in_s = refresh.wait_s(self._past, page, moment)
        if self._due_in_s > 0:
            if page != self._past.page:
                _skipped.inc()
            return None
        with _draw_seconds.time():
            return draw(page, self.panel.size)

    def _instead(self, error: Exception) -> Page:
        """Of a page that could not be made or drawn. Whoever went there by the buttons is led home at once."""
        if repr(error) != self._failed:
            log.exception("a page could not be drawn")
        self._failed = repr(error)
        if self._view:
            self._view = None
            self.wake()
        title, *lines = words.CANT_SHOW
        page = Page(title, lines=tuple(lines), alarm=True, screen=Screen.ERROR, wiring=self.wiring)
        return fit(page, self.panel.size)

    def _moment(self, plan: Plan | None, now: datetime) -> Moment:
        night = refresh.night_of(now, ZoneInfo(plan.zone)) if plan else None
        return Moment(self.elapsed_s(), night, self._pressed_s)

    def _show(self, page: Page, picture: Image.Image, moment: Moment) -> None:
        """A press on a picture that is half there names what was there before: nobody has read the new one."""
        fp("P6")
        is_there = picture.tobytes() == self._picture
        mode = refresh.mode(self._past, moment, self.panel.supports_partial, is_there)
        if mode is None:
            _skipped.inc()
            self._past = replace(self._past, page=page)
            return
        try:
            self.panel.show(picture, mode)
            self.panel.sleep()
        except PanelFault as error:
            self._is_faulty(error, moment)
            return
        self._past, self._picture = refresh.refreshed(self._past, page, moment, mode), picture.tobytes()
        _refreshes.inc(mode)
        if self.wire:
            self.wire.show(png(picture))

    def _is_faulty(self, error: PanelFault, moment: Moment) -> None:
        log.error("the panel was given no picture", extra={"error": str(error)})
        self._past, self._picture = refresh.failed(self._past, moment), None
        self._shine(Light.ERROR, refresh.AFTER_FAULT_S)

    def _state(self, now: datetime) -> State:
        notice = self._notice
        return State(
            waiting=self.unsent(),
            last=self._last,
            offline_since=self._offline_since(now),
            admitted=self.wire is None or self.wire.admitted or not self._is_lost(),
            notice=notice[0] if notice and self.elapsed_s() < notice[1] else None,
            view=self._view[0] if self._view and self.elapsed_s() < self._view[1] else None,
            confirmed=self._confirmed,
            trouble=self._trouble or self._plan_trouble(),
            wiring=self.wiring,
            clock_known=self._knows_clock(),
        )

    def _knows_clock(self) -> bool:
        if not self.known_clock and self.clock_synced():
            self.known_clock.is_right()
        return bool(self.known_clock)

    def _plan_trouble(self) -> tuple[str, ...]:
        """While what came last was not believed. A panel that was paired anew finds its old plan there until the next is made."""
        since_s = self._doubts_since_s
        if since_s is None or (self.plans.plan is None and self.elapsed_s() - since_s < SILENT_FOR_S):
            return ()
        return words.PLAN_REFUSED

    def _offline_since(self, now: datetime) -> datetime | None:
        """Since the plan was made, when the link is lost or nobody talks at its other end; None while we are in touch.

        Told by what has elapsed: a wall clock that is set by hours tells of no hours without a server.
        """
        plan = self.plans.plan
        if plan is None:
            return None
        return plan.issued_at if self._is_lost() or self._is_silent(plan, now) else None

    def _is_lost(self) -> bool:
        """For so long that it is no mere hiccup, as when Redis started anew and has yet to be told whom to let in."""
        lost_s = self.wire.lost_s if self.wire else None
        return lost_s is not None and lost_s >= LOST_AFTER_S

    def _is_silent(self, plan: Plan, now: datetime) -> bool:
        """Before the first plan since the start, the one on the card says by its age; the server gets a while to send another."""
        if self._heard_s is not None:
            return self.elapsed_s() - self._heard_s >= SILENT_AFTER_S
        if self._started_s is None:
            self._started_s = self.elapsed_s()
        old = not timedelta(0) <= now - plan.issued_at < timedelta(seconds=SILENT_AFTER_S)
        return old and self.elapsed_s() - self._started_s >= SILENT_FOR_S

    def _shine(self, light: Light, for_s: float) -> None:
        self._light, self._lamp_until = light, self.elapsed_s() + for_s
        self.lamp.show(light)

    def _tend_lamp(self) -> None:
        if self._lamp_until is not None and self.elapsed_s() >= self._lamp_until:
            self._lamp_until = None
            self.lamp.show(Light.SENDING if self.unsent() else Light.DARK)

    def _lamp_is_through(self) -> None:
        """All is taken in: a lamp that says "saved" or "error" says it to its end."""
        if self._lamp_until is None:
            self.lamp.show(Light.DARK)

    def _sleep(self, stopping: Event, now: datetime) -> None:
        wait_s = longest_wait_s(self.clock, self._wait_s(now))
        with self._wake:
            if not self._changed and not stopping.is_set():
                self._wake.wait(wait_s)

    def _wait_s(self, now: datetime) -> float:
        """Until the page, the notice or the lamp changes; the loop shows that it lives at least every ten seconds."""
        waits = [LONGEST_WAIT_S, self._due_in_s or LONGEST_WAIT_S]
        if change := changes_at(self.plans.plan, now, replace(self._state(now), notice=None)):
            waits.append((change - now).total_seconds())
        waits += [
            until - self.elapsed_s()
            for until in (self._lamp_until, self._notice and self._notice[1], self._view and self._view[1])
            if until and until > self.elapsed_s()
        ]
        return max(0.01, min(waits))
