"""The plot of `slic_washing.py`: what quality an attack keeps, and what it leaves of the protection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from miscomp.report.plots import GRID, PALE, plot, save_plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 5
_BLIND, _INFORMED = "#0072b2", "#d55e00"
"""Told apart by the colour-blind too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One attack."""

    title: str
    informed: bool
    curve: Sequence[tuple[float, float]]
    """PSNR kept in dB and blocks destroyed in %, from the gentlest strength to the strongest."""
    cost: str
    """What to write large: the quality at which protection is gone."""
    successes: str


def draw(panels: Sequence[Panel], stem: Path, *, subtitle: str) -> None:
    """Write `stem.png` and `stem.svg`: a panel for each attack, in which all others are drawn pale."""
    rows = -(-len(panels) // _COLUMNS)
    with plot("", (13, 1.9 + 2.3 * rows)) as (figure, _):
        figure.clear()
        grid = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            _draw(axes, panel, panels)
        for place, axes in enumerate(grid):
            axes.set_visible(place < len(panels))
            # The lowest panel of a column bears the scale, also where the last row is not full.
            axes.tick_params(length=0, labelbottom=place + _COLUMNS >= len(panels))
        title = f"What it costs to wash the perturbation out\n{subtitle}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, linespacing=1.4)
        figure.supxlabel("Quality kept: PSNR between the coded picture x1 and the washed one (dB)", fontsize=10)
        figure.supylabel("Protection left: blocks destroyed when compressed again (%)", fontsize=10)
        save_plot(figure, stem)


def _draw(axes: Axes, panel: Panel, panels: Sequence[Panel]) -> None:
    colour = _INFORMED if panel.informed else _BLIND
    for other in panels:
        axes.plot(*_finite(other), color="#d5dade", lw=0.9, zorder=1)
    axes.axhline(50, color=PALE, lw=0.9, ls=(0, (3, 3)), zorder=2)
    axes.plot(*_finite(panel), color=colour, marker="o", ms=4.5, lw=2, zorder=3, clip_on=False)
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold", color=colour, pad=24)
    _above(axes, panel.cost, 0, "left")
    _above(axes, panel.successes, 1, "right")
    axes.set(ylim=(-3, 103), yticks=(0, 50, 100))
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _above(axes: Axes, text: str, x: float, side: Literal["left", "right"]) -> None:
    axes.annotate(text, (x, 1), (0, 9), "axes fraction", textcoords="offset points", ha=side, fontsize=9.5)


def _finite(panel: Panel) -> tuple[list[float], list[float]]:
    """Without strengths that leave a picture as it is, whose PSNR is infinite."""
    points = [point for point in panel.curve if math.isfinite(point[0])]
    return [x for x, _ in points], [y for _, y in points]
