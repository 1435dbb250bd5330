"""The link by itself: what it knows of its other end."""

from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import pytest

from dosette.clock import real_clock
from dosette.contracts.device_file import DeviceFile
from dosette_display.link import Link, Talk


@pytest.fixture
def link(kitchen: Any) -> Iterator[Link]:
    """Listens; with nobody to tell."""
    stopping, talk = Event(), Talk(heard=lambda sealed: None, unsent=tuple, sent=lambda: None)
    device = DeviceFile.read(kitchen.folder / "device.json")
    link = Link(device, kitchen.address, talk, real_clock, stopping)
    Thread(target=link.listen, daemon=True).start()
    yield link
    stopping.set()


def test_a_revoked_device_is_told_apart_from_one_that_finds_nobody_until_it_is_let_in_again(kitchen: Any, link: Link):
    kitchen.eventually(lambda: link.lost_s is None)

    kitchen.bus.expel_device(link.device.device_id)
    kitchen.eventually(lambda: not link.admitted)
    assert link.lost_s is not None
    kitchen.admit()

    kitchen.eventually(lambda: link.lost_s is None and link.admitted)
