"""Every file of a corpus against its row, and every file that has none."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from miscomp.corpus.checks.faults import Fault, Kind
from miscomp.corpus.compress.incoming import SET_ASIDE
from miscomp.corpus.corpus import INCOMING, ORIGINALS, RECONSTRUCTIONS, STREAMS, Corpus, original_file
from miscomp.corpus.entries import Reconstruction, SourceImage
from miscomp.errors import InputError

_BLOCK = 1 << 20
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A file as the database has it."""

    file: str
    sha256: str
    sha1: str = ""
    """Of an original, which is named by it."""
    width: int = 0
    """Of a PNG; 0 for a compressed file."""
    height: int = 0
    image_sha1: str
    model: str = ""


def expected_files(images: Iterable[SourceImage], made: Iterable[Reconstruction]) -> list[Expected]:
    """The files that must be there: those whose row has a hash; a release may have been imported without its pixels."""
    files = [
        Expected(
            file=original_file(one.image_sha1),
            sha256=one.sha256,
            sha1=one.image_sha1,
            width=one.width,
            height=one.height,
            image_sha1=one.image_sha1,
        )
        for one in images
        if one.sha256 and not one.removed
    ]
    for row in made:
        for name, sha256, picture in ((row.stream_file, row.stream_sha256, 0), (row.file, row.sha256, 1)):
            if name:
                files.append(
                    Expected(
                        file=name,
                        sha256=sha256,
                        width=row.width * picture,
                        height=row.height * picture,
                        image_sha1=row.image_sha1,
                        model=row.model,
                    )
                )
    return files


def check_files(
    corpus: Corpus, files: Sequence[Expected], *, quick: bool, threads: int, progress: Callable[[], None]
) -> Iterator[Fault]:
    """Compare files with their rows; with `quick` only whether they are there and the size in a PNG's head."""

    def check(one: Expected) -> Fault | None:
        try:
            problem = _problem(corpus.file(one.file), one, quick=quick)
        except FileNotFoundError:
            return _fault(Kind.MISSING, one, "is not there")
        except (OSError, InputError) as error:
            return _fault(Kind.DAMAGED, one, f"cannot be read: {error}")
        return _fault(Kind.DAMAGED, one, problem) if problem else None

    # Hashing lets go of the interpreter, so threads share the cores and the disk's waiting.
    with ThreadPoolExecutor(threads) as pool:
        for found in pool.map(check, files):
            progress()
            if found:
                yield found


def _fault(kind: Kind, one: Expected, problem: str) -> Fault:
    return Fault(kind=kind, where=one.file, problem=problem, image_sha1=one.image_sha1, model=one.model)


def _problem(path: Path, one: Expected, *, quick: bool) -> str:
    """What is wrong with a file that is there; nothing where it is as its row says."""
    if path.is_symlink() or not path.is_file():
        return "is not a regular file" if path.exists() or path.is_symlink() else _raise_missing(path)
    with path.open("rb") as file:
        head = file.read(24)
        if one.width and head[:8] != _PNG:
            return "is no PNG"
        size = (int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big"))
        if one.width and size != (one.width, one.height):
            return f"has {size[0]} x {size[1]} pixels, its row says {one.width} x {one.height}"
        if quick:
            return ""
        sha1, sha256 = hashlib.sha1(head, usedforsecurity=False), hashlib.sha256(head)
        while block := file.read(_BLOCK):
            sha256.update(block)
            if one.sha1:
                sha1.update(block)
    if sha256.hexdigest() != one.sha256:
        return f"its SHA-256 is {sha256.hexdigest()[:16]}..., its row says {one.sha256[:16]}..."
    if one.sha1 and sha1.hexdigest() != one.sha1:
        return f"its SHA-1 is {sha1.hexdigest()}, and its name says another"
    return ""


def _raise_missing(path: Path) -> str:
    raise FileNotFoundError(path)


def find_orphans(corpus: Corpus, files: Iterable[Expected], removed: set[str]) -> Iterator[Fault]:
    """Files in the corpus' own folders that no row names: strays, what is unfinished, pixels of removed pictures."""
    known = {one.file for one in files}
    incoming = corpus.folder / INCOMING
    results = sorted(incoming.iterdir()) if incoming.is_dir() else []
    begun = {one.name for one in results}
    for top in (ORIGINALS, STREAMS, RECONSTRUCTIONS):
        for relative in _walk(corpus.folder, top):
            if relative in known:
                continue
            name = Path(relative).name
            # A run that was killed had moved it to its place, and its row was to follow: the next run needs it there.
            waits = f"{Path(relative).parts[1]}-{name[:40]}" in begun
            if name[:40] in removed:
                yield Fault(
                    kind=Kind.LEFTOVER,
                    where=relative,
                    problem="was to be removed at a person's request",
                    image_sha1=name[:40],
                )
            elif name.endswith(".partial") or name.startswith("."):
                yield Fault(kind=Kind.UNFINISHED, where=relative, problem="was left by a run that was cut off")
            elif not waits:
                yield Fault(kind=Kind.ORPHAN, where=relative, problem="no row of the database names it")
    for entry in results:
        if any(sha1 in entry.name for sha1 in removed):
            kind, problem = Kind.LEFTOVER, "was to be removed at a person's request"
        elif entry.name == SET_ASIDE:
            kind, problem = Kind.ORPHAN, "holds results that did not fit the corpus; look through them"
        elif entry.name.startswith("."):
            kind, problem = Kind.UNFINISHED, "was left by a run that was cut off; the next run removes it"
        else:
            kind, problem = Kind.UNFINISHED, "is a result that was not taken in yet; run miscomp corpus compress again"
        yield Fault(kind=kind, where=f"{INCOMING}/{entry.name}", problem=problem)


def _walk(folder: Path, top: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder / top):
        folders.sort()
        for name in sorted(names):
            yield (Path(place) / name).relative_to(folder).as_posix()
