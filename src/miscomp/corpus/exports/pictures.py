"""Pixels on their way out: which files go where, each checked against the hash that the database has of it.

A file that lies there whole, by its hash, is left alone, so an export that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from miscomp.corpus.compress.space import free_bytes
from miscomp.corpus.corpus import Corpus, original_file
from miscomp.corpus.exports.release import (
    Pixels,
    Release,
    published_original,
    published_reconstruction,
    published_stream,
)
from miscomp.errors import InputError, MiscompError, UsageError
from miscomp.folders import file_sha256, replacing

Progress = Callable[[int, int, str], None]
"""Called with how many are done, how many there are, and the name of the last."""

_CHUNK = 2**20
_SPARE = 2**28
"""Bytes that are left free on the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file of the corpus and its name in the export."""

    source: str
    """From the corpus' folder on."""
    target: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A file that could not be published, and why."""

    name: str
    reason: str


def published(release: Release, *, streams: bool) -> Iterator[Item]:
    """The files of `images/`; nothing of removed pictures, nor of what the corpus has no file of."""
    gone = release.snapshot.removed
    for one in release.snapshot.sources:
        if one.image_sha1 not in gone and one.sha256:
            name = original_file(one.image_sha1)
            yield Item(source=name, target=published_original(one.image_sha1), sha256=one.sha256)
    for row in release.snapshot.reconstructions:
        if row.image_sha1 in gone:
            continue
        if row.file:
            target = published_reconstruction(row.image_sha1, row.model)
            yield Item(source=row.file, target=target, sha256=row.sha256)
        if streams and row.stream_file:
            yield Item(source=row.stream_file, target=published_stream(row), sha256=row.stream_sha256)


def place(
    corpus: Corpus, folder: Path, items: Iterable[Item], how: Pixels, *, progress: Progress
) -> tuple[dict[str, str], tuple[Failure, ...]]:
    """Put files into an export; returns SHA-256 by name of those that lie there, and those that failed.

    Raises `UsageError` where the disk is too small, or cannot link.
    """
    waiting = list(items)
    if how == "copy":
        _check_space(corpus, folder, waiting)
    placed: dict[str, str] = {}
    failures = []
    for number, item in enumerate(waiting, 1):
        try:
            _place(corpus.file(item.source), folder / item.target, item, how)
            placed[item.target] = item.sha256
        except UsageError:
            raise
        except (OSError, MiscompError) as error:
            failures.append(Failure(name=item.target, reason=str(error)))
        progress(number, len(waiting), item.target)
    return placed, tuple(failures)


def _check_space(corpus: Corpus, folder: Path, items: Iterable[Item]) -> None:
    needed = sum(_size(corpus.folder / one.source) for one in items if not (folder / one.target).exists())
    free = free_bytes(folder)
    if needed and needed + _SPARE > free:
        raise UsageError(
            f"the pictures need {needed / 2**30:.1f} GiB, {folder} has {free / 2**30:.1f} GiB; choose another disk, or "
            "--images link on the disk of the corpus"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _place(source: Path, target: Path, item: Item, how: Pixels) -> None:
    if not source.is_file():
        raise InputError(source, "is not there; see: miscomp corpus verify")
    if target.is_file() and target.stat().st_size == source.stat().st_size and file_sha256(target) == item.sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if how == "copy":
        _copy(source, target, item.sha256)
        return
    _check_hash(source, file_sha256(source), item.sha256)
    with replacing(target) as partial:
        partial.unlink(missing_ok=True)
        try:
            os.link(source, partial)
        except OSError as error:
            raise UsageError(f"{target} cannot be a hard link to {source}: {error}; give --images copy") from error


def _copy(source: Path, target: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with replacing(target) as partial:
        with source.open("rb") as read, partial.open("wb") as written:
            while chunk := read.read(_CHUNK):
                digest.update(chunk)
                written.write(chunk)
        _check_hash(source, digest.hexdigest(), sha256)


def _check_hash(source: Path, found: str, known: str) -> None:
    if found != known:
        raise InputError(source, f"has SHA-256 {found}, the database says {known}; see: miscomp corpus verify")
