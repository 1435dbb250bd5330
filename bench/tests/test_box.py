"""The box: what it stands for comes from its data, and whatever stands in its way is one sentence."""

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from dosette_bench import box, calibration, results
from dosette_bench.calibration import Score
from dosette_bench.errors import CannotMeasure

DATA = json.loads((files("dosette_bench") / "boxes.json").read_text())


def _score(here: float = 178_600) -> Score:
    board = DATA["boxes"]["pi-zero-2w"]
    return Score("n-body", "steps/s", here, board["score"], board["score_low"], board["score_high"], "a source")


def _box(here: float = 178_600) -> box.Box:
    board = DATA["boxes"]["pi-zero-2w"]
    return box.Box(
        "pi-zero-2w", board["board"], board["cores"], _score(here), board["period_us"], board["memory_bytes"], ""
    )


def test_the_planets_keep_their_energy():
    bodies = calibration.solar_system()
    assert calibration.energy(bodies) == pytest.approx(-0.169075164, abs=1e-9)

    calibration.advance(bodies, 1000)

    assert calibration.energy(bodies) == pytest.approx(-0.169087605, abs=1e-9)  # as every right program finds


def test_a_machine_has_a_score():
    assert calibration.steps_per_s(steps=500, tries=2) > 1000


def test_on_the_machine_it_was_worked_out_on_the_board_is_four_ninths_of_a_core():
    assert _box().quota_cores == pytest.approx(0.44, abs=0.005)


def test_a_machine_twice_as_fast_gives_half_as_much():
    assert _box(2 * 178_600).quota_cores == pytest.approx(_box().quota_cores / 2)


def test_what_is_told_of_a_box_is_in_the_published_form_and_states_its_error():
    told = _box().told()

    jsonschema.Draft202012Validator(results.schema()["$defs"]["box"] | {"$defs": results.schema()["$defs"]}).validate(
        told
    )
    known = told["calibration"]
    assert known["slowdown_low"] < known["slowdown"] < known["slowdown_high"]
    assert known["source"]


@pytest.mark.parametrize("name", DATA["boxes"])
def test_each_box_says_where_its_memory_comes_from(name: str):
    board = DATA["boxes"][name]

    assert 100 << 20 < board["memory_bytes"] < 426_068 * 1024
    assert board["memory_source"]
    assert board["score_low"] < board["score"] < board["score_high"]


def test_an_unknown_box_is_named_with_those_that_there_are():
    with pytest.raises(CannotMeasure, match="there is no box pi-9; there is pi-zero-2w"):
        box.box_named("pi-9")


def test_on_the_board_itself_no_box_is_needed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calibration, "steps_per_s", lambda: 19_840.0)

    with pytest.raises(CannotMeasure, match="measure on it as it is"):
        box.box_named("pi-zero-2w")


def _boxed_with(docker: str | None, tmp_path: Path, **environment: str) -> str:
    """What the command says when `docker` is this shell script, or is not there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").symlink_to("/bin/false")
    if docker is not None:
        script = folder / "docker"
        script.write_text(f"#!/bin/sh\n{docker}\n")
        script.chmod(0o755)
    ran = subprocess.run(
        [sys.executable, "-m", "dosette_bench.cli", "api", "--once", "--box", "pi-zero-2w", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={name: text for name, text in os.environ.items() if name != "DOCKER_HOST"}
        | {"PATH": str(folder)}
        | environment,
    )
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr
    return ran.stderr


INFO_IS_GOOD = 'case "$1" in info) exit 0;; esac; '


@pytest.mark.parametrize(
    ("docker", "said"),
    [
        (None, "there is no `docker` here"),
        ("echo tcp://pi.local:2375", "is not on this machine"),
        ("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "is it running?"),
        ("echo 'permission denied while trying to connect' >&2; exit 1", "may you use it (group docker)?"),
        (f"{INFO_IS_GOOD}echo 'step 3 failed: no space left on device' >&2; exit 1", "no space left on device"),
        (f"{INFO_IS_GOOD}case $1 in build) exit 0;; esac; echo 'no such runtime' >&2; exit 125", "no such runtime"),
    ],
)
def test_what_stands_in_the_way_of_a_box_is_one_sentence(tmp_path: Path, docker: str | None, said: str):
    assert said in _boxed_with(docker, tmp_path)


def test_an_engine_that_hangs_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "docker").write_text("#!/bin/sh\nexec sleep 5\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    with pytest.raises(CannotMeasure, match=r"`docker info` did not end within 0\.1 s"):
        box._ran("info", within_s=0.1)


class _Quiet(box.Boxed):
    """A box whose control group says what a test wishes."""

    def __init__(self, told: dict[str, str]) -> None:
        self._told, self._last = told, {}

    def _text(self, name: str) -> str:
        return self._told.get(name, "")


VERSION_2 = {
    "cpu.max": "4444 10000",
    "memory.max": str(DATA["boxes"]["pi-zero-2w"]["memory_bytes"]),
    "cpu.stat": "usage_usec 2500000\nnr_periods 100\nnr_throttled 25\nthrottled_usec 9",
    "memory.stat": "anon 100\nfile 50\nshmem 10",
    "memory.peak": "170",
    "memory.events": "oom 3\noom_kill 2",
}
VERSION_1 = {
    "cpu/cpu.cfs_quota_us": "4444",
    "cpu/cpu.cfs_period_us": "10000",
    "memory/memory.limit_in_bytes": str(DATA["boxes"]["pi-zero-2w"]["memory_bytes"]),
    "cpu/cpu.stat": "nr_periods 100\nnr_throttled 25\nthrottled_time 9",
    "cpuacct/cpuacct.usage": "2500000000",
    "memory/memory.stat": "cache 50\ntotal_rss 100\ntotal_shmem 10",
    "memory/memory.max_usage_in_bytes": "170",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2",
}


@pytest.mark.parametrize("told", [VERSION_1, VERSION_2], ids=["control groups 1", "control groups 2"])
def test_what_a_box_used_is_read_from_either_version_of_control_groups(told: dict[str, str]):
    quiet = _Quiet(told)

    quiet.check(_box())

    assert quiet.observed() == {
        "cpu_s": 2.5,
        "throttled_share": 0.25,
        "memory_peak_bytes": 170,
        "memory_anonymous_bytes": 110,
        "out_of_memory_kills": 2,
    }


def test_of_a_box_that_has_ended_the_last_look_is_kept():
    quiet = _Quiet(dict(VERSION_2))
    before = quiet.observed()
    quiet._told.clear()

    assert quiet.observed() == before != {}


def test_the_control_group_of_a_process_is_found_from_outside():
    boxed = box.Boxed(os.getpid())

    assert boxed.observed()["cpu_s"] > 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cpu.max": "max 10000"}, "CPU quota"),
        ({"cpu.max": "9000 10000"}, "CPU quota"),
        ({"memory.max": "max"}, "cgroup_enable=memory cgroup_memory=1"),
        ({"memory.max": ""}, "cgroup_enable=memory"),
    ],
)
def test_limits_that_are_not_in_force_are_refused(changed: dict[str, str], said: str):
    with pytest.raises(CannotMeasure, match=said):
        _Quiet(VERSION_2 | changed).check(_box())
