"""The page of the panels: for who has its link, to look only; it is true, and it can be read on a phone."""

import io
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser
from werkzeug.serving import make_server

from conftest import found_home
from dosette.actions import devices
from dosette.actions.devices import ServerKeys
from dosette.contracts.device_file import DeviceFile
from dosette.contracts.life import SignOfLife
from dosette.contracts.look import Look, look_token
from dosette.contracts.names import frame_key
from dosette.testing import NOON
from dosette_api.app import create_app
from dosette_api.household import Household

KEYS = ServerKeys("secret")
KEY = "link key"


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("1", (250, 122), 1).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def page(api: Any, valkey: Any) -> str:
    """Its address; the api has a link key from now on."""
    outside = Household(api.home.database, api.clock, valkey.url, KEY)
    api.client = create_app(outside).test_client()
    return f"/panels/{look_token(Look(api.home.id, NOON + timedelta(days=30)), KEY)}"


def _pair(api: Any, name: str) -> DeviceFile:
    return devices.pair(api.home.database, api.home.console, name, KEYS, "pi:6379", "", NOON)


def _lives(api: Any, database_of: Any, file: DeviceFile, clock: str = "right", **said: Any) -> None:
    life = SignOfLife(file.device_id, NOON, True, **{"waiting": 0, "version": "1.2.3", "shown_s": 600.0} | said)
    (device,) = [each for each in devices.active(database_of("scheduler")) if each.id == file.device_id]
    devices.seen(database_of("scheduler"), device, life, clock, api.clock.now)


def test_it_tells_what_each_panel_shows_and_how_it_is(api: Any, page: str, redis: Any, database_of: Any):
    kitchen = _pair(api, "Kitchen")
    redis.set(frame_key(kitchen.device_id), _png())
    _lives(api, database_of, kitchen, waiting=3)
    api.clock.now += timedelta(seconds=40)

    told = api.client.get(page)

    assert told.status_code == 200
    for said in (
        "Panels of Home",
        "Kitchen",
        ">well<",
        "12:00, 40 s ago",
        "11:50, 10 min",
        "<dd>3</dd>",
        "right",
        "1.2.3",
    ):
        assert said in told.text
    picture = api.client.get(f"{page}/{kitchen.device_id}.png")
    assert (picture.status_code, picture.data) == (200, _png())


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (lambda api, file, database_of: None, "not seen yet"),
        (lambda api, file, database_of: _silent(api, file, database_of), "silent"),
        (lambda api, file, database_of: _lives(api, database_of, file, clock="wrong"), "not well"),
        (lambda api, file, database_of: _lives(api, database_of, file, refused=2), "not well"),
        (
            lambda api, file, database_of: devices.revoke(api.home.database, api.home.console, file.device_id, NOON),
            "no longer paired",
        ),
        (
            lambda api, file, database_of: devices.rotate(api.home.database, api.home.console, file.device_id, NOON),
            "not fetched yet",
        ),
    ],
)
def test_what_is_wrong_with_a_panel_is_said(api: Any, page: str, database_of: Any, happens: Any, said: str):
    happens(api, _pair(api, "Kitchen"), database_of)

    assert said in api.client.get(page).text


def _silent(api: Any, file: DeviceFile, database_of: Any) -> None:
    _lives(api, database_of, file)
    api.clock.now += timedelta(minutes=6)


def test_the_api_tells_the_same(api: Any, database_of: Any):
    kitchen = _pair(api, "Kitchen")
    _lives(api, database_of, kitchen, waiting=3, refused=1)

    (told,) = api.get("/devices").get_json()["items"]

    assert (told["state"], told["waiting"], told["clock"], told["version"], told["refused"]) == (
        "paired",
        3,
        "right",
        "1.2.3",
        1,
    )
    assert (told["seen_at"], told["shown_at"]) == ("2026-03-04T12:00:00+00:00", "2026-03-04T11:50:00+00:00")


def test_a_household_without_panels_is_told_how_to_pair_one(api: Any, page: str):
    assert "dosette device pair NAME" in api.client.get(page).text


@pytest.mark.parametrize(
    "change",
    [lambda path: path[:-2] + "AA", lambda path: path[:-1], lambda path: "/panels/x", lambda path: "/panels/ü"],
)
def test_a_link_that_is_not_whole_leads_nowhere(api: Any, page: str, change: Any):
    told = api.client.get(change(page))

    assert told.status_code == 404
    assert "make a new one" in told.text


def test_a_link_ends(api: Any, page: str):
    api.clock.now += timedelta(days=31)

    assert api.client.get(page).status_code == 410


def test_a_link_shows_no_other_households_panel(api: Any, page: str, redis: Any, database_of: Any):
    other_home = found_home(api.home.server, database_of("api"), "Next door")
    theirs = devices.pair(other_home.database, other_home.console, "Hall", KEYS, "pi:6379", "", NOON)
    redis.set(frame_key(theirs.device_id), _png())

    assert api.client.get(f"{page}/{theirs.device_id}.png").status_code == 404
    assert "Hall" not in api.client.get(page).text


def test_a_link_is_no_token(api: Any, page: str):
    told = api.client.get("/api/v1/devices", headers={"Authorization": f"Bearer {page.split('/')[-1]}"})

    assert told.status_code == 401


def test_it_works_without_redis_but_for_the_pictures(api: Any, database_of: Any):
    kitchen = _pair(api, "Kitchen")
    _lives(api, database_of, kitchen)
    bare = create_app(Household(api.home.database, api.clock, "redis://127.0.0.1:1/0", KEY)).test_client()
    path = f"/panels/{look_token(Look(api.home.id, NOON + timedelta(days=1)), KEY)}"

    told, picture = bare.get(path), bare.get(f"{path}/{kitchen.device_id}.png")

    assert (told.status_code, "no picture" in told.text, picture.status_code) == (200, True, 503)


@pytest.fixture
def served(api: Any, page: str) -> Iterator[str]:
    """The page over HTTP."""
    server = make_server("127.0.0.1", 0, api.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}{page}"
    server.shutdown()
    thread.join(10)


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 390), ("light", 1200)])
def test_a_browser_shows_it_on_a_phone_and_looks_again(
    chromium: Browser, api: Any, served: str, redis: Any, database_of: Any, tmp_path: Path, scheme: str, width: int
):
    kitchen, cellar = _pair(api, "Kitchen"), _pair(api, "Grandmother's bedroom on the second floor, beside the window")
    redis.set(frame_key(kitchen.device_id), _png())
    _lives(api, database_of, kitchen)
    _lives(api, database_of, cellar, clock="wrong", waiting=12)
    shown = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    faults: list[str] = []
    shown.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)

    shown.goto(served)

    assert shown.evaluate("document.querySelector('img').naturalWidth") == 250
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.locator("article").count() == 2
    light = shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")
    assert shown.locator("meta[http-equiv=refresh]").get_attribute("content") == "15"
    assert faults == []
    shown.screenshot(path=tmp_path / f"panels-{scheme}-{width}.png", full_page=True)
    shown.close()
