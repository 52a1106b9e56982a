"""Logistic regression of observations that come in clusters, which says what the data cannot tell.

Generalised estimating equations with an exchangeable correlation and sandwich errors (Liang and Zeger 1986). Where
some observations are told apart perfectly, no finite odds ratio fits best; they are found by linear programming
(Konis 2007) and taken out, with the columns that then no longer vary: what is left is the limit of the whole fit.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.special import ndtri

from miscomp.benchmark.bootstrap import LEVEL, Figure
from miscomp.errors import MissingExtra
from miscomp.stats.ratings import Indices

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SAME = "the same for all"
TOLD = "follows from the factors above it"
PERFECT = "no finite odds ratio: it tells annotated from other reconstructions perfectly"
NOT_FITTED = "not estimated"

_TOLERANCE = 1e-7
_MOST_ITERATIONS = 200
_MOST_LOGIT = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """What the fit says; every column is either in `odds` or in `left_out`."""

    odds: Mapping[str, Figure]
    """Odds ratios for one unit more of a column, all others held, with 95 % intervals."""
    left_out: Mapping[str, str]
    """Columns without an odds ratio, and why."""
    observations: int
    """That the odds ratios are taken from."""
    positives: int
    clusters: int
    separated: int
    """Observations that were taken out because they are told apart perfectly."""
    correlation: float | None
    """Of two observations of a cluster, as fitted.

    None where the fit took them for independent (errors still allow for clusters), or where nothing was fitted.
    """
    problem: str = ""
    """Why nothing was fitted."""


def regress(outcome: Bools, columns: Mapping[str, Floats], cluster: Indices) -> Regression:
    """Odds ratios of an outcome. `columns` are finite values by name, without the constant, the first preferred.

    Raises `MissingExtra` where statsmodels is not installed.
    """
    left_out: dict[str, str] = {}
    names, rows = list(columns), np.ones(len(outcome), dtype=np.bool_)
    while True:
        names, others = _varying(names, columns, rows)
        left_out = {**others, **left_out}
        if not rows.any() or outcome[rows].all() or not outcome[rows].any():
            break
        direction = _separating(_design(names, columns, rows), outcome[rows])
        if direction is None:
            break
        told = np.abs(_design(names, columns, rows) @ direction) > _TOLERANCE
        moved = {name for name, step in zip(names, direction[1:], strict=True) if abs(step) > _TOLERANCE}
        # Last in order, so that of columns that become alike these are the ones that go.
        names = [*(name for name in names if name not in moved), *(name for name in names if name in moved)]
        left_out |= dict.fromkeys(moved, PERFECT)
        rows[rows] = ~told
    left_out = {name: why for name, why in left_out.items() if name not in names}
    return _fitted(outcome[rows], {name: columns[name][rows] for name in names}, cluster[rows], left_out, len(rows))


def _design(names: Sequence[str], columns: Mapping[str, Floats], rows: Bools) -> Floats:
    """A constant and the columns, each centred and of standard deviation 1, so that tolerances mean the same."""
    values = np.stack([columns[name][rows] for name in names], axis=1) if names else np.empty((int(rows.sum()), 0))
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    return np.concatenate([np.ones((len(values), 1)), values], axis=1)


def _varying(names: Sequence[str], columns: Mapping[str, Floats], rows: Bools) -> tuple[list[str], dict[str, str]]:
    """Columns that add something to a constant and those before them; the others, and why they do not."""
    basis = np.ones((int(rows.sum()), 1)) / max(math.sqrt(int(rows.sum())), 1)
    kept, others = [], {}
    for name in names:
        values = columns[name][rows]
        values = values - values.mean() if len(values) else values
        length = float(np.linalg.norm(values))
        # Twice, because once leaves rounding errors behind (Gram and Schmidt).
        rest = values - basis @ (basis.T @ values)
        rest = rest - basis @ (basis.T @ rest)
        if length <= _TOLERANCE * float(np.abs(columns[name]).max(initial=0.0)):
            others[name] = SAME
        elif np.linalg.norm(rest) <= _TOLERANCE * length:
            others[name] = TOLD
        else:
            basis = np.concatenate([basis, (rest / np.linalg.norm(rest))[:, None]], axis=1)
            kept.append(name)
    return kept, others


def _separating(design: Floats, outcome: Bools) -> Floats | None:
    """Coefficients that put no observation on the wrong side and some on the right one; none where there are none."""
    sides = design * np.where(outcome, 1.0, -1.0)[:, None]
    found = linprog(-sides.sum(axis=0), A_ub=-sides, b_ub=np.zeros(len(sides)), bounds=(-1, 1), method="highs")
    if found.x is None or -found.fun <= _TOLERANCE * len(sides):
        return None
    return np.asarray(found.x, dtype=np.float64)


def _fitted(
    outcome: Bools, columns: Mapping[str, Floats], cluster: Indices, left_out: Mapping[str, str], before: int
) -> Regression:
    counts: dict[str, Any] = {
        "observations": len(outcome),
        "positives": int(outcome.sum()),
        "clusters": len(np.unique(cluster)),
        "separated": before - len(outcome),
    }
    problem = ""
    if counts["clusters"] <= len(columns) + 1:
        # Sandwich errors of so few clusters shrink to nothing.
        problem = f"{len(columns)} odds ratios need more than {len(columns) + 1} clusters, got {counts['clusters']}"
    if outcome.all() or not outcome.any():
        problem = "all outcomes are the same" if len(outcome) else "nothing is left to compare"
    elif not columns:
        problem = "no factor varies"
    if not problem:
        found = _estimated(outcome, columns, cluster)
        if not isinstance(found, str):
            odds, correlation = found
            return Regression(odds=odds, left_out=left_out, correlation=correlation, **counts)
        problem = found
    rest = {name: left_out.get(name, NOT_FITTED) for name in [*left_out, *columns]}
    return Regression(odds={}, left_out=rest, correlation=None, problem=problem, **counts)


def _estimated(
    outcome: Bools, columns: Mapping[str, Floats], cluster: Indices
) -> tuple[dict[str, Figure], float | None] | str:
    """Odds ratios and the correlation in a cluster, or why there are none."""
    try:
        import statsmodels.api as models
    except ImportError:
        raise MissingExtra("statsmodels", "stats", "a regression of factors") from None
    structures = [models.cov_struct.Independence()]
    if len(np.unique(cluster)) < len(cluster):
        # In small samples the fitted correlation can run away; without one, the fit is the plain logistic one.
        structures.insert(0, models.cov_struct.Exchangeable())
    design = np.column_stack([np.ones(len(outcome)), *columns.values()])
    for structure in structures:
        # Its warnings are about what is looked at below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            family = models.families.Binomial()
            model = models.GEE(outcome.astype(np.float64), design, groups=cluster, family=family, cov_struct=structure)
            fit = model.fit(maxiter=_MOST_ITERATIONS)
            values, errors = np.asarray(fit.params), np.asarray(fit.bse)
        if fit.converged and _sound(design, values, errors):
            exchangeable = isinstance(structure, models.cov_struct.Exchangeable)
            return _ratios(list(columns), values[1:], errors[1:]), float(structure.dep_params) if exchangeable else None
    return "the fit did not converge"


def _sound(design: Floats, values: Floats, errors: Floats) -> bool:
    """Whether a fit is finite, with chances that are not all but 0 or 1: such are a fit that ran away."""
    if not np.isfinite([*values, *errors]).all() or (errors <= 0).any():
        return False
    return float(np.abs(design @ values).max()) < _MOST_LOGIT


def _ratios(names: Sequence[str], values: Floats, errors: Floats) -> dict[str, Figure]:
    half, odds = float(ndtri((1 + LEVEL) / 2)) * errors, {}
    for name, value, width in zip(names, values, half, strict=True):
        with np.errstate(over="ignore"):
            low, middle, high = (float(end) for end in np.exp([value - width, value, value + width]))
        odds[name] = Figure(value=middle, interval=(low, high if math.isfinite(high) else None))
    return odds
