"""The pictures of the labelers' guide: drawn scenes and part of a photograph, each with a made-up reconstruction.

    python studies/guide_pictures.py -o src/miscomp/web/static/guide

No codec made the reconstructions: what is to be shown is drawn otherwise, the rest is softened a little as a codec
would. The photograph is `rocket` of scikit-image (SpaceX, public domain). The same versions of Pillow, NumPy and OpenCV
write the same bytes.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from miscomp.demo import PHOTOGRAPHS, find
from miscomp.folders import replacing

WIDTH, HEIGHT = 360, 240
MOST_BYTES = 60_000
_SCALE = 3
"""Scenes are drawn larger and scaled down: Pillow's lines have no soft edges."""
_QUALITY = 84
_NOISE = 3.0

Pixels = npt.NDArray[np.uint8]
Point = tuple[float, float]
Colour = str


class Scene:
    """A picture of 360 x 240 units."""

    def __init__(self, sky: Colour = "#a9c7e8", ground: Colour = "#7d9a5b", horizon: float = 170) -> None:
        self.image = Image.new("RGB", (WIDTH * _SCALE, HEIGHT * _SCALE), sky)
        self.draw = ImageDraw.Draw(self.image)
        self.box(0, horizon, WIDTH, HEIGHT - horizon, ground)

    def box(self, x: float, y: float, w: float, h: float, colour: Colour) -> None:
        """A filled rectangle."""
        self.draw.rectangle([x * _SCALE, y * _SCALE, (x + w) * _SCALE - 1, (y + h) * _SCALE - 1], fill=colour)

    def shape(self, colour: Colour, *points: Point) -> None:
        """A filled polygon."""
        self.draw.polygon([(x * _SCALE, y * _SCALE) for x, y in points], fill=colour)

    def disc(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """A filled ellipse around a point."""
        self.draw.ellipse([(x - rx) * _SCALE, (y - ry) * _SCALE, (x + rx) * _SCALE, (y + ry) * _SCALE], fill=colour)

    def line(self, colour: Colour, width: float, *points: Point) -> None:
        """A line through points."""
        ends = [(x * _SCALE, y * _SCALE) for x, y in points]
        self.draw.line(ends, fill=colour, width=max(int(width * _SCALE), 1), joint="curve")

    def text(self, x: float, y: float, words: str, *, size: float, colour: Colour = "#1b1b1b") -> None:
        """Words around a point."""
        place = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans-Bold.ttf"
        font = ImageFont.truetype(str(place), int(size * _SCALE))
        self.draw.text((x * _SCALE, y * _SCALE), words, font=font, fill=colour, anchor="mm")

    def blur(self, x: float, y: float, w: float, h: float, radius: float) -> None:
        """Blur a rectangle, with soft borders."""
        mask = Image.new("L", self.image.size, 0)
        inner = [x * _SCALE, y * _SCALE, (x + w) * _SCALE, (y + h) * _SCALE]
        ImageDraw.Draw(mask).rectangle(inner, fill=255)
        mask = mask.filter(ImageFilter.GaussianBlur(2 * _SCALE))
        soft = self.image.filter(ImageFilter.GaussianBlur(radius * _SCALE))
        self.image.paste(soft, (0, 0), mask)
        self.draw = ImageDraw.Draw(self.image)

    def pixels(self) -> Pixels:
        """The picture at its size."""
        return np.asarray(self.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def noisy(pixels: Pixels, *, seed: int) -> Pixels:
    """With the grain of a camera, which is what codecs take away first."""
    grain = np.random.default_rng(seed).normal(0, _NOISE, pixels.shape)
    return np.clip(pixels + grain, 0, 255).astype(np.uint8)


def softened(pixels: Pixels, radius: float = 0.45) -> Pixels:
    """As a codec of good quality leaves a picture."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def _hills(scene: Scene) -> None:
    scene.shape("#8fa8b8", (0, 170), (70, 120), (150, 160), (230, 110), (330, 155), (360, 140), (360, 172), (0, 172))


def _house(scene: Scene, x: float, y: float, *, window: Colour = "#33404d", wall: Colour = "#d9c9a8") -> None:
    scene.box(x, y, 90, 70, wall)
    scene.shape("#94442f", (x - 8, y), (x + 45, y - 38), (x + 98, y))
    scene.box(x + 12, y + 14, 22, 24, window)
    scene.box(x + 56, y + 14, 22, 24, "#33404d")
    scene.box(x + 36, y + 42, 18, 28, "#5b3a22")


def _tree(scene: Scene, x: float, y: float, size: float, colour: Colour) -> None:
    scene.box(x - size * 0.08, y - size * 0.3, size * 0.16, size * 0.3, "#5a4330")
    for dx, dy, r in ((0, -0.75, 0.34), (-0.25, -0.5, 0.3), (0.25, -0.5, 0.3), (0, -0.45, 0.34)):
        scene.disc(x + dx * size, y + dy * size, r * size, r * size, colour)


def _person(scene: Scene, x: float, y: float, coat: Colour) -> None:
    scene.disc(x, y - 31, 4, 5, "#d6a98a")
    scene.box(x - 5, y - 26, 10, 15, coat)
    scene.box(x - 4, y - 11, 3, 11, "#2c2f3a")
    scene.box(x + 1, y - 11, 3, 11, "#2c2f3a")


def tower(after: bool) -> Scene:
    """A church whose cross is lost."""
    scene = Scene()
    _hills(scene)
    scene.box(80, 110, 130, 80, "#d8cdb6")
    scene.shape("#7a3e30", (72, 110), (100, 78), (190, 78), (218, 110))
    scene.box(205, 70, 52, 120, "#e3d9c4")
    scene.shape("#6c3a30", (199, 70), (231, 32), (263, 70))
    scene.box(222, 92, 18, 26, "#3a4450")
    for x in (96, 128, 160):
        scene.box(x, 132, 14, 30, "#3a4450")
    if not after:
        scene.line("#4a3a20", 3, (231, 34), (231, 8))
        scene.line("#4a3a20", 3, (222, 16), (240, 16))
    _tree(scene, 300, 196, 60, "#4f7440")
    _tree(scene, 40, 200, 54, "#557a44")
    return scene


def lights(after: bool) -> Scene:
    """A car from behind; its brake lights go off."""
    scene = Scene("#b9c3cc", "#6b6e73", 150)
    scene.box(0, 196, WIDTH, 4, "#d8d8d2")
    scene.shape("#2f4d77", (104, 118), (130, 66), (232, 66), (258, 118))
    scene.shape("#1c2733", (124, 112), (140, 76), (222, 76), (238, 112))
    scene.box(92, 116, 178, 60, "#35578a")
    scene.box(150, 134, 62, 18, "#eceadf")
    scene.text(181, 143, "LAB 42", size=12)
    for x in (98, 240):
        scene.box(x, 124, 26, 18, "#5d2424" if after else "#ff2a1f")
        if not after:
            scene.disc(x + 13, 133, 7, 5, "#ffd0c4")
    for x in (104, 224):
        scene.box(x, 176, 32, 16, "#17181a")
    return scene


def window(after: bool) -> Scene:
    """A lit window goes dark."""
    scene = Scene("#41506b", "#3d4a38", 180)
    _house(scene, 60, 112, window="#33404d" if after else "#ffd46b", wall="#8f8878")
    _house(scene, 208, 112, wall="#837d78")
    _tree(scene, 180, 196, 44, "#2d4330")
    return scene


def person(after: bool) -> Scene:
    """Somebody far back in the street is lost."""
    scene = Scene("#c9d6e0", "#8d8a84", 150)
    scene.shape("#b8a58c", (0, 40), (120, 96), (120, 160), (0, 210))
    scene.shape("#a79a90", (360, 30), (240, 96), (240, 160), (360, 220))
    for k in range(3):
        scene.shape(
            "#46505c", (14 + 34 * k, 84 + 11 * k), (34 + 34 * k, 92 + 10 * k), (34 + 34 * k, 120), (14 + 34 * k, 122)
        )
    _person(scene, 208, 196, "#7a2f3d")
    if not after:
        _person(scene, 160, 164, "#c9b23a")
    return scene


def sign(after: bool) -> Scene:
    """A speed limit says another number."""
    scene = Scene()
    _hills(scene)
    scene.shape("#75777a", (90, 240), (172, 170), (190, 170), (300, 240))
    scene.box(253, 90, 6, 120, "#8b8d90")
    scene.disc(256, 78, 34, 34, "#c4201d")
    scene.disc(256, 78, 26, 26, "#f6f4ee")
    scene.text(256, 78, "80" if after else "30", size=26)
    _tree(scene, 60, 196, 70, "#4f7440")
    return scene


def mole(after: bool) -> Scene:
    """A birthmark is lost."""
    scene = Scene("#c9d3d8", "#c9d3d8")
    scene.shape("#3f5d78", (70, 240), (110, 204), (250, 204), (290, 240))
    scene.box(156, 180, 48, 40, "#d3a385")
    scene.disc(180, 116, 66, 84, "#4b3425")
    scene.disc(180, 124, 56, 76, "#e2b596")
    scene.shape("#4b3425", (126, 92), (144, 44), (216, 44), (236, 92), (206, 70), (158, 74))
    for x in (157, 203):
        scene.disc(x, 118, 10, 5, "#f7f3ee")
        scene.disc(x, 118, 4.5, 4.5, "#3a5a46")
        scene.line("#4b3425", 2.5, (x - 11, 106), (x + 11, 105))
    scene.line("#b98467", 2, (182, 122), (188, 144), (177, 147))
    scene.line("#a5514b", 3.5, (162, 168), (180, 172), (199, 167))
    if not after:
        scene.disc(214, 152, 3.2, 2.8, "#5b3424")
    return scene


def stars(after: bool) -> Scene:
    """One star of very many is lost."""
    scene = Scene("#0d1226", "#0a0d18", 214)
    rng = np.random.default_rng(4)
    for k in range(420):
        x, y = rng.uniform(0, WIDTH), rng.uniform(0, 212)
        light = int(rng.uniform(90, 240))
        size = rng.uniform(0.4, 1.1)
        if not (after and k == 17):
            scene.disc(x, y, size, size, f"#{light:02x}{light:02x}{min(light + 12, 255):02x}")
    return scene


def forest(after: bool) -> Scene:
    """One tree of a forest is darker."""
    scene = Scene("#c2d3e0", "#6f8a52", 200)
    rng = np.random.default_rng(9)
    for row in range(4):
        for k in range(13):
            green = int(rng.integers(96, 122))
            colour = f"#{green - 40:02x}{green:02x}{green - 52:02x}"
            if after and (row, k) == (3, 7):
                colour = "#2f4a2b"
            _tree(scene, 12 + 28 * k + 13 * (row % 2), 150 + 26 * row, 62, colour)
    return scene


def grass(after: bool) -> Scene:
    """Every blade is another one, and it is still the same meadow."""
    scene = Scene("#c2d3e0", "#6f9150", 60)
    rng = np.random.default_rng(12 if after else 11)
    for _ in range(2600):
        x, y = rng.uniform(0, WIDTH), rng.uniform(62, HEIGHT + 8)
        green = int(rng.integers(95, 170))
        length = 2 + (y - 55) / 16
        lean = rng.normal(0, length / 3)
        scene.line(f"#{green - 45:02x}{green:02x}{green - 70:02x}", 0.8, (x, y), (x + lean, y - length))
    return scene


def _shop(words: str) -> Scene:
    scene = Scene("#b7c9d8", "#8d8a84", 196)
    scene.box(40, 30, 280, 166, "#c4a181")
    for k in range(24):
        scene.line("#ad8b6c", 0.8, (40, 30 + 7 * k), (320, 30 + 7 * k))
    scene.box(70, 50, 220, 34, "#23412f")
    scene.text(180, 67, words, size=20, colour="#f1e6c8")
    for x in (70, 186):
        scene.box(x, 100, 104, 80, "#2b3640")
        scene.box(x + 5, 105, 94, 70, "#6d8796")
    return scene


def smeared(after: bool) -> Scene:
    """Everything is as blurred as the sign: one sees that something is missing, and expects it."""
    scene = _shop("PHARMACY")
    if after:
        scene.blur(-20, -20, WIDTH + 40, HEIGHT + 40, 5.5)
    return scene


def unexpected(after: bool) -> Scene:
    """Only the sign is blurred: one sees it, and nothing around explains it."""
    scene = _shop("PHARMACY")
    if after:
        scene.blur(76, 54, 208, 26, 6)
    return scene


def clean(after: bool) -> Scene:
    """The sign says something else, and looks as if it always had."""
    return _shop("BAKERY" if after else "PHARMACY")


def flags(after: bool) -> Scene:
    """Multi-miscompression `color`."""
    scene = Scene("#b4cde6", "#8d8a84", 190)
    scene.box(30, 96, 300, 94, "#d4c4aa")
    for k in range(8):
        x = 48 + 36 * k
        scene.box(x - 6, 124, 18, 30, "#3d4955")
        scene.line("#5b5b5b", 1.6, (x, 96), (x, 52))
        scene.shape("#b9b6b0" if after else "#c8202b", (x, 52), (x + 24, 58), (x, 68))
    return scene


def houses(after: bool) -> Scene:
    """Multi-miscompression `merging`."""
    scene = Scene("#c3d5e4", "#7d9a5b", 200)
    scene.shape("#7f9a6a", (0, 200), (90, 96), (220, 130), (360, 80), (360, 204), (0, 204))
    rng = np.random.default_rng(3)
    for k in range(15):
        x, y = 40 + 20 * k + rng.uniform(-4, 4), 142 + 14 * math.sin(k) + rng.uniform(-6, 10)
        if after and k % 3 != 1:
            scene.disc(x + 5, y + 4, 8, 6, "#88a074")
            continue
        scene.box(x, y, 11, 9, "#e6ddca")
        scene.shape("#a5452f", (x - 2, y), (x + 5.5, y - 6), (x + 13, y))
    if after:
        scene.blur(20, 110, 320, 70, 0.9)
    return scene


def _picket(scene: Scene, bend: Callable[[float], float]) -> None:
    for k in range(24):
        x = 8 + 15 * k
        top = 120 + bend(x)
        scene.shape("#efe9dc", (x, top), (x + 4, top - 6), (x + 8, top), (x + 8, 196 + bend(x)), (x, 196 + bend(x)))
    for offset in (18, 56):
        ends = [(float(x), 120 + offset + bend(x)) for x in range(0, WIDTH + 1, 6)]
        scene.line("#ddd5c4", 5, *ends)


def blurring(after: bool) -> Scene:
    """Multi-miscompression `irregular_blurring`."""
    scene = Scene("#bcd0e2", "#6f9150", 140)
    _picket(scene, lambda x: 0)
    if after:
        for x in (20, 150, 262):
            scene.blur(x, 104, 52, 96, 4)
    return scene


def reshaping(after: bool) -> Scene:
    """Multi-miscompression `reshaping`."""
    scene = Scene("#bcd0e2", "#6f9150", 140)
    _picket(scene, (lambda x: 9 * math.sin(x / 38)) if after else (lambda x: 0))
    return scene


def texture(after: bool) -> Scene:
    """Multi-miscompression `texture`."""
    scene = Scene("#b7c9d8", "#8d8a84", 214)
    scene.box(40, 14, 280, 200, "#b9b2a6")
    for row in range(5):
        for k in range(8):
            x, y = 54 + 33 * k, 26 + 37 * row
            if after:
                for bar in range(6):
                    scene.line("#7d7a75", 1.4, (x + 4 * bar, y + 24), (x + 4 * bar + 6, y))
            else:
                scene.box(x, y, 22, 25, "#2d3a46")
                scene.line("#8fa6b5", 1.2, (x + 11, y), (x + 11, y + 25))
                scene.line("#8fa6b5", 1.2, (x, y + 11), (x + 22, y + 11))
    return scene


def noteworthy(after: bool) -> Scene:
    """Multi-miscompression `noteworthy`."""
    scene = Scene()
    _hills(scene)
    for k, (x, y) in enumerate(((70, 44), (170, 66), (268, 38), (322, 84))):
        for dx, dy, r in ((0, 0, 17), (-18, 5, 13), (18, 5, 14)):
            strange = ("#d9a3dd", "#a4e0b1", "#e0a4c6", "#b1a8ea")[k]
            scene.disc(x + dx, y + dy, r, r * 0.72, strange if after else "#f4f6f8")
    _tree(scene, 60, 204, 60, "#4f7440")
    return scene


def season(after: bool) -> Scene:
    """Overall appearance: summer becomes autumn."""
    scene = Scene("#d5cdbd" if after else "#9cc4ec", "#a08a52" if after else "#6f9a4c", 160)
    for k in range(7):
        _tree(scene, 30 + 52 * k, 192 + 8 * (k % 2), 84, ("#b8862f", "#a8642c")[k % 2] if after else "#4c7a38")
    return scene


def tight(after: bool) -> Scene:
    """For boxes: a bird over a roof; in the reconstruction it is gone."""
    scene = Scene()
    _house(scene, 132, 128)
    _tree(scene, 60, 200, 66, "#4f7440")
    if not after:
        scene.disc(266, 72, 15, 7, "#2b2b30")
        scene.disc(280, 66, 6, 5, "#2b2b30")
        scene.shape("#2b2b30", (262, 70), (244, 48), (274, 64))
        scene.shape("#2b2b30", (254, 74), (238, 78), (256, 69))
    return scene


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a photograph and what becomes of a place in it."""

    photograph: str
    place: tuple[int, int, int, int]
    """x, y, w, h; in the proportions of the scenes."""
    changed: tuple[int, int, int, int]
    """In the crop as it is shown."""
    change: Callable[[Pixels, tuple[int, int, int, int]], Pixels]


def without(pixels: Pixels, place: tuple[int, int, int, int]) -> Pixels:
    """What lies in a place is gone, its surroundings grown over it."""
    x, y, w, h = place
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[y : y + h, x : x + w] = 255
    return np.asarray(cv2.inpaint(np.ascontiguousarray(pixels), mask, 5, cv2.INPAINT_TELEA), dtype=np.uint8)


CROPS = {"mast": Crop("rocket.jpg", (300, 90, 300, 200), (150, 24, 50, 216), without)}
SCENES: tuple[Callable[[bool], Scene], ...] = (
    tower, lights, window, person, sign, mole, stars, forest, grass, smeared, unexpected, clean,
    flags, houses, blurring, texture, reshaping, noteworthy, season, tight,
)  # fmt: skip


def drawn(scene: Callable[[bool], Scene]) -> tuple[Pixels, Pixels]:
    """A scene and its reconstruction."""
    seed = sum(map(ord, scene.__name__))
    return noisy(scene(False).pixels(), seed=seed), softened(scene(True).pixels())


def cropped(crop: Crop) -> tuple[Pixels, Pixels]:
    """A crop at the size of the scenes, and the same with its change."""
    file = next(find(one) for one in PHOTOGRAPHS if one.file.endswith(crop.photograph))
    x, y, w, h = crop.place
    with Image.open(file) as photograph:
        part = photograph.convert("RGB").crop((x, y, x + w, y + h)).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    before = np.asarray(part)
    return before, softened(crop.change(before, crop.changed))


def webp(pixels: Pixels) -> bytes:
    """As it is shipped. Raises `ValueError` for a picture that became too large."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="WEBP", quality=_QUALITY, method=6)
    if len(file.getvalue()) > MOST_BYTES:
        raise ValueError(f"a picture of the guide has {len(file.getvalue())} bytes, at most {MOST_BYTES} are allowed")
    return file.getvalue()


def main() -> None:
    """Make all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    pairs = {scene.__name__: drawn(scene) for scene in SCENES} | {name: cropped(one) for name, one in CROPS.items()}
    total = 0
    for name, both in pairs.items():
        for side, pixels in zip(("original", "reconstruction"), both, strict=True):
            content = webp(pixels)
            total += len(content)
            with replacing(folder / f"{name}-{side}.webp") as partial:
                partial.write_bytes(content)
    print(f"{2 * len(pairs)} pictures, {total} bytes")


if __name__ == "__main__":
    main()
