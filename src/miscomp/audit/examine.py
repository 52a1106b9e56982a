"""The main job for one pair: where the reconstruction may have changed what the picture means.

Every finding answers the labelers' decision tree (SCLIC, Figure 3). Its score is
changed * relevant * (1 - suspicion * expected), all in [0, 1]: a clean-looking change of something that
matters counts at once; a visible one counts when nothing like it around is as bad.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from miscomp.detect.base import DetectSettings, PairInHand, Proposal, RelevanceSource, inside, widened
from miscomp.detect.category import categorise
from miscomp.detect.cells import measure
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
from miscomp.detect.reader import RapidReader, TextReader
from miscomp.detect.suspicion import SuspicionMaps, suspicion_maps
from miscomp.detect.written import TextSource
from miscomp.images import Pixels
from miscomp.records import Annotation, Box, Evidence, Finding, display_id
from miscomp.taxonomy import Origin

DETECTOR_VERSION = "rules-1"
"""Changes whenever the same pair may give other findings."""

LABELER = "miscomp"

_OVERLAP = 0.3

_LEAST_SEEN = 20
"""Visible change is judged over at least this many pixels a side."""

_READS_ALIKE = 0.4
"""Factor on relevance where the region is text whose reading did not change."""

_LINES_SKIPPED = "{} lines of text, the least surely read ones, were not compared: changed words may be missing"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairFindings:
    """What was found in one pair, best first."""

    findings: tuple[Finding, ...]
    change_map: npt.NDArray[np.uint8]
    """One value per cell of 4 x 4 pixels: 0 no visible change, 255 certainly changed."""
    seconds: float
    warnings: tuple[str, ...] = ()
    """What was left out, in sentences."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Examined:
    """A pair with every map that a finding's answers are read from."""

    pair: PairInHand
    similarity: npt.NDArray[np.float32]
    energy: npt.NDArray[np.float32]
    suspicion: SuspicionMaps
    expectation: Expectation
    text: TextSource | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    proposal: Proposal
    score: float
    changed: Evidence
    relevant: Evidence
    suspicion: Evidence
    expected: Evidence
    category: str
    category_evidence: Evidence
    symbol: bool


def audit_pair(
    original: Pixels,
    reconstruction: Pixels,
    *,
    filename: str,
    image_sha1: str,
    model: str,
    settings: DetectSettings | None = None,
    reader: TextReader | None = None,
) -> PairFindings:
    """Findings for one reconstruction of one image, both (h, w, 3) uint8 sRGB of equal size.

    `reader` is used for text when the settings ask for it; without one, the installed reader is loaded.
    Raises `SizeMismatch` for unequal sizes and `MissingExtra` when text is wanted and cannot be read.
    """
    start = time.monotonic()
    settings = settings or DetectSettings()
    cells = measure(original, reconstruction)
    pair = PairInHand(original=original, reconstruction=reconstruction, cells=cells, change=change_maps(cells))
    picture = change_picture(pair.change)
    if np.array_equal(original, reconstruction):
        return PairFindings(findings=(), change_map=picture, seconds=time.monotonic() - start)
    limit = settings.limit(cells.width, cells.height)
    text = TextSource(reader or RapidReader()) if settings.text else None
    sources: Sequence[RelevanceSource] = (*([text] if text else []), ObjectSource(4 * limit))
    proposals = [proposal for source in sources for proposal in source(pair)]
    examined = _examine(pair, text)
    scored = [_score(examined, proposal) for proposal in proposals]
    kept = _best([s for s in scored if s.score >= settings.minimum_score], limit)
    findings = tuple(_finding(s, filename=filename, image_sha1=image_sha1, model=model) for s in kept)
    warnings = () if text is None or not text.lines_skipped else (_LINES_SKIPPED.format(text.lines_skipped),)
    return PairFindings(findings=findings, change_map=picture, seconds=time.monotonic() - start, warnings=warnings)


def _examine(pair: PairInHand, text: TextSource | None) -> _Examined:
    cells = pair.cells
    return _Examined(
        pair=pair,
        similarity=structure_similarity(cells),
        energy=energy_ratio(cells),
        suspicion=suspicion_maps(cells),
        expectation=Expectation(cells, pair.change),
        text=text,
    )


def _score(examined: _Examined, proposal: Proposal) -> _Scored:
    """Answer the four questions for one region."""
    written = examined.text.is_written(proposal.box) if examined.text else ""
    # The flag is about the object: text that reads the same in both is a sign all the same.
    symbol = proposal.symbol or bool(written)
    alike = examined.text is not None and not proposal.symbol and examined.text.reads_alike(proposal.box)
    dn1 = _changed(examined, proposal)
    dn2 = _relevant(proposal, written, alike=alike)
    dn3 = _suspicion(examined, proposal.box)
    dn4 = _expected(examined, proposal.box)
    category, evidence = categorise(examined.pair.cells, proposal.box)
    return _Scored(
        proposal=proposal,
        score=round(dn1.value * dn2.value * (1 - dn3.value * dn4.value), 4),
        changed=dn1,
        relevant=dn2,
        suspicion=dn3,
        expected=dn4,
        category=category,
        category_evidence=evidence,
        symbol=symbol,
    )


def _changed(examined: _Examined, proposal: Proposal) -> Evidence:
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


def _suspicion(examined: _Examined, box: Box) -> Evidence:
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


def _expected(examined: _Examined, box: Box) -> Evidence:
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


def _best(scored: Sequence[_Scored], limit: int) -> list[_Scored]:
    """Best first, at most `limit`; of regions that share much of the smaller one, only the best stays.

    A changed word keeps its place against an object around it, since it says more.
    """
    ordered = sorted(scored, key=lambda s: (-s.score, s.proposal.box, s.proposal.source))
    words = [s for s in ordered if s.proposal.source == "text"]
    kept: list[_Scored] = []
    for candidate in [*words, *(s for s in ordered if s.proposal.source != "text")]:
        box = candidate.proposal.box
        if all(box.intersection(k.proposal.box) <= _OVERLAP * min(box.area, k.proposal.box.area) for k in kept):
            kept.append(candidate)
    return sorted(kept, key=lambda s: (-s.score, s.proposal.box))[:limit]


def _finding(scored: _Scored, *, filename: str, image_sha1: str, model: str) -> Finding:
    box = scored.proposal.box
    annotation = Annotation(
        id=display_id(image_sha1, model, box),
        filename=filename,
        image_sha1=image_sha1,
        model=model,
        x=box.x,
        y=box.y,
        w=box.w,
        h=box.h,
        labeler=LABELER,
        origin=Origin.DETECTOR.value,
        version=DETECTOR_VERSION,
        category=scored.category,
        symbol=scored.symbol,
        score=scored.score,
        changed=scored.changed.value,
        relevant=scored.relevant.value,
        suspicion=scored.suspicion.value,
        expected=scored.expected.value,
        note=scored.proposal.changed_words,
    )
    return Finding(
        annotation=annotation,
        changed=scored.changed,
        relevant=scored.relevant,
        suspicion=scored.suspicion,
        expected=scored.expected,
        category=scored.category_evidence,
        found_by=scored.proposal.source,
    )
