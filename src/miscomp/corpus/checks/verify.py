"""Verify a corpus: files against rows, rows against each other, what was decoded against what it was decoded from."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from miscomp.codecs.spec import open_spec, parse_spec
from miscomp.corpus.checks.faults import Fault, Kind
from miscomp.corpus.checks.files import check_files, expected_files, find_orphans
from miscomp.corpus.checks.rows import check_database, check_rows
from miscomp.corpus.corpus import MANIFEST, Corpus
from miscomp.corpus.entries import ModelEntry, Reconstruction, SourceImage
from miscomp.corpus.manifest import manifest_text
from miscomp.corpus.schema import fetch
from miscomp.errors import MiscompError
from miscomp.images import pixel_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """How thorough a check is."""

    quick: bool = False
    """Whether files are there and how large PNGs say they are; nothing is hashed."""
    decode: bool = False
    """Also decode every compressed file: it must give the pixels that the row names."""
    threads: int | None = None
    """For hashing; none: one per core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was looked at, and what is wrong."""

    faults: tuple[Fault, ...]
    files: int
    decoded: int
    images: int
    reconstructions: int

    @property
    def left(self) -> tuple[Fault, ...]:
        """What is still wrong, after a repair."""
        return tuple(one for one in self.faults if not one.mended)


def verify_corpus(
    corpus: Corpus, options: VerifyOptions, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> Report:
    """Look at everything and change nothing; `progress` is told how many files of how many were looked at."""
    faults = list(check_database(corpus))
    if faults:  # nothing else that it says can be trusted
        return Report(faults=tuple(faults), files=0, decoded=0, images=0, reconstructions=0)
    with corpus.reading() as connection:
        images = fetch(connection, SourceImage)
        made = fetch(connection, Reconstruction)
        specs = {one.model: one.spec for one in fetch(connection, ModelEntry)}
        faults += check_rows(connection, corpus)
        faults += _check_manifest(corpus, manifest_text(connection, corpus))
    files = expected_files(images, made)
    # With what the streams of an imported release were made is not known.
    coded = [one for one in made if one.stream_file and specs.get(one.model)] if options.decode else []
    done, total = 0, len(files) + len(coded)

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    threads = options.threads or os.cpu_count() or 1
    faults += check_files(corpus, files, quick=options.quick, threads=threads, progress=step)
    faults += find_orphans(corpus, files, {one.image_sha1 for one in images if one.removed})
    wrong = {(one.image_sha1, one.model) for one in faults if one.kind in (Kind.MISSING, Kind.DAMAGED)}
    for row in coded:
        if (row.image_sha1, row.model) not in wrong:
            faults += _check_decoding(corpus, row, specs.get(row.model, ""))
        step()
    return Report(
        faults=tuple(faults), files=len(files), decoded=len(coded), images=len(images), reconstructions=len(made)
    )


def _check_manifest(corpus: Corpus, text: str) -> Sequence[Fault]:
    try:
        found = (corpus.folder / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return [Fault(kind=Kind.MANIFEST, where=MANIFEST, problem=f"cannot be read: {error}")]
    problem = "is not what the database and the settings say; the next command that changes the corpus writes it anew"
    return [] if found == text else [Fault(kind=Kind.MANIFEST, where=MANIFEST, problem=problem)]


def _check_decoding(corpus: Corpus, row: Reconstruction, spec: str) -> Sequence[Fault]:
    def fault(kind: Kind, problem: str) -> Sequence[Fault]:
        return [Fault(kind=kind, where=row.stream_file, problem=problem, image_sha1=row.image_sha1, model=row.model)]

    try:
        content = corpus.file(row.stream_file).read_bytes()
        pixels = open_spec(parse_spec(spec)).decompress(content, max_megapixels=row.width * row.height / 1e6 + 1)
    except (MiscompError, OSError) as error:
        return fault(Kind.ROW, f"could not be decoded here: {error}")
    if pixel_sha256(pixels) != row.pixel_sha256:
        return fault(Kind.DAMAGED, f"decodes to other pixels here than the reconstruction has (made by {row.version})")
    return []
