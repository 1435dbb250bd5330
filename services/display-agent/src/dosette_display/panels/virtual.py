"""A panel that is a PNG file, of any size that there is a layout for."""

import io
import logging
from pathlib import Path

from PIL import Image

from dosette_display.files import write_whole
from dosette_display.panels import Mode, check_size

log = logging.getLogger(__name__)


class VirtualPanel:
    """Its picture is replaced in one step, so that a reader never sees half of one."""

    supports_partial = True

    def __init__(self, path: Path, size: tuple[int, int] = (250, 122)) -> None:
        self.size = size
        self._path = path

    def show(self, image: Image.Image, mode: Mode) -> None:
        check_size(image, self.size)
        try:
            write_whole(self._path, png(image), durable=False)
        except OSError as error:  # a full disk must not take the picture from the pages, which get it over Redis
            log.error("the picture could not be written", extra={"error": str(error)})

    def sleep(self) -> None:
        """There is no voltage."""


def png(image: Image.Image) -> bytes:
    """As small as it gets in a millisecond."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=6)
    return out.getvalue()
