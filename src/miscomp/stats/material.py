"""What every statistic starts from: reconstructions, boxes, and who has seen what; of a corpus or of bare tables."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import ModelEntry, SourceImage
from miscomp.corpus.labels import annotation_rows, current_flags, current_labels, image_rows, model_rows, view_rows
from miscomp.corpus.schema import fetch
from miscomp.errors import TableError
from miscomp.records import Annotation, ImageRow, ModelRow, View
from miscomp.tables import read
from miscomp.taxonomy import Origin

Pair = tuple[str, str]
"""A reconstruction: SHA-1 of the picture, and the model."""

LEAST_BPP, MOST_BPP = 1e-9, 1e9
"""What a table may call a real rate; beyond, means and logarithms of rates would overflow."""
_RATE = re.compile(r"(.+?)([LH])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One state of what is known; every box lies in one of the images."""

    images: tuple[ImageRow, ...]
    """One a reconstruction, each pair once."""
    annotations: tuple[Annotation, ...]
    views: tuple[View, ...] | None
    """None: nothing says who has seen what, and every labeler counts as having seen every image."""
    also: tuple[str, ...] = ()
    """Labelers who may have drawn and seen nothing, and are to count nonetheless."""
    models: Mapping[str, ModelRow] = field(default_factory=dict)
    codecs: Mapping[str, str] = field(default_factory=dict)
    """By model what its settings share, `C3`; a model that is not in it stands for itself."""
    sources: Mapping[str, SourceImage] = field(default_factory=dict)
    """By SHA-1; empty for bare tables."""
    flags: frozenset[tuple[str, str, str]] | None = None
    """SHA-1, model and labeler of flags for multi-miscompressions; None: the images' `multi` tells, not by whom."""

    @property
    def labelers(self) -> tuple[str, ...]:
        """Everybody who drew or saw anything, people before detectors, by name."""
        detectors = {one.labeler for one in self.annotations if one.origin == Origin.DETECTOR}
        names = {one.labeler for one in self.annotations} | {one.labeler for one in self.views or ()} | {*self.also}
        return tuple(sorted(names, key=lambda name: (name in detectors, name)))

    @property
    def people(self) -> tuple[str, ...]:
        """The labelers that are not detectors (people, truth and simulated ones)."""
        detectors = {one.labeler for one in self.annotations if one.origin == Origin.DETECTOR}
        return tuple(name for name in self.labelers if name not in detectors)

    def seen_by(self) -> dict[Pair, frozenset[str]]:
        """Who has seen each reconstruction. A box is a view, whatever the table says."""
        if self.views is None:
            everybody = frozenset(self.labelers)
            return {(one.image_sha1, one.model): everybody for one in self.images}
        seen: defaultdict[Pair, set[str]] = defaultdict(set)
        for view in self.views:
            seen[view.image_sha1, view.model].add(view.labeler)
        for one in self.annotations:
            seen[one.image_sha1, one.model].add(one.labeler)
        pairs = [(row.image_sha1, row.model) for row in self.images]
        return {pair: frozenset(seen[pair]) for pair in pairs}

    def boxes(self) -> dict[tuple[Pair, str], list[Annotation]]:
        """The boxes by reconstruction and labeler."""
        drawn: defaultdict[tuple[Pair, str], list[Annotation]] = defaultdict(list)
        for one in self.annotations:
            drawn[(one.image_sha1, one.model), one.labeler].append(one)
        return dict(drawn)

    def codec_of(self, model: str) -> str:
        """`C3` for `03L`."""
        return self.codecs.get(model, model)

    def rate_of(self, model: str) -> str:
        """`low` or `high` for a name such as `03L`, as SCLIC writes them; empty for any other."""
        match = _RATE.fullmatch(model)
        return {"L": "low", "H": "high"}[match[2]] if match and model in self.codecs else ""


def from_corpus(corpus: Corpus) -> Material:
    """Everything that stands in a corpus now. Boxes of pictures that were removed are in it."""
    with corpus.reading() as connection:
        labels = current_labels(connection)
        entries = fetch(connection, ModelEntry)
        views = view_rows(connection)
        rows = image_rows(connection, labels)
        return _checked(
            corpus.folder,
            Material(
                images=tuple(rows),
                annotations=tuple(annotation_rows(labels)),
                views=tuple(views),
                models={one.model: one for one in model_rows(connection)},
                codecs={one.model: one.codec for one in entries},
                sources={one.image_sha1: one for one in fetch(connection, SourceImage)},
                flags=frozenset(key for key, flag in current_flags(connection).items() if flag.multi),
            ),
        )


def from_tables(
    annotations: Sequence[Path], images: Sequence[Path], views: Sequence[Path] = (), models: Sequence[Path] = ()
) -> Material:
    """Bare tables, several of a kind put together; what stands in several of them counts once.

    Raises `TableError` that names the file, also for a reconstruction that two rows tell differently.
    """
    rows: dict[Pair, ImageRow] = {}
    for path in images:
        for row in read(path, ImageRow):
            rows[row.image_sha1, row.model] = _joined(path, rows.get((row.image_sha1, row.model)), row)
    boxes: dict[tuple[str, ...], Annotation] = {}
    for path in annotations:
        for one in read(path, Annotation):
            key = (one.image_sha1, one.model, one.labeler, one.id, f"{one.x},{one.y},{one.w},{one.h}")
            if boxes.setdefault(key, one) != one:
                raise TableError(path, f"{one.id} of {one.labeler} stands there twice and differs; leave one out")
    material = Material(
        images=tuple(rows.values()),
        annotations=tuple(boxes.values()),
        views=tuple(one for path in views for one in read(path, View)) if views else None,
        models={one.model: one for path in models for one in read(path, ModelRow)},
    )
    return _checked(annotations[0] if annotations else Path("annotations.csv"), material)


def _joined(where: Path, first: ImageRow | None, second: ImageRow) -> ImageRow:
    """One row of two on a reconstruction. Raises `TableError` for another size or rate, or a rate that is none."""
    if second.bpp is not None and not LEAST_BPP <= second.bpp <= MOST_BPP:
        what = f"{second.filename} by {second.model} has {second.bpp} bpp"
        raise TableError(where, f"{what}; rates lie in {LEAST_BPP:g} to {MOST_BPP:g}, or are left empty")
    if first is None:
        return second
    one, other = ((row.width, row.height, row.bpp) for row in (first, second))
    if one[:2] != other[:2] or (None not in (one[2], other[2]) and one[2] != other[2]):
        told = " and ".join(f"{width} x {height} pixels, {bpp or 'unknown'} bpp" for width, height, bpp in (one, other))
        raise TableError(where, f"{second.filename} by {second.model} is there twice: {told}; leave out the wrong row")
    return first if second.bpp is None else second


def _checked(where: Path, material: Material) -> Material:
    """Raise `TableError` for boxes of no reconstruction and outside of theirs."""
    sizes = {(one.image_sha1, one.model): (one.width, one.height) for one in material.images}
    for one in material.annotations:
        size = sizes.get((one.image_sha1, one.model))
        if size is None:
            raise TableError(where, f"{one.id} is of {one.model} of {one.filename}, which the images do not have")
        try:
            one.box.check_inside(*size)
        except ValueError as error:
            raise TableError(where, f"{one.id} of {one.labeler}: {error}") from error
    return material


def chosen(material: Material, *, labelers: Iterable[str] = (), models: Iterable[str] = ()) -> Material:
    """The material of some labelers and models only; all of them where none are named."""
    who, what = set(labelers) or set(material.labelers), set(models) or {one.model for one in material.images}
    return Material(
        images=tuple(one for one in material.images if one.model in what),
        annotations=tuple(one for one in material.annotations if one.model in what and one.labeler in who),
        views=None
        if material.views is None
        else tuple(one for one in material.views if one.model in what and one.labeler in who),
        also=tuple(sorted(set(labelers))),
        models={name: one for name, one in material.models.items() if name in what},
        codecs={name: one for name, one in material.codecs.items() if name in what},
        sources=material.sources,
        flags=None
        if material.flags is None
        else frozenset(one for one in material.flags if one[1] in what and one[2] in who),
    )


def apart(material: Material) -> list[str]:
    """A sentence on everyone whose boxes are all in models that nobody else has a box in.

    Without views that reads as "saw the others' and found nothing", though it may be one codec under two names.
    """
    where: defaultdict[str, set[str]] = defaultdict(set)
    for one in material.annotations:
        where[one.labeler].add(one.model)
    return [
        f"{name} has boxes by {', '.join(sorted(models))} alone, where nobody else has any. Tables that call one model "
        "by two names, or models that not all have seen, give numbers that mean nothing: give --views, or one --model."
        for name, models in sorted(where.items())
        if len(where) > 1 and not any(models & others for who, others in where.items() if who != name)
    ]
