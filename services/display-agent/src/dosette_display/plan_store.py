"""The plan that this device goes by: believed only when it is signed, kept on the card, so that it reminds alone for days."""

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from zoneinfo import ZoneInfo

from dosette.contracts.plan import Plan, UnknownVersion
from dosette.contracts.signing import BadSignature, unseal
from dosette_display.files import write_whole
from dosette_display.metrics import Counter

REFRESH_AFTER = timedelta(minutes=15)
"""A plan comes every minute as a sign of life; one that says nothing new is written this often, for the card's sake."""

_NO_PLAN = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError)
"""What reading JSON of another shape raises."""

log = logging.getLogger(__name__)
_refused = Counter(
    "dosette_panel_plans_refused_total", "Plans that were not believed: not signed by our server, or not to be read"
)


class PlanStore:
    """Holds the newest believed plan, in memory and as the sealed bytes in a file."""

    def __init__(self, path: Path, device_id: str, *keys: str) -> None:
        """A plan may be signed with any of `keys`."""
        self._path = path
        self._device_id = device_id
        self._keys = keys
        self._lock = Lock()
        self._plan: Plan | None = None
        self._stored: _Stored | None = None
        self._heard = 0
        self._refused: bytes | None = None
        self.refused = 0
        self.doubts = False
        """Whether the message that came last was not believed."""
        self.signed_with = ""
        """The key of the plan that was believed last."""
        self._read()

    @property
    def plan(self) -> Plan | None:
        return self._plan

    def accept(self, sealed: bytes) -> bool:
        """Whether this is a newer plan of ours. It is on the card when this returns, or an error is logged. One thread calls this."""
        with self._lock:
            if hash(sealed) == self._heard:  # it lies there until the next one
                return False
            self._heard = hash(sealed)
            plan = self._believed(sealed)
            self.doubts = plan is None
            if plan is None:
                self._count(sealed)
            if plan is None or not _is_newer(plan, self._plan):
                return False
            if _is_worth_writing(plan, self._stored):
                self._store(plan, sealed)
            self._plan = plan
            return True

    def use_keys(self, *keys: str) -> None:
        """From now on."""
        with self._lock:
            self._keys = keys
            self._heard = 0

    def is_stored(self, plan: Plan) -> bool:
        """Whether the plan in the file says as well which presses this one's server has taken in."""
        stored = self._stored
        return stored is not None and stored.epoch == plan.epoch and stored.pressed >= plan.pressed

    def _believed(self, sealed: bytes) -> Plan | None:
        try:
            plan = Plan.from_json(self._unsealed(sealed))
            if plan.device_id != self._device_id:
                raise ValueError("it is another device's")
            ZoneInfo(plan.zone)  # known on this machine, or all pages would fail
        except (BadSignature, UnknownVersion, *_NO_PLAN) as error:
            if sealed != self._refused:  # it lies there until the next plan
                log.error("a plan was refused; the old one is kept", extra={"error": repr(error)})
            return None
        return plan

    def _unsealed(self, sealed: bytes) -> bytes:
        for key in self._keys:
            with suppress(BadSignature):
                body, self.signed_with = unseal(sealed, key), key
                return body
        raise BadSignature

    def _count(self, sealed: bytes) -> None:
        """Each message once."""
        if sealed != self._refused:
            self._refused = sealed
            self.refused += 1
            _refused.inc()

    def _store(self, plan: Plan, sealed: bytes) -> None:
        try:
            write_whole(self._path, sealed)
            self._stored = _Stored.of(plan)
        except OSError as error:
            log.error("the plan could not be stored; it is used and lost with the power", extra={"error": str(error)})

    def _read(self) -> None:
        try:
            sealed = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            log.error("the stored plan can't be read", extra={"error": str(error)})
            return
        self._plan = self._believed(sealed)
        self._stored = _Stored.of(self._plan) if self._plan else None


@dataclass(frozen=True)
class _Stored:
    """Of the plan on the card, what later ones are compared with; `says` is a hash of what it says of doses and all else."""

    epoch: str
    pressed: int
    issued_at: datetime
    says: int

    @classmethod
    def of(cls, plan: Plan) -> "_Stored":
        return cls(plan.epoch, plan.pressed, plan.issued_at, _said(plan))


def _said(plan: Plan) -> int:
    """The same for a plan that differs as a sign of life only."""
    return hash(replace(plan, number=0, issued_at=_NO_TIME, valid_until=_NO_TIME))


_NO_TIME = datetime.fromtimestamp(0, UTC)


def _is_newer(plan: Plan, current: Plan | None) -> bool:
    """Of one epoch, the higher number; a restored server counts anew, in an epoch of its own, and later in time."""
    if current is None:
        return True
    if plan.epoch == current.epoch:
        return plan.number > current.number
    return plan.issued_at > current.issued_at


def _is_worth_writing(plan: Plan, stored: _Stored | None) -> bool:
    return stored is None or plan.issued_at - stored.issued_at >= REFRESH_AFTER or _said(plan) != stored.says
