"""How long it takes after a blow until somebody is told again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

TELLING = ("scheduler", "worker", "postgresql", "redis")


@dataclass(frozen=True)
class Blow:
    """`how` is kill, stop (and go on after `for_s`) or wipe (FLUSHALL)."""

    at_s: float
    part: str
    how: str
    for_s: float = 0.0

    def named(self) -> str:
        lasting = f" for {self.for_s:.1f} s" if self.for_s else ""
        return f"{self.how} {self.part}{lasting} at {self.at_s:.1f} s"


def recoveries(
    told: dict[str, datetime], due: dict[str, datetime], struck: Sequence[tuple[Blow, datetime]]
) -> list[tuple[Blow, float]]:
    """Seconds from each blow (from its end, when a part was stopped) until a dose that fell due after it was told.

    Less those in which we held another part of what tells: nothing can recover while it is held.
    """
    found = []
    after = sorted((at, told[dose]) for dose, at in due.items() if dose in told)
    for blow, struck_at in struck:
        at = struck_at + timedelta(seconds=blow.for_s)
        if told_at := next((told_at for due_at, told_at in after if due_at >= at), None):
            found.append((blow, (told_at - at - _held(struck, at, told_at)).total_seconds()))
    return found


def _held(struck: Sequence[tuple[Blow, datetime]], since: datetime, until: datetime) -> timedelta:
    """How long of that time any part of what tells was stopped, times of several at once counted once."""
    held, counted_to = timedelta(), since
    for blow, at in struck:  # in the order of their times
        if blow.how == "stop" and blow.part in TELLING:
            end = min(until, at + timedelta(seconds=blow.for_s))
            held += max(timedelta(), end - max(at, counted_to))
            counted_to = max(counted_to, end)
    return held
