"""The compose files as `docker compose config` reads them, also where there is no Docker.

What the files here use, and no more: anchors, `${NAME:-default}`, overlays. Where Docker Compose is installed, tests ask it as well.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
REPLACED = (
    "command",
    "entrypoint",
    "test",
)  # lists of an overlay that take the place of those below; others are joined
_INNERMOST = re.compile(r"\$\{([A-Z0-9_]+)(?:(:?)([-?])([^${}]*))?\}")
_SIZES = {"k": 2**10, "m": 2**20, "g": 2**30}

Config = dict[str, Any]
Reading = Callable[[Sequence[str], Mapping[str, str]], Config]


def read_here(files: Sequence[str], environment: Mapping[str, str]) -> Config:
    """Every service, whatever its profiles."""
    read: Config = {}
    for file in files:
        text = (ROOT / file).read_text()
        read = _laid_over(read, _filled_in(_by_name(yaml.safe_load(text)), environment))
    for service in read["services"].values():
        _in_long_form(service)
    return read


def read_by_docker(files: Sequence[str], environment: Mapping[str, str]) -> Config:
    chosen = [word for file in files for word in ("--file", file)]
    asked = ["docker", "compose", "--env-file", os.devnull, *chosen, "--profile", "*", "config", "--format", "json"]
    own = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run(asked, cwd=ROOT, env=own, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def readings() -> dict[str, Reading]:
    here: dict[str, Reading] = {"here": read_here}
    version = ["docker", "compose", "version"]
    there = shutil.which("docker") and subprocess.run(version, capture_output=True, check=False).returncode == 0
    return {**here, "by Docker": read_by_docker} if there else here


def _by_name(config: Config) -> Config:
    """Networks are written as a list, and joined as a map."""
    for service in config["services"].values():
        if "networks" in service:
            service["networks"] = dict.fromkeys(service["networks"])
    return config


def _filled_in(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled_in(each, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled_in(each, environment) for each in value]
    if not isinstance(value, str):
        return value
    while (filled := _INNERMOST.sub(lambda found: _value_of(found, environment), value)) != value:
        value = filled
    return value.replace("$$", "$")


def _value_of(found: "re.Match[str]", environment: Mapping[str, str]) -> str:
    name, empty_counts_not, kind, text = found.groups()
    given = environment.get(name)
    if given or (given is not None and not empty_counts_not):
        return given
    if kind == "?":
        raise LookupError(f"{name}: {text}")
    return text or ""


def _laid_over(below: Any, above: Any, name: str = "") -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _laid_over(below.get(key), each, key) for key, each in above.items()}
    if isinstance(below, list) and isinstance(above, list) and name not in REPLACED:
        return below + [each for each in above if each not in below]
    return above


def _in_long_form(service: dict[str, Any]) -> None:
    """What may be written shortly, as Docker Compose writes it."""
    service["ports"] = [_port(each) for each in service.get("ports", [])]
    service["volumes"] = [_volume(each) for each in service.get("volumes", [])]
    service["devices"] = [_device(each) for each in service.get("devices", [])]
    for size in ("mem_limit", "shm_size"):
        if size in service:
            service[size] = str(int(service[size][:-1]) * _SIZES[service[size][-1]])


def _port(short: str) -> dict[str, Any]:
    host_ip, published, target = short.rsplit(":", 2)
    return {"host_ip": host_ip, "published": published, "target": int(target)}


def _device(short: str) -> dict[str, str]:
    source, target = short.split(":")
    return {"source": source, "target": target}


def _volume(written: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(written, dict):
        return written
    source, target, *mode = written.split(":")
    bound = source.startswith((".", "/"))
    read_only = {"read_only": True} if mode == ["ro"] else {}
    return {"type": "bind" if bound else "volume", "source": source, "target": target, **read_only}
