"""A private environment with stand-ins for Dosette's commands, and launchers in it."""

import site
import sysconfig
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import dosette_local
from dosette_local.testing import Launched, command

COMMANDS = ("dosette", "dosette-api", "dosette-scheduler", "dosette-worker", "dosette-display")
STANDIN = Path(__file__).with_name("standin.py")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a venv that has this one's packages, and stand-ins for Dosette's commands."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    source = Path(dosette_local.__file__).parents[1]
    inherited = [f"import site; site.addsitedir({place!r})" for place in site.getsitepackages()]
    (packages / "inherited.pth").write_text("\n".join([str(source), *inherited]))
    for name in COMMANDS:
        standin = folder / "bin" / name
        standin.write_text(f"#!{folder}/bin/python -I\n{STANDIN.read_text()}")
        standin.chmod(0o755)
    return folder / "bin"


@pytest.fixture
def up(environment: Path) -> Iterator[Callable[..., Launched]]:
    """Launches households, and ends those that a test left running."""
    launched = []

    def launch(data: Path, environ: dict[str, str] | None = None, port: int | None = None) -> Launched:
        launched.append(Launched(data, environ, port=port, python=environment / "python"))
        return launched[-1]

    yield launch
    for each in launched:
        each.stop()
    assert all(each.leaves_nothing(within_s=15) for each in launched)


@pytest.fixture(scope="module")
def running(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """One that is ready, for tests that leave it as they found it."""
    with Launched(tmp_path_factory.mktemp("running") / "a b", python=environment / "python") as launched:
        yield launched


@pytest.fixture
def tell(environment: Path) -> Callable[..., tuple[int, str]]:
    """Runs `dosette-local COMMAND` to its end: exit code and what it showed."""

    def run(name: str, data: Path, environ: dict[str, str] | None = None) -> tuple[int, str]:
        process = command([name], data, environ, environment / "python")
        shown, _ = process.communicate(timeout=60)
        return process.returncode, shown

    return run
