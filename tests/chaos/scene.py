"""The scene of a run: a whole household's servers, families whose doses fall due while it lasts, and clients who take some."""

import os
import random
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from http.client import HTTPException
from secrets import token_urlsafe
from threading import Event, Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg2

from dosette.domain.members import SCOPES
from dosette_bench.stack import Stack
from tests.chaos.history import Acknowledged

PEOPLE_OF_A_FAMILY = 20
PRESS_EVERY_S = 8.0
CRITICAL_EVERY_S = 4
ASK_S = 5.0
MOST_TRIES = 60


@dataclass(frozen=True)
class Due:
    """A planted dose, and whose token opens its household."""

    id: str
    token: str
    due_at: datetime


@dataclass
class Clients:
    """Members who take or skip what is due, again and again under the same key until they are answered, and sometimes after."""

    stack: Stack
    chance: random.Random
    acknowledged: list[Acknowledged] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    pressed: int = 0

    def run(self, doses: Sequence[Due], stopping: Event) -> None:
        """Takes or skips each of the doses some seconds around its due time."""
        wanted = sorted((dose.due_at.timestamp() + self.chance.uniform(-20, 25), dose.id, dose) for dose in doses)
        for at, _, dose in wanted:
            if stopping.wait(max(0.0, at - time.time())):
                return
            Thread(target=self._settle, args=(dose, self.chance.random(), stopping), daemon=True).start()

    def press(self, stopping: Event) -> None:
        """Presses TAKE on the panel; counts the doses that it says are saved."""
        environment = {"PATH": "/usr/bin:/bin", "DOSETTE_DEVICE_DIR": os.fspath(self.stack.data / "device")}  # type: ignore[operator]
        while not stopping.wait(PRESS_EVERY_S):
            told = subprocess.run(
                [self.stack.commands / "dosette-display", "press", "take"],
                env=environment,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            if told.returncode == 0 and "saved" in told.stdout:
                self.pressed += int(told.stdout.split(",")[1].split()[0])

    def _settle(self, dose: Due, chance: float, stopping: Event) -> None:
        (action, became), key = ("skip", "skipped") if chance < 0.1 else ("take", "taken"), f"chaos-{dose.id}"
        for _ in range(MOST_TRIES):
            answer = self._ask(dose, action, key)
            if answer is not None:
                break
            if stopping.wait(0.3):
                return
        if answer == 200:
            self.acknowledged.append(Acknowledged(dose.id, became, key))
            for _ in range(int(chance * 20)):
                self._ask(dose, action, key)

    def _ask(self, dose: Due, action: str, key: str) -> int | None:
        """The status of the answer; None when there was none, or one that says to come back."""
        request = Request(
            f"{self.stack.url}/api/v1/doses/{dose.id}/{action}",
            data=b"{}",
            headers={
                "Authorization": f"Bearer {dose.token}",
                "Content-Type": "application/json",
                "Idempotency-Key": key,
            },
            method="POST",
        )
        try:
            with urlopen(request, timeout=ASK_S) as answer:
                answer.read()
                return int(answer.status)
        except HTTPError as error:
            if error.code == 503:
                return None
            if error.code >= 500:
                self.wrong.append(f"dose {dose.id}: {action} was answered {error.code}: {error.read()[:200]!r}")
            return error.code
        except (OSError, HTTPException):
            return None


def plant(stack: Stack, doses: int, first: datetime, seconds: float, chance: random.Random) -> list[Due]:
    """So many doses, each of a person of its own, due at times drawn from [first, first + seconds); nobody is told of them yet."""
    connection = psycopg2.connect(stack.database_url("superuser"), options="-c search_path=dosette -c timezone=UTC")
    connection.autocommit = True
    tokens = [f"chaos_{token_urlsafe(24)}" for _ in range(-(-doses // PEOPLE_OF_A_FAMILY))]
    digests = [psycopg2.Binary(sha256(each.encode()).digest()) for each in tokens]
    times = [first + timedelta(seconds=chance.uniform(0, seconds)) for _ in range(doses)]
    with connection.cursor() as cursor:
        cursor.execute(
            _PLANT, {"digests": digests, "scopes": list(SCOPES), "people": PEOPLE_OF_A_FAMILY, "times": times}
        )
        found = [Due(dose, tokens[family - 1], at) for dose, family, at, _ in cursor.fetchall()]
    connection.close()
    return found


def schedule_critical(stack: Stack, first: datetime, seconds: float) -> None:
    """In the panel's own household: a time-critical medicine every few seconds, planned by the scheduler's own planner."""
    members = stack.ask("GET", "/api/v1/members")["items"]
    due = [first + timedelta(seconds=CRITICAL_EVERY_S * number) for number in range(int(seconds / CRITICAL_EVERY_S))]
    for part in range(0, len(due), 40):
        wanted = {"member_id": members[0]["id"], "name": f"Chaos {part}", "strength": "1 mg", "on_hand": "500"}
        medicine = stack.ask("POST", "/api/v1/medicines", wanted)["id"]
        steps = [
            {"time": f"{at:%H:%M:%S}", "starts_on": f"{at:%F}", "ends_on": f"{at:%F}"} for at in due[part : part + 40]
        ]
        schedule = {"zone": "UTC", "critical": True, "window_minutes": 60, "steps": steps}
        stack.ask("PUT", f"/api/v1/medicines/{medicine}/schedule", schedule)


_PLANT = """
    WITH family AS (
        INSERT INTO households (name, zone, created_at)
        SELECT 'Chaos ' || number, 'UTC', now() FROM generate_series(1, cardinality(%(digests)s::bytea[])) AS number
        RETURNING id, substr(name, 7)::integer AS number
    ), token AS (
        INSERT INTO tokens (digest, household_id, name, scopes, created_at)
        SELECT (%(digests)s::bytea[])[number], id, 'chaos', %(scopes)s, now() FROM family
    ), person AS (
        INSERT INTO members (household_id, name, role, created_at)
        SELECT family.id, 'Person ' || n, CASE n WHEN 1 THEN 'admin' ELSE 'self' END, now()
          FROM family, generate_series(1, %(people)s) AS n
        RETURNING id, household_id, name
    ), contact AS (
        INSERT INTO contacts (household_id, member_id, channel, address, created_at)
        SELECT household_id, id, 'file', 'chaos-' || id, now() FROM person
    ), medicine AS (
        INSERT INTO medicines (household_id, member_id, name, strength, form, unit, created_at)
        SELECT household_id, id, 'Medicine of ' || name, '1 mg', 'tablet', 'tablet', now() FROM person
        RETURNING id, household_id, member_id
    ), version AS (
        INSERT INTO schedule_versions (medicine_id, number, household_id, zone, starts_on, critical, steps, created_at)
        SELECT id, 1, household_id, 'UTC', '2000-01-01', false, '[]', now() FROM medicine
    ), stocked AS (
        INSERT INTO stock (medicine_id, household_id, on_hand) SELECT id, household_id, 100 FROM medicine
    ), numbered AS (
        SELECT *, row_number() OVER (ORDER BY id) AS place FROM medicine
    ), dose AS (
        INSERT INTO doses (household_id, medicine_id, member_id, version, slot_on, slot_time, amount, opens_at, due_at, late_at, closes_at)
        SELECT household_id, id, member_id, 1, (at AT TIME ZONE 'UTC')::date, (at AT TIME ZONE 'UTC')::time, 1,
               at - interval '1 hour', at, at + interval '1 hour', at + interval '2 hours'
          FROM numbered JOIN unnest(%(times)s::timestamptz[]) WITH ORDINALITY AS due (at, place) USING (place)
        RETURNING id, household_id, due_at
    ), reminded AS (
        INSERT INTO reminders (household_id, dose_id, due_at) SELECT household_id, id, due_at FROM dose
    )
    SELECT dose.id::text, family.number, dose.due_at, pg_notify('dosette', dose.household_id::text)
      FROM dose JOIN family ON family.id = dose.household_id
"""
