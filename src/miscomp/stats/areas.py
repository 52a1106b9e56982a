"""How much of a picture is annotated: pixels under any box, and the paper's plain sum of boxes (SCLIC, Figure 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from miscomp.records import Annotation, Box
from miscomp.stats.counted import model_order
from miscomp.stats.intervals import quantile_cells
from miscomp.stats.material import Material, Pair
from miscomp.stats.tabular import Cell, Column, StatTable


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedArea:
    """The annotated pixels of a reconstruction."""

    pixels: int
    """Of the picture."""
    union: int
    """Pixels that lie in at least one box, each counted once."""
    total: int
    """Areas of the boxes added up; more than `pixels` is possible where boxes overlap."""

    @property
    def union_share(self) -> float:
        """0 to 1."""
        return self.union / self.pixels

    @property
    def sum_share(self) -> float:
        """From 0 on, above 1 where boxes overlap enough."""
        return self.total / self.pixels


def sum_area(boxes: Iterable[Box]) -> int:
    """Areas added up: a pixel in two boxes counts twice."""
    return sum(box.area for box in boxes)


def union_area(boxes: Sequence[Box]) -> int:
    """Pixels in at least one box, exactly; time grows with the square of the boxes, whatever their size."""
    if len(boxes) < 2:
        return sum_area(boxes)
    # A line sweeps from left to right; between two edges the covered rows stay the same.
    edges = sorted([(box.x, 1, box) for box in boxes] + [(box.right, -1, box) for box in boxes])
    rows = np.unique([place for box in boxes for place in (box.y, box.bottom)])
    heights, depth = np.diff(rows), np.zeros(len(rows) - 1, dtype=np.int64)
    place = {int(row): number for number, row in enumerate(rows)}
    area, before = 0, edges[0][0]
    for x, step, box in edges:
        if x > before:
            area += (x - before) * int(heights[depth > 0].sum())
            before = x
        depth[place[box.y] : place[box.bottom]] += step
    return area


def annotated_areas(material: Material) -> dict[Pair, AnnotatedArea]:
    """Of every reconstruction with at least one box, in the order of the images."""
    boxes: dict[Pair, list[Annotation]] = {}
    for one in material.annotations:
        boxes.setdefault((one.image_sha1, one.model), []).append(one)
    return {
        pair: AnnotatedArea(
            pixels=row.width * row.height,
            union=union_area([one.box for one in boxes[pair]]),
            total=sum_area(one.box for one in boxes[pair]),
        )
        for row in material.images
        if (pair := (row.image_sha1, row.model)) in boxes
    }


_SHARES = (("union", "Pixels under any box"), ("sum", "Boxes added up"))
_QUARTILES = (("q25", "lower quartile"), ("median", "median"), ("q75", "upper quartile"))
_COLUMNS = (
    Column(key="model", title="Model"),
    Column(key="codec", title="Codec"),
    Column(key="rate", title="Rate"),
    Column(key="images", title="Miscompressed", about="Reconstructions with at least one box; the others are left out"),
    Column(key="bpp", title="Median rate", about="Of those reconstructions, real", unit="bpp", decimals=3),
    *(
        Column(
            key=f"{key}_{which}",
            title=f"{title}, {word}",
            about=f"Share of a reconstruction's pixels, {word} over reconstructions with at least one box",
            unit="%",
            decimals=3,
        )
        for key, title in _SHARES
        for which, word in _QUARTILES
    ),
    Column(
        key="overlap",
        title="Counted more than once",
        about="Of all boxes' areas added up, the part that lies in another box already; over all reconstructions",
        unit="%",
        decimals=2,
    ),
)
_NOTE = (
    "Annotated share of a reconstruction's pixels, over reconstructions with at least one box. Pixels under any box "
    "counts each pixel once. Boxes added up is how SCLIC defines its Figure 5: a pixel in two boxes counts twice, so "
    "that it can exceed the picture. Intervals of quartiles and medians are 95 % intervals from order statistics; "
    "they are left out where too few reconstructions hold them. Boxes are drawn around changes and are not their exact "
    "outlines."
)


def area_table(material: Material) -> StatTable:
    """Annotated shares by model: quartiles of the union and of the sum of boxes."""
    areas = annotated_areas(material)
    rates = {(row.image_sha1, row.model): row.bpp for row in material.images}
    models: dict[str, list[Pair]] = {row.model: [] for row in material.images}
    for pair in areas:
        models[pair[1]].append(pair)
    rows = []
    for model in model_order(material):
        pairs = models[model]
        found = [areas[pair] for pair in pairs]
        known = [value for pair in pairs if (value := rates[pair]) is not None]
        total = sum(one.total for one in found)
        twice = 1 - sum(one.union for one in found) / total if total else None
        rows.append(
            {
                "model": Cell(value=model),
                "codec": Cell(value=material.codec_of(model)),
                "rate": Cell(value=material.rate_of(model)),
                "images": Cell(value=len(pairs)),
                "bpp": quantile_cells(known)[1],
                **_quartiles("union", [one.union_share for one in found]),
                **_quartiles("sum", [one.sum_share for one in found]),
                "overlap": Cell(value=twice, n=len(pairs)),
            }
        )
    return StatTable(name="areas", title="Annotated share of pixels", note=_NOTE, columns=_COLUMNS, rows=tuple(rows))


def _quartiles(key: str, values: Sequence[float]) -> dict[str, Cell]:
    return {f"{key}_{which}": cell for (which, _), cell in zip(_QUARTILES, quantile_cells(values), strict=True)}
