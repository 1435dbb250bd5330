"""The menus: what can be done about the doses of the page that they were opened on, and where an entry leads."""

from collections.abc import Sequence
from dataclasses import replace

from dosette.contracts.plan import Plan, PlannedDose
from dosette_display import words
from dosette_display.keys import Act, Screen
from dosette_display.page import Choice, Page, View

ELSEWHERE = {Screen.TODAY: "Today", Screen.LOW: "Low stock", Screen.DOUBLE: "Double dose?"}
"""Where a menu leads, which needs to know what day it is."""


def menu_page(view: View, over: Page, due: Sequence[PlannedDose], plan: Plan, undoes: tuple[str, ...]) -> Page:
    """What can be done about the doses that the page shows which it was opened on."""
    choices = _reasons() if view.screen is Screen.WHY else _choices(over, due, plan, undoes)
    what = "it" if len(over.takes) == 1 else f"these {len(over.takes)}"
    return Page(
        f"Skip {what}, since …" if view.screen is Screen.WHY else "What else?",
        rows=tuple(row for row in over.rows if row.dose_id in over.takes),
        takes=over.takes,
        snoozes=over.snoozes,
        undoes=undoes,
        screen=view.screen,
        choices=choices,
        chosen=view.at % len(choices),
        view=view,
    )


def following(page: Page, ids: tuple[str, ...]) -> View | None:
    """The view on the dose after the one that is shown by itself; None after the only one."""
    shown = page.rows[0].dose_id if page.rows else ""
    others = [each for each in ids if each != shown]
    if not others:
        return None
    place = ids.index(shown) if shown in ids else 0
    return View(Screen.STEP, dose_id=(ids[place + 1 :] or ids)[0], due=ids)


def _reasons() -> tuple[Choice, ...]:
    return (*(Choice(reason, Act.SKIP, reason) for reason in words.REASONS), Choice("Back", Act.BACK))


def _choices(over: Page, due: Sequence[PlannedDose], plan: Plan, undoes: tuple[str, ...]) -> tuple[Choice, ...]:
    """Only what can be done from there."""
    choices: list[Choice] = []
    ids = tuple(dose.id for dose in due)
    if undoes:
        choices.append(Choice(words.undoing(len(undoes)), Act.UNDO))
    if over.parts > 1:
        part = replace(over.view or View(over.screen), at=(over.part + 1) % over.parts, due=ids)
        choices.append(Choice(f"Show the other {over.more}", Act.SHOW, view=part))
    choices += _steps(over, due)
    if over.snoozes:
        choices.append(Choice(words.SNOOZED, Act.SNOOZE))
    if over.takes:
        choices += [Choice("Take early", Act.TAKE)] if over.screen is Screen.NEXT else []
        choices.append(Choice("Skip …", Act.WHY))
    there = {Screen.TODAY: True, Screen.LOW: bool(plan.low), Screen.DOUBLE: bool(plan.conflicts)}
    choices += [
        Choice(text, Act.SHOW, view=View(screen, due=ids))
        for screen, text in ELSEWHERE.items()
        if there[screen] and screen is not over.screen
    ]
    return (*choices, Choice("Back", Act.BACK))


def _steps(over: Page, due: Sequence[PlannedDose]) -> list[Choice]:
    """One dose by itself, or one person's."""
    ids = tuple(dose.id for dose in due)
    if over.screen is Screen.STEP and len(due) > 1:
        return [Choice("The next one", Act.SHOW, view=following(over, ids)), Choice("All together", Act.SHOW)]
    fewest = {Screen.DUE: 2, Screen.CLOCK: 1}.get(over.screen)  # without a clock, a dose is recorded by itself only
    if fewest is None or len(due) < fewest or not over.rows:
        return []
    first = next((row.dose_id for row in over.rows if row.dose_id in ids), ids[0])
    choices = [Choice("One by one", Act.SHOW, view=View(Screen.STEP, dose_id=first, due=ids))]
    members = list(dict.fromkeys(dose.member for dose in due))
    if over.screen is Screen.DUE and len(members) > 1:
        mine = over.view.member if over.view else ""
        choices += [
            Choice(f"Only {member}", Act.SHOW, view=View(Screen.DUE, member=member, due=ids))
            for member in members
            if member != mine
        ]
        choices += [Choice("All together", Act.SHOW)] if mine else []
    return choices
