"""The callables that RQ may run, by name. A job rings for deliveries; the desk asks PostgreSQL what is still true, and sends."""

from collections.abc import Callable, Sequence

from dosette.contracts.job import DeliveryJob
from dosette.faults import fp

_rung: Callable[[Sequence[str]], None] | None = None
_refused: Callable[[], None] | None = None


def serve(rung: Callable[[Sequence[str]], None], refused: Callable[[], None] | None = None) -> None:
    """Whom the jobs of this process ring for, and who hears of a foreign one; called once, before the first job."""
    global _rung, _refused
    _rung, _refused = rung, refused


def refuse() -> None:
    """A job was none of ours, and was not run."""
    if _refused:
        _refused()


def deliver(payload: dict[str, object]) -> None:
    """These deliveries wait. Raises ValueError on another version's payload."""
    fp("W1")
    if _rung is None:
        raise RuntimeError("call serve() first")
    _rung(DeliveryJob.of(payload).delivery_ids)
