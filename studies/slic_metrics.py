"""Which perceptual metric P makes a codec destroy its own pictures? Table 3 and Figure 3 of SLIC, at equal steps.

Every metric trains a codec of its own from `lucid`: the same photographs, crops, edits (affine, blur, JPEG) and random
numbers, tau and alpha as in the paper. The raw values of the metrics have different ranges (GMSD stays below 0.35,
the logarithms begin below 0), so their losses do not compare; what becomes of the pictures does. Metrics that need
weights which were not fetched are listed as not run.

    MISCOMP_DATA=... python studies/slic_metrics.py photographs -o slic_metrics
    python studies/slic_metrics.py photographs -o slic_metrics --metrics gmsd log-mse --pictures kodim01.png --steps 200

The folder gets `tables.md` (on stdout too), `recompressions.csv` with every picture's own values, `curves.png` and
`curves.svg`, and the runs, which are kept: the same command goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kodak import kodak
from slic_runs import Edit, Study, parser_of, run_study

from miscomp.errors import MiscompError, MissingExtra
from miscomp.metrics.perceptual import PERCEPTUAL
from miscomp.metrics.ssim import MS_MIN_SIDE
from miscomp.report.plots import GRID, plot, save_plot
from miscomp.secure.edits import EDITS, edit
from miscomp.secure.metric_weights import lacking_weights, open_metric_with_files
from miscomp.secure.published import PUBLISHED
from miscomp.training.curves import Points, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {"vgg": "VGG loss"}
"""What the paper calls a metric where it is not the name here in capitals."""

PAPER = {
    metric: (f"{row.psnr_db:.2f}", f"{row.again_db:.2f}")
    for metric in ("lpips", "dists", "gmsd", "nlpd", "vgg", "mse", "ms-ssim")
    for row in PUBLISHED
    if row.name == f"Balle2018 + {NAMES.get(metric, metric.upper())}"
}
"""Table 3, Kodak: PSNR(x, x1) and PSNR(x1, x2)."""

NOTE = (
    "[...]: Huang and Wu 2024, table 3, all of Kodak: bmshj2018-hyperprior at quality 8 (alpha 2.5), trained to the "
    "end; their published code stretches both pictures before the PSNR. The two logarithms are this project's."
)

ATTACKS = "affine,blur,jpeg"

PANELS = {
    "adversarial": ("Adversarial loss", "Both hinges on P (each metric's own scale)"),
    "again_db": ("Re-compression", "PSNR(x1, x2) of the training crops in dB"),
}
"""Figures of the log."""

_COLOURS = ("#0066b3", "#d55e00", "#009e73", "#cc79a7", "#3a93c9", "#7b3fa0", "#b8860b", "#5b6770", "#1b1b1b")
_DASHES = ("-", (0, (6, 2)), (0, (2, 1.4)))
_LINE = 0.052
"""Height of a line of text, as a share of a panel's."""


def main() -> None:
    """Train, measure, draw."""
    parser = parser_of(__doc__, steps=600)
    known = PERCEPTUAL.names
    parser.add_argument("--metrics", nargs="+", choices=known, default=list(known), help="default: all")
    options = parser.parse_args()
    if "ms-ssim" in options.metrics and options.crop < MS_MIN_SIDE:
        parser.error(f"--crop {options.crop} is too small for ms-ssim, which needs {MS_MIN_SIDE}")
    try:
        if find_spec("matplotlib") is None:
            raise MissingExtra("matplotlib", "plots", "drawing the curves")
        runs = run_study(study_of(options), options, options.pictures or kodak(parser))
        draw({name: read_log(folder) for name, folder in runs.items()}, options.output / "curves")
    except MiscompError as error:
        sys.exit(f"slic_metrics: {error}")


def study_of(options: argparse.Namespace) -> Study:
    """One run per metric that can be opened."""
    lacking = {name: lacking_weights(name) for name in dict.fromkeys(options.metrics)}
    feasible = [name for name, weights in lacking.items() if not weights]
    for name in feasible:
        open_metric_with_files(name)  # says what is missing before hours of training
    return Study(
        title="Which metric destroys re-compressed pictures",
        settings={name: {"metric": name, "attacks": ATTACKS} for name in feasible},
        not_run={name: f"needs the weights {' and '.join(weights)}" for name, weights in lacking.items() if weights},
        edits={EDITS[name].title: _edit(name) for name in ("blur", "affine", "jpeg")},
        published=PAPER,
        published_columns=("(x, x1)", "(x1, x2)"),
        published_note=NOTE,
    )


def _edit(name: str) -> Edit:
    return lambda pixels: edit(name, pixels).pixels


def read_log(folder: Path) -> dict[str, Points]:
    """The drawn figures of a run, by step."""
    with (folder / "log.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: points(rows, name) for name in PANELS}


def draw(logs: Mapping[str, Mapping[str, Points]], stem: Path) -> None:
    """Figure 3: one panel for each figure of the log, every line named at its end."""
    (left, (title, label)), (right, (other_title, other_label)) = PANELS.items()
    with plot(title, (11.6, 4.8)) as (figure, axes):
        grid = figure.add_gridspec(1, 2)
        axes.set_subplotspec(grid[0])
        beside = figure.add_subplot(grid[1])
        beside.set_title(other_title, loc="left", fontsize=13, fontweight="bold", pad=20)
        beside.grid(color=GRID, lw=0.8)
        beside.spines[["top", "right"]].set_visible(False)
        beside.tick_params(length=0, pad=6)
        _panel(axes, {name: log[left] for name, log in logs.items()})
        _panel(beside, {name: log[right] for name, log in logs.items()})
        axes.set(xlabel="Step", ylabel=label)
        beside.set(xlabel="Step", ylabel=other_label)
        save_plot(figure, stem)


def _panel(axes: Axes, lines: Mapping[str, Points]) -> None:
    lines = {name: line for name, line in lines.items() if line}
    top = 1.05 * max(value for line in lines.values() for _, value in line)
    axes.set(xlim=(0, max(line[-1][0] for line in lines.values())), ylim=(0, top))
    places = spread_apart([line[-1][1] / top for line in lines.values()])
    for (name, line), place in zip(lines.items(), places, strict=True):
        number = PERCEPTUAL.names.index(name)
        colour, dashes = _COLOURS[number % len(_COLOURS)], _DASHES[number % len(_DASHES)]
        axes.plot(*zip(*line, strict=True), color=colour, ls=dashes, lw=1.9, zorder=3)
        axes.annotate(name, (1.02, place), xycoords="axes fraction", va="center", color=colour, fontsize=9.5)


def spread_apart(heights: Sequence[float]) -> list[float]:
    """Heights at least a line of text apart, in their order and near to where they were; shares of a panel."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    below, places = -math.inf, [0.0] * len(heights)
    for index in order:
        below = places[index] = max(heights[index], below + _LINE)
    # What was pushed over the top comes back down, and takes along what is in its way.
    above = 1.0 + _LINE
    for index in reversed(order):
        above = places[index] = min(places[index], above - _LINE)
    return places


if __name__ == "__main__":
    main()
