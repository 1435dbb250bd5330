"""Safe limits of what is taken as needed: by active ingredient, over all products of a member and all who give."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Home, found_home
from dosette.actions import devices, doses, history, households, medicines
from dosette.actions.devices import ServerKeys
from dosette.actions.doses import Taking
from dosette.actions.medicines import Ingredient, WantedMedicine
from dosette.domain.doses import When
from dosette.domain.errors import OverLimit
from dosette.domain.members import SCOPES
from dosette.domain.schedules import AS_NEEDED, Step
from dosette.storage import doses as dose_sql
from dosette.storage import history as history_sql
from dosette.storage.access import with_token
from dosette.storage.connection import Database, Entry
from dosette.testing import NOON, a_press

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
DAY = 24 * HOUR
PARACETAMOL = Ingredient("paracetamol", Decimal(500), "mg")


def _product(
    home: Home, name: str, *contents: Ingredient, member: str | None = None, kept: Entry | None = None, **limits: Any
) -> str:
    """The id of a medicine as needed with these limits, or of one without a schedule."""
    wanted = WantedMedicine(member or home.bruno, name, "500 mg", "tablet", "tablet", contents)
    told = medicines.add(home.database, kept or home.console, wanted, Decimal(10_000), home.request(), NOON)
    medicine_id: str = json.loads(told.body)["id"]
    if limits:
        home.rule(medicine_id, (Step(None, Decimal(1)),), now=NOON - 30 * DAY, kind=AS_NEEDED, **limits)
    return medicine_id


def _give(
    home: Home, medicine_id: str, at: datetime, amount: int | str = 1, giver: Entry | None = None, **said: Any
) -> str:
    """The id of the dose that was taken. Raises OverLimit."""
    taking = Taking(at, medicine_id=medicine_id, amount=Decimal(amount), **said)
    told = doses.take(home.database, giver or home.writer(), taking, home.request(), at)
    dose_id: str = json.loads(told.body)["id"]
    return dose_id


def _refused(home: Home, medicine_id: str, at: datetime, amount: int | str = 1, **said: Any) -> dict[str, Any]:
    """What is told of the limit that forbids it."""
    with pytest.raises(OverLimit) as refused:
        _give(home, medicine_id, at, amount, **said)
    return dict(refused.value.facts["limit"])  # type: ignore[call-overload]


def _is_free_from(home: Home, free_at: datetime, medicine_id: str, asked_at: datetime, amount: int | str = 1) -> None:
    """Asked at `asked_at`, it is refused and told to be free at `free_at`; then it is, and not one second before."""
    told = _refused(home, medicine_id, asked_at, amount)

    assert datetime.fromisoformat(told["free_at"]) == free_at
    _refused(home, medicine_id, free_at - SECOND, amount)
    _give(home, medicine_id, free_at, amount)


def _pressed(home: Home, scheduler: Database, dose_id: str, at: datetime) -> str:
    """The id of the conflict that a press on a panel became."""
    paired = devices.pair(home.database, home.console, "Kitchen", ServerKeys("secret"), "redis:6379", "", NOON)
    assert doses.take_in(scheduler, a_press(paired.device_id, dose_id, at=at), When(at), at) == ["conflict"]
    page = home.database.one(dose_sql.CONFLICTS, home.reader(), open=True, before=None, limit=5, now=at)[0]
    conflict_id: str = json.loads(page)["items"][0]["id"]
    return conflict_id


def _newest_event(home: Home) -> dict[str, Any]:
    anything: dict[str, object] = dict.fromkeys(("before", "since", "until", "member", "medicine", "kind"))
    page = json.loads(home.database.one(history_sql.LIST, home.reader(), **anything, limit=1)[0])
    event: dict[str, Any] = page["items"][0]
    return event


# -- The gap between two


def test_a_second_one_is_too_soon_until_the_gap_has_passed(home: Home):
    tablet = _product(home, "Tablet", min_gap_minutes=240)
    _give(home, tablet, NOON)

    _is_free_from(home, NOON + 4 * HOUR, tablet, NOON + MINUTE)


def test_the_gap_holds_across_products_with_the_same_ingredient_however_it_is_written(home: Home):
    tablet = _product(home, "Tablet", Ingredient("Paracetamol "), min_gap_minutes=240)
    syrup = _product(home, "Syrup", PARACETAMOL, min_gap_minutes=60)
    _give(home, syrup, NOON)

    told = _refused(home, tablet, NOON + 4 * HOUR - SECOND)

    assert (told["rule"], told["taken"], told["product"], told["gap_minutes"]) == ("min_gap", "Syrup", "Tablet", 240)
    _give(home, tablet, NOON + 4 * HOUR)


def test_the_gap_of_one_product_forbids_the_other_one_too(home: Home):
    strict = _product(home, "Strict", PARACETAMOL, min_gap_minutes=360)
    lenient = _product(home, "Lenient", PARACETAMOL, min_gap_minutes=60)
    _give(home, strict, NOON)

    _is_free_from(home, NOON + 6 * HOUR, lenient, NOON + 2 * HOUR)


def test_products_that_share_no_ingredient_share_no_gap(home: Home):
    one, other = (_product(home, name, Ingredient(name), min_gap_minutes=240) for name in ("ibuprofen", "paracetamol"))
    _give(home, one, NOON)

    _give(home, other, NOON)


def test_products_of_the_same_name_without_ingredients_share_nothing(home: Home):
    one, other = (_product(home, "Drops", min_gap_minutes=240) for _ in range(2))
    _give(home, one, NOON)

    _give(home, other, NOON)


def test_what_two_medicines_share_with_a_third_keeps_no_gap_between_them(home: Home):
    _product(home, "Both", PARACETAMOL, Ingredient("caffeine"), min_gap_minutes=360)
    one, other = _product(home, "One", PARACETAMOL), _product(home, "Other", Ingredient("caffeine"))
    _give(home, one, NOON, extra=True)

    _give(home, other, NOON + HOUR, extra=True)


def test_the_gap_holds_whoever_gives(home: Home):
    tablet = _product(home, "Tablet", min_gap_minutes=240)
    token = households.add_token(home.database, home.console, "phone", "Bruno", SCOPES, NOON)
    _give(home, tablet, NOON, giver=with_token(token, "doses:take", writes=True))

    told = _refused(home, tablet, NOON + HOUR)

    assert told["by"]["name"] == "Bruno"


def test_a_stated_time_keeps_the_gap_to_what_was_taken_before_and_after(home: Home):
    tablet = _product(home, "Tablet", min_gap_minutes=240)
    _give(home, tablet, NOON)
    _give(home, tablet, NOON + 9 * HOUR)

    _refused(home, tablet, NOON + 4 * HOUR - SECOND)
    _refused(home, tablet, NOON + 5 * HOUR + SECOND)
    _refused(home, tablet, NOON - 4 * HOUR + SECOND)

    _give(home, tablet, NOON + 4 * HOUR + 30 * MINUTE)
    _give(home, tablet, NOON - 4 * HOUR)


# -- The most in 24 hours


def test_the_most_rolls_on_and_ends_exactly_a_day_after_the_first(home: Home):
    tablet = _product(home, "Tablet", most_per_24_h=Decimal(4))
    _give(home, tablet, NOON, 3)
    _give(home, tablet, NOON + HOUR, 1)

    _is_free_from(home, NOON + DAY, tablet, NOON + 2 * HOUR, 3)
    _is_free_from(home, NOON + DAY + HOUR, tablet, NOON + DAY + SECOND)


def test_a_fraction_over_the_most_is_too_much_and_exactly_the_most_is_not(home: Home):
    tablet = _product(home, "Tablet", most_per_24_h=Decimal("2.5"))
    _give(home, tablet, NOON, "1.25")

    told = _refused(home, tablet, NOON, "1.2501")

    assert (told["rule"], told["taken"], told["wanted"], told["most"]) == ("most_per_24_h", "1.25", "1.2501", "2.5")
    _give(home, tablet, NOON, "1.25")


def test_more_than_the_most_at_once_is_never_free(home: Home):
    tablet = _product(home, "Tablet", most_per_24_h=Decimal(2))

    assert _refused(home, tablet, NOON, 3)["free_at"] is None


@pytest.mark.parametrize(
    ("amount", "unit", "left"),
    [("1", "g", 2), ("500", "mg", 4), ("250000", "mcg", 8), ("0.0004", "g", 5000)],
    ids=["g", "mg", "mcg", "a fraction of a g"],
)
def test_the_most_is_counted_in_mass_over_products(home: Home, amount: str, unit: str, left: int):
    tablet = _product(home, "Tablet", PARACETAMOL, most_per_24_h=Decimal(8))
    other = _product(home, "Other", Ingredient("paracetamol", Decimal(amount), unit), min_gap_minutes=1)
    _give(home, tablet, NOON, 4)

    told = _refused(home, other, NOON + HOUR, left + 1)

    assert (told["taken"], told["most"], told["ingredient"], told["measure"]) == ("2000", "4000", "paracetamol", "mg")
    _give(home, other, NOON + HOUR, left)
    _refused(home, tablet, NOON + 2 * HOUR)


@pytest.mark.parametrize("unit", ["ml", "IU", "%"])
def test_different_measures_are_not_added_up(home: Home, unit: str):
    tablet = _product(home, "Tablet", PARACETAMOL, most_per_24_h=Decimal(1))
    other = _product(home, "Other", Ingredient("paracetamol", Decimal(500), unit), most_per_24_h=Decimal(1))
    _give(home, tablet, NOON)

    _give(home, other, NOON)


def test_an_amount_that_nobody_stated_counts_for_its_own_product_alone(home: Home):
    tablet = _product(home, "Tablet", PARACETAMOL, most_per_24_h=Decimal(1))
    vague = _product(home, "Vague", Ingredient("paracetamol"), most_per_24_h=Decimal(1))
    _give(home, vague, NOON)

    _refused(home, vague, NOON + HOUR)
    _give(home, tablet, NOON)


def test_of_two_ingredients_the_one_that_is_used_up_forbids(home: Home):
    codeine = Ingredient("codeine", Decimal(30), "mg")
    both = _product(home, "Both", PARACETAMOL, codeine, most_per_24_h=Decimal(2))
    cough = _product(home, "Cough", Ingredient("Codeine", Decimal("0.06"), "g"), min_gap_minutes=1)
    _give(home, cough, NOON)

    assert _refused(home, both, NOON + HOUR)["ingredient"] == "codeine"


def test_a_stated_time_keeps_the_most_of_every_24_hours_around_it(home: Home):
    tablet = _product(home, "Tablet", most_per_24_h=Decimal(3))
    _give(home, tablet, NOON, 2)
    _give(home, tablet, NOON + 30 * HOUR, 3)

    _refused(home, tablet, NOON + 6 * HOUR + SECOND)
    _give(home, tablet, NOON + 6 * HOUR)
    _refused(home, tablet, NOON - DAY + SECOND, 2)
    _give(home, tablet, NOON - DAY, 2)


def test_what_was_corrected_counts_at_its_right_time(home: Home):
    tablet = _product(home, "Tablet", min_gap_minutes=240)
    dose_id = _give(home, tablet, NOON)
    doses.correct(home.database, home.writer(), dose_id, NOON - HOUR, None, None, home.request(), NOON)

    _is_free_from(home, NOON + 3 * HOUR, tablet, NOON)


def test_a_correction_keeps_the_limits_but_does_not_count_the_dose_itself(home: Home):
    tablet = _product(home, "Tablet", min_gap_minutes=240, most_per_24_h=Decimal(2))
    _give(home, tablet, NOON)
    second, now = _give(home, tablet, NOON + 4 * HOUR), NOON + 5 * HOUR

    def correct(at: datetime) -> None:
        doses.correct(home.database, home.writer(), second, at, None, None, home.request(), now)

    with pytest.raises(OverLimit):
        correct(NOON + 4 * HOUR - SECOND)
    correct(now)


def test_what_was_undone_does_not_count(home: Home):
    tablet = _product(home, "Tablet", min_gap_minutes=240, most_per_24_h=Decimal(1))
    dose_id = _give(home, tablet, NOON)
    doses.undo(home.database, home.writer(), dose_id, home.request(), NOON, NOON)

    _give(home, tablet, NOON + SECOND)


# -- What counts, and for whom


def test_scheduled_doses_of_the_same_ingredient_count_and_are_held_to_the_limits(home: Home):
    tablet = _product(home, "Tablet", PARACETAMOL, min_gap_minutes=240)
    daily = _product(home, "Daily", PARACETAMOL)
    home.schedule(daily, "12:00", "18:00", now=NOON - DAY)
    _give(home, daily, NOON)

    _is_free_from(home, NOON + 4 * HOUR, tablet, NOON + HOUR)
    _refused(home, daily, NOON + 6 * HOUR)


def test_an_extra_dose_counts_and_is_held_to_the_limits(home: Home):
    tablet = _product(home, "Tablet", most_per_24_h=Decimal(2))
    _give(home, tablet, NOON, extra=True)
    _give(home, tablet, NOON + HOUR)

    _refused(home, tablet, NOON + 2 * HOUR, extra=True)


def test_an_archived_product_has_no_limit_but_what_was_taken_of_it_counts(home: Home):
    strict = _product(home, "Strict", PARACETAMOL, min_gap_minutes=600)
    lenient = _product(home, "Lenient", PARACETAMOL, min_gap_minutes=60)
    _give(home, strict, NOON)
    medicines.archive(home.database, home.writer("medicines:write"), strict, NOON)

    _is_free_from(home, NOON + HOUR, lenient, NOON)


def test_another_member_s_takings_and_limits_are_theirs(home: Home):
    for_ana = _product(home, "Tablet", PARACETAMOL, member=home.ana, min_gap_minutes=240, most_per_24_h=Decimal(1))
    for_bruno = _product(home, "Tablet", PARACETAMOL, min_gap_minutes=60, most_per_24_h=Decimal(1))
    _give(home, for_ana, NOON)

    _give(home, for_bruno, NOON)


def test_a_reported_taking_counts_until_a_person_says_that_it_was_none(
    home: Home, database_of: Callable[[str], Database]
):
    daily, tablet = _product(home, "Daily", PARACETAMOL), _product(home, "Tablet", PARACETAMOL, min_gap_minutes=240)
    home.schedule(daily, "12:00", now=NOON - DAY)
    dose_id = _give(home, daily, NOON)
    conflict = _pressed(home, database_of("scheduler"), dose_id, NOON + HOUR)

    told = _refused(home, tablet, NOON + 5 * HOUR - SECOND)
    doses.resolve_conflict(home.database, home.writer(), conflict, "not_taken", None, home.request(), NOON + 2 * HOUR)

    assert (told["reported"], told["on"]["name"]) == (True, "Kitchen")
    _is_free_from(home, NOON + 4 * HOUR, tablet, NOON + 3 * HOUR)


def test_a_reported_taking_that_was_one_goes_on_counting_once(home: Home, database_of: Callable[[str], Database]):
    daily, tablet = _product(home, "Daily", PARACETAMOL), _product(home, "Tablet", PARACETAMOL)
    home.rule(tablet, (Step(None, Decimal(1)),), now=NOON - DAY, kind=AS_NEEDED, most_per_24_h=Decimal(3))
    home.schedule(daily, "12:00", now=NOON - DAY)
    conflict = _pressed(home, database_of("scheduler"), _give(home, daily, NOON), NOON + HOUR)
    doses.resolve_conflict(home.database, home.writer(), conflict, "taken", None, home.request(), NOON + 2 * HOUR)

    _refused(home, tablet, NOON + 3 * HOUR, 2)
    _give(home, tablet, NOON + 3 * HOUR, 1)


# -- Over a limit on purpose


def test_over_a_limit_needs_a_reason_which_history_keeps_with_the_limit(home: Home):
    tablet = _product(home, "Tablet", min_gap_minutes=240)
    _give(home, tablet, NOON)
    _refused(home, tablet, NOON + HOUR)

    _give(home, tablet, NOON + HOUR, override_reason="the doctor said so")

    event = _newest_event(home)
    assert (event["kind"], event["reason"]) == ("taken", "the doctor said so")
    limit = event["detail"]["override"]
    assert (limit["rule"], limit["gap_minutes"], limit["taken"]) == ("min_gap", 240, "Tablet")


def test_a_reason_that_was_not_needed_overrides_nothing(home: Home):
    tablet = _product(home, "Tablet", min_gap_minutes=240)

    _give(home, tablet, NOON, override_reason="to be sure")

    assert _newest_event(home)["detail"] is None


def test_what_was_taken_over_a_limit_counts_for_the_next(home: Home):
    tablet = _product(home, "Tablet", most_per_24_h=Decimal(2))
    _give(home, tablet, NOON, 2)
    _give(home, tablet, NOON + HOUR, 2, override_reason="the doctor said so")

    _is_free_from(home, NOON + HOUR + DAY, tablet, NOON + 2 * HOUR)


# -- From when it may be taken


def test_with_a_gap_and_a_most_it_is_free_when_both_hold(home: Home):
    tablet = _product(home, "Tablet", min_gap_minutes=240, most_per_24_h=Decimal(2))
    _give(home, tablet, NOON)
    _give(home, tablet, NOON + 4 * HOUR)

    _is_free_from(home, NOON + DAY, tablet, NOON + 5 * HOUR)


def test_with_two_products_gaps_it_is_free_when_both_hold(home: Home):
    short = _product(home, "Short", PARACETAMOL, min_gap_minutes=60)
    _product(home, "Long", PARACETAMOL, min_gap_minutes=360)
    _give(home, short, NOON)

    _is_free_from(home, NOON + 6 * HOUR, short, NOON + MINUTE)


def test_with_two_ingredients_it_is_free_when_both_are(home: Home):
    codeine = Ingredient("codeine", Decimal(30), "mg")
    both = _product(home, "Both", PARACETAMOL, codeine, most_per_24_h=Decimal(2))
    for hours, each in enumerate((PARACETAMOL, codeine)):
        _give(home, _product(home, each.name, each, min_gap_minutes=1), NOON + hours * HOUR, 2)

    _is_free_from(home, NOON + HOUR + DAY, both, NOON + 2 * HOUR)


def test_a_stated_time_between_two_is_free_only_after_the_later_one(home: Home):
    tablet = _product(home, "Tablet", min_gap_minutes=240)
    _give(home, tablet, NOON)
    _give(home, tablet, NOON + 5 * HOUR)

    _is_free_from(home, NOON + 9 * HOUR, tablet, NOON + HOUR)


# -- Against a model that looks at every quarter of an hour


@dataclass(frozen=True)
class Product:
    """A medicine as the model knows it; masses in mg, None where nobody said how much; `planned`: not as needed."""

    name: str
    contents: Mapping[str, tuple[Decimal | None, str]]
    gap: timedelta | None = None
    most: Decimal | None = None
    planned: bool = False


@dataclass(frozen=True)
class Given:
    product: Product
    at: datetime
    amount: Decimal


QUARTER = timedelta(minutes=15)
INGREDIENTS = {
    "tablet": (PARACETAMOL,),
    "syrup": (Ingredient(" Paracetamol", Decimal("0.1"), "g"),),
    "both": (Ingredient("PARACETAMOL", Decimal(400_000), "mcg"), Ingredient("caffeine", Decimal(50), "mg")),
    "drops": (Ingredient("paracetamol"),),
    "infusion": (Ingredient("paracetamol", Decimal(500), "ml"),),
    "herbal": (),
}
CONTENTS: Mapping[str, Mapping[str, tuple[Decimal | None, str]]] = {
    "tablet": {"paracetamol": (Decimal(500), "mg")},
    "syrup": {"paracetamol": (Decimal(100), "mg")},
    "both": {"paracetamol": (Decimal(400), "mg"), "caffeine": (Decimal(50), "mg")},
    "drops": {"paracetamol": (None, "")},
    "infusion": {"paracetamol": (Decimal(500), "ml")},
    "herbal": {},
}

limits = st.one_of(
    st.just((None, None, True)),
    st.tuples(st.integers(1, 40).map(lambda n: n * QUARTER), st.none(), st.just(False)),
    st.tuples(st.none(), st.decimals(1, 6, places=1), st.just(False)),
    st.tuples(st.integers(1, 40).map(lambda n: n * QUARTER), st.decimals(1, 6, places=1), st.just(False)),
)
products = st.lists(st.sampled_from(sorted(CONTENTS)), min_size=1, max_size=4, unique=True).flatmap(
    lambda names: st.tuples(
        *(limits.map(lambda rule, name=name: Product(name, CONTENTS[name], *rule)) for name in names)
    )
)
hours = st.sampled_from([0, 48, 96, 144])
"""In quarters: of these, many are a day apart, to the second."""
attempts = st.lists(
    st.tuples(st.integers(0, 3), hours | st.integers(0, 40 * 4), st.sampled_from(["0.5", "1", "1.5", "2", "3"])),
    min_size=4,
    max_size=14,
)
"""Which product, when after the first (in any order: a time may be stated later), and how much of it."""


def _allowed(known: Sequence[Product], wanted: Given, given_before: Sequence[Given]) -> bool:
    holding = [each for each in known if not each.planned and _shares(each, wanted.product)]
    return all(_gap_kept(each, wanted, given_before) and _most_kept(each, wanted, given_before) for each in holding)


def _shares(one: Product, other: Product) -> bool:
    return one is other or bool(one.contents.keys() & other.contents.keys())


def _gap_kept(product: Product, wanted: Given, given_before: Sequence[Given]) -> bool:
    counting = [each for each in given_before if _shares(product, each.product)]
    return product.gap is None or all(abs(each.at - wanted.at) >= product.gap for each in counting)


def _most_kept(product: Product, wanted: Given, given_before: Sequence[Given]) -> bool:
    if product.most is None:
        return True
    after = [*given_before, wanted]
    moments = [wanted.at + number * QUARTER for number in range(24 * 4)]
    if product is wanted.product:
        own = [(each.at, each.amount) for each in after if each.product is product]
        if not _never_more_than(product.most, own, moments):
            return False
    return all(
        mass is None
        or product.contents[name][0] is None
        or wanted.product.contents.get(name, (None, ""))[0] is None
        or wanted.product.contents[name][1] != measure
        or _never_more_than(product.most * mass, _masses(name, measure, after), moments)
        for name, (mass, measure) in product.contents.items()
    )


def _masses(name: str, measure: str, takings: Sequence[Given]) -> list[tuple[datetime, Decimal]]:
    found = [(each, each.product.contents.get(name, (None, ""))) for each in takings]
    return [(each.at, each.amount * mass) for each, (mass, its) in found if mass is not None and its == measure]


def _never_more_than(most: Decimal, amounts: Sequence[tuple[datetime, Decimal]], moments: Sequence[datetime]) -> bool:
    return all(sum(amount for at, amount in amounts if end - DAY < at <= end) <= most for end in moments)


bounded = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@bounded
@given(known=products, tried=attempts)
def test_what_may_be_taken_is_what_a_look_at_every_quarter_of_an_hour_allows(
    home: Home, known: tuple[Product, ...], tried: list[tuple[int, int, str]]
):
    here, ids = _household(home, known)
    given_before: list[Given] = []

    for wanted in _in_words(known, tried):
        expected = _allowed(known, wanted, given_before)
        try:
            _give(here, ids[wanted.product.name], wanted.at, str(wanted.amount), extra=wanted.product.planned)
        except OverLimit:
            assert not expected, (wanted, given_before)
        else:
            assert expected, (wanted, given_before)
            given_before.append(wanted)

    assert history.verify(here.database, here.reader()).faults == ()


@bounded
@given(known=products, tried=attempts)
def test_it_is_told_to_be_free_when_the_model_first_allows_it(
    home: Home, known: tuple[Product, ...], tried: list[tuple[int, int, str]]
):
    here, ids = _household(home, known)
    *given_before, wanted = _in_words(known, tried)
    for each in given_before:
        why = {"override_reason": "so that anything may have been taken", "extra": each.product.planned}
        _give(here, ids[each.product.name], each.at, str(each.amount), **why)

    try:
        _give(here, ids[wanted.product.name], wanted.at, str(wanted.amount), extra=wanted.product.planned)
    except OverLimit as refused:
        told = refused.facts["limit"]["free_at"]  # type: ignore[index]
        assert (datetime.fromisoformat(told) if told else None) == _first_allowed(known, wanted, given_before)


def _household(home: Home, known: Sequence[Product]) -> tuple[Home, dict[str, str]]:
    """A new one that has these products, with their ids by name."""
    here = found_home(home.server, home.database, f"Home {uuid4()}")
    return here, {each.name: _in_house(here, each) for each in known}


def _in_house(home: Home, product: Product) -> str:
    gap = int(product.gap / MINUTE) if product.gap else None
    rule = {} if product.planned else {"min_gap_minutes": gap, "most_per_24_h": product.most}
    return _product(home, product.name, *INGREDIENTS[product.name], **rule)


def _in_words(known: Sequence[Product], tried: Sequence[tuple[int, int, str]]) -> list[Given]:
    return [
        Given(known[number % len(known)], NOON + quarters * QUARTER, Decimal(amount))
        for number, quarters, amount in tried
    ]


def _first_allowed(known: Sequence[Product], wanted: Given, given_before: Sequence[Given]) -> datetime | None:
    """Whatever forbids it ends a gap or a day after something that was taken."""
    ends = [DAY, *(each.gap for each in known if each.gap)]
    moments = sorted({each.at + length for each in given_before for length in ends})
    later = [replace(wanted, at=moment) for moment in moments if moment > wanted.at]
    return next((each.at for each in later if _allowed(known, each, given_before)), None)
