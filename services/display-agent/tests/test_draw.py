"""What is on the picture: strength, amount and member whole on every size, or the dose is not offered."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from dosette.testing import NOON, a_dose, a_plan
from dosette_display import draw as drawing
from dosette_display.draw import draw, fit
from dosette_display.lettering import SMALLEST_PX, UNKNOWN, writable
from dosette_display.page import Page, State, page_of
from dosette_display.words import ALARMS

SIZES = ((250, 122), (264, 176), (296, 128), (400, 300), (800, 480))
SMALL = SIZES[0]
LONG = "Hydrochlorothiazide/Amlodipine/Valsartan with a very long name"

words = st.text("abcdeghilmnoprst WM0123456789/%.-", min_size=1, max_size=40).map(lambda text: f"x{text}")
doses = st.builds(
    a_dose,
    medicine=words,
    strength=words.map(lambda text: text[:20]),
    amount=st.decimals("0.0001", "999999", places=4),
    unit=words.map(lambda text: text[:12]),
    member=words.map(lambda text: text[:25]),
    note=words,
)


class Written:
    """Every text that was drawn, and where."""

    def __init__(self, page: Page, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts: list[tuple[str, tuple[float, ...], int]] = []
        real = ImageDraw.ImageDraw.text

        def text(pen, at, said, font, fill, anchor):
            self.texts.append((said, pen.textbbox(at, said, font=font, anchor=anchor), font.size))
            real(pen, at, said, font=font, fill=fill, anchor=anchor)

        with monkeypatch.context() as patch:
            patch.setattr(ImageDraw.ImageDraw, "text", text)
            self.image = draw(page, size)

    def says(self, words: str) -> bool:
        """Whether all of it is written somewhere, perhaps over several lines."""
        return "".join(words.split()) in "".join(said for said, _, _ in self.texts).replace(" ", "")

    def all_inside(self) -> bool:
        width, height = self.image.size
        return all(
            left >= 0 and top >= -1 and right <= width and bottom <= height
            for _, (left, top, right, bottom), _ in self.texts
        )


@pytest.mark.parametrize("size", SIZES)
@settings(max_examples=60, deadline=None)
@given(several=st.lists(doses, min_size=1, max_size=12))
def test_strength_amount_and_member_of_each_dose_that_a_press_names_are_on_the_screen(size, several):
    page = fit(page_of(a_plan(*several), NOON, State()), size)

    with pytest.MonkeyPatch.context() as monkeypatch:
        written = Written(page, size, monkeypatch)

    assert {row.dose_id for row in page.rows} == set(page.takes)
    assert len(page.rows) + page.more == len(several)
    for row in page.rows:
        assert written.says(row.strength)
        assert written.says(row.amount)
        assert written.says(row.member)
    assert written.all_inside()
    assert min(px for _, _, px in written.texts) >= SMALLEST_PX


def test_a_long_name_is_shortened_and_the_strength_is_not(monkeypatch):
    dose = a_dose(medicine=LONG, strength="12.5 mg/10 mg/160 mg", amount=Decimal("0.5"), member="Maximiliana-Josephine")

    written = Written(fit(page_of(a_plan(dose), NOON, State()), SMALL), SMALL, monkeypatch)

    assert written.says("12.5 mg/10 mg/160 mg")
    assert written.says("0.5 tablet")
    assert written.says("Maximiliana-Josephine")
    assert any(said.startswith("Hydrochloro") and said.endswith("…") for said, _, _ in written.texts)


def test_a_dose_too_long_to_be_shown_whole_is_not_offered():
    dose = a_dose(strength="10 mg/" * 40)

    page = fit(page_of(a_plan(dose), NOON, State()), SMALL)

    assert (page.rows, page.takes, page.more) == ((), (), 1)


def test_three_doses_stand_on_the_smallest_panel_and_more_are_counted():
    three = fit(page_of(a_plan(*(a_dose() for _ in range(3))), NOON, State()), SMALL)
    five = fit(page_of(a_plan(*(a_dose() for _ in range(5))), NOON, State()), SMALL)

    assert (len(three.rows), three.more) == (3, 0)
    assert (len(five.rows), five.more, len(five.takes)) == (3, 2, 3)


def test_one_due_dose_has_its_time_in_large_figures(monkeypatch):
    written = Written(fit(page_of(a_plan(a_dose()), NOON, State()), SMALL), SMALL, monkeypatch)

    assert ("12:00", 38) in [(said, px) for said, _, px in written.texts]


@pytest.mark.parametrize("size", SIZES)
def test_every_frame_has_both_stamps(size, monkeypatch):
    plan = a_plan(a_dose())
    ended = plan.valid_until + timedelta(minutes=1)
    pages = [
        page_of(plan, now, State()) for now in (NOON, NOON - timedelta(days=2), ended, NOON - timedelta(days=9000))
    ]
    pages.append(page_of(None, NOON, State()))

    for page in pages:
        written = Written(fit(page, size), size, monkeypatch)
        assert written.says("as of")
        assert written.says("until")
        assert written.all_inside()


@pytest.mark.parametrize("size", SIZES)
def test_the_next_dose_may_be_a_week_away(size, monkeypatch):
    plan = a_plan(a_dose(NOON + timedelta(days=7, hours=9)), issued_at=NOON)

    written = Written(fit(page_of(plan, NOON, State()), size), size, monkeypatch)

    assert written.says("11 Mar 21:00")
    assert written.all_inside()


def test_a_letter_that_the_font_lacks_or_would_reverse_is_visibly_replaced():
    assert writable("Žofie Метформин ½") == "Žofie Метформин ½"
    assert writable("漢\u0627\u202e") == UNKNOWN * 3
    assert writable("two\nlines\x00") == f"two lines{UNKNOWN}"


def test_marks_are_shapes_of_their_own():
    pictures = set()
    for mark in drawing.Mark:
        image = Image.new("1", (20, 20), 1)
        drawing._mark(ImageDraw.Draw(image), mark, (2, 2), 14)
        pictures.add(image.tobytes())

    assert len(pictures) == len(drawing.Mark)


def test_a_picture_is_black_and_white_without_grey_letters():
    image = draw(fit(page_of(a_plan(a_dose()), NOON, State()), SMALL), SMALL)

    assert (image.mode, image.size) == ("1", SMALL)
    assert 0.03 < image.tobytes().count(0xFF) / len(image.tobytes()) < 0.97


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("note", ["", "with food"])
@pytest.mark.parametrize("facts", [{"alarms": (kind,)} for kind in ALARMS] + [{"stuck_since": NOON}])
def test_what_is_wrong_with_the_server_is_written_below_a_dose(size, note, facts, monkeypatch):
    plan = a_plan(a_dose(note=note), **facts)

    page = fit(page_of(plan, NOON, State()), size)
    written = Written(page, size, monkeypatch)

    assert all(written.says(line) for line in (*page.lines, "Metformin", "500 mg", "1 tablet", "Ana"))
    assert written.all_inside()


@pytest.mark.parametrize("size", SIZES)
def test_who_has_it_and_what_is_grave_are_written_above_as_many_doses_as_fit(size, monkeypatch):
    names = ("Metformin", "Ramipril", "Simvastatin", "Furosemide", "Bisoprolol", "Apixaban") * 4
    doses = [a_dose(medicine=name, claimed_by="Ana") for name in names]
    calm = fit(page_of(a_plan(*doses), NOON, State()), size)
    grave = fit(page_of(a_plan(*doses, stuck_since=NOON), NOON, State()), size)

    assert Written(calm, size, monkeypatch).says(f"Ana has it +{calm.more} more")
    assert Written(grave, size, monkeypatch).says(f"stuck since 12:00 +{grave.more} more")
    assert grave.takes == calm.takes, "no dose makes room for a warning"


def test_how_many_doses_are_not_shown_is_written_beside_the_longest_title(monkeypatch):
    doses = [a_dose(claimed_by=each) for each in ("Maximiliana Josephine", "Bartholomew Alexander", "Wilhelmina")]
    page = fit(page_of(a_plan(*doses, *doses), NOON, State()), SMALL)

    written = Written(page, SMALL, monkeypatch)

    assert page.more
    assert written.says(f"… +{page.more} more")
    assert written.all_inside()


def test_an_alarm_is_in_inverse():
    calm = draw(replace(page := page_of(None, NOON, State()), alarm=False), SMALL)
    loud = draw(replace(page, alarm=True), SMALL)

    assert calm.getpixel((SMALL[0] - 2, 3)) == 1
    assert loud.getpixel((SMALL[0] - 2, 3)) == 0
