"""Batches as folders of pictures, for labs whose labelers work with a viewer on the desktop.

`DIR/LABELER/BATCH/` holds `001_ALIAS_original.png` and `001_ALIAS_reconstruction.png` for each pair, a `batch.csv` and
a `boxes.csv` to fill in, and a `README.txt`. `miscomp.corpus.batches.answers` reads them back.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from miscomp.corpus.compress import space
from miscomp.corpus.corpus import DATABASE, Corpus
from miscomp.corpus.entries import Assignment, Batch, BatchItem, BatchKind, Copied, Reconstruction, SourceImage, now
from miscomp.corpus.schema import COPIED, add, count, fetch
from miscomp.errors import InputError, UsageError
from miscomp.folders import write_text
from miscomp.taxonomy import Category, MultiKind

BATCH_TABLE, BOXES_TABLE, README = "batch.csv", "boxes.csv", "README.txt"
BATCH_COLUMNS = ("number", "alias", "seen", "multi", "multi_kind", "note")
BOXES_COLUMNS = ("alias", "x", "y", "w", "h", "category", "symbol", "note")
COPIED_AS = "batches"
"""What such a folder is recorded as."""

_TIME = 315_619_200
"""Every picture's time, 2 January 1980: the real ones tell which codec was at work when. Older ones do not fit FAT."""
_GIB = 1 << 30
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_INSTRUCTIONS = """Batch {batch}: {pairs} pairs of an original and what a codec made of it.

Look at each pair, switching between its two pictures. Mark every place where the reconstruction means something else
than the original and does not look as if it did.

{table}: one line a pair. Write 1 into `seen` when you have looked at the whole of it; a pair without it counts as not
looked at. Where the same miscompression occurs many times, write 1 into `multi`, if you can its type into `multi_kind`
({kinds}), and draw {instances} of them.

{boxes}: one line a box. `alias` is the pair's alias or its number; `x` and `y` are the first column and row of the box,
`w` and `h` its width and height, in whole pixels of the picture. `category` may stay empty or be of
{categories}, joined by +, the main one first. `symbol` is 1 where text or another symbol changed its meaning.

Save both tables here, as CSV under the names they have, and give the whole folder back. Do not edit the pictures.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOut:
    """What folders are to be made."""

    folder: Path
    labelers: Collection[str] = ()
    """None: of everybody."""
    link: bool = False
    """Hard links instead of copies: no space, but who edits one edits the corpus."""


@dataclass(slots=True, kw_only=True)
class HandedOut:
    """What came of it."""

    written: list[tuple[str, str]] = field(default_factory=list)
    """(labeler, batch)."""
    there: int = 0
    """Batches that were there already and were left as they are."""
    left_out: int = 0
    """Pairs whose picture was removed."""
    problems: list[str] = field(default_factory=list)
    """Batches that could not be written, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """What the database knows of the pictures."""

    images: dict[str, SourceImage]
    made: dict[tuple[str, str], Reconstruction]
    items: dict[str, list[BatchItem]]
    batches: dict[str, Batch]
    given: list[Assignment]


def write_batch_files(
    corpus: Corpus, wanted: HandOut, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> HandedOut:
    """Write a folder for every batch that was assigned; those that are there are left alone.

    A folder gets its name when it is whole. The place is recorded first, so that a removal finds it. Raises
    `UsageError` for a place in the corpus itself and where the disk would become too full.
    """
    place = wanted.folder.resolve()
    if place.is_relative_to(corpus.folder.resolve()):
        raise UsageError(f"{wanted.folder} lies in the corpus; choose a folder outside of it for the labelers")
    with corpus.writing() as connection:
        if not count(connection, Copied, COPIED.c.path == str(place), COPIED.c.what == COPIED_AS):
            add(connection, [Copied(path=str(place), what=COPIED_AS, time=now())])
    with corpus.reading() as connection:
        rows = _read_rows(connection)
    result = HandedOut()
    given = [one for one in rows.given if not wanted.labelers or one.labeler in wanted.labelers]
    for done, one in enumerate(given):
        progress(done, len(given))
        target = place / one.labeler / one.batch
        try:
            _check_names(corpus, one, rows.items.get(one.batch, []))
            if target.exists():
                result.there += 1
                continue
            result.left_out += _write_batch(corpus, rows, one.batch, target, link=wanted.link)
            result.written.append((one.labeler, one.batch))
        except InputError as error:
            result.problems.append(f"{one.labeler}/{one.batch}: {error}")
    progress(len(given), len(given))
    return result


def _check_names(corpus: Corpus, given: Assignment, items: Sequence[BatchItem]) -> None:
    """Raise `InputError` for names that would lead out of the folder: the database may have been edited."""
    for name in (given.labeler, given.batch, *(one.alias for one in items)):
        if not _NAME.fullmatch(name):
            what = f"names {name!r} in a batch; letters, digits, dots, hyphens and underscores are allowed"
            raise InputError(corpus.folder / DATABASE, f"{what}; restore the database from a copy")


def _read_rows(connection: Connection) -> _Rows:
    items: defaultdict[str, list[BatchItem]] = defaultdict(list)
    for one in fetch(connection, BatchItem):
        items[one.batch].append(one)
    return _Rows(
        images={one.image_sha1: one for one in fetch(connection, SourceImage)},
        made={(one.image_sha1, one.model): one for one in fetch(connection, Reconstruction)},
        items=dict(items),
        batches={one.batch: one for one in fetch(connection, Batch)},
        given=fetch(connection, Assignment),
    )


def _write_batch(corpus: Corpus, rows: _Rows, batch: str, target: Path, *, link: bool) -> int:
    """Write one folder; how many pairs were left out because their picture was removed."""
    items = [one for one in rows.items.get(batch, []) if not rows.images[one.image_sha1].removed]
    partial = target.with_name(target.name + ".partial")
    try:
        if partial.exists():
            shutil.rmtree(partial)  # of a run that was cut off
        partial.mkdir(parents=True)
        for item in items:
            _write_pair(corpus, rows, item, partial, link=link)
        _write_tables(corpus, rows.batches[batch], items, partial)
        os.replace(partial, target)
    except OSError as error:
        raise UsageError(
            f"{target} cannot be written: {error}; choose another folder{' or leave out --link' if link else ''}, or "
            "make space; the same command goes on where it stopped"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return len(rows.items.get(batch, [])) - len(items)


def _write_pair(corpus: Corpus, rows: _Rows, item: BatchItem, folder: Path, *, link: bool) -> None:
    made = rows.made.get((item.image_sha1, item.model))
    if made is None or not made.file:
        what = f"has no reconstruction of {item.image_sha1} by {item.model} any more"
        raise InputError(corpus.folder, f"{what}; make it anew with miscomp corpus compress")
    start = f"{item.position:03d}_{item.alias}"
    original = corpus.original(item.image_sha1), rows.images[item.image_sha1].sha256
    _place(corpus, original, folder / f"{start}_original.png", link=link)
    _place(corpus, (corpus.file(made.file), made.sha256), folder / f"{start}_reconstruction.png", link=link)


def _place(corpus: Corpus, source: tuple[Path, str], target: Path, *, link: bool) -> None:
    """Put a picture under its new name, after comparing it with its SHA-256."""
    path, sha256 = source
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error}; see miscomp corpus verify") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(path, "is not the file that the database knows; see miscomp corpus verify")
    if link:
        os.link(path, target)
    else:
        _check_space(corpus, target.parent, len(content))
        target.write_bytes(content)
    os.utime(target, (_TIME, _TIME))


def _check_space(corpus: Corpus, folder: Path, size: int) -> None:
    free, least = space.free_bytes(folder), corpus.config.compress.min_free_gib
    if free - size < space.least(corpus):
        raise UsageError(
            f"{folder.parent}: {free / _GIB:.1f} GiB are free, and {least} (min_free_gib) are to stay so; make space, "
            "take --link on the corpus' own disk, or name one labeler with --labeler"
        )


def _write_tables(corpus: Corpus, batch: Batch, items: Sequence[BatchItem], folder: Path) -> None:
    lines = [(f"{item.position:03d}", item.alias, "", "", "", "") for item in items]
    write_text(folder / BATCH_TABLE, _csv([BATCH_COLUMNS, *lines]))
    write_text(folder / BOXES_TABLE, _csv([BOXES_COLUMNS]))
    everything = batch.kind == BatchKind.AGREEMENT
    text = _INSTRUCTIONS.format(
        batch=batch.batch,
        pairs=len(items),
        table=BATCH_TABLE,
        boxes=BOXES_TABLE,
        instances="all" if everything else f"the first {corpus.config.batches.instances}",
        kinds=", ".join(MultiKind),
        categories=", ".join(Category),
    )
    write_text(folder / README, text)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
