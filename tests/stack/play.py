"""The household server in containers: brought up, played from a schedule to the button, taken down again.

    python3 tests/stack/play.py

Needs Docker with Compose v2, and k6 beside its Python or on PATH. It has a project name and ports of its own, so it may run beside
a household that is in use; volumes are removed at the end. The images' names are shared, though: that household's next `up` takes
what was built here. Grafana is left out: nothing here depends on it, and its panels' questions are asked of Prometheus.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("db", "redis", "api", "scheduler", "worker", "display-agent", "prometheus")
SCRAPED = {"api", "scheduler", "worker", "display-agent"}
UP_TIMEOUT_S = 900  # the first time, base images and wheels come over somebody's line
WELL_TIMEOUT_S = 120
AHEAD, BEFORE = timedelta(seconds=6), timedelta(seconds=1)
TELLING_TIMEOUT_S = 90.0
SCRAPE_TIMEOUT_S = 60.0
PRESSES, PRESS_TIMEOUT_S = 6, 5.0
PNG = b"\x89PNG\r\n\x1a\n"

Seen = TypeVar("Seen")
_direct = build_opener(ProxyHandler({}))  # what is on this machine is never asked for through a proxy


class Failed(Exception):
    """The play can't go on; says why."""


def main() -> int:
    signal.signal(signal.SIGTERM, _leave)
    if not engine_answers():
        print("No Docker engine with Compose v2 answers: install Docker, or start it.", file=sys.stderr)
        return 1
    began, stack = time.monotonic(), Stack(f"dosette-play-{os.getpid()}", free_port(), free_port())
    try:
        play(stack)
    except Exception as error:
        print(f"FAILED: {error}\n{stack.logs()}", flush=True)
        if isinstance(error, Failed):
            return 1
        raise  # not a rule of the play that broke, but the play: whoever mends it needs the traceback
    finally:
        with step("taken down, volumes and all"):
            stack.down()
    print(f"The play took {time.monotonic() - began:.0f} s.")
    return 0


def play(stack: "Stack") -> None:
    with step("built and started; everything says it is well"):
        stack.up()
    with step("a token, made on the console"):
        api = Api(stack.port, stack.told("api", "dosette", "token", "create", "--name", "play", "--member", "Ana"))
    play_a_dose(stack, api, "Playmycin")
    for service in ("worker", "scheduler"):
        with step(f"{service}: killed with -9, started again"):
            kill(stack, service)
    play_a_dose(stack, api, "Afterplay")
    with step("Prometheus reaches everyone"):
        since = datetime.now(UTC)
        soon(lambda: everyone_is_scraped(stack.prometheus_port, since), "every target is up", SCRAPE_TIMEOUT_S)
    with step("k6 sends a run to Prometheus, and every panel of its dashboard shows it"):
        send_a_run(stack, api)
        for title, asked in asked_by_panels():
            soon(
                lambda asked=asked: shows(stack.prometheus_port, asked),
                f"figures for {title}: {asked}",
                SCRAPE_TIMEOUT_S,
            )


def play_a_dose(stack: "Stack", api: "Api", name: str) -> None:
    """One dose from its schedule to the panel to the button, and what is to be read afterwards."""
    with step(f"{name}: added, and scheduled in {AHEAD.seconds} s"):
        medicine = add_medicine(api, name)
        due_at = schedule(api, medicine, datetime.now(household_zone(api)) + AHEAD)
    with step(f"{name}: due"):
        sleep_until(due_at - BEFORE)
        not_yet = frame(api)
        dose = soon(lambda: pending_dose(api, medicine), f"{name} is pending", TELLING_TIMEOUT_S)
    with step(f"{name}: told by the worker"):
        soon(lambda: told(stack, due_at), "a line in Ana's file", TELLING_TIMEOUT_S)
    with step(f"{name}: the panel shows that it is due"):
        soon(lambda: frame(api) != not_yet, "another picture", TELLING_TIMEOUT_S)
        due = frame(api)
    with step(f"{name}: the button is pressed, the dose is taken on the panel"):
        press_until_taken(stack, api, medicine, dose)
    with step(f"{name}: panel, stock and history say so, once"):
        soon(lambda: frame(api) != due, "another picture", TELLING_TIMEOUT_S)
        check_stock(api, medicine)
        check_history(api, medicine, dose)


# What a member does, and sees


def household_zone(api: "Api") -> ZoneInfo:
    return ZoneInfo(api.get("household")["zone"])


def add_medicine(api: "Api", name: str) -> str:
    ana = next(member["id"] for member in api.items("members") if member["name"] == "Ana")
    wanted = {"member_id": ana, "name": name, "strength": "5 mg", "on_hand": "10"}
    return str(api.send("POST", "medicines", wanted)["id"])


def schedule(api: "Api", medicine: str, local: datetime) -> datetime:
    """Daily at this local time, to the second; the moment at which that is today."""
    due_at = local.replace(microsecond=0)
    api.send("PUT", f"medicines/{medicine}/schedule", {"steps": [{"time": f"{due_at:%H:%M:%S}", "amount": "1"}]})
    return due_at


def pending_dose(api: "Api", medicine: str) -> str | None:
    return next((dose["id"] for dose in api.items("medicines/pending") if dose["medicine"]["id"] == medicine), None)


def told(stack: "Stack", due_at: datetime) -> bool:
    """Whether the file channel wrote of a dose of this minute, since it fell due."""
    written = stack.run("exec", "-T", "worker", "cat", "/var/lib/dosette/deliveries/ana.jsonl", check=False)
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    return any(datetime.fromisoformat(line["at"]) >= due_at and f"{due_at:%H:%M}" in line["text"] for line in lines)


def frame(api: "Api") -> bytes:
    device = next(iter(api.items("devices")))["id"]
    picture = soon(lambda: api.fetch(f"devices/{device}/frame.png"), "the panel has a picture", TELLING_TIMEOUT_S)
    if not picture.startswith(PNG):
        raise Failed(f"the frame is no PNG: it begins with {picture[:16]!r}")
    return picture


def press_until_taken(stack: "Stack", api: "Api", medicine: str, dose: str) -> None:
    """Several presses, if the demo's own doses fill the screen: a press takes what is on it."""
    for _ in range(PRESSES):
        stack.run("exec", "-T", "display-agent", "dosette-display", "press", "take", check=False)
        if look_for(lambda: taken_dose(api, medicine, dose), PRESS_TIMEOUT_S):
            break
    taken = taken_dose(api, medicine, dose)
    if not (taken and taken["resolved_on"] and taken["resolved_on"]["name"] == "Kitchen"):
        raise Failed(f"the dose should have been taken on the panel Kitchen, and is {taken or 'pending'}")


def taken_dose(api: "Api", medicine: str, dose: str) -> dict[str, Any] | None:
    doses = api.items(f"doses?medicine={medicine}")
    return next((each for each in doses if each["id"] == dose and each["status"] == "taken"), None)


def check_stock(api: "Api", medicine: str) -> None:
    on_hand = api.get(f"medicines/{medicine}/stock")["on_hand"]
    if on_hand != "9":
        raise Failed(f"10 less 1 should be 9 on hand, and is {on_hand}")


def check_history(api: "Api", medicine: str, dose: str) -> None:
    facts = [
        (fact["kind"], fact["source"], fact["on"] and fact["on"]["name"])
        for fact in api.items(f"history?medicine={medicine}")
        if fact["dose"]["id"] == dose
    ]
    if facts != [("taken", "panel", "Kitchen")]:
        raise Failed(f"history should tell once that it was taken on the panel, and tells {facts}")


# What befalls the server


def kill(stack: "Stack", service: str) -> None:
    """Ends the main process as the kernel would when memory is short, and waits until Docker has started it again."""
    restarts = stack.restarts(service)
    stack.run("exec", "-T", service, "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)", check=False)
    soon(lambda: stack.restarts(service) > restarts, f"{service} is started again", TELLING_TIMEOUT_S)


def everyone_is_scraped(port: int, since: datetime) -> bool:
    with _direct.open(f"http://127.0.0.1:{port}/api/v1/targets?state=active", timeout=10) as reply:
        targets = json.load(reply)["data"]["activeTargets"]
    up = {target["labels"]["job"] for target in targets if target["health"] == "up" and scraped_at(target) > since}
    return up >= SCRAPED and len(up) == len({target["labels"]["job"] for target in targets})


def scraped_at(target: dict[str, Any]) -> datetime:
    """Go writes nanoseconds, which Python reads as microseconds."""
    return datetime.fromisoformat(target["lastScrape"])


def send_a_run(stack: "Stack", api: "Api") -> None:
    """As bench/k6/README.md says."""
    beside = Path(sys.executable).with_name("k6")
    k6 = str(beside) if beside.exists() else shutil.which("k6")
    if k6 is None:
        raise Failed("there is no k6 beside this Python or on PATH: `make test` installs one into .venv")
    told = {
        "BASE_URL": f"http://127.0.0.1:{stack.port}",
        "TOKEN": api.token,
        "SECONDS": "8",
        "SUMMARY": os.devnull,
        "K6_NO_USAGE_REPORT": "true",
        "K6_PROMETHEUS_RW_SERVER_URL": f"http://127.0.0.1:{stack.prometheus_port}/api/v1/write",
        "K6_PROMETHEUS_RW_TREND_STATS": "avg,p(50),p(95),p(99)",
        "K6_PROMETHEUS_RW_PUSH_INTERVAL": "1s",
    }
    words = [k6, "run", "--quiet", "--address", "", "--tag", "testid=play", "--out", "experimental-prometheus-rw"]
    done = subprocess.run(
        [*words, "bench/k6/smoke.js"], cwd=ROOT, env={**os.environ, **told}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"k6 ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


def asked_by_panels() -> Iterator[tuple[str, str]]:
    """Every question of the k6 dashboard, by its panel's title."""
    for panel in json.loads((ROOT / "grafana/dashboards/k6.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$run", "play").replace("$__rate_interval", "1m")


def shows(port: int, asked: str) -> bool:
    """Whether Prometheus has an answer, in numbers."""
    with _direct.open(f"http://127.0.0.1:{port}/api/v1/query?{urlencode({'query': asked})}", timeout=10) as reply:
        found = json.load(reply)["data"]["result"]
    return bool(found) and all(each["value"][1] != "NaN" for each in found)


# The parts


@dataclass(frozen=True)
class Stack:
    """One Compose project of this checkout."""

    project: str
    port: int
    prometheus_port: int

    def up(self) -> None:
        waiting = ("--wait", "--wait-timeout", str(WELL_TIMEOUT_S))
        self.run("up", "--build", "--detach", *waiting, *SERVICES, timeout_s=UP_TIMEOUT_S)

    def down(self) -> None:
        self.run("down", "--volumes", "--remove-orphans", "--timeout", "10")

    def told(self, service: str, *command: str) -> str:
        """What a command says inside a container."""
        return self.run("exec", "-T", service, *command).strip()

    def restarts(self, service: str) -> int:
        container = self.run("ps", "--all", "--quiet", service).strip()
        inspect = ["docker", "inspect", "--format", "{{.RestartCount}}", container]
        return int(subprocess.run(inspect, capture_output=True, text=True, check=False).stdout.strip() or 0)

    def logs(self) -> str:
        asked = [("ps", "--all"), ("logs", "--no-color", "--tail", "60")]
        return "\n".join(self.run(*words, check=False) for words in asked)

    def run(self, *words: str, check: bool = True, timeout_s: float = 90) -> str:
        """`docker compose …`; its standard output, and with `check` a failure that shows the end of both."""
        command = ["docker", "compose", "--file", "compose.yaml", "--project-name", self.project, *words]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=self._environ(), capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"`docker compose {words[0]}` took longer than {timeout_s:g} s") from None
        if check and done.returncode:
            last = "\n".join(f"{done.stdout}\n{done.stderr}".splitlines()[-40:])
            raise Failed(f"`docker compose {' '.join(words)}` ended with {done.returncode}:\n{last}")
        return done.stdout

    def _environ(self) -> dict[str, str]:
        own = {"PORT": str(self.port), "PROMETHEUS_PORT": str(self.prometheus_port), "DOSETTE_CHECK_EVERY": "1s"}
        return {**os.environ, **own, "DOSETTE_DEMO": "1"}


@dataclass(frozen=True)
class Api:
    """The API over its published port."""

    port: int
    token: str

    def get(self, path: str) -> dict[str, Any]:
        return dict(json.loads(self._ask("GET", path)))

    def items(self, path: str) -> list[dict[str, Any]]:
        return list(self.get(path)["items"])

    def send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return dict(json.loads(self._ask(method, path, json.dumps(body).encode())))

    def fetch(self, path: str) -> bytes | None:
        """None when it isn't there."""
        try:
            return self._ask("GET", path)
        except Failed as error:
            if "404" in str(error):
                return None
            raise

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            with _direct.open(Request(url, body, headers, method=method), timeout=10) as reply:
                return bytes(reply.read())
        except HTTPError as error:
            raise Failed(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from None


# The engine, the clock, the ports, the lines that are printed


def engine_answers() -> bool:
    listing = ["docker", "compose", "ls", "--quiet"]  # needs the client, Compose and the engine
    return bool(shutil.which("docker")) and subprocess.run(listing, capture_output=True, check=False).returncode == 0


def soon(look: Callable[[], Seen | None], what: str, timeout_s: float) -> Seen:
    """What `look` sees once it sees anything; Failed when that takes longer."""
    seen = look_for(look, timeout_s)
    if not seen:
        raise Failed(f"this did not come within {timeout_s:g} s: {what}")
    return seen


def look_for(look: Callable[[], Seen | None], timeout_s: float) -> Seen | None:
    deadline = time.monotonic() + timeout_s
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return seen


def sleep_until(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def step(said: str) -> Iterator[None]:
    """Prints a line when it is done, with its seconds, or that it failed."""
    began = time.monotonic()
    try:
        yield
    except BaseException:
        print(f"  FAILED  {said}", flush=True)
        raise
    print(f"{time.monotonic() - began:6.1f} s  {said}", flush=True)


def _leave(number: int, stack_frame: FrameType | None) -> None:
    """SIGTERM ends the play as Ctrl-C does: what was started is taken down."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
