"""What docs/cupboard.md shows is what the API takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "cupboard.md"
BLOCKS = re.findall(r"```json (\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize(("kind", "block"), BLOCKS)
def test_each_body_that_is_shown_is_taken(api: Any, kind: str, block: str):
    medicine_id = api.add_medicine()["id"]
    dose = api.dose_of(medicine_id)
    body = json.loads(block)
    calls = {
        "schedule": lambda: api.put(f"/medicines/{medicine_id}/schedule", body),
        "trip": lambda: api.post("/household/zone/preview", body),
        "take": lambda: api.post(f"/doses/{dose['id']}/take", body),
        "medicine": lambda: api.post("/medicines", body | {"member_id": api.home.bruno}),
        "refill": lambda: api.post(f"/medicines/{medicine_id}/stock/refill", body),
        "loss": lambda: api.post(f"/medicines/{medicine_id}/stock/loss", body),
        "recount": lambda: api.post(f"/medicines/{medicine_id}/stock/recount", body),
        "household": lambda: api.patch("/household", body),
    }

    told = calls[kind]()

    assert told.status_code in (200, 201), told.text


def test_the_page_shows_every_kind_of_body():
    assert {kind for kind, _ in BLOCKS} == {
        "schedule",
        "trip",
        "take",
        "medicine",
        "refill",
        "loss",
        "recount",
        "household",
    }


def test_each_path_that_is_named_is_there(api: Any):
    described = {path.removeprefix("/api/v1") for path in api.get("/openapi.json").get_json()["paths"]}
    named = {re.sub(r"\{\w+\}", "*", path) for path in re.findall(r"`(?:GET|PUT|POST) (/[^`…]*)`", PAGE.read_text())}

    assert named - {re.sub(r"\{\w+\}", "*", path) for path in described} - {"/api/v1/openapi.json"} == set()
