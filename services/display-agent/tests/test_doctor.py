"""The doctor: each thing that can be wrong with a machine is found, and what to do about it is said."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from dosette.contracts.device_file import DeviceFile
from dosette.contracts.plan import Plan
from dosette.settings import Environment
from dosette.testing import NOON, a_plan
from dosette_display.doctor import GPIO_CHIP, SPI, Finding, Patient, ThisMachine, examine, report
from dosette_display.hardware import Hardware

FOLDER = Path("/var/lib/dosette/device")


@dataclass(frozen=True)
class Pi:
    """A Pi on which all is well, but for what a test says."""

    board: str = "Raspberry Pi Zero 2 W Rev 1.0"
    there: frozenset[Path] = frozenset({SPI, GPIO_CHIP})
    usable: frozenset[Path] = frozenset({SPI, GPIO_CHIP})
    file_mode: int | None = 0o600
    no_module: str | None = None
    synced: bool = True
    free: int = 2_000_000_000
    unwritable: str | None = None
    unreadable: str = ""
    deaf: str | None = None
    newest: Plan | None = field(default_factory=a_plan)
    no_font: str = ""

    def model(self) -> str:
        return self.board

    def exists(self, path: Path) -> bool:
        return path in self.there

    def may_use(self, path: Path) -> bool:
        return path in self.usable

    def group_of(self, path: Path) -> tuple[str, int]:
        return ("spi", 995) if path == SPI else ("gpio", 993)

    def user(self) -> str:
        return "dosette"

    def mode(self, path: Path) -> int | None:
        return self.file_mode

    def imports(self, module: str) -> str | None:
        return self.no_module

    def clock_is_synced(self) -> bool:
        return self.synced

    def free_bytes(self, folder: Path) -> int:
        return self.free

    def can_write(self, folder: Path) -> str | None:
        return self.unwritable

    def device(self, folder: Path) -> DeviceFile:
        if self.unreadable:
            raise ValueError(self.unreadable)
        return DeviceFile("kitchen", "", "home:6379", "user", "password", "key")

    def ping(self, device: DeviceFile, address: str) -> str | None:
        return self.deaf

    def plan(self, folder: Path, device: DeviceFile) -> Plan | None:
        return self.newest

    def font_size(self) -> int:
        if self.no_font:
            raise OSError(self.no_font)
        return 11


def found(machine: Pi | ThisMachine, panel: str = "ssd1680", folder: Path = FOLDER) -> list[Finding]:
    return examine(Patient(machine, Hardware.of(Environment({"DOSETTE_PANEL": panel})), folder, "", NOON))


def test_on_a_machine_where_all_is_well_nothing_is_to_be_done():
    said, code = report(found(Pi()))

    assert code == 0
    assert said.endswith("all is well")
    assert "✗" not in said
    assert {"board", "SPI", "GPIO", "lgpio", "group", "clock", "font", "card", "keys", "link", "plan"} <= {
        each.what for each in found(Pi())
    }


@pytest.mark.parametrize(
    ("wrong", "what", "then"),
    [
        ({"board": ""}, "board", "set DOSETTE_PANEL=virtual"),
        ({"there": frozenset({GPIO_CHIP})}, "SPI", "raspi-config nonint do_spi 0"),
        ({"there": frozenset({SPI})}, "GPIO", "devices: [/dev/gpiochip0]"),
        ({"no_module": "No module named 'lgpio'"}, "lgpio", "apt install python3-lgpio"),
        ({"usable": frozenset({SPI})}, "group", "usermod -aG gpio dosette"),
        ({"usable": frozenset({GPIO_CHIP})}, "group", "group_add: [995]"),
        ({"synced": False}, "clock", "timedatectl set-ntp true"),
        ({"no_font": "cannot open resource"}, "font", "Install dosette-display anew"),
        ({"unwritable": "Read-only file system"}, "card", "presses can't be saved"),
        ({"free": 1_000_000}, "card", "Free some"),
        ({"file_mode": None}, "pairing", "Pair this panel"),
        ({"file_mode": 0o644}, "keys", "chmod 600 /var/lib/dosette/device/device.json"),
        ({"unreadable": "device.json is damaged"}, "pairing", "Pair this panel anew"),
        ({"deaf": "Connection refused"}, "link", "Is the server on"),
        ({"newest": None}, "plan", "a plan comes within a minute"),
        ({"newest": a_plan(issued_at=NOON - timedelta(hours=5))}, "plan", "whether the server's scheduler runs"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do_about_it(wrong, what, then):
    findings = found(replace(Pi(), **wrong))

    (finding,) = [each for each in findings if each.well is False]
    assert finding.what == what
    assert then in finding.then
    assert report(findings)[1] == 1
    assert "1 of" in report(findings)[0]


def test_a_machine_without_hardware_says_that_a_virtual_panel_needs_none():
    nowhere = replace(Pi(), board="", there=frozenset(), usable=frozenset(), no_module="no lgpio", synced=False)

    said, code = report(found(nowhere, "virtual"))

    assert code == 0
    assert "no Raspberry Pi: the virtual panel needs none" in said
    assert {each.what for each in found(nowhere, "virtual") if each.well is None} == {"board", "SPI", "GPIO", "clock"}


def test_a_plan_that_is_signed_with_the_key_before_is_there(tmp_path, sealed, key):
    plan = a_plan()
    (tmp_path / "plan.json").write_bytes(sealed(plan))
    rotated = DeviceFile(plan.device_id, "", "x:1", "user", "11" * 32, "22" * 32, 2, old_key=key)

    assert ThisMachine().plan(tmp_path, rotated) == plan


def test_this_machine_can_be_looked_at_whatever_it_is(tmp_path):
    findings = found(ThisMachine(), "ssd1680", tmp_path)

    said, code = report(findings)

    assert code == 1
    assert f"there is no {tmp_path}/device.json" in said
    assert next(each for each in findings if each.what == "font").well
    assert next(each for each in findings if each.what == "card").well
    assert not list(tmp_path.iterdir())
