"""Training pairs for the learned detector: crops, planted and coded on the fly, from (seed, step) alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from miscomp.codecs.base import Codec
from miscomp.codecs.catalog import open_codec
from miscomp.detect.cells import CELL, Map, as_map
from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.plant.edits import STRENGTHS, Edit, KindRow
from miscomp.plant.scene import Scene, make_scene
from miscomp.records import Box
from miscomp.training.plant_targets import CodedScene, stack

FAITHFUL_BPP = 0.75
"""Real bits per pixel from which a neural codec is taken to change no meaning by itself."""

SPACING = 16
"""Steps between two uses of a scene. Planting takes longer than coding: a scene is shown as often as a batch has
pictures, each time through another codec."""

_EARLIER = 1_000_000
"""Scenes before the first step have numbers below this one."""

_HARMLESS = 0.3
"""Share of the pairs whose reconstruction also went through a change of the whole picture that alters no meaning."""

_SEAMS = 0.15
"""Share of the pairs with a patch of a lower rate."""

_REDRAWN = 0.35
"""Share of the pairs whose texture was drawn anew before coding, as generative codecs do."""

_REDRAWN_WEIGHT = 0.7
"""What lies outside the plants counts less there, and only where texture is even: other details may have lost their
meaning."""

_EVEN = 0.6
"""Spread of the edges' energy over its mean, in 84 pixels, up to which a texture counts as even."""

_HALVED = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """A codec as training uses it."""

    weight: float
    low: float
    high: float
    neural: bool = False

    def quality(self, rng: np.random.Generator) -> float:
        """A quality, low ones more often."""
        return float(self.low + (self.high - self.low) * rng.random() ** 1.3)


CODINGS: Mapping[str, Coding] = {
    "lucid": Coding(weight=0.45, low=0.0, high=1.0, neural=True),
    "jpeg": Coding(weight=0.25, low=8, high=95),
    "webp": Coding(weight=0.12, low=1, high=95),
    "jpeg-xl": Coding(weight=0.06, low=5, high=90),
    "jpeg2000": Coding(weight=0.06, low=26, high=44),
    "avif": Coding(weight=0.06, low=10, high=80),
}
"""Every codec with trained weights that is part of the package, and the classical ones, with their qualities."""


class PlantSource:
    """Draws batches of planted and coded crops."""

    def __init__(
        self,
        photographs: Sequence[Pixels],
        *,
        kinds: Sequence[KindRow],
        codecs: Sequence[str],
        crop: int,
        batch_size: int,
        seed: int,
        plants: int = 8,
        negatives: int = 3,
    ) -> None:
        """Photographs with a side below `crop` are left out; raises `UsageError` where nothing is left to draw from."""
        self._photographs = [p for p in photographs if min(p.shape[:2]) >= crop]
        if not self._photographs:
            raise UsageError(
                f"training needs photographs of at least {crop} x {crop} pixels, none of {len(photographs)} is; "
                "give larger ones or a smaller crop"
            )
        if not any(row.label for row in kinds) or not codecs:
            raise UsageError("training needs at least one kind that changes meaning, and one codec; leave out fewer")
        self._kinds = tuple(kinds)
        self._codecs: dict[str, Codec] = {name: open_codec(name) for name in codecs}
        self._crop = crop
        self._batch_size = batch_size
        self._seed = seed
        self._plants, self._negatives = plants, negatives
        self._scenes: dict[int, Scene] = {}
        sizes = np.array([p.shape[0] * p.shape[1] for p in self._photographs], dtype=np.float64)
        self._weights = sizes / sizes.sum()

    def __len__(self) -> int:
        """Photographs large enough to be used."""
        return len(self._photographs)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Pairs (b, 6, crop, crop) in [0, 1], and targets (b, channels, crop / 4, crop / 4) as in `plant_targets`."""
        pairs, wanted = stack(self.coded(step))
        return torch.from_numpy(pairs), torch.from_numpy(wanted)

    def coded(self, step: int) -> list[CodedScene]:
        """A batch before it is turned into tensors: one new scene, the others as other codecs show them."""
        rng = np.random.default_rng((self._seed, step))
        numbers = [_EARLIER + step - SPACING * use for use in range(self._batch_size)]
        for old in [number for number in self._scenes if number < numbers[-1]]:
            del self._scenes[old]
        return [self._code(_turned(self._scene(number), rng), rng) for number in numbers]

    def _scene(self, number: int) -> Scene:
        """One scene; kept for its next use."""
        if number not in self._scenes:
            rng = np.random.default_rng((self._seed, 1, number))
            self._scenes[number] = make_scene(
                self._cropped(rng),
                rng=rng,
                count=self._plants,
                kinds=self._kinds,
                strengths=STRENGTHS,
                negatives=self._negatives,
                tries=2,
            )
        return self._scenes[number]

    def _cropped(self, rng: np.random.Generator) -> Pixels:
        photo = self._photographs[rng.choice(len(self._photographs), p=self._weights)]
        halve = rng.random() < _HALVED and min(photo.shape[:2]) >= 2 * self._crop
        side = 2 * self._crop if halve else self._crop
        top, left = (int(rng.integers(length - side + 1)) for length in photo.shape[:2])
        crop = photo[top : top + side, left : left + side]
        if halve:
            crop = np.asarray(cv2.resize(crop, (self._crop, self._crop), interpolation=cv2.INTER_AREA), np.uint8)
        return np.ascontiguousarray(crop)

    def _code(self, scene: Scene, rng: np.random.Generator) -> CodedScene:
        name = _drawn(self._codecs, rng)
        coding, codec = CODINGS[name], self._codecs[name]
        quality = coding.quality(rng)
        # Classical codecs count qualities in whole numbers.
        quality = quality if coding.neural else float(round(quality))
        redrawn = rng.random() < _REDRAWN
        shown = scene.changed
        if redrawn:
            shown = redraw_texture(shown, rng, keep=[plant.edit.region for plant in scene.plants])
        stream = codec.compress(shown, quality)
        reconstruction = codec.decompress(stream)
        bpp = 8 * len(stream) / (self._crop * self._crop)
        if rng.random() < _SEAMS:
            reconstruction = self._seamed(scene, reconstruction, codec, coding, rng)
        if rng.random() < _HARMLESS:
            reconstruction = HARMLESS[int(rng.integers(len(HARMLESS)))](reconstruction, rng)
        faithful = not coding.neural or bpp >= FAITHFUL_BPP
        outside: Map | float = float(faithful)
        if redrawn and faithful:
            outside = _REDRAWN_WEIGHT * even_texture(scene.original)
        return CodedScene(scene=scene, reconstruction=reconstruction, outside=outside)

    def _seamed(
        self, scene: Scene, reconstruction: Pixels, codec: Codec, coding: Coding, rng: np.random.Generator
    ) -> Pixels:
        """The reconstruction with a patch of a lower rate, away from the plants, so that seams are no sign of one."""
        w, h = (int(rng.integers(24, 72)) for _ in range(2))
        box = Box(int(rng.integers(self._crop - w + 1)), int(rng.integers(self._crop - h + 1)), w, h)
        if not scene.free(box):
            return reconstruction
        low = coding.low + (coding.high - coding.low) * 0.3 * rng.random()
        poor = codec.decompress(codec.compress(scene.changed, low if coding.neural else float(round(low))))
        result = reconstruction.copy()
        here = np.s_[box.y : box.bottom, box.x : box.right]
        result[here] = poor[here]
        return result


def _turned(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene or its mirror image."""
    if rng.random() < 0.5:
        return scene
    width = scene.original.shape[1]
    plants = []
    for plant in scene.plants:
        edit, box = plant.edit, plant.box
        edit = Edit(
            region=replace(edit.region, x=width - edit.region.right),
            before=edit.before[:, ::-1],
            after=edit.after[:, ::-1],
            note=edit.note,
        )
        plants.append(replace(plant, edit=edit, box=replace(box, x=width - box.right)))
    original, changed = (np.ascontiguousarray(p[:, ::-1]) for p in (scene.original, scene.changed))
    return replace(scene, original=original, changed=changed, plants=tuple(plants))


def _drawn(codecs: Mapping[str, Codec], rng: np.random.Generator) -> str:
    names = list(codecs)
    weights = np.array([CODINGS[name].weight for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def redraw_texture(pixels: Pixels, rng: np.random.Generator, *, keep: Sequence[Box] = ()) -> Pixels:
    """Texture moved about by a few pixels and made stronger or weaker; edges, which have one direction, stay.

    A stand-in for generative codecs, whose texture looks right and lies elsewhere; no such codec is at hand. What lies
    in the boxes `keep` stays too.
    """
    values = pixels.astype(np.float32)
    low = cv2.GaussianBlur(values, (0, 0), float(np.exp(rng.uniform(0, 1.4))))
    height, width = pixels.shape[:2]
    field = cv2.GaussianBlur(rng.standard_normal((height, width, 2)).astype(np.float32), (0, 0), rng.uniform(4, 14))
    field = np.asarray(field * np.float32(rng.uniform(2, 8) / max(float(field.std()), 1e-6)))
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    high = values - low
    moved = cv2.remap(
        high, columns + field[..., 0], rows + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    stay = _coherence(pixels)
    for box in keep:
        stay[box.y : box.bottom, box.x : box.right] = 1
    stay = as_map(cv2.GaussianBlur(stay, (0, 0), 2.0))[..., None]
    return _rounded(low + stay * high + (1 - stay) * moved * rng.uniform(0.1, 1.3))


def even_texture(pixels: Pixels) -> Map:
    """Over cells: 1 where the edges' energy hardly differs from place to place, as in grass, water, tiles; else 0.

    Sides are multiples of 4.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    energy = cv2.Sobel(grey, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(grey, cv2.CV_32F, 0, 1) ** 2
    size = (pixels.shape[1] // CELL, pixels.shape[0] // CELL)
    cells = cv2.blur(cv2.resize(energy, size, interpolation=cv2.INTER_AREA), (5, 5))
    mean, square = cv2.blur(cells, (21, 21)), cv2.blur(cells**2, (21, 21))
    spread = np.sqrt(np.maximum(square - mean**2, 0)) / (mean + 20)
    return as_map(spread <= _EVEN)


def _coherence(pixels: Pixels) -> npt.NDArray[np.float32]:
    """How far the gradients around a pixel have one direction, [0, 1]: 1 on an edge, near 0 in grass."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gx, gy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    xx, yy, xy = (cv2.GaussianBlur(p, (0, 0), 3.0) for p in (gx * gx, gy * gy, gx * gy))
    coherence: npt.NDArray[np.float32] = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 100)
    return coherence


def _noisy(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return _rounded(pixels + rng.normal(0, rng.uniform(1, 6), pixels.shape))


def _brighter(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return _rounded((pixels - 128.0) * rng.uniform(0.85, 1.15) + 128 + rng.uniform(-18, 18))


def _tinted(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return _rounded(pixels * rng.uniform(0.94, 1.06, 3))


def _sharper(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    values, sigma = pixels.astype(np.float32), float(rng.uniform(0.7, 2))
    return _rounded(values + rng.uniform(-0.6, 1.0) * (values - cv2.GaussianBlur(values, (0, 0), sigma)))


def _moved(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    dx, dy = rng.uniform(-1.2, 1.2, 2)
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    size = (pixels.shape[1], pixels.shape[0])
    moved = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def _resized(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    scale, size = rng.uniform(0.6, 0.95), (pixels.shape[1], pixels.shape[0])
    small = cv2.resize(pixels, (round(size[0] * scale), round(size[1] * scale)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _rounded(values: npt.NDArray[np.floating]) -> Pixels:
    pixels: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels


HARMLESS: tuple[Callable[[Pixels, np.random.Generator], Pixels], ...] = (
    _noisy,
    _brighter,
    _tinted,
    _sharper,
    _moved,
    _resized,
)
"""Changes of the whole picture that alter no meaning, of a random amount."""
