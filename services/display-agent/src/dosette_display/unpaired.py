"""An agent that belongs to no household yet: it waits for device.json, and where it knows a server, its panel shows a code."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

from dosette.clock import Clock
from dosette.settings import BadSetting, Environment
from dosette_display.draw import draw, fit
from dosette_display.pairing import Applicant, NotPaired, Server
from dosette_display.panels import Panel, PanelFault
from dosette_display.screens import pairing_page

LOOK_S = 2.0
SHOWN_FOR = timedelta(days=30)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unpaired:
    """`applicant` is None where no server is known."""

    applicant: Applicant | None = None

    @classmethod
    def of(cls, env: Environment) -> "Unpaired":
        """Raises BadSetting."""
        url = env.text("DOSETTE_SERVER", "")
        try:
            server = Server(url, env.text("DOSETTE_PLAIN_HTTP", "0") == "1") if url else None
        except NotPaired as error:
            raise BadSetting(f"DOSETTE_SERVER: {error}") from None
        return cls(Applicant(server) if server else None)

    def wait(
        self,
        path: Path,
        open_panel: Callable[[Path], Panel],
        clock: Clock,
        stopping: Event,
        alive: Callable[[], None],
    ) -> None:
        """Until the file is there, whoever writes it, or until told to stop."""
        if self.applicant is None:
            log.warning("waiting: pair this device with `dosette-display pair`", extra={"file": str(path)})
        else:
            log.warning("waiting: pair this device by the code on its panel", extra={"code": self.applicant.code})
            _show(self.applicant, open_panel(path.parent), clock())
        while not path.exists() and not stopping.wait(LOOK_S):
            alive()
            if self.applicant is not None:
                _ask(self.applicant, path)


def _show(applicant: Applicant, panel: Panel, now: datetime) -> None:
    """The code is good as long as this process lives; what a dead panel shows of it is worth nothing to anybody."""
    page = fit(pairing_page(applicant.code, applicant.page, now, now + SHOWN_FOR), panel.size)
    try:
        panel.show(draw(page, panel.size), "full")
        panel.sleep()
    except PanelFault as error:
        log.error("the panel was given no picture", extra={"error": str(error)})


def _ask(applicant: Applicant, path: Path) -> None:
    """Writes the file if somebody has entered the code; else it is asked again."""
    try:
        if file := applicant.as_shown():
            file.write(path)
    except (NotPaired, OSError) as error:
        log.warning("not paired yet", extra={"error": str(error)})
