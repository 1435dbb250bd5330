"""Taking, skipping, undoing; races, replays and presses; on a real PostgreSQL."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal

import pytest

from conftest import Home, found_home
from dosette.actions import devices, doses, households, medicines, restores, stock
from dosette.actions.devices import ServerKeys
from dosette.actions.doses import Taking
from dosette.actions.medicines import Ingredient, WantedMedicine
from dosette.actions.stock import Line
from dosette.contracts.plan import Plan
from dosette.contracts.press import SNOOZE
from dosette.contracts.signing import unseal
from dosette.domain.doses import When
from dosette.domain.errors import KeyReused, NotFound, Refused
from dosette.domain.schedules import Step
from dosette.storage import doses as dose_sql
from dosette.storage import history as history_sql
from dosette.storage import stock as stock_sql
from dosette.storage.connection import Database
from dosette.testing import NOON, a_press

SOON = NOON + timedelta(minutes=30)
KEYS = ServerKeys("secret")


def _history(home: Home) -> list[dict[str, object]]:
    anything: dict[str, object] = dict.fromkeys(("before", "since", "until", "member", "medicine", "kind"))
    items: list[dict[str, object]] = json.loads(
        home.database.one(history_sql.LIST, home.reader(), **anything, limit=50)[0]
    )["items"]
    return items


def _kinds(home: Home) -> list[object]:
    return [event["kind"] for event in reversed(_history(home))]


def _conflicts(home: Home, unresolved: bool = True) -> list[dict[str, object]]:
    told = home.database.one(dose_sql.CONFLICTS, home.reader(), open=unresolved, before=None, limit=50, now=NOON)[0]
    items: list[dict[str, object]] = json.loads(told)["items"]
    return items


def _on_hand(home: Home, dose_id: str) -> str:
    medicine = next(dose["medicine"] for dose in home.doses() if dose["id"] == dose_id)
    row = home.database.one(stock_sql.LEDGER, home.reader(), medicine=medicine["id"], before=None, limit=50, now=NOON)  # type: ignore[index]
    on_hand: str = json.loads(row[0])["on_hand"]
    return on_hand


def _over_a_limit(home: Home) -> str:
    """A dose at SOON whose ingredient was taken half an hour before, by syrup; its id."""
    dose_id = home.dose(SOON, on_hand="10")
    medicine_id = next(dose["medicine"]["id"] for dose in home.doses() if dose["id"] == dose_id)  # type: ignore[index]
    entry, fields = home.writer("medicines:write"), {"ingredients": [Ingredient("Paracetamol")]}
    medicines.change(home.database, entry, medicine_id, fields, home.request(), NOON)
    syrup = WantedMedicine(home.bruno, "Syrup", "24 mg", "syrup", "ml", (Ingredient("paracetamol"),))
    told = medicines.add(home.database, home.console, syrup, Decimal(50), home.request(), NOON)
    syrup_id = json.loads(told.body)["id"]
    home.rule(syrup_id, (Step(None, Decimal(10)),), kind="as_needed", min_gap_minutes=240)
    doses.take(home.database, home.writer(), Taking(NOON, medicine_id=syrup_id), home.request(), NOON)
    return dose_id


def test_a_taken_dose_lowers_the_stock_and_stands_in_history(home: Home):
    dose_id = home.dose(SOON, on_hand="10", amount="1.5")

    told = json.loads(doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request(), SOON).body)

    assert (told["status"], told["resolved_by"]["name"]) == ("taken", "Ana")
    assert _on_hand(home, dose_id) == "8.5"
    assert _kinds(home) == ["taken"]


def test_a_second_taking_is_refused_with_who_and_when(home: Home):
    dose_id = home.dose(SOON)
    doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request(), SOON)

    with pytest.raises(Refused, match=r"was taken at 12:30 by Ana; undo it first") as refused:
        doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request(), SOON)

    assert refused.value.facts["dose"]["resolved_by"]["name"] == "Ana"  # type: ignore[index]


def test_the_same_key_again_is_answered_the_same_and_nothing_is_done(home: Home):
    dose_id = home.dose(SOON, on_hand="10")

    first = doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request("k"), SOON)
    again = doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request("k"), SOON + timedelta(days=9))

    assert (again.body, again.replayed) == (first.body, True)
    assert _on_hand(home, dose_id) == "9"


def test_the_same_key_for_another_request_is_refused(home: Home):
    dose_id, request = home.dose(SOON), home.request("k")
    doses.take(home.database, home.writer(), Taking(SOON, dose_id), request, SOON)

    with pytest.raises(KeyReused):
        doses.undo(home.database, home.writer(), dose_id, type(request)("k", b"other"), SOON, SOON)


def test_undo_gives_the_stock_back_exactly_and_keeps_both_in_history(home: Home):
    dose_id = home.dose(SOON, on_hand="10", amount="0.25")
    for _ in range(3):
        doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request(), SOON)
        doses.undo(home.database, home.writer(), dose_id, home.request(), SOON, SOON)

    assert _on_hand(home, dose_id) == "10"
    assert _kinds(home) == ["taken", "undone"] * 3


def test_a_skipped_dose_costs_nothing_and_keeps_its_reason(home: Home):
    dose_id = home.dose(SOON, on_hand="10")

    doses.skip(home.database, home.writer(), dose_id, "felt unwell", home.request(), SOON, SOON)

    assert _on_hand(home, dose_id) == "10"
    assert _history(home)[0]["reason"] == "felt unwell"


def test_outside_its_window_a_dose_can_not_be_taken(home: Home):
    dose_id = home.dose(SOON)

    with pytest.raises(Refused, match="before 10:30"):
        doses.take(
            home.database,
            home.writer(),
            Taking(SOON - timedelta(hours=3), dose_id),
            home.request(),
            SOON - timedelta(hours=3),
        )
    with pytest.raises(Refused, match="until 14:30"):
        doses.take(
            home.database,
            home.writer(),
            Taking(SOON + timedelta(hours=3), dose_id),
            home.request(),
            SOON + timedelta(hours=3),
        )


def test_a_missed_dose_can_still_be_told_to_have_been_taken_in_time(home: Home, database_of: Callable[[str], Database]):
    dose_id, evening = home.dose(SOON), SOON + timedelta(hours=8)
    assert doses.close_missed(database_of("scheduler"), evening) == 1

    doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request(), evening)

    assert _kinds(home) == ["missed", "taken"]


def test_a_dose_that_is_not_there_is_not_found(home: Home):
    with pytest.raises(NotFound):
        doses.take(home.database, home.writer(), Taking(NOON, home.id), home.request(), NOON)


def test_of_many_who_take_at_once_one_succeeds_and_each_loser_is_told_who(home: Home):
    doses_due = [home.dose(SOON, on_hand="5") for _ in range(5)]

    def race(dose_id: str) -> str:
        database = home.server.database("api")
        try:
            doses.take(database, home.writer(), Taking(SOON, dose_id), home.request(), SOON)
        except Refused as refused:
            return refused.message.split(" was ")[1]
        finally:
            database.close()
        return "won"

    with ThreadPoolExecutor(10) as pool:
        outcomes = Counter(pool.map(race, doses_due * 10))

    assert outcomes == {"won": 5, "taken at 12:30 by Ana; undo it first": 45}
    assert {_on_hand(home, dose_id) for dose_id in doses_due} == {"4"}


def test_the_chain_of_events_has_no_gap(home: Home):
    for dose_id in [home.dose(SOON) for _ in range(4)]:
        doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request(), SOON)

    assert [event["seq"] for event in _history(home)] == [4, 3, 2, 1]


def test_a_press_takes_what_it_names_and_comes_twice_without_harm(home: Home, database_of: Callable[[str], Database]):
    scheduler, dose_id = database_of("scheduler"), home.dose(SOON, on_hand="10")
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    press = a_press(paired.device_id, dose_id, at=SOON)

    first, again = doses.take_in(scheduler, press, When(SOON), SOON), doses.take_in(scheduler, press, When(SOON), SOON)

    assert (first, again) == (["done"], ["replayed"])
    assert _on_hand(home, dose_id) == "9"
    event = _history(home)[0]
    assert (event["source"], event["on"]["name"], event["by"]) == ("panel", "Kitchen", None)  # type: ignore[index]


def test_a_press_on_a_dose_that_a_phone_took_first_is_kept_as_a_conflict(
    home: Home, database_of: Callable[[str], Database]
):
    dose_id = home.dose(SOON, on_hand="10")
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request(), SOON)

    outcome = doses.take_in(database_of("scheduler"), a_press(paired.device_id, dose_id, at=SOON), When(SOON), SOON)

    assert outcome == ["conflict"]
    assert _kinds(home) == ["taken", "conflict"]
    assert _on_hand(home, dose_id) == "9"


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("kind", ["take", "skip"])
def test_a_press_just_past_the_window_is_kept_for_a_person(
    home: Home, database_of: Callable[[str], Database], kind: str, closed: bool
):
    dose_id, scheduler = home.dose(SOON), database_of("scheduler")
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    past = datetime.fromisoformat(str(home.doses()[0]["closes_at"])) + timedelta(seconds=1)
    if closed:
        doses.close_missed(scheduler, past)

    outcome = doses.take_in(scheduler, a_press(paired.device_id, dose_id, kind=kind, at=past), When(past), past)

    assert outcome == ["conflict"]
    assert home.doses()[0]["status"] == ("missed" if closed else "pending")
    assert [each["report"] for each in _conflicts(home)] == [kind]


def test_a_press_on_a_dose_that_has_moved_since_is_kept_for_a_person(
    home: Home, database_of: Callable[[str], Database]
):
    medicine_id, scheduler = home.medicine(), database_of("scheduler")
    rule = {"kind": "elapsed", "every_minutes": 480, "counted_from": "last_taken"}
    home.rule(medicine_id, (Step(None, Decimal(1)),), **rule)
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    third = str(home.doses()[2]["id"])  # due at 04:00, by the plan that the panel has
    for at in (NOON + timedelta(minutes=55), NOON + timedelta(hours=9, minutes=50)):
        doses.take(home.database, home.writer(), Taking(at, medicine_id=medicine_id), home.request(), at)
    pressed = NOON + timedelta(hours=16, minutes=5)

    outcome = doses.take_in(scheduler, a_press(paired.device_id, third, at=pressed), When(pressed), pressed)

    assert outcome == ["conflict"]
    (conflict,) = _conflicts(home)
    assert conflict["reason"] == "take pressed; outside its window"
    doses.resolve_conflict(home.database, home.writer(), str(conflict["id"]), "taken", None, home.request(), pressed)
    assert [(dose["kind"], dose["status"]) for dose in home.doses()[:3]] == [("elapsed", "taken")] * 3
    assert datetime.fromisoformat(str(home.doses()[3]["due_at"])) == pressed + timedelta(hours=8)


def test_an_undo_on_a_panel_leaves_what_a_phone_took_and_withdraws_the_panels_own_word(
    home: Home, database_of: Callable[[str], Database]
):
    dose_id, scheduler = home.dose(SOON, on_hand="10"), database_of("scheduler")
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request(), SOON)
    take, undo, again = (
        a_press(paired.device_id, dose_id, kind=kind, number=number, at=SOON)
        for number, kind in enumerate(("take", "undo", "undo"), start=1)
    )

    outcomes = [doses.take_in(scheduler, press, When(SOON), SOON) for press in (take, undo, undo, again)]

    assert outcomes == [["conflict"], ["done"], ["replayed"], ["refused"]]
    assert (home.doses()[0]["status"], _on_hand(home, dose_id)) == ("taken", "9")
    assert _kinds(home) == ["taken", "conflict", "corrected"]
    assert _conflicts(home) == []
    assert [each["status"] for each in _conflicts(home, unresolved=False)] == ["not_taken"]


def test_a_late_undo_on_a_panel_leaves_what_was_taken_after_it(home: Home, database_of: Callable[[str], Database]):
    dose_id, scheduler = home.dose(SOON), database_of("scheduler")
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    take = a_press(paired.device_id, dose_id, at=SOON)
    undo = a_press(paired.device_id, dose_id, kind="undo", number=2, at=SOON + timedelta(minutes=1))
    later = SOON + timedelta(minutes=20)
    doses.take_in(scheduler, take, When(take.at), SOON)
    doses.undo(home.database, home.writer(), dose_id, home.request(), later, later)
    doses.take(home.database, home.writer(), Taking(later, dose_id), home.request(), later)

    assert doses.take_in(scheduler, undo, When(undo.at), later) == ["refused"]

    assert home.doses()[0]["status"] == "taken"


def test_a_plan_says_what_the_device_must_know(home: Home, database_of: Callable[[str], Database]):
    dose_id = home.dose(SOON)
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    (device,) = devices.active(database_of("scheduler"))

    sealed = devices.next_plan(database_of("scheduler"), device, KEYS, NOON)

    assert sealed is not None
    plan = Plan.from_json(unseal(sealed, paired.signing_key))
    assert (plan.device, plan.number, plan.pressed) == ("Kitchen", 1, 0)
    assert (plan.doses[0].id, plan.doses[0].due_at, plan.doses[0].member) == (dose_id, SOON, "Bruno")


def test_a_plan_says_what_runs_low_what_is_snoozed_and_what_may_have_been_taken_twice(
    home: Home, database_of: Callable[[str], Database]
):
    scheduler, dose_id, other = database_of("scheduler"), home.dose(SOON), home.dose(SOON)
    home.dose(SOON, on_hand="3")
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    (device,) = devices.active(scheduler)
    doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request(), SOON)
    doses.take_in(scheduler, a_press(paired.device_id, dose_id, at=SOON), When(SOON), SOON)
    doses.take_in(scheduler, a_press(paired.device_id, other, kind="snooze", number=2, at=SOON), When(SOON), SOON)
    found_home(home.server, home.database, "Next door").dose(SOON, on_hand="0")

    sealed = devices.next_plan(scheduler, device, KEYS, SOON)

    assert sealed is not None
    plan = Plan.from_json(unseal(sealed, paired.signing_key))
    (conflict,) = plan.conflicts
    assert (conflict.report, conflict.at, conflict.status, conflict.resolved_at) == ("take", SOON, "taken", SOON)
    assert [each.snoozed_until for each in plan.doses if each.id == other] == [SOON + SNOOZE]
    assert [(each.left, each.unit, each.days_left) for each in plan.low] == [(Decimal(3), "tablet", 3)]


def test_a_plan_says_what_is_critical_and_whose_quiet_hours_are_when(
    home: Home, database_of: Callable[[str], Database]
):
    medicine_id = home.medicine("Levodopa")
    home.rule(medicine_id, (Step(SOON.time(), Decimal(1)),), critical=True)
    quiet = {"quiet_from": time(22), "quiet_until": time(7)}
    households.change_member(home.database, home.writer("members:write"), home.bruno, quiet, home.request(), NOON)
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    (device,) = devices.active(database_of("scheduler"))

    sealed = devices.next_plan(database_of("scheduler"), device, KEYS, SOON)

    assert sealed is not None
    dose = Plan.from_json(unseal(sealed, paired.signing_key)).doses[0]
    assert (dose.critical, dose.quiet_from, dose.quiet_until) == (True, time(22), time(7))


def test_a_press_snoozes_and_a_late_one_tells_at_once(home: Home, database_of: Callable[[str], Database]):
    scheduler, dose_id = database_of("scheduler"), home.dose(SOON)
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    press = a_press(paired.device_id, dose_id, kind="snooze", at=SOON)

    assert doses.take_in(scheduler, press, When(SOON), SOON + 2 * SNOOZE) == ["done"]
    assert doses.take_in(scheduler, press, When(SOON), SOON + 2 * SNOOZE) == ["replayed"]
    assert _kinds(home) == ["snoozed"]
    assert datetime.fromisoformat(str(home.doses()[0]["snoozed_until"])) == SOON + SNOOZE


def test_a_snooze_of_a_dose_that_a_phone_took_first_is_no_conflict(home: Home, database_of: Callable[[str], Database]):
    dose_id = home.dose(SOON)
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    doses.take(home.database, home.writer(), Taking(SOON, dose_id), home.request(), SOON)

    press = a_press(paired.device_id, dose_id, kind="snooze", at=SOON)

    assert doses.take_in(database_of("scheduler"), press, When(SOON), SOON) == ["refused"]
    assert _kinds(home) == ["taken"]


def test_a_reason_chosen_on_the_panel_is_kept_as_one_told_by_phone(home: Home, database_of: Callable[[str], Database]):
    dose_id = home.dose(SOON)
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    press = replace(a_press(paired.device_id, dose_id, kind="skip", at=SOON), reason="Felt unwell")

    assert doses.take_in(database_of("scheduler"), press, When(SOON), SOON) == ["done"]
    assert (_history(home)[0]["kind"], _history(home)[0]["reason"]) == ("skipped", "Felt unwell")


def test_a_press_does_all_that_a_phone_does(home: Home, database_of: Callable[[str], Database]):
    scheduler, medicine_id = database_of("scheduler"), home.medicine(on_hand="10")
    rule = {"kind": "elapsed", "every_minutes": 480, "counted_from": "last_taken"}
    home.rule(medicine_id, (Step(None, Decimal(1)),), **rule)
    box = Line(Decimal(5), batch="A", expires_on=NOON.date())
    stock.refill(home.database, home.writer("stock:write"), medicine_id, box, home.request(), NOON)
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    at = NOON + timedelta(minutes=5)

    first, second = (str(dose["id"]) for dose in home.doses()[:2])
    assert doses.take_in(scheduler, a_press(paired.device_id, first, at=at), When(at), at) == ["done"]

    assert datetime.fromisoformat(str(home.doses()[1]["due_at"])) == at + timedelta(hours=8)
    undo = a_press(paired.device_id, first, kind="undo", number=2, at=at)
    assert doses.take_in(scheduler, undo, When(at), at) == ["done"]
    assert datetime.fromisoformat(str(home.doses()[1]["due_at"])) == NOON + timedelta(hours=8)
    assert home.doses()[1]["id"] == second


def test_a_press_over_a_safe_limit_is_kept_for_a_person(home: Home, database_of: Callable[[str], Database]):
    dose_id = _over_a_limit(home)
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)

    outcome = doses.take_in(database_of("scheduler"), a_press(paired.device_id, dose_id, at=SOON), When(SOON), SOON)

    assert outcome == ["conflict"]
    assert "take pressed; too soon: Syrup was taken at 12:00" in str(_history(home)[0]["reason"])


@pytest.mark.parametrize("restored", [False, True])
def test_a_conflict_resolved_as_taken_settles_its_own_dose_though_that_is_missed_or_unknown(
    home: Home, database_of: Callable[[str], Database], postgres_url: Callable[[str], str], restored: bool
):
    dose_id, scheduler, later = _over_a_limit(home), database_of("scheduler"), SOON + timedelta(hours=3)
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)
    doses.take_in(scheduler, a_press(paired.device_id, dose_id, at=SOON), When(SOON), SOON)
    if restored:
        superuser = Database(postgres_url(home.server.name), "dosette-test")
        restores.begin_epoch(superuser, later)
        superuser.close()
    doses.close_missed(scheduler, later)
    (conflict,) = _conflicts(home)
    found = {str(dose["id"]): dose["status"] for dose in home.doses()}
    assert found[dose_id] == ("unknown" if restored else "missed")

    doses.resolve_conflict(home.database, home.writer(), str(conflict["id"]), "taken", None, home.request(), later)

    settled = {str(dose["id"]): dose["status"] for dose in home.doses()}
    assert settled == found | {dose_id: "taken"}
    assert _on_hand(home, dose_id) == "9"


def test_a_press_of_another_household_s_dose_reaches_nothing(home: Home, database_of: Callable[[str], Database]):
    other = found_home(home.server, home.database, "Next door")
    dose_id = other.dose(SOON)
    paired = devices.pair(home.database, home.console, "Kitchen", KEYS, "redis:6379", "", NOON)

    outcome = doses.take_in(database_of("scheduler"), a_press(paired.device_id, dose_id, at=SOON), When(SOON), SOON)

    assert (outcome, other.doses()[0]["status"]) == (["refused"], "pending")
