"""docs/architecture.md names every part and module that there is, and none that there isn't."""

import re
from pathlib import Path

import pytest

from dosette.faults import POINTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()
CORE = ROOT / "core/src/dosette"
MODULES = {f"{path.parent.name}/{path.stem}" for path in CORE.glob("*/*.py") if path.stem != "__init__"}
MODULES |= {path.stem for path in CORE.glob("*.py") if path.stem != "__init__"}


@pytest.mark.parametrize(
    "part",
    sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("*/pyproject.toml"))
    + sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("services/*/pyproject.toml")),
)
def test_every_part_stands_in_the_table(part: str):
    assert f"| `{part}` |" in PAGE


def test_every_module_of_core_is_named_and_every_name_exists():
    table = PAGE[PAGE.index("### Inside core") : PAGE.index("`domain` imports the standard library only")]
    named = {name for name in re.findall(r"`([a-z_/]+)`", table) if name != "storage/migrations"}

    assert named == MODULES


def test_every_fault_point_is_told():
    assert set(re.findall(r"\b([SWAP][1-6])\b", PAGE[PAGE.index("## Fault points") :])) == set(POINTS)


def test_every_fault_point_stands_in_the_code():
    code = "".join(path.read_text() for part in ("core", "services") for path in (ROOT / part).glob("**/src/**/*.py"))

    assert {point for point in POINTS if f'fp("{point}")' not in code} == set()
