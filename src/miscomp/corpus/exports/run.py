"""Publish a corpus: tables, descriptions, checksums, and pixels where asked for.

The folder belongs to one export of one state of the corpus. `SHA256SUMS` is written last, and only when nothing is
missing: without it a folder is no whole export. The same state gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Copied, now
from miscomp.corpus.exports.catalog import ExportRow, chosen
from miscomp.corpus.exports.checksums import SUMS, sums_of, write_sums
from miscomp.corpus.exports.pictures import Failure, Item, Progress, place, published
from miscomp.corpus.exports.release import ExportOptions, Release
from miscomp.corpus.exports.snapshot import take_snapshot
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.schema import add, fetch
from miscomp.errors import MissingExtra, UsageError
from miscomp.folders import SETTINGS, ResultsFolder
from miscomp.registry import load

_WRITTEN = (
    *("annotations.csv", "images.csv", "models.csv", "views.csv", "sources.csv"),
    *("reviews.csv", "flags.csv"),
    *("coco.json", "croissant.json", "README.md", "datasheet.md", "LICENSES.md", "CITATION.cff"),
    *("parquet/*.parquet", "data/*/metadata.*", "data/**/*.png", "images/**/*.png", "images/streams/*/*/*"),
)
"""What exports consist of; with --force all of it goes, as nothing of an earlier state may stay."""


@dataclass(frozen=True, slots=True)
class ExportFolder(ResultsFolder):
    """One export's folder."""

    kind: ClassVar[str] = "export"

    def open(self, settings: Mapping[str, Any], *, force: bool) -> None:
        """Go on with the same export; with `force` replace one. Raises `UsageError` for any other folder."""
        if not force:
            self.check_settings(settings)
        (self.path / SUMS).unlink(missing_ok=True)
        if force and self.saved_settings() is not None:
            self.clear(_WRITTEN, ())
        self.write_settings(settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export came to."""

    folder: Path
    formats: tuple[str, ...]
    annotations: int
    reconstructions: int
    pictures: int
    """Files of pixels and streams that lie there."""
    removed: int
    """Photographs that were removed: their rows are there, their files are not."""
    failures: tuple[Failure, ...]

    @property
    def whole(self) -> bool:
        """Whether everything is there, checksums included."""
        return not self.failures


def export_corpus(
    corpus: Corpus, folder: Path, options: ExportOptions, *, progress: Progress = lambda done, total, name: None
) -> Exported:
    """Write an export. Pictures that fail are listed, and the rest goes on.

    Raises `UsageError` for unknown formats, contradicting options, and a folder that holds something else.
    """
    rows = chosen(options.formats)
    options = replace(options, formats=tuple(row.name for row in rows))
    _check(options, rows)
    _keep_apart(corpus, folder)
    place_folder, pixels = ExportFolder(folder), options.images != "none"
    with ExitStack() as stack:
        if pixels:
            stack.enter_context(corpus.owned())
        snapshot = take_snapshot(corpus, labelers=options.labelers, names=options.names)
        release = Release(folder=folder, snapshot=snapshot, options=options)
        items = _pictures(release, rows)
        stack.enter_context(place_folder.owned())
        try:
            place_folder.open(options.settings(snapshot), force=options.force)
            if pixels:
                _remember(corpus, folder)
            placed, failures = place(corpus, folder, items, options.images, progress=progress)
            for row in rows:
                load(row.target)(release)
            if not failures:
                write_sums(folder, placed, sums_of(folder, [SETTINGS, *release.made]))
        except OSError as error:
            raise place_folder.useless(error) from error
        if pixels:
            write_manifest(corpus)
    return Exported(
        folder=folder,
        formats=tuple(row.name for row in rows),
        annotations=len(snapshot.annotations),
        reconstructions=len(snapshot.images),
        pictures=len(placed),
        removed=len(snapshot.removed),
        failures=failures,
    )


def _check(options: ExportOptions, rows: tuple[ExportRow, ...]) -> None:
    for row in rows:
        if row.pictures and options.images == "none":
            raise UsageError(f"the format {row.name} holds pictures; give --images copy or --images link with it")
        if row.package and find_spec(row.package) is None:
            raise MissingExtra(row.package, row.extra, f"the format {row.name}")
    if options.streams and options.images == "none":
        raise UsageError("--streams goes with pictures; give --images copy or --images link with it")


def _keep_apart(corpus: Corpus, folder: Path) -> None:
    inside, whole = folder.resolve(), corpus.folder.resolve()
    if inside == whole or whole in inside.parents or inside in whole.parents:
        raise UsageError(f"{folder} and the corpus {corpus.folder} lie in each other; choose a folder apart with -o")


def _pictures(release: Release, rows: tuple[ExportRow, ...]) -> list[Item]:
    if release.options.images == "none":
        return []
    items = []
    if any(not row.pictures and row.name != "datasheet" for row in rows):
        items += list(published(release, streams=release.options.streams))
    for row in rows:
        if row.pictures:
            give: Callable[[Release], list[Item]] = load(row.pictures)
            items += list(give(release))
    return items


def _remember(corpus: Corpus, folder: Path) -> None:
    """Note where pixels go before they do, so that a removal knows the place even after a crash."""
    path = str(folder.resolve())
    with corpus.writing() as connection:
        if not any(one.path == path for one in fetch(connection, Copied)):
            add(connection, [Copied(path=path, what="export", time=now())])
