"""Contact sheets of a sample: each line an area, in the original and by every model, boxes drawn on a copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from miscomp.corpus.samples.draw import Kind, Label
from miscomp.corpus.samples.pool import Pool
from miscomp.corpus.samples.rows import CropRow
from miscomp.images import Pixels, read, write_png
from miscomp.records import Box
from miscomp.training.sheet import Shown, draw_sheet

SHEETS = ("contact_sheet.png", "contact_sheet-*.png")
LINES = 12
"""Areas of a page."""
COLUMNS = 10
"""Pictures of a line, the original and the drawn crop first."""
SIDE = 192
"""Pixels of a picture's longer side, shrunk or enlarged to fit."""
_BOX = (230, 0, 60)
_DRAWN_AROUND = (255, 200, 0)
_AROUND = (Kind.ANNOTATED, Kind.CONTEXT)


def write_sheets(
    folder: Path, rows: Sequence[CropRow], pool: Pool, *, seed: int, report: Callable[[str, int, int], None]
) -> None:
    """Write `contact_sheet.png`, and `contact_sheet-2.png` and so on for what does not fit on it."""
    labels = {one.key: one.labels for one in pool.pairs}
    areas = [list(group) for _, group in groupby(rows, key=lambda row: row.crop)]
    pages = [areas[start : start + LINES] for start in range(0, len(areas), LINES)]
    for number, page in enumerate(pages, 1):
        report("drawing contact sheets", number, len(pages))
        title = f"{len(areas)} areas, seed {seed}, page {number} of {len(pages)}; bpp are of whole pictures"
        lines = [_line(folder, area, labels) for area in page]
        name = SHEETS[0] if number == 1 else f"contact_sheet-{number}.png"
        write_png(folder / name, draw_sheet(title, lines))


def _line(folder: Path, area: Sequence[CropRow], labels: dict[str, tuple[Label, ...]]) -> list[Shown]:
    first = area[0]
    shown = []
    if first.original_file:
        note = f"of {first.matched_to:04d}" if first.matched_to is not None else ""
        about = " ".join(filter(None, (f"{first.crop:04d}", "" if first.kind == Kind.SAME else first.kind, note)))
        shown.append(Shown(_small(read(folder / first.original_file).pixels), f"{about}: original"))
    for row in area[: COLUMNS - len(shown)]:
        here = [one for one in labels[f"{row.image_sha1} {row.model}"] if _reaches(one.box, row)]
        rate = f" {row.image_bpp:.2f} bpp" if row.image_bpp is not None else ""
        label = f"{row.crop:04d} {row.model}{rate}, {row.annotations_any} box" + "es" * (row.annotations_any != 1)
        shown.append(Shown(_boxed(folder / row.file, row, here), label))
    return shown


def _reaches(box: Box, row: CropRow) -> bool:
    return box.intersection(Box(row.x, row.y, row.w, row.h)) > 0


def _factor(width: int, height: int) -> float:
    return SIDE / max(width, height)


def _small(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    factor = _factor(width, height)
    method = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, method))


def _boxed(path: Path, row: CropRow, labels: Sequence[Label]) -> Pixels:
    picture = Image.fromarray(_small(read(path).pixels))
    draw = ImageDraw.Draw(picture)
    factor = _factor(row.w, row.h)
    for one in sorted(labels, key=lambda one: one.id == row.annotation):
        left, top = (one.box.x - row.x) * factor, (one.box.y - row.y) * factor
        right, bottom = (one.box.right - row.x) * factor - 1, (one.box.bottom - row.y) * factor - 1
        colour = _DRAWN_AROUND if one.id == row.annotation and row.kind in _AROUND else _BOX
        draw.rectangle((left, top, max(right, left), max(bottom, top)), outline=colour)
    return np.asarray(picture)
