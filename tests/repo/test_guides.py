"""What the guides tell people to type and to set is there, and what they quote is really said."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GUIDES = (
    "README.md",
    "docs/install.md",
    "docs/https.md",
    "docs/troubleshooting.md",
    "docs/backup.md",
    "docs/upgrade.md",
    "docs/monitoring.md",
)
SERVICES = set(yaml.safe_load((ROOT / "compose.yaml").read_text())["services"])
SETTINGS = set(re.findall(r"^#([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
WITH_VALUE = ("--scale", "--tail", "--file", "--project-name", "--volume")
SAID_BY_OTHERS = (  # Docker and Compose say these; what sets them off was tried by hand
    "port is already allocated",
    "address already in use",
    "failed to read",
    "error gathering device information",
    "No space left on device",
    "could not create lock file",
    "password authentication failed for user",
    "required variable",
    "invalid environment variable",
    "invalid hostPort",
    "invalid IP address",
)


def _commands(guide: str) -> Iterator[list[str]]:
    """Every `docker compose …` of the guide's blocks, word by word, without what comes after a pipe or a redirection."""
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", (ROOT / guide).read_text(), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("docker compose "):
                words = shlex.split(line)[2:]
                yield [word for word in words if not word.startswith((">", "<"))]


def _services(words: list[str]) -> set[str]:
    """The services that a command names: the first word of `run` and `exec`, the one of a path of `cp`, all words of others."""
    places = [word for before, word in pairwise(words) if not word.startswith("-") and before not in WITH_VALUE]
    if words[0] == "cp":
        return {place.partition(":")[0] for place in places if ":" in place}
    return set(places[:1] if words[0] in ("run", "exec") else places)


@pytest.mark.parametrize("guide", GUIDES)
def test_what_is_to_be_typed_names_services_that_there_are(guide: str):
    commands = list(_commands(guide))

    assert commands
    assert {name for words in commands for name in _services(words)} <= SERVICES


@pytest.mark.parametrize("guide", GUIDES)
def test_what_is_to_be_set_is_a_setting(guide: str):
    named = set(re.findall(r"\b((?:DOSETTE|COMPOSE)_[A-Z0-9_]+|PORT)=", (ROOT / guide).read_text()))

    assert named <= SETTINGS


@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_points_to_is_there(guide: str):
    targets = re.findall(r"\]\((?!https?:)([^)]*)\)", (ROOT / guide).read_text())

    for target in targets:
        file, _, place = target.partition("#")
        page = (ROOT / guide).parent / file if file else ROOT / guide
        assert page.exists(), target
        assert not place or place in _places(page), target


def _places(page: Path) -> set[str]:
    """Headings as a browser's address says them."""
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_what_a_start_is_said_to_stop_with_is_what_it_stops_with():
    table = (ROOT / "docs/troubleshooting.md").read_text().split("## It does not start")[1].split("\n## ")[0]
    quoted = [
        quote
        for row in table.splitlines()
        if row.startswith("| `")
        for quote in re.findall(r"`([^`]*)`", row.split(" | ")[0])
    ]
    sources = [*ROOT.glob("compose*"), *ROOT.glob("compose/*"), *ROOT.glob("core/src/dosette/**/*.py")]
    said = " ".join(path.read_text() for path in sources if path.is_file())

    ours = [quote for quote in quoted if not quote.startswith(SAID_BY_OTHERS)]
    assert len(ours) >= 5
    assert [quote for quote in ours if not _is_said(quote, said)] == []


def _is_said(quote: str, said: str) -> bool:
    """With whatever stands in the place of names: the longest words between them are there."""
    words = re.split(r"superuser_password|DOSETTE_[A-Z_]+(?:=[a-z]*)?", quote)
    return max(words, key=len).strip() in re.sub(r'"\s+f?"', "", said)
