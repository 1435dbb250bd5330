"""Every screen on every size, dot by dot as it was when somebody last looked at it.

After a wanted change: `.venv/bin/python services/display-agent/tests/test_golden.py` renews tests/golden. Look at each picture
that `git status` then names, before it is committed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from dosette_display import demo
from dosette_display.draw import draw
from dosette_display.keys import Wiring
from dosette_display.sheet import Size

GOLDEN = Path(__file__).parent / "golden"
RENEW = "if that is wanted, renew tests/golden as its test says, and look at the picture"


def pictures(size: Size) -> Iterator[tuple[Path, Image.Image]]:
    """With three buttons on each size, with one on the smallest."""
    for wiring in Wiring:
        if wiring is Wiring.THREE or size == demo.SIZES[0]:
            for name, page in demo.pages(size, wiring):
                file = f"{name.replace(',', '').replace(' ', '-')}.png"
                yield Path(f"{size[0]}x{size[1]}-{wiring}") / file, draw(page, size)


@pytest.mark.parametrize("size", demo.SIZES)
def test_each_screen_is_as_somebody_has_seen_it(size):
    for path, picture in pictures(size):
        assert (GOLDEN / path).exists(), f"{path} is new: {RENEW}"
        golden = Image.open(GOLDEN / path).convert("1")
        assert golden.size == picture.size
        assert ImageChops.logical_xor(golden, picture).getbbox() is None, f"{path} is another: {RENEW}"


def test_no_picture_is_left_of_a_screen_that_is_gone():
    there = {path.relative_to(GOLDEN) for path in GOLDEN.rglob("*.png")}

    assert there == {path for size in demo.SIZES for path, _ in pictures(size)}


def renew() -> None:
    for path in GOLDEN.rglob("*.png"):
        path.unlink()
    for path, picture in (each for size in demo.SIZES for each in pictures(size)):
        (GOLDEN / path).parent.mkdir(parents=True, exist_ok=True)
        picture.save(GOLDEN / path, optimize=True)


if __name__ == "__main__":
    renew()
