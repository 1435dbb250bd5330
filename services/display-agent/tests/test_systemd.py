"""What systemd hears, on a real datagram socket, and what its unit promises."""

import configparser
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dosette_display.crew import LOOK_EVERY_S, STUCK_AFTER_S, Watchdog
from dosette_display.systemd import Systemd

UNIT = Path(__file__).parents[1] / "systemd" / "dosette-display.service"


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens as systemd does, and its name in NOTIFY_SOCKET."""
    address = str(tmp_path / "notify") if request.param == "a path" else f"@dosette-test-{tmp_path.name}-{id(request)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1))
        listener.settimeout(5)
        yield listener, address


def test_systemd_is_told_when_the_agent_is_up_lives_and_stops(manager):
    listener, address = manager
    systemd = Systemd(address)

    systemd.ready("waiting to be paired")
    systemd.alive()
    systemd.stopping()

    assert listener.recv(200) == b"READY=1\nSTATUS=waiting to be paired"
    assert listener.recv(200) == b"WATCHDOG=1"
    assert listener.recv(200) == b"STOPPING=1"


def test_without_systemd_nothing_is_said_and_with_a_deaf_one_nothing_breaks(tmp_path, caplog):
    Systemd(None).alive()
    assert not caplog.text

    Systemd(str(tmp_path / "nobody")).alive()
    assert "did not hear" in caplog.text


def test_systemd_hears_that_the_agent_lives_only_while_its_loop_makes_progress():
    progress, said = iter([0.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]), []

    Watchdog(lambda: next(progress), alive=lambda: said.append("alive"), die=lambda code: said.append("died")).run(
        Looks()
    )

    assert said == ["alive", "alive", "died"]


class Looks:
    """Time that passes at once."""

    def wait(self, timeout: float) -> bool:
        return False


@pytest.fixture
def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read(UNIT)
    return parser["Service"]


def test_systemd_s_patience_is_longer_than_the_agent_s_own(unit):
    seconds = int(re.fullmatch(r"(\d+)s", unit["WatchdogSec"])[1])

    assert unit["Type"] == "notify"
    assert seconds >= STUCK_AFTER_S + 2 * LOOK_EVERY_S


def test_the_unit_gives_the_agent_its_devices_and_groups_and_no_privileges():
    lines = UNIT.read_text().splitlines()

    assert {line for line in lines if line.startswith("DeviceAllow=")} == {
        "DeviceAllow=/dev/gpiochip0 rw",
        "DeviceAllow=/dev/spidev0.0 rw",
        "DeviceAllow=/dev/i2c-1 rw",
    }
    for line in (
        "DevicePolicy=closed",
        "SupplementaryGroups=gpio spi i2c",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
    ):
        assert line in lines
    for line in ("CapabilityBoundingSet=", "StateDirectory=dosette/device", "Restart=always"):
        assert line in lines
