"""How results come from `incoming/` into the corpus: checked, files moved, rows written, in steps that may be repeated.

A kill between any two steps leaves a folder in `incoming/` that the next run takes in from where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, and_, delete, or_

from miscomp.corpus.compress.incoming import PICTURE, RESULT, SET_ASIDE, STREAM, Placed, read_placed, set_aside, waiting
from miscomp.corpus.corpus import INCOMING, Corpus, reconstruction_file, stream_file
from miscomp.corpus.entries import Environment, ModelEntry, Reconstruction, SourceImage, now
from miscomp.corpus.schema import FAILED, RECONSTRUCTION, add, fetch, within
from miscomp.errors import InputError
from miscomp.folders import file_sha256

_AT_ONCE = 200
"""Results of one transaction."""
_FEW = 40
"""Files that are brought to the disk one by one; of more, everything is at once, which takes less."""


@dataclass(frozen=True, slots=True)
class _Found:
    folder: Path
    placed: Placed

    @property
    def key(self) -> tuple[str, str]:
        return self.placed.image_sha1, self.placed.model

    @property
    def files(self) -> dict[str, str]:
        """Where each file of the folder belongs, from the corpus' folder on."""
        one = self.placed
        stream = stream_file(one.image_sha1, one.model, one.suffix)
        return {STREAM: stream, PICTURE: reconstruction_file(one.image_sha1, one.model)}


@dataclass
class Intake:
    """Takes results in; holds what they must fit. Only the owner of the corpus may have one."""

    corpus: Corpus
    images: Mapping[str, SourceImage]
    """Every picture of the corpus, removed ones too."""
    entries: Mapping[str, ModelEntry]
    """What each model of the settings means; a result of another is set aside."""
    taken: set[tuple[str, str]] = field(default_factory=set)
    """Picture and model of what was taken in."""
    set_aside: list[str] = field(default_factory=list)
    """What did not fit, where it lies now, and why."""
    problems: dict[str, str] = field(default_factory=dict)
    """Why results were not taken in, by the name of their folder."""
    _environments: dict[str, str] = field(default_factory=dict)
    _folders: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        with self.corpus.reading() as connection:
            for one in fetch(connection, Environment):
                self._environments[one.content] = one.environment

    def take_waiting(self) -> int:
        """Remove what was left unfinished, take in all that is whole, and return how many that were."""
        before = len(self.taken)
        self.take(waiting(self.corpus.folder / INCOMING))
        return len(self.taken) - before

    def take(self, folders: Iterable[Path]) -> None:
        """Take in results. Raises `OSError` where the disk refuses; then they stay for another time."""
        found = [one for folder in folders if (one := self._read(folder)) is not None]
        for begin in range(0, len(found), _AT_ONCE):
            self._take_some(found[begin : begin + _AT_ONCE])

    def _read(self, folder: Path) -> _Found | None:
        try:
            if folder.is_symlink():
                raise InputError(folder, "is a link, which no worker makes")
            if folder.is_dir() and not (folder / RESULT).exists() and not any(folder.iterdir()):
                folder.rmdir()  # its result was taken in by a run that was killed before this
                return None
            if folder.is_dir() and self._is_removed(folder.name):
                shutil.rmtree(folder)
                return None
            one = _Found(folder, read_placed(folder))
            self._check(one)
        except InputError as error:
            self._reject(folder, error.problem)
            return None
        return one

    def _is_removed(self, name: str) -> bool:
        """Whether the picture was removed at a person's request: then nothing of it may stay, here neither."""
        image = self.images.get(name.rpartition("-")[2])
        return image is not None and image.removed != ""

    def _check(self, one: _Found) -> None:
        placed = one.placed
        image, entry = self.images.get(placed.image_sha1), self.entries.get(placed.model)
        if image is None:
            raise InputError(one.folder, "the corpus has no such picture")
        if entry is None:
            raise InputError(one.folder, "the settings have no such model any more")
        if (placed.spec, placed.measured.weights_sha256) != (entry.spec, entry.weights_sha256):
            raise InputError(one.folder, f"was made by {placed.spec} with other weights or settings than {entry.spec}")
        if (placed.measured.width, placed.measured.height) != (image.width, image.height):
            raise InputError(one.folder, f"is not of its picture's size, {image.width} x {image.height}")
        hashes = {STREAM: placed.stream_sha256, PICTURE: placed.sha256}
        for name, relative in one.files.items():
            inside = one.folder / name
            # A run that was killed may have moved it already.
            path = inside if inside.exists() else self.corpus.file(relative)
            if _sha256(path) != hashes[name]:
                raise InputError(one.folder, f"its {name} is damaged")
            if name == STREAM and path.stat().st_size != placed.stream_bytes:
                raise InputError(one.folder, f"its {name} has not the {placed.stream_bytes} bytes that it states")

    def _take_some(self, found: list[_Found]) -> None:
        with self.corpus.reading() as connection:
            pairs = _pairs_of(connection, found)
        fresh = [one for one in found if one.key not in pairs]
        _settle([one.folder / name for one in found for name in one.files])
        for one in found:
            if one.key not in pairs or _same(pairs[one.key], one.placed):
                self._move(one)
        rows = [_row(one, self._environment(one)) for one in fresh]
        if rows:
            with self.corpus.writing() as connection:
                known = {one.environment for one in fetch(connection, Environment)}
                for content, name in self._environments.items():
                    if name not in known:
                        add(connection, [Environment(environment=name, content=content)])
                add(connection, rows)
                done = (and_(FAILED.c.image_sha1 == sha1, FAILED.c.model == model) for sha1, model in _keys(fresh))
                connection.execute(delete(FAILED).where(or_(*done)))
        self.taken |= {one.key for one in fresh}
        for one in found:
            _remove(one.folder)

    def _move(self, one: _Found) -> None:
        for name, relative in one.files.items():
            target = self.corpus.file(relative)
            if target.parent not in self._folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(target.parent)
            try:
                os.replace(one.folder / name, target)
            except FileNotFoundError:
                if not target.exists():
                    raise

    def _environment(self, one: _Found) -> str:
        content = one.placed.measured.environment
        return self._environments.setdefault(content, hashlib.sha256(content.encode()).hexdigest()[:16])

    def _reject(self, folder: Path, problem: str) -> None:
        self.problems[folder.name] = problem
        if folder.exists() or folder.is_symlink():
            target = set_aside(folder)
            self.set_aside.append(f"{INCOMING}/{SET_ASIDE}/{target.name}: {problem}")


def _settle(files: Sequence[Path]) -> None:
    """Have files on the disk before a row says that they are there: the power may fail."""
    if len(files) > _FEW and hasattr(os, "sync"):
        os.sync()
        return
    for path in files:
        with suppress(FileNotFoundError), path.open("rb") as file:
            os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    """Of a file; empty where it is not there or cannot be read."""
    try:
        return file_sha256(path)
    except OSError:
        return ""


def _keys(found: Iterable[_Found]) -> list[tuple[str, str]]:
    return [one.key for one in found]


def _pairs_of(connection: Connection, found: Iterable[_Found]) -> dict[tuple[str, str], Reconstruction]:
    """The rows that are there already."""
    sha1s = sorted({one.placed.image_sha1 for one in found})
    rows = fetch(connection, Reconstruction, within(RECONSTRUCTION.c.image_sha1, sha1s))
    return {(one.image_sha1, one.model): one for one in rows}


def _same(row: Reconstruction, placed: Placed) -> bool:
    """Whether a row is this very result's: then its files may still have to be moved."""
    return (row.stream_sha256, row.sha256) == (placed.stream_sha256, placed.sha256)


def _remove(folder: Path) -> None:
    """Remove what was taken in; what it says of itself goes last, so that it stays whole until then."""
    for name in (STREAM, PICTURE, RESULT):
        (folder / name).unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:  # it holds what no worker puts there
        shutil.rmtree(folder, ignore_errors=True)


def _row(one: _Found, environment: str) -> Reconstruction:
    placed, made = one.placed, one.placed.measured
    files = one.files
    return Reconstruction(
        image_sha1=placed.image_sha1,
        model=placed.model,
        stream_file=files[STREAM],
        stream_sha256=placed.stream_sha256,
        stream_bytes=placed.stream_bytes,
        file=files[PICTURE],
        sha256=placed.sha256,
        pixel_sha256=made.pixel_sha256,
        width=made.width,
        height=made.height,
        quality=made.quality,
        bpp=8 * placed.stream_bytes / (made.width * made.height),
        psnr=made.psnr,
        ssim=made.ssim,
        ms_ssim=made.ms_ssim,
        encode_s=made.encode_s,
        decode_s=made.decode_s,
        version=made.version,
        weights_sha256=made.weights_sha256,
        environment=environment,
        note=made.note,
        made=now(),
    )
