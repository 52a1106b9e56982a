"""What one detector did on all pairs, as arrays that figures are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from miscomp.benchmark.matching import (
    Flags,
    Floats,
    Ints,
    PairMatch,
    box_array,
    check_control,
    match,
    outside_is_false,
)
from miscomp.benchmark.store import LEVELS, Seen
from miscomp.detect.base import cell_slices
from miscomp.pairset import CONTROL, LabelledPair


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cases:
    """The pairs that detectors are compared on, and where each belongs; the same for every detector."""

    pairs: tuple[LabelledPair, ...]
    sources: tuple[str, ...]
    """Photographs that the pairs were made from."""
    pair_source: Ints
    """Place in `sources` of each pair."""
    control: Ints
    """1 for controls, else 0, for each pair."""
    label_pair: Ints
    """Place in `pairs` of each label, pair by pair."""
    negative_pair: Ints

    @property
    def label_source(self) -> Ints:
        """Place in `sources` of each label."""
        return self.pair_source[self.label_pair]

    def per_source(self, places: Ints, amounts: Floats | None = None) -> Floats:
        """Sums (one for each source) of what lies in the pairs at `places`."""
        return np.bincount(self.pair_source[places], amounts, minlength=len(self.sources)).astype(np.float64)

    @property
    def control_megapixels(self) -> Floats:
        """For each source."""
        sizes = np.array([pair.row.width * pair.row.height / 1e6 for pair in self.pairs])
        return self.per_source(np.arange(len(self.pairs)), sizes * self.control)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """One detector on `cases`: findings by pair in falling score, labels and negatives in the order of the cases."""

    cases: Cases
    finding_pair: Ints
    finding_score: Floats
    finding_verdict: Ints
    finding_label: Ints
    """Place among all labels, -1 for none."""
    finding_place: Ints
    """Place within its pair's findings as they were seen."""
    label_score: Floats
    label_rank: Ints
    negative_score: Floats
    inside: Floats
    """How many cells of each level of heat lie in labels, (sources, levels)."""
    outside: Floats
    """How many cells of each level lie where nothing lost its meaning, (sources, levels)."""

    @property
    def finding_source(self) -> Ints:
        """Place in `sources` of each finding."""
        return self.cases.pair_source[self.finding_pair]

    @property
    def on_control(self) -> Flags:
        """Which findings lie in controls."""
        found: Flags = self.cases.control[self.finding_pair] == 1
        return found


def source_names(pairs: Sequence[LabelledPair]) -> list[str]:
    """The photograph that each pair was made from, without suffix.

    That is the source of its plants, else of the plants in other pairs of the same original, else the original's own
    name: a control has no plants, yet belongs to its photograph.
    """
    known = {pair.row.image_sha1: plant.source for pair in pairs for plant in pair.plants.values()}
    return [PurePath(known.get(pair.row.image_sha1, pair.row.filename)).stem for pair in pairs]


def make_cases(pairs: Sequence[LabelledPair]) -> Cases:
    """Order the sources as they come. Raises `TableError` for a control with labels."""
    for pair in pairs:
        check_control(pair)
    names = source_names(pairs)
    sources = tuple(dict.fromkeys(names))
    place = {name: k for k, name in enumerate(sources)}
    return Cases(
        pairs=tuple(pairs),
        sources=sources,
        pair_source=np.array([place[name] for name in names], dtype=np.int64),
        control=np.array([pair.row.source == CONTROL for pair in pairs], dtype=np.int64),
        label_pair=_repeated([len(pair.labels) for pair in pairs]),
        negative_pair=_repeated([len(pair.negatives) for pair in pairs]),
    )


def make_tally(cases: Cases, seen: Sequence[Seen]) -> Tally:
    """Match what a detector saw in each pair of the cases."""
    matches = [_match(pair, one) for pair, one in zip(cases.pairs, seen, strict=True)]
    orders = [np.argsort(-one.scores, kind="stable") for one in seen]
    firsts = np.cumsum([0, *(len(pair.labels) for pair in cases.pairs)])
    labels = [np.where(m.labels >= 0, m.labels + first, -1) for m, first in zip(matches, firsts, strict=False)]
    inside, outside = _heat(cases, seen)
    return Tally(
        cases=cases,
        finding_pair=_repeated([len(one.found) for one in seen]),
        finding_score=_joined([one.scores[o] for one, o in zip(seen, orders, strict=True)]),
        finding_verdict=_joined_ints([m.verdicts[o] for m, o in zip(matches, orders, strict=True)]),
        finding_label=_joined_ints([m[o] for m, o in zip(labels, orders, strict=True)]),
        finding_place=_joined_ints(orders),
        label_score=_joined([m.label_scores for m in matches]),
        label_rank=_joined_ints([m.label_ranks for m in matches]),
        negative_score=_joined([m.negative_scores for m in matches]),
        inside=inside,
        outside=outside,
    )


def _match(pair: LabelledPair, seen: Seen) -> PairMatch:
    return match(
        seen.boxes,
        seen.scores,
        box_array([label.box for label in pair.labels]),
        box_array([negative.box for negative in pair.negatives]),
        outside_false=outside_is_false(pair),
    )


def _heat(cases: Cases, seen: Sequence[Seen]) -> tuple[Floats, Floats]:
    """Counts of cells by source and level: within labels, and where nothing lost its meaning."""
    inside, outside = (np.zeros((len(cases.sources), LEVELS)) for _ in range(2))
    for pair, one, source in zip(cases.pairs, seen, cases.pair_source, strict=True):
        rows, columns = one.heat.shape
        labelled: Flags = np.zeros((rows, columns), dtype=np.bool_)
        for label in pair.labels:
            labelled[cell_slices(label.box, (rows, columns))] = True
        inside[source] += np.bincount(one.heat[labelled], minlength=LEVELS)
        if outside_is_false(pair):
            outside[source] += np.bincount(one.heat[~labelled], minlength=LEVELS)
    return inside, outside


def _repeated(counts: Sequence[int]) -> Ints:
    return np.repeat(np.arange(len(counts)), counts)


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.zeros(0), *parts])


def _joined_ints(parts: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])
