"""The household server in containers: brought up, played from a schedule to the button, taken down again.

    python3 tests/stack/play.py          on a server, watched, with HTTPS, and with what can go wrong when it is set up
    python3 tests/stack/play.py --pi     inside the limits of compose.pi.yaml, with a virtual panel

Needs Docker with Compose v2, and k6 beside its Python or on PATH. It has a project name and ports of its own, so it may run beside
a household that is in use; volumes are removed at the end. The images' names are shared, though: that household's next `up` takes
what was built here. Grafana is left out: nothing here depends on it, and its panels' questions are asked of Prometheus.
"""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[2]
HOUSEHOLD = ("db", "redis", "api", "scheduler", "worker", "display-agent")
SCRAPED = {"api", "scheduler", "worker", "display-agent", "backup"}
WORKERS = 3
STARTED = ("up", "--detach", "--wait", "--no-deps", "--no-recreate")
ONCE = ("run", "--rm", "--no-deps")
MAKE_SECRETS = "python /opt/dosette/make_secrets.py /secrets /database/18"
OWN_LAYERS_MB = {"api": 120, "scheduler": 120, "display-agent": 70}
"""What each image may add to the Python image that it begins with."""
PI_MEMORY_MIB = 512
UP_TIMEOUT_S = 900  # the first time, base images and wheels come over somebody's line
WELL_TIMEOUT_S = 120
AHEAD = timedelta(seconds=4)
TELLING_TIMEOUT_S = 90.0
SCRAPE_TIMEOUT_S = 60.0
PRESSES, PRESS_TIMEOUT_S = 12, 5.0
BALLAST = "/var/lib/postgresql/ballast"
FILL_A_PAGE = 1000  # so many rows fit into no table's last page
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
    began, stack = time.monotonic(), Stack.on_a_pi() if "--pi" in sys.argv[1:] else Stack.on_a_server()
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
    for service, at_most in OWN_LAYERS_MB.items():
        with step(
            f"the image of {service} adds {(own := own_layers_mb(service)):.0f} MB to its Python, {at_most} at most"
        ):
            check(own <= at_most, f"it adds {own:.1f} MB")
    with step("a token, made on the console"):
        api = Api(stack.port, stack.told("api", "dosette", "token", "create", "--name", "play", "--member", "Ana"))
    medicine = play_a_dose(stack, api, "Playmycin")
    for service in ("worker", "scheduler"):
        with step(f"{service}: killed with -9, started again"):
            kill(stack, service)
    play_a_dose(stack, api, "Afterplay")
    if stack.watched:
        play_what_a_server_has(stack, api)
        play_what_can_go_wrong(stack, api, medicine)
    else:
        check_memory(stack)


def play_what_a_server_has(stack: "Stack", api: "Api") -> None:
    with step(f"{WORKERS} workers"):
        stack.run(*STARTED, "--scale", f"worker={WORKERS}", "worker")
    with step("HTTPS with the house's own certificate authority"):
        stack.run("--profile", "https", *STARTED, "caddy")
        soon(lambda: ready_over_https(stack), "an answer over HTTPS", TELLING_TIMEOUT_S)
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


def play_what_can_go_wrong(stack: "Stack", api: "Api", medicine: str) -> None:
    """Each stops with a sentence that names the thing, and no data is touched."""
    history = api.items(f"history?medicine={medicine}")
    with step("a half-written .env makes no demo"):
        refused(stack, "DOSETTE_DEMO=: must be 0 or 1", *ONCE, "household", DOSETTE_DEMO="")
    with step("a .env that is cut off is named, and a mistyped name, also where its owner alone may read it"):
        refuse_a_wrong_env(stack)
    with step("a port that is taken is named"), socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(stack, f":{port}", *ONCE, "--publish", f"127.0.0.1:{port}:8080", "api")
    with step("a wrong password is named, and changes nothing"):
        in_secrets(stack, f"mv superuser_password kept && echo wrong >superuser_password && {MAKE_SECRETS}")
        refused(stack, 'password authentication failed for user "postgres"', *ONCE, "migrate")
    with step("a lost password is named, and none is drawn in its place"):
        without = f"rm -f superuser_password; {MAKE_SECRETS}"
        refused(
            stack,
            "the volume secrets lacks superuser_password",
            *ONCE,
            "secrets",
            "sh",
            "-c",
            f"cd /secrets; {without}",
        )
    with step("with the password back, all is as it was"):
        in_secrets(stack, f"mv kept superuser_password && {MAKE_SECRETS}")
        stack.run(*ONCE, "migrate")
        check(api.items(f"history?medicine={medicine}") == history, "the history changed")
    play_a_full_disk(stack, api)


def play_a_full_disk(stack: "Stack", api: "Api") -> None:
    """The database's, which is small here; it lasts as long as some container holds it, and PostgreSQL's own comes and goes."""
    holder = stack.run("run", "--detach", "--rm", "--no-deps", "db", "sleep", "600").strip()
    ask_postgres(stack, "SELECT pg_switch_wal()", "CHECKPOINT")  # room in its log, but none for rows
    with step("the database's disk is full: what is not saved is said not to be; what was saved can be read"):
        inside(holder, f"cat /dev/zero >{BALLAST}")
        saved, refusal = add_until_refused(api)
        check(refusal.startswith("POST medicines: 503 ") and "nothing was saved" in refusal, refusal)
        check_there(api, saved)
    with step("nor room for PostgreSQL's log: it stops, and nothing is said to be saved"):
        ask_postgres(
            stack, "SELECT pg_logical_emit_message(false, '', repeat('x', 1000000)) FROM generate_series(1, 200)"
        )
        saved_now, refusal = add_until_refused(api)
        check(not saved_now and ": 503 " in refusal, f"{saved_now} {refusal}")
        check("PANIC" in (log := stack.run("logs", "db")), log)
    with step(f"with room again it goes on by itself, and has all {len(saved)} that were saved"):
        inside(holder, f"rm {BALLAST}")
        soon(lambda: is_ready(stack), "the server is ready again", TELLING_TIMEOUT_S)
        check_there(api, saved)
        add_medicine(api, "Roomycin")


def play_a_dose(stack: "Stack", api: "Api", name: str) -> str:
    """One dose from its schedule to the panel to the button, and what is to be read afterwards; the medicine's id."""
    with step(f"{name}: added, and scheduled in {AHEAD.seconds} s"):
        medicine, not_yet = add_medicine(api, name), frame(api)
        due_at = schedule(api, medicine, datetime.now(household_zone(api)) + AHEAD)
    with step(f"{name}: due"):
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
    return medicine


# What a member does, and sees


def household_zone(api: "Api") -> ZoneInfo:
    return ZoneInfo(api.get("household")["zone"])


def add_medicine(api: "Api", name: str) -> str:
    ana = next(member["id"] for member in api.items("members") if member["name"] == "Ana")
    wanted = {"member_id": ana, "name": name, "strength": "5 mg", "on_hand": "10"}
    return str(api.send("POST", "medicines", wanted)["id"])


def schedule(api: "Api", medicine: str, local: datetime) -> datetime:
    """Daily at this local time, to the second; the moment at which that is today. Time-critical, so that it is told at any hour, and
    without waiting until what was told a moment ago is a minute old."""
    due_at = local.replace(microsecond=0)
    steps = [{"time": f"{due_at:%H:%M:%S}", "amount": "1"}]
    api.send("PUT", f"medicines/{medicine}/schedule", {"steps": steps, "critical": True})
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
    """Several presses, if the demo's own doses fill the screen: a press takes what is on it, and the next goes on to what else is due."""
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


# What befalls the server, and what it weighs


def refused(stack: "Stack", sentence: str, *words: str, **settings: str) -> None:
    """`docker compose …` fails, and says this."""
    done = stack.ask(words, 90, settings)
    said = f"{done.stdout}\n{done.stderr}"
    check(done.returncode != 0 and sentence in said, f"it should fail and say {sentence!r}; {done.returncode}:\n{said}")


def inside(container: str, script: str) -> None:
    """Whatever comes of it."""
    subprocess.run(["docker", "exec", container, "sh", "-c", script], capture_output=True, check=False)


def ask_postgres(stack: "Stack", *statements: str) -> None:
    """Whatever comes of it."""
    words = [word for statement in statements for word in ("--command", statement)]
    stack.run("exec", "-T", "db", "psql", "--username=postgres", "--dbname=dosette", "--quiet", *words, check=False)


def add_until_refused(api: "Api") -> tuple[list[str], str]:
    """The ids of what was saved until then, and how the API refused."""
    saved: list[str] = []
    while len(saved) < FILL_A_PAGE:
        try:
            saved.append(add_medicine(api, f"Fullmycin {len(saved)}"))
        except Failed as error:
            return saved, str(error)
    raise Failed(f"with a full disk, {FILL_A_PAGE} medicines were saved")


def check_there(api: "Api", medicines: Sequence[str]) -> None:
    for each in medicines:
        api.get(f"medicines/{each}")


def is_ready(stack: "Stack") -> bool:
    with suppress(OSError), _direct.open(f"http://127.0.0.1:{stack.port}/ready", timeout=10) as reply:
        return bool(reply.status == 200)
    return False


def refuse_a_wrong_env(stack: "Stack") -> None:
    """In a folder that stands for this checkout, whose own .env may be in use."""
    with TemporaryDirectory() as folder:  # its owner's alone, at first
        asked = ("--project-directory", folder, *ONCE, "settings")
        env = Path(folder, ".env")
        shutil.copy(ROOT / ".env.example", folder)
        env.write_text("DOSETTE_DEMMO=0\n")
        refused(stack, ".env: there is no setting DOSETTE_DEMMO, but DOSETTE_DEMO", *asked)
        Path(folder).chmod(0o755)
        env.write_text("DOSETTE_DE\nDOSETTE_DEMO=0\n")
        refused(stack, ".env, line 1: DOSETTE_DE is cut off", *asked)
        env.write_text("DOSETTE_DEMO=0\nDOSETTE_DE")  # of a last line without its end, Docker itself may say so
        refused(stack, "DOSETTE_DE", *asked)
        env.unlink()
        stack.run(*asked)


def in_secrets(stack: "Stack", script: str) -> None:
    stack.run(*ONCE, "secrets", "sh", "-c", f"cd /secrets && {script}")


def ready_over_https(stack: "Stack") -> bool:
    """Asked as a phone would that trusts the house's authority, and no other."""
    authority = stack.run(
        "--profile", "https", "exec", "-T", "caddy", "cat", "/data/caddy/pki/authorities/local/root.crt", check=False
    )
    if "BEGIN CERTIFICATE" not in authority:
        return False
    handler = HTTPSHandler(context=ssl.create_default_context(cadata=authority))
    with build_opener(ProxyHandler({}), handler).open(
        f"https://localhost:{stack.https_port}/ready", timeout=10
    ) as reply:
        return bool(json.load(reply)["status"] == "ready")


def own_layers_mb(service: str) -> float:
    """The size of our image less that of the one it begins with."""
    dockerfile = (ROOT / f"services/{service}/Dockerfile").read_text()
    base = next(line.split()[1] for line in dockerfile.splitlines() if line.startswith("FROM "))
    return (image_bytes(f"dosette/{service}:local") - image_bytes(base)) / 1e6


def image_bytes(image: str) -> int:
    inspect = ["docker", "image", "inspect", "--format", "{{.Size}}", image]
    return int(subprocess.run(inspect, capture_output=True, text=True, check=True).stdout)


def check_memory(stack: "Stack") -> None:
    """What the containers hold after two doses; none was ended for lack of memory."""
    containers = stack.run("ps", "--quiet").split()
    stats = ["docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *containers]
    used = subprocess.run(stats, capture_output=True, text=True, check=True).stdout
    total = sum(mib(line.split()[1]) for line in used.splitlines())
    with step(f"{total:.0f} MiB of a Pi's {PI_MEMORY_MIB} are used, and nobody was ended for want of them"):
        print(used, end="")
        ended = ["docker", "inspect", "--format", "{{.Name}} {{.State.OOMKilled}}", *containers]
        check("true" not in subprocess.run(ended, capture_output=True, text=True, check=True).stdout, "somebody was")
        check(total <= PI_MEMORY_MIB, "they use more")


def mib(written: str) -> float:
    """Docker writes 812KiB, 35.6MiB, 1.2GiB."""
    number, unit = written[:-3], written[-3:]
    return float(number) * {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}[unit]


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Failed(otherwise)


def kill(stack: "Stack", service: str) -> None:
    """Ends the main process as the kernel would when memory is short, and waits until Docker has started it again."""
    restarts = stack.restarts(service)
    stack.run("exec", "-T", service, "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)", check=False)
    soon(lambda: stack.restarts(service) > restarts, f"{service} is started again", TELLING_TIMEOUT_S)


def everyone_is_scraped(port: int, since: datetime) -> bool:
    with _direct.open(f"http://127.0.0.1:{port}/api/v1/targets?state=active", timeout=10) as reply:
        targets = json.load(reply)["data"]["activeTargets"]
    up = {target["labels"]["job"] for target in targets if target["health"] == "up" and scraped_at(target) > since}
    workers = [target for target in targets if target["labels"]["job"] == "worker"]
    return up >= SCRAPED and len(up) == len({target["labels"]["job"] for target in targets}) and len(workers) == WORKERS


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
    """Every question about k6, by its panel's title; the others are asked in tests/monitoring."""
    for panel in json.loads((ROOT / "grafana/dashboards/benchmarks.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            if "k6_" not in target["expr"]:
                continue
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

    files: tuple[str, ...]
    services: tuple[str, ...]
    settings: Mapping[str, str]
    project: str = f"dosette-play-{os.getpid()}"

    @classmethod
    def on_a_server(cls) -> "Stack":
        ports = {name: str(free_port()) for name in ("PORT", "PROMETHEUS_PORT", "DOSETTE_HTTPS_PORT")}
        return cls(
            ("compose.yaml", "compose.ports.yaml", "tests/stack/compose.small.yaml"),
            (*HOUSEHOLD, "backup", "prometheus"),
            ports,
        )

    @classmethod
    def on_a_pi(cls) -> "Stack":
        """This machine has no panel: /dev/null stands for its devices."""
        nothing = dict.fromkeys(("DOSETTE_GPIO", "DOSETTE_SPI"), "/dev/null")
        groups = {"DOSETTE_GPIO_GROUP": "986", "DOSETTE_SPI_GROUP": "989"}
        own = {"PORT": str(free_port()), "DOSETTE_PANEL": "virtual"}
        return cls(("compose.yaml", "compose.pi.yaml"), HOUSEHOLD, {**own, **nothing, **groups})

    @property
    def watched(self) -> bool:
        return "prometheus" in self.services

    @property
    def port(self) -> int:
        return int(self.settings["PORT"])

    @property
    def prometheus_port(self) -> int:
        return int(self.settings["PROMETHEUS_PORT"])

    @property
    def https_port(self) -> int:
        return int(self.settings["DOSETTE_HTTPS_PORT"])

    def up(self) -> None:
        waiting = ("--wait", "--wait-timeout", str(WELL_TIMEOUT_S))
        self.run("up", "--build", "--detach", *waiting, *self.services, timeout_s=UP_TIMEOUT_S)

    def down(self) -> None:
        self.run("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "10")

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
        done = self.ask(words, timeout_s, {})
        if check and done.returncode:
            last = "\n".join(f"{done.stdout}\n{done.stderr}".splitlines()[-40:])
            raise Failed(f"`docker compose {' '.join(words)}` ended with {done.returncode}:\n{last}")
        return done.stdout

    def ask(
        self, words: Sequence[str], timeout_s: float, settings: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        files = [word for file in self.files for word in ("--file", file)]
        command = ["docker", "compose", *files, "--project-name", self.project, *words]
        environment = {**os.environ, **self.settings, "DOSETTE_CHECK_EVERY": "1s", "DOSETTE_DEMO": "1", **settings}
        try:
            return subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"`docker compose {words[0]}` took longer than {timeout_s:g} s") from None


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
