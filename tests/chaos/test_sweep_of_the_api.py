"""An API that is killed, frozen, broken or slow at each step of a taking: whoever asks again with the same key is told what was
done, and it was done once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from dosette.testing import NOON
from tests.chaos.history import Acknowledged
from tests.chaos.invariants import violations
from tests.chaos.parts import KINDS, Parts

DUE = NOON + timedelta(minutes=1)
KEY = "mine"
COMMITTED = ("A3", "A4")
WAITS_S, WAITS_IN_VAIN_S = 30.0, 1.0


@dataclass(frozen=True)
class Answer:
    """0 when there was none."""

    status: int
    replayed: bool = False


@pytest.fixture
def take(parts: Parts) -> Callable[..., Answer]:
    """As a phone does, which may wait in vain."""

    def take(dose: str, waits_s: float = WAITS_S) -> Answer:
        request = Request(
            f"http://127.0.0.1:{parts.port}/api/v1/doses/{dose}/take",
            data=b"{}",
            headers={
                "Authorization": f"Bearer {parts.home.token}",
                "Content-Type": "application/json",
                "Idempotency-Key": KEY,
            },
            method="POST",
        )
        try:
            with urlopen(request, timeout=waits_s) as answer:
                answer.read()
                parts.acknowledged.append(Acknowledged(dose, "taken", KEY))
                return Answer(answer.status, "Idempotency-Replayed" in answer.headers)
        except HTTPError as error:
            return Answer(error.code)
        except (OSError, HTTPException):
            return Answer(0)

    return take


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", ["A1", "A2", "A3", "A4"])
def test_a_dose_is_taken_once_though_the_api_is_struck(
    parts: Parts, take: Callable[..., Answer], point: str, kind: str
):
    dose = parts.home.dose(DUE)
    struck = parts.start("api", f"{point}:{kind}")
    parts.eventually(lambda: _is_up(parts))

    first = take(dose, WAITS_IN_VAIN_S if kind == "stop" else WAITS_S)
    parts.strike(struck, kind)
    parts.eventually(lambda: _is_up(parts))
    again = take(dose)

    assert first.status == {"raise": 500, "delay:0.3": 200}.get(kind, 0)
    assert again == Answer(200, replayed=point in COMMITTED or kind == "delay:0.3")
    assert violations(parts.history(NOON, ahead=timedelta(hours=1))) == {}


def _is_up(parts: Parts) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{parts.port}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False
