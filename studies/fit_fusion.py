"""Fit the weights of the detector `fused` on planted pairs of a tuning split, and count its false alarms there.

    python studies/fit_fusion.py PAIRS --network detector.safetensors -o fused.json

PAIRS is a folder that `miscomp plant` wrote from pictures that nothing was trained on and nothing is reported for.
Every place that any source proposes is an example: true where it hits a label, false where it hits a hard negative,
lies in a control, or lies outside the labels of a pair of at least 0.75 bpp; the rest is unknown and left out. Pairs
of that rate come again with their fine texture drawn anew, as generative codecs do: none is at hand to tune on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from miscomp.benchmark.matching import HIGH_RATE_BPP
from miscomp.codecs.rate import TOLERANCE
from miscomp.detect.base import DetectSettings
from miscomp.detect.fused import FEATURES, Candidate, FusedDetector, Fusion, log_odds
from miscomp.detect.learned import LearnedDetector
from miscomp.detect.reader import RapidReader
from miscomp.detect.remember import RememberingReader
from miscomp.detect.rules import best
from miscomp.folders import write_text
from miscomp.images import read
from miscomp.pairset import CONTROL, NATURAL, PLANTED, LabelledPair, read_pair_set
from miscomp.records import is_hit
from miscomp.training.plants import redraw_texture

KNOWN_BPP = HIGH_RATE_BPP * (1 - TOLERANCE)
SETTINGS = DetectSettings(minimum_score=0, per_megapixel=60, at_least=20)
RIDGE = 1e-3
"""Keeps the weight of a feature that hardly occurs at 0."""

Values = npt.NDArray[np.float64]
Found = list[tuple[LabelledPair, tuple[Candidate, ...]]]


def main() -> None:
    """Fit, and write the weights with what they were fitted on."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--network", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    found = find(arguments.pairs, LearnedDetector(arguments.network))
    features, wanted = examples(found)
    fusion = fit(features, wanted)
    record = {
        "bias": round(fusion.bias, 4),
        "weights": {name: round(value, 4) for name, value in fusion.weights.items()},
        "places": len(wanted),
        "places_that_hit": int(wanted.sum()),
        "false_alarms_per_megapixel": false_alarms(found, fusion),
        "control_megapixels": round(sum(megapixels(pair) for pair, _ in found if pair.row.source == CONTROL), 3),
        "photographs": sorted({pair.row.filename for pair, _ in found}),
        "controls": sorted({pair.row.model for pair, _ in found if pair.row.source == CONTROL}),
        "network_sha256": hashlib.sha256(arguments.network.read_bytes()).hexdigest(),
    }
    write_text(arguments.output, json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


def find(folder: Path, learned: LearnedDetector) -> Found:
    """What every source proposes in every pair."""
    detector = FusedDetector(
        RememberingReader(RapidReader()), learned=learned, fusion=Fusion(bias=0, weights=dict.fromkeys(FEATURES, 1.0))
    )
    found = []
    pairs = read_pair_set(folder).pairs
    for number, pair in enumerate(pairs, 1):
        original, reconstruction = read(pair.original).pixels, read(pair.reconstruction).pixels
        found.append((pair, detector.candidates(original, reconstruction, SETTINGS).candidates))
        if pair.row.source == PLANTED and (pair.row.bpp or 0) >= KNOWN_BPP:
            redrawn = redraw_texture(reconstruction, np.random.default_rng(number))
            found.append((pair, detector.candidates(original, redrawn, SETTINGS).candidates))
        print(f"[{number}/{len(pairs)}] {pair.row.filename} {pair.row.model}", flush=True)
    return found


def examples(found: Found) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Log-odds of the features (n, 4) and whether the place hits a label (n)."""
    rows, wanted = [], []
    for pair, candidates in found:
        for candidate in candidates:
            truth = judged(pair, candidate)
            if truth is not None:
                rows.append([log_odds(candidate.features[name]) for name in FEATURES])
                wanted.append(truth)
    return np.array(rows), np.array(wanted)


def judged(pair: LabelledPair, candidate: Candidate) -> bool | None:
    """Whether a place is a miscompression; none where that is not known."""
    box = candidate.detection.box
    if pair.row.source == NATURAL:
        # Their truth is what the reader read.
        return None
    if any(is_hit(box, label.box) for label in pair.labels):
        return True
    if any(is_hit(box, negative.box) for negative in pair.negatives) or pair.row.source == CONTROL:
        return False
    return False if (pair.row.bpp or 0) >= KNOWN_BPP else None


def fit(features: Values, wanted: npt.NDArray[np.bool_]) -> Fusion:
    """Logistic regression with weights of at least 0."""
    signs = np.where(wanted, 1.0, -1.0)

    def loss(parameters: Values) -> tuple[float, Values]:
        margin = signs * (parameters[0] + features @ parameters[1:])
        value = np.logaddexp(0, -margin).mean() + RIDGE * (parameters[1:] ** 2).sum()
        pull = -signs / (1 + np.exp(margin)) / len(signs)
        gradient = np.concatenate([[pull.sum()], features.T @ pull + 2 * RIDGE * parameters[1:]])
        return float(value), gradient

    bounds = [(None, None), *[(0, None)] * len(FEATURES)]
    found = minimize(loss, np.zeros(1 + len(FEATURES)), jac=True, bounds=bounds, method="L-BFGS-B")
    weights = dict(zip(FEATURES, map(float, found.x[1:]), strict=True))
    # No face was planted: one that changed is taken to weigh as much as a word that did.
    return Fusion(bias=float(found.x[0]), weights={**weights, "face": weights["reading"]})


def false_alarms(found: Found, fusion: Fusion) -> Mapping[str, float]:
    """For each score how many findings of at least that score a megapixel of the controls has."""
    scores: list[float] = []
    for pair, candidates in found:
        if pair.row.source == CONTROL:
            scores += found_in(candidates, fusion)
    total = sum(megapixels(pair) for pair, _ in found if pair.row.source == CONTROL)
    return {f"{least / 20:g}": round(sum(s >= least / 20 for s in scores) / total, 4) for least in range(1, 20)}


def found_in(candidates: Sequence[Candidate], fusion: Fusion) -> list[float]:
    """Scores of what is reported in one pair."""
    scored = [replace(one.detection, score=fusion.score(one.features)) for one in candidates]
    return [detection.score for detection in best(scored, len(scored), take_over=True)]


def megapixels(pair: LabelledPair) -> float:
    """Size of a pair."""
    return pair.row.width * pair.row.height / 1e6


if __name__ == "__main__":
    main()
