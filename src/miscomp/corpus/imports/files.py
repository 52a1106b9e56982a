"""A release's pictures and compressed files come into a corpus: found by patterns, measured, hashed, linked or copied.

A file takes its place in one step and its row follows, so that an import that was killed goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Literal

from miscomp.corpus.compress import space
from miscomp.corpus.corpus import Corpus, original_file, reconstruction_file, stream_file
from miscomp.corpus.entries import Reconstruction, SourceImage
from miscomp.corpus.imports.known import Pair
from miscomp.corpus.imports.mapping import Files
from miscomp.corpus.imports.tables import Problem
from miscomp.corpus.schema import fetch, put
from miscomp.errors import InputError, UsageError
from miscomp.folders import replacing

Mode = Literal["link", "copy"]
Step = Callable[[int, int], None]
"""Called after each file with how many are done, of how many."""
_BLOCK = 2**20
_TOGETHER = 64
"""Files of which the rows are written at once."""
_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A file that a row could have, and where it would lie here."""

    kind: str
    """`originals`, `reconstructions` or `compressed`."""
    image_sha1: str
    model: str = ""
    width: int
    height: int
    source: Path


@dataclass(slots=True, kw_only=True)
class Taken:
    """What came of it."""

    files: Counter[str] = field(default_factory=Counter)
    """Taken, by kind."""
    size_bytes: int = 0
    missing: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Not found, by kind and model."""
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Finder:
    """Looks for the files of one release."""

    def __init__(self, release: Path, files: Files, spellings: dict[str, list[str]]) -> None:
        self._release = release
        self._files = files
        self._spellings = spellings
        self._likely: dict[tuple[str, str], list[str]] = {}

    def find(self, kind: str, image_sha1: str, model: str = "") -> Path | None:
        """The first file that fits, or none."""
        places = self._likely.get((kind, model))
        if places is None:
            places = self._likely[kind, model] = list(self._places(kind, model))
        for number, place in enumerate(places):
            path = self._release / place.replace("{sha1}", image_sha1).replace("{ab}", image_sha1[:2])
            if path.is_file():
                # The next one most likely lies beside it.
                places.insert(0, places.pop(number))
                return path
        return None

    def _places(self, kind: str, model: str) -> Iterator[str]:
        """Patterns with the model filled in, of which the folder before the picture's own part is there."""
        patterns: tuple[str, ...] = getattr(self._files, kind)
        spelled = self._spellings.get(model, [""])
        for pattern, spelling, extension in product(patterns, spelled, self._files.extensions):
            place = pattern.replace("{model}", spelling).replace("{ext}", extension)
            start = place[: min(place.find(one) for one in ("{sha1}", "{ab}") if one in place)]
            if ("{ext}" in pattern or extension == self._files.extensions[0]) and (
                self._release / start.rpartition("/")[0]
            ).is_dir():
                yield place


def take_files(corpus: Corpus, finder: Finder, pairs: list[Pair], *, files: Files, mode: Mode, step: Step) -> Taken:
    """Take in what belongs to these pairs and is not here yet.

    Raises `UsageError` where the disk has no space for copies, or the file system no links.
    """
    with corpus.reading() as connection:
        sources = {one.image_sha1: one for one in fetch(connection, SourceImage)}
        made = {(one.image_sha1, one.model): one for one in fetch(connection, Reconstruction)}
    taker = _Taker(corpus, files, mode, sources, made)
    wanted = list(_wanted(finder, pairs, taker))
    _say_missing(taker.taken)
    if mode == "copy":
        _need_space(corpus, wanted)
    try:
        for number, one in enumerate(wanted, 1):
            taker.take(one)
            step(number, len(wanted))
    finally:
        taker.write()
    return taker.taken


@dataclass(slots=True)
class _Taker:
    """Takes one file after the other, and writes their rows some at a time."""

    corpus: Corpus
    files: Files
    mode: Mode
    sources: dict[str, SourceImage]
    made: dict[Pair, Reconstruction]
    taken: Taken = field(default_factory=Taken)
    waiting: dict[object, SourceImage | Reconstruction] = field(default_factory=dict)

    def take(self, one: _Wanted) -> None:
        """Take a file, or list why not."""
        pair = (one.image_sha1, one.model)
        try:
            if one.source.is_symlink():
                raise InputError(one.source, "is a symbolic link; put the file itself there")
            size, sha1, sha256 = _digests(one.source)
            if one.kind == "originals":
                row = self._original(one, size, sha1, sha256)
                self.sources[one.image_sha1] = self.waiting[one.image_sha1] = row
            else:
                self.made[pair] = self.waiting[pair] = self._made(one, size, sha256)
        except (InputError, OSError) as error:
            reason = error.problem if isinstance(error, InputError) else f"cannot be taken: {error}"
            self.taken.problems.append(Problem(str(one.source), None, reason))
            return
        self.taken.files[one.kind] += 1
        self.taken.size_bytes += size
        if len(self.waiting) >= _TOGETHER:
            self.write()

    def write(self) -> None:
        """Write the rows of the files that are in their places."""
        if self.waiting:
            with self.corpus.writing() as connection:
                put(connection, self.waiting.values())
            self.waiting.clear()

    def _original(self, one: _Wanted, size: int, sha1: str, sha256: str) -> SourceImage:
        _need_size(one)
        if self.files.sha1_is_content and sha1 != one.image_sha1:
            raise InputError(
                one.source,
                f"its content has the SHA-1 {sha1}, which is not its name: it is damaged or another picture; get it "
                "again (if no name of the release is its content's, set sha1_is_content = false in the mapping)",
            )
        _place(one.source, self.corpus.folder / original_file(one.image_sha1), self.mode, sha256)
        row = self.sources[one.image_sha1]
        return replace(
            row,
            sha256=sha256,
            size_bytes=size,
            origin_sha256=sha256,
            origin_width=row.width,
            origin_height=row.height,
        )

    def _made(self, one: _Wanted, size: int, sha256: str) -> Reconstruction:
        row = self.made[one.image_sha1, one.model]
        if one.kind == "reconstructions":
            _need_size(one)
            name = reconstruction_file(one.image_sha1, one.model)
            _place(one.source, self.corpus.file(name), self.mode, sha256)
            return replace(row, file=name, sha256=sha256)
        if size == 0:
            raise InputError(one.source, "is empty; a compressed file has bytes: get it again")
        bpp = 8 * size / (row.width * row.height)
        if row.bpp is not None and abs(bpp - row.bpp) > 0.01 * row.bpp:
            self.taken.notes.append(f"{one.source}: {size} bytes are {bpp:.4f} bpp, the table states {row.bpp:.4f}")
        name = stream_file(one.image_sha1, one.model, one.source.suffix)
        _place(one.source, self.corpus.file(name), self.mode, sha256)
        stated = bpp if row.bpp is None else row.bpp
        return replace(row, stream_file=name, stream_sha256=sha256, stream_bytes=size, bpp=stated)


def _wanted(finder: Finder, pairs: list[Pair], taker: _Taker) -> Iterator[_Wanted]:
    asked: set[str] = set()
    for sha1, model in pairs:
        source, row = taker.sources[sha1], taker.made[sha1, model]
        if source.removed:
            continue  # a person asked for it: its pixels do not come back
        kinds = [("reconstructions", model)] if not row.file else []
        kinds += [("compressed", model)] if not row.stream_file else []
        kinds += [("originals", "")] if not source.sha256 and sha1 not in asked else []
        asked.add(sha1)
        for kind, name in kinds:
            path = finder.find(kind, sha1, name)
            if path is None:
                taker.taken.missing[kind, name] += 1
                continue
            taker.taken.found[kind, name] += 1
            yield _Wanted(kind=kind, image_sha1=sha1, model=name, width=row.width, height=row.height, source=path)


def _say_missing(taken: Taken) -> None:
    """A part that was not downloaded is worth a note; a file that lacks among others is a problem."""
    for (kind, model), count in sorted(taken.missing.items()):
        what = f"{kind} of {model}" if model else kind
        if taken.found[kind, model]:
            reason = f"{count} of {count + taken.found[kind, model]} {what} were not found"
            taken.problems.append(Problem("the release", None, reason))
        else:
            taken.notes.append(
                f"none of the {count} {what} was found; see [files] of the mapping if they should be there"
            )


def _need_space(corpus: Corpus, wanted: list[_Wanted]) -> None:
    need = sum(one.source.stat().st_size for one in wanted)
    free = space.free_bytes(corpus.folder) - space.least(corpus)
    if need > free:
        raise UsageError(
            f"copies need {need / 2**30:.1f} GiB, {corpus.folder} has {max(free, 0) / 2**30:.1f} GiB for them "
            "(min_free_gib is left free); make space, or give --files link"
        )


def _need_size(one: _Wanted) -> None:
    """Raise `InputError` for a file that is no PNG of the size that the table states; only its head is read."""
    with one.source.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or not head.startswith(_PNG):
        raise InputError(one.source, f"is no PNG, it begins {head[:8]!r}; a corpus holds PNG")
    width, height = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    if (width, height) != (one.width, one.height):
        raise InputError(one.source, f"has {width} x {height} pixels, the table states {one.width} x {one.height}")


def _digests(path: Path) -> tuple[int, str, str]:
    """Bytes, SHA-1 and SHA-256 of a file."""
    sha1, sha256, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            size += len(block)
            sha1.update(block)
            sha256.update(block)
    return size, sha1.hexdigest(), sha256.hexdigest()


def _place(source: Path, target: Path, mode: Mode, sha256: str) -> None:
    """Link or copy a file to its place. Raises `InputError` where the copy is not what was hashed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as partial:
        partial.unlink(missing_ok=True)
        if mode == "copy":
            shutil.copyfile(source, partial)
            if _digests(partial)[2] != sha256:
                raise InputError(source, "changed while it was copied; import it again when nothing writes to it")
            return
        try:
            os.link(source.resolve(), partial)
        except OSError as error:
            raise UsageError(f"{source} cannot be linked into the corpus: {error}; give --files copy") from error
        if target.exists() and target.samefile(partial):
            # Renaming one name of a file to another of its names does nothing and leaves both.
            target.unlink()
