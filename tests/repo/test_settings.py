"""`.env.example` lists what the programs read, no more and no less."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
READ = re.compile(r"(?:env|environment)\.(?:text|optional|number|one_of|path)\(\s*\"([A-Z_]+)\"")
IN_COMPOSE = re.compile(r"\$\{([A-Z0-9_]+)")
LISTED = re.compile(r"^#? ?([A-Z][A-Z0-9_]+)=", re.MULTILINE)
BY_LAUNCHER = {"PORT", "DOSETTE_DATA"}
BY_COMPOSE = {"COMPOSE_FILE", "COMPOSE_PROFILES"}
OF_LAUNCHED = {
    "DOSETTE_DB_PASSWORD_API",
    "DOSETTE_DB_PASSWORD_SCHEDULER",
    "DOSETTE_DB_PASSWORD_WORKER",
    "DOSETTE_DB_PASSWORD_BACKUP",
}


def _read_by_the_code() -> set[str]:
    sources = [path for part in ("core", "services") for path in (ROOT / part).glob("**/src/**/*.py")]
    return {name for path in sources for name in READ.findall(path.read_text())}


def test_every_variable_that_is_read_is_listed_and_none_else():
    listed = set(LISTED.findall((ROOT / ".env.example").read_text()))
    in_compose = {name for file in ROOT.glob("compose*.yaml") for name in IN_COMPOSE.findall(file.read_text())}

    assert listed == _read_by_the_code() | in_compose | BY_COMPOSE | BY_LAUNCHER | OF_LAUNCHED
