"""`dosette-display demo`: every screen, one after the other, as a household would see it in a day. Golden pictures are made of the same."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event

from PIL import Image

from dosette.contracts.plan import LowStock, Plan, PlannedConflict, PlannedDose
from dosette.contracts.press import Press
from dosette_display import words
from dosette_display.draw import draw, fit
from dosette_display.files import write_whole
from dosette_display.keys import Gesture, Screen, Wiring
from dosette_display.page import Page, State, View
from dosette_display.panels import Panel
from dosette_display.panels.virtual import png
from dosette_display.screens import pairing_page
from dosette_display.sheet import BLACK, WHITE, Sheet, Size
from dosette_display.telling import page_of
from dosette_display.views import chosen, view_after

SIZES: tuple[Size, ...] = ((250, 122), (264, 176), (296, 128), (400, 300), (800, 480))
EACH_FOR_S = 4.0
NOW = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
COLUMNS = 4
GAP = 12


@dataclass(frozen=True)
class Scene:
    """A moment in a household: `walk` are gestures that were made before, each on the page that was there."""

    plan: Plan | None
    now: datetime = NOW
    state: State = field(default_factory=State)
    walk: tuple[Gesture, ...] = ()

    def page(self, size: Size, wiring: Wiring) -> Page:
        """The page at the end of the walk, as a panel of this size shows it."""
        state = replace(self.state, wiring=wiring)
        page = fit(page_of(self.plan, self.now, state), size)
        for gesture in self.walk:
            state = replace(state, view=view_after(page, chosen(page, gesture)))
            page = fit(page_of(self.plan, self.now, state), size)
        return page


def pages(size: Size, wiring: Wiring = Wiring.THREE) -> Iterator[tuple[str, Page]]:
    """Each screen by its name."""
    for name, scene in _scenes(wiring).items():
        yield name, scene.page(size, wiring)
    paired = pairing_page("K7M4-2QXD", "http://192.168.178.20:8080/pair?code=K7M4-2QXD", NOW, NOW + 10 * MINUTE)
    yield "pairing", fit(paired, size)


def play(
    panel: Panel, wiring: Wiring, stopping: Event, told: Callable[[str], None] = print, each_for_s: float = EACH_FOR_S
) -> None:
    """Shows each screen on the panel for some seconds, until the last or until told to stop."""
    for name, page in pages(panel.size, wiring):
        told(name)
        panel.show(draw(page, panel.size), "full")
        if stopping.wait(each_for_s):
            break
    panel.sleep()


def write_sheet(path: Path, size: Size, wiring: Wiring = Wiring.THREE) -> None:
    """A contact sheet, as a PNG file. Raises OSError."""
    write_whole(path, png(contact_sheet(size, wiring)), durable=False)


def contact_sheet(size: Size, wiring: Wiring) -> Image.Image:
    """All screens side by side, each with its name below."""
    shown = [(name, draw(page, size)) for name, page in pages(size, wiring)]
    columns = COLUMNS if size[0] < 400 else 3
    cell = size[0] + GAP, size[1] + GAP + 20
    rows = -(-len(shown) // columns)
    whole = Image.new("1", (columns * cell[0] + GAP, rows * cell[1] + GAP), WHITE)
    for place, (name, picture) in enumerate(shown):
        x, y = GAP + place % columns * cell[0], GAP + place // columns * cell[1]
        whole.paste(BLACK, (x - 1, y - 1, x + size[0] + 1, y + size[1] + 1))
        whole.paste(picture, (x, y))
        caption = Sheet((size[0], 18))
        caption.text(name, 0, 14, 14)
        whole.paste(caption.draw(), (x, y + size[1] + 2))
    return whole


def _scenes(wiring: Wiring) -> dict[str, Scene]:
    one, several, day = _plan(_morning()[1]), _plan(*_morning()), _plan(*_day())
    restored = _plan(*_restored_day(), alarms=("restored",))
    more = Gesture.HOLD
    step = _step_to(several, "One by one")
    return {
        "due": Scene(one),
        "late": Scene(_plan(_dose("Ramipril", "5 mg", "Bruno", late=True))),
        "several due": Scene(several),
        "one by one": Scene(several, state=State(view=step)),
        "twelve due": Scene(_plan(*_twelve())),
        "a long name": Scene(_plan(_long())),
        "taken": _after("take", _plan(*_morning()[1:])),
        "taken, more due": _after("take", several, several.doses[:2]),
        "skipped": _after("skip", one, reason="Felt unwell"),
        "snoozed": _after("snooze", one),
        "menu": Scene(several, walk=(more,)),
        "why skipped": Scene(one, state=State(view=_why(one, wiring))),
        "today": Scene(day, walk=(more, *_down(day, "Today", wiring))),
        "all taken, next": Scene(_plan(*_taken_day())),
        "next, may be taken early": Scene(_plan(_dose("Metformin", "500 mg", "Ana", at=NOW + HOUR))),
        "next, with low stock": Scene(_plan(*_taken_day(), low=_low())),
        "low stock": Scene(_plan(*_taken_day(), low=_low()), state=State(view=View(Screen.LOW))),
        "missed": Scene(_plan(*_missed_day())),
        "double dose": Scene(_plan(*_taken_day(), conflicts=_conflicts())),
        "double dose while one is due": Scene(_plan(_morning()[1], conflicts=_conflicts())),
        "offline": Scene(replace(one, issued_at=NOW - 20 * MINUTE), state=State(offline_since=NOW - 20 * MINUTE)),
        "offline for long": Scene(replace(one, issued_at=NOW - 3 * HOUR), state=State(offline_since=NOW - 3 * HOUR)),
        "not admitted": Scene(
            replace(one, issued_at=NOW - 20 * MINUTE), state=State(offline_since=NOW - 20 * MINUTE, admitted=False)
        ),
        "the plan has ended": Scene(_plan(issued_at=NOW - 8 * DAY)),
        "clock not set": Scene(_plan(*_day()), now=datetime(1970, 1, 1, tzinfo=UTC)),
        "restored": Scene(restored),
        "restored, today": Scene(restored, walk=(more, *_down(restored, "Today", wiring))),
        "error": Scene(_plan(), state=State(trouble=words.CARD_FULL)),
        "plan refused": Scene(one, state=State(trouble=words.PLAN_REFUSED)),
        "not paired": Scene(_plan(revoked=True, valid_until=NOW)),
        "no plan yet": Scene(None),
    }


def _step_to(plan: Plan, text: str) -> View | None:
    """Where an entry of the menu leads."""
    page = fit(page_of(plan, NOW, State()), SIZES[0])
    opened = State(view=view_after(page, chosen(page, Gesture.HOLD)))
    return next(each.view for each in page_of(plan, NOW, opened).choices if each.text == text)


def _why(plan: Plan, wiring: Wiring) -> View:
    page = page_of(plan, NOW, State(wiring=wiring))
    return View(Screen.WHY, over=page, due=page.due, at=1)


def _down(plan: Plan, text: str, wiring: Wiring) -> tuple[Gesture, ...]:
    """From the first entry of a menu to this one, and into it."""
    page = fit(page_of(plan, NOW, State()), SIZES[0])
    menu = page_of(plan, NOW, State(view=view_after(page, chosen(page, Gesture.HOLD))))
    steps = [each.text for each in menu.choices].index(text)
    down, into = (Gesture.BUTTON, Gesture.HOLD) if wiring is Wiring.ONE else (Gesture.SNOOZE, Gesture.TAKE)
    return (*[down] * steps, into)


def _after(kind: str, plan: Plan, doses: tuple[PlannedDose, ...] = (), reason: str | None = None) -> Scene:
    ids = tuple(dose.id for dose in doses or plan.doses)
    press = Press("press", 1, plan.device_id, kind, ids, NOW, "boot", 0.0, True, reason)
    return Scene(plan, NOW + timedelta(seconds=2), State(waiting=(press,), last=press))


def _plan(*doses: PlannedDose, issued_at: datetime = NOW - MINUTE, **facts: object) -> Plan:
    numbered = tuple(replace(dose, id=f"dose-{number}") for number, dose in enumerate(doses))
    plan = Plan("panel", "Kitchen", "UTC", "epoch", 1, 0, issued_at, issued_at + 7 * DAY, numbered)
    return replace(plan, **facts)  # type: ignore[arg-type]


def _dose(
    name: str,
    strength: str,
    member: str,
    amount: str = "1",
    unit: str = "tablet",
    at: datetime = NOW,
    late: bool = False,
    status: str = "pending",
    **facts: object,
) -> PlannedDose:
    due_at = at - 80 * MINUTE if late else at
    dose = PlannedDose(
        id="",
        member=member,
        medicine=name,
        strength=strength,
        form=unit,
        unit=unit,
        amount=Decimal(amount),
        note="",
        opens_at=due_at - HOUR,
        due_at=due_at,
        late_at=due_at + HOUR,
        closes_at=due_at + 2 * HOUR,
        status=status,
        resolved_at=due_at + 3 * MINUTE if status in ("taken", "skipped") else None,
    )
    return replace(dose, **facts)  # type: ignore[arg-type]


def _morning() -> tuple[PlannedDose, ...]:
    return (
        _dose("Ramipril", "5 mg", "Bruno"),
        _dose("Metformin", "500 mg", "Ana", note="with food"),
        _dose("Levothyroxine", "75 mcg", "Ana"),
    )


def _day() -> tuple[PlannedDose, ...]:
    evening = NOW + 12 * HOUR
    return (
        _dose("Levothyroxine", "75 mcg", "Ana", at=NOW - HOUR, status="taken"),
        _dose("Vitamin D3", "1000 IU", "Clara", "4", "drop", at=NOW - HOUR, status="skipped"),
        _dose("Metformin", "500 mg", "Ana", note="with food"),
        _dose("Ramipril", "5 mg", "Bruno"),
        _dose("Ibuprofen", "400 mg", "Clara", at=NOW + 5 * HOUR, note="with food"),
        _dose("Metformin", "500 mg", "Ana", at=evening, note="with food"),
        _dose("Simvastatin", "20 mg", "Bruno", at=evening),
    )


def _taken_day() -> tuple[PlannedDose, ...]:
    morning = (replace(dose, status="taken", resolved_at=NOW - 30 * MINUTE, due_at=NOW - HOUR) for dose in _morning())
    return (*morning, _dose("Metformin", "500 mg", "Ana", at=NOW + DAY - HOUR, note="with food"))


def _missed_day() -> tuple[PlannedDose, ...]:
    return (
        _dose("Ramipril", "5 mg", "Bruno", at=NOW - 3 * HOUR, status="missed"),
        _dose("Metformin", "500 mg", "Ana", at=NOW + 4 * HOUR),
    )


def _restored_day() -> tuple[PlannedDose, ...]:
    return (
        _dose("Metformin", "500 mg", "Ana", at=NOW - HOUR, status="unknown"),
        _dose("Ramipril", "5 mg", "Bruno", at=NOW - HOUR, status="unknown"),
        _dose("Simvastatin", "20 mg", "Bruno", at=NOW + 4 * HOUR),
    )


def _twelve() -> tuple[PlannedDose, ...]:
    names = ("Amlodipine 5", "Apixaban 5", "Bisoprolol 2.5", "Furosemide 40", "Metformin 1000", "Pantoprazole 20")
    doses = (name.split() for name in names)
    each = [_dose(name, f"{strength} mg", "Bruno") for name, strength in doses]
    return (*each, *(replace(dose, member="Ana") for dose in each))


def _long() -> PlannedDose:
    name = "Hydrochlorothiazide/Amlodipine/Valsartan"
    return _dose(name, "12.5 mg/10 mg/160 mg", "Maximiliana-Josephine", "0.5", note="with a glass of water")


def _low() -> tuple[LowStock, ...]:
    return (
        LowStock("Ana", "Metformin", "500 mg", Decimal(8), "tablet", 4, date(2026, 3, 6)),
        LowStock("Bruno", "Ramipril", "5 mg", Decimal(2), "tablet", 1, date(2026, 3, 4)),
        LowStock("Clara", "Salbutamol", "100 mcg", Decimal(12), "puff", None, None),
    )


def _conflicts() -> tuple[PlannedConflict, ...]:
    return (PlannedConflict("c", "Ana", "Metformin", "500 mg", "take", NOW - 12 * MINUTE, "taken", NOW - 40 * MINUTE),)
