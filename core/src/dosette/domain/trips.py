"""A trip, or a move, to another time zone: which doses move, by the clock on the wall or by the sun."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from dosette.domain.schedules import FIXED, Slot, Version, slots
from dosette.domain.zones import local_time

SHIFT = "shift"
LONGEST = timedelta(days=366)
"""Who stays away longer has moved: then there is no `until`."""
SHOWN = timedelta(days=3)
"""How many days on each side of a change of zone are looked at."""


@dataclass(frozen=True)
class Move:
    """One dose, before and on the trip: when it is due, and what the clock on the wall there says then."""

    was_at: datetime
    was_local: str
    becomes_at: datetime
    becomes_local: str


@dataclass(frozen=True)
class Effect:
    """What a trip does to one medicine. `vanish`: the clock there has passed their time when the zone changes.
    `too_close`: two doses would be nearer than half of the usual shortest time between them."""

    moves: tuple[Move, ...]
    vanish: tuple[Slot, ...]
    shortest_gap_minutes: int | None
    longest_gap_minutes: int | None
    too_close: bool


@dataclass(frozen=True)
class Trip:
    """From `since` on (until `until`, None: for good) the wall clock shows `zone`; `doses` keep home time or shift to it."""

    zone: str
    since: datetime
    doses: str
    until: datetime | None = None

    def effect(self, version: Version, now: datetime, next_at: datetime | None = None) -> Effect:
        """Which doses of the first and last days move, and how close to each other they would fall."""
        first, last = max(now, self.since - SHOWN), (self.until or self.since) + SHOWN
        at_home = slots(version, first, last, next_at)
        away = self._on_trip(version, first, last) if self.doses == SHIFT and version.kind == FIXED else at_home
        gaps, usual, kept = _gaps(away), _gaps(at_home), {_key(slot) for slot in away}
        return Effect(
            moves=tuple(
                self._move(was, becomes, version.zone)
                for was, becomes in _paired(at_home, away)
                if self._is_seen(was, becomes)
            ),
            vanish=tuple(slot for slot in at_home if _key(slot) not in kept),
            shortest_gap_minutes=_minutes(min(gaps, default=None)),
            longest_gap_minutes=_minutes(max(gaps, default=None)),
            too_close=bool(gaps and usual and min(gaps) < min(usual) / 2),
        )

    def _on_trip(self, version: Version, first: datetime, last: datetime) -> list[Slot]:
        there = replace(version, zone=self.zone)
        back = self.until or last
        parts = (
            slots(version, first, self.since),
            slots(there, max(first, self.since), back),
            slots(version, back, last),
        )
        once = {
            _key(slot): slot for part in reversed(parts) for slot in part
        }  # a slot happens once: where it comes first
        return sorted(once.values(), key=lambda slot: slot.due_at)

    def _is_seen(self, was: Slot, becomes: Slot) -> bool:
        return self._is_away(becomes.due_at) or was.due_at != becomes.due_at

    def _is_away(self, at: datetime) -> bool:
        return self.since < at and (self.until is None or at <= self.until)

    def _move(self, was: Slot, becomes: Slot, home: str) -> Move:
        wall = self.zone if self._is_away(becomes.due_at) else home
        return Move(was.due_at, _clock(was.due_at, home), becomes.due_at, _clock(becomes.due_at, wall))


def _paired(at_home: list[Slot], away: list[Slot]) -> list[tuple[Slot, Slot]]:
    """Each dose at home with the one of the same slot on the trip."""
    there = {_key(slot): slot for slot in away}
    return [(slot, there[_key(slot)]) for slot in at_home if _key(slot) in there]


def _key(slot: Slot) -> tuple[date, time]:
    return slot.slot_on, slot.slot_time


def _gaps(planned: list[Slot]) -> list[timedelta]:
    return [later.due_at - earlier.due_at for earlier, later in pairwise(planned)]


def _minutes(gap: timedelta | None) -> int | None:
    return None if gap is None else int(gap / timedelta(minutes=1))


def _clock(at: datetime, zone: str) -> str:
    return local_time(at, zone).strftime("%H:%M")
