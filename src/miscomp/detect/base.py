"""What the parts of the detector share: settings, the pair in hand, and the one interface of relevance sources."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from miscomp.detect.cells import CELL, CellMaps, Map
from miscomp.detect.change import ChangeMaps
from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.records import Box, Evidence

DEFAULT_DETECTOR = "fused"
"""Name in `miscomp.detect.catalog` of the detector that an audit uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSettings:
    """What a user may set; saved beside every result."""

    detector: str = DEFAULT_DETECTOR
    """Name in `miscomp.detect.catalog`."""
    text: bool = True
    """Read text in both pictures (needs the extra `text`)."""
    faces: str = ""
    """Weights of a face detector, a file of the user's; without one faces are not looked for."""
    face_embedding: str = ""
    """Weights that tell faces apart, a file of the user's; only with `faces`."""
    per_megapixel: float = 10.0
    """Most findings per megapixel, best first; a picture always may have `at_least`."""
    at_least: int = 5
    minimum_score: float = 0.05
    """Findings below this score are dropped."""

    def __post_init__(self) -> None:
        if self.face_embedding and not self.faces:
            raise UsageError("face_embedding needs faces: the weights of a face detector")
        if not (self.per_megapixel > 0 and math.isfinite(self.per_megapixel)):
            raise UsageError(f"per_megapixel must be positive and finite, got {self.per_megapixel}")
        if self.at_least < 0:
            raise UsageError(f"at_least must not be negative, got {self.at_least}")
        if not 0 <= self.minimum_score <= 1:
            raise UsageError(f"minimum_score must lie in [0, 1], got {self.minimum_score}")

    def limit(self, width: int, height: int) -> int:
        """Most findings for a picture of this size."""
        return max(self.at_least, round(self.per_megapixel * width * height / 1e6))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairInHand:
    """A pair while it is examined."""

    original: Pixels
    reconstruction: Pixels
    cells: CellMaps
    change: ChangeMaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A region that may matter, from one relevance source.

    `relevant` in [0, 1] answers decision node 2. A source that knows of a change that the maps may not show
    (a word that reads differently) says how sure it is in `changed`; `None` leaves that to the maps.
    """

    box: Box
    relevant: float
    source: str
    words: str
    """Why it matters, in plain words."""
    symbol: bool = False
    changed: float | None = None
    changed_words: str = ""
    strength: float = 0.0
    """Orders the proposals of one source; larger first."""
    numbers: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One place where a detector says that meaning may have changed.

    Detectors that answer the decision tree give the evidence of its nodes; others leave it out.
    """

    box: Box
    score: float
    """In [0, 1]; orders the detections of one detector, and is no probability."""
    source: str
    """What proposed the place: `object`, `text`, `learned` ..."""
    category: str = ""
    symbol: bool = False
    note: str = ""
    changed: Evidence | None = None
    relevant: Evidence | None = None
    suspicion: Evidence | None = None
    expected: Evidence | None = None
    category_evidence: Evidence | None = None

    def answer(self, node: str) -> float | None:
        """What the detector answers at a node of the tree, such as `changed`; none where it does not ask."""
        evidence: Evidence | None = getattr(self, node)
        return None if evidence is None else evidence.value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """What a detector says about one pair."""

    found: tuple[Detection, ...]
    """Best first; at most as many as the settings allow, none below their least score."""
    heat: Map
    """How surely each cell of 4 x 4 pixels belongs to a miscompression, [0, 1], (ceil(h / 4), ceil(w / 4))."""
    change: npt.NDArray[np.uint8] | None = None
    """Grey picture of visible change over cells (0 none, 255 certain), by those who measured it anyway."""
    warnings: tuple[str, ...] = ()
    """What was left out, in sentences."""


class Detector(Protocol):
    """Finds miscompressions in a pair; the same pair gives the same detections."""

    version: str
    """Changes whenever the same pair may give other detections."""

    def __call__(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Detections:
        """Detections in two pictures (h, w, 3) uint8 sRGB; raises `SizeMismatch` for unequal sizes."""
        ...


class RelevanceSource(Protocol):
    """Answers decision node 2: proposes regions that carry meaning and may have changed."""

    def __call__(self, pair: PairInHand) -> list[Proposal]: ...


def cell_slices(box: Box, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the cells that a box touches, clipped to the maps."""
    rows = slice(box.y // CELL, min(-(-box.bottom // CELL), shape[0]))
    columns = slice(box.x // CELL, min(-(-box.right // CELL), shape[1]))
    return rows, columns


def inside(values: Map, box: Box) -> Map:
    """The cells of a map that a box touches."""
    rows, columns = cell_slices(box, (values.shape[0], values.shape[1]))
    return values[rows, columns]


def widened(box: Box, side: int, cells: CellMaps) -> Box:
    """The box with at least `side` pixels a side around the same middle, as far as the picture allows."""
    (x, w), (y, h) = _at_least(box.x, box.w, side, cells.width), _at_least(box.y, box.h, side, cells.height)
    return Box(x, y, w, h)


def _at_least(start: int, length: int, side: int, limit: int) -> tuple[int, int]:
    wide = min(max(length, side), limit)
    return min(max(start - (wide - length) // 2, 0), limit - wide), wide
