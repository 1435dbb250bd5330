"""Dosette's own four processes: the command of each, what it is told, and where it says that it is well."""

import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from dosette_local.folder import Folder
from dosette_local.logs import Log
from dosette_local.ports import LOOPBACK
from dosette_local.processes import Program
from dosette_local.stores import Stores

METERED = ("scheduler", "worker", "display-agent")  # each gets a port for its metrics; the api has them on its own
# What a process may not learn from the environment that the launcher was started in.
WITHHELD = re.compile(
    r"(DATABASE_URL|REDIS_URL|DOSETTE_(SECRET|LINK_KEY|MQTT_URL|METRICS_BIND|DB_PASSWORD_.*))(_FILE)?$"
)
ANSWER_S = 2.0
BROKER = ("DOSETTE_MQTT_URL", "DOSETTE_MQTT_URL_FILE")  # it may hold a password


@dataclass(frozen=True)
class Service:
    """One process, and the port and path where it answers 200 when it is well."""

    program: Program
    port: int
    health: str

    def well(self) -> bool:
        return answered(self.port, self.health) == HTTPStatus.OK

    def answers(self) -> bool:
        """At all: a database that is away makes a service unwell, and ending the service would not bring it back, so that the
        database is not asked either."""
        return answered(self.port, "/health") is not None


@dataclass(frozen=True)
class Commands:
    """Makes programs of the commands that were installed beside this Python."""

    bin: Path
    environ: Mapping[str, str]
    folder: Folder
    keeps_open: tuple[int, ...]

    def program(self, name: str, words: Sequence[str], environ: Mapping[str, str], log: str | None = None) -> Program:
        """Of the command that `words` begins with; it logs under its name, or under `log`."""
        return Program(
            name=name,
            argv=(self.bin / words[0], *words[1:]),
            env=_handed_on(self.environ) | {"PYTHONUNBUFFERED": "1"} | dict(environ),
            cwd=self.folder.path,
            log=Log(self.folder.log(log or name)),
            keeps_open=self.keeps_open,
        )


def services(commands: Commands, stores: Stores, web_port: int, metrics: Mapping[str, int]) -> list[Service]:
    """In the order in which they are started; `metrics` holds a port for each of METERED."""

    def metered(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Service:
        port = metrics[name]
        bind = {"DOSETTE_METRICS_BIND": f"{LOOPBACK}:{port}"}
        return Service(commands.program(name, words, bind | dict(environ)), port, "/health")

    def stored(role: str) -> dict[str, str]:
        return {"DATABASE_URL": stores.database_of(role), "REDIS_URL": stores.redis_of(role)}

    passwords = commands.folder.passwords()
    linking = {"DOSETTE_LINK_KEY": passwords["links"]}
    public_url = commands.environ.get("DOSETTE_PUBLIC_URL") or f"http://{LOOPBACK}:{web_port}"
    pairing = {"DOSETTE_SECRET": passwords["signing"], "DOSETTE_REDIS_FOR_DEVICES": redis_for_devices(commands, stores)}
    answering = stored("api") | linking | pairing | {"DOSETTE_BIND": f"{LOOPBACK}:{web_port}"}
    broker = {name: text for name in BROKER if (text := commands.environ.get(name))}
    planning = stored("scheduler") | broker | {"DOSETTE_SECRET": passwords["signing"], "DOSETTE_PUBLIC_URL": public_url}
    delivering = (
        stored("worker")
        | broker
        | linking
        | {
            "DOSETTE_FILE_CHANNEL_DIR": os.fspath(commands.folder.deliveries),
            "DOSETTE_PUBLIC_URL": public_url,
        }
    )
    showing = {
        "DOSETTE_DEVICE_DIR": os.fspath(commands.folder.device),
        "DOSETTE_DEVICE_REDIS": stores.redis_address,
        "DOSETTE_PANEL": "virtual",
        "MALLOC_ARENA_MAX": "1",  # a MB less of its memory, as on a Pi
    }
    return [
        Service(commands.program("api", ["dosette-api"], answering), web_port, "/ready"),
        metered("scheduler", ["dosette-scheduler"], planning),
        metered("worker", ["dosette-worker"], delivering),
        metered("display-agent", ["dosette-display", "run"], showing),
    ]


def redis_for_devices(commands: Commands, stores: Stores) -> str:
    """Where panels reach Redis: on this machine only, unless somebody has opened another way and says so."""
    return commands.environ.get("DOSETTE_REDIS_FOR_DEVICES") or stores.redis_address


def _handed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """The launcher's environment, without what only one of them may know."""
    return {name: text for name, text in environ.items() if not WITHHELD.match(name)}


def answered(port: int, path: str) -> int | None:
    """The status that an HTTP server there answers with, None when it does not. Not by http.client, which is 2 MB more."""
    try:
        with socket.create_connection((LOOPBACK, port), ANSWER_S) as link:
            link.settimeout(ANSWER_S)
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n".encode())
            status = _STATUS.match(link.recv(64))
    except OSError:
        return None
    return int(status[1]) if status else None


_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
