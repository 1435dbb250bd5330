"""What is answered to a press: on the screen, and to `dosette-display press`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from dosette.contracts.plan import Plan
from dosette.contracts.press import Press
from dosette_display import words
from dosette_display.doses import latest_by_dose
from dosette_display.page import Mark, Page

SAME = timedelta(seconds=10)
"""How far the clocks of device and server may be apart."""


@dataclass(frozen=True)
class Answer:
    """`said` is one sentence for a terminal, `on_screen` a title that fits the panel."""

    saved: bool
    said: str
    on_screen: str
    doses: int = 0


IGNORED = Answer(False, "ignored: within 0.4 s of the press before, which counts as a bounce", "")


def nothing_to(kind: str, plan: Plan | None, page: Page, last: Press | None) -> Answer:
    """Why a press named no dose."""
    if plan is None:
        return Answer(False, f"nothing to {kind}: there is no plan yet", "No plan yet")
    if plan.revoked:
        return Answer(False, f"nothing to {kind}: this panel is no longer paired; pair it anew", "NOT PAIRED")
    if kind == "snooze" and page.takes:
        return Answer(False, "too late to snooze: the window of each dose ends before", "Too late to snooze")
    if kind == "undo":
        return Answer(False, "nothing to undo: no press of the last two minutes is on the screen", "Nothing to undo")
    pressed_before = last and set(page.takes) & set(last.dose_ids)
    if pressed_before or any(row.mark in (Mark.TAKEN, Mark.SKIPPED) for row in page.rows):
        return _already(kind, plan, page, last)
    return Answer(False, f"nothing to {kind}: no dose that can be taken now is on the screen", "Nothing is due now")


def contradiction(taken_in: Sequence[Press], plan: Plan) -> str | None:
    """What the screen says when the plan that acknowledges presses tells another story; None when it agrees."""
    pressed, zone = latest_by_dose(taken_in), ZoneInfo(plan.zone)
    for dose in plan.doses:
        press = pressed.get(dose.id)
        if press is None or press.kind not in words.DONE:
            continue
        if dose.status == "pending":
            return "NOT COUNTED, see the pages"
        if dose.resolved_at and press.clock_synced and dose.resolved_at < press.at - SAME:
            return f"Already {dose.status} {words.clock(dose.resolved_at, zone)}"
    return None


def _already(kind: str, plan: Plan, page: Page, last: Press | None) -> Answer:
    done, time = "taken", page.rows[0].time
    if last and set(last.dose_ids) & {row.dose_id for row in page.rows}:
        done = words.DONE.get(last.kind, "taken")
        time = words.clock(last.at, ZoneInfo(plan.zone))
    elif page.rows[0].mark is Mark.SKIPPED:
        done = "skipped"
    return Answer(False, f"nothing to {kind}: already {done} at {time}", f"Already {done} {time}")
