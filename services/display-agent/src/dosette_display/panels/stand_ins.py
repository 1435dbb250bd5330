"""What stands in for Pimoroni's and Waveshare's libraries where no panel is: the part of them that we use, as of inky 2.6 and
waveshare-epaper 1.4."""

from types import SimpleNamespace

from PIL import Image


class StandInInky:
    """As `inky.auto.auto()` returns it: a picture of numbers for white and black is set, and seen when it is shown."""

    WHITE, BLACK = 0, 1

    def __init__(self, size: tuple[int, int] = (250, 122)) -> None:
        self.width, self.height = size
        self.broken = False
        self._set = Image.new("1", size, 1)
        self.glass = self._set.copy()

    def set_image(self, image: Image.Image) -> None:
        if image.mode != "P" or not set(image.tobytes()) <= {self.WHITE, self.BLACK}:
            raise ValueError("a picture of other numbers than those for white and black")
        self._set = Image.frombytes("L", image.size, image.tobytes()).point([255, 0, *[0] * 254], "1")

    def show(self) -> None:
        if self.broken:
            raise RuntimeError("Timeout waiting for busy signal to clear.")
        self.glass = self._set.copy()

    def seen(self) -> Image.Image:
        return self.glass


class StandInWaveshare:
    """As the module `epaper`: a factory of modules of which it knows one model, upright and with a byte for eight dots."""

    def __init__(self, model: str = "epd2in7_V2", size: tuple[int, int] = (264, 176)) -> None:
        self._model = model
        self.epd = _Epd(size)

    def epaper(self, model: str) -> SimpleNamespace:
        if model != self._model:
            raise ModuleNotFoundError(f"No module named '{model}'")
        return SimpleNamespace(EPD=lambda: self.epd)

    def seen(self) -> Image.Image:
        return self.epd.seen()


class _Epd:
    def __init__(self, size: tuple[int, int]) -> None:
        self.height, self.width = size
        self.broken = False
        self._ready = False
        self._glass = Image.new("1", (self.width, self.height), 1).tobytes()

    def init(self) -> int:
        self._ready = not self.broken
        return -1 if self.broken else 0

    def getbuffer(self, image: Image.Image) -> bytes:
        lying = image.size == (self.height, self.width)
        return (image.transpose(Image.Transpose.ROTATE_90) if lying else image).tobytes()

    def display(self, buffer: bytes) -> None:
        if not self._ready:
            raise RuntimeError("written to while asleep")
        self._glass = buffer

    def sleep(self) -> None:
        self._ready = False

    def seen(self) -> Image.Image:
        return Image.frombytes("1", (self.width, self.height), self._glass).transpose(Image.Transpose.ROTATE_270)
