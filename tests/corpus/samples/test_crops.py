"""Samples of a small corpus. Oracles: the pixels in the corpus' own files, boxes the test knows, hashes of files."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import BOXES, MODELS, TIME, add_picture, label, picture, small_corpus
from sqlalchemy import delete, update

from miscomp.corpus.checks.removal import remove_picture
from miscomp.corpus.corpus import Corpus, open_corpus, original_file, reconstruction_file
from miscomp.corpus.entries import Copied, Seen
from miscomp.corpus.samples.crops import Sample, SampleOptions, make_sample
from miscomp.corpus.samples.draw import Kind, Request, draw
from miscomp.corpus.samples.matching import Content, Maps, content_of, match
from miscomp.corpus.samples.pool import Filters, Pool, make_pool
from miscomp.corpus.samples.removal import delete_from_sample
from miscomp.corpus.samples.rows import TABLE, CropRow
from miscomp.corpus.schema import IMAGE, RECONSTRUCTION, SEEN, add, fetch
from miscomp.errors import InputError, UnknownName, UsageError
from miscomp.images import read, write_png
from miscomp.records import Box
from miscomp.tables import read as read_table

Make = Callable[..., Sample]


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "corpus"
    small_corpus(folder)
    return folder


@pytest.fixture
def corpus(_made: Path, tmp_path: Path) -> Corpus:
    return open_corpus(Path(shutil.copytree(_made, tmp_path / "corpus")))


def request(kind: Kind, **values: object) -> Request:
    return Request(**{"kind": kind, "width": 48, "height": 48, "count": 0, "seed": 1, **values})  # type: ignore[arg-type]


@pytest.fixture
def make(corpus: Corpus, tmp_path: Path) -> Make:
    def made(kind: Kind, filters: Filters | None = None, *, to: str = "out", **values: Any) -> Sample:
        names = ("all_models", "show", "force")
        options = SampleOptions(**{name: values.pop(name) for name in names if name in values})
        return make_sample(corpus, tmp_path / to, request(kind, **values), filters or Filters(), options=options)

    return made


def first_sha1(corpus: Corpus) -> str:
    """The picture in which both labelers drew."""
    return next(one.row.image_sha1 for one in pool(corpus).pairs if len(one.labels) == 4)


def first_key(sample: Sample) -> str:
    """Of the first crop's pair, as in the draw."""
    return f"{sample.rows[0].image_sha1} {sample.rows[0].model}"


def pool(corpus: Corpus, kind: Kind = Kind.RANDOM, filters: Filters | None = None, **values: object) -> Pool:
    with corpus.reading() as connection:
        return make_pool(corpus, connection, request(kind, **values), filters or Filters())


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_each_crop_is_the_same_area_of_the_original_and_of_every_model(
    corpus: Corpus, make: Make, tmp_path: Path
) -> None:
    sample = make(Kind.ANNOTATED, count=3)
    assert sample.found == 3 and len(sample.rows) == 12 and not sample.failures
    for row in sample.rows:
        area = np.s_[row.y : row.y + row.h, row.x : row.x + row.w]
        whole = read(corpus.folder / reconstruction_file(row.image_sha1, row.model)).pixels
        original = read(corpus.folder / original_file(row.image_sha1)).pixels
        assert np.array_equal(read(tmp_path / "out" / row.file).pixels, whole[area])
        assert np.array_equal(read(tmp_path / "out" / row.original_file).pixels, original[area])
        error = np.mean((whole[area].astype(float) - original[area]) ** 2)
        assert row.crop_psnr == pytest.approx(10 * math.log10(255**2 / error))
        assert (row.w, row.h, row.seed, row.labelers, row.shown) == (48, 48, 1, 2, 1)
    for number in (1, 2, 3):
        group = [row for row in sample.rows if row.crop == number]
        assert [row.kind for row in group] == ["annotated", "same", "same", "same"]
        assert {row.model for row in group} == {one.model for one in MODELS}
        assert len({(row.image_sha1, row.x, row.y, row.annotation) for row in group}) == 1
        assert group[0].annotations_whole >= 1 and group[0].annotation.split("-")[1] == group[0].model


def test_boxes_of_both_labelers_are_counted_in_each_model(corpus: Corpus, make: Make) -> None:
    sha1 = first_sha1(corpus)
    sample = make(Kind.CONTEXT, count=0, context=1.0)
    rows = [row for row in sample.rows if row.image_sha1 == sha1]
    assert {(row.x, row.y, row.w, row.h) for row in rows} == {(one.x, one.y, one.w, one.h) for one in BOXES}
    for row in rows:
        expected = 2 if row.model in ("01L", "02L") else 0
        assert (row.annotations_whole, row.annotations_centre, row.annotations_any) == (expected,) * 3


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(make: Make, tmp_path: Path) -> None:
    for to in ("one", "two"):
        make(Kind.ANNOTATED, count=4, matched=True, to=to)
    make(Kind.ANNOTATED, count=4, matched=True, to="three", seed=2)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert hashes(tmp_path / "one")["crops.csv"] != hashes(tmp_path / "three")["crops.csv"]


def test_the_table_can_be_read_back(make: Make, tmp_path: Path) -> None:
    record: Any = CropRow
    sample = make(Kind.RANDOM, count=2, all_models=False)
    assert tuple(read_table(tmp_path / "out" / TABLE, record)) == sample.rows and len(sample.rows) == 2
    assert len(list((tmp_path / "out" / "crops").iterdir())) == 4


def test_free_crops_come_from_no_flagged_pair_and_from_none_that_nobody_looked_through(
    corpus: Corpus, make: Make
) -> None:
    with corpus.writing() as connection:
        connection.execute(delete(SEEN).where(SEEN.c.model == "01H"))
        connection.execute(update(SEEN).where(SEEN.c.model == "02H").values(closed=""))
    sample = make(Kind.FREE, count=0, all_models=False)
    assert {row.model for row in sample.rows} == {"01L", "02L"}
    assert not any(row.multi or row.annotations_any for row in sample.rows)
    assert dict(sample.passed_over) == {"flagged multi": 1, "that nobody looked through": 6}
    more = make(Kind.FREE, Filters(unviewed=True), count=0, all_models=False, to="more")
    assert {row.model for row in more.rows} == {one.model for one in MODELS} and not any(row.multi for row in more.rows)


def test_a_flag_on_a_box_counts_like_one_on_the_picture(corpus: Corpus) -> None:
    before = pool(corpus)
    one = next(one for one in before.pairs if one.key in before.clean)
    with corpus.writing() as connection:
        add(connection, [label(one.row.image_sha1, one.row.model, Box(0, 0, 4, 4), "bob", multi=True)])
    assert pool(corpus).clean == before.clean - {one.key}


def test_without_any_views_free_crops_need_a_word(corpus: Corpus) -> None:
    with corpus.writing() as connection:
        connection.execute(delete(SEEN))
    for values in ({"kind": Kind.FREE}, {"kind": Kind.ANNOTATED, "matched": True}):
        with pytest.raises(UsageError, match="records nobody's views"):
            pool(corpus, **values)
    assert pool(corpus, Kind.FREE, Filters(unviewed=True)).eligible
    assert pool(corpus, Kind.ANNOTATED).eligible


def test_detectors_boxes_count_only_when_asked(corpus: Corpus) -> None:
    sha1, box = first_sha1(corpus), Box(0, 0, 192, 176)
    with corpus.writing() as connection:
        add(connection, [label(sha1, "01H", box, "finder", origin="detector")])
    rows = {one.key: len(one.labels) for one in pool(corpus).pairs}
    assert rows[f"{sha1} 01H"] == 0
    asked = pool(corpus, Kind.FREE, Filters(detections=True))
    assert {one.key: len(one.labels) for one in asked.pairs}[f"{sha1} 01H"] == 1
    with pytest.raises(UnknownName, match=r"unknown labeler 'finder'; known: ann, bob"):
        pool(corpus, Kind.ANNOTATED, labeler="finder")


@pytest.mark.parametrize(
    ("filters", "models"),
    [
        (Filters(codecs=("C2",)), {"02L", "02H"}),
        (Filters(models=("01L", "02H")), {"01L", "02H"}),
        (Filters(rates=("H",)), {"01H", "02H"}),
        (Filters(min_annotations=2), {"01L", "02L"}),
        (Filters(max_bpp=0.8), {"01L", "02L"}),
        (Filters(sources=("ramps",), min_bpp=0.8), {"01H", "02H"}),
    ],
)
def test_filters_choose_reconstructions(corpus: Corpus, filters: Filters, models: set[str]) -> None:
    assert {one.row.model for one in pool(corpus, filters=filters).eligible} == models


def test_splits_are_chosen_and_unknown_names_are_told(corpus: Corpus) -> None:
    assert {one.image.split for one in pool(corpus, filters=Filters(splits=("train",))).eligible} == {"train"}
    with pytest.raises(UnknownName, match="unknown model '9L'; known: 01H, 01L, 02H, 02L"):
        pool(corpus, filters=Filters(models=("9L",)))
    with pytest.raises(UnknownName, match="unknown category 'COLOUR'"):
        pool(corpus, Kind.ANNOTATED, category="COLOUR")
    with pytest.raises(UsageError, match="crops of 200 x 48 pixels; the widest has 192 x 176"):
        pool(corpus, width=200)


def test_matched_crops_are_free_clean_disjoint_and_of_the_same_model(make: Make) -> None:
    sample = make(Kind.ANNOTATED, count=0, matched=True, all_models=False)
    matched = [row for row in sample.rows if row.matched_to is not None]
    chosen = {row.crop: row for row in sample.rows if row.kind == "annotated"}
    assert len(matched) == len(chosen) - sample.unmatched > 0
    taken: list[tuple[str, str, Box]] = []
    for row in matched:
        other = chosen[row.matched_to or 0]
        assert row.kind == "matched" and not row.multi and row.annotations_any == 0 and row.annotation == ""
        assert (row.model, row.source, row.w, row.h) == (other.model, other.source, other.w, other.h)
        assert other.luminance is not None and other.gradient_energy is not None and row.match_distance is not None
        apart = Content(row.luminance or 0.0, row.gradient_energy or 0.0)
        assert row.match_distance == pytest.approx(
            apart.distance(Content(other.luminance, other.gradient_energy)), abs=1e-3
        )
        taken.append((row.image_sha1, row.model, Box(row.x, row.y, row.w, row.h)))
    taken += [(row.image_sha1, row.model, Box(row.x, row.y, row.w, row.h)) for row in chosen.values()]
    for i, (sha1, model, box) in enumerate(taken[: len(matched)]):
        assert not any(
            (sha1, model) == other[:2] and box.intersection(other[2]) for other in taken[:i] + taken[i + 1 :]
        )


def test_luminance_and_gradient_energy_of_a_ramp() -> None:
    ramp = np.repeat(np.arange(0, 200, 2, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    content = Maps(ramp).content(Box(10, 2, 4, 6))
    assert content == Content(23.0, 4.0) == content_of(ramp, Box(10, 2, 4, 6))
    assert content_of(ramp, Box(0, 0, 2, 2)) == Maps(ramp).content(Box(0, 0, 2, 2))
    assert content.distance(Content(23.0 + 16, 4.0)) == 1.0
    assert content.distance(Content(23.0, 9.0)) == pytest.approx(1.0) and content.distance(content) == 0.0


def test_the_match_is_the_area_that_looks_like_it_even_in_another_picture(corpus: Corpus) -> None:
    found = pool(corpus, Kind.ANNOTATED, matched=True, count=1, width=40, height=32)
    (place,) = draw(found.eligible, request(Kind.ANNOTATED, count=1, width=40, height=32))
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 255, (32, 40, 3), dtype=np.uint8)

    def shown(sha1: str) -> Any:
        """All grey, but for noise in the place itself, and elsewhere in other pictures alone."""
        pixels = np.full((176, 192, 3), 128, dtype=np.uint8)
        if sha1 == place.pair.row.image_sha1:
            pixels[place.area.y : place.area.bottom, place.area.x : place.area.right] = tile
        else:
            pixels[:] = np.tile(tile, (6, 5, 1))[:176, :192]
        return pixels

    (other,) = match([place], found, request(Kind.ANNOTATED), shown)
    assert other is not None and other.pair.row.image_sha1 != place.pair.row.image_sha1
    assert other.pair.row.model == place.pair.row.model and other.distance is not None and other.distance < 0.2
    (same,) = match([place], found, request(Kind.ANNOTATED), lambda _: np.full((176, 192, 3), 128, dtype=np.uint8))
    assert same is not None and (same.pair.multi or same.distance == 0.0)

    def none(_: str) -> Any:
        raise InputError("x", "is not there")

    assert list(match([place], found, request(Kind.ANNOTATED), none)) == [None]


def test_shown_larger_each_pixel_becomes_a_block(make: Make, tmp_path: Path) -> None:
    sample = make(Kind.RANDOM, count=1, show=144)
    make(Kind.RANDOM, count=1, to="plain")
    for row in sample.rows:
        large, small = (read(tmp_path / to / row.file).pixels for to in ("out", "plain"))
        assert large.shape == (144, 144, 3) and row.shown == 3 and row.w == 48
        assert all(np.array_equal(large[i::3, j::3], small) for i in range(3) for j in range(3))
    with pytest.raises(UsageError, match="give a multiple of 48, such as 96"):
        make(Kind.RANDOM, show=100)
    with pytest.raises(UsageError, match="--show scales crops of one size"):
        make(Kind.CONTEXT, show=512)


def test_removed_and_missing_pictures_are_counted_and_damaged_ones_listed(
    corpus: Corpus, make: Make, tmp_path: Path
) -> None:
    shas = sorted({one.row.image_sha1 for one in pool(corpus).pairs})
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).where(IMAGE.c.image_sha1 == shas[0]).values(removed=TIME))
    (corpus.folder / reconstruction_file(shas[1], "01L")).unlink()
    (corpus.folder / original_file(shas[1])).unlink()
    damaged = corpus.folder / reconstruction_file(shas[2], "01H")
    write_png(damaged, picture(9))
    sample = make(Kind.RANDOM, count=7)
    assert dict(sample.passed_over) == {"of removed pictures": 4, "whose file is missing": 1}
    assert sample.missing_originals == 1
    assert [(one.name, one.reason.split(";")[0]) for one in sample.failures] == [
        (str(damaged), "its pixels are not those that the database knows")
    ]
    assert {(row.image_sha1, row.model) for row in sample.rows}.isdisjoint({(shas[1], "01L"), (shas[2], "01H")})
    for row in sample.rows:
        assert (row.original_file == "") == (row.crop_psnr is None) == (row.image_sha1 == shas[1])
    files = {f"crops/{path.name}" for path in (tmp_path / "out" / "crops").iterdir()}
    assert files == {name for row in sample.rows for name in (row.file, row.original_file) if name}


def test_the_corpus_remembers_the_folder_and_a_picture_can_leave_it(corpus: Corpus, make: Make, tmp_path: Path) -> None:
    sample = make(Kind.RANDOM, count=12)
    make(Kind.RANDOM, count=12)
    with corpus.reading() as connection:
        rows = fetch(connection, Copied)
    assert [(one.path, one.what) for one in rows] == [(str((tmp_path / "out").resolve()), "sample")]
    sha1 = sample.rows[0].image_sha1
    gone = {row.file for row in sample.rows if row.image_sha1 == sha1}
    gone |= {row.original_file for row in sample.rows if row.image_sha1 == sha1}
    before = set(hashes(tmp_path / "out"))
    deleted = {str(path.relative_to(tmp_path / "out")) for path in delete_from_sample(tmp_path / "out", sha1)}
    assert deleted == gone | {"contact_sheet.png"} == before - set(hashes(tmp_path / "out"))
    assert not list(delete_from_sample(tmp_path / "out", sha1))


def test_a_picture_that_is_removed_from_the_corpus_leaves_its_samples(
    corpus: Corpus, make: Make, tmp_path: Path
) -> None:
    sample = make(Kind.RANDOM, count=12)
    (image,) = {one.image.image_sha1: one.image for one in pool(corpus).pairs if one.key == first_key(sample)}.values()
    with corpus.owned():
        removal = remove_picture(corpus, image, "asked")
    left = {f"crops/{path.name}" for path in (tmp_path / "out" / "crops").iterdir()}
    rows = [row for row in sample.rows if row.image_sha1 != image.image_sha1]
    assert left == {name for row in rows for name in (row.file, row.original_file)}
    assert not list((tmp_path / "out").glob("contact_sheet*")) and (tmp_path / "out" / TABLE).is_file()
    assert tmp_path / "out" / sample.rows[0].file in removal.files


def test_other_files_stay_where_a_sample_is_written_beside_them(make: Make, tmp_path: Path) -> None:
    own = tmp_path / "out" / "crops" / "mine.png"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    with pytest.raises(UsageError, match="holds other files and no sample"):
        make(Kind.RANDOM, count=1)
    make(Kind.RANDOM, count=1, force=True)
    assert own.read_bytes() == b"mine"


def test_a_sample_that_was_never_finished_loses_every_crop(make: Make, tmp_path: Path) -> None:
    make(Kind.RANDOM, count=2)
    (tmp_path / "out" / TABLE).unlink()
    assert len(list(delete_from_sample(tmp_path / "out", "0" * 40))) == 11


def test_a_folder_with_something_else_is_left_alone(corpus: Corpus, make: Make, tmp_path: Path) -> None:
    make(Kind.RANDOM, count=2)
    before = hashes(tmp_path / "out")
    with pytest.raises(UsageError, match=r"request\.count: 2, now 1"):
        make(Kind.RANDOM, count=1)
    assert hashes(tmp_path / "out") == before
    make(Kind.RANDOM, count=1, force=True)
    assert len(list((tmp_path / "out" / "crops").iterdir())) == 5
    with pytest.raises(UsageError, match="lies in the corpus"):
        make(Kind.RANDOM, to="corpus/sample")
    add_picture(corpus, picture(9), name="new.png")
    with corpus.writing() as connection:
        one = pool(corpus).pairs[0].row
        add(
            connection,
            [Seen(image_sha1=one.image_sha1, model=one.model, labeler="eve", batch="", opened="", closed="")],
        )
    with pytest.raises(UsageError, match="state:"):
        make(Kind.RANDOM, count=1)


def test_names_that_no_file_can_have_are_refused(corpus: Corpus) -> None:
    row = pool(corpus).pairs[0].row
    for model in ("../../x", "Original"):
        with corpus.writing() as connection:
            add(connection, [replace(row, model=model)])
        with pytest.raises(InputError, match="no file can be named so"):
            pool(corpus)
        with corpus.writing() as connection:
            connection.execute(delete(RECONSTRUCTION).where(RECONSTRUCTION.c.model == model))


def test_sheets_have_pages_of_bounded_size(make: Make, tmp_path: Path) -> None:
    make(Kind.RANDOM, count=13, all_models=False)
    pages = sorted(path.name for path in (tmp_path / "out").glob("contact_sheet*"))
    assert pages == ["contact_sheet-2.png", "contact_sheet.png"]
    sizes = [read(tmp_path / "out" / name).pixels.shape for name in pages]
    assert sizes[1][0] > 10 * sizes[0][0] / 2 and sizes[1][0] < 3000
