"""What docs/reminders.md shows is what the API takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "reminders.md").read_text()
BLOCKS = re.findall(r"```json (\w+)\n(.*?)```", PAGE, re.DOTALL)
CHANNELS = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("kind", "block"), BLOCKS)
def test_each_body_that_is_shown_is_taken(api: Any, kind: str, block: str):
    ids = {
        "ana": api.home.ana,
        "bruno": api.home.bruno,
        "clara": api.post("/members", {"name": "Clara"}).get_json()["id"],
    }
    body = json.loads(re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], block))

    told = api.post("/contacts", body) if kind == "contact" else api.patch(f"/members/{api.home.bruno}", body)

    assert told.status_code in (200, 201), told.text


def test_the_channels_are_those_of_the_description(api: Any):
    schemas = api.get("/openapi.json").get_json()["components"]["schemas"]

    assert sorted(CHANNELS) == sorted(schemas["NewContact"]["properties"]["channel"]["enum"])


def test_each_path_that_is_named_is_there(api: Any):
    paths = api.get("/openapi.json").get_json()["paths"].items()
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "{id}", path.removeprefix("/api/v1")))
        for path, methods in paths
        for method in methods
    }

    named = set(re.findall(r"`(GET|POST|PATCH|DELETE) (/[a-z{}/]*)`", PAGE))

    assert named - described == set()
    assert len(named) >= 9
