"""`dosette-display doctor`: looks at everything the panel needs, and says of each what to do about it.

What a check finds out comes from a `Machine`, so that each can be tried on any machine.
"""

import getpass
import grp
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from stat import S_IMODE, S_ISREG
from typing import Protocol

from PIL import ImageFont

from dosette.contracts.device_file import DeviceFile
from dosette.contracts.plan import Plan
from dosette.device_bus import BusDown, DeviceBus
from dosette_display.hardware import Hardware, clock_is_synced
from dosette_display.lettering import FONT
from dosette_display.plan_store import PlanStore

SPI, GPIO_CHIP = Path("/dev/spidev0.0"), Path("/dev/gpiochip0")
MODEL = Path("/proc/device-tree/model")
FREE_MB = 50
OLD_PLAN = timedelta(hours=1)
MB = 1_000_000


@dataclass(frozen=True)
class Finding:
    """`well` is None where there was nothing to look for. `then` says what to do, unless all is well."""

    what: str
    well: bool | None
    said: str
    then: str = ""

    def __str__(self) -> str:
        sign = {True: "✓", False: "✗", None: "–"}[self.well]
        return f"{sign} {self.what}: {self.said}" + (f"\n    {self.then}" if self.then else "")


class Machine(Protocol):
    """What can be seen of a machine. All paths that are not there are simply not there; nothing raises unless it says so."""

    def model(self) -> str:
        """Which board it is; "" for one that does not say."""

    def exists(self, path: Path) -> bool: ...

    def may_use(self, path: Path) -> bool: ...

    def group_of(self, path: Path) -> tuple[str, int]: ...

    def user(self) -> str: ...

    def mode(self, path: Path) -> int | None:
        """The permission bits of a file; None when there is no file."""

    def imports(self, module: str) -> str | None:
        """Why a module can't be imported; None when it can."""

    def clock_is_synced(self) -> bool: ...

    def free_bytes(self, folder: Path) -> int: ...

    def can_write(self, folder: Path) -> str | None:
        """Why a file can't be written there; None when it can."""

    def device(self, folder: Path) -> DeviceFile:
        """Raises ValueError and OSError."""

    def ping(self, device: DeviceFile, address: str) -> str | None:
        """Why Redis does not answer this device; None when it does."""

    def plan(self, folder: Path, device: DeviceFile) -> Plan | None:
        """The plan on the card, if it is signed rightly."""

    def font_size(self) -> int:
        """The height of a letter in dots, to see that the font is drawn. Raises OSError."""


@dataclass(frozen=True)
class Patient:
    """What is looked at: a machine, what is said to be fitted to it, and the agent's folder. `redis` overrides device.json's."""

    machine: Machine
    hardware: Hardware
    folder: Path
    redis: str
    now: datetime


def examine(patient: Patient) -> list[Finding]:
    """Everything, in the order in which one would set it up."""
    return [finding for check in CHECKS for finding in check(patient)]


def report(findings: Sequence[Finding]) -> tuple[str, int]:
    """For a terminal, and the exit code: 1 when something is wrong."""
    wrong = sum(finding.well is False for finding in findings)
    last = f"{wrong} of {len(findings)} need you" if wrong else "all is well"
    return "\n".join([*map(str, findings), "", last]), int(bool(wrong))


def _board(patient: Patient) -> Iterator[Finding]:
    if model := patient.machine.model():
        yield Finding("board", True, model)
    elif patient.hardware.is_virtual:
        yield Finding("board", None, "no Raspberry Pi: the virtual panel needs none")
    else:
        said = f"no Raspberry Pi, but the panel {patient.hardware.panel} hangs on one"
        yield Finding("board", False, said, "Run this on the Pi, or set DOSETTE_PANEL=virtual.")


def _spi(patient: Patient) -> Iterator[Finding]:
    turn_on = (
        "Turn it on: sudo raspi-config nonint do_spi 0, then sudo reboot. In a container: devices: [/dev/spidev0.0]."
    )
    yield _hardware_file(patient, "SPI", SPI, turn_on)


def _gpio(patient: Patient) -> Iterator[Finding]:
    map_it = "Use Raspberry Pi OS of 2023 or later. In a container: devices: [/dev/gpiochip0]."
    yield _hardware_file(patient, "GPIO", GPIO_CHIP, map_it)
    if not patient.hardware.is_virtual:
        why = patient.machine.imports("lgpio")
        fix = "sudo apt install python3-lgpio (in a venv with --system-site-packages), or pip install lgpio into it."
        yield Finding("lgpio", why is None, why or "can be imported", fix if why else "")


def _hardware_file(patient: Patient, what: str, path: Path, turn_on: str) -> Finding:
    if patient.hardware.is_virtual:
        return Finding(what, None, "not needed by the virtual panel")
    if not patient.machine.exists(path):
        return Finding(what, False, f"there is no {path}", turn_on)
    return Finding(what, True, f"{path} is there")


def _groups(patient: Patient) -> Iterator[Finding]:
    """By what may be opened, not by what a group is called: in a container groups have numbers only."""
    needed = () if patient.hardware.is_virtual else (SPI, GPIO_CHIP)
    for path in filter(patient.machine.exists, needed):
        name, number = patient.machine.group_of(path)
        if patient.machine.may_use(path):
            yield Finding("group", True, f"{path} may be used")
            continue
        fix = f"sudo usermod -aG {name} {patient.machine.user()}, then sign in anew. In a container: group_add: [{number}]."
        yield Finding("group", False, f"{path} belongs to the group {name} ({number}), and you are not in it", fix)


def _clock(patient: Patient) -> Iterator[Finding]:
    if patient.hardware.is_virtual:
        yield Finding("clock", None, f"{patient.now:%Y-%m-%d %H:%M} UTC; a virtual panel believes it")
        return
    synced = patient.machine.clock_is_synced()
    said = "set by the network" if synced else "not set by the network"
    fix = "See timedatectl; sudo timedatectl set-ntp true. Until then the panel does not say what is due now."
    yield Finding("clock", synced, f"{patient.now:%Y-%m-%d %H:%M} UTC, {said}", "" if synced else fix)


def _font(patient: Patient) -> Iterator[Finding]:
    try:
        yield Finding("font", True, f"{FONT.name}, {patient.machine.font_size()} dots high at 14")
    except OSError as error:
        yield Finding("font", False, f"{FONT.name} can't be drawn ({error})", "Install dosette-display anew.")


def _card(patient: Patient) -> Iterator[Finding]:
    free_mb = patient.machine.free_bytes(patient.folder) // MB
    if why := patient.machine.can_write(patient.folder):
        fix = (
            f"See who owns {patient.folder}, and whether the card is full or mounted read-only: presses can't be saved."
        )
        yield Finding("card", False, f"{patient.folder} can't be written ({why})", fix)
    elif free_mb < FREE_MB:
        fix = "Free some: presses are saved on this card. See what is large with: sudo du -xh / | sort -h | tail"
        yield Finding("card", False, f"{free_mb} MB free, fewer than {FREE_MB}", fix)
    else:
        yield Finding("card", True, f"{free_mb} MB free")


def _pairing(patient: Patient) -> Iterator[Finding]:
    path = patient.folder / "device.json"
    mode = patient.machine.mode(path)
    if mode is None:
        yield Finding("pairing", False, f"there is no {path}", "Pair this panel, as docs/panel-on-a-pi.md shows.")
        return
    fix = f"chmod 600 {path}: it holds the keys."
    yield Finding("keys", mode == 0o600, f"{path} has mode {mode:04o}", "" if mode == 0o600 else fix)
    try:
        device = patient.machine.device(patient.folder)
    except (ValueError, OSError) as error:
        yield Finding("pairing", False, str(error), "Pair this panel anew, as docs/panel-on-a-pi.md shows.")
        return
    yield Finding("pairing", True, f"paired as {device.device_id}")
    yield from _link(patient, device)


def _link(patient: Patient, device: DeviceFile) -> Iterator[Finding]:
    address = patient.redis or device.redis
    why = patient.machine.ping(device, address)
    fix = "Is the server on, and may this machine reach that port? If it was revoked or the server restored, pair it anew."
    yield Finding("link", why is None, f"{address}: {why or 'answers'}", fix if why else "")
    plan = patient.machine.plan(patient.folder, device)
    if plan is None:
        yield Finding("plan", False, "there is none on the card", "Start the agent; a plan comes within a minute.")
        return
    age = patient.now - plan.issued_at
    fix = "The panel goes on by it until then. See the link, and whether the server's scheduler runs."
    said = f"{age // timedelta(minutes=1)} min old, good until {plan.valid_until:%Y-%m-%d %H:%M} UTC"
    yield Finding("plan", age <= OLD_PLAN, said, "" if age <= OLD_PLAN else fix)


CHECKS: Sequence[Callable[[Patient], Iterator[Finding]]] = (
    _board,
    _spi,
    _gpio,
    _groups,
    _clock,
    _font,
    _card,
    _pairing,
)


class ThisMachine:
    """The one that this runs on."""

    def model(self) -> str:
        try:
            return MODEL.read_text().strip("\0\n ")
        except OSError:
            return ""

    def exists(self, path: Path) -> bool:
        return path.exists()

    def may_use(self, path: Path) -> bool:
        return os.access(path, os.R_OK | os.W_OK)

    def group_of(self, path: Path) -> tuple[str, int]:
        number = path.stat().st_gid
        try:
            return grp.getgrgid(number).gr_name, number
        except KeyError:
            return str(number), number

    def user(self) -> str:
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return str(os.getuid())

    def mode(self, path: Path) -> int | None:
        try:
            seen = path.stat().st_mode
        except OSError:
            return None
        return S_IMODE(seen) if S_ISREG(seen) else None

    def imports(self, module: str) -> str | None:
        try:
            __import__(module)
        except (ImportError, OSError) as error:
            return str(error)
        return None

    def clock_is_synced(self) -> bool:
        return clock_is_synced()

    def free_bytes(self, folder: Path) -> int:
        return shutil.disk_usage(folder).free

    def can_write(self, folder: Path) -> str | None:
        trial = folder / f".doctor.{os.getpid()}"
        try:
            trial.write_bytes(b"\0" * 4096)
            trial.unlink()
        except OSError as error:
            return error.strerror or str(error)
        return None

    def device(self, folder: Path) -> DeviceFile:
        return DeviceFile.read(folder / "device.json")

    def ping(self, device: DeviceFile, address: str) -> str | None:
        try:
            bus = DeviceBus(address, device.redis_user, device.redis_password)
            bus.ping()
            bus.close()
        except (BusDown, ValueError) as error:
            return str(error)
        return None

    def plan(self, folder: Path, device: DeviceFile) -> Plan | None:
        return PlanStore(folder / "plan.json", device.device_id, *device.keys).plan

    def font_size(self) -> int:
        return int(ImageFont.truetype(str(FONT), 14).getbbox("M")[3])
