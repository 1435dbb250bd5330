"""What was measured of one operation: every try, in the rounds that it was tried in, and why a try failed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Load:
    """How requests come: in a closed loop each user waits for the answer, in an open one they come at a rate, whatever happens.

    `users` and `think_time_s` belong to a closed loop, `rate_rps` to an open one.
    """

    model: Literal["closed", "open"]
    users: int | None = None
    think_time_s: float | None = None
    rate_rps: float | None = None


ONE_USER = Load("closed", users=1, think_time_s=0)


@dataclass
class Series:
    """The tries of one operation. A failed try is None, never a fast success; its reason is counted."""

    operation: str
    unit: str = "ms"
    better: Better = "lower"
    load: Load | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    rounds: list[list[float | None]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    not_measured: str | None = None

    def next_round(self) -> None:
        """What is added from now on belongs together: it was measured within a moment."""
        self.rounds.append([])

    def add(self, value: float) -> None:
        self._round().append(value)

    def fail(self, reason: str) -> None:
        self._round().append(None)
        self.reasons[reason] += 1

    def note(self, **facts: Any) -> None:
        """What else is known of it: CPU time, messages, bytes; see the schema for the names."""
        self.facts |= facts

    @property
    def tries(self) -> Sequence[float | None]:
        return [value for each in self.rounds for value in each]

    @property
    def values(self) -> list[float]:
        """Of the tries that succeeded."""
        return [value for value in self.tries if value is not None]

    def _round(self) -> list[float | None]:
        if not self.rounds:
            self.next_round()
        return self.rounds[-1]
