"""Many hands at once: each dose is taken once, each loser is told by whom and when, each limit holds."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from random import Random
from typing import Any

import psycopg2
import pytest

from conftest import Home
from dosette.actions import history, households
from dosette.actions.replies import Request
from dosette.testing import NOON
from dosette_api.app import create_app
from dosette_api.household import Household
from dosette_local.servers.postgres import Postgres

CLIENTS, DOSES = 10, 1_000

Post = Callable[..., Any]


@pytest.fixture
def clients(api: Any) -> list[tuple[str, Post]]:
    """Ten members, each with a token, a server and a clock of their own."""
    return [_client(api.home, f"Member-{number}", NOON + timedelta(seconds=number)) for number in range(CLIENTS)]


def _client(home: Home, name: str, now: datetime) -> tuple[str, Post]:
    request = Request(None, b"")
    households.add_member(home.database, home.console, name, "caregiver", request, NOON)
    token = households.add_token(home.database, home.console, "race", name, (), NOON)
    database = home.server.database("api")
    client = create_app(Household(database, lambda: now, None)).test_client()

    def post(path: str, key: str, body: object = None, method: str = "POST") -> Any:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"{name}:{key}"}
        return client.open(
            f"/api/v1{path}", method=method, headers=headers, **({"json": body} if body is not None else {})
        )

    post.close = database.close  # type: ignore[attr-defined]
    return name, post


@pytest.mark.timeout(300)  # ten thousand requests
def test_a_thousand_doses_raced_by_ten_are_taken_a_thousand_times(
    api: Any, clients: list[tuple[str, Post]], postgres: Postgres
):
    medicine_id = api.add_medicine(on_hand="5000")["id"]
    ids = _many_doses(postgres, api.home, medicine_id)

    def race(client: tuple[str, Post]) -> list[tuple[str, str, int, dict[str, Any]]]:
        name, post = client
        order = ids[:]
        Random(name).shuffle(order)
        answers = [(dose_id, name, post(f"/doses/{dose_id}/take", dose_id)) for dose_id in order]
        post.close()  # type: ignore[attr-defined]
        return [(dose_id, name, told.status_code, json.loads(told.data)) for dose_id, name, told in answers]

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = [answer for each in pool.map(race, clients) for answer in each]

    winners = {dose_id: name for dose_id, name, status, _ in answers if status == 200}
    assert Counter(status for _, _, status, _ in answers) == {200: DOSES, 409: DOSES * (CLIENTS - 1)}
    assert len(winners) == DOSES
    for dose_id, _, status, body in answers:
        if status == 409:
            assert body["dose"]["resolved_by"]["name"] == winners[dose_id]
            assert f"was taken at 12:00 by {winners[dose_id]}; undo it first" in body["detail"]
    assert api.get(f"/medicines/{medicine_id}").get_json()["on_hand"] == str(5000 - DOSES)
    assert history.verify(api.home.database, api.home.reader()).faults == ()


def _many_doses(postgres: Postgres, home: Home, medicine_id: str) -> list[str]:
    """A thousand of one medicine, due within one window; only a test has so many."""
    home.schedule(medicine_id, "12:00")
    connection = psycopg2.connect(
        f"{postgres.url.rsplit('/', 1)[0]}/{home.server.name}", options="-c search_path=dosette"
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO doses (household_id, medicine_id, member_id, version, slot_on, slot_time, amount,
                               opens_at, due_at, late_at, closes_at)
            SELECT household_id, id, member_id, 1, %(noon)s::timestamptz::date, '13:00'::time + n * interval '1 millisecond', 1,
                   %(noon)s::timestamptz - interval '1 hour', %(noon)s, %(noon)s::timestamptz + interval '1 hour',
                   %(noon)s::timestamptz + interval '2 hours'
              FROM medicines, generate_series(1, %(doses)s) AS n WHERE id = %(medicine)s
            RETURNING id::text
            """,
            {"noon": NOON, "doses": DOSES, "medicine": medicine_id},
        )
        ids = [row[0] for row in cursor.fetchall()]
    connection.close()
    return ids


def test_ten_givers_of_two_products_never_pass_the_maximum_of_their_ingredient(
    api: Any, clients: list[tuple[str, Post]]
):
    ingredient = [{"name": "paracetamol", "amount": "500", "unit": "mg"}]
    products = [
        api.add_medicine(name=name, on_hand="100", ingredients=ingredient)["id"] for name in ("Tablet", "Effervescent")
    ]
    for medicine_id in products:
        rule = {"kind": "as_needed", "steps": [{}], "most_per_24_h": "8"}
        assert api.put(f"/medicines/{medicine_id}/schedule", rule).status_code == 200

    def give(client: tuple[str, Post]) -> list[int]:
        _, post = client
        answers = [post(f"/medicines/{products[turn % 2]}/take", str(turn)).status_code for turn in range(6)]
        post.close()  # type: ignore[attr-defined]
        return answers

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = Counter(status for answers in pool.map(give, clients) for status in answers)

    assert statuses == {200: 8, 409: CLIENTS * 6 - 8}


def test_taking_skipping_undoing_and_a_new_schedule_at_once_end_in_one_story(api: Any, clients: list[tuple[str, Post]]):
    medicine_id = api.add_medicine(on_hand="50")["id"]
    dose_id = api.dose_of(medicine_id)["id"]

    def act(numbered: tuple[int, tuple[str, Post]]) -> list[int]:
        number, (_, post) = numbered
        answers = []
        for turn in range(8):
            what = ("take", "skip", "undo", "schedule")[(number + turn) % 4]
            if what == "schedule":
                body = {"steps": [{"time": "12:30", "amount": str(turn + 1)}]}
                answers.append(post(f"/medicines/{medicine_id}/schedule", f"{turn}", body, method="PUT"))
            else:
                answers.append(post(f"/doses/{dose_id}/{what}", str(turn)))
        post.close()  # type: ignore[attr-defined]
        return [told.status_code for told in answers]

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = {status for answers in pool.map(act, enumerate(clients)) for status in answers}

    assert statuses <= {200, 409}
    assert history.verify(api.home.database, api.home.reader()).faults == ()
    slots = Counter(dose["slot_on"] for dose in api.get("/doses", medicine=medicine_id, limit=200).get_json()["items"])
    assert set(slots.values()) == {1}
