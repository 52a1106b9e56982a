"""Mend what can be recomputed exactly, and nothing else: what people have labelled is never replaced by others."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, and_, delete

from miscomp.codecs.catalog import CODECS
from miscomp.codecs.rate import encode_at_quality
from miscomp.codecs.spec import open_spec, parse_spec
from miscomp.corpus.checks.faults import Fault, Kind
from miscomp.corpus.corpus import INCOMING, Corpus
from miscomp.corpus.entries import BatchItem, LabelEvent, ModelEntry, MultiFlag, Reconstruction, Seen
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.schema import RECONSTRUCTION, count, fetch, put, table_of
from miscomp.errors import MiscompError
from miscomp.folders import replacing
from miscomp.images import Pixels, pixel_sha256, read, write_png

ORPHANS = "orphans"
"""Folder that files without a row are moved to; delete it when nothing in it is missed."""


def repair(corpus: Corpus, faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """Try each fault, and return all of them with what was done. The corpus must be owned."""
    pairs = {(one.image_sha1, one.model) for one in faults if one.model and one.kind in (Kind.MISSING, Kind.DAMAGED)}
    outcomes = {pair: _mend_pair(corpus, *pair) for pair in sorted(pairs)}
    result = []
    for one in faults:
        pair = (one.image_sha1, one.model)
        if pair in pairs and one.kind in (Kind.MISSING, Kind.DAMAGED):
            mended, outcome = outcomes[pair]
        elif one.kind in _MENDERS:
            mended, outcome = _attempt(lambda one=one: _MENDERS[one.kind](corpus, one))  # type: ignore[misc]
        else:
            mended, outcome = False, _ADVICE.get(one.kind, "")
        result.append(replace(one, mended=mended, outcome=outcome))
    write_manifest(corpus)
    return tuple(result)


_ADVICE = {
    Kind.MISSING: "put the PNG back from a copy, or add the photograph again: miscomp corpus add",
    Kind.DAMAGED: "put the PNG back from a copy, or delete it and add the photograph again: miscomp corpus add",
    Kind.DUPLICATE: "not mended: decide which of them stays",
    Kind.BOX: "not mended: whoever drew it has to decide",
}


def _attempt(mend: Callable[[], tuple[bool, str]]) -> tuple[bool, str]:
    try:
        return mend()
    except (MiscompError, OSError) as error:
        return False, f"not mended: {error}"


def _mend_pair(corpus: Corpus, image_sha1: str, model: str) -> tuple[bool, str]:
    """Make a pair's files again, and keep them only where they are what they were."""
    with corpus.reading() as connection:
        found = fetch(connection, Reconstruction, _is_pair(image_sha1, model))
        specs = {one.model: one.spec for one in fetch(connection, ModelEntry)}
    if not found:
        return False, "not mended: no row is left"
    try:
        mended, outcome = _restore(corpus, found[0], specs.get(model, ""))
    except (MiscompError, OSError) as error:
        # Weights or a codec that are not here, a full disk, a release's files: it could be mended elsewhere.
        return False, f"not mended: {error}"
    if mended:
        return True, outcome
    with corpus.writing() as connection:
        if _is_used(connection, image_sha1, model):
            return False, f"{outcome}; people have been given this pair, so it is kept as it is: restore a copy"
        connection.execute(delete(RECONSTRUCTION).where(_is_pair(image_sha1, model)))
    for name in (found[0].stream_file, found[0].file):
        if name:
            corpus.file(name).unlink(missing_ok=True)
    return True, f"{outcome}; nobody was given it yet, so the next miscomp corpus compress makes it anew"


def _is_pair(image_sha1: str, model: str, record: type = Reconstruction) -> ColumnElement[bool]:
    table = table_of(record)
    return and_(table.c.image_sha1 == image_sha1, table.c.model == model)


def _is_used(connection: Connection, image_sha1: str, model: str) -> bool:
    records = (LabelEvent, MultiFlag, Seen, BatchItem)
    return any(count(connection, record, _is_pair(image_sha1, model, record)) for record in records)


def _restore(corpus: Corpus, row: Reconstruction, spec: str) -> tuple[bool, str]:
    stream = _stream(corpus, row)
    done = []
    if stream is None:
        stream = _encoded(corpus, row, spec)
        if stream is None:
            return False, "compressing it again gives other bytes here"
        path = corpus.file(row.stream_file)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(stream)
        done.append("compressed again, to the same bytes")
    if row.file and not _is_whole(corpus.file(row.file), row.sha256):
        codec = open_spec(parse_spec(spec))
        pixels = codec.decompress(stream, max_megapixels=row.width * row.height / 1e6 + 1)
        if pixel_sha256(pixels) != row.pixel_sha256:
            return False, "decoding it again gives other pixels here"
        _write_reconstruction(corpus, row, pixels)
        done.append("decoded again, to the same pixels")
    return True, " and ".join(done) or "whole again"


def _stream(corpus: Corpus, row: Reconstruction) -> bytes | None:
    if not row.stream_file:
        raise MiscompError("the corpus has no compressed file of it")
    path = corpus.file(row.stream_file)
    content = path.read_bytes() if path.is_file() else b""
    return content if hashlib.sha256(content).hexdigest() == row.stream_sha256 else None


def _encoded(corpus: Corpus, row: Reconstruction, spec: str) -> bytes | None:
    if row.quality is None:
        raise MiscompError("the quality at which it was compressed is not known")
    asked = parse_spec(spec)
    picture = read(corpus.original(row.image_sha1), max_megapixels=row.width * row.height / 1e6 + 1)
    if picture.image_sha1 != row.image_sha1:
        raise MiscompError("its original is damaged too")
    encoded = encode_at_quality(open_spec(asked), CODECS[asked.name], picture.pixels, row.quality)
    return encoded.content if hashlib.sha256(encoded.content).hexdigest() == row.stream_sha256 else None


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _write_reconstruction(corpus: Corpus, row: Reconstruction, pixels: Pixels) -> None:
    path = corpus.file(row.file)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, pixels)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 != row.sha256:  # another release of the PNG writer: the same pixels in other bytes
        with corpus.writing() as connection:
            put(connection, [replace(row, sha256=sha256)])


def _set_aside(corpus: Corpus, one: Fault) -> tuple[bool, str]:
    target = corpus.folder / ORPHANS / one.where
    number = 0
    while target.exists():
        number += 1
        target = corpus.folder / ORPHANS / f"{one.where}.{number}"
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(corpus.folder / one.where, target)
    return True, f"moved to {target.relative_to(corpus.folder).as_posix()}"


def _remove(corpus: Corpus, one: Fault) -> tuple[bool, str]:
    path = corpus.folder / one.where
    if one.kind == Kind.UNFINISHED and path.parent.name == INCOMING and not path.name.startswith("."):
        return False, ""  # whole, and taken in by the next run
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return True, "removed"


def _rewrite(corpus: Corpus, one: Fault) -> tuple[bool, str]:
    write_manifest(corpus)
    return True, "written anew"


def _recount(corpus: Corpus, one: Fault) -> tuple[bool, str]:
    """A rate follows from the bytes; other contradictions are for people to decide."""
    with corpus.writing() as connection:
        for row in fetch(connection, Reconstruction, _is_pair(one.image_sha1, one.model)):
            if row.stream_bytes and " bpp" in one.problem:
                put(connection, [replace(row, bpp=8 * row.stream_bytes / (row.width * row.height))])
                return True, "the rate was counted again"
    return False, "not mended: nothing says which is right"


_MENDERS: dict[Kind, Callable[[Corpus, Fault], tuple[bool, str]]] = {
    Kind.ORPHAN: _set_aside,
    Kind.UNFINISHED: _remove,
    Kind.LEFTOVER: _remove,
    Kind.MANIFEST: _rewrite,
    Kind.ROW: _recount,
}
