"""What is on the picture: strength, amount and member whole on every size, or the dose is not offered."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from dosette.testing import NOON, a_dose, a_plan
from dosette_display import demo
from dosette_display.demo import SIZES
from dosette_display.draw import draw, fit, lay_out
from dosette_display.keys import Act, Gesture, Screen, Wiring
from dosette_display.lettering import SIZES_PX, SMALLEST_PX, TALL, UNKNOWN, font, line, width, writable
from dosette_display.page import Mark, Notice, Page, State, View
from dosette_display.screens import pairing_page
from dosette_display.sheet import Sheet, Sign, Text
from dosette_display.telling import page_of
from dosette_display.views import chosen, view_after
from dosette_display.words import ALARMS, CARD_FULL

SMALL = SIZES[0]
LONG = "Hydrochlorothiazide/Amlodipine/Valsartan with a very long name"

LETTERS = (
    "abcdeghilmnoprstwxyz ABDEGKMORSTWZ 0123456789 /%.,-" + "äöüßéèçñøåžšřčłőŢ" + "αβγδημςΣΩΆή" + "абгджийфщыюяЁЙЩ"
)
words = st.text(LETTERS, min_size=1, max_size=40).map(lambda text: f"x{text}".strip())
doses = st.builds(
    a_dose,
    due_at=st.sampled_from([NOON, NOON - timedelta(minutes=30), NOON - timedelta(minutes=90)]),
    medicine=words,
    strength=st.one_of(st.integers(1, 999_999).map(lambda number: f"{number} mcg"), words.map(lambda text: text[:24])),
    amount=st.decimals("0.0001", "999999", places=4),
    unit=words.map(lambda text: text[:12]),
    member=st.one_of(st.sampled_from(["Ana", "Bruno", "Žofie", "Ἀ Ελένη", "Юлия"]), words.map(lambda text: text[:25])),
    note=st.one_of(st.just(""), words),
)


def quickly(examples: int) -> settings:
    """Without shrinking, which would draw thousands of pictures of a plan that fails."""
    return settings(max_examples=examples, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))


def said(sheet: Sheet) -> str:
    """All that is written, without spaces, since a text may go over several lines."""
    return "".join(text.said for text in sheet.texts).replace(" ", "")


def says(sheet: Sheet, text: str) -> bool:
    return text.replace(" ", "") in said(sheet)


def assert_legible(sheet: Sheet) -> None:
    """Each text is inside, large enough, and on the picture dot by dot, with no dot of another text or sign on it."""
    picture, taken = sheet.draw(), Image.new("1", sheet.size, 0)
    for text in sheet.texts:
        left, top, right, bottom = text.box
        assert 0 <= left <= right <= sheet.size[0], f"{text} is cut"
        assert 0 <= top <= bottom <= sheet.size[1], f"{text} is cut"
        assert text.px >= SMALLEST_PX
        if not (drawn := line(text.said, text.px)):
            continue
        found = picture.crop(text.box)
        ink = found if text.ink else Image.eval(found.convert("L"), lambda dot: 255 - dot).convert("1", dither=0)
        assert ink.tobytes() == drawn.ink.tobytes(), f"{text} is not whole on the picture"
        assert taken.crop(text.box).getbbox() is None, f"{text} lies on another text"
        taken.paste(1, (left, top, right, bottom))
    for sign in (thing for thing in sheet.things if isinstance(thing, Sign)):
        assert taken.crop((sign.x, sign.y, sign.x + sign.size, sign.y + sign.size)).getbbox() is None


def parts_of(plan, size, member: str = "") -> list[Page]:
    """Every part that can be gone to from what is due, as the buttons do it."""
    first = fit(page_of(plan, NOON, State()), size)
    views = [View(Screen.DUE, at=at, due=first.due) for at in range(first.parts)]
    return [fit(page_of(plan, NOON, State(view=view)), size) for view in views]


@pytest.mark.parametrize("size", SIZES)
@quickly(12)
@given(several=st.lists(doses, min_size=1, max_size=12), wiring=st.sampled_from(Wiring))
def test_strength_amount_and_member_of_each_dose_that_a_press_names_are_whole_on_the_picture(size, several, wiring):
    plan = a_plan(*several, issued_at=NOON - timedelta(hours=4))
    by_id = {dose.id: dose for dose in several}

    for page in parts_of(plan, size):
        sheet = lay_out(page, size)

        assert_legible(sheet)
        assert set(page.takes) == {row.dose_id for row in page.rows} <= set(by_id)
        for row in page.rows:
            assert all(says(sheet, text) for text in (row.strength, row.amount, row.member))


@pytest.mark.parametrize("size", SIZES)
@quickly(12)
@given(several=st.lists(doses, min_size=1, max_size=12))
def test_across_the_parts_that_can_be_gone_to_every_dose_is_shown_once_or_called_too_long(size, several):
    plan = a_plan(*several, issued_at=NOON - timedelta(hours=4))

    pages = parts_of(plan, size)

    ids = [row.dose_id for page in pages for row in page.rows]
    too_long = [page for page in pages if not page.rows]
    assert len(ids) == len(set(ids))
    assert len(ids) + len(too_long) == len(several)
    assert all(says(lay_out(page, size), "Too long for this panel") for page in too_long)
    if len(pages) > 1:
        assert all(says(lay_out(page, size), f"{page.part + 1}/{len(pages)}") for page in pages if page.rows)


@pytest.mark.parametrize("size", SIZES)
@quickly(10)
@given(several=st.lists(doses, min_size=1, max_size=6), pushes=st.lists(st.sampled_from(Gesture), max_size=6))
def test_wherever_buttons_lead_the_picture_is_legible_and_names_only_what_it_shows(size, several, pushes):
    plan = a_plan(*several, issued_at=NOON - timedelta(hours=4))
    view, page = None, fit(page_of(plan, NOON, State()), size)

    for push in pushes:
        choice = chosen(page, push)
        if choice.act not in (Act.TAKE, Act.SNOOZE, Act.SKIP, Act.UNDO, Act.GO_ON, Act.NOTHING):
            view = view_after(page, choice)
        page = fit(page_of(plan, NOON, State(view=view)), size)
        assert_legible(lay_out(page, size))
        assert {*page.takes, *page.snoozes} <= {row.dose_id for row in page.rows}


@pytest.mark.parametrize("size", SIZES)
@quickly(12)
@given(
    several=st.lists(
        doses.map(lambda dose: replace(dose, strength=dose.strength[:12], member=dose.member[:12], unit="tablet")),
        max_size=12,
    )
)
def test_nothing_of_usual_length_is_too_long_for_any_panel(size, several):
    pages = parts_of(a_plan(*several, issued_at=NOON - timedelta(hours=4)), size) if several else []

    assert all(page.rows for page in pages)


@pytest.mark.parametrize("wiring", Wiring)
@pytest.mark.parametrize("size", SIZES)
def test_every_screen_is_legible_has_both_stamps_and_says_what_its_buttons_do(size, wiring):
    for name, page in demo.pages(size, wiring):
        sheet = lay_out(page, size)

        assert_legible(sheet)
        assert all(says(sheet, stamp) for stamp in ("as of", "until")), name
        assert all(says(sheet, key.button) for key in page.keys if not key.is_spare), name
        meant = {chosen(page, Gesture.of(button, held)).act for button in wiring.buttons for held in (False, True)}
        assert page.keys or meant == {Act.NOTHING}, name


def test_a_long_name_is_shortened_and_the_strength_is_not():
    dose = a_dose(medicine=LONG, strength="12.5 mg/10 mg/160 mg", amount=Decimal("0.5"), member="Maximiliana-Josephine")

    sheet = lay_out(fit(page_of(a_plan(dose), NOON, State()), SMALL), SMALL)

    assert all(says(sheet, text) for text in ("12.5 mg/10 mg/160 mg", "0.5 tablet", "Maximiliana-Josephine"))
    assert any(text.said.startswith("Hydrochloro") and text.said.endswith("…") for text in sheet.texts)


@pytest.mark.parametrize("size", SIZES)
def test_a_number_is_not_torn_from_its_unit_where_that_can_be_helped(size):
    dose = a_dose(medicine=LONG, strength="12.5 mg/10 mg/160 mg", member="Maximiliana-Josephine")

    sheet = lay_out(replace(fit(page_of(a_plan(dose), NOON, State()), size), aside=()), size)

    assert any("12.5 mg/10 mg/160 mg" in text.said for text in sheet.texts)


def test_a_dose_too_long_to_be_shown_whole_is_not_offered():
    page = fit(page_of(a_plan(a_dose(strength="10 mg/" * 40)), NOON, State()), SMALL)

    assert (page.rows, page.takes, page.snoozes, page.more) == ((), (), (), 1)


def test_three_doses_stand_on_the_smallest_panel_and_more_are_counted():
    three = fit(page_of(a_plan(*(a_dose() for _ in range(3))), NOON, State()), SMALL)
    five = fit(page_of(a_plan(*(a_dose() for _ in range(5))), NOON, State()), SMALL)

    assert (len(three.rows), three.more, three.parts) == (3, 0, 1)
    assert (len(five.rows), five.more, five.parts, len(five.takes)) == (3, 2, 2, 3)


def test_one_due_dose_has_its_time_in_large_figures():
    sheet = lay_out(fit(page_of(a_plan(a_dose()), NOON, State()), SMALL), SMALL)

    assert ("12:00", 38) in [(text.said, text.px) for text in sheet.texts]


def test_today_is_legible_beside_a_page_without_doses():
    plan = a_plan(a_dose(NOON + timedelta(hours=3)), issued_at=NOON - timedelta(hours=1))

    sheet = lay_out(fit(page_of(plan, NOON, State(trouble=CARD_FULL)), SIZES[-1]), SIZES[-1])

    assert says(sheet, "Today")
    assert_legible(sheet)


@pytest.mark.parametrize("screen", [Screen.WHY, Screen.TODAY, Screen.CLOCK])
def test_a_dose_that_fits_alone_but_in_no_list_is_not_drawn_under_the_buttons(screen):
    name, strength = "Hydrochlorothiazide/Amlodipine/Valsartan", "12.5 mg/10 mg/160 mg"
    plan = a_plan(a_dose(medicine=name, strength=strength, member="Bartholomew Alexander the third"))
    home = fit(page_of(plan, NOON, State()), SMALL)
    view = None if screen is Screen.CLOCK else View(screen, over=home, due=home.due)
    now = NOON - timedelta(days=20_000) if screen is Screen.CLOCK else NOON

    page = fit(page_of(plan, now, State(view=view)), SMALL)

    assert page.screen is screen
    assert home.takes
    assert_legible(lay_out(page, SMALL))


@pytest.mark.parametrize("size", SIZES)
def test_what_to_heed_when_taking_is_written(size):
    for dose in (a_dose(note="with food"), a_dose(medicine=LONG, strength="12.5 mg/10 mg/160 mg", note="with food")):
        assert says(lay_out(fit(page_of(a_plan(dose), NOON, State()), size), size), "with food")


@pytest.mark.parametrize("size", SIZES)
def test_the_next_dose_may_be_a_week_away(size):
    plan = a_plan(a_dose(NOON + timedelta(days=7, hours=9)), issued_at=NOON)

    sheet = lay_out(fit(page_of(plan, NOON, State()), size), size)

    assert says(sheet, "11 Mar 21:00")
    assert_legible(sheet)


def test_a_letter_that_the_font_lacks_or_would_reverse_is_visibly_replaced():
    assert writable("Žofie Метформин ½") == "Žofie Метформин ½"
    assert writable("漢\u0627\u202e") == UNKNOWN * 3
    assert writable("two\nlines\x00") == f"two lines{UNKNOWN}"


@pytest.mark.parametrize("px", SIZES_PX)
@pytest.mark.parametrize("text", ["TAKE AVATAR Wy. To", "500 mg · 1 tablet", "Žofie Метформин ½ Ελένη", "12:00 jfgq …"])
def test_a_line_put_together_from_letters_is_dot_by_dot_what_freetype_draws(px, text):
    whole = TALL + (text if px <= 50 else "12:00")  # where kerning is a dot or more, only the time is written
    naive, ours = (Image.new("1", (20 * px, 3 * px), 0) for _ in range(2))
    pen = ImageDraw.Draw(naive)
    pen.fontmode = "1"
    pen.text((px, 2 * px), whole, font=font(px), fill=1, anchor="ls")

    Text(whole, px, 2 * px, px, ink=1).draw(ours)

    assert ours.tobytes() == naive.tobytes()
    assert width(whole, px) == round(font(px).getlength(whole, mode="1"))


def test_marks_are_shapes_of_their_own():
    pictures = set()
    for mark in Mark:
        sheet = Sheet((20, 20))
        sheet.sign(mark, 2, 2, 14)
        pictures.add(sheet.draw().tobytes())

    assert len(pictures) == len(Mark)


def test_a_picture_is_black_and_white_without_grey_letters():
    image = draw(fit(page_of(a_plan(a_dose()), NOON, State()), SMALL), SMALL)

    assert (image.mode, image.size) == ("1", SMALL)
    assert 0.03 < image.tobytes().count(0xFF) / len(image.tobytes()) < 0.97


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("note", ["", "with food"])
@pytest.mark.parametrize("facts", [{"alarms": (kind,)} for kind in ALARMS] + [{"stuck_since": NOON}])
def test_what_is_wrong_with_the_server_is_written_below_a_dose(size, note, facts):
    plan = a_plan(a_dose(note=note), **facts)

    page = fit(page_of(plan, NOON, State()), size)
    sheet = lay_out(page, size)

    assert all(says(sheet, text) for text in (*page.lines, "Metformin", "500 mg", "1 tablet", "Ana"))
    assert_legible(sheet)


@pytest.mark.parametrize("size", SIZES)
def test_who_has_it_and_what_is_grave_are_written_above_as_many_doses_as_fit(size):
    names = ("Metformin", "Ramipril", "Simvastatin", "Furosemide", "Bisoprolol", "Apixaban") * 4
    doses = [a_dose(medicine=name, claimed_by="Ana") for name in names]
    calm = fit(page_of(a_plan(*doses), NOON, State()), size)
    grave = fit(page_of(a_plan(*doses, stuck_since=NOON), NOON, State()), size)

    assert says(lay_out(calm, size), "Ana has it")
    assert says(lay_out(grave, size), "stuck since 12:00")
    assert grave.takes == calm.takes, "no dose makes room for a warning"


def test_which_part_it_is_is_written_beside_the_longest_title():
    doses = [a_dose(claimed_by=each) for each in ("Maximiliana Josephine", "Bartholomew Alexander", "Wilhelmina")]
    page = fit(page_of(a_plan(*doses, *doses), NOON, State()), SMALL)

    sheet = lay_out(page, SMALL)

    assert says(sheet, "1/2")
    assert_legible(sheet)


def test_an_alarm_is_in_inverse():
    page = fit(page_of(a_plan(a_dose()), NOON, State()), SMALL)

    calm, loud = draw(page, SMALL), draw(replace(page, alarm=True), SMALL)

    assert calm.getpixel((SMALL[0] - 2, 3)) == 1
    assert loud.getpixel((SMALL[0] - 2, 3)) == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("said", ["Already taken 12:00", "NOT SAVED, press again", "NOT COUNTED, see the pages"])
def test_what_is_answered_to_a_press_is_written_whole(size, said):
    state = State(notice=Notice(said))

    assert says(lay_out(fit(page_of(a_plan(a_dose()), NOON, state), size), size), said)


@pytest.mark.parametrize("size", SIZES)
def test_a_qr_code_is_the_address_in_squares_with_a_quiet_zone(size):
    url = "http://192.168.178.20:8080/pair?code=K7M4-2QXD"
    page = fit(pairing_page("K7M4-2QXD", url, NOON, NOON + timedelta(minutes=10)), size)

    sheet = lay_out(page, size)
    code = next(thing for thing in sheet.things if hasattr(thing, "modules"))
    side, quiet = len(code.modules) * code.module_px, 2 * code.module_px
    picture = sheet.draw()

    assert code.module_px >= 2
    middle = code.module_px // 2
    for y, row in enumerate(code.modules):
        for x, dark in enumerate(row):
            at = code.x + x * code.module_px + middle, code.y + y * code.module_px + middle
            assert picture.getpixel(at) == (0 if dark else 1)
    around = picture.crop((code.x - quiet, code.y - quiet, code.x + side + quiet, code.y + side + quiet))
    around.paste(1, (quiet, quiet, quiet + side, quiet + side))
    assert around.getextrema()[0], "there is ink in the quiet zone"
    assert says(sheet, "K7M4-2QXD")
    assert_legible(sheet)


@pytest.mark.parametrize("what", ["medicine", "member", "strength", "unit", "note"])
@pytest.mark.parametrize("blank", [" ", "\N{NO-BREAK SPACE}", "\N{EM SPACE}", "\N{ZERO WIDTH SPACE}"])
@pytest.mark.parametrize("size", SIZES)
def test_a_name_of_which_nothing_can_be_seen_ends_no_panel(size, blank, what):
    plan = a_plan(a_dose(**{what: blank}))

    drawn = fit(page_of(plan, NOON, State()), size)

    draw(drawn, size)
    assert what not in ("medicine", "member") or "?" in (drawn.rows[0].name, drawn.rows[0].member)
