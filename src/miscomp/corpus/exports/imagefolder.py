"""An image folder as Hugging Face's `datasets` reads it: `data/SPLIT/metadata.jsonl` and the pictures beside it.

A key that ends in `_file_name` becomes a column of pictures there, so each row has the reconstruction (`image`) and
the original (`original`). All versions of a photograph are in its split.

Columns must have the same type in every split. Lines of JSON have none where all is empty or unknown, as the boxes of
a split that nobody labeled: then all splits have `metadata.parquet` instead, which needs the extra `parquet`.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from miscomp.corpus.corpus import original_file, reconstruction_file
from miscomp.corpus.exports.pictures import Item
from miscomp.corpus.exports.release import Release
from miscomp.corpus.exports.snapshot import Snapshot, SourceRow
from miscomp.errors import MissingExtra, UsageError
from miscomp.folders import replacing
from miscomp.records import Annotation, ImageRow

FOLDER = "data"
METADATA, TYPED = "metadata.jsonl", "metadata.parquet"
TRAIN = "train"
"""The split of pictures that were given none."""

_SPLIT = re.compile(r"\w{1,64}", re.ASCII)


def split_of(source: SourceRow) -> str:
    """Name of a picture's split. Raises `UsageError` for one that a folder of `datasets` cannot have."""
    split = source.split or TRAIN
    if not _SPLIT.fullmatch(split):
        raise UsageError(
            f"the split {split!r} cannot be one of an image folder, which needs letters, digits and underscores; leave "
            "imagefolder out, or correct the split of the pictures"
        )
    return split


def splits(snapshot: Snapshot) -> tuple[str, ...]:
    """The splits that have a picture, in order."""
    return tuple(sorted({split_of(source) for source, _ in _shown(snapshot)}))


def pictures(release: Release) -> Iterator[Item]:
    """The files below `data/`."""
    seen = set()
    files = {(one.image_sha1, one.model): one for one in release.snapshot.reconstructions}
    for source, row in _shown(release.snapshot):
        begin = f"{FOLDER}/{split_of(source)}"
        if source.image_sha1 not in seen:
            seen.add(source.image_sha1)
            name = original_file(source.image_sha1)
            yield Item(source=name, target=f"{begin}/{name}", sha256=source.sha256)
        made = files[row.image_sha1, row.model]
        target = f"{begin}/{reconstruction_file(row.image_sha1, row.model)}"
        yield Item(source=made.file, target=target, sha256=made.sha256)


def write_imagefolder(release: Release) -> None:
    """Write the metadata of every split."""
    boxes: defaultdict[tuple[str, str], list[Annotation]] = defaultdict(list)
    for one in release.snapshot.annotations:
        boxes[one.image_sha1, one.model].append(one)
    entries: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for source, row in _shown(release.snapshot):
        entries[split_of(source)].append(_entry(source, row, boxes[row.image_sha1, row.model]))
    typed = all(map(_has_types, entries.values()))
    for split, found in entries.items():
        if typed:
            lines = (json.dumps(entry, allow_nan=False) + "\n" for entry in found)
            release.write(f"{FOLDER}/{split}/{METADATA}", "".join(lines))
        else:
            _write_typed(release.at(f"{FOLDER}/{split}/{TYPED}"), found)


def _has_types(entries: list[dict[str, Any]]) -> bool:
    """Whether each column has some value."""
    known = all(any(entry[name] is not None for entry in entries) for name in ("bpp", "psnr"))
    return known and any(entry["objects"]["id"] for entry in entries)


def _write_typed(path: Path, entries: list[dict[str, Any]]) -> None:
    if find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", "parquet", "an image folder with a split without any box or figure")
    import pyarrow
    import pyarrow.parquet as parquet

    texts = pyarrow.list_(pyarrow.string())
    objects = {name: texts for name in entries[0]["objects"]} | {
        "bbox": pyarrow.list_(pyarrow.list_(pyarrow.float64()))
    }
    kinds = {name: pyarrow.string() for name in entries[0]}
    kinds |= {"width": pyarrow.int64(), "height": pyarrow.int64(), "multi": pyarrow.bool_()}
    kinds |= {"bpp": pyarrow.float64(), "psnr": pyarrow.float64(), "objects": pyarrow.struct(list(objects.items()))}
    with replacing(path) as partial:
        table = pyarrow.Table.from_pylist(entries, schema=pyarrow.schema(list(kinds.items())))
        parquet.write_table(table, partial, compression="zstd")


def _shown(snapshot: Snapshot) -> Iterator[tuple[SourceRow, ImageRow]]:
    """Pairs whose two pictures are there."""
    sources = {one.image_sha1: one for one in snapshot.sources if one.sha256 and not one.removed}
    files = {(one.image_sha1, one.model) for one in snapshot.reconstructions if one.file}
    for row in snapshot.images:
        if row.image_sha1 in sources and (row.image_sha1, row.model) in files:
            yield sources[row.image_sha1], row


def _entry(source: SourceRow, row: ImageRow, boxes: list[Annotation]) -> dict[str, Any]:
    return {
        "file_name": reconstruction_file(row.image_sha1, row.model),
        "original_file_name": original_file(row.image_sha1),
        "image_sha1": row.image_sha1,
        "model": row.model,
        "width": row.width,
        "height": row.height,
        "bpp": row.bpp,
        # JSON has no infinity: null for a reconstruction without any error, as for one that was not measured.
        "psnr": row.psnr if row.psnr is not None and math.isfinite(row.psnr) else None,
        "source": source.source,
        "licence": source.licence,
        "multi": row.multi,
        "objects": {
            "id": [one.id for one in boxes],
            "bbox": [[float(value) for value in (one.x, one.y, one.w, one.h)] for one in boxes],
            "categories": [one.category for one in boxes],
            "labeler": [one.labeler for one in boxes],
            "origin": [one.origin for one in boxes],
        },
    }
