"""The invariants I1 to I12: each function returns what breaks it, in sentences that name ids; nothing when it holds.

Held by other tests, for a history does not show them: I10 beside I1 (core/tests/domain/test_zones.py: every zone, every clock
change) and I12 (services/display-agent/tests and prometheus/rules_test.yml: what a person sees when the chain lags).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise

from tests.chaos.history import Dose, Event, History

SLO = timedelta(seconds=30)
"""While everything is being killed; the distribution is reported beside it."""
IN_FLIGHT = timedelta(seconds=2)
TOLERANCE = timedelta(seconds=1)
NAGS_AFTER = timedelta(minutes=4)
"""Two messages about the same to the same person that are closer than any nag were not meant."""
REASONS = frozenset({"nobody to tell", "quiet hours", "missed long ago", "rescheduled"})
COMPLETED = frozenset({"taken", "skipped"})
RESOLVED = ("taken", "skipped", "missed", "cancelled")
MOVES = {
    None: {"taken", "skipped", "missed", "snoozed", "conflict"},
    "snoozed": {"taken", "skipped", "missed", "snoozed", "conflict"},
    "taken": {"undone", "corrected", "conflict"},
    "skipped": {"undone", "conflict"},
    "missed": {"taken", "skipped", "conflict", "corrected"},
    "undone": {"taken", "skipped", "missed", "snoozed", "conflict"},
}


def each_slot_is_one_dose(history: History) -> list[str]:
    """I1, and I10 for the schedules that were made in the run."""
    there = Counter(
        (dose.medicine_id, dose.due_at)
        for dose in history.doses
        if dose.kind == "planned" and dose.status != "cancelled"
    )
    missing = [slot for slot in history.planned if not there[slot]]
    return [
        f"medicine {medicine} has {times} doses at {at}" for (medicine, at), times in there.items() if times > 1
    ] + [f"medicine {medicine} has no dose at {at}, when its schedule says so" for medicine, at in missing]


def each_due_dose_is_told_or_says_why(history: History, slo: timedelta = SLO) -> list[str]:
    """I2: nothing is lost."""
    told = first_told(history)
    settled = {event.dose_id: event.recorded_at for event in reversed(history.events) if event.kind in RESOLVED}
    reasons = {reminder.dose_id: reminder.reason for reminder in history.reminders}
    broken = []
    for dose in history.doses:
        until = dose.due_at + slo
        if dose.kind not in ("planned", "elapsed") or dose.status == "cancelled" or until > history.until:
            continue
        if dose.id in told and told[dose.id] <= until:
            continue
        if settled.get(dose.id, history.until) <= until or reasons.get(dose.id) in REASONS:
            continue
        when = f"told {told[dose.id] - dose.due_at} after it was due" if dose.id in told else "never told"
        broken.append(f"dose {dose.id}, due at {dose.due_at}, was {when}, and no reason is on record")
    return broken


def nothing_is_told_of_what_is_settled(history: History) -> list[str]:
    """I3, but for what was in flight."""
    broken = []
    for line in history.lines:
        if line.kind not in ("due", "late"):
            continue
        for dose_id in line.dose_ids:
            settled = _settled_before(history, dose_id, line.at - IN_FLIGHT)
            if settled:
                broken.append(
                    f"dose {dose_id} was {settled.kind} at {settled.recorded_at}, and told at {line.at} ({line.key})"
                )
    return broken


def no_dose_is_completed_twice(history: History) -> list[str]:
    """I4: a further report is a conflict, not a second taking."""
    standing: Counter[str] = Counter()
    broken = []
    for event in history.events:
        standing[event.dose_id] += (event.kind in COMPLETED) - (event.kind == "undone")
        if standing[event.dose_id] > 1:
            broken.append(
                f"dose {event.dose_id} was completed again by event {event.seq} ({event.kind}, key {event.key})"
            )
    return broken


def what_was_acknowledged_is_there(history: History) -> list[str]:
    """I5: after an answer 2xx, or a lamp that said saved."""
    facts = {(event.dose_id, event.kind, event.key) for event in history.events}
    gone = [each for each in history.acknowledged if (each.dose_id, each.kind, each.key) not in facts]
    broken = [
        f"dose {each.dose_id} was acknowledged as {each.kind} (key {each.key}), and no event says so" for each in gone
    ]
    if history.presses_on_record < history.saved_presses:
        told = f"the panel saved presses on {history.saved_presses} doses"
        broken.append(f"{told}, and {history.presses_on_record} are on record")
    return broken


def no_limit_is_broken(history: History) -> list[str]:
    """I6: the least time between two of a medicine as needed, unless somebody overrode it."""
    broken = []
    taken = defaultdict(list)
    for event in history.events:
        if event.kind == "taken" and not event.override and (dose := history.dose(event.dose_id)):
            taken[dose.medicine_id].append(event.at)
    for gap in history.gaps:
        times = sorted(taken[gap.medicine_id])
        broken += [
            f"medicine {gap.medicine_id} was taken at {earlier} and at {later}, and needs {gap.least} between"
            for earlier, later in pairwise(times)
            if later - earlier < gap.least
        ]
    return broken


def the_chain_is_whole(history: History) -> list[str]:
    """I7: and a dose is what its last event made it."""
    became: dict[str, str] = {}
    for event in history.events:
        if event.kind in ("taken", "skipped", "missed", "undone"):
            became[event.dose_id] = "pending" if event.kind == "undone" else event.kind
    broken = [
        f"dose {dose.id} is {dose.status}, and its events make it {became.get(dose.id, 'pending')}"
        for dose in history.doses
        if dose.kind == "planned" and dose.status != "cancelled" and dose.status != became.get(dose.id, "pending")
    ]
    return [*history.broken_links, *broken]


def the_words_fit_the_moment(history: History) -> list[str]:
    """I8: due, late and missed mean what the dose's window says at that moment; nothing is told early."""
    broken = []
    for line in history.lines:
        doses = [dose for dose_id in line.dose_ids if (dose := history.dose(dose_id))]
        early = [dose for dose in doses if line.at < dose.due_at]
        broken += [f"dose {dose.id}, due at {dose.due_at}, was told early, at {line.at} ({line.key})" for dose in early]
        fits = _FITS.get(line.kind)
        if doses and not early and fits and not any(fits(dose, line.at) for dose in doses):
            broken.append(f"message {line.key} at {line.at} says {line.kind}, and none of its doses is: {doses[0]}")
    return broken


def everyone_told_may_know(history: History) -> list[str]:
    """I9: the member, the second and the third person; and nothing crosses households."""
    broken = []
    for line in history.lines:
        owner = history.owners.get(line.address)
        for dose_id in line.dose_ids:
            dose = history.dose(dose_id)
            if dose and owner not in history.allowed.get(dose.member_id, frozenset()):
                broken.append(f"{line.address} (of {owner}) was told of dose {dose_id} of member {dose.member_id}")
    return broken


def every_change_is_permitted(history: History) -> list[str]:
    """I11: along the edges of the state machine. What is completed again is I4's."""
    state: dict[str, str | None] = {}
    broken = []
    for event in history.events:
        dose = history.dose(event.dose_id)
        if dose is None or dose.kind not in ("planned", "elapsed"):
            continue
        before = state.get(event.dose_id)
        if event.kind not in MOVES[before] and not {event.kind, before} <= COMPLETED:
            broken.append(f"dose {event.dose_id}: event {event.seq} is {event.kind} after {before}")
        if event.kind in MOVES:
            state[event.dose_id] = event.kind
    return broken


def nobody_is_told_twice(history: History) -> list[str]:
    """Two messages about the same to the same person, neither of which is a nag. The same message that arrives twice under one key
    is none: the reader sees one (`seen_twice` counts those)."""
    broken = []
    last: dict[tuple[str, str], tuple[str, datetime]] = {}
    for delivery in sorted(history.deliveries, key=lambda each: each.made_at):
        if delivery.status == "dropped":
            continue
        for reminder_id in delivery.reminder_ids:
            before = last.get((delivery.to, reminder_id))
            if before and delivery.made_at - before[1] < NAGS_AFTER:
                broken.append(f"reminder {reminder_id} was told to {delivery.to} by {before[0]} and by {delivery.id}")
            last[delivery.to, reminder_id] = (delivery.id, delivery.made_at)
    return broken


ALL: Mapping[str, Callable[[History], list[str]]] = {
    "I1": each_slot_is_one_dose,
    "I2": each_due_dose_is_told_or_says_why,
    "I3": nothing_is_told_of_what_is_settled,
    "I4": no_dose_is_completed_twice,
    "I5": what_was_acknowledged_is_there,
    "I6": no_limit_is_broken,
    "I7": the_chain_is_whole,
    "I8": the_words_fit_the_moment,
    "I9": everyone_told_may_know,
    "I11": every_change_is_permitted,
    "once": nobody_is_told_twice,
}


def violations(history: History) -> dict[str, list[str]]:
    """What breaks which invariant; empty when all hold."""
    return {name: found for name, holds in ALL.items() if (found := holds(history))}


def first_told(history: History) -> dict[str, datetime]:
    """When somebody was first told of each dose, by what arrived."""
    told: dict[str, datetime] = {}
    for line in sorted(history.lines, key=lambda each: each.at):
        for dose_id in line.dose_ids:
            told.setdefault(dose_id, line.at)
    return told


def seen_twice(history: History) -> int:
    """Messages that arrived more than once under their key: killed between sending and recording."""
    return sum(times - 1 for times in Counter((line.address, line.key) for line in history.lines).values())


def _settled_before(history: History, dose_id: str, at: datetime) -> Event | None:
    """The event that had settled the dose by then, unless it was undone again by then."""
    settled = None
    for event in history.events_of(dose_id):
        if event.recorded_at < at:
            if event.kind in ("taken", "skipped", "missed"):
                settled = event
            elif event.kind == "undone":
                settled = None
    return settled


def _is_due(dose: Dose, at: datetime) -> bool:
    return dose.due_at <= at <= dose.late_at + TOLERANCE


def _is_late(dose: Dose, at: datetime) -> bool:
    return dose.late_at - TOLERANCE <= at <= dose.closes_at + TOLERANCE


def _is_missed(dose: Dose, at: datetime) -> bool:
    return at >= dose.closes_at


_FITS = {"due": _is_due, "late": _is_late, "missed": _is_missed}
