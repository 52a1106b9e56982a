"""The detector `rules`: the labelers' decision tree (SCLIC, Figure 3), each question answered by a rule.

Its score is changed * relevant * (1 - suspicion * expected), all in [0, 1]: a clean-looking change of something that
matters counts at once; a visible one counts when nothing like it around is as bad.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from miscomp.detect.base import (
    Detection,
    Detections,
    DetectSettings,
    PairInHand,
    Proposal,
    RelevanceSource,
    inside,
    widened,
)
from miscomp.detect.category import categorise
from miscomp.detect.cells import Map, measure
from miscomp.detect.change import (
    change_maps,
    change_picture,
    changed,
    combined,
    energy_ratio,
    structure_similarity,
)
from miscomp.detect.expectation import Expectation
from miscomp.detect.objects import ObjectSource
from miscomp.detect.reader import TextReader
from miscomp.detect.suspicion import SuspicionMaps, suspicion_maps
from miscomp.detect.written import TextSource
from miscomp.images import Pixels
from miscomp.records import Box, Evidence

VERSION = "rules-2"
"""Of the rules, the sources and how findings are chosen: changes whenever these may give others."""

_OVERLAP = 0.3

_LEAST_SEEN = 20
"""Visible change is judged over at least this many pixels a side."""

_READS_ALIKE = 0.4
"""Factor on relevance where the region is text whose reading did not change."""

LINES_SKIPPED = "{} lines of text, the least surely read ones, were not compared: changed words may be missing"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """A pair with every map that a finding's answers are read from."""

    pair: PairInHand
    similarity: npt.NDArray[np.float32]
    energy: npt.NDArray[np.float32]
    suspicion: SuspicionMaps
    expectation: Expectation
    text: TextSource | None


Formula = Callable[[float, float, float, float], float]


def tree_score(changed: float, relevant: float, suspicion: float, expected: float) -> float:
    """The labelers' tree as a product: a change of something that matters, unless it gives itself away as expected."""
    return changed * relevant * (1 - suspicion * expected)


def open_rules(*, reader: TextReader | None = None, sources: Sequence[RelevanceSource] = ()) -> RulesDetector:
    """The detector; without a reader it reads no text."""
    return RulesDetector(reader, sources=sources)


class RulesDetector:
    """Distinct objects and changed words, judged by rules."""

    version = VERSION

    def __init__(
        self,
        reader: TextReader | None = None,
        *,
        sources: Sequence[RelevanceSource] = (),
        formula: Formula = tree_score,
    ) -> None:
        """`sources` propose places beside the reader and what is distinct: faces, for one.

        `formula` joins the four answers (changed, relevant, suspicion, expected) into a score in [0, 1].
        """
        self._reader = reader
        self._sources = tuple(sources)
        self._formula = formula

    def __call__(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Detections:
        """Detections, best first. Raises `SizeMismatch` for unequal sizes, `MissingExtra` where text can't be read."""
        pair = take_in_hand(original, reconstruction)
        picture = change_picture(pair.change)
        limit = settings.limit(pair.cells.width, pair.cells.height)
        if np.array_equal(original, reconstruction):
            return Detections(found=(), heat=np.zeros(pair.cells.shape, np.float32), change=picture)
        text = TextSource(self._reader) if self._reader is not None and settings.text else None
        objects = ObjectSource(4 * limit)
        proposals = [*(text(pair) if text else []), *objects(pair)]
        for source in self._sources:
            proposals += source(pair)
        examined = examine(pair, text)
        scored = [answer(examined, proposal, self._formula) for proposal in proposals]
        kept = best([d for d in scored if d.score >= settings.minimum_score], limit)
        skipped = text.lines_skipped if text else 0
        return Detections(
            found=tuple(kept),
            heat=_heat(objects.heat, scored),
            change=picture,
            warnings=(LINES_SKIPPED.format(skipped),) if skipped else (),
        )


def take_in_hand(original: Pixels, reconstruction: Pixels) -> PairInHand:
    """Measure a pair. Raises `SizeMismatch` for unequal sizes."""
    cells = measure(original, reconstruction)
    return PairInHand(original=original, reconstruction=reconstruction, cells=cells, change=change_maps(cells))


def examine(pair: PairInHand, text: TextSource | None) -> Examined:
    """Make the maps that answers are read from; `text` has seen the pair."""
    cells = pair.cells
    return Examined(
        pair=pair,
        similarity=structure_similarity(cells),
        energy=energy_ratio(cells),
        suspicion=suspicion_maps(cells),
        expectation=Expectation(cells, pair.change),
        text=text,
    )


def _heat(objects: Map, scored: Sequence[Detection]) -> Map:
    """Strength of objects that changed, raised to the score of words where they stand."""
    heat = objects.copy()
    for detection in scored:
        if detection.source == "text":
            part = inside(heat, detection.box)
            np.maximum(part, detection.score, out=part)
    return heat


def answer(examined: Examined, proposal: Proposal, formula: Formula = tree_score) -> Detection:
    """Answer the four questions for one region, and join them."""
    written = examined.text.is_written(proposal.box) if examined.text else ""
    # The flag is about the object: text that reads the same in both is a sign all the same.
    symbol = proposal.symbol or bool(written)
    alike = examined.text is not None and not proposal.symbol and examined.text.reads_alike(proposal.box)
    dn1 = _changed(examined, proposal)
    dn2 = _relevant(proposal, written, alike=alike)
    dn3 = _suspicion(examined, proposal.box)
    dn4 = _expected(examined, proposal.box)
    category, evidence = categorise(examined.pair.cells, proposal.box)
    return Detection(
        box=proposal.box,
        score=round(formula(dn1.value, dn2.value, dn3.value, dn4.value), 4),
        source=proposal.source,
        category=category,
        symbol=symbol,
        note=proposal.changed_words,
        changed=dn1,
        relevant=dn2,
        suspicion=dn3,
        expected=dn4,
        category_evidence=evidence,
    )


def _changed(examined: Examined, proposal: Proposal) -> Evidence:
    # What is thinner than a window of the other maps is seen with what lies beside it.
    box, maps = widened(proposal.box, _LEAST_SEEN, examined.pair.cells), examined.pair.change
    gradient, light, chroma = (
        float(np.sqrt(inside(m, box).mean()))
        for m in (maps.gradient_squared, maps.lightness_squared, maps.chroma_squared)
    )
    amount = float(np.sqrt(combined(gradient**2, light**2, chroma**2)))
    seen = float(changed(amount))
    value = max(seen, proposal.changed or 0.0)
    similarity = float(inside(examined.similarity, box).mean())
    energy = float(inside(examined.energy, box).mean())
    numbers: dict[str, float | str] = {
        "amount": round(amount, 4),
        "structure": round(gradient, 4),
        "lightness": round(light, 4),
        "chroma": round(chroma, 4),
        "structure_similarity": round(similarity, 3),
        "edge_amplitude_log2": round(energy, 3),
    }
    if proposal.changed is not None:
        numbers |= proposal.numbers
    # What is seen, apart from what is read: a word may read otherwise where hardly a pixel moved.
    words = _strength(
        seen,
        "hardly any visible difference",
        "some visible difference",
        "a clearly visible difference",
    )
    details = []
    if energy < -0.4:
        details.append("detail may have been lost")
    if energy > 0.4:
        details.append("detail may have been added")
    if chroma > 0.012:
        details.append("the colour may have shifted")
    tail = f": {', '.join(details)}" if details else ""
    words = f"{proposal.changed_words}; {words}{tail}" if proposal.changed_words else f"{words}{tail}"
    return Evidence(value=round(value, 4), words=words, numbers=numbers)


def _relevant(proposal: Proposal, written: str, *, alike: bool) -> Evidence:
    words = proposal.words
    value = proposal.relevant
    if alike:
        # What carries the meaning of text is its reading, and that was checked.
        value *= _READS_ALIKE
        words = f'text stands here and reads the same in both: "{written}"'
    elif written and not proposal.symbol:
        words += f'; text stands here: "{written}"'
    numbers = {} if proposal.changed is not None else dict(proposal.numbers)
    return Evidence(
        value=round(value, 4),
        words=words,
        numbers={k: round(v, 3) if isinstance(v, float) else v for k, v in numbers.items()} | {"text": written},
    )


def _suspicion(examined: Examined, box: Box) -> Evidence:
    maps = examined.suspicion.within(box)
    parts = {name: float(getattr(maps, name).mean()) for name in ("blur", "blocks", "noise")}
    value = min(float(maps.total.mean()), 1.0)
    seen = [name for name, amount in parts.items() if amount >= 0.3]
    words = (
        f"the reconstruction shows {' and '.join(seen)} here, which may warn a viewer"
        if seen
        else "the reconstruction looks clean here: nothing warns a viewer"
    )
    return Evidence(
        value=round(value, 4), words=words, numbers={name: round(amount, 3) for name, amount in parts.items()}
    )


def _expected(examined: Examined, box: Box) -> Evidence:
    comparison = examined.expectation.compare(box)
    words = _strength(
        comparison.expected,
        "worse than in similar places of this picture",
        "somewhat worse than in similar places of this picture",
        "no worse than in similar places of this picture",
    )
    numbers: dict[str, float | str] = {
        "z": round(comparison.z, 2),
        "change_here": round(comparison.here, 4),
        "change_elsewhere": round(comparison.elsewhere, 4),
        "places_compared": float(comparison.windows),
    }
    return Evidence(value=round(comparison.expected, 4), words=words, numbers=numbers)


def _strength(value: float, low: str, middle: str, high: str) -> str:
    return low if value < 1 / 3 else middle if value < 2 / 3 else high


def best(scored: Sequence[Detection], limit: int, *, take_over: bool = False) -> list[Detection]:
    """Best first, at most `limit`; of regions that share much of the smaller one, only the best stays.

    A changed word keeps its place against whatever lies around it, since it says more. With `take_over` it takes the
    score too where that is higher, so that a place that two sources see counts no less than one that one of them sees.
    """
    ordered = sorted(scored, key=lambda d: (-d.score, d.box, d.source))
    kept = _apart([], [d for d in ordered if d.source == "text"])
    words = len(kept)
    for candidate in (d for d in ordered if d.source != "text"):
        over = [place for place, word in enumerate(kept[:words]) if _share(candidate.box, word.box)]
        for place in over if take_over else ():
            kept[place] = replace(kept[place], score=max(kept[place].score, candidate.score))
        if not over:
            kept = _apart(kept, [candidate])
    return sorted(kept, key=lambda d: (-d.score, d.box))[:limit]


def _apart(kept: Sequence[Detection], more: Sequence[Detection]) -> list[Detection]:
    """`kept`, and those of `more` that hardly touch any before them."""
    found = list(kept)
    for candidate in more:
        if not any(_share(candidate.box, other.box) for other in found):
            found.append(candidate)
    return found


def _share(a: Box, b: Box) -> bool:
    return a.intersection(b) > _OVERLAP * min(a.area, b.area)
