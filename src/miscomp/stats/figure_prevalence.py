"""How many reconstructions are miscompressed, by rate, and what kinds of miscompressions there are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miscomp.benchmark.bootstrap import Figure
from miscomp.records import Annotation
from miscomp.report.plots import INK, panels, save_plot
from miscomp.report.summary import UNCLASSIFIED, Share, wilson
from miscomp.report.wording import count
from miscomp.stats.counted import Counted, model_order
from miscomp.stats.describe import by_photograph
from miscomp.stats.figure_look import (
    RATE_LABEL,
    codecs_of,
    filling,
    filling_words,
    legend_of,
    looks_of,
    plain,
    scale_rates,
)
from miscomp.stats.material import Material
from miscomp.stats.tabular import StatFigure
from miscomp.taxonomy import Category

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ALL = "all"
_KINDS = (*(one.value for one in Category), UNCLASSIFIED, "symbol")
_TITLES = {UNCLASSIFIED: "no category", "symbol": "a symbol changed"}


def draw_prevalence(counted: Counted, folder: Path) -> StatFigure | None:
    """Share of viewed reconstructions with at least one annotation against rate; none without views of known rate."""
    material = counted.material
    points = prevalence(counted)
    if not points:
        return None
    codecs = {codec: [m for m in models if m in points] for codec, models in codecs_of(material).items()}
    looks = {codec: look for codec, look in looks_of(list(codecs)).items() if codecs[codec]}
    total = sum(share.total for _, share in points.values())
    title = "Prevalence of miscompressions"
    subtitle = (
        f"Share of {count(total, 'viewed reconstruction')} with at least one annotation, at the median rate.\n"
        f"Bars: 95 % Wilson intervals.{filling_words(material, points)} Lower is better."
    )
    with panels(title, (8.4, 5.2), 1, 1, subtitle=subtitle) as (figure, (axes,)):
        for codec, look in looks.items():
            _draw_codec(axes, material, {model: points[model] for model in codecs[codec]}, look)
        scale_rates(axes, [rate for rate, _ in points.values()])
        top = min(1.0, 1.08 * max(share.interval[1] for _, share in points.values()))
        axes.set(ylim=(0, top), xlabel=RATE_LABEL, ylabel="Reconstructions with an annotation")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
        figure.legend(*legend_of(looks), loc="outside right center", frameon=False, handlelength=4.6)
        save_plot(figure, folder / "prevalence")
    viewed = len(counted.viewed or ())
    unknown = f" {viewed - total} viewed ones of unknown rate are left out." if viewed > total else ""
    values = "; ".join(
        f"{model} {share.count} of {share.total} at {rate:.3g} bpp" for model, (rate, share) in points.items()
    )
    note = (
        f"{counted.note} Share of the viewed reconstructions of each model with at least one annotation, with 95 %"
        " Wilson intervals, at the median of their real bits per pixel; lines join the settings of a codec and are no"
        f" measurements.{unknown} Codecs that were shown different pictures, or by different labelers, differ for that"
        f" too. {values}."
    )
    return StatFigure(name="prevalence", title=title, note=note)


def _draw_codec(
    axes: Axes, material: Material, points: Mapping[str, tuple[float, Share]], look: Mapping[str, Any]
) -> None:
    colour = look["color"]
    middles = [(rate, share.count / share.total) for rate, share in points.values()]
    axes.plot(*zip(*middles, strict=True), color=colour, linestyle=look["linestyle"], lw=1.5, zorder=3)
    for (model, (rate, share)), (_, middle) in zip(points.items(), middles, strict=True):
        axes.plot([rate] * 2, share.interval, color=colour, lw=1.4, alpha=0.8, zorder=2)
        marker = {"marker": look["marker"], "mec": colour, "mfc": filling(material, model, colour)}
        # A share of 0 or 1 lies on the edge.
        axes.plot(rate, middle, ms=8, mew=1.6, zorder=4, clip_on=False, **marker)


def prevalence(counted: Counted) -> dict[str, tuple[float, Share]]:
    """By model: median real rate of its viewed reconstructions, and the share of them with an annotation.

    Reconstructions of unknown rate are left out.
    """
    viewed = counted.viewed or frozenset()
    rates: dict[str, list[float]] = {}
    hits: dict[str, int] = {}
    drawn = {(one.image_sha1, one.model) for one in counted.material.annotations}
    for row in counted.material.images:
        pair = row.image_sha1, row.model
        if pair in viewed and row.bpp is not None:
            rates.setdefault(row.model, []).append(row.bpp)
            hits[row.model] = hits.get(row.model, 0) + (pair in drawn)
    return {
        model: (statistics.median(found), wilson(hits[model], len(found)))
        for model in model_order(counted.material)
        if (found := rates.get(model))
    }


def draw_categories(counted: Counted, folder: Path) -> StatFigure | None:
    """Shares of the boxes by main category and of those in which a symbol changed, by codec; none without boxes."""
    shares = category_shares(counted)
    if not shares:
        return None
    title = "Categories of miscompressions"
    subtitle = "Share of each codec's boxes (n), by main category; lines: 95 % Wilson intervals, pictures as clusters."
    # The next round share beyond everything that is drawn.
    ends = [
        end or 0.0 for _, found in shares.values() for one in found.values() for end in one.interval or (one.value,)
    ]
    end = min(1.0, 0.2 * math.ceil(max(ends) / 0.2)) or 1.0
    size = (11.2, 1.45 + 0.36 * len(shares))
    with panels(title, size, 1, len(_KINDS), subtitle=subtitle) as (figure, axes):
        for one, kind in zip(axes, _KINDS, strict=True):
            one.set_title(_TITLES.get(kind, kind), loc="left", fontsize=10)
            _draw_bars(one, [found[kind] for _, found in shares.values()], "#b4bec5" if kind == "symbol" else "#6aa8dc")
            one.grid(visible=False, axis="y")
            one.set_xlim(0, end)
            one.set_xticks([0, end / 2, end], [f"{100 * place:g} %" for place in (0, end / 2, end)])
        names = [f"{plain(codec)}  ({n})" for codec, (n, _) in shares.items()]
        axes[0].set_yticks(range(len(shares)), names)
        axes[0].invert_yaxis()
        save_plot(figure, folder / "categories")
    note = (
        f"{counted.note} Share of the boxes by main category, and, apart from that, of the boxes in which a symbol"
        " changed; 95 % Wilson intervals, in which boxes of a picture count as far as they vary like independent ones."
        " A picture with many boxes counts for more. Where labelers may leave the category"
        f" out, the shares are of what they chose to say. {_spelt(shares)}"
    )
    return StatFigure(name="categories", title=title, note=note)


def _draw_bars(axes: Axes, shares: Sequence[Figure], colour: str) -> None:
    for place, share in enumerate(shares):
        axes.barh(place, share.value or 0.0, 0.62, color=colour, zorder=3)
        if share.interval is not None:
            ends = [end or 0.0 for end in share.interval]
            axes.plot(ends, [place, place], color=INK, lw=1.3, marker="|", ms=5, zorder=4, clip_on=False)


def category_shares(counted: Counted) -> dict[str, tuple[int, Mapping[str, Figure]]]:
    """By codec, and for all where there are several: the boxes, and the share of each category and of symbols."""
    material = counted.material
    groups = {
        codec: [one for one in material.annotations if one.model in models]
        for codec, models in codecs_of(material).items()
    }
    groups = {codec: boxes for codec, boxes in groups.items() if boxes}
    shares: dict[str, tuple[int, Mapping[str, Figure]]] = {
        codec: (len(boxes), _shares(boxes)) for codec, boxes in groups.items()
    }
    if len(groups) > 1 and _ALL not in groups:
        shares[_ALL] = (len(material.annotations), _shares(material.annotations))
    return shares


def _shares(boxes: Sequence[Annotation]) -> dict[str, Figure]:
    """With the intervals of the table of categories."""
    mains = [(one.image_sha1, one.categories[0].value if one.categories else UNCLASSIFIED) for one in boxes]
    cells = {kind: by_photograph([(sha1, main == kind) for sha1, main in mains]) for kind in _KINDS[:-1]}
    cells["symbol"] = by_photograph([(one.image_sha1, one.symbol) for one in boxes])
    return {
        kind: Figure(value=None if one.value is None else float(one.value), interval=(one.low, one.high))
        for kind, one in cells.items()
    }


def _spelt(shares: Mapping[str, tuple[int, Mapping[str, Figure]]]) -> str:
    lines = []
    for codec, (n, found) in shares.items():
        parts = ", ".join(f"{_TITLES.get(kind, kind)} {100 * (one.value or 0):.1f} %" for kind, one in found.items())
        lines.append(f"{codec} (n = {n}): {parts}")
    return "; ".join(lines) + "."
