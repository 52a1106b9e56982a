"""The detector `fused`: network, rules, reader and, where they are given, faces, joined into one score.

Every source proposes places. Each place is asked what the network, the rules and the reader think of it, and a
logistic function with weights that are never negative turns the answers into one score: whatever any of them holds
more likely, the fused score never falls. The weights were fitted on planted changes, where changes of meaning are far
more common than in the field: a score orders places and is no probability.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from miscomp.detect.base import Detection, Detections, DetectSettings, Proposal, RelevanceSource, inside
from miscomp.detect.cells import Map
from miscomp.detect.change import change_picture
from miscomp.detect.learned import AnswerMaps, LearnedDetector, categories_within
from miscomp.detect.learned_weights import shipped_network
from miscomp.detect.objects import ObjectSource
from miscomp.detect.reader import TextReader
from miscomp.detect.rules import LINES_SKIPPED, Examined, answer, best, examine, take_in_hand
from miscomp.detect.spots import smoothed, spots
from miscomp.detect.written import TextSource
from miscomp.images import Pixels
from miscomp.records import Box, Evidence

FEATURES = ("network", "rules", "reading", "face")
"""What a place is judged by, each in [0, 1]: the network's score, the rules' score, how sure the reader is that a text
changed, how sure the comparison of faces is."""

_LEAST = 0.02
"""Places that the network holds less likely are not proposed by it."""

_EPSILON = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """Weights of the features' log-odds, none negative, and a bias."""

    bias: float
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if set(self.weights) != set(FEATURES) or any(not weight >= 0 for weight in self.weights.values()):
            raise ValueError(f"a fusion needs weights >= 0 for {', '.join(FEATURES)}, got {dict(self.weights)}")

    def score(self, features: Mapping[str, float]) -> float:
        """One score in [0, 1], never falling in any feature."""
        total = self.bias + sum(weight * log_odds(features[name]) for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-total))


def log_odds(value: float) -> float:
    """Log-odds of a feature, from 0 for `nothing` on: log((v + e) / (1 - v + e)) less its value at 0."""
    return math.log((value + _EPSILON) / (1 - value + _EPSILON)) - math.log(_EPSILON / (1 + _EPSILON))


@cache
def shipped_fusion() -> Fusion:
    """The weights that are part of the package."""
    about: dict[str, Any] = json.loads(
        (resources.files("miscomp.detect") / "assets" / "fused.json").read_text(encoding="utf-8")
    )
    return Fusion(bias=float(about["bias"]), weights={name: float(about["weights"][name]) for name in FEATURES})


def open_fused(*, reader: TextReader | None = None, sources: Sequence[RelevanceSource] = ()) -> FusedDetector:
    """The detector with the shipped weights; without a reader it reads no text."""
    return FusedDetector(reader, sources=sources)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A place with what every source thinks of it."""

    detection: Detection
    """As the rules judge it, with their score."""
    features: Mapping[str, float]


class FusedDetector:
    """Places from the network, the rules and the reader, in one order."""

    def __init__(
        self,
        reader: TextReader | None = None,
        *,
        learned: LearnedDetector | None = None,
        fusion: Fusion | None = None,
        sources: Sequence[RelevanceSource] = (),
    ) -> None:
        """`sources` propose places beside network, rules and reader: faces, for one."""
        self._reader = reader
        self._learned = learned or LearnedDetector(shipped_network())
        self._fusion = fusion or shipped_fusion()
        self._sources = tuple(sources)
        self.version = self._learned.version.replace("learned", "fused")

    def __call__(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Detections:
        """Detections, best first. Raises `SizeMismatch` for unequal sizes, `MissingExtra` where text can't be read."""
        seen = self.candidates(original, reconstruction, settings)
        scored = [replace(one.detection, score=round(self._fusion.score(one.features), 4)) for one in seen.candidates]
        limit = settings.limit(original.shape[1], original.shape[0])
        kept = best([d for d in scored if d.score >= settings.minimum_score], limit)
        skipped = LINES_SKIPPED.format(seen.lines_skipped)
        return Detections(
            found=tuple(kept),
            heat=seen.heat,
            change=seen.change,
            warnings=(skipped,) if seen.lines_skipped else (),
        )

    def candidates(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Seen:
        """Every place that any source proposes, not yet scored; none for equal pictures."""
        pair = take_in_hand(original, reconstruction)
        change = change_picture(pair.change)
        if np.array_equal(original, reconstruction):
            return Seen(candidates=(), heat=np.zeros(pair.cells.shape, np.float32), change=change, lines_skipped=0)
        limit = 4 * settings.limit(pair.cells.width, pair.cells.height)
        text = TextSource(self._reader) if self._reader is not None and settings.text else None
        maps = self._learned.answers(original, reconstruction)
        proposals = [*(text(pair) if text else []), *ObjectSource(limit)(pair)]
        for source in self._sources:
            proposals += source(pair)
        proposals += _proposed(maps, pair.cells.width, pair.cells.height, limit)
        examined = examine(pair, text)
        smooth = smoothed(maps.score)
        return Seen(
            candidates=tuple(_judged(examined, maps, smooth, proposal) for proposal in proposals),
            heat=maps.score,
            change=change,
            lines_skipped=text.lines_skipped if text else 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """A pair before its places are scored."""

    candidates: tuple[Candidate, ...]
    heat: Map
    change: Any
    lines_skipped: int


def _proposed(maps: AnswerMaps, width: int, height: int, limit: int) -> list[Proposal]:
    """The network's places. `relevant` is its own answer to that question."""
    return [
        Proposal(
            box=spot.box(width, height),
            relevant=round(min(max(spot.mean(maps.relevant, maps.score), 0.0), 1.0), 4),
            source="learned",
            words="it resembles things that carry meaning",
            strength=spot.value,
            numbers={"network": round(spot.value, 3)},
        )
        for spot in spots(maps.score, least=_LEAST, limit=limit)
    ]


def _judged(examined: Examined, maps: AnswerMaps, smooth: Map, proposal: Proposal) -> Candidate:
    detection = answer(examined, proposal)
    network = proposal.strength if proposal.source == "learned" else float(inside(smooth, proposal.box).max())
    surely = proposal.changed or 0.0
    features = {
        "network": min(network, 1.0),
        "rules": detection.score,
        "reading": surely if proposal.source == "text" else 0.0,
        "face": surely if proposal.source == "face" else 0.0,
    }
    category, evidence = categories_within(maps, proposal.box)
    if proposal.source == "text":
        # A text that reads otherwise has other contours; how sure the network is of that says little about letters.
        return Candidate(detection=detection, features=features)
    symbol = detection.symbol or _symbol(maps, proposal.box)
    detection = replace(detection, category=category, category_evidence=evidence, symbol=symbol)
    return Candidate(detection=_with_numbers(detection, features), features=features)


def _symbol(maps: AnswerMaps, box: Box) -> bool:
    weights = inside(maps.score, box) + 1e-9
    return float((inside(maps.symbol, box) * weights).sum() / weights.sum()) >= 0.5


def _with_numbers(detection: Detection, features: Mapping[str, float]) -> Detection:
    """The detection whose evidence also says what each source thinks of it."""
    if detection.relevant is None:
        return detection
    numbers = {**detection.relevant.numbers, **{f"{name}_score": round(features[name], 3) for name in FEATURES[:2]}}
    evidence = Evidence(value=detection.relevant.value, words=detection.relevant.words, numbers=numbers)
    return replace(detection, relevant=evidence)
