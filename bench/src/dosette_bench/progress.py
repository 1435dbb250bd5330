"""What whoever waits sees: the suite, its step, how far it is, and how long it will still take. One line each where nobody watches."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

WIDTH = 24
FRAMES_PER_S = 2  # each costs the measuring process a millisecond or two


class _Left(ProgressColumn):
    """Said anew with each frame, also while a step takes long."""

    def __init__(self, left_s: Callable[[], float]) -> None:
        super().__init__()
        self._left_s = left_s

    def render(self, task: Task) -> Text:
        return Text(f"about {_words(self._left_s())} left")


class Shown:
    """A bar for the whole run. `expected_s` are guesses by suite; they are set right by how long the first ones really took."""

    def __init__(self, console: Console, expected_s: dict[str, float]) -> None:
        self._console = console
        self._expected = expected_s
        self._done_s = 0.0  # guessed, of the suites that are through
        self._began = time.monotonic()
        self._suite: str | None = None
        self._suite_began = self._began
        self._steps = self._step = 0
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=WIDTH),
                TimeElapsedColumn(),
                _Left(self.left_s),
                console=self._console,
                refresh_per_second=FRAMES_PER_S,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=1.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def suite(self, name: str) -> None:
        """The one before, if any, is through."""
        if self._suite is not None:
            self._done_s += self._expected.get(self._suite, 0)
        self._suite, self._suite_began = name, time.monotonic()
        self.doing("beginning")

    def doing(self, what: str, of: int = 0) -> None:
        self._steps, self._step = of, 0
        self._show(what)
        if self._bar is None:
            left = f"about {_words(self.left_s())} left"
            self._console.print(f"  {self._suite or 'stack'}: {what} ({left})", style="dim", highlight=False)

    def advance(self, by: int = 1) -> None:
        self._step += by
        self._show(None)

    def _show(self, what: str | None) -> None:
        if self._bar is None:
            return
        left_s = self.left_s()
        told = {"description": f"{self._suite or 'stack'}: {what}"} if what else {}
        total = sum(self._expected.values())
        self._bar.update(
            self._task,
            completed=min(0.99, 1 - left_s / (left_s + time.monotonic() - self._began + 0.001)) if total else 0,
            **told,  # type: ignore[arg-type]  # rich takes any field by name
        )

    def left_s(self) -> float:
        """Of the guesses, at the speed of this run so far."""
        total, ours = sum(self._expected.values()), self._expected.get(self._suite or "", 0.0)
        spent = time.monotonic() - self._suite_began
        pace = (self._suite_began - self._began) / self._done_s if self._done_s else 1.0
        return max(ours * pace - spent, 0.0) + max(total - self._done_s - ours, 0.0) * pace


def _words(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(1, seconds):.0f} s"
