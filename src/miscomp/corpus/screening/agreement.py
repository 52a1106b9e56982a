"""How far the screening is, and how well the screeners agree: two at a time, on the pictures that both decided on.

Cohen, "A coefficient of agreement for nominal scales", 1960; with linear weights: Cohen, "Weighted kappa", 1968.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from sqlalchemy import Connection

from miscomp.benchmark.bootstrap import Figure, Floats, figure
from miscomp.corpus.config import Config
from miscomp.corpus.entries import Choice, Decision, Meta
from miscomp.corpus.schema import fetch
from miscomp.corpus.selection import Verdict, current, verdicts
from miscomp.report.summary import Share, wilson

CHOICES = tuple(one.value for one in Choice)
"""In the order of the scale."""
RESAMPLES = 2000
SHOWN = "suggestions shown to "
"""Begins the name of the `Meta` row that says since when a screener was shown a detector's suggestions."""

_NOMINAL = 1 - np.eye(len(CHOICES))
_LINEAR = np.abs(np.subtract.outer(np.arange(len(CHOICES)), np.arange(len(CHOICES)))).astype(np.float64)
_IN = np.array([one == Choice.INCLUDE for one in CHOICES])
_IN_OUT = np.not_equal.outer(_IN, _IN).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Two screeners on the pictures that both decided on."""

    first: str
    second: str
    pictures: int
    table: tuple[tuple[int, ...], ...]
    """Pictures by the first one's choice (row) and the second's (column), in the order of `CHOICES`."""
    same: Share
    """The same of three choices."""
    same_in_out: Share
    """The same on the question that decides: include, or not."""
    kappa: Figure
    """Cohen's, of three choices; undefined where both gave one choice alone."""
    kappa_linear: Figure
    """The same, a difference of two steps counting twice that of one."""
    kappa_in_out: Figure
    """Cohen's, of the question that decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningReport:
    """How far the screening of the pictures is that were not removed."""

    pictures: int
    screeners_wanted: int
    verdicts: Mapping[str, int]
    screeners: Mapping[str, Mapping[str, int]]
    """By screener: pictures by choice, and `undecided`."""
    shown_suggestions: Mapping[str, str]
    """Since when, by screener; such decisions are not independent of the detector, nor of each other through it."""
    agreement: tuple[Agreement, ...]


def kappas(tables: Floats, disagreement: Floats) -> Floats:
    """Cohen's kappa of each table (n, k, k) of counts; NaN where chance alone would leave no disagreement.

    `disagreement` (k, k) weighs the cells: 0 on the diagonal; for nominal categories 1 beside it.
    """
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    seen = (tables * disagreement).sum(axis=(1, 2)) * tables.sum(axis=(1, 2))
    chance = np.einsum("ni,nj,ij->n", rows, columns, disagreement)
    # Whole numbers until here: the ratio is the only rounding.
    return np.asarray(1 - np.divide(seen, chance, out=np.full_like(chance, np.nan), where=chance > 0))


def agreement(first: str, second: str, choices: Sequence[tuple[str, str]], *, seed: int) -> Agreement:
    """Agreement of two screeners from their choices, picture by picture.

    Shares have Wilson intervals; kappas percentile intervals from 2,000 draws of the pictures with replacement. A kappa
    of 1 has none: draws from perfect agreement are perfect, which says nothing about other pictures. Nor has the 0 of a
    screener who gave one answer alone, which is 0 in every draw.
    """
    table = np.zeros((len(CHOICES), len(CHOICES)), dtype=np.int64)
    for one, other in choices:
        table[CHOICES.index(one), CHOICES.index(other)] += 1
    n = len(choices)
    tables = table[None].astype(np.float64)
    if n:
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(n, table.ravel() / n, size=RESAMPLES).reshape(-1, *table.shape)
        tables = np.concatenate([tables, drawn])

    def estimate(disagreement: Floats) -> Figure:
        found = figure(kappas(tables, disagreement), n)
        return Figure(value=found.value) if found.interval and found.interval[0] == found.interval[1] else found

    return Agreement(
        first=first,
        second=second,
        pictures=n,
        table=tuple(tuple(int(cell) for cell in row) for row in table),
        same=wilson(int(table.trace()), n),
        same_in_out=wilson(n - int((table * _IN_OUT).sum()), n),
        kappa=estimate(_NOMINAL),
        kappa_linear=estimate(_LINEAR),
        kappa_in_out=estimate(_IN_OUT),
    )


def screening_report(connection: Connection, config: Config) -> ScreeningReport:
    """Counts and agreement; each pair of screeners once, by name. Pictures that were removed do not count."""
    found = verdicts(connection, config)
    said: dict[str, dict[str, str]] = {}
    for (sha1, screener), one in current(fetch(connection, Decision)).items():
        if sha1 in found:
            said.setdefault(screener, {})[sha1] = one.choice
    names = sorted(said)
    shown = {one.name.removeprefix(SHOWN): one.value for one in fetch(connection, Meta) if one.name.startswith(SHOWN)}
    pairs = []
    for first, second in combinations(names, 2):
        both = sorted({*said[first]} & {*said[second]})
        choices = [(said[first][sha1], said[second][sha1]) for sha1 in both]
        pairs.append(agreement(first, second, choices, seed=config.seed))
    return ScreeningReport(
        pictures=len(found),
        screeners_wanted=config.screening.screeners,
        verdicts={str(one): list(found.values()).count(one) for one in Verdict},
        screeners={name: _counts(said[name], len(found)) for name in names},
        shown_suggestions=shown,
        agreement=tuple(pairs),
    )


def _counts(said: Mapping[str, str], pictures: int) -> dict[str, int]:
    given = list(said.values())
    return {one: given.count(one) for one in CHOICES} | {"undecided": pictures - len(given)}


def report_record(report: ScreeningReport) -> dict[str, Any]:
    """The report for JSON; what is undefined is null."""
    record = asdict(report)
    for one, pair in zip(report.agreement, record["agreement"], strict=True):
        for name in ("same", "same_in_out"):
            share: Share = getattr(one, name)
            defined = share.total > 0
            pair[name] = {
                "value": share.count / share.total if defined else None,
                "interval": list(share.interval) if defined else None,
            }
    return record


def report_text(report: ScreeningReport) -> str:
    """The report for people."""
    lines = [f"{report.pictures} pictures, to be screened by {report.screeners_wanted}"]
    lines += [f"  {name:10} {number:6}" for name, number in report.verdicts.items()]
    for name, counts in report.screeners.items():
        said = ", ".join(f"{number} {choice}" for choice, number in counts.items())
        since = report.shown_suggestions.get(name)
        lines.append(f"{name}: {said}" + (f"; was shown suggestions, first on {since}" if since else ""))
    for pair in report.agreement:
        lines += ["", *_agreement_lines(pair)]
    if len(report.screeners) < 2:
        lines.append("agreement: none; it takes two screeners")
    return "\n".join(lines)


def _agreement_lines(pair: Agreement) -> list[str]:
    lines = [f"{pair.first} and {pair.second}: {pair.pictures} pictures that both decided on"]
    if not pair.pictures:
        return [*lines, "  agreement: undefined, they have no picture in common"]
    rows = (("same choice of three", pair.same), ("same on include or not", pair.same_in_out))
    for what, share in rows:
        low, high = share.interval
        value = 100 * share.count / share.total
        lines.append(
            f"  {what:24} {value:6.1f} % ({share.count} of {share.total}; 95 % {100 * low:.1f} to {100 * high:.1f})"
        )
    kappa_rows = (
        ("kappa, three choices", pair.kappa),
        ("kappa, linear weights", pair.kappa_linear),
        ("kappa, include or not", pair.kappa_in_out),
    )
    lines += [f"  {what:24} {_kappa_text(one)}" for what, one in kappa_rows]
    lines.append(f"  {pair.first} down, {pair.second} across: " + ", ".join(CHOICES))
    lines += [
        f"  {choice:12}" + "".join(f"{cell:7}" for cell in row) for choice, row in zip(CHOICES, pair.table, strict=True)
    ]
    return lines


def _kappa_text(one: Figure) -> str:
    if one.value is None:
        return "undefined: both gave one and the same answer throughout"
    if one.interval is None:
        why = (
            "no disagreement to draw from"
            if one.value == 1
            else "one of the two gave one answer alone"
            if one.value == 0
            else "too few pictures"
        )
        return f"{one.value:6.3f} (no interval: {why})"
    low, high = one.interval
    return f"{one.value:6.3f} (95 % {low:.3f} to {high:.3f}, bootstrap over pictures)"
