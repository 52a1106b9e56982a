"""Which factors go with annotated reconstructions: one regression, its odds ratios, and what it cannot tell."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from miscomp.benchmark.bootstrap import Figure
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Suggestion
from miscomp.corpus.schema import fetch
from miscomp.records import ImageRow
from miscomp.report.wording import count
from miscomp.stats.counted import Counted
from miscomp.stats.regression import NOT_FITTED, Bools, Floats, Regression, regress
from miscomp.stats.tabular import Cell, Column, StatTable

MOST_MISSING = 0.2
"""A factor that is unknown for a larger share of the reconstructions is left out; else those reconstructions are."""
LEAST_CLUSTERS = 30
_LEAST_EVENTS = 10
_MOST_LEVELS = 20

Features = Mapping[str, Mapping[str, float]]
"""What is known of the pictures, by SHA-1: `detail` (0 to 1), `text` (words), `face` (faces), or anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Term:
    """A column of the regression."""

    factor: str
    compared: str
    values: Floats
    level: Bools | None = None
    """The reconstructions that have it, for one that is there or not."""


_KNOWN: Mapping[str, tuple[str, str, Callable[[float], float]]] = {
    "detail": ("Texture", "10 % more of the picture full of small structures", lambda value: 10 * value),
    "text": ("Text", "words were found, against none", lambda value: float(value > 0)),
    "face": ("Faces", "faces were found, against none", lambda value: float(value > 0)),
}

COLUMNS = (
    Column(key="factor", title="Factor"),
    Column(key="compared", title="Compared"),
    Column(
        key="odds_ratio",
        title="Odds ratio",
        about="Odds of at least one annotation, the other factors held; 1 is no association. n: reconstructions.",
        decimals=2,
    ),
    Column(
        key="reconstructions", title="Reconstructions", about="With this level, or with a known value; before the fit."
    ),
    Column(key="annotated", title="Annotated", about="How many of those have at least one annotation."),
    Column(key="left_out", title="Left out because"),
)


def features_of(corpus: Corpus) -> dict[str, dict[str, float]]:
    """What detectors saw in the pictures of a corpus (`miscomp corpus screen --suggest`), the latest of each kind."""
    with corpus.reading() as connection:
        rows = sorted(fetch(connection, Suggestion), key=lambda one: (one.time, one.detector, one.version))
    known: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for one in rows:
        known[one.image_sha1][one.kind] = one.value
    return dict(known)


def factor_table(counted: Counted, features: Features) -> StatTable:
    """Odds ratios of "something is annotated in it" over the reconstructions that were seen; none without views.

    A picture is a cluster. Factors that are the same for all or mostly unknown are rows too, with the reason. Raises
    `MissingExtra` where statsmodels is not installed.
    """
    material = counted.material
    viewed, viewers = counted.viewed or frozenset(), material.seen_by()
    rows = [one for one in material.images if (one.image_sha1, one.model) in viewed]
    drawn = {(one.image_sha1, one.model) for one in material.annotations}
    outcome = np.array([(one.image_sha1, one.model) in drawn for one in rows], dtype=np.bool_)
    numbers, dropped = _numbers(rows, features, [len(viewers[one.image_sha1, one.model]) for one in rows])
    known = np.ones(len(rows), dtype=np.bool_)
    for term in numbers:
        known &= np.isfinite(term.values)
    terms = [
        *numbers[:1],
        *_levels("Codec", [material.codec_of(one.model) for one in rows], outcome & known, known, dropped),
        *_levels("Source", [one.source or "unknown" for one in rows], outcome & known, known, dropped),
        *numbers[1:],
    ]
    names = [f"{place}" for place in range(len(terms))]
    pictures = np.unique([one.image_sha1 for one in rows], return_inverse=True)[1].astype(np.int64)
    columns = {name: term.values[known] for name, term in zip(names, terms, strict=True)}
    result = regress(outcome[known], columns, pictures[known])
    # Where nothing was seen, a row a factor would say nothing.
    terms, names, dropped = (terms, names, dropped) if rows else ([], [], [])
    cells = [_cells(term, result, name, outcome) for name, term in zip(names, terms, strict=True)]
    return StatTable(
        name="factors",
        title="What goes with annotated reconstructions",
        note=f"{counted.note} {_note(result, len(rows) - int(known.sum()), int(outcome.sum()), len(rows))}",
        columns=COLUMNS,
        rows=(*cells, *(_dropped(*one) for one in dropped)),
    )


def _numbers(
    rows: Sequence[ImageRow], features: Features, viewers: Sequence[int]
) -> tuple[list[_Term], list[tuple[str, str]]]:
    """Factors with a value, the bit rate first; NaN is unknown. And those that are mostly unknown, with the reason."""
    sizes = [math.log2(one.width * one.height / 1e6) for one in rows]
    rates = [math.log2(one.bpp) if one.bpp else math.nan for one in rows]
    found: list[tuple[str, str, list[float]]] = [
        ("Bit rate", "real bits per pixel doubled", rates),
        ("Picture size", "pixels doubled", sizes),
    ]
    others = sorted({name for known in features.values() for name in known} - _KNOWN.keys())
    for name in (*_KNOWN, *others):
        factor, compared, change = _KNOWN.get(name, (name, "1 more", float))
        values = (features.get(one.image_sha1, {}).get(name) for one in rows)
        found.append((factor, compared, [math.nan if value is None else change(value) for value in values]))
    if len(set(viewers)) > 1:
        found.append(("Labelers who count", "1 more", [float(value) for value in viewers]))
    terms, dropped = [], []
    for factor, compared, listed in found:
        values_known = np.array(listed, dtype=np.float64)
        missing = int((~np.isfinite(values_known)).sum())
        if missing > MOST_MISSING * len(rows):
            dropped.append((factor, f"unknown for {missing} of {count(len(rows), 'reconstruction')}"))
        else:
            terms.append(_Term(factor=factor, compared=compared, values=values_known))
    return terms, dropped


def _levels(
    factor: str, names: Sequence[str], positive: Bools, known: Bools, dropped: list[tuple[str, str]]
) -> list[_Term]:
    """A column for each level against the one with the most reconstructions, of those with both outcomes."""
    every = np.array(names, dtype=np.str_)
    counted = Counter(every[known].tolist())
    if len(counted) < 2 or len(counted) > _MOST_LEVELS:
        why = f"more than {_MOST_LEVELS} of them" if len(counted) > _MOST_LEVELS else "the same for all"
        dropped.append((factor, why))
        return []
    both = {name: 0 < int(positive[known & (every == name)].sum()) < total for name, total in counted.items()}
    order = sorted(counted, key=lambda name: (not both[name], -counted[name], name))
    return [
        _Term(
            factor=factor,
            compared=f"{name} against {order[0]}",
            values=(every == name).astype(np.float64),
            level=every == name,
        )
        for name in sorted(order[1:])
    ]


def _cells(term: _Term, result: Regression, name: str, outcome: Bools) -> dict[str, Cell]:
    there = np.isfinite(term.values) if term.level is None else term.level
    odds = result.odds.get(name, Figure(value=None))
    left_out = result.left_out.get(name, "")
    if left_out == NOT_FITTED and result.problem:  # other reasons stand for themselves
        left_out = f"{left_out}: {result.problem}"
    return {
        "factor": Cell(value=term.factor),
        "compared": Cell(value=term.compared),
        "odds_ratio": Cell.of(odds, result.observations),
        "reconstructions": Cell(value=int(there.sum())),
        "annotated": Cell(value=int(outcome[there].sum())),
        "left_out": Cell(value=left_out),
    }


def _dropped(factor: str, why: str) -> dict[str, Cell]:
    return {"factor": Cell(value=factor), "odds_ratio": Cell(value=None), "left_out": Cell(value=why)}


def _note(result: Regression, unknown: int, annotated: int, total: int) -> str:
    if not total:
        return "No odds ratios: of no reconstruction is it known that somebody has seen it."
    lines = [
        "Logistic regression of whether a reconstruction has at least one annotation, over the"
        f" {count(total, 'reconstruction')} that were seen ({annotated} annotated)."
    ]
    if result.problem:
        lines.append(f"Nothing could be estimated: {result.problem} (a picture is a cluster).")
    else:
        lines.append(
            f"Odds ratios are from {result.observations} of them, of {count(result.clusters, 'picture')}; intervals"
            " (95 %) allow for reconstructions of one picture being alike (generalised estimating equations,"
            f" {'independence' if result.correlation is None else 'exchangeable correlation'}, sandwich errors)."
            " They are associations in this corpus, not causes: what was not measured may be behind them."
        )
    if result.correlation is not None:
        lines.append(f"Correlation within a picture as fitted: {result.correlation:.2f}.")
    if unknown:
        lines.append(f"{count(unknown, 'reconstruction')} with an unknown factor stayed out.")
    if result.separated:
        lines.append(
            f"{count(result.separated, 'reconstruction')} stayed out because a factor tells them apart perfectly"
            " (separation); such factors have no finite odds ratio, which is not the same as no association."
        )
    if not result.problem:
        lines += _cautions(result)
    return " ".join(lines)


def _cautions(result: Regression) -> list[str]:
    cautions = []
    if result.clusters < LEAST_CLUSTERS:
        cautions.append(f"Caution: fewer than {LEAST_CLUSTERS} pictures; the intervals are too narrow.")
    rarer = min(result.positives, result.observations - result.positives)
    if rarer < _LEAST_EVENTS * len(result.odds):
        ratios = count(len(result.odds), "odds ratio")
        cautions.append(f"Caution: {rarer} of the rarer outcome are few for {ratios}, which may be too extreme.")
    return cautions
