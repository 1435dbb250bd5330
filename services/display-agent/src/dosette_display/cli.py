"""The command `dosette-display`: `run` the agent, `pair` this machine, `press` a virtual button, ask the `doctor`, or see the `demo`."""

import argparse
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from gpiozero import Factory, PWMOutputDevice
from gpiozero.pins.mock import MockFactory

from dosette import process
from dosette.clock import real_clock
from dosette.contracts.device_file import DeviceFile
from dosette.process import Process
from dosette.settings import BadSetting, Environment
from dosette_display import metrics
from dosette_display.agent import Agent
from dosette_display.buttons import HOLD_S, Buttons
from dosette_display.buzzer import GPIO as BUZZER
from dosette_display.buzzer import TONE_HZ, Bell, Buzzer, Volume
from dosette_display.crew import Crew, Watchdog
from dosette_display.hardware import Hardware
from dosette_display.journal import Journal
from dosette_display.keyring import Keyring
from dosette_display.keys import Wiring
from dosette_display.known_clock import KnownClock
from dosette_display.lamp import Lamp
from dosette_display.link import Link, Talk
from dosette_display.plan_store import PlanStore
from dosette_display.press_socket import ANY, NoAgent, PressSocket, push
from dosette_display.systemd import Systemd

TAP_S = 0.1
STOP_WITHIN_S = 0.5
SETTLED_S = 5.0
"""After a start; the first picture has been drawn."""
LOOK_FOR_PAIRING_AGAIN_S = 5.0
FILE = "device.json"

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Exit code 1 and one sentence when it can't be done."""
    wanted = _parser().parse_args(argv)
    if wanted.command == "run":
        sys.exit(run())
    if wanted.command == "demo":
        sys.exit(demo(wanted.sheet))
    if wanted.command == "pair":
        sys.exit(pair(wanted.url, wanted.code, wanted.plain_http))
    sys.exit(doctor() if wanted.command == "doctor" else press(wanted.button, wanted.hold))


def run() -> int:
    """Runs the agent until SIGTERM."""
    os.umask(0o077)
    started = process.start("display")
    folder, hardware = _folder(started.env), Hardware.of(started.env)
    systemd = Systemd(os.environ.get("NOTIFY_SOCKET"))
    with _only_agent_of(folder):
        if not (folder / FILE).exists():
            _wait_to_be_paired(folder, started, hardware, systemd)
            again, code = not started.stopping.is_set(), 0
        else:
            agent = RunningAgent(started, folder, _device_file(folder / FILE), hardware, systemd)
            code = agent.run()
            again = agent.was_replaced and not code
    if again:
        log.info("the device was paired; the agent begins anew")
        os.execv(sys.executable, [sys.executable, "-m", "dosette_display.cli", "run"])  # noqa: S606
    return code


def pair(url: str, code: str, plain_http: bool) -> int:
    """Writes device.json by a code that the server made; an agent that runs on the folder notices."""
    # Here, since it brings HTTP and TLS: 2 MB that a paired agent does without.
    from dosette_display.pairing import Applicant, NotPaired, Server

    os.umask(0o077)
    path = _folder(Environment(os.environ)) / FILE
    try:
        Applicant(Server(url, plain_http)).with_code(code).write(path)
    except NotPaired as error:
        print(f"not paired: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{path} can't be written: {error.strerror}; make a new code when it can be", file=sys.stderr)
        return 1
    print(f"this panel is paired; {path} holds its keys")
    return 0


def press(button: str, hold_s: float | None) -> int:
    """Pushes a virtual button; `undo` is any of them, held."""
    folder = _folder(Environment(os.environ))
    seconds = hold_s if hold_s is not None else HOLD_S if button == "undo" else TAP_S
    try:
        saved, said = push(folder, ANY if button == "undo" else button, seconds)
    except NoAgent as error:
        saved, said = False, str(error)
    print(said, file=sys.stdout if saved else sys.stderr)
    return 0 if saved else 1


def demo(sheet: Path | None) -> int:
    """Shows every screen on the panel, or writes them side by side into a PNG file."""
    from dosette_display.demo import play, write_sheet

    env = Environment(os.environ)
    hardware = Hardware.of(env)
    wiring = Wiring.of(hardware.buttons)
    if sheet:
        try:
            write_sheet(sheet, hardware.size, wiring)
        except OSError as error:
            print(f"{sheet} can't be written: {error.strerror}", file=sys.stderr)
            return 1
        return 0
    folder, stopping = _folder(env), Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    with _only_agent_of(folder):
        play(hardware.open_panel(folder), wiring, stopping)
    return 0


def doctor() -> int:
    """Looks at everything the panel needs; exit code 1 if something is wrong."""
    from dosette_display.doctor import Patient, ThisMachine, examine, report

    env = Environment(os.environ)
    redis = env.text("DOSETTE_DEVICE_REDIS", "")
    said, code = report(examine(Patient(ThisMachine(), Hardware.of(env), _folder(env), redis, real_clock())))
    print(said)
    return code


class RunningAgent:
    """Everything of one running agent, put together."""

    def __init__(
        self, started: Process, folder: Path, device: DeviceFile, hardware: Hardware, systemd: Systemd
    ) -> None:
        self._hardware, self._systemd = hardware, systemd
        panel, factory = hardware.open_panel(folder), hardware.pins()
        self._started, self._stopping = started, started.stopping
        self._keyring = Keyring(folder / FILE, device, self._use)
        self.was_replaced = False
        self._socket = _press_socket(folder, factory, hardware) if isinstance(factory, MockFactory) else None
        self._lamp = Lamp(factory)
        self._agent = Agent(
            device_id=device.device_id,
            clock=started.clock,
            clock_synced=hardware.clock_is_synced,
            panel=panel,
            lamp=self._lamp,
            plans=PlanStore(folder / "plan.json", device.device_id, *device.keys),
            journal=Journal(folder / "journal", device.device_id),
            answered=self._socket.answered if self._socket else lambda answer: None,
            wiring=Wiring.of(hardware.buttons),
            adopt=self._keyring.adopt,
            known_clock=KnownClock(folder / "clock-known"),
        )
        self._buzzer = _buzzer(hardware.volume, factory)
        if self._buzzer:
            self._agent.bell = Bell(hardware.volume, self._buzzer.ring)
        ignored = self._socket.ignored if self._socket else lambda: None
        pins, untied = ({}, tuple(hardware.buttons)) if hardware.touch else (hardware.buttons, ())
        self._buttons = Buttons(self._agent, pins, factory, ignored, untied)
        self._touch = hardware.open_touch(
            factory, lambda: self._buttons.down("button"), lambda: self._buttons.up("button")
        )
        talk = Talk(
            heard=self._agent.heard,
            unsent=self._agent.unsent,
            sent=self._agent.sending,
            clock_synced=self._agent.clock_synced,
            refused=lambda: self._agent.plans.refused,
            parted=self._agent.is_parted,
        )
        address = _redis_address(started.env, device)
        self._link = Link(device, address, talk, started.clock, self._stopping)
        self._agent.wire = self._link

    def run(self) -> int:
        crew = Crew(self._stopping)
        metrics.serve(self._started.common.metrics_bind, self._agent.is_alive)
        self._start(crew)
        self._systemd.ready(f"showing the panel {self._hardware.panel}")
        log.info("started", extra={"panel": self._hardware.panel, "buttons": list(self._hardware.buttons)})
        if not self._stopping.wait(SETTLED_S):
            _give_back_memory()
        self._stopping.wait()
        self._systemd.stopping()
        self._stop()
        crew.join(STOP_WITHIN_S)
        log.info("stopped")
        return 1 if crew.failed else 0

    def _start(self, crew: Crew) -> None:
        stopping: Event = self._stopping
        crew.start("screen", lambda: self._agent.run(stopping))
        crew.start("buttons", lambda: self._buttons.run(stopping))
        crew.start("listener", self._link.listen)
        crew.start("sender", self._link.send)
        crew.start("keyring", self._heed_pairing)
        watchdog = Watchdog(lambda: self._agent.progress, alive=self._systemd.alive)
        crew.start("watchdog", lambda: watchdog.run(stopping))
        if touch := self._touch:
            crew.start("touch", lambda: touch.run(stopping))
        if buzzer := self._buzzer:
            crew.start("buzzer", lambda: buzzer.run(stopping))
        if socket := self._socket:
            crew.start("press socket", lambda: socket.run(stopping))

    def _use(self, device: DeviceFile) -> None:
        self._agent.plans.use_keys(*device.keys)
        self._link.use(device)

    def _heed_pairing(self) -> None:
        """A loop: who pairs the device anew need not know that an agent runs."""
        while not self._stopping.wait(LOOK_FOR_PAIRING_AGAIN_S):
            if self._keyring.was_replaced():
                self.was_replaced = True
                self._stopping.set()

    def _stop(self) -> None:
        self._agent.wake()
        self._buttons.wake()
        self._link.wake()
        if self._socket:
            self._socket.close()
        if self._touch:
            self._touch.wake()
        if self._buzzer:
            self._buzzer.wake()
            self._buzzer.close()
        self._buttons.close()
        self._lamp.close()


def _folder(env: Environment) -> Path:
    folder = env.path("DOSETTE_DEVICE_DIR")
    if folder is None:
        raise BadSetting("DOSETTE_DEVICE_DIR is not set: set it to the folder that holds device.json")
    if not folder.is_dir():
        raise BadSetting(f"DOSETTE_DEVICE_DIR={folder}: there is no such folder")
    return folder


def _wait_to_be_paired(folder: Path, started: Process, hardware: Hardware, systemd: Systemd) -> None:
    """It waits instead of giving up: a panel is plugged in before somebody pairs it, and must not need a second visit."""
    from dosette_display.unpaired import Unpaired  # see `pair`

    metrics.serve(started.common.metrics_bind)
    systemd.ready("waiting to be paired")
    Unpaired.of(started.env).wait(folder / FILE, hardware.open_panel, started.clock, started.stopping, systemd.alive)


def _device_file(path: Path) -> DeviceFile:
    try:
        return DeviceFile.read(path)
    except (ValueError, OSError) as error:
        raise BadSetting(str(error)) from None


def _redis_address(env: Environment, device: DeviceFile) -> str:
    address = env.text("DOSETTE_DEVICE_REDIS", device.redis)
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise BadSetting(f"DOSETTE_DEVICE_REDIS={address}: write HOST:PORT")
    return address


@contextmanager
def _only_agent_of(folder: Path) -> Iterator[None]:
    """Two agents on one journal would each forget the other's presses. The folder itself is locked: it may be read-only."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BadSetting(f"DOSETTE_DEVICE_DIR={folder}: another display agent runs here") from None
    finally:
        os.close(descriptor)


def _buzzer(volume: Volume, factory: Factory) -> Buzzer | None:
    if volume is Volume.OFF:
        return None
    return Buzzer(PWMOutputDevice(BUZZER, frequency=TONE_HZ, pin_factory=factory))


def _give_back_memory() -> None:
    """What starting needed and nothing uses any more: 0.6 MB, which glibc's malloc would keep for good. Another libc lacks the call."""
    import ctypes  # here, since a command that is not `run` needs none

    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def _press_socket(folder: Path, factory: MockFactory, hardware: Hardware) -> PressSocket | None:
    """None on a card that can't be written: a panel that can't be pressed still reminds."""
    try:
        return PressSocket(folder, factory, hardware.buttons)
    except OSError as error:
        log.error("there is no socket for `dosette-display press`", extra={"error": str(error)})
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dosette-display", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the agent")
    commands.add_parser("doctor", help="look at everything the panel needs, and say what to do about it")
    shown = commands.add_parser("demo", help="show every screen on the panel, for some seconds each")
    shown.add_argument("--sheet", type=Path, metavar="FILE.png", help="write them side by side into a file instead")
    pairing = commands.add_parser("pair", help="make this machine a panel, by a code from `dosette device pair`")
    pairing.add_argument("url", help="the server, such as https://dosette.example")
    pairing.add_argument("code", help="such as K7QM-9XD4")
    pairing.add_argument("--plain-http", action="store_true", help="though everybody on the way can read the keys")
    pressing = commands.add_parser("press", help="press a button of the agent with a virtual panel")
    pressing.add_argument("button", choices=("take", "snooze", "skip", "button", "undo"))
    pressing.add_argument(
        "--hold", type=float, metavar="S", help=f"seconds; a button held for {HOLD_S:g} undoes the last press"
    )
    return parser


if __name__ == "__main__":
    main()
