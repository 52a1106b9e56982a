"""A folder of pairs with labels: what plants and people's annotations are kept in, and what detectors are scored on.

- `originals/FILENAME`: pictures, lossless
- `reconstructions/MODEL/STEM.png`: what each model made of them; MODEL as `model_folder` writes it
- `images.csv`, `annotations.csv`: one row per pair; one row per label
- `models.csv`, `negatives.csv`, `plants.csv`: where they are known
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from miscomp.errors import TableError
from miscomp.records import Annotation, ImageRow, ModelRow, Plant
from miscomp.tables import read
from miscomp.taxonomy import Origin

PLANTED = "planted"
"""`ImageRow.source` of a pair whose reconstruction was made from a changed picture."""
NATURAL = "natural"
"""`ImageRow.source` of a pair with known words, which only the codec changed."""
CONTROL = "control"
"""`ImageRow.source` of a pair in which nothing lost its meaning: whatever is found there is a false alarm."""

ANNOTATIONS, IMAGES, MODELS = "annotations.csv", "images.csv", "models.csv"
NEGATIVES, PLANTS = "negatives.csv", "plants.csv"

_UNSAFE = re.compile(r"[^A-Za-z0-9._@-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPair:
    """One reconstruction of one picture with what is known about it."""

    row: ImageRow
    original: Path
    reconstruction: Path
    labels: tuple[Annotation, ...] = ()
    """Miscompressions: to be found."""
    negatives: tuple[Annotation, ...] = ()
    """Places that changed without a change of meaning: not to be found."""
    plants: Mapping[str, Plant] = field(default_factory=dict)
    """By the id of the label or negative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSet:
    """Every pair of a folder, in the order of `images.csv`."""

    folder: Path
    pairs: tuple[LabelledPair, ...]
    models: Mapping[str, ModelRow] = field(default_factory=dict)


def model_folder(model: str) -> str:
    """A model's name as a folder's: whatever is not a letter, a digit or one of `._@-` becomes `_`.

    So does a dot at the beginning, which could lead out of the folder or hide it.
    """
    return re.sub(r"^\.+", "_", _UNSAFE.sub("_", model))


def original_path(folder: Path, filename: str) -> Path:
    """Where an original lies."""
    return folder / "originals" / filename


def reconstruction_path(folder: Path, model: str, filename: str) -> Path:
    """Where a reconstruction lies."""
    return folder / "reconstructions" / model_folder(model) / f"{Path(filename).stem}.png"


def read_pair_set(folder: Path) -> PairSet:
    """Read a folder's tables; pictures are not opened.

    Raises `TableError` for a table that is missing or cannot be read, for a label of no pair, and for a pair whose
    file name leads out of the folder.
    """
    rows = read(folder / IMAGES, ImageRow)
    known = _checked(folder / IMAGES, rows)
    labels = _grouped(folder / ANNOTATIONS, read(folder / ANNOTATIONS, Annotation), known)
    negatives = _grouped(folder / NEGATIVES, _optional(folder / NEGATIVES, Annotation), known)
    plants = _grouped(folder / PLANTS, _optional(folder / PLANTS, Plant), known)
    pairs = []
    for row in rows:
        key = (row.image_sha1, row.model)
        pairs.append(
            LabelledPair(
                row=row,
                original=original_path(folder, row.filename),
                reconstruction=reconstruction_path(folder, row.model, row.filename),
                labels=labels.get(key, ()),
                negatives=negatives.get(key, ()),
                plants={plant.id: plant for plant in plants.get(key, ())},
            )
        )
    models = {row.model: row for row in _optional(folder / MODELS, ModelRow)}
    return PairSet(folder=folder, pairs=tuple(pairs), models=models)


def _checked(path: Path, rows: Sequence[ImageRow]) -> dict[tuple[str, str], ImageRow]:
    """The pairs by what labels name them by. Raises `TableError` for file names that lead elsewhere and for twins."""
    known: dict[tuple[str, str], ImageRow] = {}
    places: set[Path] = set()
    for number, row in enumerate(rows, 1):
        if Path(row.filename).name != row.filename or row.filename in ("", ".", "..") or "\0" in row.filename:
            raise TableError(path, f"record {number}: {row.filename!r} is no file name")
        pair, place = (row.image_sha1, row.model), reconstruction_path(path.parent, row.model, row.filename)
        if pair in known:
            raise TableError(path, f"record {number}: the pair of {row.filename} and {row.model} stands there twice")
        if place in places:
            raise TableError(path, f"record {number}: {row.filename} and {row.model} share a file with another pair")
        known[pair] = row
        places.add(place)
    return known


Row = TypeVar("Row", Annotation, Plant)
Optional = TypeVar("Optional", Annotation, Plant, ModelRow)


def _optional(path: Path, record: type[Optional]) -> list[Optional]:
    return read(path, record) if path.exists() else []


def _grouped(
    path: Path, rows: Sequence[Row], known: Mapping[tuple[str, str], ImageRow]
) -> dict[tuple[str, str], tuple[Row, ...]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    seen: set[tuple[str, ...]] = set()
    for number, row in enumerate(rows, 1):
        pair: tuple[str, str] = (row.image_sha1, row.model)
        if pair not in known:
            raise TableError(path, f"record {number}: {row.id} is of a pair that {IMAGES} does not have")
        key = (*pair, row.id, row.labeler if isinstance(row, Annotation) else row.kind)
        if key in seen:
            raise TableError(path, f"record {number}: {row.id} stands there twice; leave one out")
        seen.add(key)
        if isinstance(row, Annotation):
            _check_label(path, number, row, known[pair])
        groups.setdefault(pair, []).append(row)
    return {pair: tuple(group) for pair, group in groups.items()}


def _check_label(path: Path, number: int, label: Annotation, pair: ImageRow) -> None:
    """Raise `TableError` for a box outside its picture, and for what a detector found: that is no truth."""
    try:
        label.box.check_inside(pair.width, pair.height)
    except ValueError as error:
        raise TableError(path, f"record {number}: {error}") from error
    if label.origin == Origin.DETECTOR:
        raise TableError(path, f"record {number}: {label.id} was found by a detector; labels are truth, or by people")
