"""The plan that this device goes by: believed only when it is signed, kept on the card, so that it reminds alone for days."""

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Lock
from zoneinfo import ZoneInfo

from dosette.contracts.plan import Plan, UnknownVersion
from dosette.contracts.signing import BadSignature, unseal
from dosette_display.files import write_whole

REFRESH_AFTER = timedelta(minutes=15)
"""A plan comes every minute as a sign of life; one that says nothing new is written this often, for the card's sake."""

_NO_PLAN = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError)
"""What reading JSON of another shape raises."""

log = logging.getLogger(__name__)


class PlanStore:
    """Holds the newest believed plan, in memory and as the sealed bytes in a file."""

    def __init__(self, path: Path, device_id: str, key: str) -> None:
        self._path = path
        self._device_id = device_id
        self._key = key
        self._lock = Lock()
        self._plan: Plan | None = None
        self._stored: Plan | None = None
        self._refused: bytes | None = None
        self._read()

    @property
    def plan(self) -> Plan | None:
        return self._plan

    def accept(self, sealed: bytes) -> bool:
        """Whether this is a newer plan of ours. It is on the card when this returns, or an error is logged. One thread calls this."""
        with self._lock:
            plan = self._believed(sealed)
            if plan is None or not _is_newer(plan, self._plan):
                return False
            if _is_worth_writing(plan, self._stored):
                self._store(plan, sealed)
            self._plan = plan
            return True

    def is_stored(self, pressed: int) -> bool:
        """Whether the plan in the file says as well that the server has taken presses in up to this number."""
        return self._stored is not None and self._stored.pressed >= pressed

    def _believed(self, sealed: bytes) -> Plan | None:
        try:
            plan = Plan.from_json(unseal(sealed, self._key))
            if plan.device_id != self._device_id:
                raise ValueError("it is another device's")
            ZoneInfo(plan.zone)  # known on this machine, or all pages would fail
        except (BadSignature, UnknownVersion, *_NO_PLAN) as error:
            self._refuse(sealed, error)
            return None
        return plan

    def _refuse(self, sealed: bytes, error: Exception) -> None:
        """Said once for each message, which lies there until the next plan."""
        if sealed != self._refused:
            log.error("a plan was refused; the old one is kept", extra={"error": repr(error)})
            self._refused = sealed

    def _store(self, plan: Plan, sealed: bytes) -> None:
        try:
            write_whole(self._path, sealed)
            self._stored = plan
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
        self._plan = self._stored = self._believed(sealed)


def _is_newer(plan: Plan, current: Plan | None) -> bool:
    """Of one epoch, the higher number; a restored server counts anew, in an epoch of its own, and later in time."""
    if current is None:
        return True
    if plan.epoch == current.epoch:
        return plan.number > current.number
    return plan.issued_at > current.issued_at


def _is_worth_writing(plan: Plan, stored: Plan | None) -> bool:
    if stored is None or plan.issued_at - stored.issued_at >= REFRESH_AFTER:
        return True
    as_before = replace(plan, number=stored.number, issued_at=stored.issued_at, valid_until=stored.valid_until)
    return as_before != stored
