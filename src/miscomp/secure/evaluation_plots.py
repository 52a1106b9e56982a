"""What is left after each edit, and rate-distortion curves beside the base codec; the same figures, the same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from miscomp.evaluate.plots import draw_curves
from miscomp.report.plots import PALE, plot, save_plot
from miscomp.secure.evaluation import Group, SecureEvaluation, published_of
from miscomp.secure.trials import CODED, UNCODED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOST, _KEPT = "#d55e00", "#0066b3"
TITLES = {"edits": "What re-compression leaves", "psnr": "Rate and PSNR", "ms-ssim": "Rate and MS-SSIM"}
"""By the file's name, in the order of the page."""


def draw(evaluation: SecureEvaluation, folder: Path) -> None:
    """Write PNG and SVG of every plot that has something to show."""
    draw_curves(evaluation.curves, (), "psnr", folder / "psnr")
    draw_curves(evaluation.curves, (), "ms-ssim", folder / "ms-ssim")
    draw_edits(evaluation, folder / "edits")


def draw_edits(evaluation: SecureEvaluation, stem: Path) -> None:
    """Mean PSNR of each edit's re-compression, of coded pictures beside uncoded ones; infinite ones are left out."""
    groups = [group for group in evaluation.groups if group.as_asked]
    coded = [group for group in groups if group.picture == CODED and _mean(group) is not None]
    if not coded:
        return
    places = {group.edit: place for place, group in enumerate(coded)}
    count = max(group.pictures for group in coded)
    subtitle = f"{count} picture{'s' if count != 1 else ''}; lines: 95 % intervals"
    with plot(TITLES["edits"], (8.4, 1.8 + 0.3 * len(coded)), subtitle=subtitle) as (figure, axes):
        controls = [group for group in groups if group.picture == UNCODED and group.edit in places]
        _dots(axes, controls, places, _KEPT, "D", "control: never coded")
        _dots(axes, coded, places, _LOST, "o", "coded before")
        axes.plot(
            [group.highest_psnr[0] for group in coded], list(places.values()), "|", ms=9, mew=1.6, color=_LOST,
            label="its most preserved picture",
        )  # fmt: skip
        theirs = [
            (value, places[group.edit]) for group in coded for _, value in published_of(group, evaluation.published)
        ]
        theirs = [(value, place) for value, place in theirs if value < 20]
        if theirs:
            axes.plot(*zip(*theirs, strict=True), "x", ms=5, color=PALE, label="published SLICs, below 20 dB")
        axes.set_yticks(list(places.values()), [group.title for group in coded])
        axes.set_ylim(len(coded) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel("PSNR to what was compressed again (dB, mean of pictures)")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, borderaxespad=0)
        save_plot(figure, stem)


def _mean(group: Group) -> float | None:
    mean = group.means["psnr_db"]
    return None if mean is None or math.isinf(mean.value) else mean.value


def _dots(axes: Axes, groups: Sequence[Group], places: dict[str, int], colour: str, marker: str, label: str) -> None:
    points = []
    for group in groups:
        value, mean = _mean(group), group.means["psnr_db"]
        if value is not None and mean is not None:
            points.append((value, places[group.edit]))
            if mean.interval is not None:
                axes.plot(mean.interval, [places[group.edit]] * 2, color=colour, lw=1.6, alpha=0.7, zorder=3)
    if points:
        axes.plot(*zip(*points, strict=True), marker, ms=5.5, color=colour, label=label, zorder=4)
