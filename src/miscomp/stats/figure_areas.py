"""How much of a picture is annotated, by rate, and where (SCLIC, Figures 5 of the paper and 6 of its appendix)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from miscomp.corpus.inventory import spread
from miscomp.records import Box
from miscomp.report.plots import GRID, INK, PALE, panels, save_plot
from miscomp.report.wording import count
from miscomp.stats.areas import AnnotatedArea, annotated_areas
from miscomp.stats.counted import Counted, model_order
from miscomp.stats.figure_look import (
    RATE_LABEL,
    codecs_of,
    filling,
    filling_words,
    legend_of,
    looks_of,
    plain,
    scale_rates,
    scale_shares,
)
from miscomp.stats.material import Material
from miscomp.stats.tabular import StatFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

Floats = npt.NDArray[np.float64]

_POINTS, _CELLS = 256, 64
"""Of the unit square, a side: points that are looked at, and cells that are shown."""
_PER_ROW = 4

_Quartiles = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """A model in Figure 5."""

    n: int
    """Reconstructions with a box and a rate."""
    rate: _Quartiles
    union: _Quartiles
    added: _Quartiles


def draw_areas(counted: Counted, folder: Path) -> StatFigure | None:
    """Figure 5: annotated share of pixels against rate; none without a box in a reconstruction of known rate.

    Two panels: each pixel once, and the paper's sum of boxes.
    """
    material = counted.material
    points = _points(material)
    if not points:
        return None
    codecs = {codec: [m for m in models if m in points] for codec, models in codecs_of(material).items()}
    looks = {codec: look for codec, look in looks_of(list(codecs)).items() if codecs[codec]}
    total = sum(one.n for one in points.values())
    title = "Annotated share of a miscompressed picture"
    subtitle = (
        "Median and interquartile range of reconstructions with at least one box, in rate and in share.\n"
        f"{count(total, 'reconstruction')}.{filling_words(material, points)} Lower is better."
    )
    with panels(title, (10.4, 5.0), 1, 2, subtitle=subtitle) as (figure, axes):
        unions = {model: point.union for model, point in points.items()}
        sums = {model: point.added for model, point in points.items()}
        panel = (("Pixels under any box", unions), ("Boxes added up (SCLIC)", sums))
        for one, (name, shares) in zip(axes, panel, strict=True):
            one.set_title(name, loc="left", fontsize=10.5)
            for codec, look in looks.items():
                _draw_codec(one, material, [(m, points[m].rate, shares[m]) for m in codecs[codec]], look)
            one.set_xlabel(RATE_LABEL)
        scale_rates(axes[0], [end for point in points.values() for end in point.rate])
        scale_shares(axes[0], [end for share in (*unions.values(), *sums.values()) for end in share])
        axes[0].set_ylabel("Annotated share of pixels (log scale)")
        figure.legend(*legend_of(looks), loc="outside right center", frameon=False, handlelength=4.6)
        save_plot(figure, folder / "figure5")
    left = sum(row.bpp is None and row.annotations > 0 for row in material.images)
    note = (
        f"{counted.note} Median and interquartile range, by codec and rate, of the share of pixels in boxes, over the"
        f" {count(total, 'reconstruction')} with at least one box, against the median and interquartile range of their"
        " real bits per pixel; both axes are logarithmic. Left, a pixel in several boxes counts once; right, boxes are"
        " added up as SCLIC defines its Figure 5. The ranges show how pictures differ, not how certain a median is."
        f"{f' {left} with a box but of unknown rate are left out.' if left else ''} {_values(points)}"
    )
    return StatFigure(name="figure5", title=f"Figure 5. {title}", note=note)


def _points(material: Material) -> dict[str, _Point]:
    areas = annotated_areas(material)
    found: dict[str, list[tuple[float, AnnotatedArea]]] = {}
    for row in material.images:
        area = areas.get((row.image_sha1, row.model))
        if area is not None and row.bpp is not None:
            found.setdefault(row.model, []).append((row.bpp, area))
    return {
        model: _Point(
            n=len(listed),
            rate=_quartiles([bpp for bpp, _ in listed]),
            union=_quartiles([area.union_share for _, area in listed]),
            added=_quartiles([area.sum_share for _, area in listed]),
        )
        for model in model_order(material)
        if (listed := found.get(model))
    }


def _quartiles(values: Sequence[float]) -> _Quartiles:
    found = spread(values)
    if found is None:
        raise ValueError("quartiles of nothing")
    return found.q25, found.median, found.q75


def _draw_codec(
    axes: Axes, material: Material, points: Sequence[tuple[str, _Quartiles, _Quartiles]], look: Mapping[str, Any]
) -> None:
    colour = look["color"]
    middles = [(rate[1], share[1]) for _, rate, share in points]
    axes.plot(*zip(*middles, strict=True), color=colour, linestyle=look["linestyle"], lw=1.5, zorder=3)
    for model, rate, share in points:
        axes.plot([rate[1]] * 2, [share[0], share[2]], color=colour, lw=1.1, alpha=0.75, zorder=2)
        axes.plot([rate[0], rate[2]], [share[1]] * 2, color=colour, lw=1.1, alpha=0.75, zorder=2)
        fill = filling(material, model, colour)
        axes.plot(rate[1], share[1], marker=look["marker"], ms=8, mec=colour, mfc=fill, mew=1.6, zorder=4)


def _values(points: Mapping[str, _Point]) -> str:
    medians = (
        f"{model} {one.rate[1]:.3g} bpp, {100 * one.union[1]:.3g} % ({100 * one.added[1]:.3g} % added up), n = {one.n}"
        for model, one in points.items()
    )
    return f"Medians: {'; '.join(medians)}."


def draw_places(counted: Counted, folder: Path) -> StatFigure | None:
    """Figure 6: annotated areas on the unit square, one panel a codec with boxes; none without boxes."""
    material = counted.material
    maps = densities(material)
    if not maps:
        return None
    rows = -(-len(maps) // _PER_ROW)
    columns = -(-len(maps) // rows)
    title = "Where annotations lie"
    subtitle = (
        "Annotated areas superimposed on the unit square; each reconstruction counts once at a place.\n"
        "Dark: a larger share of the codec's n reconstructions with at least one box. Top left: 0, 0."
    )
    highest = max(float(shares.max()) for _, shares in maps.values())
    size = (max(2.35 * columns + 1.4, 7.2), 2.6 * rows + 0.95)
    with panels(title, size, rows, columns, subtitle=subtitle) as (figure, axes):
        for one, (codec, (n, shares)) in zip(axes, maps.items(), strict=False):
            one.set_title(f"{plain(codec, longest=14)}  (n = {n})", loc="left", fontsize=10, color=INK)
            image = _draw_map(one, shares, highest)
        for place, one in enumerate(axes):
            one.set_visible(place < len(maps))
            # Numbers stand below the lowest panel of each column, which need not be in the last row.
            one.tick_params(labelbottom=place + columns >= len(maps))
        bar = figure.colorbar(image, ax=axes, shrink=0.9, aspect=24, pad=0.02, format=lambda v, _: f"{100 * v:.3g} %")
        bar.outline.set_visible(False)
        bar.set_label("Share of reconstructions", fontsize=9)
        bar.ax.tick_params(length=0, labelsize=8.5)
        save_plot(figure, folder / "figure6")
    counts = "; ".join(f"{codec} {n}, at most {100 * shares.max():.3g} %" for codec, (n, shares) in maps.items())
    note = (
        f"{counted.note} For each codec, at every place of the picture (scaled to a square, so that shapes are"
        " distorted; top left is 0, 0) the share of the reconstructions with at least one box that have one there;"
        " overlapping boxes of a reconstruction count once. One scale for all codecs. It shows where labelers found"
        " something, which depends on what the pictures show there and on where people look. Reconstructions:"
        f" {counts}."
    )
    return StatFigure(name="figure6", title=f"Figure 6. {title}", note=note)


def _draw_map(axes: Axes, shares: Floats, highest: float) -> AxesImage:
    image = axes.imshow(
        shares, cmap="Blues", vmin=0, vmax=highest, extent=(0.0, 1.0, 1.0, 0.0), interpolation="nearest"
    )
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(GRID)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.tick_params(labelsize=8, labelcolor=PALE)
    return image


def densities(material: Material) -> dict[str, tuple[int, Floats]]:
    """By codec: its reconstructions with a box, and the share of them (64, 64) that have a box over each cell.

    Taken at 4 x 4 points a cell, so that a box smaller than a 256th of a side may fall between them.
    """
    boxes: dict[tuple[str, str], list[Box]] = {}
    for one in material.annotations:
        boxes.setdefault((one.image_sha1, one.model), []).append(one.box)
    found: dict[str, tuple[int, Floats]] = {}
    for codec, models in codecs_of(material).items():
        sums, n = np.zeros((_POINTS, _POINTS)), 0
        for row in material.images:
            if row.model in models and (drawn := boxes.get((row.image_sha1, row.model))):
                sums += _covered(drawn, row.width, row.height)
                n += 1
        if n:
            per_cell = _POINTS // _CELLS
            cells = sums.reshape(_CELLS, per_cell, _CELLS, per_cell).mean(axis=(1, 3))
            found[codec] = (n, cells / n)
    return found


def _covered(boxes: Iterable[Box], width: int, height: int) -> npt.NDArray[np.bool_]:
    """Which points of the unit square, in the middles of 256 x 256 cells, lie in a box."""
    covered = np.zeros((_POINTS, _POINTS), dtype=np.bool_)
    for box in boxes:
        left, right = (_first(edge, width) for edge in (box.x, box.right))
        top, bottom = (_first(edge, height) for edge in (box.y, box.bottom))
        covered[top:bottom, left:right] = True
    return covered


def _first(edge: int, length: int) -> int:
    """The first point at or behind an edge: (k + 1/2) / 256 >= edge / length."""
    return -(-(2 * _POINTS * edge - length) // (2 * length))
