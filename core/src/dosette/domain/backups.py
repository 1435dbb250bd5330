"""Backups: when the next one is due, what each is called, and which are kept."""

import re
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice

DAILY, WEEKLY, MONTHLY = 7, 4, 12
SUFFIX = ".dump.age"

_NAME = re.compile(r"dosette-(?P<at>\d{8}T\d{6}Z)-(?P<server>[0-9a-f-]{36})\.dump\.age")
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, order=True)
class Backup:
    """One backup that passed its rehearsal: of which server, and when its dump was begun (UTC, whole seconds)."""

    made_at: datetime
    server: str

    @property
    def name(self) -> str:
        """Of its file."""
        return f"dosette-{self.made_at.astimezone(UTC).strftime(_STAMP)}-{self.server}{SUFFIX}"

    @classmethod
    def named(cls, name: str) -> "Backup | None":
        """None: that is no backup's name."""
        found = _NAME.fullmatch(name)
        if not found:
            return None
        try:
            return cls(datetime.strptime(found["at"], _STAMP).replace(tzinfo=UTC), found["server"])
        except ValueError:
            return None


def kept(backups: Collection[Backup], now: datetime) -> set[Backup]:
    """Those to keep: the newest of each of the last 7 days, 4 weeks and 12 months that have one. All others may go.

    The newest is always among them. One from the future was made while a clock was wrong: it is kept, and counts for nothing.
    """
    past = sorted((each for each in backups if each.made_at <= now), reverse=True)
    return {
        *(each for each in backups if each.made_at > now),
        *_newest_of_each(past, lambda at: at.date(), DAILY),
        *_newest_of_each(past, lambda at: at.isocalendar()[:2], WEEKLY),
        *_newest_of_each(past, lambda at: (at.year, at.month), MONTHLY),
    }


def next_at(backups: Iterable[Backup], daily_at: time, now: datetime) -> datetime:
    """When the next one is to be made: at `daily_at` (UTC) after the newest, which is past when the server was off; now when there is
    none. One from the future does not count."""
    last = max((each.made_at.astimezone(UTC) for each in backups if each.made_at <= now), default=None)
    if last is None:
        return now
    day = datetime.combine(last.date(), daily_at, UTC)
    return day if day > last else day + timedelta(days=1)


def _newest_of_each(newest_first: Iterable[Backup], period: Callable[[datetime], Hashable], count: int) -> list[Backup]:
    newest: dict[Hashable, Backup] = {}
    for each in newest_first:
        newest.setdefault(period(each.made_at.astimezone(UTC)), each)
    return list(islice(newest.values(), count))
