"""Draws what a panel would show, in a process of its own. Says as one line of JSON what it cost.

python drawing.py cold      from a fresh process to the first picture
python drawing.py warm 200  so many different pictures, and what goes to the panel for each
python drawing.py spi 20    so many pictures through the driver of an SSD1680, to a simulated one that counts
python drawing.py day       a day of the agent's own decisions, on a clock that is set
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BEGAN = time.perf_counter()

from PIL import Image, ImageChops  # noqa: E402  what is imported here is measured

from dosette.contracts.plan import Plan, PlannedDose  # noqa: E402
from dosette.contracts.signing import seal, signing_key  # noqa: E402
from dosette_display.agent import Agent  # noqa: E402
from dosette_display.draw import draw, fit  # noqa: E402
from dosette_display.journal import Journal  # noqa: E402
from dosette_display.page import Page, State  # noqa: E402
from dosette_display.panels import Mode  # noqa: E402
from dosette_display.panels.simulated_ssd1680 import SimulatedSsd1680  # noqa: E402
from dosette_display.panels.ssd1680 import ROW, Ssd1680  # noqa: E402
from dosette_display.panels.virtual import png  # noqa: E402
from dosette_display.plan_store import PlanStore  # noqa: E402
from dosette_display.telling import page_of  # noqa: E402

IMPORTED = time.perf_counter()

SIZE = (250, 122)
DEVICE, EPOCH = "01980000-0000-7000-8000-000000000001", "01980000-0000-7000-8000-000000000002"
MORNING = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
HOUR, STEP = timedelta(hours=1), timedelta(seconds=10)
MEMBERS = ("Ana", "Bruno", "Clara-Sofia")
MEDICINES = ("Metformin", "Ramipril", "Levothyroxine", "Amoxicillin/Clavulanic acid", "Vitamin D3")
DAY = ((8, 0), (8, 1), (8, 2), (12, 1), (18, 0), (18, 2), (22, 0))  # hour, member
NOBODY = State(waiting=(), last=None, offline_since=None, notice=None)


def a_dose(number: int, due_at: datetime, member: int = 0) -> PlannedDose:
    return PlannedDose(
        id=f"01980000-0000-7000-8000-{number:012}",
        member=MEMBERS[member % len(MEMBERS)],
        medicine=MEDICINES[number % len(MEDICINES)],
        strength=f"{(number % 20 + 1) * 50} mg",
        form="tablet",
        unit="tablet",
        amount=Decimal(number % 3 + 1),
        note="with food" if number % 2 else "",
        opens_at=due_at - HOUR,
        due_at=due_at,
        late_at=due_at + HOUR / 2,
        closes_at=due_at + HOUR,
        status="pending",
        resolved_at=None,
    )


def a_plan(doses: tuple[PlannedDose, ...], now: datetime, number: int = 1) -> Plan:
    return Plan(DEVICE, "Kitchen", "Europe/Berlin", EPOCH, number, 0, now, now + timedelta(days=7), doses)


def page(number: int) -> Page:
    """Another each time: one dose due, three, none."""
    now = MORNING + number * timedelta(minutes=7)
    due = [now, now, now, now + HOUR * 5][number % 4 :]
    doses = tuple(a_dose(number * 4 + place, at, place) for place, at in enumerate(due))
    return fit(page_of(a_plan(doses, now), now, NOBODY), SIZE)


def cold() -> dict[str, Any]:
    first = page(1)
    began, cpu = time.perf_counter(), time.process_time()
    draw(first, SIZE)
    now = time.perf_counter()
    return {
        "first_ms": (now - began) * 1000,
        "cpu_ms": (time.process_time() - cpu) * 1000,
        "import_ms": (IMPORTED - BEGAN) * 1000,
        "whole_ms": (now - BEGAN) * 1000,
    }


def warm(count: int) -> dict[str, Any]:
    """`added` is how much memory the process grew by from before its first picture to after the last."""
    before = memory()
    told: dict[str, Any] = {
        name: [] for name in ("page_ms", "draw_ms", "cpu_ms", "changed_bytes", "png_bytes", "same_ms")
    }
    last: Image.Image | None = None
    for number in range(count):
        began, cpu = time.perf_counter(), time.process_time()
        shown = page(number)
        paged = time.perf_counter()
        picture = draw(shown, SIZE)
        told["page_ms"].append((paged - began) * 1000)
        told["draw_ms"].append((time.perf_counter() - paged) * 1000)
        told["cpu_ms"].append((time.process_time() - cpu) * 1000)
        if last is not None:
            told["changed_bytes"].append(changed_bytes(last, picture))
        told["png_bytes"].append(len(png(picture)))
        began = time.perf_counter()
        if page(number) != shown:
            sys.exit("an equal plan gave another page")
        told["same_ms"].append((time.perf_counter() - began) * 1000)
        last = picture
    return told | {"full_bytes": len(last.tobytes()) if last else 0, "added": memory() - before}


def changed_bytes(before: Image.Image, after: Image.Image) -> int:
    """Of the rectangle that changed, in whole bytes: what a partial update sends to one of the panel's memories."""
    box = ImageChops.logical_xor(before, after).getbbox()
    if box is None:
        return 0
    left, top, right, bottom = box
    return (right + 7) // 8 * (bottom - top) - left // 8 * (bottom - top)


def spi(count: int) -> dict[str, Any]:
    """Bytes of a full refresh and of partial ones; `beyond` is what the worst of these sent besides the rows that changed, for both
    memories, and the commands, which cost the same each time."""
    chip = SimulatedSsd1680()
    panel, last = Ssd1680(chip), Image.new("1", SIZE, 1)
    full = _sent(chip, panel, last, "full")
    one_dot = last.copy()
    one_dot.putpixel((0, 0), 0)
    commands, last = _sent(chip, panel, one_dot, "partial") - 2, one_dot
    partial, beyond = [], 0
    for number in range(count):
        picture = draw(page(number), SIZE)
        need = 2 * ROW * _changed_rows(last, picture)
        partial.append(_sent(chip, panel, picture, "partial"))
        beyond, last = max(beyond, partial[-1] - commands - need), picture
    if chip.seen().tobytes() != last.tobytes():
        sys.exit("the glass shows another picture than was sent")
    return {"full": full, "partial": partial, "commands": commands, "beyond": max(0, beyond)}


def _sent(chip: SimulatedSsd1680, panel: Ssd1680, picture: Image.Image, mode: Mode) -> int:
    before = chip.bytes
    panel.show(picture, mode)
    panel.sleep()
    return chip.bytes - before


def _changed_rows(before: Image.Image, after: Image.Image) -> int:
    """Of the upright glass, which are the columns of the lying picture."""
    differing = ImageChops.logical_xor(before, after).transpose(Image.Transpose.ROTATE_90).tobytes()
    return sum(any(differing[start : start + ROW]) for start in range(0, len(differing), ROW))


def memory() -> int:
    fields = dict(line.split(":") for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    return int(fields["Pss"].split()[0]) * 1024


class Glass:
    """A panel that counts."""

    size = SIZE
    supports_partial = True

    def __init__(self) -> None:
        self.modes: list[str] = []
        self.bytes = 0
        self.last: Image.Image | None = None
        self.equal = self.equal_bytes = 0

    def show(self, image: Image.Image, mode: str) -> None:
        self.modes.append(mode)
        if self.last is not None and image.tobytes() == self.last.tobytes():
            self.equal += 1
            self.equal_bytes += len(image.tobytes())
        self.bytes += len(image.tobytes()) if mode == "full" or self.last is None else changed_bytes(self.last, image)
        self.last = image

    def sleep(self) -> None:
        """It does."""


class Dark:
    def show(self, light: object) -> None:
        """Nobody looks."""


def day() -> dict[str, Any]:
    """From 06:00 to 06:00, a look each ten seconds as the agent's loop has it; each dose is taken five minutes after it fell due."""
    glass, clock = Glass(), Clock(MORNING - 2 * HOUR)
    key = signing_key("a secret", DEVICE, 1)
    with TemporaryDirectory() as folder:
        agent = Agent(
            device_id=DEVICE,
            clock=lambda: clock.now,
            clock_synced=lambda: True,
            panel=glass,
            lamp=Dark(),
            plans=PlanStore(Path(folder) / "plan.json", DEVICE, key),
            journal=Journal(Path(folder) / "journal", DEVICE),
            elapsed_s=clock.boottime_s,
        )
        looks = 0
        for number, plan in enumerate(plans(clock), start=1):
            if plan is not None:
                agent.heard(sealed(replace(plan, number=number), key))
            agent._refresh(clock.now)
            looks += 1
    longest, run = 0, 0
    for mode in glass.modes:
        run = 0 if mode == "full" else run + 1
        longest = max(longest, run)
    return {
        "looks": looks,
        "refreshes": len(glass.modes),
        "full": glass.modes.count("full"),
        "longest_partials": longest,
        "equal_shown": glass.equal,
        "equal_bytes": glass.equal_bytes,
        "bytes": glass.bytes,
    }


class Clock:
    def __init__(self, now: datetime) -> None:
        self.began = self.now = now

    def boottime_s(self) -> float:
        return 1000 + (self.now - self.began).total_seconds()


def plans(clock: Clock) -> Iterator[Plan | None]:
    """Moves the clock on, look by look; a plan each minute, as the scheduler sends one."""
    doses = [a_dose(number, clock.began.replace(hour=hour), member) for number, (hour, member) in enumerate(DAY)]
    while clock.now < clock.began + timedelta(days=1):
        due = [each for each in doses if each.status == "pending" and clock.now >= each.due_at + timedelta(minutes=5)]
        for each in due:
            doses[doses.index(each)] = replace(each, status="taken", resolved_at=clock.now)
        fresh = due or clock.now.second == 0
        yield a_plan(tuple(doses), clock.now) if fresh else None
        clock.now += STEP


def sealed(plan: Plan, key: str) -> bytes:
    """As the server makes it: amounts as text, times in RFC 3339."""

    def text(value: object) -> str:
        return value.isoformat() if isinstance(value, datetime) else str(value)

    return seal(json.dumps({"v": 1} | asdict(plan), default=text).encode(), key)


COMMANDS = {
    "cold": cold,
    "warm": lambda: warm(int(sys.argv[2])),
    "spi": lambda: spi(int(sys.argv[2])),
    "day": day,
}
print(json.dumps(COMMANDS[sys.argv[1]]()))
