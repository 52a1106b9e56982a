"""The detector `fused`: network, rules, reader and, where they are given, faces, joined into one score.

Every source proposes places. Each place is asked what the network, the rules and the reader think of it, and a
logistic function with weights that are never negative turns the answers into one score: whatever any of them holds
more likely, the fused score never falls. The weights were fitted on planted changes, where changes of meaning are far
more common than in the field: a score orders places and is no probability.
"""

from __future__ import annotations

import hashlib
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
from miscomp.detect.redrawn import HIGH, LOW, redrawn
from miscomp.detect.rules import LINES_SKIPPED, VERSION, Examined, answer, best, examine, take_in_hand
from miscomp.detect.spots import smoothed, spots
from miscomp.detect.written import TextSource
from miscomp.images import Pixels
from miscomp.records import Box, Evidence

FEATURES = ("network", "rules", "reading", "face")
"""What a place is judged by, each in [0, 1]: the network's score, the rules' score, how sure the reader is that a text
changed, how sure the comparison of faces is."""

FLOOR = 0.7
"""Share of the reader's or the faces' own sureness that a score is never below: the network need not see it too."""

RULES_FROM, RULES_SHARE = 0.5, 0.9
"""What the rules hold above the first is worth this share of the excess at least: natural damage at low rates is
fainter than what was planted, and the network was taught nothing about it."""

ALONE = "rules_alone"
"""The rules' score where the network has no say: where it proposed the place, they took its word on relevance, and are
no surer than it is."""

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

    def score(self, features: Mapping[str, float], redrawn: float = 0.0) -> float:
        """One score in [0, 1], never falling in any feature.

        `redrawn`, how far the picture's texture was drawn anew, hands the word from the network to the rules: the
        network was never shown a codec that does so.
        """
        total = self.bias + sum(weight * log_odds(features[name]) for name, weight in self.weights.items())
        taught = 1 / (1 + math.exp(-total))
        alone = features.get(ALONE, features["rules"])
        joined = (1 - redrawn) * taught + redrawn * alone
        floor = RULES_SHARE * max(alone - RULES_FROM, 0.0)
        return max(joined, floor, FLOOR * features["reading"], FLOOR * features["face"])

    @property
    def identity(self) -> str:
        """Eight hex digits over all that the score depends on."""
        text = json.dumps([self.bias, dict(sorted(self.weights.items())), FLOOR, RULES_FROM, RULES_SHARE, LOW, HIGH])
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:8]


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
        self.version = f"{self._learned.version.replace('learned', 'fused')}+{self._fusion.identity}+{VERSION}"

    def __call__(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Detections:
        """Detections, best first. Raises `SizeMismatch` for unequal sizes, `MissingExtra` where text can't be read."""
        seen = self.candidates(original, reconstruction, settings)
        scored = [
            replace(one.detection, score=round(self._fusion.score(one.features, seen.redrawn), 4))
            for one in seen.candidates
        ]
        limit = settings.limit(original.shape[1], original.shape[0])
        kept = best([d for d in scored if d.score >= settings.minimum_score], limit, take_over=True)
        skipped = LINES_SKIPPED.format(seen.lines_skipped)
        return Detections(
            found=tuple(kept),
            heat=_raised(seen.heat, scored),
            change=seen.change,
            warnings=(skipped,) if seen.lines_skipped else (),
        )

    def candidates(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Seen:
        """Every place that any source proposes, not yet scored; none for equal pictures."""
        pair = take_in_hand(original, reconstruction)
        change = change_picture(pair.change)
        if np.array_equal(original, reconstruction):
            nothing = np.zeros(pair.cells.shape, np.float32)
            return Seen(candidates=(), heat=nothing, change=change, lines_skipped=0, redrawn=0.0)
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
            redrawn=redrawn(pair.cells),
        )


def _raised(heat: Map, scored: Sequence[Detection]) -> Map:
    """The network's map, raised to the scores of words and faces where they stand."""
    raised = heat.copy()
    for detection in scored:
        if detection.source in ("text", "face"):
            part = inside(raised, detection.box)
            np.maximum(part, detection.score, out=part)
    return raised


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """A pair before its places are scored."""

    candidates: tuple[Candidate, ...]
    heat: Map
    change: Any
    lines_skipped: int
    redrawn: float
    """How far the picture's texture was drawn anew, [0, 1]."""


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
        ALONE: min(detection.score, network) if proposal.source == "learned" else detection.score,
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
