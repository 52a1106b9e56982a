"""Room on the disk: how much the work needs, and how much there is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import SourceImage
from miscomp.corpus.schema import IMAGE, RECONSTRUCTION
from miscomp.errors import InputError

GIB = 2**30
_BEGIN = 1.1
"""Bytes of stream and reconstruction for each of the photograph's, where nothing is known yet; our guess."""
_ROW_BYTES = 3000
_SAMPLE = 200


def free_bytes(folder: Path) -> int:
    """What this user may still write on the folder's disk."""
    return shutil.disk_usage(folder).free


def estimate(corpus: Corpus, images: Sequence[SourceImage]) -> int:
    """Bytes that tasks will need, one for each picture named: by what the results so far took for their pictures."""
    ratio = _ratio(corpus)
    return int(sum(one.size_bytes for one in images) * ratio) + _ROW_BYTES * len(images)


def _ratio(corpus: Corpus) -> float:
    """From a sample of what is there, of all models together."""
    asked = (
        select(RECONSTRUCTION.c.file, RECONSTRUCTION.c.stream_bytes, IMAGE.c.size_bytes)
        .join(IMAGE, IMAGE.c.image_sha1 == RECONSTRUCTION.c.image_sha1)
        .order_by(RECONSTRUCTION.c.image_sha1, RECONSTRUCTION.c.model)
        .limit(_SAMPLE)
    )
    with corpus.reading() as connection:
        rows = list(connection.execute(asked))
    made, originals = 0, 0
    for file, stream_bytes, size_bytes in rows:
        try:
            made += corpus.file(file).stat().st_size + stream_bytes
        except (OSError, InputError):
            continue
        originals += size_bytes
    return made / originals if originals else _BEGIN


def describe(need: int, free: int, kept: int) -> str:
    """Need and room in words."""
    return f"about {need / GIB:.2f} GiB needed, {free / GIB:.2f} GiB free, {kept / GIB:.2f} GiB of it to be left"


def describe_left(free: int, kept: int) -> str:
    """Room in words."""
    return f"{free / GIB:.2f} GiB free, {kept / GIB:.2f} GiB are to be left"


def check(corpus: Corpus, need: int, free: int) -> None:
    """Raise `InputError` where the work does not fit on the disk."""
    kept = least(corpus)
    if need + kept > free:
        raise InputError(
            corpus.folder,
            f"the disk is too small: {describe(need, free, kept)}; make room, do less with --limit or --model, "
            "or lower min_free_gib in corpus.toml",
        )


def least(corpus: Corpus) -> int:
    """Bytes that are to stay free."""
    return int(corpus.config.compress.min_free_gib * GIB)
