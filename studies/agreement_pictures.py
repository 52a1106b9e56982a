"""The pictures of the documents on agreement, computed by the package itself from labels that this script makes up.

    python studies/agreement_pictures.py -o docs/images

Nobody has drawn these boxes. `agreement-tiles`: which tile a box makes annotated. `agreement-rare`: what the measures
say of labelers who err equally often, as miscompressions become rare. `agreement-areas`: union and sum of boxes.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from miscomp.folders import replacing
from miscomp.records import Annotation, Box, ImageRow, display_id
from miscomp.report.plots import INK, PALE, panels, plot
from miscomp.stats.alpha import alpha_estimate
from miscomp.stats.areas import sum_area, union_area
from miscomp.stats.cells import cells
from miscomp.stats.chance import ac1_estimate
from miscomp.stats.material import Material
from miscomp.stats.ratings import Ratings
from miscomp.stats.units import Rule, rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREEN = "#0066b3", "#d55e00", "#009e73"
"""Told apart by the colour-blind too."""
_SIDE = 480
_BOXES = {
    "A": Box(24, 20, 70, 60),
    "B": Box(280, 30, 110, 60),
    "C": Box(196, 196, 88, 88),
    "D": Box(30, 270, 150, 170),
    "E": Box(380, 300, 70, 110),
}
_LABELERS = 3


def main() -> None:
    """Draw all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with panels("Which tile a box makes annotated", (9, 5.1), 1, 2) as (figure, found):
        for axes, rule in zip(found, Rule, strict=True):
            draw_tiles(axes, rule)
        save(figure, options.output / "agreement-tiles.png")
    subtitle = "Three simulated labelers who get 2 % of the tiles wrong, whatever is in them; bands: 95 % intervals"
    with plot("The rarer, the lower alpha", (9, 4.6), subtitle=subtitle) as (figure, axes):
        draw_rare(axes, seed=options.seed)
        save(figure, options.output / "agreement-rare.png")
    with panels("Annotated pixels", (7.4, 4.2), 1, 2) as (figure, found):
        draw_areas(found)
        save(figure, options.output / "agreement-areas.png")


def save(figure: Figure, path: Path) -> None:
    """Write a PNG without the library's version in it."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
    with replacing(path) as partial:
        partial.write_bytes(content.getvalue())


def material_of(boxes: Sequence[Box]) -> Material:
    """One reconstruction with the boxes of one labeler, seen by another too."""
    sha1, model = "0" * 40, "01L"
    row = ImageRow(filename="made", image_sha1=sha1, model=model, width=_SIDE, height=_SIDE)
    drawn = tuple(
        Annotation(
            id=display_id(sha1, model, box),
            filename="made",
            image_sha1=sha1,
            model=model,
            x=box.x,
            y=box.y,
            w=box.w,
            h=box.h,
            labeler="one",
            origin="simulated",
        )
        for box in boxes
    )
    return Material(images=(row,), annotations=drawn, views=None, also=("other",))


def draw_tiles(axes: Axes, rule: Rule) -> None:
    """Shade what the package calls annotated by a rule; each box is also rated alone, to say whether it counts."""
    from matplotlib.patches import Rectangle

    per_side, tile = 4, _SIDE / 4
    rated = rate(material_of(list(_BOXES.values())), per_side, rule, ("one", "other"))
    for number in np.flatnonzero(rated.ratings.values[:, 0] == 1):
        row, column = divmod(int(number), per_side)
        axes.add_patch(Rectangle((column * tile, row * tile), tile, tile, color=_BLUE, alpha=0.25, lw=0))
    for k in range(per_side + 1):
        axes.axhline(k * tile, color=PALE, lw=0.8)
        axes.axvline(k * tile, color=PALE, lw=0.8)
    for name, box in _BOXES.items():
        draw_box(axes, box, _ORANGE)
        alone = rate(material_of([box]), per_side, rule, ("one", "other"))
        x, y = box.center
        words = f"{name}: nowhere" if alone.unassigned else name
        pale = {"boxstyle": "round,pad=0.25", "fc": "white", "alpha": 0.85, "lw": 0}
        axes.text(x, y, words, ha="center", va="center", fontsize=10, bbox=pale)
    held = "more than half of the box" if rule == Rule.MAJORITY else "the largest part of it"
    axes.set_title(f"--rule {rule}: the tile that holds {held}", loc="left", fontsize=10)
    axes.set_xlabel(f"{rated.boxes - rated.unassigned} of {rated.boxes} boxes count")
    frame(axes)


def draw_box(axes: Axes, box: Box, colour: str) -> None:
    """A box's outline."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((box.x, box.y), box.w, box.h, fill=False, ec=colour, lw=2))


def frame(axes: Axes) -> None:
    """The picture's borders, y downwards."""
    axes.set(xlim=(0, _SIDE), ylim=(_SIDE, 0), xticks=[], yticks=[], aspect="equal")
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)


def simulated(prevalence: float, error: float, *, images: int, seed: int) -> Ratings:
    """Tiles that hold a miscompression or not, and labelers who each get a share of them wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.random((images * 16, 1)) < prevalence
    rated = truth ^ (rng.random((len(truth), _LABELERS)) < error)
    names = tuple(f"simulated {number}" for number in range(1, _LABELERS + 1))
    return Ratings(values=rated.astype(np.int8), image=np.repeat(np.arange(images), 16), labelers=names)


def draw_rare(axes: Axes, *, seed: int, error: float = 0.02) -> None:
    """Three measures against prevalence, with their intervals."""
    shares = np.geomspace(0.002, 0.5, 16)
    found = [simulated(float(share), error, images=1500, seed=seed) for share in shares]
    lines = (
        (
            "c-total: tiles on which all say the same",
            _ORANGE,
            "s",
            [cells(one, resamples=400, seed=seed).c_total.cluster for one in found],
        ),
        ("AC1", _GREEN, "^", [ac1_estimate(one, resamples=400, seed=seed) for one in found]),
        ("Krippendorff's alpha", _BLUE, "o", [alpha_estimate(one, resamples=400, seed=seed) for one in found]),
    )
    for name, colour, marker, figures in lines:
        values = np.array([one.value for one in figures], dtype=np.float64)
        ends = np.array([one.interval or (None, None) for one in figures], dtype=np.float64)
        axes.plot(shares, values, color=colour, marker=marker, ms=4, label=name)
        axes.fill_between(shares, ends[:, 0], ends[:, 1], color=colour, alpha=0.2, lw=0)
    axes.set(xscale="log", xlabel="share of tiles that hold a miscompression (log scale)", ylim=(0, 1.02))
    axes.set_xticks([0.002, 0.01, 0.05, 0.2, 0.5], ["0.2 %", "1 %", "5 %", "20 %", "50 %"])
    axes.minorticks_off()
    axes.legend(frameon=False, loc="lower right")


def draw_areas(found: Sequence[Axes]) -> None:
    """The same boxes as a union and as a sum."""
    from matplotlib.patches import Rectangle

    boxes = [Box(60, 80, 220, 180), Box(180, 180, 200, 190), Box(210, 130, 120, 90)]
    for axes in found:
        for box in boxes:
            once = axes is found[0]  # opaque: what lies under two boxes looks like what lies under one
            colour, alpha = ("#b8d0e6", 1.0) if once else (_BLUE, 0.3)
            axes.add_patch(Rectangle((box.x, box.y), box.w, box.h, fc=colour, alpha=alpha, lw=0))
        for box in boxes:
            draw_box(axes, box, INK)
        frame(axes)
    union, total = union_area(boxes) / _SIDE**2, sum_area(boxes) / _SIDE**2
    found[0].set_title(f"union: {100 * union:.1f} % of the picture", loc="left", fontsize=10)
    found[0].set_xlabel("each pixel once")
    found[1].set_title(f"sum of the boxes: {100 * total:.1f} %", loc="left", fontsize=10)
    found[1].set_xlabel("darker pixels count twice or three times")


if __name__ == "__main__":
    main()
