"""Bit rates that the models reached, beside their targets (SCLIC, appendix Table 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from miscomp.benchmark.bootstrap import Floats, figure
from miscomp.corpus.inventory import spread
from miscomp.records import ImageRow
from miscomp.stats.counted import model_order
from miscomp.stats.intervals import alike, quantile_cells, ratio, resampled
from miscomp.stats.material import Material
from miscomp.stats.tabular import Cell, Column, StatTable

_COLUMNS = (
    Column(key="model", title="Model"),
    Column(key="codec", title="Codec"),
    Column(key="rate", title="Rate"),
    Column(key="setting", title="Setting", about="Name and setting of the codec"),
    Column(
        key="target", title="Target", about="Rate that was asked for; none where a quality was", unit="bpp", decimals=2
    ),
    Column(key="mean", title="Mean", about="Over reconstructions; n of them", unit="bpp", decimals=3),
    Column(key="std", title="Std", about="Standard deviation of the sample (n - 1)", unit="bpp", decimals=3),
    Column(key="q25", title="25 %", about="Lower quartile", unit="bpp", decimals=3),
    Column(key="median", title="50 %", about="Median", unit="bpp", decimals=3),
    Column(key="q75", title="75 %", about="Upper quartile", unit="bpp", decimals=3),
    Column(key="images", title="Reconstructions", about="All there are, viewed or not"),
    Column(key="unknown", title="Rate unknown", about="Reconstructions without a known file size; in no other number"),
)
_NOTE = (
    "Real rates: bits of the file on disk per pixel, of each reconstruction, viewed or not. The numbers describe these "
    "reconstructions exactly. The 95 % intervals say how well they are known for photographs like these: bootstrap "
    "over photographs for mean and standard deviation, too narrow for fewer than 20 of them; order statistics for "
    "quartiles."
)
_SUMS = 3
"""Columns of sums that a model needs: number, deviations from its mean, and their squares."""


def rate_table(material: Material, *, resamples: int = 1000, seed: int = 0) -> StatTable:
    """Table 3 of the appendix for any corpus."""
    names = model_order(material)
    rows: dict[str, list[ImageRow]] = {name: [] for name in names}
    for one in material.images:
        rows[one.model].append(one)
    sums = _resampled(rows, resamples, seed)
    return StatTable(
        name="rates",
        title="Bit rates by model",
        note=_NOTE,
        columns=_COLUMNS,
        rows=tuple(
            {
                "model": Cell(value=name),
                "codec": Cell(value=material.codec_of(name)),
                "rate": Cell(value=material.rate_of(name)),
                **_about(material, name),
                **_numbers(rows[name], sums[:, _SUMS * at :][:, :_SUMS]),
                "images": Cell(value=len(rows[name])),
                "unknown": Cell(value=sum(one.bpp is None for one in rows[name])),
            }
            for at, name in enumerate(names)
        ),
    )


def _about(material: Material, name: str) -> dict[str, Cell]:
    model = material.models.get(name)
    return {
        "setting": Cell(value=f"{model.codec} {model.setting}".strip() if model else ""),
        "target": Cell(value=model.target_bpp if model else None),
    }


def _known(rows: Sequence[ImageRow]) -> list[float]:
    return [one.bpp for one in rows if one.bpp is not None]


def _resampled(rows: dict[str, list[ImageRow]], resamples: int, seed: int) -> Floats:
    """Sums (1 + resamples, models * 3) over photographs."""
    sources = sorted({one.image_sha1 for group in rows.values() for one in group})
    place = {sha1: number for number, sha1 in enumerate(sources)}
    values = np.zeros((len(sources), len(rows), _SUMS))
    for at, group in enumerate(rows.values()):
        found = spread(_known(group))
        for one in group:
            if one.bpp is not None and found is not None:
                step = one.bpp - found.mean
                values[place[one.image_sha1], at] = (1, step, step * step)
    return resampled(values.reshape(len(sources), len(rows) * _SUMS), resamples, seed)


def _numbers(rows: Sequence[ImageRow], sums: Floats) -> dict[str, Cell]:
    known = _known(rows)
    found = spread(known)
    q25, median, q75 = quantile_cells(known)
    if found is None:
        return {"mean": Cell(value=None, n=0), "std": Cell(value=None, n=0), "q25": q25, "median": median, "q75": q75}
    number, steps, squares = sums.T
    mean = ratio(steps, number, found.n).interval
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.where(number > 1, (squares - steps**2 / number) / (number - 1), np.nan)
    deviations = np.sqrt(np.maximum(variance, 0))
    std = figure(deviations, 1 if alike(deviations[~np.isnan(deviations)]) else found.n).interval
    low, high = (found.mean + (end or 0.0) for end in mean) if mean else (None, None)
    return {
        "mean": Cell(value=found.mean, low=low, high=high, n=found.n),
        "std": Cell(value=found.std, low=std[0] if std else None, high=std[1] if std else None, n=found.n),
        "q25": q25,
        "median": median,
        "q75": q75,
    }
