"""Curves and bars of a benchmark; the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miscomp.benchmark.curves import alarms_recall, precision_recall, roc
from miscomp.benchmark.groups import Group
from miscomp.benchmark.scores import Scores
from miscomp.benchmark.summary import Benchmark
from miscomp.report.plots import GRID, INK, PALE, plot, save_plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0066b3", "#d55e00", "#009e73", "#cc79a7", "#7b3fa0", "#b8860b", "#1b1b1b")
"""Of the detectors, told apart by the colour-blind too; baselines are grey, thin and dashed."""
_GREYS = ("#5b6770", "#8d979e", "#a8764f", "#6f8fa8", "#7d8f6a", "#b0a070", "#9c7f9c")
_DASHES = ((5, 1.5), (1.5, 1.2), (7, 1.5, 1.5, 1.5), (3, 1), (9, 2), (4, 1, 1, 1, 1, 1))
TITLES = {
    "precision_recall": "Precision and recall",
    "alarms_recall": "Recall and false alarms",
    "roc": "Heat of single cells",
    "kind": "Recall by kind",
    "category": "Recall by category",
    "strength": "Recall by strength",
    "size": "Recall by size",
    "codec": "Recall by codec",
    "rate": "Recall by real rate",
}
"""By the file's name, in the order of the page."""

_LEAST_ALARMS = 0.02


def draw(benchmark: Benchmark, folder: Path) -> list[str]:
    """Write PNG and SVG of every plot that has something to show; returns their names."""
    looks = _looks(benchmark.scores)
    drawn = []
    for name, make, labels in (
        ("precision_recall", _draw_precision, ("Recall", "Precision, where it is known")),
        ("alarms_recall", _draw_alarms, ("False alarms per megapixel of controls", "Recall")),
        ("roc", _draw_roc, ("Share of faithful cells", "Share of cells in labels")),
    ):
        with plot(TITLES[name], (6.4, 4.6)) as (figure, axes):
            if make(axes, benchmark, looks):
                axes.set(xlabel=labels[0], ylabel=labels[1])
                axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, handlelength=2.6)
                save_plot(figure, folder / name)
                drawn.append(name)
    compared = _compared(benchmark.scores)
    for by in ("kind", "category", "strength", "size", "codec", "rate"):
        rows = {one.name: [group for group in one.groups if group.by == by] for one in compared}
        names = [group.name for group in next(iter(rows.values()), [])]
        if names:
            _draw_bars(rows, names, looks, TITLES[by], folder / by)
            drawn.append(by)
    return drawn


def _compared(scores: Sequence[Scores]) -> list[Scores]:
    """Every detector that is no baseline, and the baseline of the highest average precision."""
    best = sorted((one for one in scores if one.baseline), key=lambda one: -(one.average_precision.value or 0))
    return [*(one for one in scores if not one.baseline), *best[:1]]


def _looks(scores: Sequence[Scores]) -> dict[str, dict[str, Any]]:
    looks: dict[str, dict[str, Any]] = {}
    for k, one in enumerate([one for one in scores if not one.baseline]):
        looks[one.name] = {"color": _COLOURS[k % len(_COLOURS)], "lw": 2.2, "zorder": 4}
    for k, one in enumerate([one for one in scores if one.baseline]):
        dashes = (0, _DASHES[k % len(_DASHES)])
        looks[one.name] = {"color": _GREYS[k % len(_GREYS)], "lw": 1.4, "linestyle": dashes, "zorder": 3}
    return looks


def _draw_precision(axes: Axes, benchmark: Benchmark, looks: Mapping[str, Mapping[str, Any]]) -> bool:
    drawn = False
    for one in benchmark.scores:
        points = precision_recall(benchmark.tallies[one.name])
        if points["recall"]:
            axes.plot(points["recall"], points["precision"], label=_named(one), **looks[one.name])
            drawn = True
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    return drawn


def _named(one: Scores) -> str:
    value = one.average_precision.value
    return one.name if value is None else f"{one.name} (AP {value:.2f})"


def _draw_alarms(axes: Axes, benchmark: Benchmark, looks: Mapping[str, Mapping[str, Any]]) -> bool:
    drawn = False
    for one in benchmark.scores:
        points = alarms_recall(benchmark.tallies[one.name])
        if points["recall"]:
            alarms = [max(value, _LEAST_ALARMS) for value in points["alarms"]]
            axes.step(alarms, points["recall"], where="post", label=one.name, **looks[one.name])
            drawn = True
    axes.set_xscale("log")
    axes.axhline(0.8, color=PALE, lw=0.8, ls=":")
    axes.set(ylim=(0, 1.02))
    axes.annotate(
        f"none stands at {_LEAST_ALARMS:g}", (0, 1), (0, 6), "axes fraction",
        textcoords="offset points", color=PALE, fontsize=8.5,
    )  # fmt: skip
    return drawn


def _draw_roc(axes: Axes, benchmark: Benchmark, looks: Mapping[str, Mapping[str, Any]]) -> bool:
    drawn = False
    for one in benchmark.scores:
        points = roc(benchmark.tallies[one.name])
        if points["true"]:
            area = one.roc_area.value or 0
            axes.plot(points["false"], points["true"], label=f"{one.name} ({area:.2f})", **looks[one.name])
            drawn = True
    axes.plot([0, 1], [0, 1], color=GRID, lw=1)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    return drawn


def _draw_bars(
    rows: Mapping[str, Sequence[Group]], names: Sequence[str], looks: Mapping[str, Mapping[str, Any]], title: str,
    stem: Path,
) -> None:  # fmt: skip
    """Recall of each group with its interval, one bar per detector."""
    thick = 0.8 / len(rows)
    with plot(title, (6.4, 1.3 + 0.3 * len(names) * (0.6 + 0.4 * len(rows)))) as (figure, axes):
        for k, (detector, groups) in enumerate(rows.items()):
            places = [place + (k - (len(rows) - 1) / 2) * thick for place in range(len(names))]
            values = [group.recall.value or 0.0 for group in groups]
            axes.barh(places, values, 0.9 * thick, color=looks[detector]["color"], label=detector, zorder=3)
            for place, group in zip(places, groups, strict=True):
                if group.recall.interval is not None:
                    low, high = (end or 0.0 for end in group.recall.interval)
                    axes.plot([low, high], [place, place], color=INK, lw=1, alpha=0.7, zorder=4)
        first = next(iter(rows.values()))
        axes.set_yticks(range(len(names)), [f"{group.name}  ({group.labels})" for group in first])
        axes.invert_yaxis()
        axes.set(xlim=(0, 1), xlabel="Recall at the detector's threshold, 95 % interval")
        axes.grid(visible=False, axis="y")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        save_plot(figure, stem)
