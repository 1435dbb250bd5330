"""The buzzer: when it sounds for a dose, and how loud. In a member's quiet hours only for what is critical, and softly.

It sounds when a dose falls due, every five minutes while nobody answers, and three times when the dose is late. A dose that is taken,
snoozed or claimed is silent.
"""

import logging
import queue
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event
from typing import Protocol

from dosette.contracts.plan import Plan, PlannedDose
from dosette.contracts.press import Press
from dosette.domain.reminders import is_quiet
from dosette_display.doses import with_presses
from dosette_display.page import State

GPIO = 19
TONE_HZ = 2700
"""Where small piezo discs are loudest."""
BEEP_S, PAUSE_S = 0.15, 0.2
AGAIN_AFTER = timedelta(minutes=5)
TIMES = 6
"""Half an hour of it; then the panel and the phones go on alone."""
MISSED_AFTER = timedelta(minutes=1)
"""What should have sounded longer ago, before a start or a step of the clock, sounds no more."""

log = logging.getLogger(__name__)


class Volume(StrEnum):
    OFF = "off"
    QUIET = "quiet"
    NORMAL = "normal"
    LOUD = "loud"


DUTY = {Volume.OFF: 0.0, Volume.QUIET: 0.02, Volume.NORMAL: 0.1, Volume.LOUD: 0.5}
"""How much of each wave the disc is driven: half is the most there is."""


@dataclass(frozen=True)
class Sound:
    beeps: int
    volume: Volume


def sound(doses: Sequence[PlannedDose], zone: str, since: datetime, now: datetime, volume: Volume) -> Sound | None:
    """What sounds for moments after `since` and up to `now`. The loudest dose is heard, the latest gives the number of beeps."""
    since = max(since, now - MISSED_AFTER)
    beeps = {dose: _beeps(dose, since, now) for dose in doses}
    heard = {dose: _heard(dose, zone, now, volume) for dose, count in beeps.items() if count}
    loudest = max(heard.values(), key=list(Volume).index, default=Volume.OFF)
    if loudest is Volume.OFF:
        return None
    return Sound(max(beeps[dose] for dose, each in heard.items() if each is not Volume.OFF), loudest)


def _beeps(dose: PlannedDose, since: datetime, now: datetime) -> int:
    if dose.status != "pending" or dose.claimed_by or now > dose.closes_at:
        return 0
    return max((count for at, count in _moments(dose) if since < at <= now), default=0)


def _moments(dose: PlannedDose) -> Iterator[tuple[datetime, int]]:
    """When it sounds, and how many beeps; a snoozed dose falls due anew when its snooze ends."""
    due_at = dose.snoozed_until or dose.due_at
    yield from ((due_at + time * AGAIN_AFTER, 2) for time in range(TIMES))
    if dose.late_at >= due_at:
        yield dose.late_at, 3


def _heard(dose: PlannedDose, zone: str, now: datetime, volume: Volume) -> Volume:
    if volume is Volume.OFF or not is_quiet(dose.quiet_from, dose.quiet_until, now, zone):
        return volume
    return Volume.QUIET if dose.critical else Volume.OFF


class Bell:
    """Looks at the plan from time to time, and rings for what fell due since it last looked. One thread looks."""

    def __init__(self, volume: Volume, ring: Callable[[Sound], None]) -> None:
        self._volume = volume
        self._ring = ring
        self._looked_at: datetime | None = None

    def look(self, plan: Plan | None, unsent: Sequence[Press], now: datetime) -> None:
        """`unsent` are presses that the plan does not know of yet."""
        since, self._looked_at = self._looked_at or now - MISSED_AFTER, now
        if plan is None or self._volume is Volume.OFF:
            return
        doses = with_presses(plan, State(waiting=tuple(unsent)))
        if heard := sound(doses, plan.zone, since, now, self._volume):
            log.info("the buzzer sounds", extra={"beeps": heard.beeps, "volume": heard.volume})
            self._ring(heard)


class Disc(Protocol):
    """gpiozero's PWMOutputDevice, as far as it is used here."""

    value: float

    def close(self) -> None: ...


class Buzzer:
    """A piezo disc on a pin that is driven by waves. It sounds on a thread of its own, so that nothing waits for it."""

    def __init__(self, disc: Disc) -> None:
        self._disc = disc
        self._sounds: queue.SimpleQueue[Sound | None] = queue.SimpleQueue()

    def ring(self, sound: Sound) -> None:
        self._sounds.put(sound)

    def run(self, stopping: Event) -> None:
        """A loop; `wake` after `stopping` is set."""
        while not stopping.is_set():
            if sound := self._sounds.get():
                self._play(sound, stopping)

    def wake(self) -> None:
        self._sounds.put(None)

    def close(self) -> None:
        self._disc.value = 0.0
        self._disc.close()

    def _play(self, sound: Sound, stopping: Event) -> None:
        for _ in range(sound.beeps):
            self._disc.value = DUTY[sound.volume]
            stopping.wait(BEEP_S)
            self._disc.value = 0.0
            stopping.wait(PAUSE_S)
