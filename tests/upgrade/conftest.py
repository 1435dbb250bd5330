"""The previous version, as its own repository had it, beside this one."""

import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = Path(__file__).with_name("previous")
MIGRATIONS = "core/src/dosette/storage/migrations"
SOURCES = ("core", "services/api", "services/scheduler", "services/display-agent", "local", "bench")


@dataclass(frozen=True)
class Version:
    name: str
    tree: Path

    @property
    def python_path(self) -> str:
        """Before what is installed."""
        return ":".join([str(self.tree), *(str(self.tree / part / "src") for part in SOURCES)])


@pytest.fixture(scope="session")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """Its code finds the migrations of this version instead of its own."""
    version = _unpacked(tmp_path_factory.mktemp("previous"))
    for file in (ROOT / MIGRATIONS).iterdir():
        (version.tree / MIGRATIONS / file.name).write_bytes(file.read_bytes())
    return version


@pytest.fixture(scope="session")
def previous_as_it_was(tmp_path_factory: pytest.TempPathFactory) -> Version:
    return _unpacked(tmp_path_factory.mktemp("previous-as-it-was"))


def _unpacked(tree: Path) -> Version:
    name = which()
    archive = _git("archive", "--format=tar", name)
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(tree, filter="data")
    return Version(name, tree)


def which() -> str:
    """The newest release, else the commit that the file `previous` names."""
    tags = _git("tag", "--list", "v*", "--sort=-version:refname").decode().split()
    return tags[0] if tags else NAMED.read_text().split()[-1]


def _git(*words: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.fail(
            f"the previous version can't be had from git ({done.stderr.decode().strip()}): this is a shallow clone or none; "
            "fetch its history with `git fetch --unshallow --tags`",
            pytrace=False,
        )
    return done.stdout
