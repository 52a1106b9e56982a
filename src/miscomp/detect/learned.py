"""The detector `learned`: a small siamese network that answers the labelers' four questions at every cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from miscomp.codecs.blocks import Block, Span, cut, in_parallel, one_thread
from miscomp.detect.base import Detection, Detections, DetectSettings, inside
from miscomp.detect.cells import CELL, Map
from miscomp.detect.learned_weights import LearnedWeights, read_network, shipped_network
from miscomp.detect.network import CATEGORIES, HALO, STRIDE
from miscomp.detect.reader import TextReader
from miscomp.detect.spots import Spot, spots
from miscomp.errors import SizeMismatch
from miscomp.images import Pixels
from miscomp.records import Box, Evidence
from miscomp.taxonomy import Category, join_categories
from miscomp.tensors import to_tensor

_ALSO = 0.3
"""A category beside the main one is named from this share on."""

_PER_BLOCK = STRIDE // CELL


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnswerMaps:
    """The network's answers over cells of 4 x 4 pixels, (rows, columns), each in [0, 1]."""

    score: Map
    """changed * relevant * (1 - suspicion * expected)."""
    changed: Map
    relevant: Map
    suspicion: Map
    expected: Map
    symbol: Map
    categories: Map
    """(rows, columns, 3) in the order of `CATEGORIES`; they add up to 1."""


def open_learned(*, reader: TextReader | None = None) -> LearnedDetector:
    """The detector with the shipped weights; it reads no text."""
    return LearnedDetector()


class LearnedDetector:
    """Finds what the network was taught to find: changes of meaning such as were planted in photographs."""

    def __init__(self, weights: Path | LearnedWeights | None = None) -> None:
        """Use the shipped weights, or those of a file or at hand. Raises `WeightsError`."""
        if weights is None:
            weights = shipped_network()
        elif isinstance(weights, Path):
            weights = read_network(weights)
        self._network = weights.network
        self.version = f"learned-1+{weights.sha256[:8]}"

    def __call__(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Detections:
        """Detections, best first. Raises `SizeMismatch` for unequal sizes."""
        height, width = original.shape[:2]
        if original.shape == reconstruction.shape and np.array_equal(original, reconstruction):
            return Detections(found=(), heat=np.zeros((-(-height // CELL), -(-width // CELL)), np.float32))
        maps = self.answers(original, reconstruction)
        found = spots(maps.score, least=settings.minimum_score, limit=settings.limit(width, height))
        detections = tuple(describe(maps, spot, width, height) for spot in found)
        return Detections(found=detections, heat=maps.score)

    def answers(self, original: Pixels, reconstruction: Pixels) -> AnswerMaps:
        """The network's answers; how many cores there are changes no bit of them. Raises `SizeMismatch`."""
        if original.shape != reconstruction.shape:
            (ha, wa), (hb, wb) = original.shape[:2], reconstruction.shape[:2]
            raise SizeMismatch(
                "pair", f"the original has {wa} x {ha} pixels, the reconstruction {wb} x {hb}; they must be equal"
            )
        height, width = original.shape[:2]
        rows, columns = -(-height // STRIDE), -(-width // STRIDE)
        edge = ((0, rows * STRIDE - height), (0, columns * STRIDE - width), (0, 0))
        # Mirrored: repeated rows look like nothing that the network has seen.
        a, b = (np.pad(p, edge, mode="symmetric") for p in (original, reconstruction))
        result = np.empty((rows * _PER_BLOCK, columns * _PER_BLOCK, 6 + len(CATEGORIES)), np.float32)

        def work(block: Block) -> None:
            here, cells = (block.rows.times(STRIDE), block.columns.times(STRIDE)), _in_cells(block)
            x, x_hat = (
                to_tensor(p[here[0].computed, here[1].computed]).contiguous(memory_format=torch.channels_last)
                for p in (a, b)
            )
            answers = self._network(x, x_hat)
            single = [torch.sigmoid(answer) for answer in answers[:5]]
            stacked = torch.cat([answers.log_p.exp(), *single, answers.categories.softmax(1)], 1)[0]
            values = stacked.permute(1, 2, 0).numpy()
            result[cells[0].kept, cells[1].kept] = values[cells[0].inner, cells[1].inner]

        with one_thread():
            in_parallel(work, cut(rows, columns, halo=HALO))
        kept = result[: -(-height // CELL), : -(-width // CELL)]
        names = ("score", "changed", "relevant", "suspicion", "expected", "symbol")
        maps = {name: np.ascontiguousarray(kept[..., number]) for number, name in enumerate(names)}
        return AnswerMaps(**maps, categories=np.ascontiguousarray(kept[..., len(names) :]))


def _in_cells(block: Block) -> tuple[Span, Span]:
    return block.rows.times(_PER_BLOCK), block.columns.times(_PER_BLOCK)


def describe(maps: AnswerMaps, spot: Spot, width: int, height: int) -> Detection:
    """A spot of the score as a detection with its evidence."""
    score = maps.score
    nodes = {name: spot.mean(getattr(maps, name), score) for name in _WORDS}
    evidence = {name: Evidence(value=round(value, 4), words=_in_words(name, value)) for name, value in nodes.items()}
    shares = {c: spot.mean(maps.categories[..., number], score) for number, c in enumerate(CATEGORIES)}
    category, judged = categories(shares)
    return Detection(
        box=spot.box(width, height),
        score=round(min(spot.value, 1.0), 4),
        source="learned",
        category=category,
        symbol=spot.mean(maps.symbol, score) >= 0.5,
        category_evidence=judged,
        changed=evidence["changed"],
        relevant=evidence["relevant"],
        suspicion=evidence["suspicion"],
        expected=evidence["expected"],
    )


def categories_within(maps: AnswerMaps, box: Box) -> tuple[str, Evidence]:
    """The categories of a box, its cells weighted by their score."""
    weights = inside(maps.score, box)[..., None] + 1e-9
    means = (inside(maps.categories, box) * weights).sum((0, 1)) / weights.sum()
    return categories({c: float(means[number]) for number, c in enumerate(CATEGORIES)})


def categories(shares: dict[Category, float]) -> tuple[str, Evidence]:
    """The main category and those named beside it, from shares that add up to 1."""
    ordered = sorted(shares, key=lambda c: -shares[c])
    named = tuple(c for c in ordered if c is ordered[0] or shares[c] >= _ALSO)
    numbers: dict[str, float | str] = {c.value.lower(): round(share, 3) for c, share in shares.items()}
    words = f"the network takes it for {' and '.join(c.value for c in named)}"
    return join_categories(named), Evidence(value=round(min(shares[ordered[0]], 1.0), 4), words=words, numbers=numbers)


_WORDS = {
    "changed": (
        "the network sees hardly any change here",
        "the network sees some change here",
        "the network sees a clear change here",
    ),
    "relevant": (
        "it resembles what carries no meaning",
        "it may carry meaning",
        "it resembles things that carry meaning",
    ),
    "suspicion": (
        "the reconstruction looks clean here: nothing warns a viewer",
        "the reconstruction looks somewhat damaged here",
        "the reconstruction looks damaged here, which may warn a viewer",
    ),
    "expected": (
        "the codec's damage around it does not explain the change",
        "the codec's damage around it explains a part of the change",
        "the codec's damage around it explains the change",
    ),
}
"""For each question what is said of an answer below a third, below two thirds, and above."""


def _in_words(name: str, value: float) -> str:
    return _WORDS[name][min(int(3 * value), 2)]
