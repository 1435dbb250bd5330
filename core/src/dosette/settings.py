"""Settings of every process, read once from the environment in its `main`; `NAME_FILE` may hold what `NAME` would say.

Each process asks for what it needs by listing the names in a frozen dataclass of its own; a bad or missing one stops it with
the variable's name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOG_LEVELS = ("debug", "info", "warning", "error")


class BadSetting(SystemExit):
    """Stops the process with one sentence that names the variable (exit code 1)."""


@dataclass(frozen=True)
class Environment:
    """A look into the environment that knows `*_FILE` and says which variable is wrong."""

    values: Mapping[str, str] = field(repr=False)

    def text(self, name: str, default: str | None = None) -> str:
        """The variable's value, stripped; without one and without a default, the process stops."""
        value = self._given(name)
        if value is not None:
            return value
        if default is None:
            raise BadSetting(f"{name} is not set: set it, or {name}_FILE to a file that holds it (see .env.example)")
        return default

    def optional(self, name: str) -> str | None:
        """The variable's value, or None when it is absent or empty."""
        return self._given(name)

    def number(self, name: str, default: int, at_least: int = 1) -> int:
        text = self.text(name, str(default))
        if not text.isdecimal() or int(text) < at_least:
            raise BadSetting(f"{name}={text}: must be a whole number of at least {at_least}")
        return int(text)

    def one_of(self, name: str, words: Sequence[str], default: str) -> str:
        text = self.text(name, default)
        if text not in words:
            raise BadSetting(f"{name}={text}: must be {', '.join(words[:-1])} or {words[-1]}")
        return text

    def path(self, name: str) -> Path | None:
        value = self._given(name)
        return Path(value) if value else None

    def _given(self, name: str) -> str | None:
        if value := self.values.get(name, "").strip():
            return value
        if not (file := self.values.get(f"{name}_FILE", "").strip()):
            return None
        try:
            return Path(file).read_text().strip() or None
        except OSError as error:
            raise BadSetting(f"{name}_FILE={file}: cannot be read ({error.strerror})") from None


@dataclass(frozen=True)
class Common:
    """What every process takes."""

    log_level: str
    clock_file: Path | None
    metrics_bind: str | None
    faults: str | None

    @classmethod
    def of(cls, env: Environment) -> "Common":
        return cls(
            log_level=env.one_of("DOSETTE_LOG_LEVEL", LOG_LEVELS, "info"),
            clock_file=env.path("DOSETTE_CLOCK_FILE"),
            metrics_bind=env.optional("DOSETTE_METRICS_BIND"),
            faults=env.optional("FAULT"),
        )
