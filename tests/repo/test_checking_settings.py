"""The script that looks at .env before a household in containers starts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / ".env.example"


def _check(file: Path, **handed_over: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, ROOT / "compose/check_settings.py", file, EXAMPLE]
    return subprocess.run(command, env=handed_over, capture_output=True, text=True, check=False)


def _refused(file: Path, **handed_over: str) -> str:
    """The one sentence that it stops with."""
    refused = _check(file, **handed_over)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    return refused.stderr.strip()


@pytest.fixture
def env(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_there_need_be_no_settings(env: Path):
    checked = _check(env)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_all_that_the_example_lists_may_be_set(env: Path):
    env.write_text(re.sub(r"^#([A-Z])", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE))

    assert _check(env).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n  \n# DOSETTE_DEMMO=0\n",
        "\ufeffDOSETTE_DEMO=0\r\n\r\nPORT=8090\r\n",
        "  export DOSETTE_DEMO = 0",
        "DOSETTE_HTTPS_NAME='dosette.lan' # the house's\nDOSETTE_MQTT_URL=\"mqtt://a:b=c@broker\"",
        'MINE="a\nDOSETTE_DEMMO\n\\" b"\nPORT=8090',
        "COMPOSE_PROJECT_NAME=ours\nCOMPOSE_ENV_FILES=.env\nTZ=Europe/Lisbon\nHTTP_PROXY=\nSUPPORT=me",
    ],
)
def test_what_compose_reads_as_it_was_meant_is_let_through(env: Path, text: str):
    env.write_text(text)

    assert (_check(env).returncode, _check(env).stderr) == (0, "")


@pytest.mark.parametrize("kept", range(1, len("DOSETTE_DEMO") + 1))
def test_a_name_that_is_cut_off_anywhere_is_named_with_its_line(env: Path, kept: int):
    env.write_text(f"# ours\nPORT=8090\n{'DOSETTE_DEMO'[:kept]}")

    assert _refused(env).startswith(f".env, line 3: {'DOSETTE_DEMO'[:kept]} is cut off before its = sign: ")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DOSETTE_DEMMO", ", but DOSETTE_DEMO"),
        ("DOSETE_DEMO", ", but DOSETTE_DEMO"),
        ("DOSETT_DEMO", ", but DOSETTE_DEMO"),
        ("dosette_demo", ", but DOSETTE_DEMO"),
        ("COMPOSE_PROFILE", ", but COMPOSE_PROFILES"),
        ("DOSETTE_MQTT_URL_FILE", ""),
        ("DOSETTE_COLOUR", ""),
    ],
)
def test_a_name_that_is_no_setting_is_named_with_its_line_and_what_was_meant(env: Path, name: str, meant: str):
    env.write_text(f'MINE="a\nb"\n{name}=0\n')

    assert _refused(env).startswith(f".env, line 3: there is no setting {name}{meant}: ")


def test_of_a_file_that_its_owner_alone_may_read_the_names_are_looked_at_as_compose_read_them(env: Path):
    env.mkdir()  # can't be read, by a superuser either

    assert _refused(env, DOSETTE_DEMMO="0").startswith(".env: there is no setting DOSETTE_DEMMO, but DOSETTE_DEMO: ")
    assert _check(env, DOSETTE_DEMO="0", PATH="/bin").returncode == 0


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::", '"0.0.0.0"', " [::]  # all", "'0:0::0'"])  # noqa: S104
def test_an_address_that_is_no_machine_s_is_refused_where_panels_are_told_it(env: Path, everywhere: str):
    env.write_text(f"PORT=8090\nDOSETTE_PANELS_LISTEN={everywhere}\n")

    assert _refused(env).startswith(
        ".env, line 2: DOSETTE_PANELS_LISTEN is told to panels, and this address would lead each to itself: "
    )


def test_an_address_that_compose_was_handed_is_looked_at_where_the_file_cannot_be_read(env: Path):
    env.mkdir()

    assert "DOSETTE_PANELS_LISTEN" in _refused(env, DOSETTE_PANELS_LISTEN="0.0.0.0")  # noqa: S104
    assert _check(env, DOSETTE_PANELS_LISTEN="192.168.178.20").returncode == 0


@pytest.mark.parametrize("address", ["", "192.168.178.20", "fd00::20", "dosette.lan", "'10.0.0.1' # here"])
def test_the_address_of_this_machine_is_let_through(env: Path, address: str):
    env.write_text(f"DOSETTE_PANELS_LISTEN={address}\n")

    assert _check(env).returncode == 0


def test_no_value_is_shown(env: Path):
    env.write_text("DOSETTE_MQTT_ULR=mqtt://house:secret@broker")

    assert "secret" not in _refused(env)
