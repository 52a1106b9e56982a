"""A sample of a corpus: crops cut at drawn places, the same areas of the original and of every other model, a table.

One picture is in memory at a time. The folder belongs to one sample; the corpus' database remembers it, because it
holds pixels that may have to be removed one day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Copied, now
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.samples.draw import Kind, Pair, Request, draw
from miscomp.corpus.samples.matching import match
from miscomp.corpus.samples.pool import Filters, Pool, make_pool
from miscomp.corpus.samples.rows import CROPS, SAMPLE, TABLE, CropRow, Drawn, crop_name, crop_row, cut_out
from miscomp.corpus.samples.sheet import SHEETS, write_sheets
from miscomp.corpus.schema import COPIED, add, count
from miscomp.errors import InputError, UsageError
from miscomp.folders import ResultsFolder, package_version
from miscomp.images import Pixels, read, write_png
from miscomp.records import Failure
from miscomp.tables import write as write_table

Report = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    """How a sample is written."""

    all_models: bool = True
    """The same area from every other model of the picture too."""
    show: int | None = None
    """Pixels of a crop's longer side in its file, by nearest neighbour; a whole multiple of its size."""
    force: bool = False
    """Replace another sample in the folder, or write beside other files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What came of it."""

    rows: tuple[CropRow, ...]
    asked: int
    found: int
    """Drawn places whose crop was written."""
    unmatched: int
    """Those among them that no matched crop was found for."""
    passed_over: tuple[tuple[str, int], ...]
    """Reasons and how many reconstructions were not drawn from because of them."""
    missing_originals: int
    """Pictures of the sample whose original is not there."""
    failures: tuple[Failure, ...]
    """Files that are damaged or are not what the database says."""


@dataclass(frozen=True, slots=True)
class SampleFolder(ResultsFolder):
    """Where a sample lies."""

    kind: ClassVar[str] = "sample"


def make_sample(
    corpus: Corpus,
    folder: Path,
    request: Request,
    filters: Filters,
    *,
    options: SampleOptions,
    report: Report = lambda *_: None,
) -> Sample:
    """Draw, cut and write a sample, and remember the folder in the corpus.

    Raises `UsageError` for a request that contradicts itself or that the corpus cannot serve, and for a folder that
    holds something else.
    """
    scale = _scale(request, options.show)
    if folder.resolve().is_relative_to(corpus.folder.resolve()):
        raise UsageError(f"{folder} lies in the corpus, whose files are its own; choose another folder with -o")
    store = SampleFolder(folder)
    with corpus.owned():
        with corpus.reading() as connection:
            pool = make_pool(corpus, connection, request, filters)
        with store.owned():
            _prepare(store, _settings(pool, request, filters, options), force=options.force)
            _remember(corpus, folder)
            sample = _Cutter(corpus, folder, pool, request, scale).sample(all_models=options.all_models, report=report)
            write_table(folder / TABLE, *_table(sample.rows))
            write_sheets(folder, sample.rows, pool, seed=request.seed, report=report)
        write_manifest(corpus)
    return sample


def _settings(pool: Pool, request: Request, filters: Filters, options: SampleOptions) -> dict[str, Any]:
    """What the sample follows from; the same settings give the same bytes."""
    return {
        "corpus": pool.name,
        "state": pool.state,
        "request": asdict(request),
        "filters": asdict(filters),
        "all_models": options.all_models,
        "show": options.show,
        "version": package_version(),
    }


def _prepare(store: SampleFolder, settings: dict[str, Any], *, force: bool) -> None:
    """Make the folder ready; what an earlier run of the same sample left is made again."""
    if not force:
        store.check_settings(settings)
    try:
        if store.saved_settings() is not None:
            store.clear([TABLE, *SHEETS, f"{CROPS}/*.png"], [CROPS])
        store.write_settings(settings)
        (store.path / CROPS).mkdir(exist_ok=True)
    except OSError as error:
        raise store.useless(error) from error


def _table(rows: Sequence[CropRow]) -> tuple[type[Any], Sequence[Any]]:
    return CropRow, rows


def _scale(request: Request, show: int | None) -> int:
    """How many pixels of a file stand for one of the picture. Raises `UsageError` unless that is a whole number."""
    if show is None:
        return 1
    if request.kind == Kind.CONTEXT:
        raise UsageError("--show scales crops of one size, context crops have many; leave one of the two out")
    side = max(request.width, request.height)
    if show < side or show % side:
        raise UsageError(
            f"crops of {side} pixels cannot be shown at {show} with whole pixels; give a multiple of {side}, such as "
            f"{side * max(show // side, 2)}"
        )
    return show // side


def _remember(corpus: Corpus, folder: Path) -> None:
    """Note that pixels are copied there, before the first of them is."""
    path = str(folder.resolve())
    with corpus.writing() as connection:
        if not count(connection, Copied, COPIED.c.path == path, COPIED.c.what == SAMPLE):
            add(connection, [Copied(path=path, what=SAMPLE, time=now())])


class _Cutter:
    """Goes through the pictures of a sample, one at a time."""

    def __init__(self, corpus: Corpus, folder: Path, pool: Pool, request: Request, scale: int) -> None:
        self._corpus = corpus
        self._folder = folder
        self._pool = pool
        self._request = request
        self._scale = scale
        self._failures: dict[str, Failure] = {}
        self._missing: set[str] = set()

    def sample(self, *, all_models: bool, report: Report) -> Sample:
        """Draw the places, cut them, and say what came of it."""
        places = draw(self._pool.eligible, self._request)
        drawn = [Drawn(number, place) for number, place in enumerate(places, 1)]
        if self._request.matched:
            matches = match(places, self._pool, self._request, self._original)
            for number, found in enumerate(matches, 1):
                report("looking for matches", number, len(places))
                if found is not None:
                    drawn.append(Drawn(len(drawn) + 1, found, number))
        rows = list(self._cut(drawn, all_models=all_models, report=report))
        order = {Kind.SAME.value: 1}
        rows.sort(key=lambda row: (row.crop, order.get(row.kind, 0), row.model))
        chosen = [row for row in rows if row.kind == self._request.kind]
        return Sample(
            rows=tuple(rows),
            asked=self._request.count,
            found=len(chosen),
            unmatched=len(places) - sum(one.matched_to is not None for one in drawn) if self._request.matched else 0,
            passed_over=tuple(sorted(self._pool.passed_over.items())),
            missing_originals=len(self._missing),
            failures=tuple(self._failures.values()),
        )

    def _cut(self, drawn: Sequence[Drawn], *, all_models: bool, report: Report) -> Iterator[CropRow]:
        by_picture: dict[str, list[Drawn]] = {}
        for one in drawn:
            by_picture.setdefault(one.place.pair.row.image_sha1, []).append(one)
        pairs: dict[str, list[Pair]] = {}
        for pair in self._pool.pairs:
            pairs.setdefault(pair.row.image_sha1, []).append(pair)
        for number, (sha1, wanted) in enumerate(sorted(by_picture.items()), 1):
            report("cutting", number, len(by_picture))
            try:
                original: Pixels | None = self._original(sha1)
            except InputError:
                original = None
            cut = set()
            for pair in pairs[sha1]:
                here = [one for one in wanted if all_models or one.place.pair.key == pair.key]
                for row in self._cut_pair(pair, here, original):
                    cut.add(row.crop)
                    yield row
            for one in wanted:
                if original is not None and one.number in cut:
                    self._write(crop_name(one.number, "original"), cut_out(original, one.place.area))

    def _cut_pair(self, pair: Pair, wanted: Sequence[Drawn], original: Pixels | None) -> Iterator[CropRow]:
        if not wanted:
            return
        try:
            pixels = self._reconstruction(pair)
            shapes = {pixels.shape[:2], *((one.place.pair.row.height, one.place.pair.row.width) for one in wanted)}
            if len(shapes) > 1 or (original is not None and original.shape != pixels.shape):
                raise InputError(pair.row.file, "has not the size of its original or of the other reconstructions")
        except InputError as error:
            self._fail(error)
            return
        for one in wanted:
            row = crop_row(one, pair, pixels, original, shown=self._scale, seed=self._request.seed)
            self._write(row.file, cut_out(pixels, one.place.area))
            yield row

    def _write(self, name: str, pixels: Pixels) -> None:
        write_png(self._folder / name, pixels.repeat(self._scale, axis=0).repeat(self._scale, axis=1))

    def _original(self, image_sha1: str) -> Pixels:
        """A photograph's pixels. Raises `InputError`; a file that is not there is counted, a damaged one listed."""
        path = self._corpus.original(image_sha1)
        if not path.is_file():
            self._missing.add(image_sha1)
            raise InputError(path, "is not there")
        try:
            picture = read(path, max_megapixels=self._corpus.config.images.max_megapixels)
            if picture.image_sha1 != image_sha1:
                raise InputError(path, "its content is not what its name says; see: miscomp corpus verify")
        except InputError as error:
            self._fail(error)
            raise
        return picture.pixels

    def _reconstruction(self, pair: Pair) -> Pixels:
        path = self._corpus.file(pair.row.file)
        picture = read(path, max_megapixels=self._corpus.config.images.max_megapixels)
        if picture.pixel_sha256 != (pair.row.pixel_sha256 or picture.pixel_sha256):
            raise InputError(path, "its pixels are not those that the database knows; see: miscomp corpus verify")
        if (picture.width, picture.height) != (pair.row.width, pair.row.height):
            raise InputError(path, f"has {picture.width} x {picture.height} pixels, the database says otherwise")
        return picture.pixels

    def _fail(self, error: InputError) -> None:
        self._failures[error.where] = Failure(name=error.where, reason=error.problem)
