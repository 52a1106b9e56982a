"""The pairs of a corpus that a sample may be drawn from, and why the others may not."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from miscomp.corpus.config import NAME
from miscomp.corpus.corpus import Corpus, meta
from miscomp.corpus.entries import LabelEvent, ModelEntry, Reconstruction, Seen, SourceImage
from miscomp.corpus.labels import PEOPLE, counts, current_labels, multi_pairs
from miscomp.corpus.samples.draw import Kind, Label, Pair, Request, drawable
from miscomp.corpus.schema import SEEN, fetch
from miscomp.errors import InputError, UnknownName, UsageError
from miscomp.records import Box
from miscomp.taxonomy import Category, split_categories

_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which reconstructions a sample may show; what is empty allows all."""

    codecs: tuple[str, ...] = ()
    """Of the corpus: `C3`."""
    models: tuple[str, ...] = ()
    """`03L`."""
    rates: tuple[str, ...] = ()
    """Ends of model names: `L`, `H`."""
    min_bpp: float | None = None
    max_bpp: float | None = None
    """Real rates; where none is known the pair is left out."""
    sources: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    min_annotations: int = 0
    detections: bool = False
    """Detectors' boxes count like people's."""
    unviewed: bool = False
    """Crops free of boxes may come from pairs that nobody looked through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A corpus as the draw sees it."""

    name: str
    """Of the corpus, a UUID."""
    state: str
    """16 hex digits of a SHA-256 over all pairs, boxes and views: the same state gives the same sample."""
    pairs: tuple[Pair, ...]
    """All reconstructions whose pixels are there."""
    eligible: tuple[Pair, ...]
    """Those that meet the filters and what the kind of crop asks for."""
    clean: frozenset[str]
    """Keys of the pairs whose areas without boxes may count as free of miscompressions."""
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """How many pairs were passed over, by reason."""


def make_pool(corpus: Corpus, connection: Connection, request: Request, filters: Filters) -> Pool:
    """Read what a sample can be drawn from.

    Raises `UsageError` for names, sizes or kinds that the corpus cannot serve.
    """
    labels = current_labels(connection)
    _check_names(connection, labels, request, filters)
    views = _finished(fetch(connection, Seen, counts(SEEN.c.batch)))
    if not views and (request.kind == Kind.FREE or request.matched) and not filters.unviewed:
        raise UsageError(
            "this corpus records nobody's views, so that an area without boxes may only be one that nobody looked at; "
            "give --unviewed to take it as free nonetheless"
        )
    passed: Counter[str] = Counter()
    pairs = []
    for pair in _all_pairs(connection, labels, views, detections=filters.detections):
        row = pair.row
        if pair.image.removed:
            passed["of removed pictures"] += 1
        elif not row.file or not corpus.file(row.file).is_file():
            passed["whose file is missing"] += 1
        else:
            pairs.append(pair)
    eligible = _eligible(pairs, request, filters, passed, corpus.config.images.max_megapixels)
    clean = {one.key for one in pairs if not one.multi and (one.labelers or filters.unviewed)}
    return Pool(
        name=meta(connection, "corpus"),
        state=_state(pairs),
        pairs=tuple(pairs),
        eligible=tuple(eligible),
        clean=frozenset(clean),
        passed_over=passed,
    )


def _all_pairs(
    connection: Connection, labels: Sequence[LabelEvent], views: Mapping[tuple[str, str], int], *, detections: bool
) -> Iterator[Pair]:
    """Every reconstruction, removed ones too."""
    images = {one.image_sha1: one for one in fetch(connection, SourceImage)}
    codecs = {one.model: one.codec for one in fetch(connection, ModelEntry)}
    boxes = _boxes(labels, detections=detections)
    multi = multi_pairs(connection, labels)
    for row in fetch(connection, Reconstruction):
        key = (row.image_sha1, row.model)
        yield Pair(
            row=row,
            image=images[row.image_sha1],
            codec=codecs.get(row.model, ""),
            labels=tuple(boxes[key]),
            multi=key in multi,
            labelers=views.get(key, 0),
        )


def _finished(seen: Iterable[Seen]) -> Counter[tuple[str, str]]:
    """How many people looked through each pair; opened and not closed is not looked through."""
    people = {(one.image_sha1, one.model, one.labeler) for one in seen if one.closed or not one.opened}
    return Counter((sha1, model) for sha1, model, _ in people)


def _boxes(labels: Iterable[LabelEvent], *, detections: bool) -> defaultdict[tuple[str, str], list[Label]]:
    found: defaultdict[tuple[str, str], list[Label]] = defaultdict(list)
    for one in labels:
        if detections or one.origin in PEOPLE:
            try:
                label = Label(
                    box=Box(one.x, one.y, one.w, one.h),
                    id=one.id,
                    labeler=one.labeler,
                    categories=frozenset(split_categories(one.category)),
                    symbol=one.symbol,
                )
            except ValueError as error:
                raise InputError(f"annotation {one.id!r}", f"{error}; see: miscomp corpus verify") from error
            found[one.image_sha1, one.model].append(label)
    return found


def _eligible(
    pairs: Sequence[Pair], request: Request, filters: Filters, passed: Counter[str], max_megapixels: float
) -> list[Pair]:
    eligible = []
    for pair in pairs:
        reason = _why_not(pair, request, filters, max_megapixels)
        if reason:
            passed[reason] += 1
        else:
            eligible.append(pair)
    if not eligible and passed["smaller than the crops"]:
        width, height = max((one.row.width, one.row.height) for one in pairs)
        raise UsageError(
            f"no reconstruction that was asked for holds crops of {request.width} x {request.height} pixels; the "
            f"widest has {width} x {height}: give a smaller --size"
        )
    return eligible


def _why_not(pair: Pair, request: Request, filters: Filters, max_megapixels: float) -> str:
    """Why a pair is not drawn from, in words that follow a number of reconstructions; empty where it is."""
    row, image = pair.row, pair.image
    allowed = (
        (filters.codecs, pair.codec),
        (filters.models, row.model),
        (filters.rates, row.model[-1:]),
        (filters.sources, image.source),
        (filters.splits, image.split),
    )
    low, high = filters.min_bpp or 0.0, filters.max_bpp
    if any(names and name not in names for names, name in allowed):
        return "by other models, of other sources or splits"
    if (low or high) and (row.bpp is None or row.bpp < low or (high is not None and row.bpp > high)):
        return "at other rates"
    if row.width * row.height > max_megapixels * 1e6:
        return "larger than the corpus allows"
    if len(pair.labels) < filters.min_annotations:
        return "with fewer annotations"
    if request.kind != Kind.CONTEXT and (request.width > row.width or request.height > row.height):
        return "smaller than the crops"
    if request.kind in (Kind.ANNOTATED, Kind.CONTEXT):
        return "" if drawable(pair, request) else "without such an annotation"
    if request.kind == Kind.FREE and pair.multi:
        return "flagged multi"
    if request.kind == Kind.FREE and not (pair.labelers or filters.unviewed):
        return "that nobody looked through"
    return ""


def _check_names(connection: Connection, labels: Iterable[LabelEvent], request: Request, filters: Filters) -> None:
    """Raise `UnknownName` for what the corpus does not have, `InputError` for names that no file may have."""
    rows = fetch(connection, Reconstruction)
    images = {one.image_sha1: one for one in fetch(connection, SourceImage)}
    for one in rows:
        if one.image_sha1 not in images:
            raise InputError(
                "the database", f"has {one.model} of {one.image_sha1!r} and no such picture; see: miscomp corpus verify"
            )
        if not re.fullmatch(NAME, one.model) or one.model.lower() == "original" or not _SHA1.fullmatch(one.image_sha1):
            raise InputError("the database", f"names {one.model!r} of {one.image_sha1!r}; no file can be named so")
    models = {one.model for one in rows}
    codecs = {one.codec for one in fetch(connection, ModelEntry) if one.model in models}
    people = {one.labeler for one in labels if filters.detections or one.origin in PEOPLE}
    known = {
        "codec": (filters.codecs, codecs),
        "model": (filters.models, models),
        "rate": (filters.rates, {model[-1] for model in models}),
        "source": (filters.sources, {one.source for one in images.values()}),
        "split": (filters.splits, {one.split for one in images.values()}),
        "labeler": ((request.labeler,) * bool(request.labeler), people),
        "category": ((request.category,) * bool(request.category), {one.value for one in Category}),
    }
    for kind, (asked, names) in known.items():
        for name in asked:
            if name not in names:
                raise UnknownName(kind, name, names)


def _state(pairs: Iterable[Pair]) -> str:
    digest = hashlib.sha256()
    for one in pairs:
        boxes = [(box.box, box.id, box.labeler, sorted(box.categories), box.symbol) for box in one.labels]
        digest.update(f"{one.key} {one.row.pixel_sha256} {one.multi} {one.labelers} {boxes}\n".encode())
    return digest.hexdigest()[:16]
