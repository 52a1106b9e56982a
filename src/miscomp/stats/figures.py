"""The figures of a corpus as SVG and PNG; the same material gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from miscomp.errors import MissingExtra
from miscomp.stats.counted import Counted
from miscomp.stats.figure_areas import draw_areas, draw_places
from miscomp.stats.figure_prevalence import draw_categories, draw_prevalence
from miscomp.stats.tabular import StatFigure

FIGURES: dict[str, tuple[Callable[[Counted, Path], StatFigure | None], str]] = {
    "figure5": (draw_areas, "no reconstruction of known rate has a box"),
    "figure6": (draw_places, "there is no box"),
    "prevalence": (draw_prevalence, "of no reconstruction of known rate is it recorded that somebody viewed it"),
    "categories": (draw_categories, "there is no box"),
}
"""By the name of the files, in the order of a page; with why one may have nothing to show."""


def draw(counted: Counted, folder: Path, *, say: Callable[[str], None] = lambda line: None) -> list[StatFigure]:
    """Write every figure that has something to show as NAME.svg and NAME.png into a folder, and say which have not.

    Raises `MissingExtra` where matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtra("matplotlib", "plots", "drawing figures") from None
    drawn = []
    for name, (make, lacking) in FIGURES.items():
        figure = make(counted, folder)
        if figure is None:
            say(f"{name} is not drawn: {lacking}")
        else:
            drawn.append(figure)
    return drawn
