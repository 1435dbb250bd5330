"""What each container may do, on a server and on a Pi. Every rule holds for every service; what differs, and why, is one table."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.repo.compose_files import ROOT, Config, Reading, readings

MIB = 2**20
ADDRESS = "192.0.2.10"
GIVEN = {
    "DOSETTE_GPIO_GROUP": "986",
    "DOSETTE_SPI_GROUP": "989",
    "DOSETTE_PANELS_LISTEN": ADDRESS,
}  # what has no default
SETS = {
    "server": ("compose.yaml",),
    "server with ports": ("compose.yaml", "compose.ports.yaml"),
    "server with panels elsewhere": ("compose.yaml", "compose.panels.yaml"),
    "Pi": ("compose.yaml", "compose.pi.yaml"),
}
ONE_SHOTS = ("settings", "secrets", "migrate", "household")
PI_MEMORY_MIB = 512
PI_OF_IT_MIB = 448
"""What the limits of a Pi may add up to: a container may be at its limit when another is, too, and the engine needs some."""

Service = dict[str, Any]

RULES: dict[str, Callable[[Service], bool]] = {
    "runs as a user with a number that is not root's": lambda it: bool(
        re.fullmatch(r"[1-9]\d*:\d+", it.get("user", ""))
    ),
    "its own files are read-only": lambda it: it.get("read_only") is True,
    "writes beside its volumes only into memory, with a limit": lambda it: all(
        "size=" in each for each in it.get("tmpfs", ["no tmpfs"])
    ),
    "drops all capabilities": lambda it: it.get("cap_drop") == ["ALL"],
    "adds no capability": lambda it: not it.get("cap_add"),
    "can't gain privileges": lambda it: it.get("security_opt") == ["no-new-privileges:true"],
    "shares nothing with the machine": lambda it: (
        not it.get("privileged")
        and not {"pid", "ipc", "uts", "userns_mode", "cgroup"} & it.keys()
        and it.get("network_mode", "none") == "none"
    ),
    "sees no file of the machine but its own settings": lambda it: all(
        each["type"] == "volume" or (each.get("read_only") and _ours(each["source"])) for each in it.get("volumes", [])
    ),
    "uses no device": lambda it: not it.get("devices"),
    "its children are reaped": lambda it: it.get("init") is True,
    "has a limit of memory": lambda it: int(it.get("mem_limit", 0)) > 0,
    "has a limit of processes": lambda it: int(it.get("pids_limit", 0)) > 0,
    "its log is turned over": lambda it: (
        it.get("logging", {}).get("driver") == "json-file"
        and {"max-size", "max-file"} <= it["logging"]["options"].keys()
    ),
    "is started again": lambda it: it.get("restart") == "unless-stopped",
    "says whether it is well": lambda it: bool(it.get("healthcheck", {}).get("test")),
    "waits until what it needs is well": lambda it: all(
        each["condition"] in ("service_healthy", "service_completed_successfully")
        for each in it.get("depends_on", {}).values()
    ),
    "has no secret in its environment": lambda it: (
        not [name for name, value in it.get("environment", {}).items() if _may_be_secret(name, str(value))]
    ),
    "is a fixed version": lambda it: bool(re.fullmatch(r"[a-z/-]+:(?!latest)[a-z0-9.-]+", it.get("image", ""))),
    "reaches the house's networks only": lambda it: (
        not {"front", "out", "shown", "panels"} & set(it.get("networks", {}))
    ),
    "is published nowhere": lambda it: not it.get("ports"),
}

RUNS_ONCE = {
    "is started again": "it runs once, to its end",
    "says whether it is well": "its end says so, and others wait for it",
}
DEVIATIONS: dict[str, dict[str, str]] = {
    **dict.fromkeys(ONE_SHOTS, RUNS_ONCE),
    "settings": {
        **RUNS_ONCE,
        "sees no file of the machine but its own settings": "it says whether .env is whole, which may not be there, and then "
        "only the folder can be given; it can't write there, and has no network",
    },
    "api": {
        "reaches the house's networks only": "a port is published only from a network that leads out",
        "is published nowhere": "it is what people use: on 127.0.0.1, unless .env says otherwise",
    },
    "scheduler": {
        "reaches the house's networks only": "Home Assistant's broker is elsewhere",
        "has no secret in its environment": "DOSETTE_MQTT_URL may hold the broker's password, and comes from .env as it is",
    },
    "worker": {
        "reaches the house's networks only": "messages go out through it",
        "has no secret in its environment": "DOSETTE_MQTT_URL may hold the broker's password, and comes from .env as it is",
    },
    "caddy": {
        "adds no capability": "NET_BIND_SERVICE: the image's program carries it, and can't be started without",
        "reaches the house's networks only": "a port is published only from a network that leads out",
        "is published nowhere": "it is HTTPS for the house: on 127.0.0.1, unless .env says otherwise; with the profile https only",
    },
}
WITH_PORTS = {
    name: {
        "reaches the house's networks only": "compose.ports.yaml: a port is published only from a network that leads out",
        "is published nowhere": "compose.ports.yaml is there to do that, on 127.0.0.1",
    }
    for name in ("prometheus", "grafana")
}
WITH_PANELS = {
    "redis": {
        "reaches the house's networks only": "compose.panels.yaml: a port is published only from a network that leads out",
        "is published nowhere": "compose.panels.yaml is there to do that; a panel's user reaches its own keys only",
    },
}
ON_A_PI = {
    "display-agent": {
        "uses no device": "the panel on SPI, buttons and lamp on GPIO; /dev/null unless there is an Inky",
        "reaches the house's networks only": "its server may be elsewhere",
    },
}
DIFFERS = {
    "server": DEVIATIONS,
    "server with ports": DEVIATIONS | WITH_PORTS,
    "server with panels elsewhere": DEVIATIONS | WITH_PANELS,
    "Pi": DEVIATIONS | ON_A_PI,
}

REACHED_BY = {
    "store": {"db", "migrate", "household", "api", "scheduler", "worker", "backup"},
    "bell": {"redis", "api", "scheduler", "worker", "display-agent"},
    "metrics": {"prometheus", "api", "scheduler", "worker", "display-agent", "backup"},
    "watch": {"prometheus", "grafana"},
    "front": {"api", "caddy"},
    "out": {"scheduler", "worker"},
}
"""Network → who is on it: who is not named here, reaches nobody there."""


def _ours(source: str) -> bool:
    return source.removeprefix(str(ROOT)).lstrip("./").startswith(("prometheus", "grafana/", "compose/"))


def _may_be_secret(name: str, value: str) -> bool:
    if name.endswith(("_FILE", "__FILE")):
        return False
    named = re.search(r"PASSWORD|SECRET|TOKEN|_KEY|DATABASE_URL|REDIS_URL|MQTT_URL", name)
    return bool(named or re.search(r"://[^/]*:[^/]*@", value))


@pytest.fixture(params=readings().items(), ids=lambda reading: reading[0])
def reading(request: pytest.FixtureRequest) -> Reading:
    """Each way of reading a set of files that there is here."""
    way: Reading = request.param[1]
    return way


@pytest.fixture
def read(reading: Reading) -> Callable[[str], Config]:
    """Reads a set of files by its name."""
    return lambda name: reading(SETS[name], GIVEN)


@pytest.mark.parametrize("files", SETS)
def test_each_container_keeps_every_rule_or_is_excused_by_name(read: Callable[[str], Config], files: str):
    services = read(files)["services"]
    broken = {name: {rule for rule, kept in RULES.items() if not kept(service)} for name, service in services.items()}

    assert {name: rules for name, rules in broken.items() if rules} == {
        name: set(excuses) for name, excuses in DIFFERS[files].items()
    }


@pytest.mark.parametrize("rule", RULES)
def test_a_container_about_which_nothing_is_said_breaks_the_rule_or_asks_for_nothing(rule: str):
    """So that a rule that can't be broken is seen."""
    asks_for_nothing = {
        "adds no capability",
        "shares nothing with the machine",
        "sees no file of the machine but its own settings",
        "uses no device",
        "waits until what it needs is well",
        "has no secret in its environment",
        "reaches the house's networks only",
        "is published nowhere",
    }
    greedy: Service = {
        "cap_add": ["SYS_ADMIN"],
        "privileged": True,
        "volumes": [
            {"type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock", "read_only": True}
        ],
        "devices": [{"source": "/dev/mem", "target": "/dev/mem"}],
        "depends_on": {"db": {"condition": "service_started"}},
        "environment": {"ADDRESS": "postgresql://postgres:guessed@db/dosette"},
        "networks": {"out": None},
        "ports": [{"host_ip": "127.0.0.1", "published": "1", "target": 1}],
    }

    assert RULES[rule]({}) == (rule in asks_for_nothing)
    assert not RULES[rule](greedy)


@pytest.mark.parametrize("files", SETS)
def test_what_is_published_is_published_on_this_machine_only(read: Callable[[str], Config], files: str):
    addresses = {
        name: {port["host_ip"] for port in service["ports"]}
        for name, service in read(files)["services"].items()
        if service.get("ports")
    }

    assert addresses.pop("redis", {ADDRESS}) == {ADDRESS}  # compose.panels.yaml: where .env says, and nowhere without
    assert set.union(*addresses.values()) == {"127.0.0.1"}


def test_without_asking_for_more_the_web_port_is_all_that_is_published(read: Callable[[str], Config]):
    services = read("server")["services"]

    assert {name for name, it in services.items() if it.get("ports") and not it.get("profiles")} == {"api"}


def test_the_house_s_networks_lead_nowhere_else(read: Callable[[str], Config]):
    networks = read("server")["networks"]
    there = {
        name: {it for it, one in read("server")["services"].items() if name in one.get("networks", {})}
        for name in networks
    }

    assert {name for name, network in networks.items() if network.get("internal")} == {
        "store",
        "bell",
        "metrics",
        "watch",
    }
    assert there == REACHED_BY


def test_what_is_drawn_reaches_each_container_as_files_that_it_can_not_change(read: Callable[[str], Config]):
    for name, service in read("Pi")["services"].items():
        drawn = [each for each in service.get("volumes", []) if each["source"].startswith("secrets")]
        assert name == "secrets" or all(each["read_only"] for each in drawn)
        assert name in ONE_SHOTS or {each["source"] for each in drawn} <= {f"secrets-{name}"}


def test_nothing_that_is_settled_or_served_starts_before_the_settings_were_looked_at(read: Callable[[str], Config]):
    services = read("server")["services"]

    def waits_for(name: str) -> set[str]:
        needed = set(services[name].get("depends_on", {}))
        return needed.union(*map(waits_for, needed))

    assert {name for name in services if "settings" not in waits_for(name)} == {"settings", "prometheus"}


def test_limits_of_a_pi_add_up_to_what_it_has(read: Callable[[str], Config]):
    running = [it for name, it in read("Pi")["services"].items() if name not in ONE_SHOTS and not it.get("profiles")]
    limits = sum(int(service["mem_limit"]) for service in running)

    assert limits <= PI_OF_IT_MIB * MIB < PI_MEMORY_MIB * MIB


def test_a_pi_runs_no_monitoring_unless_asked(read: Callable[[str], Config]):
    services = read("Pi")["services"]

    assert {name for name in ("prometheus", "grafana") if services[name]["profiles"] == ["monitoring"]} == {
        "prometheus",
        "grafana",
    }
    assert not any(
        {"prometheus", "grafana"} & it.get("depends_on", {}).keys()
        for name, it in services.items()
        if name != "grafana"
    )


def test_who_may_use_an_inky_or_a_touch_layer_is_said_only_where_there_is_one(reading: Reading):
    def groups(**said: str) -> set[str]:
        agent = reading(SETS["Pi"], GIVEN | said)["services"]["display-agent"]
        assert len(set(agent["group_add"])) == len(agent["group_add"])  # Compose refuses one that is named twice
        return set(map(str, agent["group_add"])) - {agent["user"].partition(":")[2]}

    assert groups() == {"986", "989"}
    assert groups(DOSETTE_I2C_GROUP="994") == {"986", "989", "994"}


def test_a_pi_s_postgresql_and_redis_are_told_all_that_a_server_s_are(read: Callable[[str], Config]):
    for name in ("db", "redis"):
        server, pi = (_told(read(files)["services"][name]["command"]) for files in ("server", "Pi"))
        assert server <= pi


def _told(command: list[str]) -> set[str]:
    """Names of the settings on a command line."""
    return {word.partition("=")[0] for word in command if word.startswith("-")}


def test_redis_forgets_nothing_to_make_room_and_keeps_a_log(read: Callable[[str], Config]):
    for files in ("server", "Pi"):
        told = " ".join(read(files)["services"]["redis"]["command"])
        assert "--maxmemory-policy noeviction" in told
        assert "--appendonly yes" in told
        assert "--aclfile /run/secrets/users.acl" in told


def test_secrets_look_for_the_database_of_the_postgresql_that_is_started(read: Callable[[str], Config]):
    services = read("server")["services"]
    version = services["db"]["image"].partition(":")[2]

    assert services["secrets"]["command"][-1] == f"/database/{version}"
