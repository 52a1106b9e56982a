"""The one look of all plots, and how they are written: the same figures give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miscomp.folders import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, PALE, GRID = "#22272b", "#5f6a72", "#e3e7ea"

_STYLE: Mapping[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.14,
    "svg.hashsalt": "miscomp",
    "svg.fonttype": "path",
    "axes.edgecolor": "#9aa4ab",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": PALE,
    "ytick.color": PALE,
}


@contextmanager
def plot(title: str, size: tuple[float, float], *, subtitle: str = "") -> Iterator[tuple[Figure, Axes]]:
    """An empty plot of `size` (width, height) in inches; needs matplotlib, the extra `plots`."""
    # Imported here because it is an extra. No pyplot: it would hold the figure and choose a window system.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(dict(_STYLE)):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=24 if subtitle else 20)
        if subtitle:
            axes.annotate(
                subtitle, (0, 1), (0, 9), "axes fraction", textcoords="offset points", color=PALE, fontsize=9.5
            )
        axes.grid(color=GRID, lw=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(length=0, pad=6)
        yield figure, axes


@contextmanager
def panels(
    title: str, size: tuple[float, float], rows: int, columns: int, *, subtitle: str = "", share: bool = True
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Small multiples in the look of `plot`, row by row, with the same scales if `share`; none is drawn in yet.

    Names by strangers are safe in them: no text is read as a formula.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({**_STYLE, "text.parse_math": False}):
        figure = Figure(figsize=size, layout="constrained")
        left, height = 0.14 / size[0], size[1]
        figure.text(left, 1 - 0.14 / height, title, fontsize=13, fontweight="bold", va="top")
        figure.text(left, 1 - 0.42 / height, subtitle, color=PALE, fontsize=9.5, va="top")
        # Layout engines know no second line below a title: the panels are told how much is left.
        lines = 0.42 + (0.18 * (subtitle.count("\n") + 1) if subtitle else 0)
        figure.get_layout_engine().set(rect=(0, 0, 1, 1 - lines / height))  # type: ignore[union-attr, call-arg]
        axes: list[Axes] = list(figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False).flat)
        for one in axes:
            one.grid(color=GRID, lw=0.8)
            one.set_axisbelow(True)
            one.spines[["top", "right"]].set_visible(False)
            one.tick_params(length=0, pad=5)
        yield figure, axes


def save_plot(figure: Figure, stem: Path) -> None:
    """Write PNG and SVG in one step each, without date or version of the library in them."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        content = io.BytesIO()
        figure.savefig(content, format=kind, dpi=160, metadata=metadata)
        with replacing(stem.with_name(f"{stem.name}.{kind}")) as partial:
            partial.write_bytes(content.getvalue())
