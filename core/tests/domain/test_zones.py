"""Local time in every IANA zone, at every clock change from 2020 to 2037, held against an independent library."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple
from zoneinfo import TZPATH, available_timezones

import pytest
from whenever import Instant, PlainDateTime, ZonedDateTime

from dosette.domain.schedules import Slot, slots
from dosette.domain.zones import FIRST_OFFSET, LAST_OFFSET, instant, local_day, local_time, offsets
from dosette.testing import a_version

FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
DAY, SECOND, MICROSECOND = timedelta(days=1), timedelta(seconds=1), timedelta(microseconds=1)
AROUND = timedelta(hours=36)
EVERY_DAY = (time(0), time(12), time(23, 59, 59))


class Change(NamedTuple):
    """The clocks of a zone change at `at` from `before` to `after`, both as the wall shows them."""

    zone: str
    at: datetime
    before: datetime
    after: datetime

    @property
    def leaps(self) -> bool:
        return self.after > self.before

    @property
    def between(self) -> list[datetime]:
        """First, middle and last of the local times that the clocks skip or repeat."""
        first, end = sorted((self.before, self.after))
        return [first, first + (end - first) // 2, end - MICROSECOND]

    @property
    def times(self) -> list[time]:
        """Times of day that a change could treat wrongly: at and around the edges of what it skips or repeats, and inside."""
        edges = (*self.between, self.between[0] - SECOND, max(self.before, self.after))
        return sorted({*EVERY_DAY, *(local.time() for local in edges)})

    @property
    def due(self) -> list[tuple[date, time, datetime]]:
        """Each of `times` on each local day around the change, and when that is, as another library has it."""
        days = [self.before.date() + number * DAY for number in range(-2, 3)]
        return [(day, at, _other_instant(datetime.combine(day, at), self.zone)) for day in days for at in self.times]


def _by_region(zones: Iterable[str]) -> dict[str, list[str]]:
    regions = defaultdict(list)
    for zone in zones:
        regions[zone.split("/")[0] if "/" in zone else "no region"].append(zone)
    return dict(regions)


REGIONS = _by_region(sorted(available_timezones()))
in_every_region = pytest.mark.parametrize("region", REGIONS)


@in_every_region
def test_a_time_in_the_gap_moves_to_the_first_valid_instant_after_it(region: str):
    gaps = [(change, local) for change in _changes(region) if change.leaps for local in change.between]

    wrong = [
        f"{change.zone}: {local} is {found}, not {change.at}"
        for change, local in gaps
        if (found := instant(local.date(), local.time(), change.zone)) != change.at
    ]

    assert wrong == []


@in_every_region
def test_a_time_in_the_overlap_is_the_first_of_the_two(region: str):
    overlaps = [(change, local) for change in _changes(region) if not change.leaps for local in change.between]

    wrong = [
        f"{change.zone}: {local} is {found}, after {change.at}"
        for change, local in overlaps
        if (found := instant(local.date(), local.time(), change.zone)) != change.at - (change.before - local)
    ]

    assert wrong == []


@in_every_region
def test_a_local_time_around_a_clock_change_is_the_instant_that_another_library_finds(region: str):
    wrong = [
        f"{change.zone}: {day} {at} is {found}, not {due_at}"
        for change in _changes(region)
        for day, at, due_at in change.due
        if (found := instant(day, at, change.zone)) != due_at
    ]

    assert wrong == []


@in_every_region
def test_a_daily_dose_has_one_slot_on_every_local_day_around_a_clock_change(region: str):
    wrong = []
    for change in _changes(region):
        due = [each for each in change.due if change.at - AROUND < each[2] <= change.at + AROUND]
        planned = sorted((slot.slot_on, slot.slot_time, slot.due_at) for slot in _planned_in_two_parts(change))
        if planned != due:
            wrong.append(f"{change.zone} at {change.at}: {set(planned) ^ set(due) or 'a slot stands twice'}")

    assert wrong == []


@in_every_region
def test_the_local_day_and_time_of_an_instant_are_those_that_another_library_finds(region: str):
    wrong = [
        f"{zone}: {at} is {found}, not {local}"
        for zone, at in _instants(region)
        if (found := datetime.combine(local_day(at, zone), local_time(at, zone))) != (local := _other_wall(at, zone))
    ]

    assert wrong == []


@in_every_region
def test_offsets_are_all_that_the_zone_has_each_with_the_instant_it_begins(region: str):
    one_of_each = {_other_offsets(zone): zone for zone in REGIONS[region]}

    wrong = [zone for expected, zone in one_of_each.items() if offsets(zone) != expected]

    assert wrong == []


def test_the_changes_tested_are_those_that_the_zones_are_known_for():
    changes = {zone: list(_changes_of(zone)) for zone in ("Europe/Berlin", "Australia/Lord_Howe", "Asia/Tokyo")}

    assert [
        f"{each.before:%d %b %H:%M} → {each.after:%H:%M}" for each in changes["Europe/Berlin"] if each.at.year == 2026
    ] == [
        "29 Mar 02:00 → 03:00",
        "25 Oct 03:00 → 02:00",
    ]
    assert {abs(each.after - each.before) for each in changes["Australia/Lord_Howe"]} == {timedelta(minutes=30)}
    assert changes["Asia/Tokyo"] == []


def test_no_region_is_without_its_zones():
    assert {"Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"} <= {
        *REGIONS
    }
    assert sum(len(zones) for zones in REGIONS.values()) == len(available_timezones()) > 400


@cache
def _changes(region: str) -> tuple[Change, ...]:
    """Those of the region's zones; of several names with the same rules, byte by byte, one stands for all."""
    one_of_each = {_rules(zone): zone for zone in REGIONS[region]}
    return tuple(change for zone in one_of_each.values() for change in _changes_of(zone))


def _changes_of(zone: str) -> Iterator[Change]:
    (_, old), *later = _other_offsets(zone)
    for at, new in later:
        if FIRST <= at < LAST:
            yield Change(zone, at, (at + old).replace(tzinfo=None), (at + new).replace(tzinfo=None))
        old = new


@cache
def _other_offsets(zone: str) -> tuple[tuple[datetime, timedelta], ...]:
    at: ZonedDateTime | None = Instant(FIRST_OFFSET).to_tz(zone)
    found: list[tuple[datetime, timedelta]] = []
    while at and at.to_instant() < Instant(LAST_OFFSET):
        local = at.to_stdlib()
        offset = local.utcoffset() or timedelta()
        if not found or offset != found[-1][1]:  # a change of name only, such as GMT to IST, is none
            found.append((local.astimezone(UTC), offset))
        at = at.next_transition()
    return tuple(found)


def _other_instant(local: datetime, zone: str) -> datetime:
    plain = PlainDateTime(local)
    found = plain.assume_tz(zone, disambiguation="earlier")
    if found.to_plain() != plain:  # in a gap, it goes back by the gap's length; the next change is the gap
        found = found.next_transition() or found
    return found.to_instant().to_stdlib()


def _other_wall(at: datetime, zone: str) -> datetime:
    return Instant(at).to_tz(zone).to_plain().to_stdlib()


def _instants(region: str) -> Iterator[tuple[str, datetime]]:
    """Instants at which a local day or an offset begins, and those just before."""
    for change in _changes(region):
        midnights = [due_at for _, at, due_at in change.due if at == time()]
        for at in (change.at, *midnights):
            yield from ((change.zone, at - MICROSECOND), (change.zone, at))


def _planned_in_two_parts(change: Change) -> list[Slot]:
    version = a_version(*(at.isoformat() for at in change.times), zone=change.zone, starts_on=date(2019, 1, 1))
    return slots(version, change.at - AROUND, change.at) + slots(version, change.at, change.at + AROUND)


def _rules(zone: str) -> bytes:
    """The file that the standard library reads for this zone."""
    files = (Path(folder, zone) for folder in TZPATH)
    found = next((file for file in files if file.is_file()), None)
    return (found or resources.files("tzdata").joinpath("zoneinfo", *zone.split("/"))).read_bytes()
