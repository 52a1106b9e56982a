"""Rate-distortion curves and the drift over generations as pictures; the same figures give the same bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from miscomp.codecs.catalog import CODECS
from miscomp.evaluate.memory import MemoryRow
from miscomp.evaluate.published import PublishedCurve
from miscomp.evaluate.results import Curve, DriftPoint, Point
from miscomp.report.plots import plot, save_plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Metric = Literal["psnr", "ms-ssim"]

_COLOURS = ("#5b6770", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#0066b3", "#7b3fa0", "#1b1b1b")
"""By place in the registry of codecs, so that a codec keeps its colour from plot to plot; told apart by the
colour-blind too."""
_MARKERS = "so^Dv*PX"
_SIZE = (8.4, 5.4)
_DASHES = ((6, 2), (2, 1.6), (7, 2, 1.5, 2), (4, 1.5, 1.5, 1.5, 1.5, 1.5))
_LABELS = {
    "psnr": ("Rate and PSNR", "PSNR (dB, mean of images)"),
    "ms-ssim": ("Rate and MS-SSIM", "MS-SSIM (dB, of the mean of images)"),
}


def draw_curves(curves: Sequence[Curve], published: Sequence[PublishedCurve], metric: Metric, stem: Path) -> None:
    """Write `stem.png` and `stem.svg`: measured curves over real rate, published ones dashed and named so.

    Published curves are cut where the measured ones end; points without loss cannot be drawn.
    """
    measured = [(curve.codec, _shown(curve, metric)) for curve in curves]
    measured = [(name, points) for name, points in measured if points]
    if not measured:
        return
    title, label = _LABELS[metric]
    subtitle = f"{_images(curves[0].images)}; real bits of whole files{'; dashed: as published' if published else ''}"
    with plot(title, _SIZE, subtitle=subtitle) as (figure, axes):
        end = 1.06 * max(bpp for _, points in measured for bpp, _ in points)
        heights = [height for _, points in measured for _, height in points]
        pad = 0.07 * (max(heights) - min(heights)) or 0.5
        _draw_published(axes, published, metric, end=end)
        for name, points in measured:
            colour, marker = _look(name)
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, ms=5.5, lw=2, label=name, zorder=3)
        span = (min(heights) - pad, max(heights) + pad)
        axes.set(xlim=(0, end), ylim=span, xlabel="Rate (bits per pixel)", ylabel=label)
        handles, labels = axes.get_legend_handles_labels()
        order = sorted(range(len(labels)), key=lambda place: labels[place].endswith("(published)"))
        axes.legend(
            [handles[place] for place in order], [labels[place] for place in order], loc="lower right", frameon=True,
            facecolor="white", edgecolor="none", framealpha=0.9, handlelength=2.6, labelspacing=0.45,
        )  # fmt: skip
        save_plot(figure, stem)


def draw_drift(drift: Sequence[DriftPoint], stem: Path) -> None:
    """Write `stem.png` and `stem.svg`: PSNR to the original by generation, one line per codec and setting."""
    lines: dict[tuple[str, str], list[DriftPoint]] = {}
    for one in drift:
        if math.isfinite(one.psnr_db.value):
            lines.setdefault((one.codec, one.setting), []).append(one)
    if not lines:
        return
    subtitle = f"{_images(drift[0].bpp.n)}; PSNR to the original after compressing again and again at one quality"
    with plot("Drift over generations", _SIZE, subtitle=subtitle) as (figure, axes):
        named: set[str] = set()
        for (codec, _), points in lines.items():
            colour, marker = _look(codec)
            xs, ys = [one.generation for one in points], [one.psnr_db.value for one in points]
            axes.plot(xs, ys, color=colour, marker=marker, ms=4, lw=1.6, label=None if codec in named else codec)
            named.add(codec)
        _label_ends(axes, lines)
        last = max(one.generation for one in drift)
        axes.set(xlim=(0.8, last + max(0.4, 0.09 * last)), xlabel="Generation", ylabel="PSNR (dB, mean of images)")
        axes.set_xticks(range(1, last + 1, max(1, last // 8)))
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, borderaxespad=0)
        save_plot(figure, stem)


def draw_memory(rows: Sequence[MemoryRow], stem: Path) -> None:
    """Write `stem.png` and `stem.svg`: for each codec the highest peak among its settings, encoding and decoding.

    What the process held before it coded is drawn pale, where the system tells it.
    """
    if not rows:
        return
    names = list(dict.fromkeys(row.codec for row in rows))
    picture = f"{rows[0].width} x {rows[0].height} pixels"
    subtitle = f"{picture}; fresh processes, whole; pale: before coding; the setting that takes most"
    with plot("Peak memory", (_SIZE[0], 1.9 + 0.55 * len(names)), subtitle=subtitle) as (figure, axes):
        for place, name in enumerate(names):
            mine = [row for row in rows if row.codec == name]
            encode = max((row.encode_peak_mb, row.encode_before_mb or 0.0) for row in mine)
            decode = max((row.decode_peak_mb, row.decode_before_mb or 0.0) for row in mine)
            for offset, label, (peak, before) in ((-0.2, "encode", encode), (0.2, "decode", decode)):
                y, colour = place + offset, _look(name)[0]
                axes.barh(y, peak, 0.34, color=colour, zorder=3)
                axes.barh(y, before, 0.34, color="white", alpha=0.55, zorder=4)
                text = f"{label} {peak:.0f}"
                axes.annotate(text, (peak, y), (5, -3), textcoords="offset points", fontsize=8, color=colour)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set(xlim=(0, 1.2 * max(max(row.encode_peak_mb, row.decode_peak_mb) for row in rows)))
        axes.set_xlabel("Resident memory (MB, 10^6 bytes)")
        axes.grid(visible=False, axis="y")
        save_plot(figure, stem)


def _images(count: int) -> str:
    return f"{count} image{'s' if count != 1 else ''}"


def _label_ends(axes: Axes, lines: Mapping[tuple[str, str], Sequence[DriftPoint]]) -> None:
    """Write each setting behind its line's end, from below, each at least a line of text above the one before."""
    low, high = axes.get_ylim()
    gap, place = (high - low) / 36, -math.inf
    for (codec, setting), points in sorted(lines.items(), key=lambda item: item[1][-1].psnr_db.value):
        place = max(points[-1].psnr_db.value, place + gap)
        end = (points[-1].generation, place)
        axes.annotate(setting, end, (7, -3), textcoords="offset points", fontsize=8, color=_look(codec)[0])


def _shown(curve: Curve, metric: Metric) -> list[tuple[float, float]]:
    def height(point: Point) -> float | None:
        return point.psnr_db.value if metric == "psnr" else point.ms_ssim_db

    heights = ((point.bpp.value, height(point)) for point in curve.line)
    return [(bpp, value) for bpp, value in heights if value is not None and math.isfinite(value)]


def _draw_published(axes: Axes, published: Sequence[PublishedCurve], metric: Metric, *, end: float) -> None:
    for place, curve in enumerate(published):
        values = curve.psnr_db if metric == "psnr" else curve.ms_ssim_db
        if values is None:
            continue
        points = list(zip(curve.bpp, values, strict=True))
        # One point beyond the end, so that the line leaves the picture instead of ending in it.
        shown = points[: 1 + sum(bpp < end for bpp, _ in points)]
        grey = ("#8a949b", "#3d464c", "#a8764f", "#6f8fa8")[place % 4]
        dashes = (0, _DASHES[place % len(_DASHES)])
        label = f"{curve.name} (published)"
        axes.plot(*zip(*shown, strict=True), color=grey, lw=1.4, linestyle=dashes, label=label, zorder=2)


def _look(codec: str) -> tuple[str, str]:
    place = CODECS.names.index(codec)
    # A round of colours later the markers are shifted, so that no two codecs share both.
    return _COLOURS[place % len(_COLOURS)], _MARKERS[(place + place // len(_COLOURS)) % len(_MARKERS)]
