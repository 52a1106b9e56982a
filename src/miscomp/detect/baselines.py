"""Detectors to compare with: what a simple map of change, reading alone, or chance would find.

Their boxes surround the peaks of the map, and their scores rise with the peaks. Each is tuned on planted changes in
photographs that are used for nothing else, so that what beats them beats the best that they can do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from miscomp.detect.base import Detection, Detections, Detector, DetectSettings, cell_slices
from miscomp.detect.cells import CELL, Map, as_map
from miscomp.detect.peaks import peaks, smoothed
from miscomp.detect.reader import TextReader
from miscomp.errors import UsageError
from miscomp.images import Pixels, pixel_sha256
from miscomp.metrics.ciede2000 import ciede2000 as colour_difference
from miscomp.metrics.ciede2000 import lab
from miscomp.metrics.gmsd import gms_map
from miscomp.metrics.psnr import check_pair
from miscomp.metrics.ssim import ssim_map
from miscomp.records import Box

SMALLEST, LARGEST = 20, 55
"""Pixels a side of random boxes: what most boxes in the SCLIC annotations measure."""

_STRIP = 256


def difference(*, reader: TextReader | None = None) -> Detector:
    """Squared difference of the 8-bit values, mean of the channels, smoothed.

    Squares find more of the changes that were planted for tuning than absolute values do, with fewer false alarms.
    """
    return MapDetector("difference", _difference_map, sigmas=(1.0, 2.0), middle=2400.0)


def ssim(*, reader: TextReader | None = None) -> Detector:
    """1 - SSIM (Wang et al. 2004), smoothed."""
    return MapDetector("ssim", _ssim_map, sigmas=(0.7,), middle=0.8)


def gmsd(*, reader: TextReader | None = None) -> Detector:
    """1 - gradient magnitude similarity (Xue et al. 2014), smoothed."""
    return MapDetector("gmsd", _gms_map, sigmas=(2.0,), middle=0.25)


def ciede2000(*, reader: TextReader | None = None) -> Detector:
    """Square of the colour difference CIEDE2000, smoothed."""
    return MapDetector("ciede2000", _colour_map, sigmas=(1.0,), middle=400.0)


def text(*, reader: TextReader | None = None) -> Detector:
    """Words whose reading changed. Raises `UsageError` without a reader."""
    if reader is None:
        raise UsageError("the detector 'text' does nothing but read; leave it out, or let text be read")
    return ReadingDetector(reader)


def random(*, reader: TextReader | None = None) -> Detector:
    """Boxes at random, the same for the same pair."""
    return RandomDetector()


@dataclass(eq=False)
class MapDetector:
    """Peaks of a map of change over cells, at least 0."""

    name: str
    make: Callable[[Pixels, Pixels], Map]
    sigmas: Sequence[float]
    """Standard deviations of the smoothing, in cells of 4 pixels."""
    middle: float
    """The amount of change that scores 0.5."""
    version: str = "1"

    def __call__(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Detections:
        """Detections, best first; the source of each is the map's name. Raises `SizeMismatch`."""
        check_pair(original, reconstruction)
        height, width = original.shape[:2]
        amount = self.make(original, reconstruction)
        limit = settings.limit(width, height)
        found = [
            Detection(box=box, score=score, source=self.name)
            for box, value in peaks(amount, width, height, sigmas=self.sigmas, most=limit)
            if (score := value / (value + self.middle)) >= settings.minimum_score
        ]
        heat = smoothed(amount, self.sigmas[0])
        return Detections(found=tuple(found), heat=as_map(heat / (heat + np.float32(self.middle))))


@dataclass(eq=False)
class ReadingDetector:
    """Changed words alone, scored by how sure it is that they were not misread."""

    reader: TextReader
    version: str = "1"

    def __call__(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Detections:
        """Detections, best first; nothing where text is not to be read. Raises `SizeMismatch`."""
        from miscomp.detect.text import text_changes

        check_pair(original, reconstruction)
        changes = text_changes(original, reconstruction, self.reader).changes if settings.text else ()
        found = [
            Detection(box=change.box, score=change.confidence, source="text", symbol=True, note=change.words)
            for change in changes
            if change.confidence >= settings.minimum_score
        ]
        return _painted(found[: settings.limit(original.shape[1], original.shape[0])], original)


@dataclass(eq=False)
class RandomDetector:
    """As many boxes as there may be, sides from `SMALLEST` to `LARGEST` evenly in their logarithm, scores even."""

    version: str = "1"

    def __call__(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Detections:
        """Detections, best first; everything follows from the two pictures. Raises `SizeMismatch`."""
        check_pair(original, reconstruction)
        height, width = original.shape[:2]
        seed = [int(pixel_sha256(pixels)[:16], 16) for pixels in (original, reconstruction)]
        rng = np.random.default_rng(seed)
        found = []
        for _ in range(settings.limit(width, height)):
            sides = np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST), 2))
            w, h = (min(round(float(side)), limit) for side, limit in zip(sides, (width, height), strict=True))
            x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            found.append(Detection(box=Box(x, y, w, h), score=float(rng.random()), source="random"))
        found.sort(key=lambda one: (-one.score, one.box))
        return _painted([one for one in found if one.score >= settings.minimum_score], original)


def _painted(found: Sequence[Detection], pixels: Pixels) -> Detections:
    """Detections with the best score of each place as its heat."""
    heat: Map = np.zeros((-(-pixels.shape[0] // CELL), -(-pixels.shape[1] // CELL)), dtype=np.float32)
    for one in reversed(found):
        heat[cell_slices(one.box, (heat.shape[0], heat.shape[1]))] = one.score
    return Detections(found=tuple(found), heat=heat)


def _cells(values: Map, side: int) -> Map:
    """Means over squares of `side`; the last ones are continued with the outermost values."""
    padded = np.pad(values, [(0, -length % side) for length in values.shape], mode="edge")
    rows, columns = padded.shape[0] // side, padded.shape[1] // side
    return as_map(padded.reshape(rows, side, columns, side).mean((1, 3)))


def _in_strips(original: Pixels, reconstruction: Pixels, make: Callable[[Pixels, Pixels], Map]) -> Map:
    """Cells of a map that is made pixel by pixel, a strip at a time so that memory stays small."""
    tops = range(0, original.shape[0], _STRIP)
    return np.concatenate(
        [_cells(make(original[top : top + _STRIP], reconstruction[top : top + _STRIP]), CELL) for top in tops]
    )


def _difference_map(original: Pixels, reconstruction: Pixels) -> Map:
    return _in_strips(original, reconstruction, lambda a, b: as_map(((a.astype(np.float32) - b) ** 2).mean(2)))


def _ssim_map(original: Pixels, reconstruction: Pixels) -> Map:
    return np.maximum(1 - _cells(ssim_map(original, reconstruction), CELL), 0)


def _gms_map(original: Pixels, reconstruction: Pixels) -> Map:
    return np.maximum(1 - _cells(gms_map(original, reconstruction), CELL // 2), 0)


def _colour_map(original: Pixels, reconstruction: Pixels) -> Map:
    return _in_strips(original, reconstruction, lambda a, b: as_map(colour_difference(lab(a), lab(b)) ** 2))
