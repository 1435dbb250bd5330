"""When the panel is refreshed, and how: single rules, and a simulated week of a household's doses."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from dosette.testing import NOON, a_dose, a_plan
from dosette_display import refresh
from dosette_display.draw import fit
from dosette_display.page import Mark, Page, Row, State
from dosette_display.refresh import APART_S, PARTIALS_PER_FULL, STAMPS_AFTER_S, Moment, Past, night_of
from dosette_display.telling import changes_at, page_of

BERLIN = ZoneInfo("Europe/Berlin")
TONIGHT = NOON.date()
ROW = Row("a dose", Mark.DUE, "08:00", "Metformin", "500 mg", "1 tablet", "Ana")
SHOWN = Page("Due now", rows=(ROW,), takes=("a dose",), as_of="08:00")
PAST = Past(page=SHOWN, refreshed_s=1000.0, partials=1, night=TONIGHT)


def at(elapsed_s: float, **facts) -> Moment:
    return Moment(elapsed_s, **({"night": TONIGHT} | facts))


def test_an_equal_page_is_never_shown_again():
    assert refresh.wait_s(PAST, SHOWN, at(1e6)) == math.inf


def test_an_equal_picture_is_never_shown_again_though_a_full_refresh_is_due():
    worn = replace(PAST, partials=PARTIALS_PER_FULL)

    assert refresh.mode(worn, at(2000), supports_partial=True, is_there=True) is None


def test_new_stamps_alone_wait_a_quarter_of_an_hour():
    page = replace(SHOWN, as_of="08:01", valid_until="09:00")

    assert refresh.wait_s(PAST, page, at(1060)) == STAMPS_AFTER_S - 60
    assert refresh.wait_s(PAST, page, at(1000 + STAMPS_AFTER_S)) == 0


@pytest.mark.parametrize(
    "page",
    [
        replace(SHOWN, rows=(replace(ROW, mark=Mark.LATE),)),
        replace(SHOWN, rows=(replace(ROW, strength="850 mg"),)),
        replace(SHOWN, rows=(), takes=()),
        replace(SHOWN, takes=()),
        replace(SHOWN, undoes=("a dose",)),
        replace(SHOWN, title="offline since 08:00"),
        replace(SHOWN, alarm=True),
    ],
)
def test_other_doses_another_state_of_them_and_another_title_are_shown_at_once(page):
    assert refresh.wait_s(PAST, page, at(1001)) == 0


def test_what_nobody_waits_for_is_shown_three_minutes_after_the_last_refresh():
    page = replace(SHOWN, lines=("Ramipril runs low",))

    assert refresh.wait_s(PAST, page, at(1001)) == APART_S - 1
    assert refresh.wait_s(PAST, page, at(1000 + APART_S)) == 0


def test_after_a_press_everything_is_shown_at_once():
    page = replace(SHOWN, lines=("Ramipril runs low",))

    assert refresh.wait_s(PAST, page, at(1010, pressed_s=1000)) == 0
    assert refresh.wait_s(PAST, page, at(1020, pressed_s=1000)) > 0


def test_a_title_that_comes_and_goes_is_not_shown_each_time():
    gone, moment = replace(SHOWN, title="offline since 08:00"), at(1100)

    told = refresh.refreshed(PAST, gone, moment, "partial")

    assert refresh.wait_s(told, SHOWN, at(1110)) == APART_S - 10
    assert refresh.wait_s(told, replace(SHOWN, rows=()), at(1110)) == 0


def test_what_is_wrong_is_shown_at_once_though_the_title_has_just_changed():
    well = refresh.refreshed(
        refresh.refreshed(PAST, replace(SHOWN, alarm=True), at(1100), "partial"), SHOWN, at(1300), "partial"
    )

    assert refresh.wait_s(well, replace(SHOWN, title="offline since 08:00", alarm=True), at(1310)) == 0


def test_a_panel_without_partial_refreshes_gets_full_ones():
    assert refresh.mode(PAST, at(2000), supports_partial=False, is_there=False) == "full"


def test_the_first_picture_after_a_start_is_a_full_refresh():
    assert refresh.wait_s(Past(), SHOWN, at(5)) == 0
    assert refresh.mode(Past(), at(5), supports_partial=True, is_there=False) == "full"


def test_what_the_first_picture_says_is_corrected_at_once():
    waiting = Page("No plan yet", alarm=True)
    past = refresh.refreshed(Past(), waiting, at(5), "full")

    assert refresh.wait_s(past, replace(waiting, title="NOT ADMITTED"), at(35)) == 0


def test_the_night_begins_at_three_by_the_clock_on_the_wall():
    before, after = (datetime(2026, 7, 4, hour, minute, tzinfo=UTC) for hour, minute in ((0, 59), (1, 1)))

    assert night_of(before, BERLIN) != night_of(after, BERLIN)
    assert night_of(after, BERLIN) == night_of(after + timedelta(hours=23), BERLIN)


def test_the_panel_is_cleaned_once_a_night_though_nothing_changed():
    night = at(9000, night=TONIGHT + timedelta(days=1))

    assert refresh.wait_s(PAST, SHOWN, night) == 0
    assert refresh.mode(PAST, night, supports_partial=True, is_there=True) == "full"
    assert refresh.wait_s(refresh.refreshed(PAST, SHOWN, night, "full"), SHOWN, night) == math.inf


def test_a_panel_that_failed_is_tried_again_after_a_minute_with_a_full_refresh_and_shows_nothing_that_a_press_could_name():
    past = refresh.failed(PAST, at(2000))

    assert not past.page.takes
    assert refresh.wait_s(past, SHOWN, at(2010)) == refresh.AFTER_FAULT_S - 10
    assert refresh.mode(past, at(2060), supports_partial=True, is_there=False) == "full"
    assert not refresh.refreshed(past, SHOWN, at(2060), "full").faulty


@dataclass
class Shown:
    at: datetime
    mode: str
    page: Page
    before: Page


@dataclass
class Week:
    """Seven doses a day, each taken at the panel six minutes after it fell due; a plan every five minutes."""

    now: datetime = NOON
    past: Past = field(default_factory=Past)
    pressed_s: float = float("-inf")
    shown: list[Shown] = field(default_factory=list)
    looks: int = 0

    def __post_init__(self) -> None:
        hours = (8, 8, 8, 12, 18, 18, 22)
        days = [NOON.replace(hour=0) + timedelta(days=day) for day in range(8)]
        self.doses = [a_dose(day + timedelta(hours=hour)) for day in days for hour in hours]
        self.end = NOON + timedelta(days=7)

    def live(self) -> "Week":
        for moment in self._moments():
            self.now = moment
            self._look()
        return self

    def _moments(self) -> Iterator[datetime]:
        plan_at = self.now
        while self.now < self.end:
            if self.now >= plan_at:
                self._take()
                self.plan = a_plan(*self.doses, issued_at=self.now, zone="Europe/Berlin")
                plan_at = self.now + timedelta(minutes=5)
            yield self.now
            change = changes_at(self.plan, self.now, State()) or plan_at
            waits = self.now + timedelta(seconds=min(self.wait_s, 600) or 600)
            self.now = min(plan_at, change, waits)

    def _take(self) -> None:
        for place, dose in enumerate(self.doses):
            if dose.status == "pending" and self.now >= dose.due_at + timedelta(minutes=6):
                self.doses[place] = replace(dose, status="taken", resolved_at=self.now)
                self.pressed_s = self._elapsed_s()

    def _look(self) -> None:
        self.looks += 1
        page, moment = fit(page_of(self.plan, self.now, State()), (250, 122)), self._moment()
        self.wait_s = refresh.wait_s(self.past, page, moment)
        if self.wait_s > 0:
            return
        mode = refresh.mode(self.past, moment, supports_partial=True, is_there=page == self.past.page)
        self.shown.append(Shown(self.now, mode, page, self.past.page))
        self.past = refresh.refreshed(self.past, page, moment, mode)

    def _moment(self) -> Moment:
        return Moment(self._elapsed_s(), night_of(self.now, BERLIN), self.pressed_s)

    def _elapsed_s(self) -> float:
        return (self.now - NOON).total_seconds()


@pytest.fixture(scope="module")
def week() -> Week:
    return Week().live()


def test_in_a_week_no_frame_is_shown_twice_running_but_to_clean_the_panel(week):
    equal = [each for each in week.shown if each.page == each.before]

    assert len(equal) <= 7
    assert all(each.at.astimezone(BERLIN).hour == 3 for each in equal)


def test_in_a_week_at_most_five_partial_refreshes_run_on(week):
    modes = "".join(each.mode[0] for each in week.shown)

    assert max(map(len, modes.split("f"))) == PARTIALS_PER_FULL


def test_in_a_week_each_night_has_its_full_refresh(week):
    full = [each.at.astimezone(BERLIN) for each in week.shown if each.mode == "full"]

    assert len({at.date() for at in full if at.hour == 3}) == 7


def test_in_a_week_two_refreshes_are_three_minutes_apart_if_no_dose_changed(week):
    close = [each for one, each in pairwise(week.shown) if each.at - one.at < timedelta(seconds=APART_S)]

    assert all(each.page.rows != each.before.rows or each.page.title != each.before.title for each in close)


def test_in_a_week_each_dose_is_on_the_panel_the_moment_it_falls_due(week):
    told = {(each.at, row.dose_id) for each in week.shown for row in each.page.rows if row.mark is Mark.DUE}

    due = {(dose.due_at, dose.id) for dose in week.doses if NOON < dose.due_at < week.end}
    assert len(due) >= 45
    assert due <= told


def test_in_a_week_no_clock_ticks_on_the_panel(week):
    assert week.looks > 2000
    assert len(week.shown) / 7 < 96 + 40
