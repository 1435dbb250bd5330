"""The main job, played against the running processes: from a schedule over the API to the panel, the button and history."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.request import Request, urlopen

from dosette.contracts.plan import Plan
from dosette.contracts.signing import unseal

OWN_METRIC = {
    "api": "http_requests_total",
    "scheduler": "scheduler_heartbeat_timestamp_seconds",
    "worker": "delivery_lag_seconds_count",
    "display-agent": "panel_link_up",
}


def _messages(running: Any, dose: dict[str, Any]) -> list[dict[str, Any]]:
    """That have told Bruno of this dose."""
    path = running.data / "deliveries" / "bruno.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if dose["id"] in [item["dose_id"] for item in line["items"]]]


def test_a_dose_falls_due_is_told_shown_pressed_and_stands_in_history(running: Any, due_soon: Any, eventually: Any):
    running.settle()
    before, began = running.picture(), datetime.now(UTC)

    dose = due_soon("Ibuprofen")
    eventually(lambda: running.dose(dose)["state"] == "due")
    eventually(lambda: len(_messages(running, dose)) == 1)
    due_picture = eventually(lambda: running.picture() != before and running.picture())
    taken = eventually(lambda: running.taken_at_the_panel(dose))
    eventually(lambda: running.picture() != due_picture)

    assert taken["resolved_on"]["name"] == "Kitchen"
    assert began < datetime.fromisoformat(taken["resolved_at"]) < datetime.now(UTC)
    _, stock = running.call("GET", f"/medicines/{dose['medicine']['id']}/stock")
    assert (stock["on_hand"], stock["items"][0]["dose_id"]) == ("18.5", dose["id"])
    _, history = running.call("GET", f"/history?medicine={dose['medicine']['id']}")
    (event,) = history["items"]
    assert (event["kind"], event["source"], event["on"]["name"], event["member"]["name"]) == (
        "taken",
        "panel",
        "Kitchen",
        "Bruno",
    )


def test_the_picture_of_the_panel_is_the_same_over_http(running: Any, eventually: Any):
    path = f"/devices/{running.access['device']}/frame.png"

    eventually(lambda: running.call("GET", path) == (200, running.picture()))


def test_of_two_who_take_the_same_dose_at_once_one_is_told_who_was_first(running: Any, due_soon: Any, eventually: Any):
    dose = due_soon("Paracetamol")
    eventually(lambda: running.dose(dose)["state"] == "due")

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(
            pool.map(lambda _: running.call("POST", f"/doses/{dose['id']}/take"), range(2)),
            key=lambda answer: answer[0],
        )

    assert [status for status, _ in answers] == [200, 409]
    assert "was taken at" in answers[1][1]["detail"]


def test_i_ve_got_it_said_in_a_message_stands_on_the_panel(running: Any, due_soon: Any, eventually: Any):
    dose = due_soon("Naproxen")
    (message,) = eventually(lambda: _messages(running, dose))

    link = Request(message["actions"]["claim"], b"", {"Accept": "application/json"})
    with urlopen(link, timeout=10) as answer:
        assert json.load(answer)["done_now"]

    assert eventually(lambda: _claimed_by(running, dose)) == "Bruno"


def _claimed_by(running: Any, dose: dict[str, Any]) -> str | None:
    """Who takes care of it, as the panel knows it."""
    device = running.data / "device"
    key = json.loads((device / "device.json").read_text())["signing_key"]
    plan = Plan.from_json(unseal((device / "plan.json").read_bytes(), key))
    return next(each.claimed_by for each in plan.doses if each.id == dose["id"])


def test_every_process_says_how_it_is(running: Any):
    ports = json.loads((running.data / "ports.json").read_text())
    served = {name: ports[name] for name in ("scheduler", "worker", "display-agent")} | {"api": running.port}

    for name, port in served.items():
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert f"dosette_{OWN_METRIC[name]}" in answer.read().decode()
