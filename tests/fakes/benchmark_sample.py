"""Pairs with labels and detectors whose answers are written down, for tests of scores."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miscomp import tables
from miscomp.benchmark.store import Found, Seen
from miscomp.images import Pixels, write_png
from miscomp.pairset import (
    ANNOTATIONS,
    CONTROL,
    IMAGES,
    MODELS,
    NEGATIVES,
    PLANTED,
    PLANTS,
    LabelledPair,
    original_path,
    reconstruction_path,
)
from miscomp.records import Annotation, Box, ImageRow, ModelRow, Plant, display_id

SIDE = 100
"""Pixels a side: a hundredth of a megapixel."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A label or a hard negative."""

    box: Box
    category: str = "SHAPE"
    kind: str = "contour"
    strength: float = 1.0


def pair(
    name: str,
    labels: Sequence[Mark] = (),
    *,
    negatives: Sequence[Mark] = (),
    source: str = PLANTED,
    bpp: float | None = 0.25,
    model: str = "jpeg@0.25bpp",
    plants: bool = True,
) -> LabelledPair:
    """A pair that has no files."""
    sha1 = hashlib.sha1(name.encode()).hexdigest()
    row = ImageRow(
        filename=name,
        image_sha1=sha1,
        model=model,
        width=SIDE,
        height=SIDE,
        source=source,
        bpp=bpp,
        annotations=len(labels),
    )
    known: dict[str, Plant] = {}
    made: list[list[Annotation]] = []
    for label, marks in ((True, labels), (False, negatives)):
        made.append([_annotation(row, mark, category=mark.category if label else "") for mark in marks])
        for one, mark in zip(made[-1], marks, strict=True):
            if plants:
                known[one.id] = Plant(
                    id=one.id,
                    kind=mark.kind,
                    strength=mark.strength,
                    seed=1,
                    source=name,
                    image_sha1=sha1,
                    model=model,
                    label=label,
                )
    return LabelledPair(
        row=row,
        original=Path(name),
        reconstruction=Path(name),
        labels=tuple(made[0]),
        negatives=tuple(made[1]),
        plants=known,
    )


def _annotation(row: ImageRow, mark: Mark, *, category: str) -> Annotation:
    box = mark.box
    return Annotation(
        id=display_id(row.image_sha1, row.model, box),
        filename=row.filename,
        image_sha1=row.image_sha1,
        model=row.model,
        x=box.x,
        y=box.y,
        w=box.w,
        h=box.h,
        labeler="plant",
        origin="truth",
        category=category,
    )


def seen(*found: tuple[Box, float] | tuple[Box, float, str], heat: float = 0.0) -> Seen:
    """What a detector says: boxes, scores and perhaps categories; heat where its boxes are, else `heat`."""
    levels = np.full((SIDE // 4, SIDE // 4), round(255 * heat**0.5), dtype=np.uint8)
    rows = []
    for box, score, *category in found:
        levels[box.y // 4 : -(-box.bottom // 4), box.x // 4 : -(-box.right // 4)] = round(255 * score**0.5)
        rows.append(Found(box=box, score=score, source="test", category=category[0] if category else ""))
    return Seen(found=tuple(rows), heat=levels, seconds=0.01)


def at(x: int, y: int = 10, side: int = 10) -> Box:
    """A square box."""
    return Box(x, y, side, side)


def write_pairs(folder: Path, *, photographs: int = 3, annotated: bool = False) -> Path:
    """A folder of pairs with pictures: a dark square that vanished from each, a control of each.

    `annotated` leaves out what people's annotations lack: categories, plants, negatives, controls and models.
    """
    rng = np.random.default_rng(0)
    (folder / "originals").mkdir(parents=True)
    images: list[ImageRow] = []
    tables_of: Mapping[str, list[Annotation]] = {ANNOTATIONS: [], NEGATIVES: []}
    plants: list[Plant] = []
    for k in range(photographs):
        plain = rng.integers(120, 136, (96, 96, 3), dtype=np.uint8)
        scene = plain.copy()
        scene[20:36, 24 + 8 * k : 40 + 8 * k] = 40
        name = f"photo{k}.png"
        write_png(original_path(folder, name), scene)
        sha1 = hashlib.sha1(original_path(folder, name).read_bytes()).hexdigest()
        noisy = np.clip(scene.astype(int) + rng.integers(-3, 4, scene.shape), 0, 255).astype(np.uint8)
        kinds: list[tuple[str, str, Pixels, float | None]] = [(PLANTED, "jpeg@0.25bpp", plain, 0.25)]
        kinds += [] if annotated else [(CONTROL, "control:noise", noisy, None)]
        for source, model, reconstruction, bpp in kinds:
            path = reconstruction_path(folder, model, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(path, reconstruction)
            row = ImageRow(
                filename=name,
                image_sha1=sha1,
                model=model,
                width=96,
                height=96,
                source="" if annotated else source,
                bpp=bpp,
            )
            images.append(row)
            if source == PLANTED:
                mark = Mark(box=Box(24 + 8 * k, 20, 16, 16), category="" if annotated else "AMPLITUDE", kind="removed")
                label = _annotation(row, mark, category=mark.category)
                tables_of[ANNOTATIONS].append(label)
                plants.append(
                    Plant(
                        id=label.id,
                        kind="removed",
                        strength=1.0,
                        seed=1,
                        source=name,
                        image_sha1=sha1,
                        model=model,
                        label=True,
                    )
                )
    tables.write(folder / IMAGES, ImageRow, images)
    tables.write(folder / ANNOTATIONS, Annotation, tables_of[ANNOTATIONS])
    if not annotated:
        tables.write(folder / NEGATIVES, Annotation, tables_of[NEGATIVES])
        tables.write(folder / PLANTS, Plant, plants)
        tables.write(folder / MODELS, ModelRow, [ModelRow(model="jpeg@0.25bpp", codec="jpeg")])
    return folder
